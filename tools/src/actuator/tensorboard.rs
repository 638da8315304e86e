//! TensorBoard's event files: records of a length, the event as a protocol buffer, and two checksums.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes scalars.
pub struct Events {
    file: File,
}

impl Events {
    /// A new file in `folder`. `unix_s` goes into its name and its first event.
    pub fn create(folder: &Path, unix_s: f64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let name =
            format!("events.out.tfevents.{:010}.{}.sinew", unix_s as u64, std::process::id());
        let mut events = Self { file: File::create(folder.join(name))? };
        // Field 3: the version of the format.
        let mut event = header(unix_s, 0);
        bytes(&mut event, 3, b"brain.Event:2");
        events.write(&event)?;
        Ok(events)
    }

    /// One value of a curve.
    pub fn scalar(&mut self, unix_s: f64, step: u64, tag: &str, number: f64) -> io::Result<()> {
        // Summary { value (1): Value { tag (1), simple_value (2) } }, field 5 of the event.
        let mut value = Vec::new();
        bytes(&mut value, 1, tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend_from_slice(&(number as f32).to_le_bytes());
        let mut summary = Vec::new();
        bytes(&mut summary, 1, &value);
        let mut event = header(unix_s, step);
        bytes(&mut event, 5, &summary);
        self.write(&event)
    }

    fn write(&mut self, event: &[u8]) -> io::Result<()> {
        let length = (event.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend_from_slice(&masked(&length).to_le_bytes());
        record.extend_from_slice(event);
        record.extend_from_slice(&masked(event).to_le_bytes());
        self.file.write_all(&record)
    }
}

/// Wall time (field 1, double) and step (field 2, varint).
fn header(unix_s: f64, step: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend_from_slice(&unix_s.to_le_bytes());
    if step > 0 {
        event.push(2 << 3);
        varint(&mut event, step);
    }
    event
}

fn bytes(to: &mut Vec<u8>, field: u8, content: &[u8]) {
    to.push(field << 3 | 2);
    varint(to, content.len() as u64);
    to.extend_from_slice(content);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// CRC-32C, turned and shifted as the format asks.
fn masked(content: &[u8]) -> u32 {
    crc32c::crc32c(content).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_length_and_checksums_of_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 1.5).unwrap();
        events.scalar(2.5, 300, "loss", 0.25).unwrap();
        let file = folder.path().read_dir().unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(file).unwrap();
        let mut rest = &bytes[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(*rest.first_chunk().unwrap()) as usize;
            let checks = [&rest[..8], &rest[12..12 + length]].map(masked);
            assert_eq!(rest[8..12], checks[0].to_le_bytes());
            assert_eq!(rest[12 + length..16 + length], checks[1].to_le_bytes());
            events.push(&rest[12..12 + length]);
            rest = &rest[16 + length..];
        }
        assert_eq!(events.len(), 2);
        assert!(events[0].ends_with(b"brain.Event:2"));
        // Step 300 as a varint, the tag, and a quarter as a 32-bit number.
        assert_eq!(events[1][9..12], [2 << 3, 0xac, 0x02]);
        assert!(events[1].windows(4).any(|part| part == b"loss"));
        assert!(events[1].ends_with(&0.25_f32.to_le_bytes()));
        // CRC-32C of RFC 3720: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }
}
