//! Networks of other programs: the seed's exports, and those of Isaac Lab.

use super::bundle::{DESCRIPTION, Network};
use super::files::{STATISTICS, SUMMARY, Statistics, Summary, read_json};
use super::tensors::{Tensors, read_file};
use super::{
    ActuatorFileError, Bundle, Feature, GruSpec, IsaacLab, MlpSpec, Normalization, Output, PdPart,
    Spring, SpringConvention, TargetVelocity, TorqueSpeedCurve,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Metrics of a training, which Lightning keeps beside the network.
const METRICS: [&str; 3] = ["train_metrics.", "val_metrics.", "test_metrics."];
/// Statistics that ride along in a network.
const BUFFERS: [&str; 4] = ["input_mean", "input_std", "target_mean", "target_std"];
/// Why the seed's files are needed.
const BESIDE: &str = "the seed writes it beside the network, at the root of a run or in norm_stats_and_config of a fold: copy it there or name it";

/// What the files of a network do not say.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Rate of the training, which no file of the seed has.
    pub rate_hz: Option<f64>,
    /// The statistics, if not `normalization_stats.json` beside the network.
    pub statistics: Option<PathBuf>,
    /// The settings, if not `training_config_summary.json` beside the network.
    pub summary: Option<PathBuf>,
    /// Sign of the spring; the seed's if `None`.
    pub spring_convention: Option<SpringConvention>,
    /// Limit of the effort, N·m.
    pub effort_limit_nm: Option<f64>,
    /// Add the mean of the torque to a residual, as `mars_jumper` does: its simulations had that bias.
    pub mars_jumper: bool,
    /// The network is one of Isaac Lab, and this file holds its configuration ([`IsaacLab`] as JSON).
    pub isaac_lab: Option<PathBuf>,
    /// The network is a dense one, and this file holds its [`MlpSpec`] as JSON, with the names of Isaac
    /// Lab's `ActuatorNetMLPCfg`.
    pub mlp: Option<PathBuf>,
}

/// A network that was read, whoever wrote it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The model.
    pub bundle: Bundle,
    /// What the file was.
    pub source: &'static str,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What was ignored, and what was assumed.
    pub notes: Vec<String>,
    /// What is probably wrong.
    pub warnings: Vec<String>,
}

/// Reads an actuator network: a folder with `actuator.json`, or a file of another program.
///
/// # Errors
/// [`ActuatorFileError`], naming file and key or tensor: for anything that is missing, unknown,
/// contradictory or not finite, and where nobody says at which rate the network was trained.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ActuatorFileError> {
    let read = read(path, options)?;
    if read.rate_is_known {
        return Ok(read.imported);
    }
    Err(ActuatorFileError::NoRate { file: path.to_path_buf() })
}

/// A network whose rate may not be known: then the one in it means nothing.
pub(super) struct Reading {
    pub imported: Imported,
    pub rate_is_known: bool,
}

/// Reads a network as [`import`] does, and one without a rate as well.
pub(super) fn read(path: &Path, options: &ImportOptions) -> Result<Reading, ActuatorFileError> {
    if path.is_dir() {
        if !path.join(DESCRIPTION).exists() {
            let (file, found) =
                (path.to_path_buf(), "is a folder without actuator.json".to_owned());
            let remedy = "name the .pt, .ckpt or .safetensors file itself";
            return Err(ActuatorFileError::Content { file, found, remedy });
        }
        let bundle = Bundle::read(path)?;
        let remedy = "the folder was there a moment ago";
        let weights = path.join(super::bundle::WEIGHTS);
        let bytes = read_file(&weights, super::tensors::MAX_FILE, remedy)?;
        let imported = Imported {
            bundle,
            source: "sinew actuator folder",
            sha256: super::tensors::sha256(&bytes),
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        return Ok(Reading { imported, rate_is_known: true });
    }
    let mut tensors = Tensors::read(path)?;
    let mut notes = std::mem::take(&mut tensors.notes);
    let made = match (&options.mlp, &options.isaac_lab) {
        (Some(file), _) => of_mlp(file, options, &mut tensors)?,
        (None, Some(file)) => of_isaac_lab(path, file, options, &mut tensors)?,
        (None, None) => of_seed(path, options, &mut tensors, &mut notes)?,
    };
    tensors.finish()?;
    let Made { network, rate_hz, mut warnings } = made;
    if let Network::Gru(spec, _) = &network
        && spec.output == Output::ResidualWithMean
        && options.isaac_lab.is_none()
    {
        warnings.push(format!(
            "mars_jumper: the mean of the torque is added to the residual, a constant bias of {} N·m",
            spec.normalization.target_mean
        ));
    }
    let mut provenance = BTreeMap::new();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    provenance.insert("imported_from".to_owned(), name);
    provenance.insert("imported_sha256".to_owned(), tensors.sha256.clone());
    provenance.insert("imported_format".to_owned(), tensors.source.name().to_owned());
    let bundle = Bundle { network, provenance };
    bundle.check().map_err(ActuatorFileError::of(path))?;
    let imported =
        Imported { bundle, source: tensors.source.name(), sha256: tensors.sha256, notes, warnings };
    Ok(Reading { imported, rate_is_known: rate_hz.is_some() })
}

/// A network with its settings.
struct Made {
    network: Network,
    rate_hz: Option<f64>,
    warnings: Vec<String>,
}

/// The only rate of two that may be said.
fn rate(
    file: &Path,
    said: Option<f64>,
    given: Option<f64>,
) -> Result<Option<f64>, ActuatorFileError> {
    match (said, given) {
        (Some(said), Some(given)) if (said - given).abs() > 0.01 * given.abs() => {
            Err(ActuatorFileError::Key {
                file: file.to_path_buf(),
                key: "sampling rate",
                found: said.to_string(),
                needed: format!("the {given} Hz that was given; leave it out to take the file's"),
            })
        }
        (said, given) => Ok(given.or(said)),
    }
}

fn of_seed(
    path: &Path,
    options: &ImportOptions,
    tensors: &mut Tensors,
    notes: &mut Vec<String>,
) -> Result<Made, ActuatorFileError> {
    let (parameters, module) = tensors.take_gru()?;
    let ignored = tensors.ignore(|name| METRICS.iter().any(|prefix| name.starts_with(prefix)));
    if ignored > 0 {
        notes.push(format!("{ignored} tensors of training metrics were ignored"));
    }
    let statistics_file = options.statistics.clone().unwrap_or_else(|| beside(path, STATISTICS));
    let summary_file = options.summary.clone().unwrap_or_else(|| beside(path, SUMMARY));
    let statistics: Statistics = read_json(&statistics_file, BESIDE)?;
    let summary: Summary = read_json(&summary_file, BESIDE)?;
    statistics.check(&statistics_file, parameters.inputs)?;
    summary.check(&summary_file, path, &parameters)?;
    // In the module with the GRU, in the one around it, or at the root.
    let outer = module.trim_end_matches('.').rsplit_once('.');
    let outer = outer.map_or(String::new(), |(outer, _)| format!("{outer}."));
    let mut compared = 0;
    for name in BUFFERS {
        let mut places = vec![String::new(), outer.clone(), module.clone()];
        places.dedup();
        for place in places {
            if let Some(values) = tensors.take_any(&format!("{place}{name}")) {
                statistics.compare(&statistics_file, path, name, &values)?;
                compared += 1;
            }
        }
    }
    if compared > 0 {
        notes.push(format!(
            "{compared} buffers of statistics are those of {STATISTICS}, which is applied once"
        ));
    }
    let features: Vec<Feature> = match parameters.inputs {
        3 => Feature::SEED.to_vec(),
        4 => Feature::SEED.into_iter().chain([Feature::PreviousEffort]).collect(),
        found => {
            return Err(ActuatorFileError::Key {
                file: summary_file,
                key: "input_dim",
                found: found.to_string(),
                needed: "3 (angle, target, velocity) or 4 (and the previous torque)".to_owned(),
            });
        }
    };
    statistics.check_order(&statistics_file, &features)?;
    let mut warnings = Vec::new();
    if features.contains(&Feature::PreviousEffort) {
        warnings.push("the network sees its own last torque, where its training saw the measured one: errors may grow from step to step".to_owned());
    }
    let curve = curve(&summary, notes);
    let convention = summary.spring_convention.or(options.spring_convention);
    if let (Some(said), Some(given)) = (summary.spring_convention, options.spring_convention)
        && said != given
    {
        return Err(ActuatorFileError::Key {
            file: summary_file,
            key: "spring_convention",
            found: format!("{said:?}").to_lowercase(),
            needed: "what was given; leave it out to take the file's".to_owned(),
        });
    }
    let convention = convention.unwrap_or(SpringConvention::Seed);
    let has_spring = summary.use_residual && summary.k_spring != 0.0;
    let spring = has_spring.then_some(Spring {
        stiffness_nm_per_rad: summary.k_spring,
        rest_position_rad: summary.theta0,
        convention,
    });
    if spring.is_some_and(|spring| {
        spring.convention == SpringConvention::Seed && spring.stiffness_nm_per_rad > 0.0
    }) {
        notes.push(
            "its spring has the seed's sign: +k (q - theta0), which pushes away from theta0"
                .to_owned(),
        );
    }
    let pd = summary.use_residual.then_some(PdPart {
        stiffness_nm_per_rad: summary.kp_phys,
        damping_nm_s_per_rad: summary.kd_phys,
        target_velocity: TargetVelocity::Zero,
    });
    let output = match (summary.use_residual, options.mars_jumper) {
        (false, _) => Output::Full,
        (true, false) => Output::Residual,
        (true, true) => Output::ResidualWithMean,
    };
    let rate_hz = rate(&summary_file, summary.sampling_rate_hz, options.rate_hz)?;
    let spec = GruSpec {
        features,
        rate_hz: rate_hz.unwrap_or(1.0),
        output,
        normalization: Normalization {
            input_mean: statistics.input_mean,
            input_std: statistics.input_std,
            target_mean: statistics.target_mean[0],
            target_std: statistics.target_std[0],
            epsilon: Normalization::SEED_EPSILON,
            std_floor: 0.0,
        },
        pd,
        torque_speed_curve: if summary.use_residual { curve } else { None },
        spring,
        dc_motor: None,
        effort_limit_nm: options.effort_limit_nm,
    };
    Ok(Made { network: Network::Gru(spec, parameters), rate_hz, warnings })
}

/// The curve, where both of its numbers are there and positive, as the seed decides it.
fn curve(summary: &Summary, notes: &mut Vec<String>) -> Option<TorqueSpeedCurve> {
    let (stall, speed) =
        (summary.pd_stall_torque_phys_training, summary.pd_no_load_speed_phys_training);
    let usable = |value: &f64| *value > 0.0;
    if let (Some(stall_torque_nm), Some(no_load_speed_rad_s)) =
        (stall.filter(usable), speed.filter(usable))
    {
        return Some(TorqueSpeedCurve { stall_torque_nm, no_load_speed_rad_s });
    }
    if stall.is_some() || speed.is_some() {
        notes.push("of the torque-speed curve a number is missing or not positive: the seed then has no curve".to_owned());
    }
    None
}

fn of_isaac_lab(
    path: &Path,
    file: &Path,
    options: &ImportOptions,
    tensors: &mut Tensors,
) -> Result<Made, ActuatorFileError> {
    let (mut parameters, _) = tensors.take_gru()?;
    let isaac: IsaacLab = read_json(file, "it holds the numbers of ActuatorNetGRUCfg")?;
    let normalization = isaac.normalization().map_err(ActuatorFileError::of(file))?;
    isaac.remix(&mut parameters).map_err(ActuatorFileError::of(path))?;
    let gain = |key, value: Option<f64>| {
        value.ok_or_else(|| ActuatorFileError::Key {
            file: file.to_path_buf(),
            key,
            found: "null".to_owned(),
            needed: "a gain: a residual is added to a PD controller".to_owned(),
        })
    };
    let pd = if isaac.residual {
        Some(PdPart {
            stiffness_nm_per_rad: gain("stiffness", isaac.stiffness)?,
            damping_nm_s_per_rad: gain("damping", isaac.damping)?,
            target_velocity: TargetVelocity::Given,
        })
    } else {
        None
    };
    let rate_hz = rate(file, isaac.rate_hz, options.rate_hz)?;
    let spec = GruSpec {
        features: Feature::SEED.to_vec(),
        rate_hz: rate_hz.unwrap_or(1.0),
        output: if isaac.residual { Output::ResidualWithMean } else { Output::Full },
        normalization,
        pd,
        torque_speed_curve: None,
        spring: None,
        dc_motor: None,
        effort_limit_nm: options.effort_limit_nm.or(isaac.effort_limit),
    };
    Ok(Made { network: Network::Gru(spec, parameters), rate_hz, warnings: Vec::new() })
}

fn of_mlp(
    file: &Path,
    options: &ImportOptions,
    tensors: &mut Tensors,
) -> Result<Made, ActuatorFileError> {
    let mut spec: MlpSpec = read_json(file, "it holds the numbers of ActuatorNetMLPCfg")?;
    rate(file, Some(spec.rate_hz), options.rate_hz)?;
    spec.effort_limit_nm = options.effort_limit_nm.or(spec.effort_limit_nm);
    let rate_hz = Some(spec.rate_hz);
    let network = Network::Mlp(spec, tensors.take_mlp()?);
    Ok(Made { network, rate_hz, warnings: Vec::new() })
}

/// Where the seed has a file of a network: beside it, in the fold's folder, or at the root of the run.
fn beside(path: &Path, name: &str) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new(""));
    let fold = "norm_stats_and_config";
    let places = [
        folder.join(name),
        folder.join(fold).join(name),
        folder.join("..").join(fold).join(name),
        folder.join("../..").join(name),
    ];
    places.iter().find(|place| place.is_file()).unwrap_or(&places[0]).clone()
}
