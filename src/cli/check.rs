//! `sinew check`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use sinew_firmware_interfaces::RobotDescription;

use super::{Format, fail};
use crate::config::{
    self, CameraConfig, ClockKind, Config, ConfigError, Loaded, Problem, SignalConfig,
};
use crate::control::OperatorSignal;
use crate::robots;
use crate::run::{self, RunError};

/// Validates the configuration at `path` with the overrides `sets` on top, and everything that it
/// names: the robot's joints, the folders, the checkpoint and the cameras. Opens no port and moves
/// nothing. Prints a summary, before it with `explain` every effective value with its origin.
/// Returns the exit code.
pub(super) fn check(path: &Path, sets: &[String], explain: bool, format: Format) -> u8 {
    let (loaded, robot) = match load(path, sets) {
        Ok(checked) => checked,
        Err(error) => return refuse(path, &error, format),
    };
    // What is wrong with a checkpoint is easier to mend with the values in sight.
    if explain && format == Format::Text {
        say!("{}", loaded.explain());
    }
    let checked = run::prepare(&loaded, &OperatorSignal::default())
        .and_then(|parts| run::check_recording(&loaded, &parts).map(|()| parts));
    let notes = match checked {
        Ok(parts) => parts.notes(&loaded.config),
        Err(RunError::Config(error)) => return refuse(path, &error, format),
        Err(error) => return fail(&error, error.exit_code(), format),
    };
    match format {
        Format::Text => say!("{}", summary(&loaded, &robot, &notes).trim_end()),
        Format::Json => say!("{}", summary_json(&loaded, &robot, &notes, explain)),
    }
    0
}

/// Loads and validates; what the robot and the disk refuse comes together.
fn load(path: &Path, sets: &[String]) -> Result<(Loaded, RobotDescription), ConfigError> {
    let loaded = config::load(path, sets)?;
    let robot = robots::description(&loaded.config.robot);
    let refused =
        [loaded.validate(&robot).err(), loaded.validate_paths().err(), loaded.tool(&robot).err()];
    let problems: Vec<Problem> =
        refused.into_iter().flatten().flat_map(|error| error.problems).collect();
    if problems.is_empty() { Ok((loaded, robot)) } else { Err(problems.into()) }
}

/// Prints what is wrong. As JSON, `problems` has `file`, `line`, `key` (each may be null) and
/// `message` of each.
fn refuse(path: &Path, error: &ConfigError, format: Format) -> u8 {
    const CODE: u8 = 2;
    if format == Format::Text {
        return fail(error, CODE, format);
    }
    complain!("error: {error}");
    let problems: Vec<_> = error
        .problems
        .iter()
        .map(|problem| {
            let origin = problem.origin();
            json!({
                "file": origin.file().map(|file| file.display().to_string()),
                "line": origin.line(),
                "key": problem.key(),
                "message": problem.to_string(),
            })
        })
        .collect();
    let exit = json!({ "cause": "error", "message": error.to_string(), "code": CODE });
    let config = path.display().to_string();
    say!("{}", json!({ "exit": exit, "config": config, "problems": problems }));
    CODE
}

/// `ok: FILE` and what will run.
fn summary(loaded: &Loaded, robot: &RobotDescription, notes: &[String]) -> String {
    let config = &loaded.config;
    let joints: Vec<_> = robot.joints.iter().map(|joint| joint.name.as_str()).collect();
    let sensors: Vec<String> =
        robot.sensors.iter().map(|sensor| format!("{} [{}]", sensor.name, sensor.unit)).collect();
    let recording_rate = config.episode_rate_hz().0;
    let (source, what, pace) = match &config.policy {
        Some(policy) => {
            ("policy", policy.path.display().to_string(), format!("policy {} Hz, ", policy.rate_hz))
        }
        None if config.excitation.is_none() => {
            ("target", "a hand that leads the arm".to_owned(), String::new())
        }
        None => ("excitation", excitation(config), String::new()),
    };
    let clock = match config.run.clock {
        ClockKind::Real => "real",
        ClockKind::Simulated => "simulated",
    };
    let lines = [
        ("robot", format!("{} at {}", robot.model, config.robot.port)),
        ("joints", joints.join(", ")),
        ("sensors", if sensors.is_empty() { "none".to_owned() } else { sensors.join(", ") }),
        (source, what),
        ("cameras", cameras(loaded)),
        ("rates", format!("loop {} Hz, {pace}recording {recording_rate} Hz", config.run.rate_hz)),
        ("duration", format!("{} s, {clock} clock", config.run.duration_s)),
        ("recording", config.recording.directory.display().to_string()),
    ];
    let mut out = format!("ok: {}\n", loaded.path.display());
    for (name, value) in lines {
        let _ = writeln!(out, "  {name:<10} {value}");
    }
    for note in notes {
        let _ = writeln!(out, "  {:<10} {note}", "note");
    }
    out
}

/// What is played.
fn excitation(config: &Config) -> String {
    let signals = config.excitation.iter().flat_map(|it| &it.signals);
    let names = config.limits.keys().map(String::as_str);
    let joints: BTreeSet<&str> = names.filter(|joint| config.drives(joint)).collect();
    let seconds: f64 = signals.map(SignalConfig::duration_s).sum();
    let times = config.excitation.as_ref().map_or(0, |it| it.times);
    let joints: Vec<&str> = joints.into_iter().collect();
    format!("{seconds} s of {}, {times} times", joints.join(", "))
}

fn cameras(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let list: Vec<String> = config
        .cameras
        .iter()
        .map(|(name, camera)| {
            let source = match camera {
                CameraConfig::Synthetic { width, height, rate_hz, .. } => {
                    format!("synthetic {width}x{height}, {rate_hz} Hz")
                }
                CameraConfig::Replay { rate_hz, .. } => format!("replay, {rate_hz} Hz"),
            };
            let used =
                config.policy.iter().flat_map(|it| it.images.values()).any(|camera| camera == name);
            format!("{name} ({source}{})", if used { "" } else { ", recorded only" })
        })
        .collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

/// The same for programs; with `explain`, `effective` is the complete configuration and `origins`
/// says where each value comes from (values without one are defaults).
fn summary_json(
    loaded: &Loaded,
    robot: &RobotDescription,
    notes: &[String],
    explain: bool,
) -> Value {
    let config = &loaded.config;
    let shown = |path: &Path| path.display().to_string();
    let joints: Vec<_> = robot.joints.iter().map(|joint| &joint.name).collect();
    let mut out = json!({
        "exit": { "cause": "ok", "code": 0 },
        "config": shown(&loaded.path),
        "files": loaded.files.iter().map(|file| shown(file)).collect::<Vec<_>>(),
        "robot": robot.model,
        "port": config.robot.port,
        "joints": joints,
        "policy": config.policy.as_ref().map(|policy| shown(&policy.path)),
        "cameras": config.cameras.keys().collect::<Vec<_>>(),
        "rate_hz": config.run.rate_hz,
        "duration_s": config.run.duration_s,
        "recording": shown(&config.recording.directory),
        "notes": notes,
    });
    if explain && let Some(object) = out.as_object_mut() {
        let origins: Map<_, _> = loaded
            .origins
            .iter()
            .map(|(key, origin)| (key.to_owned(), json!(origin.to_string())))
            .collect();
        object.insert("effective".to_owned(), json!(config));
        object.insert("origins".to_owned(), Value::Object(origins));
    }
    out
}
