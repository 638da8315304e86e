//! A mock arm's settings, and what it declares.

use std::time::Duration;

use super::Faults;
use crate::robot::{
    ControlMode, JointDescription, JointKind, JointLimits, MAX_JOINTS, OnSilence, RobotDescription,
};

/// A mock arm's settings. Every joint is made alike.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of joints: 1 to [`MAX_JOINTS`]; others are brought into that range.
    pub joints: usize,
    /// Where the joints stand at the start, in rad.
    pub start: [f64; MAX_JOINTS],
    /// How fast a joint follows its position command: the natural frequency of a critically damped
    /// servo, in rad/s. At constant speed it lags by 2/bandwidth seconds.
    pub bandwidth_rad_s: f64,
    /// A joint's inertia, in kg·m².
    pub inertia_kg_m2: f64,
    /// A joint's viscous friction, in N·m·s/rad.
    pub friction_nm_s_rad: f64,
    /// Largest torque of a joint, in N·m: larger commands are clipped.
    pub max_effort_nm: f64,
    /// Beats a second of the device's clock, in Hz, as it declares them.
    pub rate_hz: f64,
    /// How much faster the device's clock runs than it declares, in parts per million.
    pub drift_ppm: f64,
    /// The device holds when no command has come for so long.
    pub command_timeout: Duration,
    /// How long the driver waits for a link that is down before it gives it up.
    pub reconnect_window: Duration,
    /// Seed of random faults.
    pub seed: u64,
    /// What is wrong with it.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            joints: 7,
            start: [0.0; MAX_JOINTS],
            bandwidth_rad_s: 200.0,
            inertia_kg_m2: 0.5,
            friction_nm_s_rad: 1.0,
            max_effort_nm: 100.0,
            rate_hz: 1000.0,
            drift_ppm: 20.0,
            command_timeout: Duration::from_millis(100),
            reconnect_window: Duration::from_secs(5),
            seed: 1,
            faults: Faults::default(),
        }
    }
}

/// Joints turn so far to both sides, in rad.
pub(super) const RANGE: f64 = std::f64::consts::PI;
/// A joint's top speed, in rad/s.
pub(super) const TOP_SPEED: f64 = 10.0;

impl Config {
    /// The robot as it will be declared.
    pub fn description(&self) -> RobotDescription {
        let joint = |index: usize| JointDescription {
            name: format!("joint{}", index + 1),
            kind: JointKind::Revolute,
            limits: JointLimits {
                position: -RANGE..=RANGE,
                max_velocity: TOP_SPEED,
                max_acceleration: Some(1000.0),
                max_jerk: Some(100_000.0),
                max_effort: Some(self.max_effort_nm),
                velocity_barrier: None,
            },
        };
        RobotDescription {
            model: "mock".to_owned(),
            joints: (0..self.joints.clamp(1, MAX_JOINTS)).map(joint).collect(),
            max_command_rate_hz: 10_000.0,
            modes: vec![ControlMode::Position, ControlMode::Effort],
            sensors: Vec::new(),
            measures_velocity: true,
            measures_effort: true,
            compensates_gravity: false,
            lockstep: false,
            device_rate_hz: Some(self.rate_hz),
            on_silence: OnSilence::Stops,
        }
    }
}
