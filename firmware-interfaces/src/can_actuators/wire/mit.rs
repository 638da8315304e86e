//! The control frames of the MIT mini cheetah, which T-Motor's (CubeMars') AK series and Damiao's
//! motors speak: five numbers in eight bytes, big-endian, on a standard identifier.
//!
//! The motor makes `torque = stiffness · (position - q) + damping · (velocity - dq) + torque`.
//!
//! | bits | 16 | 12 | 12 | 12 | 12 |
//! |---|---|---|---|---|---|
//! | command | position | velocity | stiffness | damping | torque |
//!
//! | byte | 0 | 1, 2 | 3, 4 high | 4 low, 5 | 6 | 7 |
//! |---|---|---|---|---|---|---|
//! | answer | id | position | velocity | torque | temperature (AK) | error (AK) |
//!
//! Ranges differ from model to model and are not in the frames: whoever takes the wrong model reads
//! plausible nonsense.

use super::span::{OutOfSpan, Span};
use crate::can::MAX_DATA;

/// Switches the motor on.
pub const ENABLE: [u8; MAX_DATA] = special(0xFC);
/// Switches it off: no torque.
pub const DISABLE: [u8; MAX_DATA] = special(0xFD);
/// Makes the present position 0. The driver never sends it: a T-Motor is deaf for a second
/// afterwards, and every limit shifts.
pub const ZERO: [u8; MAX_DATA] = special(0xFE);
/// Clears a fault; Damiao's only.
pub const CLEAR: [u8; MAX_DATA] = special(0xFB);

const fn special(last: u8) -> [u8; MAX_DATA] {
    let mut bytes = [0xFF; MAX_DATA];
    bytes[MAX_DATA - 1] = last;
    bytes
}

/// What the codes of a model stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranges {
    /// rad, 16 bits.
    pub position: Span,
    /// rad/s.
    pub velocity: Span,
    /// N·m/rad.
    pub stiffness: Span,
    /// N·m·s/rad.
    pub damping: Span,
    /// N·m.
    pub torque: Span,
}

impl Ranges {
    /// Ranges in codes of 16 bits for the position and `bits` for the others.
    pub const fn new(bits: u32, [position, velocity, torque]: [f64; 3], gains: [f64; 2]) -> Self {
        let [stiffness, damping] = gains;
        Self {
            position: Span::symmetric("position in rad", position, 16),
            velocity: Span::symmetric("velocity in rad/s", velocity, bits),
            stiffness: Span::positive("stiffness in N·m/rad", stiffness, bits),
            damping: Span::positive("damping in N·m·s/rad", damping, bits),
            torque: Span::symmetric("torque in N·m", torque, bits),
        }
    }
}

/// One command.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Control {
    /// rad
    pub position: f64,
    /// rad/s
    pub velocity: f64,
    /// N·m/rad
    pub stiffness: f64,
    /// N·m·s/rad
    pub damping: f64,
    /// N·m, on top of the other terms.
    pub torque: f64,
}

/// What a motor is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request {
    /// [`ENABLE`]
    Enable,
    /// [`DISABLE`]
    Disable,
    /// [`ZERO`]
    Zero,
    /// [`CLEAR`]
    Clear,
    /// Anything else.
    Control(Control),
}

impl Request {
    /// As data bytes.
    ///
    /// # Errors
    /// [`OutOfSpan`] names the number that has no code.
    pub fn encode(&self, ranges: &Ranges) -> Result<[u8; MAX_DATA], OutOfSpan> {
        Ok(match self {
            Self::Enable => ENABLE,
            Self::Disable => DISABLE,
            Self::Zero => ZERO,
            Self::Clear => CLEAR,
            Self::Control(control) => {
                let position = ranges.position.encode(control.position)?.to_be_bytes();
                let velocity = ranges.velocity.encode(control.velocity)?;
                let stiffness = ranges.stiffness.encode(control.stiffness)?;
                let damping = ranges.damping.encode(control.damping)?;
                let torque = ranges.torque.encode(control.torque)?;
                let [a, b, c] = two_of_twelve(velocity, stiffness);
                let [d, e, f] = two_of_twelve(damping, torque);
                [position[0], position[1], a, b, c, d, e, f]
            }
        })
    }

    /// From data bytes. Every eight bytes mean something.
    pub fn parse(bytes: &[u8; MAX_DATA], ranges: &Ranges) -> Self {
        match *bytes {
            ENABLE => Self::Enable,
            DISABLE => Self::Disable,
            ZERO => Self::Zero,
            CLEAR => Self::Clear,
            [p, q, a, b, c, d, e, f] => {
                let (velocity, stiffness) = from_two_of_twelve([a, b, c]);
                let (damping, torque) = from_two_of_twelve([d, e, f]);
                Self::Control(Control {
                    position: ranges.position.decode(u16::from_be_bytes([p, q])),
                    velocity: ranges.velocity.decode(velocity),
                    stiffness: ranges.stiffness.decode(stiffness),
                    damping: ranges.damping.decode(damping),
                    torque: ranges.torque.decode(torque),
                })
            }
        }
    }
}

/// What a motor measures: the middle of every answer of the family.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// rad
    pub position: f64,
    /// rad/s
    pub velocity: f64,
    /// N·m, from the current.
    pub torque: f64,
}

impl Measured {
    /// As five bytes; what lies outside the ranges saturates.
    pub fn encode(&self, ranges: &Ranges) -> [u8; 5] {
        let position = ranges.position.saturate(self.position).0.to_be_bytes();
        let velocity = ranges.velocity.saturate(self.velocity).0;
        let torque = ranges.torque.saturate(self.torque).0;
        let [a, b, c] = two_of_twelve(velocity, torque);
        [position[0], position[1], a, b, c]
    }

    /// From five bytes.
    pub fn parse([p, q, a, b, c]: [u8; 5], ranges: &Ranges) -> Self {
        let (velocity, torque) = from_two_of_twelve([a, b, c]);
        Self {
            position: ranges.position.decode(u16::from_be_bytes([p, q])),
            velocity: ranges.velocity.decode(velocity),
            torque: ranges.torque.decode(torque),
        }
    }
}

/// The answer of a mini cheetah (6 bytes) or an AK motor (8 bytes).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// Who answers.
    pub id: u8,
    /// What it measures.
    pub measured: Measured,
    /// Temperature in °C and error, where the motor says them.
    pub health: Option<(i8, Fault)>,
}

impl Feedback {
    /// As data bytes, with how many of them count.
    pub fn encode(&self, ranges: &Ranges) -> ([u8; MAX_DATA], u8) {
        let [p, q, a, b, c] = self.measured.encode(ranges);
        match self.health {
            None => ([self.id, p, q, a, b, c, 0, 0], 6),
            Some((temperature, fault)) => {
                ([self.id, p, q, a, b, c, temperature as u8, fault.code()], 8)
            }
        }
    }

    /// From six or eight data bytes; `None` for other lengths.
    pub fn parse(bytes: &[u8], ranges: &Ranges) -> Option<Self> {
        let (&[id, p, q, a, b, c], rest) = bytes.split_first_chunk::<6>()?;
        let health = match rest {
            [] => None,
            [temperature, fault] => Some((*temperature as i8, Fault::from_code(*fault))),
            _ => return None,
        };
        Some(Self { id, measured: Measured::parse([p, q, a, b, c], ranges), health })
    }
}

/// What an AK motor says is wrong (CubeMars' manual of the AK series).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Over-temperature.
    OverTemperature,
    /// Over-current.
    OverCurrent,
    /// Over-voltage.
    OverVoltage,
    /// Under-voltage.
    UnderVoltage,
    /// Encoder.
    Encoder,
    /// Phases not in balance.
    PhaseUnbalance,
    /// A code that the manual has not.
    Other(u8),
}

impl Fault {
    const KNOWN: [Self; 7] = [
        Self::None,
        Self::OverTemperature,
        Self::OverCurrent,
        Self::OverVoltage,
        Self::UnderVoltage,
        Self::Encoder,
        Self::PhaseUnbalance,
    ];

    /// As a byte.
    pub fn code(self) -> u8 {
        match self {
            Self::Other(code) => code,
            known => Self::KNOWN.iter().position(|it| *it == known).unwrap_or(0) as u8,
        }
    }

    /// From a byte.
    pub fn from_code(code: u8) -> Self {
        Self::KNOWN.get(usize::from(code)).copied().unwrap_or(Self::Other(code))
    }

    /// In words; `None` where nothing is wrong.
    pub const fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::OverTemperature => "over-temperature",
            Self::OverCurrent => "over-current",
            Self::OverVoltage => "over-voltage",
            Self::UnderVoltage => "under-voltage",
            Self::Encoder => "an encoder fault",
            Self::PhaseUnbalance => "unbalanced phases",
            Self::Other(_) => "a fault of unknown code",
        })
    }
}

/// Two codes of 12 bits in three bytes.
const fn two_of_twelve(first: u16, second: u16) -> [u8; 3] {
    [(first >> 4) as u8, ((first << 4) as u8) | ((second >> 8) as u8 & 0xF), second as u8]
}

const fn from_two_of_twelve([a, b, c]: [u8; 3]) -> (u16, u16) {
    ((a as u16) << 4 | (b as u16) >> 4, ((b as u16) & 0xF) << 8 | c as u16)
}
