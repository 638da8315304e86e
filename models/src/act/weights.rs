//! Reads layers from the tensors of a checkpoint, by LeRobot's names.

use super::network::Network;
use super::network::Projections;
use super::transformer::{
    BlockNorm, CrossAttention, DecoderLayer, EncoderLayer, FeedForward, NormPlacement,
    SelfAttention, Sizes,
};
use crate::backbone::{self, Place};
use crate::engine::Precision;
use crate::layers::attention::Heads;
use crate::layers::backbone::Backbone;
use crate::layers::convolution::MapSize;
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;
use crate::lerobot::{ActConfig, FeatureType};
use crate::residual_attention;
use crate::tensor_file::{TensorError, TensorFile};

/// Tensors that a variational encoder has; only training uses them.
pub(crate) const VAE_PREFIX: &str = "model.vae_encoder";

/// Reads all layers and refuses tensors that belong to none of them. `images` are the sizes that
/// the backbones read.
pub(crate) fn read(
    config: &ActConfig,
    images: &[MapSize],
    tensors: &mut TensorFile<'_>,
    precision: Precision,
) -> Result<Network, TensorError> {
    let width = config.width;
    let [state, environment] =
        [FeatureType::State, FeatureType::Environment].map(|kind| config.features.vector_len(kind));
    let vector_tokens = 1 + usize::from(state.is_some()) + usize::from(environment.is_some());
    let mut project = |name: &str, inputs: Option<usize>| {
        inputs.map(|inputs| linear(tensors, name, [width, inputs], precision)).transpose()
    };
    let state = project("model.encoder_robot_state_input_proj", state)?;
    let environment = project("model.encoder_env_state_input_proj", environment)?;
    // The latent is zero at inference, so its projection is its bias.
    let latent = "model.encoder_latent_input_proj";
    tensors.take(&format!("{latent}.weight"), &[width, config.latent])?;
    let latent = tensors.take(&format!("{latent}.bias"), &[width])?;
    let vector_positions =
        tensors.take("model.encoder_1d_feature_pos_embed.weight", &[vector_tokens, width])?;

    let largest = images.iter().copied().max_by_key(|image| image.pixels());
    let backbones = match largest {
        Some(image) => backbones(config, tensors, image, precision)?,
        None => Vec::new(),
    };
    let image = match backbones.first() {
        Some(backbone) => {
            let name = "model.encoder_img_feat_input_proj";
            let shape = [width, backbone.outputs(), 1, 1];
            let weight = tensors.take(&format!("{name}.weight"), &shape)?;
            Some(Linear::new(&weight, tensors.take(&format!("{name}.bias"), &[width])?, precision))
        }
        None => None,
    };

    let encoder = (0..config.encoder_layers).map(|i| encoder_layer(config, tensors, i, precision));
    let encoder = encoder.collect::<Result<_, _>>()?;
    let encoder_norm = match placement(config) {
        NormPlacement::Before => Some(layer_norm(tensors, "model.encoder.norm", width)?),
        NormPlacement::After => None,
    };
    let decoder = (0..config.decoder_layers).map(|i| decoder_layer(config, tensors, i, precision));
    let decoder = decoder.collect::<Result<_, _>>()?;
    let network = Network {
        sizes: Sizes {
            heads: Heads { count: config.heads, width: width / config.heads },
            inner: config.feed_forward,
        },
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
        head: linear(
            tensors,
            "model.action_head",
            [config.features.action.statistics_len(), width],
            precision,
        )?,
    };
    if config.use_vae {
        tensors.expect(|name| name.starts_with(VAE_PREFIX));
    }
    tensors.finish()?;
    Ok(network)
}

/// The backbone that all cameras share, or one for each camera.
fn backbones(
    config: &ActConfig,
    tensors: &mut TensorFile<'_>,
    image: MapSize,
    precision: Precision,
) -> Result<Vec<Backbone>, TensorError> {
    if !config.extension.backbone_per_camera {
        return Ok(vec![read_backbone(tensors, &Place::of_camera(None), image, precision)?]);
    }
    let mut backbones: Vec<Backbone> = Vec::new();
    let cameras = config.features.images().count();
    for camera in 0..cameras {
        let place = Place::of_camera(Some(camera));
        let backbone = read_backbone(tensors, &place, image, precision)?;
        // They share the projection to tokens.
        if let Some(first) = backbones.first()
            && first.outputs() != backbone.outputs()
        {
            let last = format!(
                "{}.layer4.0.{}.weight",
                place.prefix,
                if residual_attention::is_one(tensors, &place.prefix) { "conv3" } else { "conv2" }
            );
            let needed = format!("{} output channels, as the first backbone", first.outputs());
            return Err(tensors.misshaped(&last, needed));
        }
        backbones.push(backbone);
    }
    Ok(backbones)
}

/// A backbone of the kind that its tensors show.
fn read_backbone(
    tensors: &mut TensorFile<'_>,
    place: &Place,
    image: MapSize,
    precision: Precision,
) -> Result<Backbone, TensorError> {
    if residual_attention::is_one(tensors, &place.prefix) {
        let network = residual_attention::read(tensors, &place.prefix, image, precision)?;
        return Ok(Backbone::ResidualAttention(Box::new(network)));
    }
    Ok(Backbone::ResNet(backbone::read(tensors, place, image, precision)?))
}

fn placement(config: &ActConfig) -> NormPlacement {
    if config.pre_norm { NormPlacement::Before } else { NormPlacement::After }
}

/// Reads a layer of `[outputs, inputs]`.
fn linear(
    tensors: &mut TensorFile<'_>,
    name: &str,
    [outputs, inputs]: [usize; 2],
    precision: Precision,
) -> Result<Linear, TensorError> {
    let weight = tensors.take(&format!("{name}.weight"), &[outputs, inputs])?;
    Ok(Linear::new(&weight, tensors.take(&format!("{name}.bias"), &[outputs])?, precision))
}

fn layer_norm(
    tensors: &mut TensorFile<'_>,
    name: &str,
    width: usize,
) -> Result<LayerNorm, TensorError> {
    let weight = tensors.take(&format!("{name}.weight"), &[width])?;
    Ok(LayerNorm::new(weight, tensors.take(&format!("{name}.bias"), &[width])?))
}

fn block_norm(
    tensors: &mut TensorFile<'_>,
    name: &str,
    config: &ActConfig,
) -> Result<BlockNorm, TensorError> {
    let norm = layer_norm(tensors, name, config.width)?;
    Ok(BlockNorm { norm, placement: placement(config) })
}

/// Weight and bias of the projections to queries, keys and values, which PyTorch stores as one.
fn projections(
    tensors: &mut TensorFile<'_>,
    name: &str,
    width: usize,
) -> Result<(Vec<f32>, Vec<f32>), TensorError> {
    let weight = tensors.take(&format!("{name}.in_proj_weight"), &[3 * width, width])?;
    Ok((weight, tensors.take(&format!("{name}.in_proj_bias"), &[3 * width])?))
}

fn self_attention(
    tensors: &mut TensorFile<'_>,
    layer: &str,
    config: &ActConfig,
    precision: Precision,
) -> Result<SelfAttention, TensorError> {
    let (name, width) = (format!("{layer}.self_attn"), config.width);
    let (weight, bias) = projections(tensors, &name, width)?;
    Ok(SelfAttention {
        projections: Linear::new(&weight, bias, precision),
        output: linear(tensors, &format!("{name}.out_proj"), [width, width], precision)?,
        norm: block_norm(tensors, &format!("{layer}.norm1"), config)?,
    })
}

fn cross_attention(
    tensors: &mut TensorFile<'_>,
    layer: &str,
    config: &ActConfig,
    precision: Precision,
) -> Result<CrossAttention, TensorError> {
    let (name, width) = (format!("{layer}.multihead_attn"), config.width);
    let (weight, bias) = projections(tensors, &name, width)?;
    let (query, memory) = weight.split_at(width * width);
    let (query_bias, memory_bias) = bias.split_at(width);
    Ok(CrossAttention {
        query: Linear::new(query, query_bias.to_vec(), precision),
        memory: Linear::new(memory, memory_bias.to_vec(), precision),
        output: linear(tensors, &format!("{name}.out_proj"), [width, width], precision)?,
        norm: block_norm(tensors, &format!("{layer}.norm2"), config)?,
    })
}

fn feed_forward(
    tensors: &mut TensorFile<'_>,
    layer: &str,
    norm: &str,
    config: &ActConfig,
    precision: Precision,
) -> Result<FeedForward, TensorError> {
    let (width, inner) = (config.width, config.feed_forward);
    Ok(FeedForward {
        first: linear(tensors, &format!("{layer}.linear1"), [inner, width], precision)?,
        second: linear(tensors, &format!("{layer}.linear2"), [width, inner], precision)?,
        activation: config.activation,
        norm: block_norm(tensors, &format!("{layer}.{norm}"), config)?,
    })
}

fn encoder_layer(
    config: &ActConfig,
    tensors: &mut TensorFile<'_>,
    index: usize,
    precision: Precision,
) -> Result<EncoderLayer, TensorError> {
    let layer = format!("model.encoder.layers.{index}");
    Ok(EncoderLayer {
        attention: self_attention(tensors, &layer, config, precision)?,
        feed_forward: feed_forward(tensors, &layer, "norm2", config, precision)?,
    })
}

fn decoder_layer(
    config: &ActConfig,
    tensors: &mut TensorFile<'_>,
    index: usize,
    precision: Precision,
) -> Result<DecoderLayer, TensorError> {
    let layer = format!("model.decoder.layers.{index}");
    Ok(DecoderLayer {
        attention: self_attention(tensors, &layer, config, precision)?,
        cross: cross_attention(tensors, &layer, config, precision)?,
        feed_forward: feed_forward(tensors, &layer, "norm3", config, precision)?,
    })
}
