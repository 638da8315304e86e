//! The run journal: one append-only file per run, readable without a footer.
//!
//! The recorder thread appends [`Record`]s through a [`Writer`]; a run that ends, or is killed,
//! leaves a file from which the episode is made (see [`crate::lerobot`]). [`Reader`] gives the
//! records back and names what is missing at the end.
//!
//! # Layout
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `SINEWJNL` |
//! | 4 | version, little endian, now 4 |
//! | then per record: 4 | length of the payload, little endian |
//! | 4 | CRC-32 (IEEE) of the length bytes and the payload, little endian |
//! | length | the [`Record`] in postcard's wire format |

mod arm_state;
mod framing;
mod place;
mod reader;
mod record;
mod summary;
mod writer;

pub use arm_state::{ArmState, state_name};
pub use framing::{FILE_NAME, MAX_RECORD_BYTES, VERSION};
pub use place::{LocateError, locate};
pub use reader::{ReadError, Reader, Tail};
pub use record::{
    ActuatorMeta, CameraMeta, ChunkRecord, ClampCause, CycleRecord, EventRecord, FrameRecord,
    Header, JointMeta, Phases, PolicyMeta, Record, SensorMeta,
};
pub use summary::{CameraSummary, ClampSummary, JournalInfo, StateCount, describe};
pub use writer::{WriteError, Writer};
