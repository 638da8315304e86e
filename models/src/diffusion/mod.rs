//! Diffusion Policy: a chunk of actions is drawn by removing noise step by step, conditioned on
//! the last few observations (Chi et al., 2023), as LeRobot implements it.

mod compute;
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

#[cfg(feature = "burn")]
pub(crate) use compute::{Compute, Image};
#[cfg(feature = "burn")]
pub(crate) use film::sinusoid;
pub use info::DiffusionNetworkInfo;
pub use options::{DiffusionOptions, Scheduler};
pub use policy::DiffusionPolicy;
pub(crate) use sampler::Sampling;
pub(crate) use schedule::{BetaSchedule, Prediction};
#[cfg(feature = "burn")]
pub(crate) use unet::Cost;
#[cfg(feature = "burn")]
pub(crate) use weights::{
    COMPILED, PREFIX, STEP_EXPANSION, backbone_place, check_grid, condition_len, encoder_prefix,
};
