//! The run journal: one append-only file per run, readable without a footer.
//!
//! The recorder thread appends [`Record`]s; a run that ends, or is killed, leaves a file from
//! which the episode is made (see [`crate::lerobot`]).

mod record;

pub use record::{
    CameraMeta, ChunkRecord, ClampCause, CycleRecord, EventRecord, FrameRecord, Header, JointMeta,
    Phases, PolicyMeta, Record,
};
