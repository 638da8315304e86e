//! The [`Policy`] trait: observations in, a chunk of actions out.

use crate::diffusion::{DiffusionOptions, DiffusionPolicy};
use crate::info::PolicyInfo;
use crate::lerobot::LoadError;
use crate::trace::Trace;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use crate::engine::{Isa, Precision};

/// What computes a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The engine, on processors.
    #[default]
    Cpu,
    /// Burn on a graphics card, through Vulkan, Metal, DirectX or OpenGL; feature `wgpu`.
    Gpu,
    /// Burn on processors, by the library `ndarray`; feature `ndarray`.
    Ndarray,
    /// Burn on processors, by its own library; feature `train`. For tests.
    #[serde(skip)]
    Flex,
}

impl Device {
    /// Those to choose from.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Gpu, Self::Ndarray];

    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Ndarray => "ndarray",
            Self::Flex => "flex",
        }
    }

    /// The feature of a build that has it; every build has the engine.
    #[must_use]
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Self::Cpu => None,
            Self::Gpu => Some("wgpu"),
            Self::Ndarray => Some("ndarray"),
            Self::Flex => Some("train"),
        }
    }

    /// Whether this build has it. Whether there is a graphics card shows when a policy is loaded.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Gpu => cfg!(feature = "wgpu"),
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Flex => cfg!(feature = "train"),
        }
    }

    /// What it is on this computer, for people: a graphics card is named once a policy was loaded
    /// on it, with its interface, and whether it is software only.
    #[must_use]
    pub fn description(self) -> String {
        #[cfg(feature = "wgpu")]
        if let (Self::Gpu, Some(card)) = (self, crate::reference::card_name()) {
            return format!("gpu ({card})");
        }
        self.name().to_owned()
    }

    /// Error of a build that does not have it.
    pub(crate) fn absent(self) -> LoadError {
        LoadError::Device { device: self.name(), feature: self.feature().unwrap_or_default() }
    }
}

/// How a policy is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// Threads that an inference runs on, the calling one among them; at least 1. Results do not
    /// depend on it.
    pub threads: usize,
    /// Processors for all threads but the calling one, in order; threads beyond the list are not
    /// bound.
    pub cpus: Vec<usize>,
    /// How weights are stored.
    pub precision: Precision,
    /// Instructions to compute with: the best of this computer, if not for a comparison.
    pub isa: Isa,
    /// What computes the network. All but [`Device::Cpu`] allocate while they do.
    pub device: Device,
    /// Choices for a Diffusion Policy.
    pub diffusion: DiffusionOptions,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            cpus: Vec::new(),
            precision: Precision::F32,
            isa: Isa::best(),
            device: Device::Cpu,
            diffusion: DiffusionOptions::default(),
        }
    }
}

/// What a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Proprioceptive state vector.
    State,
    /// Environment state vector.
    Environment,
    /// Image; its shape is (channels, height, width).
    Visual,
}

/// One named input of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Name under which the robot side delivers it, for example `observation.images.top`. Where a
    /// checkpoint renames observations, this is the name before renaming.
    pub name: String,
    /// What it is.
    pub kind: FeatureKind,
    /// Shape as the checkpoint declares it: `[n]`, or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

/// What a policy is and needs.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyDescription {
    /// Architecture, for example `act`.
    pub kind: &'static str,
    /// Where it was read from.
    pub path: PathBuf,
    /// SHA-256 of the weights file, in hexadecimal; of a policy that is more than one file, of
    /// theirs.
    pub sha256: String,
    /// Inputs in the checkpoint's order.
    pub inputs: Vec<Feature>,
    /// Length of one action.
    pub action_size: usize,
    /// Observations that one inference sees: with more than 1, [`Policy::observe`] wants those
    /// between inferences too, one per action.
    pub observation_steps: usize,
    /// Actions in one chunk. The first belongs to the time of the newest observation.
    pub chunk_size: usize,
    /// Actions the checkpoint's author executes before inferring again (LeRobot's
    /// `n_action_steps`).
    pub action_steps: usize,
    /// LeRobot's `temporal_ensemble_coeff`, if the checkpoint sets it.
    pub ensemble_coefficient: Option<f64>,
    /// Number of weights.
    pub parameters: usize,
}

/// One observation in the policy's own units, before normalisation.
///
/// `vectors` and `images` are in the order in which [`PolicyDescription::inputs`] lists features
/// of those kinds. Images are `height * width * 3` bytes, RGB, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// State and environment vectors.
    pub vectors: &'a [&'a [f32]],
    /// Camera images.
    pub images: &'a [&'a [u8]],
}

/// Why an inference was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PredictError {
    /// An input does not fit the checkpoint.
    #[error("{feature}: got {got} values, the checkpoint needs {needed}")]
    Size {
        /// Feature name.
        feature: String,
        /// Values needed.
        needed: usize,
        /// Values given.
        got: usize,
    },
    /// An input or output is not a finite number.
    #[error("{feature}[{index}] is not a finite number")]
    NotFinite {
        /// Feature name, or `action`.
        feature: String,
        /// Position in the vector.
        index: usize,
    },
    /// The device failed.
    #[error("the device that computes the policy failed: {message}")]
    Device {
        /// What it says.
        message: String,
    },
    /// The inference was [cancelled](SamplingProgress::cancel).
    #[error("cancelled after {step} of {steps} steps")]
    Cancelled {
        /// Steps done.
        step: usize,
        /// Steps of the inference.
        steps: usize,
    },
}

/// What an inference costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Multiply-adds by the definition of the layers. Kernels may do with fewer. On devices other
    /// than [`Device::Cpu`] only those of a Diffusion Policy's steps are counted.
    pub products: usize,
    /// Bytes of weights, as they are stored for inference.
    pub weight_bytes: usize,
    /// Bytes of buffers and of what was computed at load.
    pub buffer_bytes: usize,
}

/// What is known when a chunk follows another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Continuation<'a> {
    /// What the previous chunk says for the times of this one: actions in the policy's own units,
    /// from the time of the newest observation on, step by step. May end early, or be empty.
    pub previous: &'a [f32],
    /// How many of these actions will be executed whatever the new chunk says.
    pub committed: usize,
}

/// How far a long inference is; other threads may look at it, and end it.
#[derive(Debug, Default)]
pub struct SamplingProgress {
    step: AtomicUsize,
    steps: AtomicUsize,
    cancelled: AtomicBool,
}

impl SamplingProgress {
    /// Steps done, and steps of the inference that runs or ran last.
    pub fn steps(&self) -> (usize, usize) {
        (self.step.load(Ordering::Relaxed), self.steps.load(Ordering::Relaxed))
    }

    /// Ends the inference at its next step, and every later one until [`SamplingProgress::allow`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Takes the cancellation back.
    pub fn allow(&self) {
        self.cancelled.store(false, Ordering::Relaxed);
    }

    /// Notes that `step` steps are done; false when no more shall be.
    pub(crate) fn advance(&self, step: usize, steps: usize) -> bool {
        self.steps.store(steps, Ordering::Relaxed);
        self.step.store(step, Ordering::Relaxed);
        !self.cancelled.load(Ordering::Relaxed)
    }
}

/// A policy that maps observations to a chunk of actions.
pub trait Policy: Send {
    /// What it is and needs.
    fn description(&self) -> &PolicyDescription;

    /// What the checkpoint is, in detail, for a person to read.
    fn info(&self) -> &PolicyInfo;

    /// What an inference costs.
    fn cost(&self) -> Cost;

    /// Notes an observation without inferring: one that lies between two inferences. Policies
    /// that see a single observation ignore it.
    ///
    /// # Errors
    /// As [`Policy::predict`]; a refused observation is not noted.
    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        let _ = observation;
        Ok(())
    }

    /// Forgets what was observed and inferred, as at the start of an episode.
    fn reset(&mut self) {}

    /// Like [`Policy::predict`], knowing what the previous chunk says. Policies that cannot use it
    /// ignore it.
    ///
    /// # Errors
    /// As [`Policy::predict`].
    fn predict_from(
        &mut self,
        observation: &Observation<'_>,
        continuation: Continuation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        let _ = continuation;
        self.predict(observation, actions)
    }

    /// How far its inferences are, where they take several steps.
    fn progress(&self) -> Option<Arc<SamplingProgress>> {
        None
    }

    /// The policy as a Diffusion Policy, if it is one.
    fn as_diffusion(&mut self) -> Option<&mut DiffusionPolicy> {
        None
    }

    /// Notes the observation, infers one chunk and writes it to `actions` (`chunk_size * action_size` values, step by
    /// step, in the policy's own units).
    ///
    /// # Errors
    /// [`PredictError`] when an input has the wrong size, a number is not finite, or the inference
    /// was cancelled. `actions` is then unspecified and must not be used.
    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError>;

    /// The maps of the image backbone for an image of camera `camera` (its place among the visual
    /// inputs), `[1, channels, height, width]` each, in the order of computation: after the stem
    /// and after each stage. Meant for people to look at, not for control: it allocates. Empty
    /// where there is no such camera.
    ///
    /// # Errors
    /// [`PredictError::Size`] when the image does not fit.
    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError>;

    /// Like [`Policy::predict`], and records what passes through the network. Meant for comparison
    /// with the original program, not for control: it allocates. Policies that can only be seen
    /// from outside record `out.action_chunk` alone.
    ///
    /// # Errors
    /// As [`Policy::predict`].
    fn predict_traced(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        self.predict(observation, actions)?;
        let PolicyDescription { chunk_size, action_size, .. } = *self.description();
        trace.record("out.action_chunk", &[1, chunk_size, action_size], actions);
        Ok(())
    }
}
