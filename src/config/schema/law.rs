//! Laws for whole arms: `[actuation]` with an arm.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One number for all joints, or one each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerJoint {
    /// The same for all.
    All(f64),
    /// In the order of the joints.
    Each(Vec<f64>),
}

impl PerJoint {
    /// The number of joint `joint`; `None` past the end of a list.
    pub fn get(&self, joint: usize) -> Option<f64> {
        match self {
            Self::All(value) => Some(*value),
            Self::Each(values) => values.get(joint).copied(),
        }
    }
}

/// What `[actuation]` says for laws of a whole arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArmLawConfig {
    /// The arm's dynamics: a name, or a URDF.
    pub arm: Option<PathBuf>,
    /// The link of a URDF that is the tool.
    pub tip: Option<String>,
    /// Names of the arm's joints in its URDF, where they are not the robot's.
    pub arm_joints: Vec<String>,
    /// Whether the law bears the arm's weight.
    pub gravity_compensation: Option<bool>,
    /// The part of the arm's friction that is compensated.
    pub friction_compensation: f64,
    /// Inertia of the drives' rotors at their joints, kg·m².
    pub rotor_inertia_kg_m2: Option<PerJoint>,
    /// Cut-off of the low-pass filter of the law's pull, Hz.
    pub filter_hz: Option<f64>,
    /// How long before the ends of the range repulsion begins, rad.
    pub soft_limit_margin_rad: Option<f64>,
    /// The stiffness of that repulsion, N·m/rad.
    pub soft_limit_stiffness_nm_rad: Option<PerJoint>,
    /// What the tool carries.
    pub payload: Option<PayloadConfig>,
    /// For `model = "joint_impedance"`, and what holds the arm with `"guiding"`.
    pub joint_impedance: JointImpedanceConfig,
    /// For `model = "joint_pid"`.
    pub joint_pid: JointPidConfig,
    /// For `model = "cartesian_impedance"`.
    pub cartesian_impedance: CartesianImpedanceConfig,
    /// For `model = "cartesian_pid"`.
    pub cartesian_pid: CartesianPidConfig,
    /// For `model = "operational_space"`.
    pub operational_space: OperationalSpaceConfig,
    /// For `model = "guiding"`.
    pub guiding: GuidingConfig,
}

/// `[actuation.payload]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadConfig {
    /// kg.
    pub mass_kg: f64,
    /// Centre of mass in the frame of the arm's tool, m.
    #[serde(default)]
    pub center_m: [f64; 3],
    /// About the centre of mass, kg·m²: xx, xy, xz, yy, yz, zz.
    #[serde(default = "no_inertia")]
    pub inertia_kg_m2: Vec<f64>,
}

fn no_inertia() -> Vec<f64> {
    vec![0.0; 6]
}

/// `[actuation.joint_impedance]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JointImpedanceConfig {
    /// N·m/rad.
    pub stiffness_nm_rad: Option<PerJoint>,
    /// N·m·s/rad.
    pub damping_nm_s_rad: Option<PerJoint>,
    /// Whether the inertia of the commanded acceleration is paid.
    pub feedforward: bool,
}

impl Default for JointImpedanceConfig {
    fn default() -> Self {
        Self { stiffness_nm_rad: None, damping_nm_s_rad: None, feedforward: true }
    }
}

/// `[actuation.joint_pid]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JointPidConfig {
    /// N·m/rad.
    pub proportional_nm_rad: Option<PerJoint>,
    /// N·m·s/rad.
    pub derivative_nm_s_rad: Option<PerJoint>,
    /// N·m/(rad·s).
    pub integral_nm_rad_s: Option<PerJoint>,
    /// What the integral may add, N·m.
    pub integral_limit_nm: Option<PerJoint>,
}

/// `[actuation.cartesian_impedance]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CartesianImpedanceConfig {
    /// Along the axes of the base, N/m.
    pub translation_n_m: f64,
    /// About the axes of the base, N·m/rad.
    pub rotation_nm_rad: f64,
    /// Part of critical damping.
    pub damping_ratio: f64,
    /// Of the joints in the null space, N·m/rad.
    pub null_stiffness_nm_rad: PerJoint,
    /// Of the joints in the null space, N·m·s/rad.
    pub null_damping_nm_s_rad: PerJoint,
}

impl Default for CartesianImpedanceConfig {
    fn default() -> Self {
        Self {
            translation_n_m: 600.0,
            rotation_nm_rad: 60.0,
            damping_ratio: 1.0,
            null_stiffness_nm_rad: PerJoint::All(20.0),
            null_damping_nm_s_rad: PerJoint::All(5.0),
        }
    }
}

/// `[actuation.cartesian_pid]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CartesianPidConfig {
    /// N/m.
    pub translation_proportional_n_m: f64,
    /// N·s/m.
    pub translation_derivative_n_s_m: f64,
    /// N/(m·s).
    pub translation_integral_n_m_s: f64,
    /// What the integral may add along each axis, N.
    pub translation_integral_limit_n: f64,
    /// N·m/rad.
    pub rotation_proportional_nm_rad: f64,
    /// N·m·s/rad.
    pub rotation_derivative_nm_s_rad: f64,
    /// N·m/(rad·s).
    pub rotation_integral_nm_rad_s: f64,
    /// What the integral may add about each axis, N·m.
    pub rotation_integral_limit_nm: f64,
    /// Of the joints in the null space, N·m/rad.
    pub null_stiffness_nm_rad: PerJoint,
    /// Of the joints in the null space, N·m·s/rad.
    pub null_damping_nm_s_rad: PerJoint,
}

impl Default for CartesianPidConfig {
    fn default() -> Self {
        Self {
            translation_proportional_n_m: 600.0,
            translation_derivative_n_s_m: 80.0,
            translation_integral_n_m_s: 600.0,
            translation_integral_limit_n: 20.0,
            rotation_proportional_nm_rad: 60.0,
            rotation_derivative_nm_s_rad: 8.0,
            rotation_integral_nm_rad_s: 60.0,
            rotation_integral_limit_nm: 3.0,
            null_stiffness_nm_rad: PerJoint::All(20.0),
            null_damping_nm_s_rad: PerJoint::All(5.0),
        }
    }
}

/// `[actuation.operational_space]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationalSpaceConfig {
    /// Along the axes of the base, 1/s².
    pub translation_per_s2: f64,
    /// About the axes of the base, 1/s².
    pub rotation_per_s2: f64,
    /// Part of critical damping, at the tool and in the null space.
    pub damping_ratio: f64,
    /// Of the joints in the null space, 1/s².
    pub null_per_s2: f64,
}

impl Default for OperationalSpaceConfig {
    fn default() -> Self {
        Self {
            translation_per_s2: 400.0,
            rotation_per_s2: 400.0,
            damping_ratio: 1.0,
            null_per_s2: 40.0,
        }
    }
}

/// `[actuation.guiding]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuidingConfig {
    /// Damping while the arm is led, N·m·s/rad.
    pub damping_nm_s_rad: Option<PerJoint>,
    /// The speed from which there is more, rad/s.
    pub fast_rad_s: f64,
    /// The damping of what is faster than that, N·m·s/rad.
    pub fast_damping_nm_s_rad: Option<PerJoint>,
}

impl Default for GuidingConfig {
    fn default() -> Self {
        Self { damping_nm_s_rad: None, fast_rad_s: 1.0, fast_damping_nm_s_rad: None }
    }
}

/// Sound gains of Franka's arms in torque, where nothing else is said.
pub mod franka {
    /// Names of their models.
    pub const ARMS: [&str; 3] = ["fr3", "panda", "panda_identified"];
    /// N·m/rad. (Those of the arm's own controller, 3000 to 2000, are not for torques over a network.)
    pub const STIFFNESS: [f64; 7] = [600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0];
    /// N·m·s/rad.
    pub const DAMPING: [f64; 7] = [50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0];
    /// What an integral may add, N·m.
    pub const INTEGRAL_LIMIT: [f64; 7] = [10.0, 10.0, 10.0, 10.0, 3.0, 3.0, 3.0];
    /// While a hand leads the arm, N·m·s/rad.
    pub const GUIDING: [f64; 7] = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5];
    /// The same of what is fast, N·m·s/rad.
    pub const FAST_GUIDING: [f64; 7] = [20.0, 20.0, 20.0, 20.0, 5.0, 5.0, 5.0];
    /// What a drive's finite bandwidth feels like, kg·m²: the figure of MuJoCo Menagerie's models.
    pub const ROTOR_INERTIA: f64 = 0.1;
}

impl ArmLawConfig {
    /// Whether the arm is a Franka that sinew knows by name.
    pub fn is_franka(&self) -> bool {
        self.arm
            .as_ref()
            .is_some_and(|arm| franka::ARMS.iter().any(|name| arm.as_os_str() == *name))
    }

    /// What was said, or what Franka's arms have where the arm is one of them.
    pub fn or_franka(&self, said: &Option<PerJoint>, franka: &[f64; 7]) -> Option<PerJoint> {
        let franka = || self.is_franka().then(|| PerJoint::Each(franka.to_vec()));
        said.clone().or_else(franka)
    }

    /// The gains that a law needs: key, value, unit.
    pub fn gains(
        &self,
        model: super::Actuator,
    ) -> Vec<(&'static str, Option<PerJoint>, &'static str)> {
        use super::Actuator::{
            CartesianImpedance, CartesianPid, Guiding, JointImpedance, JointPid,
        };
        let mut gains = Vec::new();
        let mut add = |key, said: &Option<PerJoint>, franka, unit| {
            gains.push((key, self.or_franka(said, franka), unit));
        };
        if matches!(model, JointImpedance | Guiding) {
            let said = &self.joint_impedance;
            add(
                "actuation.joint_impedance.stiffness_nm_rad",
                &said.stiffness_nm_rad,
                &franka::STIFFNESS,
                "N·m/rad",
            );
            add(
                "actuation.joint_impedance.damping_nm_s_rad",
                &said.damping_nm_s_rad,
                &franka::DAMPING,
                "N·m·s/rad",
            );
        }
        if model == JointPid {
            let said = &self.joint_pid;
            add(
                "actuation.joint_pid.proportional_nm_rad",
                &said.proportional_nm_rad,
                &franka::STIFFNESS,
                "N·m/rad",
            );
            add(
                "actuation.joint_pid.derivative_nm_s_rad",
                &said.derivative_nm_s_rad,
                &franka::DAMPING,
                "N·m·s/rad",
            );
            add(
                "actuation.joint_pid.integral_nm_rad_s",
                &said.integral_nm_rad_s,
                &franka::STIFFNESS,
                "N·m/(rad·s)",
            );
            add(
                "actuation.joint_pid.integral_limit_nm",
                &said.integral_limit_nm,
                &franka::INTEGRAL_LIMIT,
                "N·m",
            );
        }
        if model == Guiding {
            let said = &self.guiding;
            add(
                "actuation.guiding.damping_nm_s_rad",
                &said.damping_nm_s_rad,
                &franka::GUIDING,
                "N·m·s/rad",
            );
            add(
                "actuation.guiding.fast_damping_nm_s_rad",
                &said.fast_damping_nm_s_rad,
                &franka::FAST_GUIDING,
                "N·m·s/rad",
            );
        }
        let mut null = |keys: [&'static str; 2], stiffness: &PerJoint, damping: &PerJoint| {
            gains.push((keys[0], Some(stiffness.clone()), "N·m/rad"));
            gains.push((keys[1], Some(damping.clone()), "N·m·s/rad"));
        };
        if model == CartesianImpedance {
            let said = &self.cartesian_impedance;
            null(
                [
                    "actuation.cartesian_impedance.null_stiffness_nm_rad",
                    "actuation.cartesian_impedance.null_damping_nm_s_rad",
                ],
                &said.null_stiffness_nm_rad,
                &said.null_damping_nm_s_rad,
            );
        }
        if model == CartesianPid {
            let said = &self.cartesian_pid;
            null(
                [
                    "actuation.cartesian_pid.null_stiffness_nm_rad",
                    "actuation.cartesian_pid.null_damping_nm_s_rad",
                ],
                &said.null_stiffness_nm_rad,
                &said.null_damping_nm_s_rad,
            );
        }
        gains
    }
}
