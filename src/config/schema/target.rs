//! From targets to commands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::law::ArmLawConfig;

/// `[target]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// What makes motion at the loop's rate out of targets.
    pub generator: Generator,
    /// The generator's speed, acceleration and jerk, as a fraction of the limits: above 0, below 1.
    pub fraction: f64,
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self { generator: Generator::default(), fraction: 0.95 }
    }
}

/// `target.generator`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generator {
    /// The fastest motion inside speed, acceleration and jerk that follows the target.
    #[default]
    JerkLimited,
    /// Straight lines between targets: the limits behind it make what they can of the corners.
    Linear,
}

/// `[actuation]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ActuationConfig {
    /// What turns a position into a command.
    pub model: Actuator,
    /// The folder of an actuator model, for `model = "network"`.
    pub path: Option<PathBuf>,
    /// Gains by joint name, for `model = "pd"`.
    pub gains: BTreeMap<String, GainsConfig>,
    /// Motors by joint name, for `model = "pd"`.
    pub motors: BTreeMap<String, MotorConfig>,
    /// How late targets reach the law, in ms, for `model = "pd"`.
    pub delay_ms: f64,
    /// The arm, for laws of a whole arm.
    #[serde(flatten)]
    pub law: ArmLawConfig,
}

/// `actuation.model`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actuator {
    /// The robot takes positions.
    #[default]
    Position,
    /// The robot takes torques, which a proportional and derivative law makes of positions.
    Pd,
    /// The robot takes torques, which a learned model makes of what the joints did.
    Network,
    /// A spring and a damper at every joint of an arm whose dynamics are known.
    JointImpedance,
    /// Proportional, integral and derivative control of every joint of such an arm.
    JointPid,
    /// A spring and a damper at the tool.
    CartesianImpedance,
    /// Proportional, integral and derivative control of the tool.
    CartesianPid,
    /// Accelerations at the tool.
    OperationalSpace,
    /// The arm goes where a hand takes it.
    Guiding,
}

impl Actuator {
    /// As configurations say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Pd => "pd",
            Self::Network => "network",
            Self::JointImpedance => "joint_impedance",
            Self::JointPid => "joint_pid",
            Self::CartesianImpedance => "cartesian_impedance",
            Self::CartesianPid => "cartesian_pid",
            Self::OperationalSpace => "operational_space",
            Self::Guiding => "guiding",
        }
    }

    /// Whether it is a law for a whole arm, which needs the arm's dynamics.
    pub const fn is_law(self) -> bool {
        !matches!(self, Self::Position | Self::Pd | Self::Network)
    }

    /// Whether it is a law of the tool.
    pub const fn is_cartesian(self) -> bool {
        matches!(self, Self::CartesianImpedance | Self::CartesianPid | Self::OperationalSpace)
    }
}

/// `[actuation.gains.JOINT]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainsConfig {
    /// Torque per position error, in N·m/rad.
    pub stiffness_nm_rad: f64,
    /// Torque per velocity error, in N·m·s/rad.
    pub damping_nm_s_rad: f64,
}

/// `[actuation.motors.JOINT]`: what a DC motor can give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MotorConfig {
    /// Torque at rest, in N·m.
    pub stall_torque_nm: f64,
    /// Speed without load, in rad/s.
    pub no_load_speed_rad_s: f64,
    /// What it can give for long, in N·m.
    pub continuous_torque_nm: f64,
}
