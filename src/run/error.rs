//! Why a run did not start, and the exit code of each reason.

use sinew_episodes::lerobot;
use sinew_firmware_interfaces::{CameraError, RobotError};
use sinew_models::LoadError;

use crate::config::ConfigError;
use crate::policy::WarmUpError;
use crate::realtime::NotGranted;
use crate::recording::RecorderError;
use crate::robots::OpenError;
use crate::supervision::StopCause;

/// Why a run did not start. Nothing has moved when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration, or what it names, does not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The robot cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The robot cannot be armed.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// A joint stands where the configuration does not allow it to be.
    #[error(
        "{joint} stands at {measured:.4} {unit}, limits.{joint} allow {lower} to {upper}. Move it \
         inside by hand, or widen the limit if the position is right"
    )]
    OutsideLimits {
        /// The joint.
        joint: String,
        /// Where it stands.
        measured: f64,
        /// Its unit.
        unit: &'static str,
        /// Lower limit.
        lower: f64,
        /// Upper limit.
        upper: f64,
    },
    /// The tool stands outside its box.
    #[error(
        "the tool stands outside [workspace], or less than {margin} m from its walls. Move it inside \
         by hand, or widen min_m and max_m if the position is right"
    )]
    OutsideWorkspace {
        /// How far from the walls it must stand, in m.
        margin: f64,
    },
    /// A measured value is outside its guard before anything has moved.
    #[error("{message}. Find out why, or wait until it is inside again")]
    Guard {
        /// What, and what is allowed.
        message: String,
    },
    /// The operating system does not grant what must be granted.
    #[error(transparent)]
    Realtime(#[from] NotGranted),
    /// Ctrl-C before the first cycle.
    #[error("interrupted before the first cycle: nothing was moved")]
    Interrupted,
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] LoadError),
    /// The checkpoint cannot infer.
    #[error(transparent)]
    WarmUp(#[from] WarmUpError),
    /// A camera cannot be opened.
    #[error("cameras.{name}: {source}")]
    Camera {
        /// Its name in the configuration.
        name: String,
        /// What is wrong.
        source: CameraError,
    },
    /// The recording directory cannot be opened, or another run records into it.
    #[error(transparent)]
    Dataset(#[from] lerobot::OpenError),
    /// What an earlier run left in it cannot be repaired.
    #[error(transparent)]
    Repair(#[from] lerobot::RepairError),
    /// The dataset in it has another shape than this run's episode would have.
    #[error("recording.directory: {0}")]
    Mismatch(#[from] lerobot::ConvertError),
    /// The run's folder cannot be made.
    #[error(transparent)]
    Folder(#[from] lerobot::FileError),
    /// The journal cannot be begun.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// A thread cannot be started.
    #[error("cannot start the {name} thread: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A thread ended abnormally: a defect in sinew. The robot was told to stop.
    #[error("the {name} thread panicked; this is a defect in sinew, please report it")]
    Panicked {
        /// Its name.
        name: &'static str,
    },
}

impl RunError {
    /// The process's exit code (`docs/exit-codes.md`).
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Interrupted => StopCause::Operator.exit_code(),
            Self::Open(_)
            | Self::Robot(_)
            | Self::OutsideLimits { .. }
            | Self::OutsideWorkspace { .. }
            | Self::Guard { .. } => 10,
            Self::Checkpoint(_) | Self::WarmUp(_) => 11,
            Self::Camera { .. } => 12,
            Self::Dataset(_)
            | Self::Repair(_)
            | Self::Mismatch(_)
            | Self::Folder(_)
            | Self::Recorder(_) => 13,
            Self::Realtime(_) => 41,
            Self::Thread { .. } | Self::Panicked { .. } => 14,
        }
    }
}
