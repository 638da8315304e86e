//! Diffusion Policy: a chunk of actions is drawn by removing noise step by step, conditioned on
//! the last few observations (Chi et al., 2023), as LeRobot implements it.

mod encoder;
mod film;
mod history;
mod info;
mod network;
mod noise;
mod options;
mod policy;
mod recorded;
mod sampler;
mod schedule;
mod unet;
mod weights;

pub use info::DiffusionNetworkInfo;
pub use options::{DiffusionOptions, Scheduler};
pub use policy::DiffusionPolicy;
pub(crate) use sampler::Sampling;
pub(crate) use schedule::{BetaSchedule, Prediction};
