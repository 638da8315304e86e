//! Bytes that go out together.

use std::fmt::Write;

/// A header line is the longest.
const LENGTH: usize = 240;

/// Bytes that go out together.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    bytes: [u8; LENGTH],
    length: usize,
}

impl Message {
    pub(super) const EMPTY: Self = Self { bytes: [0; LENGTH], length: 0 };

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Appends bytes; what does not fit is left out.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}
