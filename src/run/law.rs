//! From a configuration to the law of a whole arm.

use std::path::Path;

use nalgebra::Vector6;
use sha2::{Digest, Sha256};
use sinew_episodes::journal::ActuatorMeta;
use sinew_firmware_interfaces::{JointKind, RobotDescription};
use sinew_simulation::arms::{franka, viperx300};
use sinew_simulation::dynamics::{Arm, Joints, Link, LinkError, LinkProblem};

use crate::actuation::controllers::{
    CartesianImpedance, CartesianPid, Controller, Feedback, Guiding, JointImpedance, JointPid,
    NullSpring, OperationalSpace, Options, SoftLimits, TaskGains,
};
use crate::actuation::{Actuation, ArmLaw};
use crate::config::{
    self, Actuator, ArmLawConfig, ConfigError, Loaded, MOST_JOINTS, PerJoint, franka_gains,
};
use crate::limits::JointLimits;

/// How far from the middle the fingers of a ViperX are taken to be, m: half open.
const FINGER_M: f64 = 0.039;
/// The part of a joint's largest torque with which a soft limit pushes at the end of its range.
const SOFT_PART: f64 = 0.8;
/// The margin of soft limits while a hand leads the arm, and how deep others give way, rad.
const SOFT_MARGIN_RAD: f64 = 0.2;

/// The law of `[actuation]` for `joints` of `robot`, and where its arm comes from, if from a file.
///
/// # Errors
/// [`ConfigError`] when the arm is another one than the robot's, or cannot be read.
pub(super) fn law(
    loaded: &Loaded,
    robot: &RobotDescription,
    joints: Vec<usize>,
) -> Result<(Actuation, Option<ActuatorMeta>), ConfigError> {
    let said = &loaded.config.actuation;
    let unfit = |message: String| loaded.problems([("actuation.arm", message)]);
    let Some(arm) = &said.law.arm else {
        return Err(unfit("a law of a whole arm needs it".to_owned()));
    };
    let limits = config::resolve_limits(&loaded.config, robot)?;
    let limits: Vec<JointLimits> =
        joints.iter().filter_map(|joint| limits.get(*joint).copied()).collect();
    let names: Vec<&str> = match said.law.arm_joints.as_slice() {
        [] => {
            let revolute = robot.joints.iter().filter(|joint| joint.kind == JointKind::Revolute);
            revolute.map(|joint| joint.name.as_str()).collect()
        }
        names => names.iter().map(String::as_str).collect(),
    };
    let maker = Maker { loaded, robot, limits, names };
    let (law, meta) = match arm.to_str() {
        Some("fr3") => (maker.franka(franka::fr3())?, None),
        Some("panda") => (maker.franka(franka::panda())?, None),
        Some("panda_identified") => (maker.franka(franka::panda_identified())?, None),
        Some("viperx300") => (maker.viperx300()?, None),
        _ => {
            let sha256 = fingerprint(arm).map_err(&unfit)?;
            let kind = said.model.name().to_owned();
            let meta = ActuatorMeta { kind, path: arm.display().to_string(), sha256 };
            (maker.urdf(arm)?, Some(meta))
        }
    };
    let period = 1.0 / loaded.config.run.rate_hz;
    let driven = joints.len();
    let actuation = Actuation::law(law, joints, period)
        .ok_or_else(|| unfit(format!("the arm does not have the robot's {driven} joints")))?;
    Ok((actuation, meta))
}

/// SHA-256 of a URDF, in hexadecimal.
fn fingerprint(path: &Path) -> Result<String, String> {
    let text = std::fs::read(path).map_err(|error| {
        format!("{} cannot be read: {error}. Needed is the arm's URDF", path.display())
    })?;
    Ok(Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Names of the joints of Trossen's ViperX 300 with six joints.
const VIPERX300: [&str; 6] =
    ["waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"];

/// Everything that a law is made of.
struct Maker<'a> {
    loaded: &'a Loaded,
    robot: &'a RobotDescription,
    /// In the order of the arm's joints.
    limits: Vec<JointLimits>,
    /// The arm's joints, in the robot's order.
    names: Vec<&'a str>,
}

impl Maker<'_> {
    fn said(&self) -> &ArmLawConfig {
        &self.loaded.config.actuation.law
    }

    fn unfit(&self, key: &str, message: String) -> ConfigError {
        self.loaded.problems([(key, message)])
    }

    /// The arm known by name has the robot's joints.
    fn check_names(&self, known: &[&str]) -> Result<(), ConfigError> {
        if self.names == known {
            return Ok(());
        }
        let arm = self.said().arm.as_deref().unwrap_or(Path::new("")).display().to_string();
        let message = if self.names.len() == known.len() {
            format!(
                "the joints of \"{arm}\" are {}, those of the {} are {}. Name the arm's joints in \
                 the robot's order with actuation.arm_joints, or name the arm that the robot is",
                known.join(", "),
                self.robot.model,
                self.names.join(", ")
            )
        } else {
            format!(
                "\"{arm}\" has {} joints ({}), the {} has {} revolute ones ({}). Name the arm that \
                 the robot is, or give its URDF",
                known.len(),
                known.join(", "),
                self.robot.model,
                self.names.len(),
                self.names.join(", ")
            )
        };
        Err(self.unfit("actuation.arm", message))
    }

    fn franka(&self, arm: Result<Arm<7>, LinkError>) -> Result<Box<dyn ArmLaw>, ConfigError> {
        let names: Vec<String> = (1..=7).map(|joint| format!("joint{joint}")).collect();
        self.check_names(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut arm = arm.map_err(|error| self.unfit("actuation.arm", error.to_string()))?;
        arm.rotor_inertia = Joints::repeat(franka_gains::ROTOR_INERTIA);
        self.free(arm)
    }

    fn viperx300(&self) -> Result<Box<dyn ArmLaw>, ConfigError> {
        self.check_names(&VIPERX300)?;
        let arm = viperx300(FINGER_M);
        self.free(arm.map_err(|error| self.unfit("actuation.arm", error.to_string()))?)
    }

    fn urdf(&self, path: &Path) -> Result<Box<dyn ArmLaw>, ConfigError> {
        match self.names.len() {
            1 => self.bound(self.read::<1>(path)?),
            2 => self.bound(self.read::<2>(path)?),
            3 => self.bound(self.read::<3>(path)?),
            4 => self.bound(self.read::<4>(path)?),
            5 => self.bound(self.read::<5>(path)?),
            6 => self.free(self.read::<6>(path)?),
            7 => self.free(self.read::<7>(path)?),
            count => {
                let message = format!("{count} joints are not 1 to {MOST_JOINTS}");
                Err(self.unfit("actuation.arm", message))
            }
        }
    }

    fn read<const N: usize>(&self, path: &Path) -> Result<Arm<N>, ConfigError> {
        let names: [&str; N] = std::array::from_fn(|joint| self.names[joint]);
        let tip = self.said().tip.as_deref();
        Arm::from_urdf(path, tip, &names).map_err(|error| {
            use sinew_simulation::urdf::UrdfProblem::{
                MissingJoint, SeveralTips, UnknownJoint, UnknownTip,
            };
            match *error.problem {
                UnknownTip { .. } | SeveralTips { .. } => {
                    self.unfit("actuation.tip", error.to_string())
                }
                UnknownJoint { .. } | MissingJoint { .. } => {
                    let remedy = "Is it the robot's URDF? Joints of other names are named in the \
                                  robot's order by actuation.arm_joints";
                    self.unfit("actuation.arm", format!("{error}. {remedy}"))
                }
                _ => self.unfit("actuation.arm", error.to_string()),
            }
        })
    }

    /// Payload and rotors on the arm, and what its joints may do.
    fn dress<const N: usize>(&self, mut arm: Arm<N>) -> Result<(Arm<N>, Options<N>), ConfigError> {
        let said = self.said();
        if let Some(inertia) = &said.rotor_inertia_kg_m2 {
            arm.rotor_inertia = each(inertia);
        }
        if let Some(payload) = &said.payload {
            let inertia = std::array::from_fn(|index| {
                payload.inertia_kg_m2.get(index).copied().unwrap_or_default()
            });
            let link = Link { mass: payload.mass_kg, center: payload.center_m, inertia };
            arm = arm.with_payload(&link).map_err(|error| match error.problem {
                LinkProblem::Inertia { .. } => {
                    self.unfit("actuation.payload.inertia_kg_m2", error.problem.to_string())
                }
                _ => self.unfit("actuation.payload", error.problem.to_string()),
            })?;
        }
        let options = Options {
            gravity: said.gravity_compensation.unwrap_or(!self.robot.compensates_gravity),
            friction: said.friction_compensation,
            soft_limits: Some(self.soft_limits()?),
            filter_hz: said.filter_hz,
        };
        Ok((arm, options))
    }

    /// Largest torques, N·m.
    fn torques<const N: usize>(&self) -> Joints<N> {
        self.column(|limits| limits.effort.map_or(f64::INFINITY, |effort| effort.max))
    }

    fn column<const N: usize>(&self, value: impl Fn(&JointLimits) -> f64) -> Joints<N> {
        Joints::from_fn(|joint, _| self.limits.get(joint).map_or(0.0, &value))
    }

    fn soft_limits<const N: usize>(&self) -> Result<SoftLimits<N>, ConfigError> {
        let said = self.said();
        let guiding = self.loaded.config.actuation.model == Actuator::Guiding;
        let margin = said.soft_limit_margin_rad;
        let margin = margin.unwrap_or(if guiding { SOFT_MARGIN_RAD } else { 0.0 });
        let depth = if margin > 0.0 { margin } else { SOFT_MARGIN_RAD };
        let narrow = self.limits.iter().map(|it| it.position[1] - it.position[0]);
        let narrow = narrow.fold(f64::INFINITY, f64::min);
        if margin * 2.0 >= narrow {
            let message = format!(
                "at both ends of a range of {narrow:.3} rad it leaves nothing. Allowed: 0 to less \
                 than {:.3} rad. Lower it, or widen the joint's limits",
                narrow / 2.0
            );
            return Err(self.unfit("actuation.soft_limit_margin_rad", message));
        }
        let stiffness = match &said.soft_limit_stiffness_nm_rad {
            Some(stiffness) => each(stiffness),
            None => self.column(|limits| {
                limits.effort.map_or(0.0, |effort| SOFT_PART * effort.max / depth)
            }),
        };
        let (lower, upper) = (self.column(|it| it.position[0]), self.column(|it| it.position[1]));
        Ok(SoftLimits { lower, upper, margin, depth, stiffness })
    }

    fn impedance<const N: usize>(&self) -> JointImpedance<N> {
        let said = &self.said().joint_impedance;
        JointImpedance {
            stiffness: self.gain(&said.stiffness_nm_rad, &franka_gains::STIFFNESS),
            damping: self.gain(&said.damping_nm_s_rad, &franka_gains::DAMPING),
            feedforward: said.feedforward,
        }
    }

    fn gain<const N: usize>(&self, said: &Option<PerJoint>, franka: &[f64; 7]) -> Joints<N> {
        self.said().or_franka(said, franka).as_ref().map_or(Joints::zeros(), each)
    }

    /// A law of the joints.
    fn bound<const N: usize>(&self, arm: Arm<N>) -> Result<Box<dyn ArmLaw>, ConfigError> {
        let (arm, options) = self.dress(arm)?;
        let said = self.said();
        Ok(match self.loaded.config.actuation.model {
            Actuator::JointPid => {
                let said = &said.joint_pid;
                let pid = JointPid::new(
                    self.gain(&said.proportional_nm_rad, &franka_gains::STIFFNESS),
                    self.gain(&said.derivative_nm_s_rad, &franka_gains::DAMPING),
                    self.gain(&said.integral_nm_rad_s, &franka_gains::STIFFNESS),
                    self.gain(&said.integral_limit_nm, &franka_gains::INTEGRAL_LIMIT),
                    self.torques(),
                );
                boxed(arm, pid, options)
            }
            Actuator::Guiding => {
                let said = &said.guiding;
                let guiding = Guiding {
                    hold: self.impedance(),
                    damping: self.gain(&said.damping_nm_s_rad, &franka_gains::GUIDING),
                    fast: said.fast_rad_s,
                    fast_damping: self
                        .gain(&said.fast_damping_nm_s_rad, &franka_gains::FAST_GUIDING),
                };
                boxed(arm, guiding, options)
            }
            _ => boxed(arm, self.impedance(), options),
        })
    }

    /// A law of the joints or of the tool.
    fn free<const N: usize>(&self, arm: Arm<N>) -> Result<Box<dyn ArmLaw>, ConfigError> {
        let model = self.loaded.config.actuation.model;
        if !model.is_cartesian() {
            return self.bound(arm);
        }
        let (arm, options) = self.dress(arm)?;
        let said = self.said();
        Ok(match model {
            Actuator::CartesianPid => {
                let said = &said.cartesian_pid;
                let gains = TaskGains {
                    proportional: axes(
                        said.translation_proportional_n_m,
                        said.rotation_proportional_nm_rad,
                    ),
                    derivative: axes(
                        said.translation_derivative_n_s_m,
                        said.rotation_derivative_nm_s_rad,
                    ),
                    integral: axes(
                        said.translation_integral_n_m_s,
                        said.rotation_integral_nm_rad_s,
                    ),
                    integral_limit: axes(
                        said.translation_integral_limit_n,
                        said.rotation_integral_limit_nm,
                    ),
                };
                let null = NullSpring {
                    stiffness: each(&said.null_stiffness_nm_rad),
                    damping: each(&said.null_damping_nm_s_rad),
                };
                boxed(arm, CartesianPid::new(gains, null, self.torques()), options)
            }
            Actuator::OperationalSpace => {
                let said = &said.operational_space;
                let law = OperationalSpace {
                    stiffness: axes(said.translation_per_s2, said.rotation_per_s2),
                    damping_ratio: said.damping_ratio,
                    null_stiffness: said.null_per_s2,
                };
                boxed(arm, law, options)
            }
            _ => {
                let said = &said.cartesian_impedance;
                let law = CartesianImpedance {
                    stiffness: axes(said.translation_n_m, said.rotation_nm_rad),
                    damping_ratio: said.damping_ratio,
                    null: NullSpring {
                        stiffness: each(&said.null_stiffness_nm_rad),
                        damping: each(&said.null_damping_nm_s_rad),
                    },
                };
                boxed(arm, law, options)
            }
        })
    }
}

fn boxed<const N: usize>(
    arm: Arm<N>,
    feedback: impl Feedback<N> + 'static,
    options: Options<N>,
) -> Box<dyn ArmLaw> {
    Box::new(Controller::new(arm, feedback, options))
}

/// A list that is too short ends in zeros; a configuration that was checked has none.
fn each<const N: usize>(said: &PerJoint) -> Joints<N> {
    Joints::from_fn(|joint, _| said.get(joint).unwrap_or_default())
}

fn axes(translation: f64, rotation: f64) -> Vector6<f64> {
    Vector6::from_fn(|axis, _| if axis < 3 { translation } else { rotation })
}
