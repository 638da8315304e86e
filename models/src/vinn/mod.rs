//! VINN: visual imitation by nearest neighbours (Pari et al., 2021), as MarkFzp/act-plus-plus
//! applies it to chunks.
//!
//! Each camera has an encoder, a ResNet whose last map is averaged. The policy remembers encoded
//! demonstrations and answers with what was done in the most similar moments: the mean of their
//! chunks, weighted by a softmax of negative distances.
//!
//! The original takes the weights from the first `k` moments of the memory, whatever they are,
//! instead of from the nearest: its distances are sorted for the actions only. Here the weights
//! belong to the neighbours.
//!
//! A folder holds `config.json` (`"type": "vinn"`), the encoders in `model.safetensors` and the
//! demonstrations in `memory.safetensors`.

mod curve;
mod encoder;
mod index;
mod info;
mod memory;
mod policy;

pub use encoder::VinnEncoder;
pub use index::{Search, StateDistance};
pub use info::VinnNetworkInfo;
pub use memory::{VinnMemory, VinnMemoryError};
pub use policy::VinnPolicy;
