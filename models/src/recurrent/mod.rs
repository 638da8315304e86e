//! Recurrent and small dense networks, stepped once per control cycle.
//!
//! [`GruNetwork`] carries a hidden state from step to step, [`MlpNetwork`] has none. Both take a
//! fixed number of rows at once (the joints of an arm, for example), are packed once when they are
//! made, and neither allocate nor lock afterwards. A row's result does not depend on how many
//! other rows there are: twelve joints in one batch are twelve single joints, bit for bit.
//!
//! ```
//! use sinew_models::recurrent::{GruLayerWeights, GruNetwork, GruWeights, StepOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (inputs, hidden) = (3, 8);
//! let (weight_ih, weight_hh) = (vec![0.1; 3 * hidden * inputs], vec![0.1; 3 * hidden * hidden]);
//! let layer = GruLayerWeights {
//!     weight_ih: &weight_ih,
//!     weight_hh: &weight_hh,
//!     bias_ih: None,
//!     bias_hh: None,
//! };
//! let weights = GruWeights { inputs, hidden, layers: &[layer], head: None };
//! let mut joints = GruNetwork::new(&weights, StepOptions { rows: 6, ..StepOptions::default() })?;
//! let (measured, mut states) = (vec![0.5; 6 * inputs], vec![0.0; 6 * hidden]);
//! joints.step(&measured, &mut states)?;
//! joints.reset(2);
//! # Ok(())
//! # }
//! ```

mod activation;
mod dense;
mod error;
mod functions;
mod gru;
mod gru_layer;
mod lanes;
mod mlp;
mod panels;
pub mod sequence;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;
mod weights;
mod weights_file;

pub use crate::engine::Precision;
pub use activation::Activation;
pub use error::{NetworkError, StepError};
pub use gru::{GruNetwork, GruTensors};
pub use mlp::{MlpActivations, MlpNetwork, MlpTensors};
pub use weights::{GruLayerWeights, GruWeights, LinearWeights, MlpWeights};

/// What a network is made for, beside its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepOptions {
    /// Rows of every step, each with a state of its own. 1 to 4096.
    pub rows: usize,
    /// How the weights are stored. With [`Precision::Bf16`] biases and layers of at most 16 outputs
    /// keep `f32` weights.
    pub precision: Precision,
}

impl Default for StepOptions {
    /// One row, `f32`.
    fn default() -> Self {
        Self { rows: 1, precision: Precision::F32 }
    }
}
