//! Lines and their digits.

use super::super::frame::{Frame, Id, MAX_DATA};

/// Longest line: `T`, identifier, length, eight bytes and a time.
pub const MAX_LINE: usize = 1 + 8 + 1 + 2 * MAX_DATA + 4;

/// End of a line.
const CR: u8 = b'\r';
/// End of a line that says no.
const BEL: u8 = 0x07;

/// A complete line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    bytes: [u8; MAX_LINE],
    length: usize,
    /// True where it ended with BEL.
    pub refused: bool,
}

impl Line {
    /// The bytes of the line.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Cuts a stream of bytes into lines. Lines longer than any of the protocol are dropped whole.
#[derive(Clone, Debug)]
pub struct LineReader {
    line: Line,
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
        let line = Line { bytes: [0; MAX_LINE], length: 0, refused: false };
        Self { line, overlong: false, skipped: 0 }
    }

    /// Takes bytes from the front of `bytes` up to the end of the next line; `None` when they are
    /// used up.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Line> {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            match *byte {
                end @ (CR | BEL) => {
                    let line = Line { refused: end == BEL, ..self.line };
                    self.line.length = 0;
                    if !std::mem::take(&mut self.overlong) {
                        return Some(line);
                    }
                }
                // Some adapters end lines the way terminals do.
                b'\n' if self.line.length == 0 => {}
                byte => match self.line.bytes.get_mut(self.line.length) {
                    Some(place) if !self.overlong => {
                        *place = byte;
                        self.line.length += 1;
                    }
                    _ => {
                        self.skipped += 1 + self.line.length as u64;
                        self.line.length = 0;
                        self.overlong = true;
                    }
                },
            }
        }
        None
    }

    /// Forgets an unfinished line.
    pub const fn reset(&mut self) {
        self.skipped += self.line.length as u64;
        self.line.length = 0;
        self.overlong = false;
    }

    /// Bytes so far that belonged to no line of the protocol.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Counts a whole line that meant nothing.
    pub const fn skip(&mut self, line: &Line) {
        self.skipped += line.length as u64 + 1;
    }
}

/// Bytes to send: a line with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; MAX_LINE + 1],
    length: usize,
}

impl Text {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX_LINE + 1], length: 0 }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) const fn push(&mut self, byte: u8) {
        if self.length < self.bytes.len() {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    pub(super) fn hex(&mut self, value: u32, digits: u32) {
        for place in (0..digits).rev() {
            let digit = ((value >> (4 * place)) & 0xF) as u8;
            self.push(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 });
        }
    }

    pub(super) fn frame(&mut self, frame: &Frame) {
        match (frame.id(), frame.is_remote()) {
            (Id::Standard(id), remote) => {
                self.push(if remote { b'r' } else { b't' });
                self.hex(id.into(), 3);
            }
            (Id::Extended(id), remote) => {
                self.push(if remote { b'R' } else { b'T' });
                self.hex(id, 8);
            }
        }
        self.push(b'0' + frame.length());
        for byte in frame.data() {
            self.hex((*byte).into(), 2);
        }
    }

    pub(super) const fn end(mut self) -> Self {
        self.push(CR);
        self
    }

    pub(super) const fn refuse(mut self) -> Self {
        self.push(BEL);
        self
    }
}

/// The number in hexadecimal digits of either case; `None` for anything else, and for none.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |value: u32, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// A frame and what is left of the line behind it.
pub(super) fn frame(line: &[u8]) -> Option<(Frame, &[u8])> {
    let (kind, rest) = line.split_first()?;
    let (id, rest) = match kind {
        b't' | b'r' => {
            let (digits, rest) = rest.split_at_checked(3)?;
            (Id::Standard(number(digits)?.try_into().ok()?), rest)
        }
        b'T' | b'R' => {
            let (digits, rest) = rest.split_at_checked(8)?;
            (Id::Extended(number(digits)?), rest)
        }
        _ => return None,
    };
    let (length, rest) = rest.split_first()?;
    let length = number(&[*length])? as usize;
    if length > MAX_DATA {
        return None;
    }
    if matches!(kind, b'r' | b'R') {
        return Some((Frame::remote(id, length as u8)?, rest));
    }
    let (digits, rest) = rest.split_at_checked(2 * length)?;
    let mut data = [0; MAX_DATA];
    for (byte, pair) in data.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = number(pair)? as u8;
    }
    Some((Frame::new(id, data.get(..length)?)?, rest))
}
