//! What an actuator's frames say.

use std::f64::consts::TAU;

use super::super::super::models::Protocol;
use super::super::super::wire::damiao::{self, Register, RegisterReply, Status};
use super::super::super::wire::robstride::{self, parameter};
use super::super::super::wire::{mit, odrive};
use super::Device;
use crate::can::{Frame, Id};

/// What an answer says; `None` for what it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Reading {
    pub(in super::super) position: Option<f64>,
    pub(in super::super) velocity: Option<f64>,
    pub(in super::super) torque: Option<f64>,
    /// In °C.
    pub(in super::super) temperature: Option<f64>,
    pub(in super::super) rotor_temperature: Option<f64>,
    /// In V.
    pub(in super::super) supply: Option<f64>,
    /// Whether it has torque.
    pub(in super::super) enabled: Option<bool>,
    pub(in super::super) fault: Option<&'static str>,
    /// A register with its value.
    pub(in super::super) register: Option<(u8, [u8; 4])>,
}

/// Whose frame it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Parsed {
    NotMine,
    /// This actuator's, and nothing that can be used.
    Unusable,
    Reading(Reading),
}

impl Device {
    /// Whether an answer to [`disable`](Self::disable) proves that there is no torque. MIT motors do
    /// not say whether they have any: that they answer must do. Damiao's take it off at a fault.
    pub(in super::super) fn shows_off(&self, reading: &Reading) -> bool {
        match (reading.enabled, self.protocol()) {
            (Some(enabled), _) => !enabled,
            (None, Protocol::Mit) => reading.position.is_some(),
            (None, Protocol::Damiao) => reading.fault.is_some(),
            (None, Protocol::Robstride | Protocol::Odrive) => false,
        }
    }

    /// What a frame says, if it is this actuator's. `awaited` is the register that was asked for: a
    /// Damiao's answer about one looks like any other.
    pub(in super::super) fn parse(&self, frame: &Frame, awaited: Option<u8>) -> Parsed {
        let ranges = &self.config.model.ranges;
        match self.protocol() {
            Protocol::Mit => {
                let owner = frame.data().first().copied().map(u16::from);
                if frame.id() != Id::Standard(self.config.feedback_id)
                    || owner != Some(self.config.id)
                {
                    return Parsed::NotMine;
                }
                let Some(feedback) = mit::Feedback::parse(frame.data(), ranges) else {
                    return Parsed::Unusable;
                };
                let fault = feedback.health.and_then(|(_, fault)| fault.words());
                let temperature = feedback.health.map(|(temperature, _)| f64::from(temperature));
                Parsed::Reading(Reading { temperature, fault, ..measured(&feedback.measured) })
            }
            Protocol::Damiao => self.parse_damiao(frame, awaited),
            Protocol::Robstride => self.parse_robstride(frame),
            Protocol::Odrive => self.parse_odrive(frame),
        }
    }

    fn parse_damiao(&self, frame: &Frame, awaited: Option<u8>) -> Parsed {
        if frame.id() != Id::Standard(self.config.feedback_id) {
            return Parsed::NotMine;
        }
        let Some(bytes) = frame.eight() else { return Parsed::Unusable };
        if let Some(reply) = RegisterReply::parse(&bytes, self.config.id)
            && awaited == Some(reply.number)
        {
            let register = Some((reply.number, reply.value));
            return Parsed::Reading(Reading { register, ..Reading::default() });
        }
        let feedback = damiao::Feedback::parse(&bytes, &self.config.model.ranges);
        if u16::from(feedback.id) != self.config.id & 0xF {
            return Parsed::NotMine;
        }
        let enabled = match feedback.status {
            Status::Enabled => Some(true),
            Status::Disabled => Some(false),
            _ => None,
        };
        Parsed::Reading(Reading {
            temperature: Some(feedback.driver_temperature.into()),
            rotor_temperature: Some(feedback.rotor_temperature.into()),
            enabled,
            fault: feedback.status.fault(),
            ..measured(&feedback.measured)
        })
    }

    fn parse_robstride(&self, frame: &Frame) -> Parsed {
        let Some(reply) = robstride::Reply::parse(frame, self.host, &self.config.model.ranges)
        else {
            return Parsed::NotMine;
        };
        let mine = |id: u8| u16::from(id) == self.config.id;
        match reply {
            robstride::Reply::Feedback(feedback) if mine(feedback.id) => Parsed::Reading(Reading {
                temperature: Some(feedback.temperature),
                enabled: Some(feedback.mode == robstride::Mode::Run),
                fault: feedback.faults.words(),
                ..measured(&feedback.measured)
            }),
            robstride::Reply::Parameter { id, index, value } if mine(id) => {
                let value = f64::from(f32::from_le_bytes(value));
                let value = value.is_finite().then_some(value);
                match index {
                    parameter::POSITION => {
                        Parsed::Reading(Reading { position: value, ..Reading::default() })
                    }
                    parameter::SUPPLY => {
                        Parsed::Reading(Reading { supply: value, ..Reading::default() })
                    }
                    _ => Parsed::Unusable,
                }
            }
            robstride::Reply::Fault { id, bits } if mine(id) => {
                let fault = (bits != 0).then_some("a fault (its fault frame came)");
                Parsed::Reading(Reading { fault, ..Reading::default() })
            }
            robstride::Reply::Id { id, .. } if mine(id) => Parsed::Unusable,
            _ => Parsed::NotMine,
        }
    }

    fn parse_odrive(&self, frame: &Frame) -> Parsed {
        if odrive::address(frame.id()).map(|(node, _)| u16::from(node)) != Some(self.config.id) {
            return Parsed::NotMine;
        }
        let Some((_, message)) = odrive::Message::parse(frame) else { return Parsed::Unusable };
        let nothing = Reading::default();
        Parsed::Reading(match message {
            odrive::Message::Heartbeat { error, state, .. } => Reading {
                enabled: Some(u32::from(state) == odrive::CLOSED_LOOP),
                fault: (error != 0).then_some("an axis error (read it with odrivetool)"),
                ..nothing
            },
            odrive::Message::Encoder { position, velocity } => Reading {
                position: Some(f64::from(position) * TAU),
                velocity: Some(f64::from(velocity) * TAU),
                ..nothing
            },
            odrive::Message::Iq { measured, .. } => {
                let torque = f64::from(measured) * self.config.model.torque_constant;
                Reading { torque: Some(torque), ..nothing }
            }
            odrive::Message::Temperature { driver, motor } => Reading {
                temperature: Some(driver.into()),
                rotor_temperature: Some(motor.into()),
                ..nothing
            },
            odrive::Message::Supply { voltage, .. } => {
                Reading { supply: Some(voltage.into()), ..nothing }
            }
            _ => return Parsed::Unusable,
        })
    }
}

fn measured(measured: &mit::Measured) -> Reading {
    Reading {
        position: Some(measured.position),
        velocity: Some(measured.velocity),
        torque: Some(measured.torque),
        ..Reading::default()
    }
}

/// The value of a register as a number.
pub(in super::super) fn register_value(register: Register, value: [u8; 4]) -> f64 {
    if register.is_whole() {
        u32::from_le_bytes(value).into()
    } else {
        f32::from_le_bytes(value).into()
    }
}
