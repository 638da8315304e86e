//! The sources of targets. A source says where each joint should be at a time; what comes of it
//! is the limits' business.

mod chunk;
mod excitation;
mod replay;
mod timeline;
mod way;

pub use chunk::Chunk;
pub use excitation::{ExciteError, PathError, excite};
pub use replay::{Positions, Repeated, ReplayMailboxes, ReplayWorker};
pub use timeline::{Blend, Timeline};
