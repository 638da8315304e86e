//! Action Chunking with Transformers: a policy that predicts a chunk of actions from joint
//! positions and camera images (Zhao et al., 2023), as LeRobot implements it.

mod info;
mod network;
mod policy;
mod transformer;
mod weights;

pub use info::ActNetworkInfo;
#[cfg(feature = "burn")]
pub(crate) use info::collect as info;
pub use policy::ActPolicy;
#[cfg(feature = "burn")]
pub(crate) use weights::VAE_PREFIX;
