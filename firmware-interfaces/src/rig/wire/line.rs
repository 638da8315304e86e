//! Lines in a stream of bytes.

/// Longest line in bytes, without its end.
pub const MAX_LINE: usize = 256;

/// Cuts a stream into lines. What is longer than [`MAX_LINE`] is skipped to its end.
#[derive(Clone, Debug)]
pub struct LineReader {
    buffer: [u8; MAX_LINE],
    length: usize,
    /// Inside a line that is too long.
    overlong: bool,
    skipped: u64,
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new()
    }
}

impl LineReader {
    /// A reader that has seen nothing.
    pub const fn new() -> Self {
        Self { buffer: [0; MAX_LINE], length: 0, overlong: false, skipped: 0 }
    }

    /// Takes bytes off the front of `bytes` until a line is complete or none are left, and hands the
    /// line to `take`, without its end and without white space around it. Lines with nothing in them
    /// are left out. `None` when no line is complete; call it until then.
    pub fn next<T>(&mut self, bytes: &mut &[u8], take: impl FnOnce(&[u8]) -> T) -> Option<T> {
        loop {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            if *first != b'\n' {
                self.push(*first);
                continue;
            }
            let length = std::mem::take(&mut self.length);
            if std::mem::take(&mut self.overlong) {
                self.skipped += length as u64 + 1;
                continue;
            }
            let line = self.buffer.get(..length).unwrap_or_default().trim_ascii();
            if !line.is_empty() {
                return Some(take(line));
            }
        }
    }

    /// Forgets the line that has begun; it counts as skipped.
    pub fn reset(&mut self) {
        self.skipped += self.length as u64;
        self.length = 0;
        self.overlong = false;
    }

    /// Bytes skipped so far in lines that were too long.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn push(&mut self, byte: u8) {
        match self.buffer.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => {
                self.overlong = true;
                self.skipped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(bytes: &[u8], cut: usize) -> (Vec<Vec<u8>>, LineReader) {
        let mut reader = LineReader::new();
        let mut found = Vec::new();
        for mut piece in bytes.chunks(cut) {
            while let Some(line) = reader.next(&mut piece, <[u8]>::to_vec) {
                found.push(line);
            }
        }
        (found, reader)
    }

    #[test]
    fn ends_of_both_kinds_and_empty_lines_are_no_lines_of_their_own() {
        let (found, _) = lines(b"a,b\r\n\n\r\n  c \nd", 3);
        assert_eq!(found, [b"a,b".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_one_is_found() {
        let bytes = [&[b'x'; 1000][..], b"\nnext\n", &[b'y'; MAX_LINE], b"\n"].concat();
        let (found, reader) = lines(&bytes, 7);
        assert_eq!(found, [b"next".to_vec(), vec![b'y'; MAX_LINE]]);
        assert_eq!(reader.skipped(), 1001);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_stream_is_cut(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..800),
            cut in 1usize..50,
        ) {
            prop_assert_eq!(lines(&bytes, cut).0, lines(&bytes, bytes.len().max(1)).0);
        }
    }
}
