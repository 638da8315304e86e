//! A CAN bus as a driver sees it, whatever is in between.

use std::io::ErrorKind;
use std::time::Duration;

use super::frame::Frame;

/// What a controller's error counters have made of it (ISO 11898-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// All is well.
    #[default]
    Active,
    /// A counter has passed 96: something disturbs the bus.
    Warning,
    /// A counter has passed 127: the controller no longer reports errors it sees.
    Passive,
    /// The transmit counter has passed 255: the controller has left the bus.
    BusOff,
}

impl Condition {
    /// The letter that Linux's `slcan` has for it.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Active => b'a',
            Self::Warning => b'w',
            Self::Passive => b'p',
            Self::BusOff => b'b',
        }
    }

    /// The condition of a letter.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'a' => Self::Active,
            b'w' => Self::Warning,
            b'p' => Self::Passive,
            b'b' => Self::BusOff,
            _ => return None,
        })
    }
}

/// Something that came from the bus or from its adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame of another node.
    Frame(Frame),
    /// The controller's state, as it is or as it has become.
    Condition(Condition),
    /// Frames were lost because a queue was full.
    Overrun,
    /// The adapter refused a request, or a frame.
    Refused,
    /// Bytes that were no line of the adapter's protocol.
    Garbage(u64),
}

/// Why a bus cannot be used any more. It must be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The port or socket reported an error.
    #[error("{0}")]
    Port(ErrorKind),
}

/// An open bus. No call blocks without a limit.
pub trait Bus: Send {
    /// Sends a frame.
    ///
    /// # Errors
    /// [`BusError`] when the bus must be opened again.
    fn send(&mut self, frame: &Frame) -> Result<(), BusError>;

    /// The next event, waiting up to `wait` for one.
    ///
    /// # Errors
    /// [`BusError`] when the bus must be opened again.
    fn receive(&mut self, wait: Duration) -> Result<Option<Event>, BusError>;

    /// Asks the adapter how the bus is, where that must be asked for; the answer comes as an
    /// [`Event`].
    ///
    /// # Errors
    /// [`BusError`] when the bus must be opened again.
    fn ask_condition(&mut self) -> Result<(), BusError> {
        Ok(())
    }
}
