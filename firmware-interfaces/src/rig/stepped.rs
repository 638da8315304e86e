//! Driver and emulator coupled directly in virtual time: the same session, the same firmware, no
//! port between them, no threads and no clock.

use std::time::Duration;

use super::config::{Config, ConfigError};
use super::emulator::Firmware;
use super::session::{Failure, Session, Step};
use crate::robot::{
    BusStatistics, Command, LinkStatus, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::{Clock, SimulatedClock, Timestamp};

/// Longest step: how finely faults are noticed.
const LONGEST_STEP: Duration = Duration::from_millis(1);
/// Shortest step: what guarantees that time goes on.
const SHORTEST_STEP: Duration = Duration::from_micros(20);
const REOPEN_AFTER: Duration = Duration::from_millis(50);
const PORT: &str = "virtual";

/// A rig and its driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedRig {
    description: RobotDescription,
    session: Session,
    firmware: Firmware,
    clock: SimulatedClock,
    now: Timestamp,
    open: bool,
    reopen_at: Timestamp,
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
        let now = clock.now();
        let description = config.description();
        let mut session = Session::new(config);
        session.connected(now);
        Ok(Self { description, session, firmware, clock, now, open: true, reopen_at: now })
    }

    /// The emulated firmware, to switch faults and to see the truth.
    pub const fn firmware_mut(&mut self) -> &mut Firmware {
        &mut self.firmware
    }

    /// Brings driver and device up to `until`.
    fn pump(&mut self, until: Timestamp) {
        loop {
            self.connect();
            let due = self.talk();
            while let Some(message) = self.firmware.transmit(self.now) {
                self.session.receive(self.now, message.as_bytes());
            }
            if self.now >= until {
                // What has just arrived may want an answer; nobody waits for a step here.
                self.talk();
                return;
            }
            let next = self.firmware.next_due().map_or(due, |next| next.min(due));
            let earliest = self.now.after(SHORTEST_STEP);
            let latest = self.now.after(LONGEST_STEP);
            self.now = next.clamp(earliest, latest).min(until);
        }
    }

    fn talk(&mut self) -> Timestamp {
        loop {
            match self.session.poll(self.now) {
                Step::Wait(due) => return due,
                Step::Transmit(packet) => self.firmware.receive(self.now, packet.as_bytes()),
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    fn connect(&mut self) {
        let there = self.firmware.is_connected(self.now);
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
        self.firmware.hang_up();
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

    fn reason(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }
}

impl Robot for SteppedRig {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.session.arm(self.now);
        let ended =
            |session: &Session| session.is_armed() || session.state().link == LinkStatus::Lost;
        self.pump_until(timeout, ended);
        if self.session.is_armed() {
            return Ok(());
        }
        self.session.cancel_arming();
        Err(RobotError::NoAnswer {
            port: PORT.to_owned(),
            request: "arming",
            waited: timeout,
            remedy: format!("The emulated rig: {}", self.reason()),
        })
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        self.pump(now);
        *state = *self.session.state();
    }

    fn write(&mut self, now: Timestamp, command: &Command) {
        self.session.command(now, command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.session.stop(self.now, request);
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.pump_until(timeout, |session| !session.is_stopping()) && !self.session.is_unheard()
        {
            return Ok(());
        }
        Err(RobotError::Lost { port: PORT.to_owned(), reason: self.reason() })
    }

    fn statistics(&self) -> BusStatistics {
        *self.session.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.session.failure().map(|failure| failure.to_string())
    }
}
