//! The myCobot 320's wire protocol: a pure codec without I/O, clock or allocation.
//!
//! A frame is the same in both directions:
//!
//! ```text
//! FE FE  LEN  CMD  payload[LEN - 2]  FA
//! ```
//!
//! There is no checksum. Numbers of two bytes are big-endian. A reply carries the request's `CMD`.
//! The layout of each command follows what the vendor's Python package `pymycobot` 4.0.7 sends and
//! parses; see [`Request`] and [`Reply`].

mod field;
mod frame;
mod reply;
mod request;
pub mod scaling;

pub use frame::{FOOTER, Frame, FrameReader, HEADER, MAX_FRAME, MAX_LEN, MAX_PAYLOAD};
pub use reply::{Answer, Reply};
pub use request::Request;

/// Joints of the arm.
pub const ARM_JOINTS: usize = 6;

/// Every angle of this value in an answer to `SolveInverseKinematics` means: no solution.
pub const NO_SOLUTION: i16 = 8241;

/// What a failed gripper read returns instead of 0 to 100.
pub const GRIPPER_READ_ERROR: u8 = 255;

/// Why a well-framed message is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No such command.
    #[error("unknown command {command:#04x}")]
    UnknownCommand {
        /// The command byte.
        command: u8,
    },
    /// The command exists, but not with a payload of this length.
    #[error("command {command:#04x} with a payload of {length} bytes")]
    Length {
        /// The command byte.
        command: u8,
        /// Payload bytes received.
        length: usize,
    },
}
