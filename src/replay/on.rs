//! A recorded motion on a robot: the run's configuration, and whether the motion fits it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sinew_episodes::journal::PolicyMeta;
use sinew_firmware_interfaces::{JointKind, RobotDescription};

use super::{Episode, Motion, ReplayError};
use crate::config::{self, Layer, Loaded};
use crate::robots;
use crate::run::{ReplayTarget, settings};
use crate::targets::Repeated;

/// What a recorded motion needs no part of.
const WITHOUT: &[&str] = &[
    "cameras",
    "excitation",
    "policy.images",
    "policy.ensemble_coefficient",
    "policy.inference_period_ms",
    // A replay is no data of its own.
    "recording.csv",
];

/// How much longer than planned a replay may take.
const HELD_UP: Duration = Duration::from_secs(10);
/// The largest `run.duration_s`.
const LONGEST_RUN: Duration = Duration::from_secs(86_400);

/// A motion that fits a robot.
#[derive(Debug)]
pub struct Prepared {
    /// The run's configuration.
    pub loaded: Loaded,
    /// What the run follows.
    pub target: ReplayTarget,
    /// The motion as recorded.
    pub motion: Motion,
}

/// Reads the motion in `episode` and checks that it can be made `times` times with the episode's
/// configuration, `file` on top of that, and `overrides` on top of all. Opens no port.
///
/// # Errors
/// [`ReplayError`] when the robot has other joints, or the motion is outside its limits.
pub fn prepare(
    episode: &mut Episode,
    file: &Path,
    overrides: &[String],
    times: u32,
) -> Result<Prepared, ReplayError> {
    let loaded = layered(episode, file, overrides, 1.0)?;
    let robot = robots::description(&loaded.config.robot);
    same_joints(episode, &robot)?;
    let limits = loaded.validate(&robot)?;
    let workspace = settings::workspace(&loaded, &robot)?;
    let motion = Motion::read(episode)?;
    let settings = settings::settings(&loaded.config, &robot, limits, workspace, 0);
    let (limits, workspace) = (&settings.limits, settings.workspace.as_ref());
    // The generator follows nothing that is faster than its part of the limits.
    motion.check(&robot.joints, limits, settings.generator.unwrap_or(1.0), workspace)?;
    let repeated = Repeated {
        step: motion.step,
        positions: Arc::clone(&motion.commands),
        times,
        slow: limits.iter().map(|limits| limits.slowed(settings.rest_fraction)).collect(),
        ramp: settings.start_ramp,
        began: Mutex::default(),
    };
    // The motion says itself when it is over; this is for an arm that is held up.
    let longest = repeated.longest() + HELD_UP;
    if longest > LONGEST_RUN {
        let most = repeated.most_within(LONGEST_RUN.saturating_sub(HELD_UP));
        return Err(ReplayError::TooOften { times, hours: longest.as_secs_f64() / 3600.0, most });
    }
    let loaded = layered(episode, file, overrides, longest.as_secs_f64().ceil())?;
    let path = episode.path();
    let sha256 = checksum(path)
        .map_err(|source| ReplayError::Unreadable { path: path.to_owned(), source })?;
    let origin = PolicyMeta {
        kind: "replay".to_owned(),
        path: path.display().to_string(),
        sha256,
        action_steps: 0,
    };
    let target = ReplayTarget { motion: Arc::new(repeated), origin };
    Ok(Prepared { loaded, target, motion })
}

/// SHA-256 of a file of any length, in hexadecimal.
fn checksum(path: &Path) -> io::Result<String> {
    let mut sha256 = Sha256::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        sha256.update(bytes);
        let length = bytes.len();
        file.consume(length);
    }
    Ok(sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The episode's configuration, what a replay changes in it by default, `file`, and what a replay
/// must have.
fn layered(
    episode: &Episode,
    file: &Path,
    overrides: &[String],
    duration_s: f64,
) -> Result<Loaded, ReplayError> {
    let header = episode.header();
    let name = episode.config_name();
    let recorded = config::load_layers(&name, &[Layer::Text(&name, &header.config)], &[])?;
    let mut directory = recorded.config.recording.directory.into_os_string();
    directory.push("-replay");
    let text = |text: &str| toml::Value::from(text).to_string();
    let before = format!(
        "[recording]\ndirectory = {}\nrate_hz = {:?}\n[emulator]\nfaults = []\n",
        text(&directory.to_string_lossy()),
        header.dataset_rate_hz
    );
    let kept = episode.kept_files();
    let actions: Vec<String> = header
        .joints
        .iter()
        .map(|joint| {
            let unit = if joint.unit == JointKind::Gripper.unit() { "fraction" } else { "rad" };
            format!("{{ joint = {}, unit = \"{unit}\" }}", text(&joint.name))
        })
        .collect();
    let path = std::path::absolute(episode.path()).unwrap_or(episode.path().to_owned());
    let after = format!(
        "[run]\nname = \"replay\"\ntask = {}\nduration_s = {duration_s:?}\n\
         [policy]\npath = {}\nrate_hz = {:?}\nexecution = \"timeline\"\ncrossfade_ms = 0.0\n\
         hold = []\nstate = [{}]\naction = [{}]\n",
        text(&format!("replay of {}", header.run)),
        text(&path.display().to_string()),
        header.rate_hz,
        actions.join(", "),
        actions.join(", ")
    );
    let replay = Path::new("sinew replay");
    let load = |void: &[&str]| {
        let layers = [
            Layer::Text(&name, &header.config),
            Layer::Text(&name, &kept),
            // Void by what comes on top, and nobody can remove it from a journal.
            Layer::Without(void),
            Layer::Text(replay, &before),
            Layer::File(file),
            Layer::Without(WITHOUT),
            Layer::Text(replay, &after),
        ];
        config::load_layers(file, &layers, overrides)
    };
    Ok(load(&load(&[])?.void_keys())?)
}

/// The robot has the joints of the recording, in its order and of its kinds.
fn same_joints(episode: &Episode, robot: &RobotDescription) -> Result<(), ReplayError> {
    let recorded = &episode.header().joints;
    let words = |joints: &mut dyn Iterator<Item = (String, String)>| {
        joints.map(|(name, unit)| format!("{name} [{unit}]")).collect::<Vec<_>>().join(", ")
    };
    let mut was = recorded.iter().map(|joint| (joint.name.clone(), joint.unit.clone()));
    let mut is =
        robot.joints.iter().map(|joint| (joint.name.clone(), joint.kind.unit().to_owned()));
    if was.clone().eq(is.clone()) {
        return Ok(());
    }
    Err(ReplayError::OtherRobot {
        robot: robot.model.clone(),
        recorded: words(&mut was),
        known: words(&mut is),
    })
}
