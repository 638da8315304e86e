//! `sinew-tools validate`: does a model move as reality does?

mod closed_loop;
mod dynamics;
mod page;
mod rig;

use crate::actuator::csv::Recording;
use crate::actuator::dataset::DataError;
use crate::actuator::evaluation;
use crate::actuator::metrics::Metrics;
use crate::actuator::series::{self, Series};
use crate::actuator::settings::{Data, Settings};
use clap::Subcommand;
use closed_loop::Simulated;
use serde::Serialize;
use sinew_models::actuators::Bundle;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Verb {
    /// Replay commands on a rig, or its emulator, and through a model, and compare. Ends with 0 where the
    /// model is inside the tolerances, with 3 where it is not.
    Actuator(Box<Arguments>),
    /// Compare the torques and motions of an episode with the model of an arm, per joint, and name what
    /// the model likely lacks. Ends with 0 where it is inside the tolerances, with 3 where it is not.
    Dynamics(Box<dynamics::Arguments>),
}

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of an actuator model.
    model: PathBuf,
    /// How recordings are read (radius, axes, biases, filter): the configuration of a training.
    #[arg(long, value_name = "TRAINING")]
    data: PathBuf,
    /// The run's configuration of the rig, such as configs/rig-collect.toml. Without --commands, the
    /// excitation in it is what is replayed.
    #[arg(long, value_name = "RUN", required_unless_present = "recording")]
    on: Option<PathBuf>,
    /// A CSV of the rig whose Commanded_Angle is replayed.
    #[arg(long, value_name = "CSV", requires = "on")]
    commands: Option<PathBuf>,
    /// Nothing moves: what a rig did is in this CSV.
    #[arg(long, value_name = "CSV", conflicts_with_all = ["on", "commands"])]
    recording: Option<PathBuf>,
    /// Total inertia that turned, in kg·m² [default: that of the run's configuration]
    #[arg(long, value_name = "KG_M2", required_unless_present = "on")]
    inertia: Option<f64>,
    /// Puts a value over the run's configuration; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "on")]
    overrides: Vec<String>,
    /// Largest RMSE of the torque, with measured states, in N·m.
    #[arg(long, value_name = "NM")]
    torque_tolerance: f64,
    /// Largest RMSE of the angle, with the model alone turning the load, in degrees.
    #[arg(long, value_name = "DEG")]
    angle_tolerance: f64,
    /// Folder to write: the recording, validation.json, report.html and its pictures.
    #[arg(long)]
    out: PathBuf,
}

/// Why nothing can be said of a model.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    #[error("--{what} is {value}; allowed: a number above 0")]
    Number { what: &'static str, value: f64 },
    #[error("{}: no inertia is known; give --inertia, or set robot.rig.inertia_kg_m2", path.display())]
    Inertia { path: PathBuf },
    #[error(transparent)]
    Rig(#[from] rig::RigError),
    #[error(transparent)]
    Settings(#[from] crate::actuator::settings::SettingsError),
    #[error(transparent)]
    Csv(#[from] crate::actuator::csv::CsvError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(#[from] sinew_models::actuators::ActuatorFileError),
    #[error(transparent)]
    Parameters(#[from] sinew_models::actuators::ParameterError),
    #[error(transparent)]
    Step(#[from] sinew_models::actuators::ActuatorError),
    #[error(transparent)]
    Page(#[from] crate::actuator::run::RunError),
    #[error(transparent)]
    Dynamics(#[from] dynamics::DynamicsError),
}

/// What a validation found.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    /// The model's folder.
    pub model: PathBuf,
    /// What the rig did.
    pub recording: PathBuf,
    pub recording_sha256: String,
    pub inertia_kg_m2: f64,
    pub rate_hz: f64,
    pub seconds: f64,
    /// The model's torque for measured states, against the measured torque, in N·m.
    pub torque: Metrics,
    /// The angle of a load that the model alone turns, against the measured angle, in degrees.
    pub angle: Metrics,
    /// Largest difference of these angles, in degrees.
    pub angle_max_deg: f64,
    /// What the measured angle itself differs from its target by, in degrees: an actuator that followed
    /// its target exactly would be wrong by this much.
    pub target: Metrics,
    pub torque_tolerance_nm: f64,
    pub angle_tolerance_deg: f64,
    pub inside: bool,
}

/// What to print, and whether the model is inside the tolerances.
pub fn run(verb: Verb) -> Result<(String, bool), ValidationError> {
    let arguments = match verb {
        Verb::Actuator(arguments) => arguments,
        Verb::Dynamics(arguments) => return Ok(dynamics::run(&arguments)?),
    };
    for (what, value) in [
        ("torque-tolerance", arguments.torque_tolerance),
        ("angle-tolerance", arguments.angle_tolerance),
        ("inertia", arguments.inertia.unwrap_or(1.0)),
    ] {
        if !(value.is_finite() && value > 0.0) {
            return Err(ValidationError::Number { what, value });
        }
    }
    let bundle = Bundle::read(&arguments.model)?;
    let settings = Settings::load(&arguments.data, &[])?;
    // The model's own rate: what it was trained at is what it is held against.
    let data = Data { target_sampling_frequency_hz: Some(bundle.rate_hz()), ..settings.data };
    let (recording, said) = match (&arguments.on, &arguments.recording) {
        (Some(config), _) => {
            let moved = rig::replay(
                config,
                &arguments.overrides,
                arguments.commands.as_deref(),
                &arguments.out,
            )?;
            (moved.csv, moved.inertia_kg_m2)
        }
        (None, recording) => (recording.clone().unwrap_or_default(), None),
    };
    let inertia = arguments.inertia.or(said);
    let inertia = inertia.ok_or(ValidationError::Inertia { path: recording.clone() })?;
    let mut warnings = Vec::new();
    let series = read(&recording, &data, inertia, &mut warnings)?;
    let mut model = bundle.model(1, series.rate_hz)?;
    let open = evaluation::stream(model.as_mut(), 0, &series)?;
    let simulated = closed_loop::simulate(model.as_mut(), &series, inertia)?;
    let validation = judge(&arguments, &recording, &series, inertia, &open.torque, &simulated);
    page::write(&arguments.out, &validation, &series, &open, &simulated, &warnings)?;
    Ok((describe(&validation, &warnings), validation.inside))
}

fn read(
    path: &Path,
    data: &Data,
    inertia: f64,
    warnings: &mut Vec<String>,
) -> Result<Series, ValidationError> {
    let recording = Recording::read(path, &data.acceleration_axis, &data.gyro_axis)?;
    warnings.extend(recording.warnings.iter().cloned());
    Ok(series::series(data, recording, 0, inertia, warnings)?)
}

fn judge(
    arguments: &Arguments,
    recording: &Path,
    series: &Series,
    inertia_kg_m2: f64,
    torque: &[f64],
    simulated: &Simulated,
) -> Validation {
    // In a gap nothing was measured: lines are there in its place.
    let kept = |values: &[f64]| -> Vec<f64> {
        let samples = values.iter().enumerate();
        let measured = samples.filter(|(sample, _)| series.gaps.binary_search(sample).is_err());
        measured.map(|(_, value)| *value).collect()
    };
    let degrees =
        |values: &[f64]| kept(values).iter().map(|it| it.to_degrees()).collect::<Vec<_>>();
    let (measured, angles) = (degrees(&series.position), degrees(&simulated.position));
    let torque = Metrics::of(&kept(torque), &kept(&series.torque));
    let angle = Metrics::of(&angles, &measured);
    let differences = angles.iter().zip(&measured).map(|(one, other)| (one - other).abs());
    let inside =
        torque.rmse <= arguments.torque_tolerance && angle.rmse <= arguments.angle_tolerance;
    Validation {
        model: arguments.model.clone(),
        recording: recording.to_owned(),
        recording_sha256: series.sha256.clone(),
        inertia_kg_m2,
        rate_hz: series.rate_hz,
        seconds: series.len() as f64 / series.rate_hz,
        angle_max_deg: differences.fold(0.0, f64::max),
        target: Metrics::of(&degrees(&series.target), &measured),
        torque,
        angle,
        torque_tolerance_nm: arguments.torque_tolerance,
        angle_tolerance_deg: arguments.angle_tolerance,
        inside,
    }
}

fn describe(validation: &Validation, warnings: &[String]) -> String {
    let Validation { torque, angle, target, .. } = validation;
    let mut text = String::new();
    for warning in warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let _ = writeln!(
        text,
        "{}: {:.1} s at {:.0} Hz, {} kg·m²",
        validation.recording.display(),
        validation.seconds,
        validation.rate_hz,
        validation.inertia_kg_m2
    );
    let word = |inside| if inside { "inside" } else { "OUTSIDE" };
    let _ = writeln!(
        text,
        "torque, measured states    RMSE {:.4} N·m, R² {:.4}   {} {} N·m",
        torque.rmse,
        torque.r2,
        word(torque.rmse <= validation.torque_tolerance_nm),
        validation.torque_tolerance_nm
    );
    let _ = writeln!(
        text,
        "angle, closed loop         RMSE {:.3}°, at most {:.2}°, R² {:.4}   {} {}°",
        angle.rmse,
        validation.angle_max_deg,
        angle.r2,
        word(angle.rmse <= validation.angle_tolerance_deg),
        validation.angle_tolerance_deg
    );
    let _ = write!(
        text,
        "(the target itself         RMSE {:.3}° from where the actuator was)",
        target.rmse
    );
    text
}
