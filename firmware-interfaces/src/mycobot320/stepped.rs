//! Driver and emulator coupled directly in virtual time: the same session, the same firmware,
//! bytes between them at the speed of the real line, no threads and no clock.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::{Config, ConfigError};
use super::emulator::{Firmware, FirmwareConfig};
use super::session::{Session, Step};
use super::wire::ARM_JOINTS;
use crate::robot::{
    BusStatistics, Command, LinkStatus, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::{Clock, SimulatedClock, Timestamp};

/// Ten bits per byte at 115200 baud.
const BYTE_TIME: Duration = Duration::from_nanos(86_806);
/// Longest step: how finely faults are noticed.
const LONGEST_STEP: Duration = Duration::from_millis(5);
/// Shortest step: what guarantees that time goes on.
const SHORTEST_STEP: Duration = Duration::from_micros(50);
const REOPEN_AFTER: Duration = Duration::from_millis(50);
/// Bytes and messages in transit; neither side sends more before the other answers.
const IN_TRANSIT: usize = 64;
const LONGEST_MESSAGE: usize = 80;
const PORT: &str = "virtual";

/// Bytes on the line, with the time at which the last of them arrives.
#[derive(Clone, Copy)]
struct Transit {
    arrives: Timestamp,
    bytes: [u8; LONGEST_MESSAGE],
    length: usize,
}

impl Transit {
    fn new(now: Timestamp, busy_until: Timestamp, message: &[u8]) -> Self {
        let length = message.len().min(LONGEST_MESSAGE);
        let mut bytes = [0; LONGEST_MESSAGE];
        for (place, byte) in bytes.iter_mut().zip(message) {
            *place = *byte;
        }
        let arrives = now.max(busy_until).after(BYTE_TIME * length as u32);
        Self { arrives, bytes, length }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A myCobot 320 and its driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedMyCobot320 {
    description: RobotDescription,
    session: Session,
    firmware: Firmware,
    clock: SimulatedClock,
    now: Timestamp,
    to_arm: VecDeque<Transit>,
    to_driver: VecDeque<Transit>,
    open: bool,
    reopen_at: Timestamp,
}

impl SteppedMyCobot320 {
    /// An arm and its driver at the present time of `clock`, connected, not armed. The
    /// configuration's port is ignored.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of its range.
    pub fn new(
        config: Config,
        firmware: FirmwareConfig,
        clock: SimulatedClock,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let now = clock.now();
        let mut session = Session::new(config.clone());
        session.connected(now);
        Ok(Self {
            description: config.description(),
            session,
            firmware: Firmware::new(firmware),
            clock,
            now,
            to_arm: VecDeque::with_capacity(IN_TRANSIT),
            to_driver: VecDeque::with_capacity(IN_TRANSIT),
            open: true,
            reopen_at: now,
        })
    }

    /// The emulated firmware, to switch faults.
    pub const fn firmware_mut(&mut self) -> &mut Firmware {
        &mut self.firmware
    }

    /// Where the joints (rad) and the gripper (opening) really are.
    pub fn plant_positions(&mut self) -> [f64; ARM_JOINTS + 1] {
        self.firmware.plant_positions(self.now)
    }

    /// Brings driver and arm up to `until`.
    fn pump(&mut self, until: Timestamp) {
        loop {
            self.connect();
            while let Some(transit) = arrived(&mut self.to_arm, self.now) {
                self.firmware.receive(self.now, transit.as_bytes());
            }
            while let Some(message) = self.firmware.transmit(self.now) {
                let busy = self.to_driver.back().map_or(self.now, |last| last.arrives);
                let transit = Transit::new(self.now, busy, message.as_bytes());
                send(&mut self.to_driver, transit);
            }
            while let Some(transit) = arrived(&mut self.to_driver, self.now) {
                self.session.receive(self.now, transit.as_bytes());
            }
            let due = self.talk();
            if self.now >= until {
                return;
            }
            let next = [
                Some(due),
                self.firmware.next_due(),
                self.to_arm.front().map(|transit| transit.arrives),
                self.to_driver.front().map(|transit| transit.arrives),
            ];
            let next = next.into_iter().flatten().min().unwrap_or(until);
            let earliest = self.now.after(SHORTEST_STEP);
            let latest = self.now.after(LONGEST_STEP);
            self.now = next.clamp(earliest, latest).min(until);
        }
    }

    fn talk(&mut self) -> Timestamp {
        loop {
            match self.session.poll(self.now) {
                Step::Wait(due) => return due,
                Step::Transmit(frame) => {
                    let busy = self.to_arm.back().map_or(self.now, |last| last.arrives);
                    let transit = Transit::new(self.now, busy, frame.as_bytes());
                    send(&mut self.to_arm, transit);
                }
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    fn connect(&mut self) {
        let there = self.firmware.is_connected(self.now);
        if self.open && !there {
            let kind = std::io::ErrorKind::BrokenPipe;
            self.close(super::session::Failure::Port(kind));
        } else if !self.open && there && self.now >= self.reopen_at {
            self.open = true;
            self.session.connected(self.now);
        }
    }

    fn close(&mut self, failure: super::session::Failure) {
        self.open = false;
        self.reopen_at = self.now.after(REOPEN_AFTER);
        self.to_arm.clear();
        self.to_driver.clear();
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

    fn failed(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }
}

fn arrived(line: &mut VecDeque<Transit>, now: Timestamp) -> Option<Transit> {
    if line.front()?.arrives > now {
        return None;
    }
    line.pop_front()
}

fn send(line: &mut VecDeque<Transit>, transit: Transit) {
    if line.len() < IN_TRANSIT {
        line.push_back(transit);
    }
}

impl Robot for SteppedMyCobot320 {
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
            remedy: format!("The emulated arm: {}", self.failed()),
        })
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        self.pump(now);
        *state = *self.session.state();
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        self.session.command(command);
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
        self.session.failure().map(|failure| failure.to_string())
    }
}
