//! Is this computer fit for a real-time run? [`examine`] looks at kernel, rights, devices and
//! disk; [`Examination::measure`] measures how late a thread wakes.
//!
//! What is read from `/proc`, `/sys` and `/dev` is read under [`Options::root`], so that a folder
//! can stand for another computer. Class, memory lock, disk and wake-ups are tried on the real
//! one.

mod check;
mod devices;
mod disk;
#[cfg(test)]
mod fuzz;
mod kernel;
mod rights;
mod system;
mod virtualisation;
mod wakeups;

use std::io;
use std::path::{Path, PathBuf};

pub use check::{Area, Check, Verdict};
pub use wakeups::{WakeUpRow, WakeUps};

use crate::config::{RealtimeConfig, RealtimeMode};
use crate::realtime::{self, Facility, Grants, NotGranted, ProcessSetup, Role};
use system::System;

/// Measures wake-ups at 1 kHz for about `seconds` in all, in this process as it is.
///
/// # Errors
/// [`DoctorError`]
pub fn wake_ups(realtime: &RealtimeConfig, seconds: f64) -> Result<WakeUps, DoctorError> {
    Ok(wakeups::measure(&System::new(Path::new("/")), realtime, seconds)?)
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where `/proc`, `/sys`, `/dev` and the like are; `/` but in tests.
    pub root: PathBuf,
    /// Where episodes are to be recorded.
    pub directory: PathBuf,
    /// What a run will ask for.
    pub realtime: RealtimeConfig,
    /// The robot's device, where it is one: an absolute path.
    pub port: Option<String>,
}

/// What was found. What the process was granted stays granted as long as this lives, so that the
/// measurement runs under the conditions of a run.
#[derive(Debug)]
pub struct Examination {
    /// One line each.
    pub checks: Vec<Check>,
    realtime: RealtimeConfig,
    system: System,
    process: ProcessSetup,
    thread: Grants,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// What is tried is tried on threads.
    #[error("a thread cannot be started: {0}. Raise the limit on processes (ulimit -u, TasksMax=)")]
    Thread(#[from] io::Error),
}

/// Looks at everything but the wake-ups. Writes a small file into the recording directory and
/// removes it.
///
/// # Errors
/// [`DoctorError`]
pub fn examine(options: &Options) -> Result<Examination, DoctorError> {
    let system = System::new(&options.root);
    // Which class is granted is to be seen whatever mode a run will have.
    let realtime = RealtimeConfig { mode: RealtimeMode::Prefer, ..options.realtime.clone() };
    let process = realtime::prepare_process(&realtime);
    // The watchdog's priority is the higher one; CPUs are asked for by the control thread.
    let mut thread = realtime::rehearse(&realtime, Role::Watchdog)?.grants;
    let control = realtime::rehearse(&realtime, Role::Control)?.grants;
    thread.0.extend(control.0.into_iter().filter(|grant| grant.what == Facility::Affinity));
    let mut checks = kernel::checks(&system);
    checks.extend(virtualisation::checks(&system));
    checks.extend(rights::checks(&system, &process.grants, &thread));
    checks.extend(devices::checks(&system));
    checks.extend(options.port.as_deref().map(|port| devices::robot_port(&system, port)));
    checks.extend(disk::checks(&options.directory));
    Ok(Examination { checks, realtime, system, process, thread })
}

impl Examination {
    /// Measures wake-ups at 1 kHz for about `seconds` in all.
    ///
    /// # Errors
    /// [`DoctorError`]
    pub fn measure(&self, seconds: f64) -> Result<WakeUps, DoctorError> {
        Ok(wakeups::measure(&self.system, &self.realtime, seconds)?)
    }

    /// Whether a run with `realtime.mode = "enforce"` and these settings would arm.
    ///
    /// # Errors
    /// [`NotGranted`] says what is missing.
    pub fn enforceable(&self) -> Result<(), NotGranted> {
        let all = self.process.grants.0.iter().chain(&self.thread.0).cloned();
        Grants(all.collect()).require(RealtimeMode::Enforce)
    }
}
