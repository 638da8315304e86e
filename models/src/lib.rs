//! Checkpoint readers and inference. Everything that reads outside bytes is strict: what is
//! missing, unknown or of the wrong shape is refused by name.
//!
//! ```no_run
//! use sinew_models::{LoadOptions, Observation, Policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = LoadOptions { threads: 2, ..LoadOptions::default() };
//! let mut policy = sinew_models::load("outputs/train/pretrained_model".as_ref(), &options)?;
//! let description = policy.description();
//! let mut actions = vec![0.0; description.chunk_size * description.action_size];
//! let (state, image) = (vec![0.0; 6], vec![0; 480 * 640 * 3]);
//! policy.predict(&Observation { vectors: &[&state], images: &[&image] }, &mut actions)?;
//! # Ok(())
//! # }
//! ```

mod act;
mod bounded_file;
mod engine;
pub mod golden;
mod layers;
pub mod lerobot;
pub mod original;
pub mod pickle;
mod policy;
pub mod recurrent;
mod tensor_file;
mod trace;

pub use act::{ActPolicy, BackboneInfo, FeatureInfo, NetworkInfo, PolicyInfo, StageInfo};
pub use bounded_file::ReadError;
pub use engine::Roofline;
pub use lerobot::{Colors, LoadError};
pub use policy::{
    Cost, Feature, FeatureKind, Isa, LoadOptions, Observation, Policy, PolicyDescription,
    Precision, PredictError,
};
pub use tensor_file::TensorError;
pub use trace::{Trace, TraceTensor};

use std::path::Path;

/// Loads whatever policy the folder holds.
///
/// # Errors
/// [`LoadError`], naming file and key or tensor; see [`ActPolicy::load`].
pub fn load(folder: &Path, options: &LoadOptions) -> Result<Box<dyn Policy>, LoadError> {
    Ok(Box::new(ActPolicy::load(folder, options)?))
}
