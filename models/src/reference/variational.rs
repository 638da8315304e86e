//! The variational encoder of ACT, which only training uses: from a state and the chunk that
//! followed to a distribution of the latent input.

use super::transformer::EncoderLayer;
use super::weights::Reader;
use crate::lerobot::{ActConfig, FeatureType};
use crate::tensor_file::TensorError;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Bool, Tensor};

/// What the names of its layers begin with.
const LAYERS: &str = "model.vae_encoder.layers";

/// A transformer encoder over a token of its own, the state and the actions of a chunk.
#[derive(Module, Debug)]
pub struct VariationalEncoder {
    own: Param<Tensor<2>>,
    state: Option<Linear>,
    action: Linear,
    positions: Tensor<3>,
    layers: Vec<EncoderLayer>,
    norm: Option<LayerNorm>,
    latent: Linear,
}

impl VariationalEncoder {
    /// Reads it, if the checkpoint was trained with one.
    pub(super) fn read(
        reader: &mut Reader<'_, '_>,
        config: &ActConfig,
    ) -> Result<Option<Self>, TensorError> {
        if !config.use_vae {
            return Ok(None);
        }
        let width = config.width;
        let state = config.features.vector_len(FeatureType::State);
        let action = config.features.action.statistics_len();
        let tokens = 1 + usize::from(state.is_some()) + config.chunk_size;
        let state =
            state.map(|s| reader.linear("model.vae_encoder_robot_state_input_proj", [width, s]));
        // LeRobot's configuration names their number; the tensors show it as well.
        let listed = |index: &usize| {
            reader.tensors.shape(&format!("{LAYERS}.{index}.linear1.weight")).is_some()
        };
        let count = (0..).take_while(listed).count();
        let layers = (0..count)
            .map(|index| EncoderLayer::read(reader, &format!("{LAYERS}.{index}"), config))
            .collect::<Result<_, _>>()?;
        let norm = config
            .pre_norm
            .then(|| reader.layer_norm("model.vae_encoder.norm", width))
            .transpose()?;
        let latent = "model.vae_encoder_latent_output_proj";
        Ok(Some(Self {
            own: reader.param("model.vae_encoder_cls_embed.weight", [1, width])?,
            state: state.transpose()?,
            action: reader.linear("model.vae_encoder_action_input_proj", [width, action])?,
            positions: reader.tensor("model.vae_encoder_pos_enc", [1, tokens, width])?,
            layers,
            norm,
            latent: reader.linear(latent, [2 * config.latent, width])?,
        }))
    }

    /// From a normalised state `[batch, state]` and chunk `[batch, chunk_size, action]` to the
    /// means and the logarithms of the variances of the latent input, `[batch, latent]` each.
    /// `padding` is true where the episode was over, `[batch, chunk_size]`.
    #[must_use]
    pub fn forward(
        &self,
        state: Option<Tensor<2>>,
        chunk: Tensor<3>,
        padding: Tensor<2, Bool>,
    ) -> (Tensor<2>, Tensor<2>) {
        let [batch, steps, _] = chunk.dims();
        let own: Tensor<3> = self.own.val().unsqueeze();
        let [_, _, width] = own.dims();
        let mut tokens = vec![own.expand([batch, 1, width])];
        if let Some((layer, state)) = self.state.as_ref().zip(state) {
            tokens.push(layer.forward(state).unsqueeze_dim(1));
        }
        let others = tokens.len();
        tokens.push(self.action.forward(chunk));
        let real = Tensor::<2, Bool>::full([batch, others], false, &padding.device());
        let mask = Tensor::cat(vec![real, padding], 1).reshape([batch, 1, 1, others + steps]);
        let mut tokens = Tensor::cat(tokens, 1);
        for layer in &self.layers {
            tokens = layer.forward_masked(tokens, &self.positions, Some(mask.clone()));
        }
        if let Some(norm) = &self.norm {
            tokens = norm.forward(tokens);
        }
        let own = tokens.slice([0..batch, 0..1, 0..width]).reshape([batch, width]);
        let latent = self.latent.forward(own);
        let half = latent.dims()[1] / 2;
        (latent.clone().slice([0..batch, 0..half]), latent.slice([0..batch, half..2 * half]))
    }
}
