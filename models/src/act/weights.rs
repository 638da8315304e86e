//! Reads layers from the tensors of a checkpoint, by LeRobot's names.

use super::network::Network;
use super::transformer::{DecoderLayer, EncoderLayer, FeedForward, NormPlacement};
use super::{backbone, network::Projections};
use crate::layers::attention::Attention;
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;
use crate::layers::resnet::ResNet;
use crate::lerobot::{ActConfig, FeatureType};
use crate::tensor_file::{TensorError, TensorFile};

/// Tensors that a variational encoder has; only training uses them.
const VAE_PREFIX: &str = "model.vae_encoder";

/// Reads all layers and refuses tensors that belong to none of them.
pub(crate) fn read(
    config: &ActConfig,
    tensors: &mut TensorFile<'_>,
) -> Result<Network, TensorError> {
    let width = config.width;
    let size_of = |kind: FeatureType| {
        let feature = config.inputs.iter().find(|feature| feature.kind == kind);
        feature.map(|feature| feature.statistics_len())
    };
    let (state, environment) = (size_of(FeatureType::State), size_of(FeatureType::Environment));
    let vector_tokens = 1 + usize::from(state.is_some()) + usize::from(environment.is_some());
    let mut project = |name: &str, inputs: Option<usize>| {
        inputs.map(|inputs| linear(tensors, name, width, inputs)).transpose()
    };
    let state = project("model.encoder_robot_state_input_proj", state)?;
    let environment = project("model.encoder_env_state_input_proj", environment)?;
    // The latent is zero at inference, so its projection is its bias.
    let latent = "model.encoder_latent_input_proj";
    tensors.take(&format!("{latent}.weight"), &[width, config.latent])?;
    let latent = tensors.take(&format!("{latent}.bias"), &[width])?;
    let vector_positions =
        tensors.take("model.encoder_1d_feature_pos_embed.weight", &[vector_tokens, width])?;

    let has_images = config.inputs.iter().any(|feature| feature.kind == FeatureType::Visual);
    let backbones = if has_images { backbones(config, tensors)? } else { Vec::new() };
    let image = match backbones.first() {
        Some(backbone) => {
            let name = "model.encoder_img_feat_input_proj";
            let shape = [width, backbone.outputs(), 1, 1];
            let weight = tensors.take(&format!("{name}.weight"), &shape)?;
            Some(Linear::new(&weight, tensors.take(&format!("{name}.bias"), &[width])?))
        }
        None => None,
    };

    let encoder = (0..config.encoder_layers).map(|i| encoder_layer(config, tensors, i));
    let encoder = encoder.collect::<Result<_, _>>()?;
    let encoder_norm = match placement(config) {
        NormPlacement::Before => Some(layer_norm(tensors, "model.encoder.norm", width)?),
        NormPlacement::After => None,
    };
    let decoder = (0..config.decoder_layers).map(|i| decoder_layer(config, tensors, i));
    let decoder = decoder.collect::<Result<_, _>>()?;
    let network = Network {
        width,
        inner: config.feed_forward,
        chunk_size: config.chunk_size,
        projections: Projections { latent, state, environment, image },
        vector_positions,
        backbones,
        encoder,
        encoder_norm,
        decoder,
        decoder_norm: layer_norm(tensors, "model.decoder.norm", width)?,
        decoder_positions: tensors
            .take("model.decoder_pos_embed.weight", &[config.chunk_size, width])?,
        head: linear(tensors, "model.action_head", config.action.statistics_len(), width)?,
    };
    if config.use_vae {
        tensors.expect(|name| name.starts_with(VAE_PREFIX));
    }
    tensors.finish()?;
    Ok(network)
}

/// The backbone that all cameras share, or one for each camera.
fn backbones(config: &ActConfig, tensors: &mut TensorFile<'_>) -> Result<Vec<ResNet>, TensorError> {
    if !config.extension.backbone_per_camera {
        return Ok(vec![backbone::read(tensors, &backbone::prefix(None))?]);
    }
    let mut backbones: Vec<ResNet> = Vec::new();
    let cameras = config.inputs.iter().filter(|input| input.kind == FeatureType::Visual).count();
    for camera in 0..cameras {
        let prefix = backbone::prefix(Some(camera));
        let backbone = backbone::read(tensors, &prefix)?;
        // They share the projection to tokens.
        if let Some(first) = backbones.first()
            && first.outputs() != backbone.outputs()
        {
            let last = format!("{prefix}.layer4.0.conv2.weight");
            let needed = format!("{} output channels, as the first backbone", first.outputs());
            return Err(tensors.misshaped(&last, needed));
        }
        backbones.push(backbone);
    }
    Ok(backbones)
}

fn placement(config: &ActConfig) -> NormPlacement {
    if config.pre_norm { NormPlacement::Before } else { NormPlacement::After }
}

fn linear(
    tensors: &mut TensorFile<'_>,
    name: &str,
    outputs: usize,
    inputs: usize,
) -> Result<Linear, TensorError> {
    let weight = tensors.take(&format!("{name}.weight"), &[outputs, inputs])?;
    Ok(Linear::new(&weight, tensors.take(&format!("{name}.bias"), &[outputs])?))
}

fn layer_norm(
    tensors: &mut TensorFile<'_>,
    name: &str,
    width: usize,
) -> Result<LayerNorm, TensorError> {
    let weight = tensors.take(&format!("{name}.weight"), &[width])?;
    Ok(LayerNorm::new(weight, tensors.take(&format!("{name}.bias"), &[width])?))
}

/// PyTorch stores the three input projections of an attention as one tensor.
fn attention(
    tensors: &mut TensorFile<'_>,
    name: &str,
    config: &ActConfig,
) -> Result<Attention, TensorError> {
    let width = config.width;
    let weight = tensors.take(&format!("{name}.in_proj_weight"), &[3 * width, width])?;
    let bias = tensors.take(&format!("{name}.in_proj_bias"), &[3 * width])?;
    let part = |index: usize| {
        let weight = &weight[index * width * width..][..width * width];
        Linear::new(weight, bias[index * width..][..width].to_vec())
    };
    Ok(Attention {
        query: part(0),
        key: part(1),
        value: part(2),
        output: linear(tensors, &format!("{name}.out_proj"), width, width)?,
        heads: config.heads,
        width,
    })
}

fn feed_forward(
    tensors: &mut TensorFile<'_>,
    name: &str,
    config: &ActConfig,
) -> Result<FeedForward, TensorError> {
    let (width, inner) = (config.width, config.feed_forward);
    Ok(FeedForward {
        first: linear(tensors, &format!("{name}.linear1"), inner, width)?,
        second: linear(tensors, &format!("{name}.linear2"), width, inner)?,
        activation: config.activation,
        inner,
    })
}

fn encoder_layer(
    config: &ActConfig,
    tensors: &mut TensorFile<'_>,
    index: usize,
) -> Result<EncoderLayer, TensorError> {
    let name = format!("model.encoder.layers.{index}");
    let mut norm = |part: &str| layer_norm(tensors, &format!("{name}.{part}"), config.width);
    let norms = [norm("norm1")?, norm("norm2")?];
    Ok(EncoderLayer {
        attention: attention(tensors, &format!("{name}.self_attn"), config)?,
        feed_forward: feed_forward(tensors, &name, config)?,
        norms,
        placement: placement(config),
    })
}

fn decoder_layer(
    config: &ActConfig,
    tensors: &mut TensorFile<'_>,
    index: usize,
) -> Result<DecoderLayer, TensorError> {
    let name = format!("model.decoder.layers.{index}");
    let mut norm = |part: &str| layer_norm(tensors, &format!("{name}.{part}"), config.width);
    let norms = [norm("norm1")?, norm("norm2")?, norm("norm3")?];
    Ok(DecoderLayer {
        self_attention: attention(tensors, &format!("{name}.self_attn"), config)?,
        cross_attention: attention(tensors, &format!("{name}.multihead_attn"), config)?,
        feed_forward: feed_forward(tensors, &name, config)?,
        norms,
        placement: placement(config),
    })
}
