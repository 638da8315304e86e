//! A run's journal as an MCAP file, for Foxglove, Rerun, PlotJuggler and the ROS 2 tools.
//!
//! The messages are those of ROS 2 (CDR with `ros2msg` schemas): of the encodings that MCAP knows
//! it is the one from which all these viewers draw named joint series, pictures and log lines
//! without being told how. Needs no ROS. `docs/formats.md` lists the channels.
//!
//! Chunks are indexed and carry checksums, and are not compressed.

mod cdr;
mod channels;
mod export;
mod messages;
mod schemas;
mod severity;

#[cfg(test)]
mod tests;

pub use channels::ChannelSummary;
pub use export::{ExportError, ExportOptions, ExportSummary, export};
pub use severity::StopCauses;
