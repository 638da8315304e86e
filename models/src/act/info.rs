//! A description of the network for people.

use crate::backbone::Place;
use crate::info::{self, BackboneInfo};
use crate::lerobot::ActConfig;
use crate::tensor_file::TensorFile;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActNetworkInfo {
    /// Image backbone, if the policy reads images.
    pub backbone: Option<BackboneInfo>,
    /// Width of the transformer.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub feed_forward: usize,
    /// Activation of the feed-forward layers.
    pub activation: &'static str,
    /// Whether layers normalise before instead of after their residual sums.
    pub pre_norm: bool,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Width of the latent input, which is zero at inference.
    pub latent: usize,
    /// Whether it was trained with a variational encoder.
    pub trained_with_vae: bool,
    /// Tokens that the encoder attends to.
    pub tokens: usize,
}

/// Describes a checkpoint whose tensors were read.
pub(crate) fn collect(
    config: &ActConfig,
    tensors: &TensorFile<'_>,
    tokens: usize,
) -> ActNetworkInfo {
    let place = Place::of_camera(config.extension.backbone_per_camera.then_some(0));
    ActNetworkInfo {
        backbone: info::backbone_info(&config.backbone, tensors, &place, &config.extension),
        width: config.width,
        heads: config.heads,
        feed_forward: config.feed_forward,
        activation: config.activation.name(),
        pre_norm: config.pre_norm,
        encoder_layers: config.encoder_layers,
        decoder_layers: config.decoder_layers,
        latent: config.latent,
        trained_with_vae: config.use_vae,
        tokens,
    }
}

impl Display for ActNetworkInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(backbone) = &self.backbone {
            writeln!(f, "backbone      {backbone}")?;
        }
        let place = if self.pre_norm { "before" } else { "after" };
        writeln!(
            f,
            "transformer   {} encoder and {} decoder layers, width {}, {} heads, feed-forward {} ({}), normalised {place} each block, {} tokens",
            self.encoder_layers,
            self.decoder_layers,
            self.width,
            self.heads,
            self.feed_forward,
            self.activation,
            self.tokens,
        )?;
        let vae = if self.trained_with_vae { "trained with" } else { "trained without" };
        writeln!(f, "latent        {} ({vae} a variational encoder)", self.latent)
    }
}
