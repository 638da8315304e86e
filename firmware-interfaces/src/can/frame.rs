//! A classical CAN 2.0 data or remote frame, as plain data.

use std::fmt;

/// Most data bytes of a classical frame.
pub const MAX_DATA: usize = 8;
/// Largest standard identifier: 11 bits.
pub const MAX_STANDARD: u16 = 0x7FF;
/// Largest extended identifier: 29 bits.
pub const MAX_EXTENDED: u32 = 0x1FFF_FFFF;

/// An identifier: it addresses a frame and decides who wins the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// 11 bits, CAN 2.0A.
    Standard(u16),
    /// 29 bits, CAN 2.0B.
    Extended(u32),
}

impl Id {
    /// True where the number fits the kind.
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Standard(id) => id <= MAX_STANDARD,
            Self::Extended(id) => id <= MAX_EXTENDED,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(id) => write!(formatter, "0x{id:03X}"),
            Self::Extended(id) => write!(formatter, "0x{id:08X}"),
        }
    }
}

/// A frame of at most [`MAX_DATA`] bytes. Bytes past the length are 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    id: Id,
    remote: bool,
    length: u8,
    data: [u8; MAX_DATA],
}

impl Frame {
    /// A data frame; `None` for an identifier or a length that CAN has not.
    pub fn new(id: Id, bytes: &[u8]) -> Option<Self> {
        let mut data = [0; MAX_DATA];
        data.get_mut(..bytes.len())?.copy_from_slice(bytes);
        id.is_valid().then_some(Self { id, remote: false, length: bytes.len() as u8, data })
    }

    /// A remote frame: asks whoever owns `id` for `length` bytes.
    pub const fn remote(id: Id, length: u8) -> Option<Self> {
        if !id.is_valid() || length as usize > MAX_DATA {
            return None;
        }
        Some(Self { id, remote: true, length, data: [0; MAX_DATA] })
    }

    /// Eight bytes under a standard identifier, of which the low 11 bits count: for codecs whose
    /// identifiers are checked where they are configured.
    pub(crate) const fn standard(id: u16, data: [u8; MAX_DATA]) -> Self {
        Self { id: Id::Standard(id & MAX_STANDARD), remote: false, length: 8, data }
    }

    /// Likewise under an extended identifier, of which the low 29 bits count.
    pub(crate) const fn extended(id: u32, data: [u8; MAX_DATA]) -> Self {
        Self { id: Id::Extended(id & MAX_EXTENDED), remote: false, length: 8, data }
    }

    /// The same frame with its first `length` bytes only.
    pub(crate) fn shortened(mut self, length: u8) -> Self {
        self.length = length.min(self.length);
        self.data.iter_mut().skip(self.length.into()).for_each(|byte| *byte = 0);
        self
    }

    /// Identifier.
    pub const fn id(&self) -> Id {
        self.id
    }

    /// True for a remote frame, which has a length and no data.
    pub const fn is_remote(&self) -> bool {
        self.remote
    }

    /// Number of data bytes, or how many a remote frame asks for.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// The data; empty for a remote frame.
    pub fn data(&self) -> &[u8] {
        let length = if self.remote { 0 } else { usize::from(self.length) };
        self.data.get(..length).unwrap_or_default()
    }

    /// The data of a frame of exactly eight bytes.
    pub fn eight(&self) -> Option<[u8; MAX_DATA]> {
        (!self.remote && usize::from(self.length) == MAX_DATA).then_some(self.data)
    }

    /// How long the frame takes on a bus of `bitrate` bit/s, with stuff bits as in random data, in ns.
    ///
    /// ISO 11898-1: 44 bits around the data of a standard frame, 64 around those of an extended
    /// one, 3 between frames; one stuff bit in at most four bits from the start to the checksum.
    pub fn bus_time_ns(&self, bitrate: u32) -> u64 {
        let overhead = match self.id {
            Id::Standard(_) => 44,
            Id::Extended(_) => 64,
        };
        let bits = overhead + 8 * self.data().len() as u64;
        // About one stuff bit in sixteen: half of the bits begin a run, a run of five is rare.
        (bits + bits / 16 + 3) * 1_000_000_000 / u64::from(bitrate.max(1))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl fmt::Display for Frame {
    /// As candump's log: `123#DEADBEEF`, `123#R8`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Id::Standard(id) => write!(formatter, "{id:03X}#")?,
            Id::Extended(id) => write!(formatter, "{id:08X}#")?,
        }
        if self.remote {
            return write!(formatter, "R{}", self.length);
        }
        self.data().iter().try_for_each(|byte| write!(formatter, "{byte:02X}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_lengths_that_can_has_not_are_refused() {
        assert!(Frame::new(Id::Standard(MAX_STANDARD), &[0; 8]).is_some());
        assert!(Frame::new(Id::Standard(MAX_STANDARD + 1), &[]).is_none());
        assert!(Frame::new(Id::Extended(MAX_EXTENDED + 1), &[]).is_none());
        assert!(Frame::new(Id::Extended(MAX_EXTENDED), &[0; 9]).is_none());
        assert!(Frame::remote(Id::Standard(1), 9).is_none());
    }

    #[test]
    fn frames_are_shown_as_candump_shows_them() {
        let shown = |frame: Option<Frame>| frame.unwrap().to_string();
        assert_eq!(shown(Frame::new(Id::Standard(0x11), &[0xDE, 0xAD])), "011#DEAD");
        assert_eq!(shown(Frame::new(Id::Extended(0x1100AA7F), &[])), "1100AA7F#");
        assert_eq!(shown(Frame::remote(Id::Standard(0x29), 8)), "029#R8");
    }

    #[test]
    fn eight_bytes_take_an_eighth_of_a_millisecond_at_one_megabit() {
        let time = Frame::standard(1, [0; 8]).bus_time_ns(1_000_000);
        assert!((110_000..135_000).contains(&time), "{time}");
    }
}
