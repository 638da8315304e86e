//! Messages in CDR, as ROS 2 writes them: XCDR version 1, little endian, every number aligned to
//! its size, counted from behind the four bytes that name the encoding (OMG DDS-XTypes 1.3, 7.4).

/// Representation identifier CDR_LE and two bytes of options.
const ENCAPSULATION: [u8; 4] = [0, 1, 0, 0];

/// A message being written. Its memory serves one message after the other.
#[derive(Debug, Default)]
pub(super) struct Cdr {
    bytes: Vec<u8>,
}

impl Cdr {
    /// Begins a message and forgets the last.
    pub fn begin(&mut self) -> &mut Self {
        self.bytes.clear();
        self.bytes.extend_from_slice(&ENCAPSULATION);
        self
    }

    /// The message so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn aligned<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        let behind = self.bytes.len() - ENCAPSULATION.len();
        self.bytes.resize(ENCAPSULATION.len() + behind.next_multiple_of(N), 0);
        self.bytes.extend_from_slice(&bytes);
        self
    }

    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.aligned([value])
    }

    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.aligned(value.to_le_bytes())
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.aligned(value.to_le_bytes())
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.aligned(value.to_le_bytes())
    }

    pub fn f64(&mut self, value: f64) -> &mut Self {
        self.aligned(value.to_le_bytes())
    }

    /// The length of a sequence or string. No journal record is as long as a `u32` counts.
    fn length(&mut self, length: usize) -> &mut Self {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX))
    }

    /// A string: length with the closing zero, bytes, zero.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.length(text.len() + 1);
        self.bytes.extend_from_slice(text.as_bytes());
        self.u8(0)
    }

    pub fn strings<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) -> &mut Self {
        self.length(texts.len());
        for text in texts {
            self.string(text);
        }
        self
    }

    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.length(octets.len());
        self.bytes.extend_from_slice(octets);
        self
    }

    pub fn u16s(&mut self, values: &[u16]) -> &mut Self {
        self.length(values.len());
        for value in values {
            self.u16(*value);
        }
        self
    }

    /// An empty sequence has no padding behind its length.
    pub fn f64s(&mut self, values: impl ExactSizeIterator<Item = f64>) -> &mut Self {
        self.length(values.len());
        for value in values {
            self.f64(value);
        }
        self
    }

    /// `builtin_interfaces/Time` from ns since the Unix epoch. Its seconds end in 2038.
    pub fn time(&mut self, unix_ns: u64) -> &mut Self {
        const SECOND: u64 = 1_000_000_000;
        let seconds = i32::try_from(unix_ns / SECOND).unwrap_or(i32::MAX);
        self.aligned(seconds.to_le_bytes());
        self.u32((unix_ns % SECOND) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_from_behind_the_encapsulation() {
        let mut cdr = Cdr::default();
        cdr.begin().u8(7).f64(1.0).u8(8).u16(0x0102).u8(9).u32(5);
        let mut expected = vec![0, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        expected.extend(1.0_f64.to_le_bytes());
        expected.extend([8, 0, 2, 1, 9, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(cdr.bytes(), expected);
    }

    #[test]
    fn strings_end_in_a_counted_zero_and_empty_sequences_are_only_a_length() {
        let mut cdr = Cdr::default();
        cdr.begin().string("ab").f64s([].into_iter()).octets(&[5]).strings(["", "c"].into_iter());
        let expected = [
            [0, 1, 0, 0].as_slice(),
            &[3, 0, 0, 0, b'a', b'b', 0, 0],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 5, 0, 0, 0],
            &[2, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, b'c', 0],
        ]
        .concat();
        assert_eq!(cdr.bytes(), expected);
    }

    #[test]
    fn times_are_seconds_and_nanoseconds_and_stop_where_ros_stops() {
        let mut cdr = Cdr::default();
        cdr.begin().time(3_000_000_007);
        assert_eq!(cdr.bytes(), [0, 1, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0]);
        cdr.begin().time(u64::MAX);
        assert_eq!(cdr.bytes()[4..8], i32::MAX.to_le_bytes());
    }
}
