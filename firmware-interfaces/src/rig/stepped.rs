//! Driver and emulator coupled directly in virtual time: the same session, the same firmware, no
//! port between them, no threads and no clock.

use std::time::Duration;

use super::config::{Config, ConfigError};
use super::emulator::Firmware;
use super::session::Session;
use super::wire::Packet;
use crate::robot::{
    BusStatistics, Command, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::transport::{Device, Stepped};
use crate::{SimulatedClock, Timestamp};

const PORT: &str = "virtual";

/// A rig and its driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedRig {
    description: RobotDescription,
    stepped: Stepped<Session, Firmware>,
}

impl SteppedRig {
    /// A rig on `clock`, connected at its present time.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting of the driver is out of its range.
    pub fn new(
        config: Config,
        firmware: Firmware,
        clock: SimulatedClock,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let description = config.description();
        let stepped = Stepped::new(Session::new(config), firmware, clock);
        Ok(Self { description, stepped })
    }

    /// The emulated firmware, to switch faults and to see the truth.
    pub const fn firmware_mut(&mut self) -> &mut Firmware {
        &mut self.stepped.device
    }

    fn reason(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }
}

/// The line between them takes no time.
impl Device<Session> for Firmware {
    const LONGEST_STEP: Duration = Duration::from_millis(1);
    const SHORTEST_STEP: Duration = Duration::from_micros(20);

    fn is_connected(&self, now: Timestamp) -> bool {
        self.is_connected(now)
    }

    fn hang_up(&mut self) {
        self.hang_up();
    }

    fn receive(&mut self, now: Timestamp, packet: &Packet) {
        self.receive(now, packet.as_bytes());
    }

    fn transmit(&mut self, now: Timestamp, take: &mut dyn FnMut(&[u8])) {
        while let Some(message) = self.transmit(now) {
            take(message.as_bytes());
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.next_due()
    }
}

impl Robot for SteppedRig {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.stepped.arm(timeout) {
            return Ok(());
        }
        Err(RobotError::NoAnswer {
            port: PORT.to_owned(),
            request: "arming",
            waited: timeout,
            remedy: format!("The emulated rig: {}", self.reason()),
        })
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        *state = *self.stepped.read(now);
    }

    fn write(&mut self, now: Timestamp, command: &Command) {
        self.stepped.engine.command(now, command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        let now = self.stepped.now();
        self.stepped.engine.stop(now, request);
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.stepped.disarm(timeout) {
            return Ok(());
        }
        Err(RobotError::Lost { port: PORT.to_owned(), reason: self.reason() })
    }

    fn statistics(&self) -> BusStatistics {
        *self.stepped.engine.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.stepped.engine.failure().map(|failure| failure.to_string())
    }
}
