//! Session and emulated motors coupled directly in virtual time: frames between them at the speed of
//! the real bus, no adapter, no threads and no clock.

use std::time::Duration;

use super::config::{Config, ConfigError};
use super::emulator::{Actuators, ActuatorsConfig, Faults};
use super::session::{Failure, Session, Step, arming_error};
use crate::can::{Condition, Event};
use crate::robot::{
    BusStatistics, Command, LinkStatus, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::{Clock, SimulatedClock, Timestamp};

/// Longest step: how finely faults are noticed.
const LONGEST_STEP: Duration = Duration::from_millis(2);
/// Shortest step: what guarantees that time goes on.
const SHORTEST_STEP: Duration = Duration::from_micros(20);
const REOPEN_AFTER: Duration = Duration::from_millis(50);
const PORT: &str = "virtual";

/// Actuators and their driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedCanActuators {
    description: RobotDescription,
    session: Session,
    actuators: Actuators,
    bitrate: u32,
    clock: SimulatedClock,
    now: Timestamp,
    /// When the bus is free for the next frame of ours.
    free: Timestamp,
    open: bool,
    reopen_at: Timestamp,
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
        let now = clock.now();
        let bitrate = config.bitrate.bits_per_second();
        let description = config.description();
        let mut session = Session::new(config);
        session.connected(now);
        Ok(Self {
            description,
            session,
            actuators: Actuators::new(actuators),
            bitrate,
            clock,
            now,
            free: now,
            open: true,
            reopen_at: now,
        })
    }

    /// The motors, to switch faults and to see where they really are.
    pub const fn actuators_mut(&mut self) -> &mut Actuators {
        &mut self.actuators
    }

    fn faults(&mut self) -> Faults {
        *self.actuators.faults_mut()
    }

    /// Brings driver and motors up to `until`.
    fn pump(&mut self, until: Timestamp) {
        loop {
            self.connect();
            while let Some(frame) = self.actuators.transmit(self.now) {
                if self.open {
                    self.session.receive(self.now, Event::Frame(frame));
                }
            }
            let due = self.talk();
            if self.now >= until {
                return;
            }
            let next = self.actuators.next_due().map_or(due, |answer| due.min(answer));
            let earliest = self.now.after(SHORTEST_STEP);
            let latest = self.now.after(LONGEST_STEP);
            self.now = next.clamp(earliest, latest).min(until);
        }
    }

    /// Sends what the session wants sent, one frame after the other.
    fn talk(&mut self) -> Timestamp {
        loop {
            if self.open && self.free > self.now {
                return self.free;
            }
            match self.session.poll(self.now) {
                Step::Wait(due) => return due,
                Step::AskCondition => {}
                Step::Transmit(frame) => {
                    // Motors hear a frame when it has passed; that it is handed over here at once, an
                    // eighth of a millisecond early, is made up for by the time until the next.
                    self.free =
                        self.now.after(Duration::from_nanos(frame.bus_time_ns(self.bitrate)));
                    if self.open {
                        self.actuators.receive(self.now, &frame);
                    }
                }
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    fn connect(&mut self) {
        let faults = self.faults();
        let there = !Faults::holds(faults.disconnect, self.now);
        if Faults::holds(faults.bus_off, self.now) && self.open {
            self.session.receive(self.now, Event::Condition(Condition::BusOff));
        }
        if self.open && !there {
            self.close(Failure::Port(std::io::ErrorKind::BrokenPipe));
        } else if !self.open && there && self.now >= self.reopen_at {
            self.open = true;
            self.session.connected(self.now);
        }
    }

    fn close(&mut self, failure: Failure) {
        self.open = false;
        self.reopen_at = self.now.after(REOPEN_AFTER);
        self.actuators.hang_up();
        self.session.disconnected(self.now, failure);
    }

    /// Goes on in small steps until `done` or `timeout`; moves the clock along.
    fn pump_until(&mut self, timeout: Duration, done: impl Fn(&Session) -> bool) -> bool {
        let by = self.now.after(timeout);
        while !done(&self.session) && self.now < by {
            self.pump(self.now.after(Duration::from_millis(1)).min(by));
            self.clock.advance_to(self.now);
        }
        done(&self.session)
    }

    fn failed(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }
}

impl Robot for SteppedCanActuators {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.session.arm(self.now);
        self.pump_until(timeout, |session| {
            session.is_armed()
                || session.arming_failed()
                || session.state().link == LinkStatus::Lost
        });
        if self.session.is_armed() {
            return Ok(());
        }
        self.session.cancel_arming();
        Err(arming_error(PORT, self.session.failure(), self.session.names(), timeout))
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        self.pump(now);
        *state = *self.session.state();
    }

    fn write(&mut self, now: Timestamp, command: &Command) {
        self.session.command(now, command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.session.stop(request);
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.pump_until(timeout, |session| !session.is_stopping()) && !self.session.is_unheard()
        {
            return Ok(());
        }
        Err(RobotError::Lost { port: PORT.to_owned(), reason: self.failed() })
    }

    fn statistics(&self) -> BusStatistics {
        *self.session.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        let failure = self.session.failure()?;
        Some(failure.named(self.session.names()).to_string())
    }
}
