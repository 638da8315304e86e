//! Commands replayed on a rig by the runtime itself.

use crate::actuator::csv::Recording;
use crate::actuator::series::interpolate;
use sinew::config::{self, ConfigError, Loaded};
use sinew::control::OperatorSignal;
use sinew::run::{self, Console, ReplayTarget, RunError, settings};
use sinew::targets::{Positions, Repeated};
use sinew_episodes::journal::PolicyMeta;
use sinew_firmware_interfaces::MAX_JOINTS;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Why the rig did not do it.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Csv(#[from] crate::actuator::csv::CsvError),
    #[error("the rig has joints {0}; commands are for one")]
    Joints(String),
    #[error(
        "the run ended with {cause} (code {code}) after {seconds:.1} s: {message}. What it recorded is in {folder}"
    )]
    Ended { cause: String, code: u8, seconds: f64, message: String, folder: String },
}

/// What the rig did.
pub struct Moved {
    /// Its samples.
    pub csv: PathBuf,
    /// Inertia of the configuration.
    pub inertia_kg_m2: Option<f64>,
}

struct Lines;

impl Console for Lines {
    fn line(&mut self, text: &str) {
        eprintln!("{text}");
    }

    fn progress(&mut self, text: &str) {
        eprintln!("{text}");
    }
}

/// Runs `config` with `overrides`, with the commands of a recording in place of its own target where
/// there are such. Everything is recorded below `out`.
///
/// # Errors
/// [`RigError`] when the run did not end well.
pub fn replay(
    config: &Path,
    overrides: &[String],
    commands: Option<&Path>,
    out: &Path,
) -> Result<Moved, RigError> {
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let mut sets = overrides.to_vec();
    for (key, folder) in [("directory", "recording"), ("csv", "csv")] {
        let path = toml::Value::from(out.join(folder).display().to_string());
        sets.push(format!("recording.{key}={path}"));
    }
    let loaded = config::load(config, &sets)?;
    let operator = OperatorSignal::default();
    let asked = operator.clone();
    // What cannot be listened to only ends the process at once.
    let _ = ctrlc::set_handler(move || asked.raise());
    let summary = match commands {
        None => run::run(&loaded, operator, &mut Lines)?,
        Some(path) => {
            let target = recorded(&loaded, path)?;
            let seconds = target.motion.longest().as_secs_f64().ceil() + 1.0;
            sets.push(format!("run.duration_s={seconds:?}"));
            run::follow(&config::load(config, &sets)?, target, operator, &mut Lines)?
        }
    };
    if summary.exit.code != 0 {
        return Err(RigError::Ended {
            cause: summary.exit.cause,
            code: summary.exit.code,
            seconds: summary.seconds,
            message: summary.exit.message,
            folder: summary.episode,
        });
    }
    let inertia_kg_m2 = loaded.config.robot.rig.inertia_kg_m2;
    Ok(Moved { csv: PathBuf::from(summary.csv), inertia_kg_m2 })
}

/// The commands of a recording, one per cycle.
fn recorded(loaded: &Loaded, path: &Path) -> Result<ReplayTarget, RigError> {
    let robot = sinew::robots::description(&loaded.config.robot);
    if robot.joints.len() != 1 {
        let names: Vec<&str> = robot.joints.iter().map(|joint| joint.name.as_str()).collect();
        return Err(RigError::Joints(names.join(", ")));
    }
    let limits = loaded.validate(&robot)?;
    let settings = settings::settings(&loaded.config, &robot, limits, None, 0);
    let recording = Recording::read(path, "Acc_Y", "Gyro_Z")?;
    let time: Vec<f64> = recording.time_ms.iter().map(|time| time * 1e-3).collect();
    let dt = settings.period.as_secs_f64();
    let count = ((time[time.len() - 1] - time[0]) / dt).floor() as usize + 1;
    let grid: Vec<f64> = (0..count).map(|step| time[0] + step as f64 * dt).collect();
    let mut positions = Positions::new(1);
    for angle in interpolate(&time, &recording.commanded_deg, &grid) {
        let mut position = [0.0; MAX_JOINTS];
        position[0] = angle.to_radians();
        positions.push(&position);
    }
    let slow = settings.limits.iter().map(|limits| limits.slowed(settings.rest_fraction));
    let motion = Repeated {
        step: settings.period,
        positions: Arc::new(positions),
        times: 1,
        slow: slow.collect(),
        ramp: settings.start_ramp,
        began: Mutex::default(),
    };
    let origin = PolicyMeta {
        kind: "commands".to_owned(),
        path: path.display().to_string(),
        sha256: recording.sha256,
        action_steps: 0,
    };
    Ok(ReplayTarget { motion: Arc::new(motion), origin })
}
