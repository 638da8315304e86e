//! The [`Policy`] trait: observations in, a chunk of actions out.

use crate::trace::Trace;
use std::path::PathBuf;

pub use crate::engine::{Isa, Precision};

/// How a policy is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { threads: 1, cpus: Vec::new(), precision: Precision::F32, isa: Isa::best() }
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
    /// SHA-256 of the weights file, in hexadecimal.
    pub sha256: String,
    /// Inputs in the checkpoint's order.
    pub inputs: Vec<Feature>,
    /// Length of one action.
    pub action_size: usize,
    /// Actions in one chunk.
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
}

/// What an inference costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Multiply-adds by the definition of the layers. Kernels may do with fewer.
    pub products: usize,
    /// Bytes of weights, as they are stored for inference.
    pub weight_bytes: usize,
    /// Bytes of buffers and of what was computed at load.
    pub buffer_bytes: usize,
}

/// A policy that maps one observation to a chunk of actions.
pub trait Policy: Send {
    /// What it is and needs.
    fn description(&self) -> &PolicyDescription;

    /// What an inference costs.
    fn cost(&self) -> Cost;

    /// Infers one chunk and writes it to `actions` (`chunk_size * action_size` values, step by
    /// step, in the policy's own units).
    ///
    /// # Errors
    /// [`PredictError`] when an input has the wrong size, or a number is not finite. `actions` is
    /// then unspecified and must not be used.
    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError>;

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
