//! Parameters and states of CyberGear and RobStride.

use super::super::super::wire::mit;
use super::super::super::wire::robstride::{self, parameter};
use super::Motor;
use crate::can::Frame;

impl Motor {
    pub(super) fn receive_robstride(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        let Some((id, host, request)) = robstride::Request::parse(frame, &self.ranges) else {
            return;
        };
        if u16::from(id) != self.config.id {
            return;
        }
        if !matches!(request, robstride::Request::Control(_)) {
            self.host = host;
        }
        let reply = match request {
            robstride::Request::GetId => {
                let unique = [b'S', b'I', b'N', b'E', b'W', 0, 0, id];
                robstride::Reply::Id { id, unique }
            }
            robstride::Request::SetId { id: new } => {
                self.config.id = u16::from(new & 0x7F);
                robstride::Reply::Id { id: new & 0x7F, unique: [0; 8] }
            }
            robstride::Request::Read { index } => {
                let Some(value) = self.parameter(index) else { return };
                robstride::Reply::Parameter { id, index, value }
            }
            robstride::Request::Control(control) => {
                if self.memory(parameter::RUN_MODE) == Some([0; 4]) {
                    self.impedance(&control);
                }
                self.robstride_feedback(id)
            }
            robstride::Request::Enable => {
                self.switch(true);
                self.robstride_feedback(id)
            }
            robstride::Request::Stop { .. } => {
                self.switch(false);
                self.robstride_feedback(id)
            }
            robstride::Request::Zero => {
                self.zero = self.position() + self.encoder_offset;
                self.robstride_feedback(id)
            }
            robstride::Request::Write { index, value } => {
                self.remember(index, value);
                self.follow_parameters();
                self.robstride_feedback(id)
            }
        };
        answer(reply.encode(self.host, &self.ranges));
    }

    fn parameter(&mut self, index: u16) -> Option<[u8; 4]> {
        let measured = self.measured();
        let value = match index {
            parameter::POSITION => measured.position,
            parameter::VELOCITY => measured.velocity,
            parameter::SUPPLY => self.plant.truth().supply,
            _ => return self.memory(index),
        };
        Some((value as f32).to_le_bytes())
    }

    /// Modes 1 and 2: a velocity loop, and a position loop around it.
    fn follow_parameters(&mut self) {
        let mode = self.memory(parameter::RUN_MODE).map_or(0, |[mode, ..]| mode);
        let damping = self.real(parameter::SPEED_GAIN);
        match mode {
            1 => self.impedance(&mit::Control {
                position: self.real(parameter::POSITION_REF),
                stiffness: damping * self.real(parameter::POSITION_GAIN),
                damping,
                ..mit::Control::default()
            }),
            2 => self.impedance(&mit::Control {
                velocity: self.real(parameter::SPEED_REF),
                damping,
                ..mit::Control::default()
            }),
            _ => {}
        }
    }

    fn robstride_feedback(&mut self, id: u8) -> robstride::Reply {
        robstride::Reply::Feedback(robstride::Feedback {
            id,
            mode: if self.enabled { robstride::Mode::Run } else { robstride::Mode::Reset },
            faults: robstride::Faults(if self.hot {
                robstride::Faults::OVER_TEMPERATURE
            } else {
                0
            }),
            measured: self.measured(),
            temperature: self.temperature(),
        })
    }
}
