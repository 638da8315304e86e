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
//!
//! Features, none of which is on by default: `wgpu` and `ndarray` compute ACT and Diffusion Policy
//! with Burn ([`Device`]), `train` has the networks in Burn to train them. Each of them has the
//! module `reference`.

mod act;
pub mod actuators;
mod backbone;
mod bounded_file;
mod cnnmlp;
mod diffusion;
mod engine;
pub mod golden;
mod info;
mod layers;
pub mod lerobot;
#[cfg(test)]
mod mutations;
pub mod original;
mod outputs;
pub mod pickle;
mod policy;
mod preprocessing;
mod quote;
pub mod recurrent;
#[cfg(feature = "burn")]
pub mod reference;
mod residual_attention;
mod source;
mod tensor_file;
mod trace;
mod vinn;

pub use act::{ActNetworkInfo, ActPolicy};
pub use bounded_file::ReadError;
pub use cnnmlp::{CnnMlpNetworkInfo, CnnMlpPolicy};
pub use diffusion::{DiffusionNetworkInfo, DiffusionOptions, DiffusionPolicy, Scheduler};
pub use engine::Roofline;
pub use info::{BackboneInfo, FeatureInfo, ImageInfo, NetworkInfo, PolicyInfo, StageInfo};
pub use lerobot::{Colors, LoadError, Rectangle};
pub use policy::{
    Continuation, Cost, Device, Feature, FeatureKind, Isa, LoadOptions, Observation, Policy,
    PolicyDescription, Precision, PredictError, SamplingProgress,
};
pub use tensor_file::TensorError;
pub use trace::{Trace, TraceTensor};
pub use vinn::{
    Search, StateDistance, VinnEncoder, VinnMemory, VinnMemoryError, VinnNetworkInfo, VinnPolicy,
};

use lerobot::PolicyConfig;
use std::path::Path;

/// Loads whatever policy the folder holds.
///
/// # Errors
/// [`LoadError`], naming file and key or tensor, when anything that the policy needs is missing,
/// contradictory, not implemented or not finite, when the weights hold something that the
/// architecture does not use, when a thread cannot be had, and when the device is not there or cannot
/// do what the options ask for.
pub fn load(folder: &Path, options: &LoadOptions) -> Result<Box<dyn Policy>, LoadError> {
    if options.device != Device::Cpu {
        #[cfg(feature = "burn")]
        return reference::load(folder, options);
        #[cfg(not(feature = "burn"))]
        return Err(options.device.absent());
    }
    source::load(folder, options, |source| match source.config.clone() {
        PolicyConfig::Act(config) => Ok(Box::new(ActPolicy::from_source(source, &config)?) as _),
        PolicyConfig::Diffusion(config) => {
            let policy = DiffusionPolicy::from_source(source, config, &options.diffusion)?;
            Ok(Box::new(policy) as _)
        }
        PolicyConfig::Vinn(config) => Ok(Box::new(VinnPolicy::from_source(source, &config)?) as _),
        PolicyConfig::CnnMlp(config) => {
            Ok(Box::new(CnnMlpPolicy::from_source(source, &config)?) as _)
        }
    })
}
