//! The hand: version 3 of its protocol.

use super::field::{Reader, check, put_reals};
use super::{Header, HeaderLayout, WireError};

/// What the hand can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GripperFunction {
    /// Handshake.
    Connect,
    /// Find the ends of the range.
    Homing,
    /// Close until something is between the fingers.
    Grasp,
    /// Go to a width.
    Move,
    /// Stop where it is.
    Stop,
}

impl GripperFunction {
    const ALL: [Self; 5] = [Self::Connect, Self::Homing, Self::Grasp, Self::Move, Self::Stop];

    /// The function with this number.
    pub fn of(command: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(command).ok()?).copied()
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "the hand's Connect",
            Self::Homing => "the hand's Homing",
            Self::Grasp => "the hand's Grasp",
            Self::Move => "the hand's Move",
            Self::Stop => "the hand's Stop",
        }
    }

    const fn payload_size(self) -> usize {
        match self {
            Self::Connect => 4,
            Self::Homing | Self::Stop => 0,
            Self::Grasp => 40,
            Self::Move => 16,
        }
    }
}

/// A request of the hand's port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GripperRequest {
    /// Handshake.
    Connect {
        /// The client's version.
        version: u16,
        /// Where it wants states.
        udp_port: u16,
    },
    /// Find the ends of the range.
    Homing,
    /// Close until something is between the fingers.
    Grasp {
        /// Expected width of the object, m.
        width: f64,
        /// How much less is a success, m.
        inner: f64,
        /// How much more is a success, m.
        outer: f64,
        /// m/s.
        speed: f64,
        /// N.
        force: f64,
    },
    /// Go to a width.
    Move {
        /// m.
        width: f64,
        /// m/s.
        speed: f64,
    },
    /// Stop where it is.
    Stop,
}

impl GripperRequest {
    /// Version of the hand's protocol.
    pub const VERSION: u16 = 3;

    /// Which function it asks.
    pub const fn function(&self) -> GripperFunction {
        match self {
            Self::Connect { .. } => GripperFunction::Connect,
            Self::Homing => GripperFunction::Homing,
            Self::Grasp { .. } => GripperFunction::Grasp,
            Self::Move { .. } => GripperFunction::Move,
            Self::Stop => GripperFunction::Stop,
        }
    }

    /// The request that a message is.
    ///
    /// # Errors
    /// [`WireError`] when it is none.
    pub fn parse(command: u32, payload: &[u8]) -> Result<Self, WireError> {
        let function = GripperFunction::of(command).ok_or(WireError::Meaningless {
            field: "the command of a message to the hand",
            value: command,
        })?;
        check(function.name(), payload, function.payload_size())?;
        let mut reader = Reader::new(payload);
        Ok(match function {
            GripperFunction::Connect => {
                Self::Connect { version: reader.u16(), udp_port: reader.u16() }
            }
            GripperFunction::Homing => Self::Homing,
            GripperFunction::Grasp => Self::Grasp {
                width: reader.real("the width to grasp")?,
                inner: reader.real("the inner tolerance")?,
                outer: reader.real("the outer tolerance")?,
                speed: reader.real("the hand's speed")?,
                force: reader.real("the hand's force")?,
            },
            GripperFunction::Move => Self::Move {
                width: reader.real("the hand's width")?,
                speed: reader.real("the hand's speed")?,
            },
            GripperFunction::Stop => Self::Stop,
        })
    }

    /// Appends the message that asks this, with number `id`.
    pub fn encode(&self, id: u32, out: &mut Vec<u8>) {
        let function = self.function();
        let size = HeaderLayout::Gripper.size() + function.payload_size();
        let header = Header { command: function as u32, id, size: size as u32 };
        header.encode(HeaderLayout::Gripper, out);
        match self {
            Self::Connect { version, udp_port } => {
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&udp_port.to_le_bytes());
            }
            Self::Homing | Self::Stop => {}
            Self::Grasp { width, inner, outer, speed, force } => {
                put_reals(out, &[*width, *inner, *outer, *speed, *force]);
            }
            Self::Move { width, speed } => put_reals(out, &[*width, *speed]),
        }
    }
}

/// How a request of the hand ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GripperStatus {
    /// Done; of Connect: the versions agree.
    Success,
    /// It failed; of Connect: the versions differ.
    Fail,
    /// The fingers are not where they should be, or hold nothing.
    Unsuccessful,
    /// Another request ended it.
    Aborted,
}

impl GripperStatus {
    /// Appends the answer to request `id`; that to Connect carries the hand's version.
    pub fn reply(self, function: GripperFunction, id: u32, out: &mut Vec<u8>) {
        let connect = function == GripperFunction::Connect;
        let size = HeaderLayout::Gripper.size() + if connect { 4 } else { 2 };
        let header = Header { command: function as u32, id, size: size as u32 };
        header.encode(HeaderLayout::Gripper, out);
        out.extend_from_slice(&(self as u16).to_le_bytes());
        if connect {
            out.extend_from_slice(&GripperRequest::VERSION.to_le_bytes());
        }
    }
}

/// The hand's state, a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GripperState {
    /// Counts datagrams.
    pub message_id: u32,
    /// Opening, m.
    pub width: f64,
    /// Largest opening, as homing found it, m.
    pub max_width: f64,
    /// Whether something is held.
    pub is_grasped: bool,
    /// °C.
    pub temperature: u16,
}

impl GripperState {
    /// Bytes of the datagram.
    pub const SIZE: usize = 23;

    /// The state that a datagram is.
    ///
    /// # Errors
    /// [`WireError`] for another length or a number that is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        check("a state of the hand", bytes, Self::SIZE)?;
        let mut reader = Reader::new(bytes);
        Ok(Self {
            message_id: reader.u32(),
            width: reader.real("the hand's width")?,
            max_width: reader.real("the hand's largest width")?,
            is_grasped: reader.flag(),
            temperature: reader.u16(),
        })
    }

    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message_id.to_le_bytes());
        put_reals(out, &[self.width, self.max_width]);
        out.push(u8::from(self.is_grasped));
        out.extend_from_slice(&self.temperature.to_le_bytes());
    }
}
