//! What the driver is told about the arm.

use std::time::Duration;

use sinew_simulation::arms::franka::{FER_LIMITS, FR3_BRAKING, FR3_LIMITS};

use crate::franka::RobotModel;
use crate::franka::wire::{CollisionBehavior, Load};
use crate::robot::{
    ControlMode, JointDescription, JointKind, JointLimits, OnSilence, RobotDescription,
    SensorDescription, VelocityBarrier,
};

/// Joints of the arm.
pub const ARM_JOINTS: usize = 7;
/// Index of the gripper among the joints.
pub(super) const GRIPPER: usize = ARM_JOINTS;
/// Cycles per second.
pub const RATE_HZ: f64 = 1000.0;
/// Widest opening of Franka's hand, m.
const MAX_WIDTH: f64 = 0.08;
/// Fastest fingers of Franka's hand, m/s, as both move.
const MAX_GRIPPER_SPEED: f64 = 0.1;
/// What commands stay below the speed that the arm allows at a place, rad/s: its acceleration may
/// change by the largest jerk in one cycle, and states of version 10 are rounded.
const BARRIER_RESERVE: f64 = 0.01;

/// Franka's hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GripperConfig {
    /// Speed of the fingers, m/s.
    pub speed: f64,
    /// Force with which it closes on an object, N; `None` goes to a width, and stops where an object
    /// is in the way.
    pub force: Option<f64>,
}

/// The arm and what it is told before a motion.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Host and, where it is not Franka's own, port: `172.16.0.2`, `127.0.0.1:40001`.
    pub address: String,
    /// Which arm; another one is refused.
    pub arm: RobotModel,
    /// What commands say. It is fixed when a motion begins.
    pub mode: ControlMode,
    /// Whether arming may recover the arm from an error of before.
    pub recover: bool,
    /// From which external torques and forces on a contact is a collision; `None` leaves it to the
    /// arm.
    pub collision: Option<CollisionBehavior>,
    /// Of the arm's own controller in its joints, N·m/rad; `None` leaves it to the arm.
    pub joint_stiffness: Option<[f64; ARM_JOINTS]>,
    /// What the flange carries beside the end effector; `None` leaves it to the arm.
    pub load: Option<Load>,
    /// The hand, where it is used, with its address.
    pub gripper: Option<GripperConfig>,
    /// Host and port of the hand; `None` is the arm's host with Franka's own port.
    pub gripper_address: Option<String>,
    /// How long a state's answer is waited for. An arm takes it for lost when the next state goes
    /// out, 1 ms after the last; only an emulated one may be patient.
    pub answer_within: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: "172.16.0.2".to_owned(),
            arm: RobotModel::Fr3,
            mode: ControlMode::Position,
            recover: false,
            collision: None,
            joint_stiffness: None,
            load: None,
            gripper: None,
            gripper_address: None,
            answer_within: Duration::from_micros(950),
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{value} {unit} is not within {least} to {most} {unit}. {remedy}")]
pub struct ConfigError {
    /// Which.
    pub name: &'static str,
    /// What it is.
    pub value: f64,
    /// Smallest value allowed.
    pub least: f64,
    /// Largest value allowed.
    pub most: f64,
    /// Of all three.
    pub unit: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Config {
    /// # Errors
    /// [`ConfigError`] for the first setting outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |name, value: f64, (least, most), unit, remedy| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError { name, value, least, most, unit, remedy })
            }
        };
        for stiffness in self.joint_stiffness.iter().flatten() {
            let remedy = "Franka's examples use 3000 down to 2000";
            within("joint_stiffness", *stiffness, (10.0, 20_000.0), "N·m/rad", remedy)?;
        }
        if let Some(load) = &self.load {
            within("load", load.mass, (0.0, 20.0), "kg", "Say the mass of the load alone")?;
        }
        if let Some(collision) = &self.collision {
            let pairs = [
                (&collision.lower_torque[..], &collision.upper_torque[..], "N·m"),
                (&collision.lower_force[..], &collision.upper_force[..], "N"),
            ];
            for (lower, upper, unit) in pairs {
                for (lower, upper) in lower.iter().zip(upper) {
                    let remedy = "A contact begins below a collision, and both are above 0";
                    within("collision", *upper, (0.1, 1000.0), unit, remedy)?;
                    within("collision", *lower, (0.1, *upper), unit, remedy)?;
                }
            }
        }
        if let Some(gripper) = &self.gripper {
            let most = (0.001, MAX_GRIPPER_SPEED);
            within("gripper_speed", gripper.speed, most, "m/s", "Franka's hand does 0.1 m/s")?;
            if let Some(force) = gripper.force {
                within("gripper_force", force, (0.1, 140.0), "N", "Franka's hand holds 70 N")?;
            }
        }
        Ok(())
    }

    /// The arm that the settings say.
    pub fn description(&self) -> RobotDescription {
        let mut joints: Vec<_> = (0..ARM_JOINTS).map(|index| self.joint(index)).collect();
        let sensor = |name: String, unit| SensorDescription { name, unit };
        let mut sensors: Vec<_> = (1..=ARM_JOINTS)
            .map(|joint| sensor(format!("joint{joint}.external_torque"), "N·m"))
            .collect();
        for (quantity, unit) in [("external_force", "N"), ("external_torque", "N·m")] {
            sensors.extend(["x", "y", "z"].map(|axis| sensor(format!("{quantity}_{axis}"), unit)));
        }
        sensors.push(sensor("command_success_rate".to_owned(), "1"));
        if let Some(gripper) = &self.gripper {
            sensors.push(sensor("gripper_width".to_owned(), "m"));
            joints.push(JointDescription {
                name: "gripper".to_owned(),
                kind: JointKind::Gripper,
                limits: JointLimits {
                    position: 0.0..=1.0,
                    max_velocity: gripper.speed / MAX_WIDTH,
                    max_acceleration: None,
                    max_jerk: None,
                    max_effort: None,
                    velocity_barrier: None,
                },
            });
        }
        RobotDescription {
            model: match self.arm {
                RobotModel::Fer => "franka-fer".to_owned(),
                RobotModel::Fr3 => "franka-fr3".to_owned(),
            },
            joints,
            max_command_rate_hz: RATE_HZ,
            modes: vec![ControlMode::Position, ControlMode::Effort],
            sensors,
            measures_velocity: true,
            measures_effort: true,
            compensates_gravity: true,
            lockstep: true,
            device_rate_hz: Some(RATE_HZ),
            // Twenty lost commands are an error of the arm's, which brakes and stands.
            on_silence: OnSilence::Stops,
        }
    }

    fn joint(&self, index: usize) -> JointDescription {
        let (limits, barrier) = match self.arm {
            RobotModel::Fer => (FER_LIMITS[index], None),
            RobotModel::Fr3 => {
                let limits = FR3_LIMITS[index];
                let [offset, deceleration] = FR3_BRAKING[index];
                let barrier = VelocityBarrier {
                    position: [limits.lower, limits.upper],
                    offset: offset + BARRIER_RESERVE,
                    deceleration,
                };
                (limits, Some(barrier))
            }
        };
        // Where no speed is allowed at all, nothing can be commanded.
        let still = barrier.map_or(0.0, |it| it.offset * it.offset / (2.0 * it.deceleration));
        JointDescription {
            name: format!("joint{}", index + 1),
            kind: JointKind::Revolute,
            limits: JointLimits {
                position: limits.lower + still..=limits.upper - still,
                max_velocity: limits.velocity,
                max_acceleration: Some(limits.acceleration),
                max_jerk: Some(limits.jerk),
                max_effort: Some(limits.effort),
                velocity_barrier: barrier,
            },
        }
    }
}

/// Opening of the hand, 0 to 1, at `width`, in m.
pub(super) const fn opening(width: f64) -> f64 {
    (width / MAX_WIDTH).clamp(0.0, 1.0)
}

/// Width in m at an opening of 0 to 1.
pub(super) const fn width(opening: f64) -> f64 {
    opening.clamp(0.0, 1.0) * MAX_WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_with_its_range() {
        assert_eq!(Config::default().validate(), Ok(()));
        let soft = Config { joint_stiffness: Some([0.0; 7]), ..Config::default() };
        let error = soft.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "0 N·m/rad is not within 10 to 20000 N·m/rad. Franka's examples use 3000 down to 2000"
        );
        let fast = GripperConfig { speed: f64::NAN, force: None };
        let error = Config { gripper: Some(fast), ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.name, "gripper_speed");
    }

    #[test]
    fn an_fr3_may_be_commanded_wherever_it_may_move() {
        let config = Config {
            gripper: Some(GripperConfig { speed: 0.05, force: None }),
            ..Config::default()
        };
        let description = config.description();
        assert_eq!(description.joints.len(), 8);
        assert_eq!(description.sensors.len(), 15);
        for joint in &description.joints[..ARM_JOINTS] {
            let barrier = joint.limits.velocity_barrier.unwrap();
            let ends = [joint.limits.position.start(), joint.limits.position.end()];
            for (end, side) in ends.into_iter().zip([0, 1]) {
                let allowed = barrier.at(*end, joint.limits.max_velocity)[side];
                assert!(allowed.abs() < 1e-9, "{} stands at its ends: {allowed}", joint.name);
            }
        }
        let fer = Config { arm: RobotModel::Fer, ..Config::default() }.description();
        assert_eq!(fer.joints[3].limits.position, -3.0718..=-0.0698);
        assert!(fer.joints.iter().all(|joint| joint.limits.velocity_barrier.is_none()));
    }
}
