//! CNNMLP: convolutional behaviour cloning, one action for one observation. The baseline of the
//! ACT programs (BC-ConvMLP in the paper: Zhao et al., 2023), after tonyzhaozh/act and
//! MarkFzp/act-plus-plus.
//!
//! Each camera has a backbone and a stack of convolutions without padding and without activation
//! between them; what is left of all maps, and the joint positions, go through linear layers with
//! ReLU between them.

mod info;
mod network;
mod policy;
mod weights;

pub use info::CnnMlpNetworkInfo;
pub use policy::CnnMlpPolicy;
