//! Why an episode cannot be replayed.

use std::path::PathBuf;

use sinew_episodes::journal::{LocateError, ReadError};

use crate::config::ConfigError;
use crate::run::RunError;

/// Why an episode cannot be replayed. Nothing was computed or moved when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The path is neither a run's folder nor a journal.
    #[error(transparent)]
    NoEpisode(#[from] LocateError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The configuration in the journal, or what was put on top of it, does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal was recorded with other joints than its configuration gives in this sinew.
    #[error(
        "{}: its joints are {recorded}, but this sinew's {robot} has {known}", path.display()
    )]
    Joints {
        /// The journal.
        path: PathBuf,
        /// The robot's model.
        robot: String,
        /// Joints in the journal.
        recorded: String,
        /// Joints of the robot.
        known: String,
    },
    /// The actuator model is another one.
    #[error(
        "{path}: its description has SHA-256 {found}, the recorded cycles were made with \
         {recorded}. The model that was recorded is needed: put it back, or name another one on \
         purpose (--with actuation.path=… or actuation.arm=…)"
    )]
    Actuator {
        /// Folder of the model.
        path: String,
        /// SHA-256 in the journal.
        recorded: String,
        /// SHA-256 found.
        found: String,
    },
    /// A record does not fit the header.
    #[error(
        "{}: cycle {cycle} has {found} values of `{field}`, the journal's header has {needed}. \
         The journal is damaged, or another program wrote it", path.display()
    )]
    Shape {
        /// The journal.
        path: PathBuf,
        /// The cycle.
        cycle: u64,
        /// The field.
        field: &'static str,
        /// Values found.
        found: usize,
        /// Values needed.
        needed: usize,
    },
    /// The journal holds no cycle.
    #[error("{}: no cycle was recorded: there is nothing to replay", path.display())]
    Empty {
        /// The journal.
        path: PathBuf,
    },
    /// The arm never followed a target source.
    #[error("{}: the arm never ran in it: there is no motion to replay", path.display())]
    NoMotion {
        /// The journal.
        path: PathBuf,
    },
    /// The motion is for another robot.
    #[error(
        "the recorded motion moves {recorded}, the {robot} has {known}. A motion is replayed on a \
         robot with the same joints in the same order"
    )]
    OtherRobot {
        /// The robot's model.
        robot: String,
        /// Joints and units of the recording.
        recorded: String,
        /// Joints and units of the robot.
        known: String,
    },
    /// The motion leaves what the robot is allowed.
    #[error(
        "the recorded motion is outside limits.{joint}: its {what} is {value:.6} {unit} at \
         {seconds:.3} s, allowed is {limit}. Widen the limit if that is right, or record a \
         motion within it"
    )]
    Beyond {
        /// The joint.
        joint: String,
        /// Position, speed or acceleration.
        what: &'static str,
        /// Its value.
        value: f64,
        /// Its unit.
        unit: String,
        /// What is allowed, with its unit.
        limit: String,
        /// When in the motion, in s.
        seconds: f64,
    },
    /// The motion leaves the tool's box.
    #[error(
        "at {seconds:.3} s of the recorded motion the tool is outside [workspace]. Widen the box \
         if that is right, or record a motion within it"
    )]
    OutsideBox {
        /// When in the motion, in s.
        seconds: f64,
    },
    /// The repetitions take longer than a run may.
    #[error(
        "--times {times}: that may take {hours:.1} h, and a run lasts at most 24 h. At most {most} \
         repetitions of this motion fit"
    )]
    TooOften {
        /// Repetitions asked for.
        times: u32,
        /// How long they may take.
        hours: f64,
        /// How many fit.
        most: u32,
    },
    /// The run did not start.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The journal cannot be read for its checksum.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The journal.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// `--with` names what every recorded cycle was made with.
    #[error(
        "--with {key}: cannot be changed: the recorded cycles have that rate. Record a run at \
         another one"
    )]
    Recorded {
        /// The key as it was written.
        key: String,
    },
    /// `--with` names a key that no cycle depends on.
    #[error(
        "--with {key}: no recorded cycle depends on it. What can be changed: limits, workspace, \
         target, actuation, overrun, rest, supervision, run.duration_s, policy.execution, \
         policy.ensemble_coefficient, policy.crossfade_ms"
    )]
    NoEffect {
        /// The key as it was written.
        key: String,
    },
}

impl ReplayError {
    /// The process's exit code (`docs/exit-codes.md`).
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Run(error) => error.exit_code(),
            _ => 2,
        }
    }
}
