//! Damiao's registers and status.

use std::time::Duration;

use super::super::super::models::Protocol;
use super::super::super::wire::Span;
use super::super::super::wire::damiao::{self, Access, Register, RegisterReply, Status};
use super::Motor;
use crate::can::{Frame, Id};

impl Motor {
    pub(super) fn watchdog(&self) -> Option<Duration> {
        if self.config.model.protocol != Protocol::Damiao {
            return None;
        }
        let units = u32::from_le_bytes(self.memory(Register::Timeout.number().into())?);
        let span = Duration::from_micros(u64::from(units) * damiao::TIMEOUT_UNIT_US);
        (!span.is_zero()).then_some(span)
    }

    pub(super) fn receive_damiao(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        if self.mit_request(frame) {
            return answer(self.damiao_feedback());
        }
        if frame.id() != Id::Standard(damiao::REGISTERS) {
            return;
        }
        let Some((id, access)) = frame.eight().and_then(|bytes| Access::parse(&bytes)) else {
            return;
        };
        if id != self.config.id {
            return;
        }
        self.last_heard = self.now;
        let (number, written) = match access {
            Access::Refresh => return answer(self.damiao_feedback()),
            // Nothing here survives a loss of power.
            Access::Save => return,
            Access::Read { number } => (number, false),
            Access::Write { number, value } => {
                if !self.write_register(number, value) {
                    return;
                }
                (number, true)
            }
        };
        let measured = self.measured().position as f32;
        let value = match number {
            60 => Some((self.plant.truth().supply as f32).to_le_bytes()),
            61 | 62 => Some((self.temperature() as f32).to_le_bytes()),
            80 | 81 => Some(measured.to_le_bytes()),
            _ => self.memory(number.into()),
        };
        if let Some(value) = value {
            let reply = RegisterReply { id, number, value, written };
            answer(Frame::standard(self.config.feedback_id, reply.encode()));
        }
    }

    /// False for a register that cannot be written, or not with this value.
    fn write_register(&mut self, number: u8, value: [u8; 4]) -> bool {
        let whole = u32::from_le_bytes(value);
        let real = f64::from(f32::from_le_bytes(value));
        let range = |span: &mut Span| {
            let good = real.is_finite() && real > 0.0;
            if good {
                (span.low, span.high) = (-real, real);
            }
            good
        };
        let good = match Register::from_number(number) {
            Some(Register::MasterId) => {
                let good = whole <= 0x7FF;
                self.config.feedback_id = if good { whole as u16 } else { self.config.feedback_id };
                good
            }
            Some(Register::ControlMode) => (1..=4).contains(&whole),
            Some(Register::Timeout) => true,
            Some(Register::PositionRange) => range(&mut self.ranges.position),
            Some(Register::VelocityRange) => range(&mut self.ranges.velocity),
            Some(Register::TorqueRange) => range(&mut self.ranges.torque),
            _ => matches!(number, 0..=6 | 24..=34) && real.is_finite(),
        };
        if good {
            self.remember(number.into(), value);
        }
        good
    }

    fn damiao_feedback(&mut self) -> Frame {
        let measured = self.measured();
        let status = if self.hot {
            Status::DriverOverTemperature
        } else if self.lost {
            Status::LostCommunication
        } else if self.enabled {
            Status::Enabled
        } else {
            Status::Disabled
        };
        let temperature = self.temperature().round() as u8;
        let feedback = damiao::Feedback {
            id: self.config.id as u8 & 0xF,
            status,
            measured,
            driver_temperature: temperature,
            rotor_temperature: temperature,
        };
        Frame::standard(self.config.feedback_id, feedback.encode(&self.ranges))
    }
}
