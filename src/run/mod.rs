//! A run from configuration to summary: prepare everything that can fail, then arm, cycle, record
//! and clean up.

mod actuator;
mod control_thread;
mod conversion;
mod ending;
mod error;
mod law;
mod news;
mod opening;
mod parts;
mod real;
pub mod settings;
mod simulated;
mod target;

pub use actuator::actuator;
pub use error::RunError;
pub use opening::{ACTUATOR_NAME, ARM_NAME, URDF_NAME, check_recording};
pub use parts::{Parts, prepare, prepare_replay};
pub use target::{PolicyTarget, ReplayTarget, Target, TargetWorker};

use crate::config::{ClockKind, Loaded};
use crate::control::OperatorSignal;
use crate::live::{Screen, SharedFeed};
use crate::summary::RunSummary;
use crate::supervision::StopCause;

/// Where a run says what it does. Progress is for people; it never decides anything.
pub trait Console {
    /// One line.
    fn line(&mut self, text: &str);

    /// One line about work that takes its time, beside the lines that stay.
    fn progress(&mut self, _text: &str) {}

    /// Control has ended for `cause`. What follows may take its time.
    fn ended(&mut self, _cause: StopCause) {}

    /// Opens a live view of a run in real time on `feed`, where this console has one. Without it,
    /// there is a line a second.
    fn live(&mut self, _feed: SharedFeed, _operator: &OperatorSignal) -> Option<Screen> {
        None
    }
}

/// Runs `loaded` to its end and returns what it added up to.
///
/// # Errors
/// [`RunError`] when it could not start.
pub fn run(
    loaded: &Loaded,
    operator: OperatorSignal,
    console: &mut dyn Console,
) -> Result<RunSummary, RunError> {
    let asked = operator.clone();
    start(loaded, |loaded| prepare(loaded, &asked), operator, console)
}

/// Runs `loaded` with a recorded motion in the policy's place.
///
/// # Errors
/// [`RunError`] when it could not start.
pub fn follow(
    loaded: &Loaded,
    replay: ReplayTarget,
    operator: OperatorSignal,
    console: &mut dyn Console,
) -> Result<RunSummary, RunError> {
    start(loaded, |loaded| prepare_replay(loaded, replay), operator, console)
}

fn start(
    loaded: &Loaded,
    prepare: impl FnOnce(&Loaded) -> Result<Parts, RunError>,
    operator: OperatorSignal,
    console: &mut dyn Console,
) -> Result<RunSummary, RunError> {
    match loaded.config.run.clock {
        ClockKind::Real => real::run(loaded, prepare, operator, console),
        ClockKind::Simulated => simulated::run(loaded, prepare, operator, console),
    }
}
