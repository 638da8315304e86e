//! The frames of the MIT family, as a motor takes them.

use super::super::super::wire::mit;
use super::Motor;
use crate::can::{Frame, Id};

impl Motor {
    /// The commands that both families of MIT frames have; true if it was one.
    pub(super) fn mit_request(&mut self, frame: &Frame) -> bool {
        let Some(bytes) = frame.eight().filter(|_| frame.id() == Id::Standard(self.config.id))
        else {
            return false;
        };
        self.last_heard = self.now;
        match mit::Request::parse(&bytes, &self.ranges) {
            mit::Request::Enable => self.switch(true),
            mit::Request::Disable => {
                self.lost = false;
                self.switch(false);
            }
            mit::Request::Zero => self.zero = self.position() + self.encoder_offset,
            mit::Request::Clear => {
                self.lost = false;
            }
            mit::Request::Control(control) => self.impedance(&control),
        }
        true
    }

    pub(super) fn receive_mit(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        if !self.mit_request(frame) {
            return;
        }
        let measured = self.measured();
        let fault = if self.hot { mit::Fault::OverTemperature } else { mit::Fault::None };
        let temperature = self.temperature().round().clamp(-128.0, 127.0) as i8;
        let feedback = mit::Feedback {
            id: self.config.id as u8,
            measured,
            health: Some((temperature, fault)),
        };
        let (bytes, length) = feedback.encode(&self.ranges);
        answer(Frame::standard(self.config.feedback_id, bytes).shortened(length));
    }
}
