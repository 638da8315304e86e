//! The bytes around a record.

/// Name of the journal in a run's folder.
pub const FILE_NAME: &str = "journal.sinew";

/// Version of the layout and of the records' fields.
pub const VERSION: u32 = 4;

/// Largest payload of one record, in bytes. A longer length in a file is damage.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

pub(super) const MAGIC: [u8; 8] = *b"SINEWJNL";

/// Length of magic and version.
pub(super) const PREAMBLE_BYTES: usize = 12;

/// Length of a record's length and checksum.
pub(super) const FRAME_BYTES: usize = 8;

/// The length is part of the sum: a wrong length cannot pass with a right payload.
pub(super) fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// Length and checksum of a frame header.
pub(super) fn parse(header: [u8; FRAME_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = header;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

/// The first bytes of a file.
pub(super) fn preamble() -> [u8; PREAMBLE_BYTES] {
    let [a, b, c, d] = VERSION.to_le_bytes();
    let [m0, m1, m2, m3, m4, m5, m6, m7] = MAGIC;
    [m0, m1, m2, m3, m4, m5, m6, m7, a, b, c, d]
}
