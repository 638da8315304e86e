//! Why a comparison could not be made.

use super::execution::ExecutionError;
use crate::bounded_file::ReadError;
use crate::policy::PredictError;
use crate::quote::{quote, shape};
use crate::tensor_file::TensorError;
use std::path::PathBuf;

/// Why a comparison could not be made. A difference is not an error but a result.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tensor is missing or has another type or shape.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An inference failed.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// An execution rule could not be set up.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// There is nothing to compare with.
    #[error("{}: holds no out.* tensor, needed out.action_chunk (one inference), out.chunks_normalized, out.queue.action or out.ensemble_<coefficient>.action (rollout), or of a Diffusion Policy sample.<name>.out_* or out.action; record the outputs too", file.display())]
    NoOutput {
        /// Path of the file.
        file: PathBuf,
    },
    /// Outputs of both layouts occur.
    #[error("{}: holds outputs of one inference and of a rollout; keep them in two files", file.display())]
    MixedLayouts {
        /// Path of the file.
        file: PathBuf,
    },
    /// A name is not part of either layout.
    #[error("{}: tensor {tensor} is not part of a golden file, needed in.*, mid.*, check.* or a known out.*; rename or remove it", file.display(), tensor = quote(tensor))]
    UnknownTensor {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// The policy does not produce a tensor that the file holds.
    #[error("{}: tensor {tensor} is recorded, but this policy does not produce it; the file belongs to another policy", file.display(), tensor = quote(tensor))]
    NotProduced {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// How a sampling was drawn cannot be read from its name.
    #[error("{}: {name} does not say how it was sampled, needed ddpm or ddim, a number of steps from 1 to {limit}, and perhaps _epsilon or _sample and _clip or _noclip; rename its tensors", file.display(), name = quote(name))]
    Sampling {
        /// Path of the file.
        file: PathBuf,
        /// Name of the sampling.
        name: String,
        /// Steps of the training.
        limit: usize,
    },
    /// The rollout was sampled without recorded noise, but the policy draws some at each step.
    #[error("{}: in.initial_noise_per_inference is all the noise that is recorded, but the policy samples by {scheduler}, which draws more at each step; load it with the scheduler and steps of the recording (--scheduler ddim --steps N)", file.display())]
    Unrecorded {
        /// Path of the file.
        file: PathBuf,
        /// The policy's scheduler.
        scheduler: String,
    },
    /// The rollout has no steps, or no leading axis of steps.
    #[error("{}: tensor {tensor} has shape {found}, needed {needed}; stack the observations of all steps", file.display(), found = shape(found), tensor = quote(tensor))]
    Steps {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// What is needed.
        needed: &'static str,
    },
    /// The queue was recorded, but not how many actions it executes.
    #[error("{}: metadata n_action_steps is {found}, needed a whole number from 1 to {limit}, the chunk size, because out.queue.action is recorded; write the file again with it", file.display(), found = quote(found))]
    ActionSteps {
        /// Path of the file.
        file: PathBuf,
        /// What the metadata says.
        found: String,
        /// Actions in one chunk.
        limit: usize,
    },
}
