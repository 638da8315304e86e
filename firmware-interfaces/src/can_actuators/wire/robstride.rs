//! The private protocol of Xiaomi's CyberGear and RobStride's motors: everything in 29-bit
//! identifiers.
//!
//! | bits 28..24 | bits 23..8 | bits 7..0 |
//! |---|---|---|
//! | kind of message | data of the kind | target |
//!
//! Sources: CyberGear manual (belovictor/cybergear-docs), the `robstride` crate of kscalelabs (MIT),
//! robstride 0.1.0 (PyPI).

use super::mit::{Control, Measured, Ranges};
use super::span::OutOfSpan;
use crate::can::{Frame, Id, MAX_DATA};

/// Target of the answer to [`Request::GetId`].
pub const BROADCAST: u8 = 0xFE;

/// Kinds of messages.
mod kind {
    pub(super) const GET_ID: u8 = 0;
    pub(super) const CONTROL: u8 = 1;
    pub(super) const FEEDBACK: u8 = 2;
    pub(super) const ENABLE: u8 = 3;
    pub(super) const STOP: u8 = 4;
    pub(super) const ZERO: u8 = 6;
    pub(super) const SET_ID: u8 = 7;
    pub(super) const READ: u8 = 17;
    pub(super) const WRITE: u8 = 18;
    pub(super) const FAULT: u8 = 21;
}

/// Parameters that are used here, by their index.
pub mod parameter {
    /// 0 MIT control, 1 position, 2 velocity, 3 current; one byte.
    pub const RUN_MODE: u16 = 0x7005;
    /// Current in A, in current mode.
    pub const IQ_REF: u16 = 0x7006;
    /// Velocity in rad/s, in velocity mode.
    pub const SPEED_REF: u16 = 0x700A;
    /// Torque limit in N·m.
    pub const TORQUE_LIMIT: u16 = 0x700B;
    /// Position in rad, in position mode.
    pub const POSITION_REF: u16 = 0x7016;
    /// Velocity limit in rad/s, in position mode.
    pub const SPEED_LIMIT: u16 = 0x7017;
    /// Current limit in A.
    pub const CURRENT_LIMIT: u16 = 0x7018;
    /// Measured position in rad; read only.
    pub const POSITION: u16 = 0x7019;
    /// Measured velocity in rad/s; read only.
    pub const VELOCITY: u16 = 0x701B;
    /// Supply in V; read only.
    pub const SUPPLY: u16 = 0x701C;
    /// Gain of the position loop.
    pub const POSITION_GAIN: u16 = 0x701E;
    /// Proportional gain of the velocity loop.
    pub const SPEED_GAIN: u16 = 0x701F;
    /// Integral gain of the velocity loop.
    pub const SPEED_INTEGRAL: u16 = 0x7020;
}

/// What a motor is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request {
    /// Who is there?
    GetId,
    /// MIT control: as [`mit`](super::mit), in 16 bits each.
    Control(Control),
    /// Switch on.
    Enable,
    /// Switch off; clears faults where wanted.
    Stop {
        /// Clear faults.
        clear: bool,
    },
    /// Make the present position 0. The driver never sends it.
    Zero,
    /// Take another identifier, at once. The driver never sends it.
    SetId {
        /// The new one.
        id: u8,
    },
    /// Read a parameter.
    Read {
        /// Which.
        index: u16,
    },
    /// Write a parameter, little-endian, until the power goes.
    Write {
        /// Which.
        index: u16,
        /// What.
        value: [u8; 4],
    },
}

const fn identifier(kind: u8, data: u16, target: u8) -> u32 {
    (kind as u32) << 24 | (data as u32) << 8 | target as u32
}

/// Kind, data and target of an identifier.
const fn parts(id: u32) -> (u8, u16, u8) {
    ((id >> 24) as u8 & 0x1F, (id >> 8) as u16, id as u8)
}

impl Request {
    /// As a frame from `host` to motor `id`.
    ///
    /// # Errors
    /// [`OutOfSpan`] names the number that has no code.
    pub fn encode(&self, id: u8, host: u8, ranges: &Ranges) -> Result<Frame, OutOfSpan> {
        let from_host = |kind, bytes| Frame::extended(identifier(kind, host.into(), id), bytes);
        let empty = [0; MAX_DATA];
        Ok(match *self {
            Self::GetId => from_host(kind::GET_ID, empty),
            Self::Enable => from_host(kind::ENABLE, empty),
            Self::Stop { clear } => from_host(kind::STOP, flag(clear)),
            Self::Zero => from_host(kind::ZERO, flag(true)),
            Self::SetId { id: new } => {
                let data = u16::from(new) << 8 | u16::from(host);
                Frame::extended(identifier(kind::SET_ID, data, id), empty)
            }
            Self::Read { index } => from_host(kind::READ, indexed(index, [0; 4])),
            Self::Write { index, value } => from_host(kind::WRITE, indexed(index, value)),
            Self::Control(control) => {
                let torque = ranges.torque.encode(control.torque)?;
                let [a, b] = ranges.position.encode(control.position)?.to_be_bytes();
                let [c, d] = ranges.velocity.encode(control.velocity)?.to_be_bytes();
                let [e, f] = ranges.stiffness.encode(control.stiffness)?.to_be_bytes();
                let [g, h] = ranges.damping.encode(control.damping)?.to_be_bytes();
                let bytes = [a, b, c, d, e, f, g, h];
                Frame::extended(identifier(kind::CONTROL, torque, id), bytes)
            }
        })
    }

    /// From a frame: the motor meant, the host that asks (0 where the frame does not say) and what.
    pub fn parse(frame: &Frame, ranges: &Ranges) -> Option<(u8, u8, Self)> {
        let Id::Extended(id) = frame.id() else { return None };
        let bytes = frame.eight()?;
        let (kind, data, motor) = parts(id);
        let host = data as u8;
        let [a, b, c, d, e, f, g, h] = bytes;
        let index = u16::from_le_bytes([a, b]);
        let request = match kind {
            kind::GET_ID => Self::GetId,
            kind::CONTROL => {
                let code = |high, low| u16::from_be_bytes([high, low]);
                let control = Control {
                    position: ranges.position.decode(code(a, b)),
                    velocity: ranges.velocity.decode(code(c, d)),
                    stiffness: ranges.stiffness.decode(code(e, f)),
                    damping: ranges.damping.decode(code(g, h)),
                    torque: ranges.torque.decode(data),
                };
                return Some((motor, 0, Self::Control(control)));
            }
            kind::ENABLE => Self::Enable,
            kind::STOP => Self::Stop { clear: a == 1 },
            kind::ZERO => Self::Zero,
            kind::SET_ID => Self::SetId { id: (data >> 8) as u8 },
            kind::READ => Self::Read { index },
            kind::WRITE => Self::Write { index, value: [e, f, g, h] },
            _ => return None,
        };
        Some((motor, host, request))
    }
}

const fn flag(set: bool) -> [u8; MAX_DATA] {
    [set as u8, 0, 0, 0, 0, 0, 0, 0]
}

fn indexed(index: u16, [e, f, g, h]: [u8; 4]) -> [u8; MAX_DATA] {
    let [a, b] = index.to_le_bytes();
    [a, b, 0, 0, e, f, g, h]
}

/// What a motor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Without torque.
    Reset,
    /// Measuring itself.
    Calibration,
    /// Takes commands.
    Run,
    /// A code that the maker's documents have not.
    Other,
}

impl Mode {
    const fn code(self) -> u16 {
        match self {
            Self::Reset => 0,
            Self::Calibration => 1,
            Self::Run => 2,
            Self::Other => 3,
        }
    }

    const fn from_code(code: u16) -> Self {
        match code & 3 {
            0 => Self::Reset,
            1 => Self::Calibration,
            2 => Self::Run,
            _ => Self::Other,
        }
    }
}

/// The six fault bits of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub u8);

impl Faults {
    /// Under-voltage.
    pub const UNDER_VOLTAGE: u8 = 1 << 0;
    /// Over-current.
    pub const OVER_CURRENT: u8 = 1 << 1;
    /// Over-temperature.
    pub const OVER_TEMPERATURE: u8 = 1 << 2;
    /// Magnetic encoder.
    pub const ENCODER: u8 = 1 << 3;
    /// HALL encoder (CyberGear), overload (RobStride).
    pub const HALL: u8 = 1 << 4;
    /// Not calibrated.
    pub const UNCALIBRATED: u8 = 1 << 5;

    /// The first fault in words; `None` where there is none.
    pub const fn words(self) -> Option<&'static str> {
        const WORDS: [&str; 6] = [
            "under-voltage",
            "over-current",
            "over-temperature",
            "a fault of its magnetic encoder",
            "a fault of its HALL encoder, or overload",
            "that it is not calibrated",
        ];
        let first = self.0.trailing_zeros() as usize;
        if first < WORDS.len() { Some(WORDS[first]) } else { None }
    }
}

/// What a motor answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply {
    /// To [`Request::GetId`].
    Id {
        /// The motor.
        id: u8,
        /// Its unique number.
        unique: [u8; 8],
    },
    /// To control, enable, stop, zero and write.
    Feedback(Feedback),
    /// To [`Request::Read`].
    Parameter {
        /// The motor.
        id: u8,
        /// Which.
        index: u16,
        /// Its value, little-endian.
        value: [u8; 4],
    },
    /// Unasked, when something goes wrong.
    Fault {
        /// The motor.
        id: u8,
        /// Fault bits, little-endian.
        bits: u32,
    },
}

/// The state of a motor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// The motor.
    pub id: u8,
    /// What it does.
    pub mode: Mode,
    /// What is wrong.
    pub faults: Faults,
    /// What it measures.
    pub measured: Measured,
    /// In °C, to a tenth.
    pub temperature: f64,
}

impl Reply {
    /// As a frame to `host`; what lies outside the ranges saturates.
    pub fn encode(&self, host: u8, ranges: &Ranges) -> Frame {
        match *self {
            Self::Id { id, unique } => {
                Frame::extended(identifier(kind::GET_ID, id.into(), BROADCAST), unique)
            }
            Self::Feedback(Feedback { id, mode, faults, measured, temperature }) => {
                let data = mode.code() << 14 | u16::from(faults.0 & 0x3F) << 8 | u16::from(id);
                let [a, b] = ranges.position.saturate(measured.position).0.to_be_bytes();
                let [c, d] = ranges.velocity.saturate(measured.velocity).0.to_be_bytes();
                let [e, f] = ranges.torque.saturate(measured.torque).0.to_be_bytes();
                // A cast of a floating-point number saturates.
                let [g, h] = ((temperature * 10.0).round() as u16).to_be_bytes();
                let bytes = [a, b, c, d, e, f, g, h];
                Frame::extended(identifier(kind::FEEDBACK, data, host), bytes)
            }
            Self::Parameter { id, index, value } => {
                Frame::extended(identifier(kind::READ, id.into(), host), indexed(index, value))
            }
            Self::Fault { id, bits } => {
                let [a, b, c, d] = bits.to_le_bytes();
                let bytes = [a, b, c, d, 0, 0, 0, 0];
                Frame::extended(identifier(kind::FAULT, id.into(), host), bytes)
            }
        }
    }

    /// From a frame to `host`.
    pub fn parse(frame: &Frame, host: u8, ranges: &Ranges) -> Option<Self> {
        let Id::Extended(id) = frame.id() else { return None };
        let bytes = frame.eight()?;
        let (kind, data, target) = parts(id);
        let motor = data as u8;
        if target != host && !(kind == kind::GET_ID && target == BROADCAST) {
            return None;
        }
        let [a, b, c, d, e, f, g, h] = bytes;
        Some(match kind {
            kind::GET_ID => Self::Id { id: motor, unique: bytes },
            kind::FEEDBACK => Self::Feedback(Feedback {
                id: motor,
                mode: Mode::from_code(data >> 14),
                faults: Faults((data >> 8) as u8 & 0x3F),
                measured: Measured {
                    position: ranges.position.decode(u16::from_be_bytes([a, b])),
                    velocity: ranges.velocity.decode(u16::from_be_bytes([c, d])),
                    torque: ranges.torque.decode(u16::from_be_bytes([e, f])),
                },
                temperature: f64::from(u16::from_be_bytes([g, h])) / 10.0,
            }),
            kind::READ => Self::Parameter {
                id: motor,
                index: u16::from_le_bytes([a, b]),
                value: [e, f, g, h],
            },
            kind::FAULT => Self::Fault { id: motor, bits: u32::from_le_bytes([a, b, c, d]) },
            _ => return None,
        })
    }
}
