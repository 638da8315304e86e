//! What a file says, in a message for people: shortened, and without what would move a terminal.

use std::fmt::{self, Display, Formatter, Write as _};

/// Longest piece of text that a message repeats, in characters.
const LONGEST_TEXT: usize = 160;
/// Most sizes of a shape that a message repeats.
const LONGEST_SHAPE: usize = 8;

/// Text of a file. What cannot be printed is escaped as in Rust.
pub(crate) fn quote(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// Text that is safe to print.
pub(crate) struct Quoted<'t>(&'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.chars().enumerate() {
            if index == LONGEST_TEXT {
                return f.write_str(" ...");
            }
            match character {
                '"' | '\'' | '\\' => f.write_char(character)?,
                other => other.escape_debug().try_for_each(|escaped| f.write_char(escaped))?,
            }
        }
        Ok(())
    }
}

/// The shape of a tensor.
pub(crate) fn shape(sizes: &[usize]) -> Shape<'_> {
    Shape(sizes)
}

/// A shape that is short enough to print.
pub(crate) struct Shape<'s>(&'s [usize]);

impl Display for Shape<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(sizes) = self;
        if sizes.len() <= LONGEST_SHAPE {
            return write!(f, "{sizes:?}");
        }
        write!(f, "{:?} and {} more", &sizes[..LONGEST_SHAPE], sizes.len() - LONGEST_SHAPE)
    }
}

/// Names of a list, each of them quoted.
pub(crate) fn list(names: &[String]) -> String {
    names.iter().map(|name| quote(name).to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_moved_and_a_message_stays_short() {
        assert_eq!(quote("a.\"b\\ü 漢'").to_string(), "a.\"b\\ü 漢'");
        assert_eq!(quote("\x1b[2J\r\n\u{9b}\u{202e}").to_string(), r"\u{1b}[2J\r\n\u{9b}\u{202e}");
        let long = "x".repeat(1_000_000);
        assert_eq!(quote(&long).to_string(), format!("{} ...", "x".repeat(160)));
        assert_eq!(shape(&[1, 2]).to_string(), "[1, 2]");
        assert_eq!(shape(&[7; 1000]).to_string(), "[7, 7, 7, 7, 7, 7, 7, 7] and 992 more");
    }
}
