//! Little-endian numbers in payloads.

use super::WireError;

/// Reads a payload front to back. Its length has been checked before.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        if let Some((front, rest)) = self.bytes.split_at_checked(N) {
            taken.copy_from_slice(front);
            self.bytes = rest;
        }
        taken
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.bytes())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    pub(super) fn real(&mut self, field: &'static str) -> Result<f64, WireError> {
        let value = f32::from_le_bytes(self.bytes());
        if value.is_finite() { Ok(value.into()) } else { Err(WireError::NotFinite { field }) }
    }
}

/// Reals travel in four bytes: 1e-7 of the value, far below any sensor's noise.
pub(super) const fn real(value: f64) -> [u8; 4] {
    (value as f32).to_le_bytes()
}
