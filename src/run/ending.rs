//! What follows the last cycle: the journal's end, the dataset's new episode, the report, and the
//! summary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sinew_episodes::files;
use sinew_episodes::journal::{EventRecord, FILE_NAME, Header, WriteError, Writer};
use sinew_episodes::lerobot::Dataset;
use sinew_episodes::rig_csv;
use sinew_firmware_interfaces::{
    BusStatistics, JointKind, Robot, RobotDescription, StopRequest, Timestamp,
};

use super::Console;
use super::conversion::Conversion;
use crate::config::{AtRest, Loaded};
use crate::control::{LoopStatistics, OperatorSignal};
use crate::policy::PolicyStatistics;
use crate::recording::{CycleSample, Recorder, RecorderInbox, RecorderReport};
use crate::report;
use crate::summary::{self, Drops, Exit, RunSummary};
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
    pub cause: StopCause,
    pub seconds: f64,
    /// What control and bus counted; `None` where the control thread never came back.
    pub counted: Option<(LoopStatistics, BusStatistics)>,
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
    operator: &OperatorSignal,
    console: &mut dyn Console,
) -> RunSummary {
    let config = &loaded.config;
    let Ending { folder, mut dataset, cause, mut recorder, .. } = ending;
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
        report: folder.join(report::FILE_NAME).display().to_string(),
        ..RunSummary::default()
    };
    if let Some((statistics, bus)) = &ending.counted {
        summary.set_loop(statistics, &ending.robot, config.run.rate_hz);
        summary.set_bus(bus);
    }
    summary.set_policy(&ending.policy);
    (summary.drops.frames, summary.drops.records) = inbox.dropped();

    if let Err(error) = keep_flight(&folder, recorder.header(), &ending.flight, cause) {
        console.line(&format!("flight recorder: {error}"));
    }
    // First, so that the summary in the journal knows of it.
    let so_far = recorder.settle();
    let code = summary.exit.code;
    judge_recording(&mut summary, so_far, code);
    let recording = recorder.finish(&to_json(&summary));
    judge_recording(&mut summary, recording, code);
    let mut conversion = Conversion::new(console, operator, "leaves it to the next run");
    let journal = folder.join(FILE_NAME);
    match dataset.convert_watched(&journal, &mut |converted| conversion.watch(converted)) {
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
    if let Some(directory) = &config.recording.csv {
        let output = free(directory, &summary.run);
        match rig_csv::export(&journal, &output, false) {
            Ok(written) => {
                console.line(&format!("csv     {written}"));
                summary.csv = output.display().to_string();
            }
            Err(error) => {
                let text = format!("the journal is kept, there is no CSV of it: {error}");
                console.line(&text);
                if summary.recording_fault.is_empty() {
                    summary.recording_fault = text;
                }
            }
        }
    }
    count_recording_fault(&mut summary, code);
    // The summary is plain numbers and strings: serialising it cannot fail.
    let value = serde_json::to_value(&summary).unwrap_or_default();
    let report = folder.join(report::FILE_NAME);
    if let Err(error) = report::write(&journal, &value, &report) {
        console.line(&format!("report: {error}"));
        summary.report.clear();
    }
    if let Err(error) =
        files::replace(&folder.join(summary::FILE_NAME), to_json(&summary).as_bytes())
    {
        console.line(&format!("summary: {error}"));
    }
    summary
}

/// Takes over how the recording went.
fn judge_recording(summary: &mut RunSummary, recording: RecorderReport, code: u8) {
    summary.drops.unwritten = recording.unwritten;
    summary.recording_fault = recording.fault.or(lost(&summary.drops)).unwrap_or_default();
    count_recording_fault(summary, code);
}

/// A run that ended well, with `code` 0, and is not all there has a code of its own.
fn count_recording_fault(summary: &mut RunSummary, code: u8) {
    let complete = summary.recording_fault.is_empty();
    summary.exit.code = if code == 0 && !complete { RECORDING_INCOMPLETE } else { code };
}

/// What never reached the recorder, in words, and what helps.
fn lost(drops: &Drops) -> Option<String> {
    let lost = [
        (drops.samples.unwrap_or_default(), "cycles", "a larger recording.ring_s keeps cycles"),
        (drops.frames, "frames", "fewer, smaller or slower cameras leave fewer frames to keep"),
        (drops.records, "chunks and events", "for those, nothing but a disk that keeps up"),
    ];
    let lost: Vec<_> = lost.into_iter().filter(|(count, ..)| *count > 0).collect();
    let counts: Vec<String> =
        lost.iter().map(|(count, what, _)| format!("{count} {what}")).collect();
    let remedies: Vec<&str> = lost.iter().map(|(.., remedy)| *remedy).collect();
    (!lost.is_empty()).then(|| {
        format!(
            "{} found no room while the recorder waited for the disk; {}",
            counts.join(", "),
            remedies.join("; ")
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
    let (joints, sensors) = (header.joints.len(), header.sensors.len());
    let mut writer = Writer::create(&folder.join(FLIGHT), header)?;
    for sample in flight {
        writer.append_cycle(&sample.record(joints, sensors))?;
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

/// `RUN.csv` in `directory`, with `-2`, `-3` behind the name where that exists: runs of other recording
/// directories, or of virtual time, may have had that name.
fn free(directory: &Path, run: &str) -> PathBuf {
    let named = |number: u32| match number {
        1 => directory.join(format!("{run}.csv")),
        number => directory.join(format!("{run}-{number}.csv")),
    };
    (1..u32::MAX).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(1))
}
