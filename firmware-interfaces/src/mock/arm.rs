//! The arm: joints that follow their position commands at once.

use std::sync::Arc;
use std::time::Duration;

use super::Faults;
use crate::robot::{
    BusStatistics, Command, ControlMode, JointDescription, JointKind, JointLimits, LinkStatus,
    MAX_JOINTS, OnSilence, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::{Clock, Timestamp};

/// A mock arm's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of joints: 1 to [`MAX_JOINTS`].
    pub joints: usize,
    /// Where the joints stand at the start, in rad.
    pub start: [f64; MAX_JOINTS],
    /// Seed of random faults.
    pub seed: u64,
    /// What is wrong with it.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Self { joints: 7, start: [0.0; MAX_JOINTS], seed: 1, faults: Faults::default() }
    }
}

impl Config {
    /// The robot as it will be declared.
    pub fn description(&self) -> RobotDescription {
        let joint = |index: usize| JointDescription {
            name: format!("joint{}", index + 1),
            kind: JointKind::Revolute,
            limits: JointLimits {
                position: -std::f64::consts::PI..=std::f64::consts::PI,
                max_velocity: 10.0,
                max_acceleration: Some(1000.0),
                max_jerk: Some(100_000.0),
                max_effort: Some(100.0),
            },
        };
        RobotDescription {
            model: "mock".to_owned(),
            joints: (0..self.joints.min(MAX_JOINTS)).map(joint).collect(),
            max_command_rate_hz: 10_000.0,
            modes: vec![ControlMode::Position, ControlMode::Effort],
            measures_velocity: true,
            measures_effort: true,
            device_rate_hz: Some(1000.0),
            on_silence: OnSilence::Stops,
        }
    }
}

/// The arm. It lives on the control thread: no bus, no other thread.
pub struct MockArm {
    description: RobotDescription,
    state: State,
}

impl MockArm {
    /// An arm on `clock`, the run's: real or simulated.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            position: config.start,
            captured: [clock.now(); MAX_JOINTS],
            ..State::default()
        };
        Self { description: config.description(), state }
    }
}

impl Robot for MockArm {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, _timeout: Duration) -> Result<(), RobotError> {
        self.state.link = LinkStatus::Up;
        self.state.epoch += 1;
        Ok(())
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        self.state.captured = [now; MAX_JOINTS];
        self.state.sequence += 1;
        *state = self.state;
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        self.state.position = command.position;
    }

    fn stop(&mut self, _now: Timestamp, _request: StopRequest) {}

    fn disarm(&mut self, _timeout: Duration) -> Result<(), RobotError> {
        Ok(())
    }

    fn statistics(&self) -> BusStatistics {
        BusStatistics::default()
    }

    fn last_failure(&self) -> Option<String> {
        None
    }
}
