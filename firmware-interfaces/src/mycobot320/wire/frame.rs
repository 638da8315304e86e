//! Frames and the reader that finds them in a stream of bytes.

/// First two bytes of every frame.
pub const HEADER: u8 = 0xFE;
/// Last byte of every frame.
pub const FOOTER: u8 = 0xFA;
/// Largest value of the length byte. The vendor's client rejects more.
pub const MAX_LEN: u8 = 30;
/// Largest payload in bytes.
pub const MAX_PAYLOAD: usize = MAX_LEN as usize - 2;
/// Largest frame in bytes.
pub const MAX_FRAME: usize = MAX_LEN as usize + 3;

mod field {
    pub(super) const LEN: usize = 2;
    pub(super) const COMMAND: usize = 3;
    pub(super) const PAYLOAD: usize = 4;
    /// Command and footer, which the length byte counts besides the payload.
    pub(super) const OVERHEAD: u8 = 2;
}

/// One frame in a fixed buffer. It is always well formed: header, length and footer agree.
#[derive(Clone, Copy)]
pub struct Frame {
    bytes: [u8; MAX_FRAME],
    length: usize,
}

impl Frame {
    /// A frame with `payload`; `None` if that is longer than [`MAX_PAYLOAD`].
    pub fn new(command: u8, payload: &[u8]) -> Option<Self> {
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
        let mut frame = Self::empty(command);
        payload.iter().for_each(|byte| frame.append(*byte));
        Some(frame)
    }

    pub(super) const fn empty(command: u8) -> Self {
        let mut bytes = [0; MAX_FRAME];
        bytes[0] = HEADER;
        bytes[1] = HEADER;
        bytes[field::LEN] = field::OVERHEAD;
        bytes[field::COMMAND] = command;
        bytes[field::PAYLOAD] = FOOTER;
        Self { bytes, length: field::PAYLOAD + 1 }
    }

    /// Appends one byte of payload; past [`MAX_PAYLOAD`] it is left out. Messages never get
    /// there: the longest has 26 bytes.
    pub(super) fn append(&mut self, byte: u8) {
        if self.length < MAX_FRAME {
            self.bytes[self.length - 1] = byte;
            self.bytes[self.length] = FOOTER;
            self.bytes[field::LEN] += 1;
            self.length += 1;
        }
    }

    /// The whole frame, header to footer.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The command byte.
    pub const fn command(&self) -> u8 {
        self.bytes[field::COMMAND]
    }

    /// What stands between command and footer.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[field::PAYLOAD..self.length - 1]
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Frame(")?;
        for (index, byte) in self.as_bytes().iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(formatter, "{space}{byte:02x}")?;
        }
        formatter.write_str(")")
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Frame {}

/// Finds frames in a stream: resynchronises after garbage, stray header bytes, impossible
/// lengths and cut frames, and is not confused by header or footer bytes inside a payload.
///
/// It has no clock. A cut frame would make it wait for the missing bytes; whoever owns it calls
/// [`FrameReader::give_up`] when they are overdue.
#[derive(Clone, Debug)]
pub struct FrameReader {
    buffer: [u8; MAX_FRAME],
    length: usize,
    skipped: u64,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader that has seen nothing.
    pub const fn new() -> Self {
        Self { buffer: [0; MAX_FRAME], length: 0, skipped: 0 }
    }

    /// Takes bytes off the front of `bytes` until a frame is complete or none are left. Call it
    /// until it returns `None`.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        loop {
            if let Some(frame) = self.scan() {
                return Some(frame);
            }
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            // `scan` leaves room: it never waits for more than a whole frame.
            if let Some(place) = self.buffer.get_mut(self.length) {
                *place = *first;
                self.length += 1;
            }
        }
    }

    /// True while bytes of an unfinished frame are held.
    pub const fn is_partial(&self) -> bool {
        self.length > 0
    }

    /// Stops waiting for the rest of the frame that is being received: its first byte is skipped
    /// and the others are searched again by the next call of [`FrameReader::next`].
    pub fn give_up(&mut self) {
        if self.length > 0 {
            self.skip(1);
        }
    }

    /// Forgets all held bytes; they count as skipped.
    pub fn reset(&mut self) {
        self.skip(self.length);
    }

    /// Bytes skipped so far because they belonged to no frame.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn skip(&mut self, count: usize) {
        self.buffer.copy_within(count..self.length, 0);
        self.length -= count;
        self.skipped += count as u64;
    }

    /// Finds a whole frame at the front of the buffer, skipping what cannot start one.
    fn scan(&mut self) -> Option<Frame> {
        while let Some(first) = self.buffer[..self.length].first() {
            let header = *first == HEADER && (self.length < 2 || self.buffer[1] == HEADER);
            if !header {
                self.skip(1);
                continue;
            }
            if self.length <= field::LEN {
                return None;
            }
            let len = self.buffer[field::LEN];
            if !(field::OVERHEAD..=MAX_LEN).contains(&len) {
                self.skip(1);
                continue;
            }
            let total = usize::from(len) + 3;
            if self.length < total {
                return None;
            }
            if self.buffer[total - 1] != FOOTER {
                self.skip(1);
                continue;
            }
            let frame = Frame { bytes: self.buffer, length: total };
            self.buffer.copy_within(total..self.length, 0);
            self.length -= total;
            return Some(frame);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(bytes: &[u8]) -> (Vec<Frame>, FrameReader) {
        let mut reader = FrameReader::new();
        let mut rest = bytes;
        let mut found = Vec::new();
        while let Some(frame) = reader.next(&mut rest) {
            found.push(frame);
        }
        (found, reader)
    }

    const ACK: [u8; 6] = [0xFE, 0xFE, 0x03, 0x16, 0x01, 0xFA];

    #[test]
    fn header_and_footer_bytes_inside_a_payload_belong_to_it() {
        let frame = Frame::new(0x22, &[0xFE, 0xFE, 0xFA, 0x03, 0x22, 0xFA, 0xFE]).unwrap();
        let (found, reader) = frames(frame.as_bytes());
        assert_eq!(found, [frame]);
        assert_eq!(reader.skipped(), 0);
    }

    #[test]
    fn stray_headers_garbage_and_impossible_lengths_are_skipped() {
        for (noise, skipped) in [
            (&[0x00, 0xFA, 0x12][..], 3),
            (&[0xFE], 1),
            (&[0xFE, 0x07], 2),
            (&[0xFE, 0xFE, 0x1F], 3),
            (&[0xFE, 0xFE, 0x00], 3),
            (&[0xFE, 0xFE, 0x01], 3),
        ] {
            let bytes = [noise, &ACK, &ACK].concat();
            let (found, reader) = frames(&bytes);
            assert_eq!(found.len(), 2, "{bytes:02x?}");
            assert_eq!(reader.skipped(), skipped, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_frame_whose_footer_is_missing_is_searched_for_another() {
        let bytes = [&[0xFE, 0xFE, 0x05, 0x20][..], &ACK, &ACK].concat();
        let (found, _) = frames(&bytes);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn giving_up_on_a_cut_frame_frees_the_one_behind_it() {
        let bytes = [&[0xFE, 0xFE, 0x1E, 0x20, 0x01][..], &ACK].concat();
        let (found, mut reader) = frames(&bytes);
        assert!(found.is_empty() && reader.is_partial());
        let mut rest: &[u8] = &[];
        let found = std::iter::from_fn(|| {
            while reader.is_partial() {
                reader.give_up();
                if let Some(frame) = reader.next(&mut rest) {
                    return Some(frame);
                }
            }
            None
        });
        assert_eq!(found.count(), 1);
        assert_eq!(reader.skipped(), 5);
    }

    #[test]
    fn a_payload_past_the_limit_is_refused() {
        assert!(Frame::new(0x20, &[0; MAX_PAYLOAD]).is_some());
        assert!(Frame::new(0x20, &[0; MAX_PAYLOAD + 1]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_every_frame_found_is_well_formed(
            bytes in prop::collection::vec(
                prop_oneof![Just(HEADER), Just(FOOTER), 0u8..=31, any::<u8>()], 0..400),
        ) {
            let (found, reader) = frames(&bytes);
            let framed: usize = found.iter().map(|frame| frame.as_bytes().len()).sum();
            prop_assert_eq!(framed + reader.length + reader.skipped() as usize, bytes.len());
            for frame in found {
                prop_assert_eq!(Some(frame), Frame::new(frame.command(), frame.payload()));
            }
        }

        #[test]
        fn frames_in_garbage_are_found_however_the_stream_is_cut(
            parts in prop::collection::vec((
                prop::collection::vec(prop_oneof![0u8..HEADER, Just(0xFF)], 0..20),
                any::<u8>(),
                prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
            ), 1..8),
            cut in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            let mut sent = Vec::new();
            for (garbage, command, payload) in &parts {
                bytes.extend_from_slice(garbage);
                let frame = Frame::new(*command, payload).unwrap();
                bytes.extend_from_slice(frame.as_bytes());
                sent.push(frame);
            }
            let mut reader = FrameReader::new();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(cut) {
                while let Some(frame) = reader.next(&mut piece) {
                    found.push(frame);
                }
            }
            prop_assert_eq!(found, sent);
        }
    }
}
