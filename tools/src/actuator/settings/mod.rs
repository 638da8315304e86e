//! The TOML file of a training.

mod check;
mod load;

pub use load::SettingsError;

use serde::{Deserialize, Serialize};
use sinew_models::actuators::{DcMotorCurve, PdPart, Spring, TorqueSpeedCurve};
use std::path::PathBuf;

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
    /// Where the axis is not vertical.
    pub gravity: Option<Gravity>,
    /// Taken off the gyroscope.
    #[serde(default)]
    pub gyro_bias_rad_s: f64,
    #[serde(default)]
    pub filter: Filter,
    /// Measured torque is clipped to it.
    pub torque_limit_nm: Option<f64>,
    /// Windows in which the target moves faster are left out.
    pub max_target_speed_rad_s: Option<f64>,
    /// An angle that moves farther between two samples than the gyroscope says is no motion.
    #[serde(default = "default_encoder_jump")]
    pub max_encoder_jump_deg: f64,
    #[serde(default)]
    pub skip_bad_files: bool,
}

/// What the accelerometer sees of gravity beside the motion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gravity {
    /// Between the axis of rotation and the vertical.
    pub tilt_rad: f64,
    /// Encoder's angle at which the accelerometer is lowest.
    #[serde(default)]
    pub hangs_at_rad: f64,
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
fn default_encoder_jump() -> f64 {
    15.0
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
    /// Threads to compute with.
    pub fn threads(&self) -> usize {
        match self.training.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}
