//! The TOML file of a training.

use serde::{Deserialize, Serialize};
use sinew_models::actuators::{DcMotorCurve, PdPart, Spring, TorqueSpeedCurve};
use std::path::{Path, PathBuf};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{}: {source}; give the path of a configuration such as configs/actuator/train-rig.toml", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Syntax { path: PathBuf, source: toml::de::Error },
    #[error("--set {text}: {reason}; write KEY=VALUE, such as --set training.batch=64")]
    Override { text: String, reason: String },
    #[error("{}: {key} is {value}, allowed: {allowed}", path.display())]
    Value { path: PathBuf, key: &'static str, value: String, allowed: &'static str },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names the run's folder.
    #[serde(default = "default_name")]
    pub name: String,
    /// Of weights, order of batches, dropout and splits.
    #[serde(default = "default_seed")]
    pub seed: u64,
    #[serde(default)]
    pub mode: Mode,
    pub data: Data,
    #[serde(default)]
    pub windows: Windows,
    #[serde(default)]
    pub split: Split,
    pub model: Model,
    #[serde(default)]
    pub training: Training,
    #[serde(default)]
    pub baselines: Baselines,
    #[serde(default)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One model of all groups.
    #[default]
    Global,
    /// Leave one mass out: for each group a model of the others.
    Lomo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where the groups' folders are; relative to the configuration.
    pub directory: PathBuf,
    pub groups: Vec<Group>,
    /// Distance of the accelerometer from the axis.
    pub radius_m: f64,
    #[serde(default = "default_acceleration_axis")]
    pub acceleration_axis: String,
    #[serde(default = "default_gyro_axis")]
    pub gyro_axis: String,
    /// Every file is resampled to it; without it all files must have one rate.
    pub target_sampling_frequency_hz: Option<f64>,
    #[serde(default)]
    pub skip_start_s: f64,
    #[serde(default)]
    pub skip_end_s: f64,
    /// Taken off the accelerometer.
    #[serde(default)]
    pub acceleration_bias_m_s2: f64,
    /// Taken off the gyroscope.
    #[serde(default)]
    pub gyro_bias_rad_s: f64,
    #[serde(default)]
    pub filter: Filter,
    /// Measured torque is clipped to it.
    pub torque_limit_nm: Option<f64>,
    /// Windows in which the target moves faster are left out.
    pub max_target_speed_rad_s: Option<f64>,
    #[serde(default)]
    pub skip_bad_files: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub id: String,
    pub folder: PathBuf,
    /// All that turns, the arm included.
    pub inertia_kg_m2: f64,
}

/// Zero-phase Butterworth low-pass; a column without a frequency stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    pub order: usize,
    pub acceleration_hz: Option<f64>,
    pub position_hz: Option<f64>,
    pub velocity_hz: Option<f64>,
    pub torque_hz: Option<f64>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            order: 4,
            acceleration_hz: None,
            position_hz: None,
            velocity_hz: None,
            torque_hz: None,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Windows {
    pub duration_s: f64,
    /// Samples between the beginnings of two windows.
    pub stride: usize,
}

impl Default for Windows {
    fn default() -> Self {
        Self { duration_s: 1.0, stride: 1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitMethod {
    /// Whole files where every group has at least three, blocks elsewhere.
    Auto,
    Files,
    /// Contiguous pieces of files; no window reaches into another piece.
    Blocks,
    /// The original's: windows at random. Test windows overlap training windows.
    RandomWindows,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    pub method: SplitMethod,
    pub train: f64,
    pub validation: f64,
    /// Pieces into which blocks cut a file.
    pub blocks_per_file: usize,
    /// The original's: the group left out also chooses the checkpoint.
    pub lomo_validates_on_test: bool,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            method: SplitMethod::Auto,
            train: 0.7,
            validation: 0.15,
            blocks_per_file: 10,
            lomo_validates_on_test: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The network gives the whole torque.
    Full,
    /// The network gives what PD control and spring leave.
    Residual,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    #[serde(default = "default_target")]
    pub target: Target,
    #[serde(default = "default_layers")]
    pub layers: usize,
    #[serde(default = "default_hidden")]
    pub hidden: usize,
    /// Between layers.
    #[serde(default = "default_dropout")]
    pub dropout: f32,
    /// Also what stands alone when the network gives nothing usable.
    pub pd: Option<PdPart>,
    pub torque_speed_curve: Option<TorqueSpeedCurve>,
    pub spring: Option<Spring>,
    pub effort_limit_nm: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    pub batch: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub max_epochs: usize,
    pub warm_up_epochs: f64,
    /// Largest norm of all gradients together.
    pub gradient_clip: f64,
    pub patience: usize,
    pub min_delta: f64,
    /// A loss at every step; without it at the last step of a window alone.
    pub many_to_many: bool,
    /// Weight of the loss of differences over time, with `many_to_many`.
    pub difference_weight: f64,
    /// 0: as many as there are processors.
    pub threads: usize,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            batch: 256,
            learning_rate: 1e-3,
            weight_decay: 1e-6,
            max_epochs: 200,
            warm_up_epochs: 1.0,
            gradient_clip: 5.0,
            patience: 20,
            min_delta: 1e-4,
            many_to_many: true,
            difference_weight: 0.1,
            threads: 0,
        }
    }
}

/// What the network is compared with, beside PD control as configured and as fitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Baselines {
    pub dc_motor: Option<DcMotorCurve>,
    /// A dense network of Hwangbo's inputs.
    pub mlp: bool,
    pub mlp_epochs: usize,
    pub mlp_hidden: usize,
}

impl Default for Baselines {
    fn default() -> Self {
        Self { dc_motor: None, mlp: true, mlp_epochs: 30, mlp_hidden: 32 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Relative to the working directory.
    pub directory: PathBuf,
}

impl Default for Output {
    fn default() -> Self {
        Self { directory: PathBuf::from("outputs") }
    }
}

fn default_name() -> String {
    "actuator".to_owned()
}
fn default_seed() -> u64 {
    42
}
fn default_acceleration_axis() -> String {
    "Acc_Y".to_owned()
}
fn default_gyro_axis() -> String {
    "Gyro_Z".to_owned()
}
fn default_target() -> Target {
    Target::Residual
}
fn default_layers() -> usize {
    2
}
fn default_hidden() -> usize {
    128
}
fn default_dropout() -> f32 {
    0.1
}

impl Settings {
    /// Reads a file and puts `KEY=VALUE` over it.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let syntax = |source| SettingsError::Syntax { path: path.to_owned(), source };
        let mut settings: Self = if overrides.is_empty() {
            toml::from_str(&text).map_err(syntax)?
        } else {
            let mut table: toml::Table = toml::from_str(&text).map_err(syntax)?;
            for text in overrides {
                set(&mut table, text)
                    .map_err(|reason| SettingsError::Override { text: text.clone(), reason })?;
            }
            table.try_into().map_err(syntax)?
        };
        if settings.data.directory.is_relative() {
            let folder = path.parent().unwrap_or(Path::new(""));
            settings.data.directory = folder.join(&settings.data.directory);
        }
        settings.check(path)?;
        Ok(settings)
    }

    fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let positive = "a finite number above 0";
        let part = "above 0 and below 1, and both together below 1";
        let count = "1 or more";
        let Self { data, windows, split, model, training, .. } = self;
        let refuse = |key, value: String, allowed| {
            Err(SettingsError::Value { path: path.to_owned(), key, value, allowed })
        };
        let mut numbers = vec![
            ("data.radius_m", data.radius_m),
            ("windows.duration_s", windows.duration_s),
            ("training.learning_rate", training.learning_rate),
            ("training.gradient_clip", training.gradient_clip),
        ];
        numbers
            .extend(data.groups.iter().map(|it| ("data.groups.inertia_kg_m2", it.inertia_kg_m2)));
        for (key, value) in [
            ("data.target_sampling_frequency_hz", data.target_sampling_frequency_hz),
            ("data.filter.acceleration_hz", data.filter.acceleration_hz),
            ("data.filter.position_hz", data.filter.position_hz),
            ("data.filter.velocity_hz", data.filter.velocity_hz),
            ("data.filter.torque_hz", data.filter.torque_hz),
            ("data.torque_limit_nm", data.torque_limit_nm),
            ("data.max_target_speed_rad_s", data.max_target_speed_rad_s),
            ("model.effort_limit_nm", model.effort_limit_nm),
        ] {
            numbers.extend(value.map(|value| (key, value)));
        }
        for (key, value) in numbers {
            if !(value.is_finite() && value > 0.0) {
                return refuse(key, value.to_string(), positive);
            }
        }
        for (key, value) in [("split.train", split.train), ("split.validation", split.validation)] {
            if !(value > 0.0 && value < 1.0 && split.train + split.validation < 1.0) {
                return refuse(key, value.to_string(), part);
            }
        }
        for (key, value) in [
            ("windows.stride", windows.stride),
            ("model.layers", model.layers),
            ("model.hidden", model.hidden),
            ("training.batch", training.batch),
            ("training.max_epochs", training.max_epochs),
            ("data.groups", data.groups.len()),
            ("data.filter.order", data.filter.order),
        ] {
            if value == 0 {
                return refuse(key, value.to_string(), count);
            }
        }
        if split.blocks_per_file < 3 {
            let value = split.blocks_per_file.to_string();
            return refuse("split.blocks_per_file", value, "3 or more");
        }
        if !(0.0..1.0).contains(&model.dropout) {
            return refuse("model.dropout", model.dropout.to_string(), "0 to less than 1");
        }
        if self.mode == Mode::Lomo && data.groups.len() < 2 {
            let found = format!("lomo with {} group", data.groups.len());
            return refuse("mode", found, "lomo needs two groups or more: train with global");
        }
        if model.target == Target::Residual && model.pd.is_none() {
            let allowed = "residual needs [model.pd]; or target = \"full\"";
            return refuse("model.target", "residual without model.pd".to_owned(), allowed);
        }
        for (index, group) in data.groups.iter().enumerate() {
            if data.groups[..index].iter().any(|other| other.id == group.id) {
                return refuse("data.groups.id", group.id.clone(), "a name for each group");
            }
        }
        Ok(())
    }

    /// Threads to compute with.
    pub fn threads(&self) -> usize {
        match self.training.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

fn set(table: &mut toml::Table, text: &str) -> Result<(), String> {
    let (key, value) = text.split_once('=').ok_or("there is no =")?;
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or("the key is empty")?;
    // What is no TOML value is a text.
    let value = format!("value = {}", value.trim())
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.trim().to_owned()));
    let mut at = table;
    for part in parts {
        let entry = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = entry.as_table_mut().ok_or_else(|| format!("{part} is no table"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[data]\ndirectory='d'\nradius_m=0.2\n[[data.groups]]\nid='a'\nfolder='a'\n\
        inertia_kg_m2=0.01\n[model]\ntarget='full'\n";

    fn load(text: &str, overrides: &[&str]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|it| (*it).to_owned()).collect();
        Settings::load(&path, &overrides)
    }

    #[test]
    fn what_is_set_goes_over_the_file() {
        let settings =
            load(SMALL, &["training.batch=32", "name=night", "model.hidden=64"]).unwrap();
        assert_eq!((settings.training.batch, settings.model.hidden), (32, 64));
        assert_eq!((settings.name.as_str(), settings.seed), ("night", 42));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (overrides, part) in [
            ("data.radius_m=0", "data.radius_m is 0"),
            ("model.target=residual", "[model.pd]"),
            ("mode=lomo", "two groups"),
            ("split.train=0.9", "split.train is 0.9"),
            ("training.bach=3", "bach"),
            ("training.batch", "KEY=VALUE"),
            ("model.dropout=1", "model.dropout is 1"),
        ] {
            let message = load(SMALL, &[overrides]).unwrap_err().to_string();
            assert!(message.contains(part), "{overrides}: {message}");
        }
    }
}
