//! What a user sets about the driver, and the description that follows from it.

use std::time::Duration;

use super::arm;
use super::wire::ARM_JOINTS;
use crate::robot::{
    ControlMode, JointDescription, JointKind, JointLimits, OnSilence, RobotDescription,
};

/// Settings of the driver. The defaults suit the M5 version with an adaptive gripper.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Serial port, such as `/dev/ttyUSB0`, or `tcp://ADDRESS:PORT`.
    pub port: String,
    /// Speed byte of joint motion, 1 to 100. High, so that the firmware's own motion profile adds
    /// little lag to the stream of targets: their speed is limited before they get here.
    pub speed: u8,
    /// Speed byte of gripper motion, 1 to 100.
    pub gripper_speed: u8,
    /// Kind of gripper sent along with its commands: 1 adaptive, 3 parallel, 4 flexible; `None`
    /// for firmware that takes none.
    pub gripper_kind: Option<u8>,
    /// Whether there is a gripper.
    pub gripper: bool,
    /// Whether the firmware acknowledges setters. If set, a missing acknowledgement counts as a
    /// failure; if not, acknowledgements are used when they come.
    pub expect_ack: bool,
    /// Highest rate of arm commands in Hz. The vendor recommends 10 to 20.
    pub max_command_rate_hz: f64,
    /// Shortest time from one angle reading to the next.
    pub poll_period: Duration,
    /// How long a reading may take before it is repeated.
    pub reply_timeout: Duration,
    /// How long an expected acknowledgement may take.
    pub ack_timeout: Duration,
    /// Pause after a setter that is not acknowledged, before the next request.
    pub setter_gap: Duration,
    /// Repetitions of a request without an answer before the link counts as down.
    pub retries: u32,
    /// How long to try to reconnect before the link counts as lost.
    pub reconnect_window: Duration,
    /// Least time between an arm command and a gripper command: commands to both motors at once
    /// spoil each other.
    pub gripper_gap: Duration,
    /// Shortest time from one gripper command to the next.
    pub gripper_command_period: Duration,
    /// Time from one gripper reading to the next.
    pub gripper_read_period: Duration,
    /// How far past a joint's range a reading may lie, in rad. More is refused.
    pub range_margin: f64,
    /// How far a reading may be from the one before, in rad, beyond what the arm could have moved.
    /// More is refused, unless it persists.
    pub jump_margin: f64,
    /// After how many consistent readings a jump is believed.
    pub jump_persistence: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: String::new(),
            speed: 80,
            gripper_speed: 50,
            gripper_kind: Some(1),
            gripper: true,
            expect_ack: false,
            max_command_rate_hz: 20.0,
            poll_period: Duration::from_millis(20),
            reply_timeout: Duration::from_millis(100),
            ack_timeout: Duration::from_millis(60),
            setter_gap: Duration::from_millis(10),
            retries: 2,
            reconnect_window: Duration::from_secs(10),
            gripper_gap: Duration::from_millis(20),
            gripper_command_period: Duration::from_millis(100),
            gripper_read_period: Duration::from_millis(200),
            range_margin: 5.0_f64.to_radians(),
            jump_margin: 3.0_f64.to_radians(),
            jump_persistence: 4,
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("mycobot320: {name} is {value}; allowed: {allowed}")]
pub struct ConfigError {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Config {
    /// The default settings for a port.
    pub fn new(port: impl Into<String>) -> Self {
        Self { port: port.into(), ..Self::default() }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |good: bool, name, value: String, allowed| {
            if good { Ok(()) } else { Err(ConfigError { name, value, allowed }) }
        };
        let percent = 1..=100;
        check(percent.contains(&self.speed), "speed", self.speed.to_string(), "1 to 100")?;
        let speed = self.gripper_speed;
        check(percent.contains(&speed), "gripper_speed", speed.to_string(), "1 to 100")?;
        if let Some(kind) = self.gripper_kind {
            let known = matches!(kind, 1 | 3 | 4);
            check(known, "gripper_kind", kind.to_string(), "1, 3 or 4")?;
        }
        let rate = self.max_command_rate_hz;
        let good = (1.0..=100.0).contains(&rate);
        check(good, "max_command_rate_hz", rate.to_string(), "1 to 100")?;
        for (name, span) in [
            ("reply_timeout", self.reply_timeout),
            ("ack_timeout", self.ack_timeout),
            ("reconnect_window", self.reconnect_window),
            ("gripper_read_period", self.gripper_read_period),
        ] {
            check(span >= Duration::from_millis(5), name, format!("{span:?}"), "5 ms or more")?;
        }
        for (name, span) in [
            ("poll_period", self.poll_period),
            ("setter_gap", self.setter_gap),
            ("gripper_gap", self.gripper_gap),
            ("gripper_command_period", self.gripper_command_period),
        ] {
            check(span <= Duration::from_secs(10), name, format!("{span:?}"), "10 s or less")?;
        }
        let persistence = self.jump_persistence;
        check(persistence >= 1, "jump_persistence", persistence.to_string(), "1 or more")?;
        check(self.retries <= 100, "retries", self.retries.to_string(), "0 to 100")?;
        for (name, margin) in
            [("range_margin", self.range_margin), ("jump_margin", self.jump_margin)]
        {
            let good = margin.is_finite() && margin >= 0.0;
            check(good, name, margin.to_string(), "0 rad or more")?;
        }
        Ok(())
    }

    /// The robot as it will be declared; no connection is needed.
    pub fn description(&self) -> RobotDescription {
        let limits = |joint| JointLimits {
            position: arm::joint_range(joint),
            max_velocity: arm::MAX_JOINT_SPEED_DEGREES.to_radians(),
            max_acceleration: Some(arm::MAX_JOINT_ACCELERATION_DEGREES.to_radians()),
            max_jerk: None,
            max_effort: None,
            velocity_barrier: None,
        };
        let joint = |(index, name): (usize, &&str)| JointDescription {
            name: (*name).to_owned(),
            kind: JointKind::Revolute,
            limits: limits(index),
        };
        let mut joints: Vec<_> = arm::JOINT_NAMES.iter().enumerate().map(joint).collect();
        if self.gripper {
            joints.push(JointDescription {
                name: arm::GRIPPER_NAME.to_owned(),
                kind: JointKind::Gripper,
                limits: JointLimits {
                    position: 0.0..=1.0,
                    max_velocity: arm::MAX_GRIPPER_SPEED,
                    max_acceleration: None,
                    max_jerk: None,
                    max_effort: None,
                    velocity_barrier: None,
                },
            });
        }
        RobotDescription {
            model: "mycobot320".to_owned(),
            joints,
            max_command_rate_hz: self.max_command_rate_hz,
            modes: vec![ControlMode::Position],
            sensors: Vec::new(),
            measures_velocity: false,
            measures_effort: false,
            compensates_gravity: false,
            lockstep: false,
            device_rate_hz: None,
            // Users report that the arm finishes its last motion and stays powered.
            on_silence: OnSilence::Continues,
        }
    }

    /// Index of the gripper among the joints, if there is one.
    pub(super) fn gripper_index(&self) -> Option<usize> {
        self.gripper.then_some(ARM_JOINTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_the_arms_joints_and_the_gripper() {
        let description = Config::default().description();
        let names: Vec<_> = description.joints.iter().map(|joint| joint.name.as_str()).collect();
        assert_eq!(names, ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "gripper"]);
        let most = *description.joints[1].limits.position.end();
        assert!((most.to_degrees() - 135.0).abs() < 1e-9);
        let without = Config { gripper: false, ..Config::default() };
        assert_eq!(without.description().joints.len(), 6);
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        let name = |config: Config| config.validate().unwrap_err().name;
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(name(Config { speed: 0, ..Config::default() }), "speed");
        assert_eq!(name(Config { gripper_kind: Some(2), ..Config::default() }), "gripper_kind");
        let nan = Config { max_command_rate_hz: f64::NAN, ..Config::default() };
        assert_eq!(name(nan), "max_command_rate_hz");
        let zero = Config { reply_timeout: Duration::ZERO, ..Config::default() };
        assert_eq!(name(zero), "reply_timeout");
        assert_eq!(name(Config { jump_margin: -1.0, ..Config::default() }), "jump_margin");
    }
}
