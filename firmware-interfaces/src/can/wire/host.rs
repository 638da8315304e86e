//! What a host asks of an adapter.

use super::super::frame::Frame;
use super::text::{self, Text};

/// Bit rates that every adapter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitrate {
    /// `S0`
    K10,
    /// `S1`
    K20,
    /// `S2`
    K50,
    /// `S3`
    K100,
    /// `S4`
    K125,
    /// `S5`
    K250,
    /// `S6`
    K500,
    /// `S7`; python-can takes it for 750 kbit/s.
    K800,
    /// `S8`
    M1,
}

impl Bitrate {
    /// All of them, by the digit behind `S`.
    pub const ALL: [Self; 9] = [
        Self::K10,
        Self::K20,
        Self::K50,
        Self::K100,
        Self::K125,
        Self::K250,
        Self::K500,
        Self::K800,
        Self::M1,
    ];

    /// In bit/s.
    pub const fn bits_per_second(self) -> u32 {
        match self {
            Self::K10 => 10_000,
            Self::K20 => 20_000,
            Self::K50 => 50_000,
            Self::K100 => 100_000,
            Self::K125 => 125_000,
            Self::K250 => 250_000,
            Self::K500 => 500_000,
            Self::K800 => 800_000,
            Self::M1 => 1_000_000,
        }
    }

    /// The one of so many kbit/s.
    pub fn from_kbit(kbit: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|rate| rate.bits_per_second() == kbit.saturating_mul(1000))
    }

    fn digit(self) -> u8 {
        Self::ALL.iter().position(|rate| *rate == self).map_or(b'8', |index| b'0' + index as u8)
    }
}

/// A line from host to adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// An empty line, which ends whatever was begun.
    Empty,
    /// Leave the bus.
    Close,
    /// Choose the bit rate; the channel must be closed.
    Bitrate(Bitrate),
    /// Choose the bit rate by the registers of an SJA1000.
    Timing(u16),
    /// Join the bus.
    Open,
    /// Join the bus without sending anything, acknowledgements included.
    Listen,
    /// Ask for the status flags; asking clears them.
    Flags,
    /// Ask for the versions of hardware and firmware.
    Version,
    /// Ask for the serial number.
    Serial,
    /// Switch times of received frames.
    Times(bool),
    /// Send a frame.
    Transmit(Frame),
}

impl Request {
    /// As bytes.
    pub fn encode(&self) -> Text {
        let mut text = Text::new();
        match self {
            Self::Empty => {}
            Self::Close => text.push(b'C'),
            Self::Bitrate(rate) => {
                text.push(b'S');
                text.push(rate.digit());
            }
            Self::Timing(registers) => {
                text.push(b's');
                text.hex((*registers).into(), 4);
            }
            Self::Open => text.push(b'O'),
            Self::Listen => text.push(b'L'),
            Self::Flags => text.push(b'F'),
            Self::Version => text.push(b'V'),
            Self::Serial => text.push(b'N'),
            Self::Times(on) => {
                text.push(b'Z');
                text.push(if *on { b'1' } else { b'0' });
            }
            Self::Transmit(frame) => text.frame(frame),
        }
        text.end()
    }

    /// From a line without its end; `None` for what is no request.
    pub fn parse(line: &[u8]) -> Option<Self> {
        Some(match line {
            [] => Self::Empty,
            b"C" => Self::Close,
            b"O" => Self::Open,
            b"L" => Self::Listen,
            b"F" => Self::Flags,
            b"V" => Self::Version,
            b"N" => Self::Serial,
            b"Z0" => Self::Times(false),
            b"Z1" => Self::Times(true),
            [b'S', digit @ b'0'..=b'8'] => {
                Self::Bitrate(*Bitrate::ALL.get(usize::from(digit - b'0'))?)
            }
            [b's', registers @ ..] if registers.len() == 4 => {
                Self::Timing(text::number(registers)? as u16)
            }
            _ => match text::frame(line)? {
                (frame, []) => Self::Transmit(frame),
                _ => return None,
            },
        })
    }
}
