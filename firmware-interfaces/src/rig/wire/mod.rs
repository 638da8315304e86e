//! The rig's line protocol: binary frames with a check, or lines of text. Pure: no I/O, no clock.
//!
//! - [`Frame`] and [`FrameReader`]: frames in a stream of bytes.
//! - [`Report`] and [`Request`]: what the device says, and what it is told.
//! - [`LineReader`], [`Columns`]: the same as text, for a sketch of thirty lines.
//!
//! `docs/rig.md` has every byte. Values are in SI units here whatever the line carries.

mod error;
mod field;
mod frame;
mod line;
mod report;
mod request;
mod text;

pub use error::WireError;
pub use frame::{Frame, FrameReader, MAX_FRAME, MAX_PAYLOAD, SYNC, crc16};
pub use line::{LineReader, MAX_LINE};
pub use report::{Fault, Identity, Mode, Reason, Report, Sample};
pub use request::{KEEP, Packet, Request};
pub use text::{Columns, HEADER, header, sample_line};

/// Version of the protocol, in [`Request::Hello`] and [`Identity`].
pub const VERSION: u8 = 1;
