//! The protocols as pure codecs: numbers to frames and back, both ways.
//!
//! A value that a frame has no code for is refused ([`OutOfSpan`]); nothing wraps. What a device
//! measures beyond its range saturates, as devices do.

pub mod damiao;
pub mod mit;
pub mod odrive;
pub mod robstride;
mod span;

pub use span::{OutOfSpan, Span};

#[cfg(test)]
mod tests;
