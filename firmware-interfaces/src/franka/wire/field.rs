//! Little-endian numbers in messages.

use super::WireError;

/// Reads a message front to back. Its length has been checked before.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
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

    pub(super) fn flag(&mut self) -> bool {
        self.u8() != 0
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
        let value = f64::from_le_bytes(self.bytes());
        if value.is_finite() { Ok(value) } else { Err(WireError::NotFinite { field }) }
    }

    pub(super) fn reals<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[f64; N], WireError> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = self.real(field)?;
        }
        Ok(values)
    }
}

pub(super) fn put_reals(out: &mut Vec<u8>, values: &[f64]) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

pub(super) const fn check(
    what: &'static str,
    bytes: &[u8],
    expected: usize,
) -> Result<(), WireError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(WireError::Length { what, length: bytes.len(), expected })
    }
}
