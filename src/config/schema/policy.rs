//! The policy and what it sees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sinew_models::{Device, DiffusionOptions, LoadOptions, Precision, Scheduler};

/// `[cameras.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "source", rename_all = "snake_case")]
pub enum CameraConfig {
    /// A moving test picture with time and frame number in its pixels.
    Synthetic {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Frames per second.
        rate_hz: f64,
        /// Stop delivering after this time, in s: a fault switch for tests.
        #[serde(default)]
        stops_after_s: Option<f64>,
    },
    /// The PNG files of a folder in name order, round and round.
    Replay {
        /// The folder.
        path: PathBuf,
        /// Frames per second.
        rate_hz: f64,
    },
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The checkpoint folder.
    pub path: PathBuf,
    /// Rate at which its actions follow each other, in Hz: the `fps` it was trained with.
    pub rate_hz: f64,
    /// How chunks become targets.
    #[serde(default)]
    pub execution: Execution,
    /// Coefficient of temporal ensembling (LeRobot's rule); only with `execution = "ensemble"`.
    #[serde(default)]
    pub ensemble_coefficient: Option<f64>,
    /// Least time between the starts of two inferences, in ms, for `execution = "timeline"`.
    /// Default: the time of the checkpoint's `n_action_steps`, less one inference.
    #[serde(default)]
    pub inference_period_ms: Option<f64>,
    /// How long a new chunk fades in over the old one, in ms.
    #[serde(default = "crossfade_ms")]
    pub crossfade_ms: f64,
    /// What computes the network.
    #[serde(default)]
    pub device: Device,
    /// Threads of an inference.
    #[serde(default = "threads")]
    pub threads: usize,
    /// CPUs of the threads beyond the first, in order.
    #[serde(default)]
    pub cpus: Vec<u32>,
    /// How weights are kept.
    #[serde(default)]
    pub precision: Precision,
    /// How a Diffusion Policy samples; absent: as the checkpoint says.
    #[serde(default)]
    pub scheduler: Option<Scheduler>,
    /// Steps of one sampling; absent: as the checkpoint says.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Where the noise of a Diffusion Policy begins; absent: 0.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Part of the diffusion that the previous chunk goes through again; absent: every chunk begins
    /// with noise only.
    #[serde(default)]
    pub warm_start: Option<f64>,
    /// Whether the actions until the hand-over are given to the next sampling; absent: they are
    /// not.
    #[serde(default)]
    pub inpaint: Option<bool>,
    /// The elements of `observation.state`, in the checkpoint's order.
    pub state: Vec<ElementConfig>,
    /// The elements of `action`, in the checkpoint's order.
    pub action: Vec<ElementConfig>,
    /// Which camera feeds which image feature: feature name to camera name.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Joints that no action drives, on purpose: they hold where they were at the start.
    #[serde(default)]
    pub hold: Vec<String>,
}

fn threads() -> usize {
    1
}

fn crossfade_ms() -> f64 {
    200.0
}

impl PolicyConfig {
    /// How the checkpoint is loaded.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            threads: self.threads,
            cpus: self.cpus.iter().map(|cpu| *cpu as usize).collect(),
            precision: self.precision,
            device: self.device,
            diffusion: DiffusionOptions {
                scheduler: self.scheduler,
                steps: self.steps,
                seed: self.seed.unwrap_or(0),
                warm_start: self.warm_start.map(|part| part as f32),
                inpaint: self.inpaint.unwrap_or(false),
            },
            ..LoadOptions::default()
        }
    }

    /// Keys that were said and that only a Diffusion Policy has a use for.
    pub fn diffusion_keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("policy.scheduler", self.scheduler.is_some()),
            ("policy.steps", self.steps.is_some()),
            ("policy.seed", self.seed.is_some()),
            ("policy.warm_start", self.warm_start.is_some()),
            ("policy.inpaint", self.inpaint.is_some()),
        ];
        keys.into_iter().filter(|(_, said)| *said).map(|(key, _)| key)
    }
}

/// `policy.execution`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// Chunks addressed by absolute time, past actions dropped, cross-faded.
    #[default]
    Timeline,
    /// As `timeline`, with every chunk that covers an instant voting (LeRobot's rule).
    Ensemble,
    /// LeRobot's queue: infer when `n_action_steps` actions are used up. For comparison.
    Queue,
}

/// One element of a state or action vector: `policy value = sign * (joint position in unit) *
/// scale + offset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementConfig {
    /// The joint.
    pub joint: String,
    /// Unit of the policy's value.
    pub unit: ElementUnit,
    /// 1 or -1.
    #[serde(default = "sign")]
    pub sign: i8,
    /// Added on the policy's side, in the policy's unit.
    #[serde(default)]
    pub offset: f64,
    /// Factor on the policy's side.
    #[serde(default = "scale")]
    pub scale: f64,
}

fn sign() -> i8 {
    1
}

fn scale() -> f64 {
    1.0
}

/// Unit of a policy's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementUnit {
    /// Radian; revolute joints.
    Rad,
    /// Degree; revolute joints.
    Deg,
    /// Percent of opening, 0 closed to 100 open; grippers.
    Percent,
    /// Fraction of opening, 0 closed to 1 open; grippers.
    Fraction,
}
