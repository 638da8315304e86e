//! The device: joints, power, and the task that its controller runs at each beat.

use std::time::Duration;

use super::Config;
use super::Faults;
use super::faults::holds;
use super::joint::{Drive, Joint, Mechanics};
use super::sample::Sample;
use crate::Timestamp;
use crate::robot::{Command, ControlMode, MAX_JOINTS, StopRequest};

/// The device. It knows the faults that are its own; those of the line are the driver's.
pub(super) struct Device {
    joints: [Joint; MAX_JOINTS],
    count: usize,
    mechanics: Mechanics,
    time: Timestamp,
    powered: bool,
    stuck: bool,
    booting: bool,
    /// When the last command came, until it is held for silence.
    commanded: Option<Timestamp>,
    command_timeout: Duration,
}

impl Device {
    pub(super) fn new(config: &Config, count: usize, now: Timestamp) -> Self {
        let stands = |position: f64| if position.is_finite() { position } else { 0.0 };
        Self {
            joints: config.start.map(|position| Joint::new(stands(position))),
            count,
            mechanics: Mechanics::new(config),
            time: now,
            powered: false,
            stuck: false,
            booting: false,
            commanded: None,
            command_timeout: config.command_timeout,
        }
    }

    fn joints(&mut self) -> impl Iterator<Item = &mut Joint> {
        self.joints.iter_mut().take(self.count)
    }

    /// Moves on to `time`.
    pub(super) fn advance_to(&mut self, time: Timestamp) {
        if time <= self.time {
            return;
        }
        let seconds = time.since(self.time).as_secs_f64();
        self.time = time;
        if !self.stuck {
            let mechanics = self.mechanics;
            let decay = mechanics.decay(seconds);
            self.joints().for_each(|joint| joint.advance(seconds, decay, &mechanics));
        }
    }

    /// The controller's task at a beat. `elapsed` is the time on its own clock.
    pub(super) fn beat(&mut self, faults: &Faults, elapsed: Timestamp) {
        let stuck = holds(faults.stuck, elapsed);
        if stuck && !self.stuck {
            self.joints().for_each(Joint::stand);
        }
        self.stuck = stuck;
        let booting = holds(faults.reset, elapsed);
        if booting != self.booting {
            self.booting = booting;
            self.commanded = None;
            if booting {
                self.release();
            } else if self.powered {
                self.hold();
            }
        }
        if self.commanded.is_some_and(|since| self.time.since(since) > self.command_timeout) {
            self.commanded = None;
            self.hold();
        }
    }

    /// Gives torque and holds.
    pub(super) fn power(&mut self) {
        self.powered = true;
        self.commanded = None;
        self.hold();
    }

    /// Follows a command from now on.
    pub(super) fn follow(&mut self, command: &Command) {
        if !self.powered || self.booting {
            return;
        }
        self.commanded = Some(self.time);
        let mechanics = self.mechanics;
        let targets = command.position.iter().zip(&command.effort);
        for (joint, (position, effort)) in self.joints().zip(targets) {
            let drive = match command.mode {
                ControlMode::Position => Drive::Position(*position),
                ControlMode::Effort => Drive::Effort(*effort),
            };
            joint.drive(drive, &mechanics);
        }
    }

    /// Serves a stop.
    pub(super) fn stop(&mut self, request: StopRequest) {
        self.commanded = None;
        match request {
            StopRequest::Hold if self.powered => self.hold(),
            StopRequest::Hold => {}
            StopRequest::TorqueOff => {
                self.powered = false;
                self.release();
            }
        }
    }

    /// True from a command until it is held for silence.
    pub(super) const fn is_commanded(&self) -> bool {
        self.commanded.is_some()
    }

    /// What is measured now.
    pub(super) fn measure(&self, faults: &Faults, elapsed: Timestamp) -> Sample {
        let mut sample = Sample {
            captured: self.time,
            arrives: self.time,
            joints: self.count,
            position: [0.0; MAX_JOINTS],
            velocity: [0.0; MAX_JOINTS],
            effort: [0.0; MAX_JOINTS],
            check: 0,
        };
        for (index, joint) in self.joints.iter().take(self.count).enumerate() {
            sample.position[index] = joint.position;
            sample.velocity[index] = joint.velocity;
            sample.effort[index] = joint.effort;
        }
        if let Some((offset, _)) = faults.jump.filter(|(_, start)| elapsed >= *start) {
            sample.position[0] += offset;
        }
        if holds(faults.nan, elapsed) {
            sample.position[0] = f64::NAN;
        }
        sample.check = sample.checked();
        sample
    }

    fn hold(&mut self) {
        self.joints().for_each(Joint::hold);
    }

    fn release(&mut self) {
        let mechanics = self.mechanics;
        self.joints().for_each(|joint| joint.drive(Drive::Off, &mechanics));
    }
}
