//! Emulated motors on one bus: frames and time in, frames and time out.

use std::collections::VecDeque;
use std::time::Duration;

use super::faults::Faults;
use super::motor::{Motor, MotorConfig};
use crate::Timestamp;
use crate::can::{Bitrate, Frame, Id};
use crate::faults::Rate;
use crate::random::Random;

/// Answers that wait; more are lost, as where nobody reads.
const OUTBOX: usize = 256;
/// Time from a command to the beginning of its answer.
const LATENCY: Duration = Duration::from_micros(60);
/// Identifier of a node that nobody knows.
const STRANGER: Id = Id::Standard(0x5A5);

/// The motors of a bus.
#[derive(Clone, Debug, PartialEq)]
pub struct ActuatorsConfig {
    /// The motors.
    pub motors: Vec<MotorConfig>,
    /// Bit rate of the bus.
    pub bitrate: Bitrate,
    /// Seed of sensor noise and random faults.
    pub seed: u64,
    /// Faults from the start.
    pub faults: Faults,
}

/// Emulated motors on one bus. They neither do I/O nor read a clock; given the same configuration and
/// the same frames at the same times they answer the same frames at the same times.
#[derive(Clone, Debug)]
pub struct Actuators {
    motors: Vec<Motor>,
    bitrate: u32,
    now: Timestamp,
    /// Frames with the time at which each has arrived.
    outbox: VecDeque<(Timestamp, Frame)>,
    /// When the bus is free again.
    free: Timestamp,
    random: Random,
    answers: u64,
    /// Switched while running.
    pub(super) faults: Faults,
}

impl Actuators {
    /// Motors at rest at time zero.
    pub fn new(config: ActuatorsConfig) -> Self {
        let seeds = config.seed..;
        Self {
            motors: config
                .motors
                .into_iter()
                .zip(seeds)
                .map(|(motor, seed)| Motor::new(motor, seed))
                .collect(),
            bitrate: config.bitrate.bits_per_second(),
            now: Timestamp::ZERO,
            outbox: VecDeque::with_capacity(OUTBOX),
            free: Timestamp::ZERO,
            random: Random::new(config.seed),
            answers: 0,
            faults: config.faults,
        }
    }

    /// Takes a frame that has arrived at every node at `now`.
    pub fn receive(&mut self, now: Timestamp, frame: &Frame) {
        self.advance_to(now);
        if Faults::holds(self.faults.silence, now) {
            return;
        }
        let mut answers = [None; 2];
        for at in 0..self.motors.len() {
            let Some(motor) = self.motors.get_mut(at) else { return };
            motor.receive(frame, &mut |answer| {
                if let Some(place) = answers.iter_mut().find(|place| place.is_none()) {
                    *place = Some(answer);
                }
            });
            for answer in answers.iter_mut().filter_map(Option::take) {
                self.send(answer);
            }
        }
    }

    /// The next frame that has arrived at `now`.
    pub fn transmit(&mut self, now: Timestamp) -> Option<Frame> {
        self.advance_to(now);
        let (due, frame) = *self.outbox.front()?;
        (due <= now).then(|| {
            self.outbox.pop_front();
            frame
        })
    }

    /// When [`Actuators::transmit`] will next have something to do.
    pub fn next_due(&self) -> Option<Timestamp> {
        let spoken = self.motors.iter().filter_map(Motor::next_due);
        self.outbox.front().map(|(due, _)| *due).into_iter().chain(spoken).min()
    }

    /// Forgets what is in transit.
    pub fn hang_up(&mut self) {
        self.outbox.clear();
    }

    /// The faults, as they are.
    pub(in super::super) const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The faults, to be switched while running.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Where motor `index` really stands, in rad.
    pub fn position(&self, index: usize) -> Option<f64> {
        self.motors.get(index).map(Motor::position)
    }

    /// True while motor `index` has torque.
    pub fn is_enabled(&self, index: usize) -> bool {
        self.motors.get(index).is_some_and(Motor::is_enabled)
    }

    /// Brings the motors up to `now`.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if let Some(motor) = self.motors.first_mut() {
            if self.faults.over_temperature.is_some_and(|start| now >= start) {
                motor.overheat();
            }
            let jump = self.faults.jump.filter(|(_, start)| now >= *start);
            motor.shift_encoder(jump.map_or(0.0, |(jump, _)| jump));
        }
        let silent = Faults::holds(self.faults.silence, now);
        for at in 0..self.motors.len() {
            let Some(motor) = self.motors.get_mut(at) else { return };
            motor.advance_to(now);
            let mut spoken = [None; 2];
            motor.speak(&mut |frame| {
                if let Some(place) = spoken.iter_mut().find(|place| place.is_none()) {
                    *place = Some(frame);
                }
            });
            if !silent {
                spoken.into_iter().flatten().for_each(|frame| self.send(frame));
            }
        }
    }

    fn send(&mut self, mut frame: Frame) {
        self.answers += 1;
        // Every answer draws the same numbers, so that one fault does not shift the others.
        let (drop, corrupt, unknown) = (
            self.happens(self.faults.drop),
            self.happens(self.faults.corrupt),
            self.happens(self.faults.unknown),
        );
        if drop {
            return;
        }
        if corrupt {
            frame = self.flip(&frame);
        }
        self.queue(frame);
        if unknown && let Some(stranger) = Frame::new(STRANGER, &[0xDE, 0xAD]) {
            self.queue(stranger);
        }
    }

    fn queue(&mut self, frame: Frame) {
        if self.outbox.len() < OUTBOX {
            let begins = self.now.after(LATENCY).max(self.free);
            self.free = begins.after(Duration::from_nanos(frame.bus_time_ns(self.bitrate)));
            self.outbox.push_back((self.free, frame));
        }
    }

    fn flip(&mut self, frame: &Frame) -> Frame {
        let mut data = [0; 8];
        let bytes = data.get_mut(..frame.data().len()).unwrap_or_default();
        bytes.copy_from_slice(frame.data());
        let (place, bit) = (self.random.below(bytes.len()), self.random.below(8));
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1 << bit;
        }
        Frame::new(frame.id(), bytes).unwrap_or(*frame)
    }

    fn happens(&mut self, rate: Rate) -> bool {
        let drawn = self.random.fraction();
        rate.happens(self.answers, drawn)
    }
}
