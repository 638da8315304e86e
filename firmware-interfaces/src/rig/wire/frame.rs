//! Frames and the reader that finds them in a stream of bytes.

/// First two bytes of every frame.
pub const SYNC: [u8; 2] = [0xA5, 0x5A];
/// Largest payload in bytes.
pub const MAX_PAYLOAD: usize = 64;
/// Largest frame in bytes.
pub const MAX_FRAME: usize = field::PAYLOAD + MAX_PAYLOAD + field::CHECK;

mod field {
    pub(super) const KIND: usize = 2;
    pub(super) const SEQUENCE: usize = 3;
    pub(super) const LENGTH: usize = 4;
    pub(super) const PAYLOAD: usize = 5;
    /// Bytes of the check behind the payload.
    pub(super) const CHECK: usize = 2;
}

/// CRC-16/IBM-3740, also called CCITT-FALSE: polynomial 0x1021, start 0xFFFF, nothing reflected.
/// `"123456789"` gives 0x29B1.
pub const fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF;
    let mut index = 0;
    while index < bytes.len() {
        crc = (crc << 8) ^ TABLE[(crc >> 8) as usize ^ bytes[index] as usize];
        index += 1;
    }
    crc
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// One frame in a fixed buffer. It is always well formed: sync, length and check agree.
#[derive(Clone, Copy)]
pub struct Frame {
    bytes: [u8; MAX_FRAME],
    length: usize,
}

impl Frame {
    /// A frame with `payload`; `None` if that is longer than [`MAX_PAYLOAD`].
    pub fn new(kind: u8, sequence: u8, payload: &[u8]) -> Option<Self> {
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
        let mut bytes = [0; MAX_FRAME];
        bytes[..field::KIND].copy_from_slice(&SYNC);
        bytes[field::KIND] = kind;
        bytes[field::SEQUENCE] = sequence;
        bytes[field::LENGTH] = payload.len() as u8;
        let end = field::PAYLOAD + payload.len();
        bytes[field::PAYLOAD..end].copy_from_slice(payload);
        let crc = crc16(&bytes[field::KIND..end]);
        bytes[end..end + field::CHECK].copy_from_slice(&crc.to_le_bytes());
        Some(Self { bytes, length: end + field::CHECK })
    }

    /// A frame of type 0, which nothing has, without payload.
    pub(super) fn empty(sequence: u8) -> Self {
        let mut frame = Self { bytes: [0; MAX_FRAME], length: field::PAYLOAD + field::CHECK };
        frame.bytes[..field::KIND].copy_from_slice(&SYNC);
        frame.bytes[field::SEQUENCE] = sequence;
        let crc = crc16(&frame.bytes[field::KIND..field::PAYLOAD]).to_le_bytes();
        frame.bytes[field::PAYLOAD..field::PAYLOAD + field::CHECK].copy_from_slice(&crc);
        frame
    }

    /// The whole frame, sync to check.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The type byte.
    pub const fn kind(&self) -> u8 {
        self.bytes[field::KIND]
    }

    /// The sender's count of frames.
    pub const fn sequence(&self) -> u8 {
        self.bytes[field::SEQUENCE]
    }

    /// What stands between length and check.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[field::PAYLOAD..self.length - field::CHECK]
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Frame({:02x?})", self.as_bytes())
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Frame {}

/// Finds frames in a stream: resynchronises after garbage, stray sync bytes, impossible lengths,
/// cut and damaged frames, and is not confused by sync bytes inside a payload.
///
/// It has no clock, and needs none: a device that sends state all the time completes what a cut
/// frame has begun, and the frame behind it is found in what was held.
#[derive(Clone, Debug)]
pub struct FrameReader {
    buffer: [u8; MAX_FRAME],
    length: usize,
    skipped: u64,
    damaged: u64,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader that has seen nothing.
    pub const fn new() -> Self {
        Self { buffer: [0; MAX_FRAME], length: 0, skipped: 0, damaged: 0 }
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

    /// Forgets all held bytes; they count as skipped.
    pub fn reset(&mut self) {
        self.skip(self.length);
    }

    /// Bytes skipped so far because they belonged to no frame.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Frames so far whose check did not fit.
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    fn skip(&mut self, count: usize) {
        self.buffer.copy_within(count..self.length, 0);
        self.length -= count;
        self.skipped += count as u64;
    }

    /// Finds a whole frame at the front of the buffer, skipping what cannot start one.
    fn scan(&mut self) -> Option<Frame> {
        while self.length > 0 {
            let seen = self.length.min(SYNC.len());
            if self.buffer[..seen] != SYNC[..seen] {
                self.skip(1);
                continue;
            }
            if self.length <= field::LENGTH {
                return None;
            }
            let payload = usize::from(self.buffer[field::LENGTH]);
            if payload > MAX_PAYLOAD {
                self.skip(1);
                continue;
            }
            let end = field::PAYLOAD + payload;
            let total = end + field::CHECK;
            if self.length < total {
                return None;
            }
            let check = u16::from_le_bytes([self.buffer[end], self.buffer[end + 1]]);
            if check != crc16(&self.buffer[field::KIND..end]) {
                self.damaged += 1;
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
        let found = std::iter::from_fn(|| reader.next(&mut rest)).collect();
        (found, reader)
    }

    #[test]
    fn the_check_is_the_catalogues() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
        assert_eq!(crc16(b""), 0xFFFF);
    }

    #[test]
    fn a_frame_has_the_documented_bytes() {
        let frame = Frame::new(0x16, 7, &[]).unwrap();
        let crc = crc16(&[0x16, 7, 0]).to_le_bytes();
        assert_eq!(frame.as_bytes(), [0xA5, 0x5A, 0x16, 7, 0, crc[0], crc[1]]);
        assert!(Frame::new(1, 0, &[0; MAX_PAYLOAD]).is_some());
        assert!(Frame::new(1, 0, &[0; MAX_PAYLOAD + 1]).is_none());
    }

    #[test]
    fn sync_bytes_inside_a_payload_and_before_a_frame_do_no_harm() {
        let frame = Frame::new(1, 2, &[0xA5, 0x5A, 0xA5, 0x5A, 0x01]).unwrap();
        let bytes = [&[0xA5, 0xA5, 0x5A, 0xFF, 0x00, 0xFF][..], frame.as_bytes(), &[0xA5]].concat();
        let (found, reader) = frames(&bytes);
        assert_eq!(found, [frame]);
        assert_eq!(reader.skipped(), 6);
        assert!(reader.is_partial());
    }

    #[test]
    fn a_cut_frame_costs_none_of_those_behind_it() {
        let frame = Frame::new(1, 2, &[3; 60]).unwrap();
        let cut = &frame.as_bytes()[..40];
        let bytes = [cut, frame.as_bytes(), frame.as_bytes(), frame.as_bytes()].concat();
        let (found, reader) = frames(&bytes);
        assert_eq!(found.len(), 3);
        assert_eq!((reader.skipped(), reader.damaged()), (40, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_every_frame_found_is_well_formed(
            bytes in prop::collection::vec(
                prop_oneof![Just(0xA5), Just(0x5A), 0u8..=70, any::<u8>()], 0..600),
        ) {
            let (found, reader) = frames(&bytes);
            let framed: usize = found.iter().map(|frame| frame.as_bytes().len()).sum();
            prop_assert_eq!(framed + reader.length + reader.skipped() as usize, bytes.len());
            for frame in found {
                let again = Frame::new(frame.kind(), frame.sequence(), frame.payload());
                prop_assert_eq!(Some(frame), again);
            }
        }

        #[test]
        fn every_flipped_bit_is_seen(
            payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD), at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let frame = Frame::new(1, 9, &payload).unwrap();
            let mut bytes = frame.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // Enough behind it for any length that the damage may promise.
            bytes.extend([0; MAX_FRAME]);
            prop_assert!(!frames(&bytes).0.contains(&frame));
        }

        #[test]
        fn frames_in_garbage_are_found_however_the_stream_is_cut(
            parts in prop::collection::vec((
                prop::collection::vec(prop_oneof![0u8..0xA5, Just(0xFF)], 0..20),
                any::<u8>(),
                any::<u8>(),
                prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
            ), 1..8),
            cut in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            let mut sent = Vec::new();
            for (garbage, kind, sequence, payload) in &parts {
                bytes.extend_from_slice(garbage);
                let frame = Frame::new(*kind, *sequence, payload).unwrap();
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
