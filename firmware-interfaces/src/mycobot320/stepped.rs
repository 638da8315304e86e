//! Driver and emulator coupled directly in virtual time: the same session, the same firmware,
//! bytes between them at the speed of the real line, no threads and no clock.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::{Config, ConfigError};
use super::emulator::{Firmware, FirmwareConfig};
use super::session::Session;
use super::wire::{ARM_JOINTS, Frame};
use crate::robot::{
    BusStatistics, Command, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::transport::{Device, Stepped};
use crate::{SimulatedClock, Timestamp};

/// Ten bits per byte at 115200 baud.
const BYTE_TIME: Duration = Duration::from_nanos(86_806);
/// Bytes and messages in transit; neither side sends more before the other answers.
const IN_TRANSIT: usize = 64;
const LONGEST_MESSAGE: usize = 80;
const PORT: &str = "virtual";

/// A myCobot 320 and its driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedMyCobot320 {
    description: RobotDescription,
    stepped: Stepped<Session, Arm>,
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
        let description = config.description();
        let arm = Arm {
            firmware: Firmware::new(firmware),
            to_arm: VecDeque::with_capacity(IN_TRANSIT),
            to_driver: VecDeque::with_capacity(IN_TRANSIT),
        };
        Ok(Self { description, stepped: Stepped::new(Session::new(config), arm, clock) })
    }

    /// The emulated firmware, to switch faults.
    pub const fn firmware_mut(&mut self) -> &mut Firmware {
        &mut self.stepped.device.firmware
    }

    /// Where the joints (rad) and the gripper (opening) really are.
    pub fn plant_positions(&mut self) -> [f64; ARM_JOINTS + 1] {
        let now = self.stepped.now();
        self.stepped.device.firmware.plant_positions(now)
    }

    fn failed(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }
}

/// The arm and the line to it.
struct Arm {
    firmware: Firmware,
    to_arm: VecDeque<Transit>,
    to_driver: VecDeque<Transit>,
}

impl Device<Session> for Arm {
    const LONGEST_STEP: Duration = Duration::from_millis(5);
    const SHORTEST_STEP: Duration = Duration::from_micros(50);

    fn is_connected(&self, now: Timestamp) -> bool {
        self.firmware.is_connected(now)
    }

    fn hang_up(&mut self) {
        self.to_arm.clear();
        self.to_driver.clear();
        self.firmware.hang_up();
    }

    fn receive(&mut self, now: Timestamp, frame: &Frame) {
        let busy = self.to_arm.back().map_or(now, |last| last.arrives);
        send(&mut self.to_arm, Transit::new(now, busy, frame.as_bytes()));
    }

    fn transmit(&mut self, now: Timestamp, take: &mut dyn FnMut(&[u8])) {
        while let Some(transit) = arrived(&mut self.to_arm, now) {
            self.firmware.receive(now, transit.as_bytes());
        }
        while let Some(message) = self.firmware.transmit(now) {
            let busy = self.to_driver.back().map_or(now, |last| last.arrives);
            send(&mut self.to_driver, Transit::new(now, busy, message.as_bytes()));
        }
        while let Some(transit) = arrived(&mut self.to_driver, now) {
            take(transit.as_bytes());
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        let arrivals = [&self.to_arm, &self.to_driver].into_iter().filter_map(|line| line.front());
        arrivals.map(|transit| transit.arrives).chain(self.firmware.next_due()).min()
    }
}

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
        if self.stepped.arm(timeout) {
            return Ok(());
        }
        Err(RobotError::NoAnswer {
            port: PORT.to_owned(),
            request: "arming",
            waited: timeout,
            remedy: format!("The emulated arm: {}", self.failed()),
        })
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        *state = *self.stepped.read(now);
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        self.stepped.engine.command(command);
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
        self.stepped.engine.failure().map(|failure| failure.to_string())
    }
}
