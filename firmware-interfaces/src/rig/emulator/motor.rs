//! What the controller makes of requests: modes, faults, and the silence of its host.

use std::time::Duration;

use sinew_simulation::actuator::Drive;

use crate::Timestamp;
use crate::rig::wire::{Fault, Mode, Reason};

/// Farthest target that it takes, in rad: two turns.
const MAX_ANGLE: f64 = 12.6;

/// The controller's decisions, without bytes and mechanics.
#[derive(Clone, Copy, Debug)]
pub(super) struct MotorControl {
    mode: Mode,
    target: f64,
    torque: f64,
    faults: u8,
    max_torque: f64,
    pub(super) watchdog: Duration,
    heard: Timestamp,
}

impl MotorControl {
    pub(super) const fn new(max_torque: f64, watchdog: Duration) -> Self {
        let heard = Timestamp::ZERO;
        // As it is said and as torques arrive: in single precision.
        let max_torque = (max_torque as f32) as f64;
        Self { mode: Mode::Off, target: 0.0, torque: 0.0, faults: 0, max_torque, watchdog, heard }
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) const fn faults(&self) -> u8 {
        self.faults
    }

    /// Where it was commanded, and with what torque; the measured angle where nowhere.
    pub(super) const fn commanded(&self, measured: f64) -> (f64, f64) {
        match self.mode {
            Mode::Position | Mode::Hold => (self.target, 0.0),
            Mode::Torque => (measured, self.torque),
            Mode::Off => (measured, 0.0),
        }
    }

    pub(super) const fn drive(&self) -> Drive {
        match self.mode {
            Mode::Off => Drive::Off,
            Mode::Hold | Mode::Position => Drive::Position(self.target),
            Mode::Torque => Drive::Torque(self.torque),
        }
    }

    /// Something valid came from the host.
    pub(super) const fn hear(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// Holds where it stands if the host has been silent for too long.
    pub(super) fn watch(&mut self, now: Timestamp, measured: f64) {
        let moving = matches!(self.mode, Mode::Position | Mode::Torque);
        if moving && !self.watchdog.is_zero() && now.since(self.heard) > self.watchdog {
            self.faults |= Fault::Silence as u8;
            self.hold(measured);
        }
    }

    /// The motor is too hot, or is not any more.
    pub(super) const fn heat(&mut self, hot: bool) {
        if hot {
            self.faults |= Fault::Temperature as u8;
            self.mode = Mode::Off;
        }
    }

    pub(super) fn arm(&mut self, measured: f64, hot: bool) -> Result<(), Reason> {
        if hot {
            return Err(Reason::Faulty);
        }
        self.faults = 0;
        self.mode = Mode::Hold;
        self.target = measured;
        Ok(())
    }

    pub(super) fn go_to(&mut self, angle: f64) -> Result<(), Reason> {
        self.check(angle, MAX_ANGLE)?;
        self.mode = Mode::Position;
        self.target = angle;
        Ok(())
    }

    pub(super) fn push(&mut self, torque: f64) -> Result<(), Reason> {
        self.check(torque, self.max_torque)?;
        self.mode = Mode::Torque;
        self.torque = torque;
        Ok(())
    }

    /// Stays where it stands; without torque there is nothing to stay with.
    pub(super) const fn hold(&mut self, measured: f64) {
        if !matches!(self.mode, Mode::Off) {
            self.mode = Mode::Hold;
            self.target = measured;
        }
    }

    pub(super) const fn off(&mut self) {
        self.mode = Mode::Off;
    }

    fn check(&self, value: f64, most: f64) -> Result<(), Reason> {
        if self.faults != 0 {
            Err(Reason::Faulty)
        } else if self.mode == Mode::Off {
            Err(Reason::NotArmed)
        } else if !value.is_finite() || value.abs() > most {
            Err(Reason::Value)
        } else {
            Ok(())
        }
    }
}
