//! What the loop costs on this computer: whole cycles around a mock arm, wake-ups, and the parts
//! alone. `docs/benchmarks.md` says how to read the figures.
//!
//! Variants take turns, forwards and backwards, so that a noisy moment meets all; nothing is left
//! out of a distribution.

mod cycles;
mod floor;
mod inference;
mod machine;
mod parts;
mod rig;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use cycles::{CycleRow, Phase};
pub use floor::FloorRow;
pub use inference::{InferenceError, InferenceReport, measure as measure_inference};
pub use machine::Machine;
pub use parts::PartRow;
pub use rig::{Logging, Motion, Pace, Rig, Turn, actuation, chunk, settings};

use crate::config::RealtimeConfig;
use crate::doctor::{DoctorError, WakeUpRow, WakeUps};
use crate::realtime;
use crate::recording::RecorderError;

/// What can be measured alone, in this order.
pub const NAMES: [&str; 8] =
    ["cycle", "joints", "floor", "wakeups", "gate", "generator", "ring", "journal"];

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// About how long, in s. Every variant has at least one turn.
    pub seconds: f64,
    /// One of [`NAMES`]; `None`: all.
    pub only: Option<String>,
    /// Where journals are written meanwhile. What they leave there is removed.
    pub directory: PathBuf,
    /// What the operating system is asked for.
    pub realtime: RealtimeConfig,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Whole cycles.
    pub cycles: Vec<CycleRow>,
    /// Loops that do nothing.
    pub floor: Vec<FloorRow>,
    /// Wake-ups at 1 kHz.
    pub wake_ups: Option<WakeUps>,
    /// Our timer over the plain system call, per scheduling class.
    pub ratios: Vec<Ratio>,
    /// Parts alone.
    pub parts: Vec<PartRow>,
}

/// Lateness of `sinew` divided by that of `clock_nanosleep`.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// Scheduling class of both.
    pub class: String,
    /// Of the medians.
    pub p50: f64,
    /// Of the 99th percentiles.
    pub p99: f64,
    /// Of the 99.9th percentiles.
    pub p999: f64,
}

fn ratios(wake_ups: &WakeUps) -> Vec<Ratio> {
    let ratio = |pair: &[WakeUpRow]| {
        let [ours, bare] = pair else { return None };
        let (a, b) = (ours.lateness, bare.lateness);
        let class = ours.class.clone();
        let [p50, p99, p999] = [(a.p50_us, b.p50_us), (a.p99_us, b.p99_us), (a.p999_us, b.p999_us)]
            .map(|(a, b)| a / b);
        (bare.class == class).then_some(Ratio { class, p50, p99, p999 })
    };
    wake_ups.rows.chunks(2).filter_map(ratio).collect()
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Measuring needs threads.
    #[error("a thread cannot be started: {0}. Raise the limit on processes (ulimit -u, TasksMax=)")]
    Thread(#[source] std::io::Error),
    /// Wake-ups.
    #[error(transparent)]
    WakeUps(#[from] DoctorError),
    /// A journal could not be begun.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// The folder for journals.
    #[error("cannot write to {path}: {source}. Name another folder with --directory")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The mock arm did not arm, or a loop stopped for a reason of its own.
    #[error("the loop ended early: {reason}")]
    Ended {
        /// Why.
        reason: String,
    },
}

/// The folder that this process measures in, below `directory`. [`measure`] makes it and removes it;
/// whoever ends the process before that removes it himself.
pub fn folder(directory: &Path) -> PathBuf {
    directory.join(format!("sinew-bench-{}", std::process::id()))
}

/// Measures. `progress` hears what comes next.
///
/// # Errors
/// [`BenchError`]
pub fn measure(options: &Options, mut progress: impl FnMut(&str)) -> Result<Report, BenchError> {
    let wants = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    // Shares of the time: cycles need most of it, because half of them are paced.
    let shares = [("cycle", 0.5), ("joints", 0.1), ("wakeups", 0.25)];
    let seconds = |name: &str| {
        let share = shares.iter().find(|share| share.0 == name).map_or(0.04, |share| share.1);
        if options.only.is_some() { options.seconds } else { options.seconds * share }
    };
    let process = realtime::prepare_process(&options.realtime);
    let thread = realtime::rehearse(&options.realtime, realtime::Role::Control)
        .map_err(BenchError::Thread)?;
    let machine = Machine::look(&process.grants, &thread.grants);
    let folder = rig::Folder::create(&options.directory)?;
    let mut cycles = Vec::new();
    for (name, variants) in [("cycle", cycles::variants()), ("joints", cycles::by_joints())] {
        if wants(name) {
            progress(name);
            cycles.extend(cycles::measure(&variants, seconds(name), &folder, &options.realtime)?);
        }
    }
    let mut floor = Vec::new();
    if wants("floor") {
        progress("floor");
        floor = floor::measure(seconds("floor"), &options.realtime)?;
    }
    let mut wake_ups = None;
    if wants("wakeups") {
        progress("wakeups");
        wake_ups = Some(crate::doctor::wake_ups(&options.realtime, seconds("wakeups"))?);
    }
    let mut parts = Vec::new();
    for name in &NAMES[4..] {
        if wants(name) {
            progress(name);
            parts.extend(parts::measure(name, seconds(name), &folder)?);
        }
    }
    drop(process);
    let ratios = wake_ups.as_ref().map(ratios).unwrap_or_default();
    Ok(Report { machine, cycles, floor, wake_ups, ratios, parts })
}
