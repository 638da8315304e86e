//! What precedes the first cycle: the dataset, the run's folder, its journal, and the armed robot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sinew_episodes::lerobot::{self, Dataset};
use sinew_firmware_interfaces::{Clock, Robot, SimulatedClock, State};
use sinew_models::actuators::Bundle;

use super::conversion::Conversion;
use super::{Console, Parts, RunError};
use crate::config::Loaded;
use crate::control::OperatorSignal;
use crate::cycle::CycleSettings;
use crate::limits::Workspace;
use crate::recording::{Recorder, RecorderInbox, SampleSink};
use crate::supervision::Guard;

/// Name of the arm's URDF in a run's folder, where the run has a workspace: a replay needs it.
pub const URDF_NAME: &str = "workspace.urdf";

/// Name of the actuator model's folder in a run's folder, where the run has one from a file.
pub const ACTUATOR_NAME: &str = "actuator";

/// Name of the URDF of a law's arm in a run's folder, where the run has one from a file.
pub const ARM_NAME: &str = "arm.urdf";

/// A recording that has begun.
pub(super) struct Opening {
    pub dataset: Dataset,
    pub folder: PathBuf,
    pub inbox: RecorderInbox,
    pub sink: SampleSink,
    pub recorder: Recorder,
}

/// Opens the recording directory, repairs what a killed run left in it, makes the folder of this
/// run and begins its journal.
///
/// # Errors
/// [`RunError`] when the directory is something else, in use, cannot be repaired or written, or
/// holds episodes of another shape.
pub(super) fn open(
    loaded: &Loaded,
    parts: &Parts,
    clock: &dyn Clock,
    operator: &OperatorSignal,
    console: &mut dyn Console,
) -> Result<Opening, RunError> {
    let config = &loaded.config;
    let directory = &config.recording.directory;
    let mut header = parts.header(loaded, clock);
    let mut dataset = Dataset::open(directory)?;
    let mut conversion =
        Conversion::new(console, operator, "leaves it to the next run and ends this one");
    let repaired = dataset.repair_watched(&mut |converted| conversion.watch(converted))?;
    if !repaired.is_nothing() {
        console.line(&format!("repaired {}: {repaired}", directory.display()));
    }
    dataset.check(&header)?;
    let folder = dataset.create_run(&header.run)?;
    if let Some(name) = folder.file_name() {
        header.run = name.to_string_lossy().into_owned();
    }
    let (inbox, messages) = RecorderInbox::new();
    let samples = (config.recording.ring_s * config.run.rate_hz).ceil() as usize;
    let (sink, ring) = SampleSink::new(samples);
    let mut recorder = Recorder::create(&folder, &header, ring, messages)?;
    recorder.explain(&parts.settings.guards);
    if let Err(error) = std::fs::write(folder.join("config.toml"), &header.config) {
        let message = format!("cannot write config.toml: {error}; the journal holds it too");
        inbox.event(Default::default(), "recording", message);
    }
    if let Some(workspace) = &config.workspace
        && let Err(error) = std::fs::copy(&workspace.urdf, folder.join(URDF_NAME))
    {
        let message = format!(
            "cannot keep the URDF: {error}; a replay will read {}",
            workspace.urdf.display()
        );
        inbox.event(Default::default(), "recording", message);
    }
    if let (Some(_), Some(path)) = (&parts.actuator, &config.actuation.path)
        && let Err(error) = keep_actuator(path, &folder.join(ACTUATOR_NAME))
    {
        let message = format!(
            "cannot keep the actuator model: {error}; a replay will read {}",
            path.display()
        );
        inbox.event(Default::default(), "recording", message);
    }
    if let (Some(_), Some(arm), true) =
        (&parts.actuator, &config.actuation.law.arm, config.actuation.model.is_law())
        && let Err(error) = std::fs::copy(arm, folder.join(ARM_NAME))
    {
        let message =
            format!("cannot keep the arm's URDF: {error}; a replay will read {}", arm.display());
        inbox.event(Default::default(), "recording", message);
    }
    console.line(&format!("record  {}", folder.display()));
    Ok(Opening { dataset, folder, inbox, sink, recorder })
}

/// Copies the folder of an actuator model.
fn keep_actuator(from: &Path, to: &Path) -> std::io::Result<()> {
    let copy = || {
        std::fs::create_dir_all(to)?;
        let mut names = Bundle::FILES.iter().filter(|name| from.join(name).is_file());
        names.try_for_each(|name| std::fs::copy(from.join(name), to.join(name)).map(drop))
    };
    copy().inspect_err(|_| {
        // A replay shall not take the half of it for the whole.
        let _ = std::fs::remove_dir_all(to);
    })
}

/// Checks that the recording directory can take an episode of this run, or come into being with
/// it. Repairs, locks and writes nothing: another run may be recording there.
///
/// # Errors
/// [`RunError`] as at the start of a run, as far as can be told without writing.
pub fn check_recording(loaded: &Loaded, parts: &Parts) -> Result<(), RunError> {
    let directory = &loaded.config.recording.directory;
    lerobot::check_ownership(directory)?;
    lerobot::check(directory, &parts.header(loaded, &SimulatedClock::new()))?;
    Ok(())
}

/// Arms the robot and checks that every joint stands inside its limits and the tool in its box.
///
/// # Errors
/// [`RunError::Robot`], [`RunError::OutsideLimits`], [`RunError::OutsideWorkspace`] or
/// [`RunError::Guard`]. Nothing has moved then.
pub(super) fn arm(
    robot: &mut dyn Robot,
    settings: &CycleSettings,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<(), RunError> {
    robot.arm(timeout)?;
    let mut state = State::default();
    robot.read(clock.now(), &mut state);
    let joints = &robot.description().joints;
    if let Some(index) = settings.outside(&state)
        && let (Some(joint), Some(limits)) = (joints.get(index), settings.limits.get(index))
    {
        let ([lower, upper], measured) = (limits.position, state.position[index]);
        let (joint, unit) = (joint.name.clone(), joint.kind.unit());
        return Err(RunError::OutsideLimits { joint, measured, unit, lower, upper });
    }
    let margin = Workspace::grain();
    let positions = &state.position[..joints.len()];
    if settings.workspace.as_ref().is_some_and(|workspace| !workspace.holds(positions, margin)) {
        return Err(RunError::OutsideWorkspace { margin });
    }
    // A value that may be outside for a while has that while in the loop.
    let outside = |guard: &&Guard| guard.patience.is_zero() && !guard.allows(&state);
    if let Some(guard) = settings.guards.iter().find(outside) {
        return Err(RunError::Guard { message: guard.message(&state) });
    }
    Ok(())
}
