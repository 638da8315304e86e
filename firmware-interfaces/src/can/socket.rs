//! Linux's SocketCAN. Compiled and not run where it was written: that computer has no CAN sockets.

use std::io::ErrorKind;
use std::time::Duration;

use socketcan::{
    CanErrorFrame, CanFrame, CanSocket, EmbeddedFrame, ExtendedId, ShouldRetry, Socket as _,
    SocketOptions, StandardId,
};

use super::bus::{Bus, BusError, Condition, Event};
use super::frame::{Frame, Id};
use crate::robot::RobotError;

/// An open interface.
pub(super) struct Socket {
    socket: CanSocket,
}

impl Socket {
    pub(super) fn open(interface: &str, port: &str) -> Result<Self, RobotError> {
        let failed = |reason: String| RobotError::Open {
            port: port.to_owned(),
            reason,
            remedy: format!(
                "Bring it up: `sudo ip link set {interface} up type can bitrate 1000000`"
            ),
        };
        let socket = CanSocket::open(interface).map_err(|error| failed(error.to_string()))?;
        socket.set_error_filter_accept_all().map_err(|error| failed(error.to_string()))?;
        Ok(Self { socket })
    }
}

impl Bus for Socket {
    fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let id: socketcan::Id = match frame.id() {
            Id::Standard(id) => StandardId::new(id).map(Into::into),
            Id::Extended(id) => ExtendedId::new(id).map(Into::into),
        }
        .ok_or(BusError::Port(ErrorKind::InvalidInput))?;
        let made = if frame.is_remote() {
            CanFrame::new_remote(id, frame.length().into())
        } else {
            CanFrame::new(id, frame.data())
        };
        let made = made.ok_or(BusError::Port(ErrorKind::InvalidInput))?;
        match self.socket.write_frame(&made) {
            Ok(()) => Ok(()),
            // The queue is full: the frame is lost, as on a bus that nobody acknowledges. The answer
            // that does not come counts.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(BusError::Port(error.kind())),
        }
    }

    fn receive(&mut self, wait: Duration) -> Result<Option<Event>, BusError> {
        match self.socket.read_frame_timeout(wait) {
            Ok(CanFrame::Error(frame)) => Ok(Some(condition(&frame))),
            Ok(frame) => Ok(plain(&frame).map(Event::Frame)),
            Err(error) if error.should_retry() || error.kind() == ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(BusError::Port(error.kind())),
        }
    }
}

fn plain(frame: &CanFrame) -> Option<Frame> {
    let id = match frame.id() {
        socketcan::Id::Standard(id) => Id::Standard(id.as_raw()),
        socketcan::Id::Extended(id) => Id::Extended(id.as_raw()),
    };
    if frame.is_remote_frame() {
        Frame::remote(id, frame.dlc() as u8)
    } else {
        Frame::new(id, frame.data())
    }
}

/// What an error frame says (`linux/can/error.h`): its class is in the identifier, the details of a
/// controller's problem in the second byte.
fn condition(frame: &CanErrorFrame) -> Event {
    const CONTROLLER: u32 = 0x04;
    const BUS_OFF: u32 = 0x40;
    const OVERFLOW: u8 = 0x03;
    const WARNING: u8 = 0x0C;
    const PASSIVE: u8 = 0x30;
    let class = frame.error_bits();
    let detail = frame.data().get(1).copied().unwrap_or_default();
    if class & BUS_OFF != 0 {
        Event::Condition(Condition::BusOff)
    } else if class & CONTROLLER != 0 && detail & PASSIVE != 0 {
        Event::Condition(Condition::Passive)
    } else if class & CONTROLLER != 0 && detail & WARNING != 0 {
        Event::Condition(Condition::Warning)
    } else if class & CONTROLLER != 0 && detail & OVERFLOW != 0 {
        Event::Overrun
    } else if class & CONTROLLER != 0 {
        Event::Condition(Condition::Active)
    } else {
        Event::Condition(Condition::Warning)
    }
}
