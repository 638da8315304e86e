//! Session and emulated motors coupled directly in virtual time: frames between them at the speed of
//! the real bus, no adapter, no threads and no clock.

use std::time::Duration;

use super::config::{Config, ConfigError};
use super::emulator::{Actuators, ActuatorsConfig, Faults};
use super::session::{Packet, Session, arming_error};
use crate::can::{Condition, Event};
use crate::robot::{
    BusStatistics, Command, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::transport::{Device, Stepped};
use crate::{Clock, SimulatedClock, Timestamp};

const PORT: &str = "virtual";

/// Actuators and their driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedCanActuators {
    description: RobotDescription,
    stepped: Stepped<Session, Network>,
}

impl SteppedCanActuators {
    /// Motors and their driver at the present time of `clock`, connected, not armed. The
    /// configuration's port is ignored.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of its range.
    pub fn new(
        config: Config,
        actuators: ActuatorsConfig,
        clock: SimulatedClock,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let network = Network {
            actuators: Actuators::new(actuators),
            bitrate: config.bitrate.bits_per_second(),
            free: clock.now(),
        };
        let description = config.description();
        let stepped = Stepped::new(Session::new(config), network, clock);
        Ok(Self { description, stepped })
    }

    /// The motors, to switch faults and to see where they really are.
    pub const fn actuators_mut(&mut self) -> &mut Actuators {
        &mut self.stepped.device.actuators
    }

    fn failed(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }
}

/// The motors and their bus.
struct Network {
    actuators: Actuators,
    bitrate: u32,
    /// When the bus is free for the next frame of ours.
    free: Timestamp,
}

impl Device<Session> for Network {
    const LONGEST_STEP: Duration = Duration::from_millis(2);
    const SHORTEST_STEP: Duration = Duration::from_micros(20);

    fn is_connected(&self, now: Timestamp) -> bool {
        !Faults::holds(self.actuators.faults().disconnect, now)
    }

    fn hang_up(&mut self) {
        self.actuators.hang_up();
    }

    fn free_at(&self) -> Timestamp {
        self.free
    }

    fn receive(&mut self, now: Timestamp, packet: &Packet) {
        // Nobody has to ask this bus how it is.
        let Packet::Frame(frame) = packet else { return };
        // Motors hear a frame when it has passed; that it is handed over here at once, an eighth of a
        // millisecond early, is made up for by the time until the next.
        self.free = now.after(Duration::from_nanos(frame.bus_time_ns(self.bitrate)));
        self.actuators.receive(now, frame);
    }

    fn transmit(&mut self, now: Timestamp, take: &mut dyn FnMut(&Event)) {
        if Faults::holds(self.actuators.faults().bus_off, now) {
            take(&Event::Condition(Condition::BusOff));
        }
        while let Some(frame) = self.actuators.transmit(now) {
            take(&Event::Frame(frame));
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.actuators.next_due()
    }
}

impl Robot for SteppedCanActuators {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.stepped.arm(timeout) {
            return Ok(());
        }
        Err(arming_error(PORT, self.stepped.engine.failure(), self.stepped.engine.names(), timeout))
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        *state = *self.stepped.read(now);
    }

    fn write(&mut self, now: Timestamp, command: &Command) {
        self.stepped.engine.command(now, command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.stepped.engine.stop(request);
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.stepped.disarm(timeout) {
            return Ok(());
        }
        Err(RobotError::Lost { port: PORT.to_owned(), reason: self.failed() })
    }

    fn statistics(&self) -> BusStatistics {
        *self.stepped.engine.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        let failure = self.stepped.engine.failure()?;
        Some(failure.named(self.stepped.engine.names()).to_string())
    }
}
