//! CANSimple, as an ODrive takes it.

use std::f64::consts::TAU;
use std::time::Duration;

use super::super::super::models::Protocol;
use super::super::super::wire::{mit, odrive};
use super::Motor;
use crate::Timestamp;
use crate::can::Frame;

/// Time between two heartbeats of an ODrive, and between two of its encoder messages.
const HEARTBEAT_PERIOD: Duration = Duration::from_millis(100);
const ENCODER_PERIOD: Duration = Duration::from_millis(10);
/// An ODrive's error bit for an over-temperature of its motor (`MOTOR_OVER_TEMP`, firmware 0.6).
const OVER_TEMPERATURE: u32 = 0x10_0000;

impl Motor {
    /// What it says by itself.
    pub(in super::super) fn speak(&mut self, answer: &mut dyn FnMut(Frame)) {
        if self.config.model.protocol != Protocol::Odrive {
            return;
        }
        if self.now >= self.next_heartbeat {
            self.next_heartbeat = self.now.after(HEARTBEAT_PERIOD);
            answer(self.heartbeat());
        }
        if self.now >= self.next_encoder {
            self.next_encoder = self.now.after(ENCODER_PERIOD);
            answer(self.encoder());
        }
    }

    /// When it will say something by itself.
    pub(in super::super) fn next_due(&self) -> Option<Timestamp> {
        (self.config.model.protocol == Protocol::Odrive)
            .then(|| self.next_heartbeat.min(self.next_encoder))
    }

    pub(super) fn receive_odrive(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        let Some((node, command)) = odrive::address(frame.id()) else { return };
        if u16::from(node) != self.config.id {
            return;
        }
        if frame.is_remote() {
            let temperature = self.temperature() as f32;
            let torque = self.plant.truth().motor_torque / self.config.model.torque_constant;
            let iq = torque as f32;
            let voltage = self.plant.truth().supply as f32;
            return answer(match command {
                odrive::command::HEARTBEAT => self.heartbeat(),
                odrive::command::ENCODER => self.encoder(),
                odrive::command::IQ => {
                    odrive::Message::Iq { setpoint: iq, measured: iq }.encode(node)
                }
                odrive::command::TEMPERATURE => {
                    odrive::Message::Temperature { driver: temperature, motor: temperature }
                        .encode(node)
                }
                odrive::command::SUPPLY => {
                    odrive::Message::Supply { voltage, current: 0.0 }.encode(node)
                }
                _ => return,
            });
        }
        let Some((_, message)) = odrive::Message::parse(frame) else { return };
        self.last_heard = self.now;
        match message {
            odrive::Message::AxisState(state) => self.switch(state == odrive::CLOSED_LOOP),
            odrive::Message::Estop => {
                self.lost = true;
                self.switch(false);
            }
            odrive::Message::ClearErrors => self.lost = false,
            odrive::Message::ControllerMode { control, .. } => {
                self.control_mode = control;
                self.follow_inputs();
            }
            odrive::Message::InputPosition { position, .. } => {
                self.remember(odrive::command::INPUT_POSITION.into(), position.to_le_bytes());
                self.follow_inputs();
            }
            odrive::Message::InputVelocity { velocity, .. } => {
                self.remember(odrive::command::INPUT_VELOCITY.into(), velocity.to_le_bytes());
                self.follow_inputs();
            }
            odrive::Message::InputTorque(torque) => {
                self.remember(odrive::command::INPUT_TORQUE.into(), torque.to_le_bytes());
                self.follow_inputs();
            }
            odrive::Message::PositionGain(gain) => {
                self.remember(odrive::command::POSITION_GAIN.into(), gain.to_le_bytes());
            }
            odrive::Message::VelocityGains { proportional, .. } => {
                self.remember(odrive::command::VELOCITY_GAINS.into(), proportional.to_le_bytes());
            }
            _ => {}
        }
    }

    fn follow_inputs(&mut self) {
        let damping = self.real(odrive::command::VELOCITY_GAINS.into()) / TAU;
        let velocity = self.real(odrive::command::INPUT_VELOCITY.into()) * TAU;
        let torque = self.real(odrive::command::INPUT_TORQUE.into());
        let nothing = mit::Control::default();
        let control = match self.control_mode {
            odrive::TORQUE_CONTROL => mit::Control { torque, ..nothing },
            odrive::VELOCITY_CONTROL => mit::Control { velocity, damping, ..nothing },
            odrive::POSITION_CONTROL => mit::Control {
                position: self.real(odrive::command::INPUT_POSITION.into()) * TAU,
                stiffness: damping * self.real(odrive::command::POSITION_GAIN.into()),
                damping,
                ..nothing
            },
            _ => nothing,
        };
        self.impedance(&control);
    }

    fn heartbeat(&self) -> Frame {
        let error = if self.hot { OVER_TEMPERATURE } else { u32::from(self.lost) };
        let state = if self.enabled { odrive::CLOSED_LOOP } else { odrive::IDLE };
        odrive::Message::Heartbeat { error, state: state as u8, flags: [0, 0, 1] }
            .encode(self.config.id as u8)
    }

    fn encoder(&mut self) -> Frame {
        let measured = self.measured();
        odrive::Message::Encoder {
            position: (measured.position / TAU) as f32,
            velocity: (measured.velocity / TAU) as f32,
        }
        .encode(self.config.id as u8)
    }
}
