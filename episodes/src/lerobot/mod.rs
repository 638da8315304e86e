//! LeRobotDataset v3.0: episodes from run journals, repair after crashes, and reading.

mod catalog;
mod convert;
mod dataset;
mod describe;
mod features;
mod info;
mod reader;
mod repair;
mod statistics;
mod table;
mod timeline;
mod video;

pub use crate::files::FileError;
pub use catalog::Episode;
pub use convert::{ConvertError, Converted, EpisodeSummary, Watch};
pub use dataset::{Dataset, OpenError, check, check_ownership};
pub use describe::{DatasetInfo, OtherRun, describe};
pub use features::{HeaderError, is_frame_rate};
pub use info::{Feature, Info, InfoError};
pub use reader::{Frame, Reader, ReaderError, Value};
pub use repair::{RepairError, RepairReport, RunOutcome, RunRepair, convert, repair};
pub use table::TableError;
pub use timeline::{CameraFrames, FRAME_LIMIT};
pub use video::VideoError;
