//! What an adapter says.

use super::super::bus::Condition;
use super::super::frame::{Frame, Id};
use super::text::{self, Line, Text};

/// Status flags since they were asked for last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The receive queue is full.
    pub const RECEIVE_FULL: u8 = 1 << 0;
    /// The transmit queue is full: frames do not leave.
    pub const TRANSMIT_FULL: u8 = 1 << 1;
    /// An error counter has passed 96.
    pub const WARNING: u8 = 1 << 2;
    /// Received frames were lost.
    pub const OVERRUN: u8 = 1 << 3;
    /// An error counter has passed 127.
    pub const PASSIVE: u8 = 1 << 5;
    /// Lost the bus to a frame of higher priority; ordinary.
    pub const ARBITRATION_LOST: u8 = 1 << 6;
    /// An error on the bus.
    pub const BUS_ERROR: u8 = 1 << 7;

    /// True where any of `flags` is set.
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags != 0
    }

    /// What the flags say about the controller. They have no bit for bus-off: errors on the bus
    /// together with a transmit queue that does not empty are taken for it.
    pub const fn condition(self) -> Condition {
        if self.has(Self::BUS_ERROR) && self.has(Self::TRANSMIT_FULL) {
            Condition::BusOff
        } else if self.has(Self::PASSIVE) {
            Condition::Passive
        } else if self.has(Self::WARNING | Self::BUS_ERROR) {
            Condition::Warning
        } else {
            Condition::Active
        }
    }
}

/// A line from adapter to host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An empty line: done.
    Done,
    /// BEL: refused.
    Refused,
    /// `z` or `Z`: the frame was taken, with its kind of identifier.
    Sent {
        /// True for `Z`.
        extended: bool,
    },
    /// Status flags.
    Flags(Flags),
    /// Versions of hardware and firmware, four digits.
    Version([u8; 4]),
    /// Serial number, four characters.
    Serial([u8; 4]),
    /// A frame from the bus.
    Received {
        /// The frame.
        frame: Frame,
        /// When it arrived, in ms modulo 60000, where times are on.
        time: Option<u16>,
    },
    /// The controller's state has changed (as Linux's `slcan` reads it).
    State {
        /// The new state.
        condition: Condition,
        /// Receive error counter.
        receive_errors: u16,
        /// Transmit error counter.
        transmit_errors: u16,
    },
}

impl Reply {
    /// As bytes.
    pub fn encode(&self) -> Text {
        let mut text = Text::new();
        match self {
            Self::Done => {}
            Self::Refused => return text.refuse(),
            Self::Sent { extended } => text.push(if *extended { b'Z' } else { b'z' }),
            Self::Flags(flags) => {
                text.push(b'F');
                text.hex(flags.0.into(), 2);
            }
            Self::Version(version) => {
                text.push(b'V');
                version.iter().for_each(|digit| text.push(*digit));
            }
            Self::Serial(serial) => {
                text.push(b'N');
                serial.iter().for_each(|character| text.push(*character));
            }
            Self::Received { frame, time } => {
                text.frame(frame);
                if let Some(time) = time {
                    text.hex((*time).into(), 4);
                }
            }
            Self::State { condition, receive_errors, transmit_errors } => {
                text.push(b's');
                text.push(condition.letter());
                for count in [receive_errors, transmit_errors] {
                    let count = (*count).min(999);
                    for divisor in [100, 10, 1] {
                        text.push(b'0' + (count / divisor % 10) as u8);
                    }
                }
            }
        }
        text.end()
    }

    /// From a line; `None` for what is no reply.
    pub fn parse(line: &Line) -> Option<Self> {
        if line.refused {
            // What stood before the bell is the echo of some adapters, or noise.
            return Some(Self::Refused);
        }
        Some(match line.as_bytes() {
            [] => Self::Done,
            b"z" => Self::Sent { extended: false },
            b"Z" => Self::Sent { extended: true },
            [b'F', digits @ ..] if digits.len() == 2 => {
                Self::Flags(Flags(text::number(digits)? as u8))
            }
            [b'V', version @ ..] => Self::Version(version.try_into().ok()?),
            [b'N', serial @ ..] => Self::Serial(serial.try_into().ok()?),
            [b's', letter, counts @ ..] if counts.len() == 6 => {
                let (receive, transmit) = counts.split_at_checked(3)?;
                Self::State {
                    condition: Condition::from_letter(*letter)?,
                    receive_errors: decimal(receive)?,
                    transmit_errors: decimal(transmit)?,
                }
            }
            bytes => {
                let (frame, rest) = text::frame(bytes)?;
                let time = match rest.len() {
                    0 => None,
                    4 => Some(text::number(rest)? as u16),
                    _ => return None,
                };
                Self::Received { frame, time }
            }
        })
    }

    /// The acknowledgement of a frame with this identifier.
    pub const fn sent(id: Id) -> Self {
        Self::Sent { extended: matches!(id, Id::Extended(_)) }
    }
}

fn decimal(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |value: u16, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}
