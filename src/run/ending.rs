//! What follows the last cycle: the journal's end, the dataset's new episode, the report, and the
//! summary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sinew_episodes::journal::{EventRecord, FILE_NAME, Header, WriteError, Writer};
use sinew_episodes::lerobot::Dataset;
use sinew_firmware_interfaces::{
    BusStatistics, JointKind, Robot, RobotDescription, StopRequest, Timestamp,
};

use super::Console;
use crate::config::{AtRest, Loaded};
use crate::control::LoopStatistics;
use crate::policy::PolicyStatistics;
use crate::recording::{CycleSample, Recorder, RecorderInbox};
use crate::report;
use crate::summary::{Drops, Exit, RunSummary};
use crate::supervision::StopCause;

/// Exit code of a run that ended well but whose recording did not.
const RECORDING_INCOMPLETE: u8 = 40;

/// The last cycles before the end.
const FLIGHT: &str = "flight.sinew";

/// How long an orderly end of the connection may take.
pub(super) const DISARM: Duration = Duration::from_secs(2);

/// What the threads leave behind.
pub(super) struct Ending {
    pub folder: PathBuf,
    pub dataset: Dataset,
    pub robot: RobotDescription,
    pub bus: BusStatistics,
    pub cause: StopCause,
    pub seconds: f64,
    pub statistics: LoopStatistics,
    pub policy: PolicyStatistics,
    pub recorder: Recorder,
    /// The last cycles, from the control thread's own memory.
    pub flight: Vec<CycleSample>,
}

/// Ends the connection. At rest, torque goes off only where the configuration says so.
pub(super) fn release(
    robot: &mut dyn Robot,
    then: AtRest,
    cause: StopCause,
    now: Timestamp,
    console: &mut dyn Console,
) {
    if then == AtRest::TorqueOff && matches!(cause, StopCause::Completed | StopCause::Operator) {
        robot.stop(now, StopRequest::TorqueOff);
    }
    if let Err(error) = robot.disarm(DISARM) {
        console.line(&format!("disarm: {error}"));
    }
    if let Some(failure) = robot.last_failure() {
        console.line(&format!("last failure of the link: {failure}"));
    }
}

/// Ends the recording and adds everything up.
pub(super) fn finish(
    loaded: &Loaded,
    inbox: &RecorderInbox,
    ending: Ending,
    console: &mut dyn Console,
) -> RunSummary {
    let config = &loaded.config;
    let Ending { folder, mut dataset, cause, .. } = ending;
    let run = folder.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    let mut summary = RunSummary {
        run,
        exit: Exit {
            cause: cause.name().to_owned(),
            message: cause.message().to_owned(),
            code: cause.exit_code(),
        },
        seconds: ending.seconds,
        episode: folder.display().to_string(),
        report: folder.join("report.html").display().to_string(),
        ..RunSummary::default()
    };
    summary.set_loop(&ending.statistics, &ending.robot, config.run.rate_hz);
    summary.set_bus(&ending.bus);
    summary.set_policy(&ending.policy);
    (summary.drops.frames, summary.drops.records) = inbox.dropped();
    summary.drops.unwritten = ending.recorder.unwritten();

    if let Err(error) = keep_flight(&folder, ending.recorder.header(), &ending.flight, cause) {
        console.line(&format!("flight recorder: {error}"));
    }
    let recording = ending.recorder.finish(&to_json(&summary));
    summary.drops.unwritten = recording.unwritten;
    let missing = lost(&summary.drops);
    summary.recording_fault = recording.fault.or(missing).unwrap_or_default();
    match dataset.convert(&folder.join(FILE_NAME)) {
        Ok(episode) => {
            summary.dataset = config.recording.directory.display().to_string();
            summary.episode_index = Some(episode.episode);
            summary.episode_frames = episode.frames;
        }
        Err(error) => {
            let text = format!("the journal is kept, the dataset has no episode of it: {error}");
            console.line(&text);
            if summary.recording_fault.is_empty() {
                summary.recording_fault = text;
            }
        }
    }
    if !summary.recording_fault.is_empty() && summary.exit.code == 0 {
        summary.exit.code = RECORDING_INCOMPLETE;
    }
    let written = serde_json::to_value(&summary)
        .map_err(|error| error.to_string())
        .and_then(|value| {
            report::write(&folder.join(FILE_NAME), &value, &folder.join("report.html"))
                .map_err(|error| error.to_string())
        })
        .and_then(|()| {
            std::fs::write(folder.join("summary.json"), to_json(&summary))
                .map_err(|error| error.to_string())
        });
    if let Err(error) = written {
        console.line(&format!("report: {error}"));
        summary.report.clear();
    }
    summary
}

/// What never reached the recorder, in words.
fn lost(drops: &Drops) -> Option<String> {
    let Drops { samples, frames, records, .. } = *drops;
    (samples + frames + records > 0).then(|| {
        format!(
            "{samples} cycles, {frames} frames and {records} other records found no room while the \
             recorder was late; a larger recording.ring_s bears cycles for longer"
        )
    })
}

/// Writes the last cycles before the end beside the journal, as a journal of their own: they come
/// from the control thread's memory, whatever became of ring and disk before.
fn keep_flight(
    folder: &Path,
    header: &Header,
    flight: &[CycleSample],
    cause: StopCause,
) -> Result<(), WriteError> {
    if flight.is_empty() {
        return Ok(());
    }
    let joints = header.joints.len();
    let mut writer = Writer::create(&folder.join(FLIGHT), header)?;
    for sample in flight {
        writer.append_cycle(&sample.record(joints))?;
    }
    let at_ns = flight.last().map_or(0, |sample| sample.tick.scheduled.as_nanos());
    let message = format!("{}: {}", cause.name(), cause.message());
    writer.append_event(&EventRecord { at_ns, kind: "stop".to_owned(), message })?;
    writer.sync()
}

fn to_json(summary: &RunSummary) -> String {
    // The summary is plain numbers and strings: serialising it cannot fail.
    serde_json::to_string(summary).unwrap_or_default()
}

/// One line about the present, for people.
pub(super) fn status_line(sample: &CycleSample, robot: &RobotDescription, rate_hz: f64) -> String {
    let error = |joint: usize| (sample.state.position[joint] - sample.outcome.limited[joint]).abs();
    let arm = robot.joints.iter().enumerate().filter(|(_, joint)| joint.kind != JointKind::Gripper);
    let worst = arm.map(|(joint, _)| error(joint)).fold(0.0, f64::max);
    let age = sample.outcome.observed.map_or("-".to_owned(), |observed| {
        format!("{:.0} ms", sample.tick.woke.since(observed).as_secs_f64() * 1e3)
    });
    let why = sample.hold.map_or(String::new(), |hold| format!(" ({})", hold.message()));
    format!(
        "{:7.2} s  {}{why}  observation {age} old  largest tracking error {worst:.3} rad",
        sample.tick.index as f64 / rate_hz,
        sample.outcome.state.name(),
    )
}
