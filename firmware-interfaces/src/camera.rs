//! The [`Camera`] trait and its frame.

use std::time::Duration;

use crate::time::Timestamp;

/// What a camera delivers.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraDescription {
    /// Kind of source, for example `synthetic`.
    pub kind: &'static str,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Time between frames.
    pub period: Duration,
}

/// One image: `height * width * 3` bytes, row by row, RGB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Pixels, HWC, RGB, 8 bits each.
    pub rgb: Vec<u8>,
    /// When the image was taken, never when it arrived.
    pub captured: Timestamp,
    /// The source's own frame counter; a gap is a lost frame.
    pub sequence: u64,
}

/// Why a camera could not be opened or gave no frame.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The source cannot be opened or read.
    #[error("camera source {path}: {reason}")]
    Source {
        /// File or folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The source has ended or stopped delivering.
    #[error("camera stopped after {frames} frames")]
    Stopped {
        /// Frames delivered before.
        frames: u64,
    },
}

/// A source of frames. It lives on a camera thread, which calls [`capture`](Camera::capture) once
/// per period; in virtual time the run calls it directly.
pub trait Camera: Send {
    /// What it delivers. Constant after construction.
    fn description(&self) -> &CameraDescription;

    /// Writes the frame taken at `now` into `frame`, reusing its buffer.
    ///
    /// # Errors
    /// [`CameraError`] when there is no frame; the frame's content is then unspecified.
    fn capture(&mut self, now: Timestamp, frame: &mut Frame) -> Result<(), CameraError>;
}
