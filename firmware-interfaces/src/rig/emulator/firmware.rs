//! The emulated firmware: bytes and time in, bytes and time out.

mod requests;
mod sensors;

use std::collections::VecDeque;
use std::time::Duration;

use sinew_simulation::actuator::{ActuatorConfig, ActuatorConfigError, ActuatorPlant, Truth};

use super::faults::Faults;
use super::message::Message;
use super::motor::MotorControl;
use super::truth::TruthRow;
use crate::Timestamp;
use crate::random::Random;
use crate::rig::wire::{self, FrameReader, LineReader, Mode, Report, Request, Sample};
use crate::transport::Served;

/// Messages that wait for the line; more are lost, as in a full transmit buffer.
const OUTBOX: usize = 64;
const LONGEST_GARBAGE: usize = 12;
/// Bits on the line for a byte.
const BITS_PER_BYTE: u64 = 10;
/// A time that is further ahead than this is not computed through: the computer has slept.
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// Rows of truth kept for whoever fetches them.
const TRUTH_KEPT: usize = 1 << 20;

/// How the emulated rig behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct FirmwareConfig {
    /// The actuator, its load and its sensors.
    pub actuator: ActuatorConfig,
    /// Lines of text instead of frames.
    pub text: bool,
    /// States a second at start.
    pub rate_hz: u16,
    /// Most states a second.
    pub max_rate_hz: u16,
    /// Bits per second of the line; `None` for a line without limit.
    pub baud_rate: Option<u32>,
    /// Silence after which it holds by itself; zero for never.
    pub watchdog: Duration,
    /// Temperature at which it takes torque off, in °C.
    pub max_temperature: f64,
    /// Angle at start, in rad.
    pub angle: f64,
    /// Whether rows of truth are kept.
    pub keep_truth: bool,
    /// Seed of noise and random faults.
    pub seed: u64,
    /// Faults from the start.
    pub faults: Faults,
}

impl Default for FirmwareConfig {
    fn default() -> Self {
        Self {
            actuator: ActuatorConfig::default(),
            text: false,
            rate_hz: 1000,
            max_rate_hz: 2000,
            baud_rate: None,
            watchdog: Duration::from_millis(100),
            max_temperature: 85.0,
            angle: 0.0,
            keep_truth: false,
            seed: 1,
            faults: Faults::default(),
        }
    }
}

/// Finds requests in what the host sends.
#[derive(Clone, Debug)]
enum Inbox {
    Frames(FrameReader),
    Lines(LineReader),
}

/// The emulated firmware. It neither does I/O nor reads a clock; given the same configuration and
/// the same bytes at the same times it answers the same bytes at the same times.
#[derive(Clone, Debug)]
pub struct Firmware {
    config: FirmwareConfig,
    plant: ActuatorPlant,
    motor: MotorControl,
    inbox: Inbox,
    damaged_before: u64,
    /// Messages with the time at which the last of their bytes is out.
    outbox: VecDeque<(Timestamp, Message)>,
    line_busy: Timestamp,
    period: Duration,
    /// When the next period ends.
    next: Timestamp,
    index: u32,
    /// When it started: what its own clock counts from.
    booted: Timestamp,
    refused: u16,
    sequence: u8,
    reports: u64,
    measured: Sample,
    truth: Vec<TruthRow>,
    random: Random,
}

impl Firmware {
    /// A rig without torque.
    ///
    /// # Errors
    /// [`ActuatorConfigError`] when the actuator cannot be what it is said to be.
    pub fn new(config: FirmwareConfig) -> Result<Self, ActuatorConfigError> {
        let mut plant = ActuatorPlant::new(config.actuator.clone(), config.seed)?;
        plant.place(config.angle);
        let inbox = if config.text {
            Inbox::Lines(LineReader::new())
        } else {
            Inbox::Frames(FrameReader::new())
        };
        let period = period(config.rate_hz);
        let measured = Sample { encoder: config.angle, ..Sample::default() };
        Ok(Self {
            motor: MotorControl::new(config.actuator.stall_torque, config.watchdog),
            plant,
            inbox,
            damaged_before: 0,
            outbox: VecDeque::with_capacity(OUTBOX),
            line_busy: Timestamp::ZERO,
            period,
            next: Timestamp::ZERO.after(period),
            index: 0,
            booted: Timestamp::ZERO,
            refused: 0,
            sequence: 0,
            reports: 0,
            measured,
            truth: Vec::new(),
            random: Random::new(config.seed ^ 0x5117),
            config,
        })
    }

    /// The faults, to switch them.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.config.faults
    }

    /// What the motor follows.
    pub const fn mode(&self) -> Mode {
        self.motor.mode()
    }

    /// What no sensor shows.
    pub const fn truth(&self) -> &Truth {
        self.plant.truth()
    }

    /// The rows of truth since the last call; the oldest are lost when nobody calls.
    pub fn take_truth(&mut self) -> Vec<TruthRow> {
        std::mem::take(&mut self.truth)
    }

    /// False while a fault keeps the connection closed.
    pub fn is_connected(&self, now: Timestamp) -> bool {
        !holds(self.config.faults.disconnect, now)
    }

    /// The client has gone: what it had begun is forgotten.
    pub fn hang_up(&mut self) {
        match &mut self.inbox {
            Inbox::Frames(reader) => reader.reset(),
            Inbox::Lines(reader) => reader.reset(),
        }
        self.outbox.clear();
    }

    /// Takes bytes from the host.
    pub fn receive(&mut self, now: Timestamp, mut bytes: &[u8]) {
        self.advance(now);
        if holds(self.config.faults.silence, now) {
            return;
        }
        // The reader is taken out while its frames are followed.
        match &mut self.inbox {
            Inbox::Frames(reader) => {
                let mut reader = std::mem::take(reader);
                while let Some(frame) = reader.next(&mut bytes) {
                    self.take_frame(now, &frame);
                }
                let damaged = reader.damaged();
                let new = damaged - std::mem::replace(&mut self.damaged_before, damaged);
                self.refused = self.refused.wrapping_add(new as u16);
                self.inbox = Inbox::Frames(reader);
            }
            Inbox::Lines(reader) => {
                let mut reader = std::mem::take(reader);
                while let Some(request) = reader.next(&mut bytes, Request::parse_line) {
                    self.take_line(now, request);
                }
                self.inbox = Inbox::Lines(reader);
            }
        }
    }

    /// The next message whose last byte is out at `now`.
    pub fn transmit(&mut self, now: Timestamp) -> Option<Message> {
        self.advance(now);
        if self.outbox.front()?.0 > now {
            return None;
        }
        self.outbox.pop_front().map(|(_, message)| message)
    }

    /// When there is something to send or to compute.
    pub fn next_due(&self) -> Option<Timestamp> {
        let sent = self.outbox.front().map(|(due, _)| *due);
        Some(sent.map_or(self.next, |due| due.min(self.next)))
    }

    /// Runs every period that has ended by `now`.
    fn advance(&mut self, now: Timestamp) {
        if self.config.faults.reset.take_if(|start| now >= *start).is_some() {
            self.restart(now);
        }
        if now.since(self.next) > LONGEST_GAP {
            self.next = now;
        }
        while self.next <= now {
            let due = self.next;
            self.next = due.after(self.period);
            self.run_period(due);
        }
    }

    fn run_period(&mut self, now: Timestamp) {
        let faults = self.config.faults;
        self.plant.step(self.period, self.motor.drive());
        self.reports += 1;
        let hot = self.is_hot(now);
        self.motor.heat(hot);
        self.motor.watch(now, self.measured.encoder);
        self.measured = self.measure(now);
        if self.config.keep_truth && self.truth.len() < TRUTH_KEPT {
            let row = TruthRow { sample: self.measured, truth: *self.plant.truth() };
            self.truth.push(row);
        }
        self.index = self.index.wrapping_add(1);
        // Drawn in every period, so that one fault does not shift another.
        let drawn: [f64; 3] = std::array::from_fn(|_| self.random.fraction());
        let [dropped, corrupt, garbage] = drawn;
        if faults.drop.happens(self.reports, dropped) {
            return;
        }
        let mut message = Message::EMPTY;
        if faults.garbage.happens(self.reports, garbage) {
            for _ in 0..=self.random.below(LONGEST_GARBAGE) {
                message.extend(&[self.random.next() as u8]);
            }
        }
        let begin = message.as_bytes().len();
        if self.config.text {
            // A message takes more than the longest line.
            let _ = wire::sample_line(&self.measured, &mut message);
            message.extend(b"\r\n");
        } else {
            message.extend(Report::State(self.measured).frame(self.sequence).as_bytes());
            self.sequence = self.sequence.wrapping_add(1);
        }
        if faults.corrupt.happens(self.reports, corrupt) {
            let bit = self.random.below(8);
            let at = begin + self.random.below(message.as_bytes().len() - begin);
            if let Some(byte) = message.bytes_mut().get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        self.send(now, message);
    }

    fn restart(&mut self, now: Timestamp) {
        self.motor = MotorControl::new(self.config.actuator.stall_torque, self.config.watchdog);
        self.hang_up();
        self.period = period(self.config.rate_hz);
        self.booted = now;
        self.index = 0;
        self.refused = 0;
        self.sequence = 0;
    }

    fn send(&mut self, now: Timestamp, message: Message) {
        if holds(self.config.faults.silence, now) || self.outbox.len() >= OUTBOX {
            return;
        }
        let delay = self.config.faults.delay.filter(|(_, start)| now >= *start);
        let begin = now.after(delay.map_or(Duration::ZERO, |(span, _)| span)).max(self.line_busy);
        let bits = message.as_bytes().len() as u64 * BITS_PER_BYTE;
        let span =
            self.config.baud_rate.map_or(0, |rate| bits * 1_000_000_000 / u64::from(rate.max(1)));
        let due = begin.after(Duration::from_nanos(span));
        if span > 0 {
            self.line_busy = due;
        }
        self.outbox.push_back((due, message));
    }
}

impl Served for Firmware {
    type Message = Message;

    fn is_connected(&self, now: Timestamp) -> bool {
        self.is_connected(now)
    }

    fn hang_up(&mut self) {
        self.hang_up();
    }

    fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        self.receive(now, bytes);
    }

    fn transmit(&mut self, now: Timestamp) -> Option<Message> {
        self.transmit(now)
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.next_due()
    }
}

fn holds(window: Option<crate::faults::Window>, now: Timestamp) -> bool {
    window.is_some_and(|window| window.contains(now))
}

/// A whole number of nanoseconds: the device's clock is what it counts.
fn period(rate_hz: u16) -> Duration {
    Duration::from_nanos(1_000_000_000 / u64::from(rate_hz.max(1)))
}
