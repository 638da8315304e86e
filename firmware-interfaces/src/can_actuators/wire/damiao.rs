//! Damiao's DM motors: [`mit`](super::mit)'s control frames, an answer of their own, and registers.
//!
//! Commands go to the motor's identifier (register 8), answers come on its master identifier
//! (register 7). Registers are read and written through `0x7FF`; the answer comes on the master
//! identifier, too. Names and numbers of registers: damiao-motor 1.0.6 (PyPI).

use super::mit::{Measured, Ranges};
use crate::can::{Frame, MAX_DATA};

/// Where registers are asked for.
pub const REGISTERS: u16 = 0x7FF;
const READ: u8 = 0x33;
const WRITE: u8 = 0x55;
const SAVE: u8 = 0xAA;
const REFRESH: u8 = 0xCC;

/// Length of a unit of [`Register::Timeout`], in µs.
pub const TIMEOUT_UNIT_US: u64 = 50;
/// Value of [`Register::ControlMode`] for MIT frames.
pub const MODE_MIT: u32 = 1;

/// The registers that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Identifier of answers.
    MasterId = 7,
    /// Identifier of commands.
    MotorId = 8,
    /// The motor stops when nothing came for so long, in units of 50 µs; 0 never.
    Timeout = 9,
    /// 1 MIT, 2 position and velocity, 3 velocity, 4 position and force.
    ControlMode = 10,
    /// Gear ratio.
    GearRatio = 20,
    /// Range of positions, in rad.
    PositionRange = 21,
    /// Range of velocities, in rad/s.
    VelocityRange = 22,
    /// Range of torques, in N·m.
    TorqueRange = 23,
    /// Supply voltage, in V.
    Supply = 60,
    /// Position of the output shaft, in rad.
    Position = 81,
}

impl Register {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::MasterId,
        Self::MotorId,
        Self::Timeout,
        Self::ControlMode,
        Self::GearRatio,
        Self::PositionRange,
        Self::VelocityRange,
        Self::TorqueRange,
        Self::Supply,
        Self::Position,
    ];

    /// Number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// By its number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|register| register.number() == number)
    }

    /// True for a whole number; the others are 32-bit floating-point numbers.
    pub const fn is_whole(self) -> bool {
        matches!(self.number(), 7..=10 | 13..=16 | 35 | 36)
    }

    /// The maker's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MasterId => "MST_ID",
            Self::MotorId => "ESC_ID",
            Self::Timeout => "TIMEOUT",
            Self::ControlMode => "CTRL_MODE",
            Self::GearRatio => "Gr",
            Self::PositionRange => "PMAX",
            Self::VelocityRange => "VMAX",
            Self::TorqueRange => "TMAX",
            Self::Supply => "VBus",
            Self::Position => "xout",
        }
    }
}

/// What is asked through [`REGISTERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read register `number`.
    Read {
        /// Which.
        number: u8,
    },
    /// Write four bytes, little-endian.
    Write {
        /// Which.
        number: u8,
        /// What.
        value: [u8; 4],
    },
    /// Keep all registers over a loss of power. The driver never sends it.
    Save,
    /// Answer as to a command, without one.
    Refresh,
}

impl Access {
    /// As a frame for motor `id`.
    pub fn encode(&self, id: u16) -> Frame {
        let [low, high] = id.to_le_bytes();
        let (kind, number, value) = match *self {
            Self::Read { number } => (READ, number, [0; 4]),
            Self::Write { number, value } => (WRITE, number, value),
            Self::Save => (SAVE, 1, [0; 4]),
            Self::Refresh => (REFRESH, 0, [0; 4]),
        };
        let [a, b, c, d] = value;
        Frame::standard(REGISTERS, [low, high, kind, number, a, b, c, d])
    }

    /// From the data of a frame to [`REGISTERS`]: the motor meant, and what it is asked.
    pub fn parse(bytes: &[u8; MAX_DATA]) -> Option<(u16, Self)> {
        let [low, high, kind, number, a, b, c, d] = *bytes;
        let access = match kind {
            READ => Self::Read { number },
            WRITE => Self::Write { number, value: [a, b, c, d] },
            SAVE => Self::Save,
            REFRESH => Self::Refresh,
            _ => return None,
        };
        Some((u16::from_le_bytes([low, high]), access))
    }
}

/// An answer about a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterReply {
    /// The motor.
    pub id: u16,
    /// The register.
    pub number: u8,
    /// Its value, little-endian.
    pub value: [u8; 4],
    /// True for the echo of a write.
    pub written: bool,
}

impl RegisterReply {
    /// As data bytes.
    pub fn encode(&self) -> [u8; MAX_DATA] {
        let [low, high] = self.id.to_le_bytes();
        let [a, b, c, d] = self.value;
        [low, high, if self.written { WRITE } else { READ }, self.number, a, b, c, d]
    }

    /// From the data of an answer of motor `id`. An ordinary answer may look the same, with a
    /// velocity near its lower end; the caller knows whether it has asked.
    pub fn parse(bytes: &[u8; MAX_DATA], id: u16) -> Option<Self> {
        let [low, high, kind, number, a, b, c, d] = *bytes;
        let written = match kind {
            READ => false,
            WRITE => true,
            _ => return None,
        };
        (u16::from_le_bytes([low, high]) == id).then_some(Self {
            id,
            number,
            value: [a, b, c, d],
            written,
        })
    }
}

/// What the upper half of an answer's first byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Without torque.
    Disabled,
    /// Takes commands.
    Enabled,
    /// Over-voltage.
    OverVoltage,
    /// Under-voltage.
    UnderVoltage,
    /// Over-current.
    OverCurrent,
    /// The power stage is too hot.
    DriverOverTemperature,
    /// The coil is too hot.
    RotorOverTemperature,
    /// Nothing came for [`Register::Timeout`].
    LostCommunication,
    /// Overload.
    Overload,
    /// A code that the maker's documents have not.
    Other(u8),
}

impl Status {
    const KNOWN: [(u8, Self); 9] = [
        (0x0, Self::Disabled),
        (0x1, Self::Enabled),
        (0x8, Self::OverVoltage),
        (0x9, Self::UnderVoltage),
        (0xA, Self::OverCurrent),
        (0xB, Self::DriverOverTemperature),
        (0xC, Self::RotorOverTemperature),
        (0xD, Self::LostCommunication),
        (0xE, Self::Overload),
    ];

    /// As four bits.
    pub fn code(self) -> u8 {
        match self {
            Self::Other(code) => code & 0xF,
            known => Self::KNOWN.iter().find(|(_, it)| *it == known).map_or(0, |(code, _)| *code),
        }
    }

    /// From four bits.
    pub fn from_code(code: u8) -> Self {
        let known = Self::KNOWN.iter().find(|(it, _)| *it == code);
        known.map_or(Self::Other(code), |(_, status)| *status)
    }

    /// What is wrong, in words; `None` where nothing is.
    pub const fn fault(self) -> Option<&'static str> {
        Some(match self {
            Self::Disabled | Self::Enabled => return None,
            Self::OverVoltage => "over-voltage",
            Self::UnderVoltage => "under-voltage",
            Self::OverCurrent => "over-current",
            Self::DriverOverTemperature => "over-temperature of its power stage",
            Self::RotorOverTemperature => "over-temperature of its coil",
            Self::LostCommunication => "lost communication (its TIMEOUT has passed)",
            Self::Overload => "overload",
            Self::Other(_) => "a status of unknown code",
        })
    }
}

/// The answer to a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// The low four bits of the motor's identifier.
    pub id: u8,
    /// How it is.
    pub status: Status,
    /// What it measures.
    pub measured: Measured,
    /// Temperature of the power stage, in °C.
    pub driver_temperature: u8,
    /// Temperature of the coil, in °C.
    pub rotor_temperature: u8,
}

impl Feedback {
    /// As data bytes.
    pub fn encode(&self, ranges: &Ranges) -> [u8; MAX_DATA] {
        let [p, q, a, b, c] = self.measured.encode(ranges);
        let first = self.status.code() << 4 | self.id & 0xF;
        [first, p, q, a, b, c, self.driver_temperature, self.rotor_temperature]
    }

    /// From data bytes.
    pub fn parse(bytes: &[u8; MAX_DATA], ranges: &Ranges) -> Self {
        let [first, p, q, a, b, c, driver_temperature, rotor_temperature] = *bytes;
        Self {
            id: first & 0xF,
            status: Status::from_code(first >> 4),
            measured: Measured::parse([p, q, a, b, c], ranges),
            driver_temperature,
            rotor_temperature,
        }
    }
}
