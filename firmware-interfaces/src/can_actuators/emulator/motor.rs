//! One emulated motor: its controller's side of the protocol, and the plant behind it.

mod damiao;
mod memory;
mod mit;
mod odrive;
mod robstride;

use sinew_simulation::actuator::{ActuatorConfig, ActuatorPlant, Drive};

use super::super::models::{Model, Protocol};
use super::super::wire::mit::{Control, Measured, Ranges};
use super::super::wire::odrive::POSITION_CONTROL;
use super::plant::plant_config;
use crate::Timestamp;
use crate::can::Frame;

/// One motor.
#[derive(Clone, Debug, PartialEq)]
pub struct MotorConfig {
    /// What it is.
    pub model: &'static Model,
    /// Identifier that it listens to.
    pub id: u16,
    /// Identifier on which it answers, where its protocol has one.
    pub feedback_id: u16,
    /// Where it stands at the start, in rad.
    pub position: f64,
}

/// The motor in motion.
#[derive(Clone, Debug)]
pub(super) struct Motor {
    pub(super) config: MotorConfig,
    /// As its registers say; the model's at the start.
    ranges: Ranges,
    plant: ActuatorPlant,
    now: Timestamp,
    drive: Drive,
    enabled: bool,
    /// It says that it is too hot, and has no torque.
    hot: bool,
    /// It has stopped because nothing came.
    lost: bool,
    last_heard: Timestamp,
    /// What its encoder adds to the truth, in rad.
    encoder_offset: f64,
    zero: f64,
    /// Registers or parameters that were written.
    memory: Vec<(u16, [u8; 4])>,
    host: u8,
    control_mode: u32,
    next_heartbeat: Timestamp,
    next_encoder: Timestamp,
}

impl Motor {
    pub(super) fn new(config: MotorConfig, seed: u64) -> Self {
        let plant = ActuatorPlant::new(plant_config(config.model), seed)
            .or_else(|_| ActuatorPlant::new(ActuatorConfig::default(), seed));
        // The default plant is valid; a scaled one is, for every model of the table (a test says so).
        let mut plant = match plant {
            Ok(plant) => plant,
            Err(error) => unreachable!("{error}"),
        };
        plant.place(config.position);
        let ranges = config.model.ranges;
        Self {
            memory: memory::defaults(&config, &ranges),
            ranges,
            plant,
            now: Timestamp::ZERO,
            drive: Drive::Off,
            enabled: false,
            hot: false,
            lost: false,
            last_heard: Timestamp::ZERO,
            encoder_offset: 0.0,
            zero: 0.0,
            host: 0,
            control_mode: POSITION_CONTROL,
            next_heartbeat: Timestamp::ZERO,
            next_encoder: Timestamp::ZERO,
            config,
        }
    }

    /// Where it really stands, in rad.
    pub(super) const fn position(&self) -> f64 {
        self.plant.truth().motor_angle
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Too hot from now on.
    pub(super) const fn overheat(&mut self) {
        self.hot = true;
        self.switch(false);
    }

    pub(super) const fn shift_encoder(&mut self, offset: f64) {
        self.encoder_offset = offset;
    }

    const fn switch(&mut self, on: bool) {
        self.enabled = on && !self.hot && !self.lost;
        self.drive = Drive::Off;
    }

    /// Brings it up to `now`; its watchdog may end its torque on the way.
    pub(super) fn advance_to(&mut self, now: Timestamp) {
        let watchdog = self.watchdog();
        if let Some(span) = watchdog.filter(|_| self.enabled) {
            let due = self.last_heard.after(span);
            if now > due {
                self.plant.step(due.since(self.now), self.drive);
                self.now = self.now.max(due);
                self.lost = true;
                self.switch(false);
            }
        }
        self.plant.step(now.since(self.now), self.drive);
        self.now = self.now.max(now);
    }

    fn memory(&self, number: u16) -> Option<[u8; 4]> {
        self.memory.iter().find(|(it, _)| *it == number).map(|(_, value)| *value)
    }

    fn remember(&mut self, number: u16, value: [u8; 4]) {
        match self.memory.iter_mut().find(|(it, _)| *it == number) {
            Some((_, place)) => *place = value,
            None => self.memory.push((number, value)),
        }
    }

    fn real(&self, number: u16) -> f64 {
        self.memory(number).map_or(0.0, |value| f32::from_le_bytes(value).into())
    }

    /// Takes a frame at `now`, and answers through `answer`.
    pub(super) fn receive(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        match self.config.model.protocol {
            Protocol::Mit => self.receive_mit(frame, answer),
            Protocol::Damiao => self.receive_damiao(frame, answer),
            Protocol::Robstride => self.receive_robstride(frame, answer),
            Protocol::Odrive => self.receive_odrive(frame, answer),
        }
    }

    fn measured(&mut self) -> Measured {
        let sensed = self.plant.sense();
        let truth = self.plant.truth();
        Measured {
            position: sensed.motor_encoder + self.encoder_offset - self.zero,
            velocity: truth.motor_velocity,
            torque: truth.motor_torque,
        }
    }

    fn temperature(&self) -> f64 {
        if self.hot { 120.0 } else { self.plant.truth().temperature }
    }

    fn impedance(&mut self, control: &Control) {
        if self.enabled {
            self.drive = Drive::Impedance {
                position: control.position + self.zero - self.encoder_offset,
                velocity: control.velocity,
                stiffness: control.stiffness,
                damping: control.damping,
                torque: control.torque,
            };
        }
    }
}
