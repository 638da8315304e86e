//! Why bytes were refused.

use super::Protocol;

/// A message or datagram that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WireError {
    /// No function has this number in this version of the protocol.
    #[error("command {command} does not exist in {protocol}")]
    UnknownCommand {
        /// The number in the header.
        command: u32,
        /// The version spoken.
        protocol: Protocol,
    },
    /// A function that this version of the protocol does not have.
    #[error("{function} does not exist in {protocol}")]
    NotInProtocol {
        /// What was to be asked.
        function: &'static str,
        /// The version spoken.
        protocol: Protocol,
    },
    /// A message or datagram of another length than its kind has.
    #[error("{what} of {length} bytes, expected {expected}")]
    Length {
        /// What it would be.
        what: &'static str,
        /// Bytes there.
        length: usize,
        /// Bytes of its kind.
        expected: usize,
    },
    /// A header that announces a message shorter than itself or longer than any.
    #[error("a header announces {size} bytes, expected {least} to {most}")]
    Announced {
        /// Bytes announced, header included.
        size: u32,
        /// The header alone.
        least: usize,
        /// The longest request.
        most: usize,
    },
    /// A number that is none.
    #[error("{field} is not a finite number")]
    NotFinite {
        /// The quantity.
        field: &'static str,
    },
    /// A number that has no meaning there.
    #[error("{field} is {value}, which means nothing")]
    Meaningless {
        /// The quantity.
        field: &'static str,
        /// The value on the wire.
        value: u32,
    },
}
