//! A description of a checkpoint for people.

use super::backbone;
use crate::lerobot::{
    ActCheckpoint, CheckpointFormat, Colors, FeatureStatistics, NormalizationMode,
};
use crate::policy::{FeatureKind, PolicyDescription};
use crate::tensor_file::TensorFile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// What a checkpoint is and needs. Prints as text and serialises with the same content.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyInfo {
    /// Architecture.
    pub kind: &'static str,
    /// Folder of the checkpoint.
    pub path: PathBuf,
    /// Generation of the format.
    pub format: CheckpointFormat,
    /// SHA-256 of the weights file, in hexadecimal.
    pub sha256: String,
    /// Inputs in the checkpoint's order.
    pub inputs: Vec<FeatureInfo>,
    /// The action. Names of its elements are not in checkpoints.
    pub action: FeatureInfo,
    /// Actions in one chunk.
    pub chunk_size: usize,
    /// Actions executed before the next inference.
    pub action_steps: usize,
    /// Coefficient of temporal ensembling, if the checkpoint sets it.
    pub ensemble_coefficient: Option<f64>,
    /// Sizes of the network.
    pub network: NetworkInfo,
    /// Number of weights in the file, including those that only training uses.
    pub parameters: usize,
    /// Things that were accepted but are worth knowing, such as unknown configuration keys.
    pub warnings: Vec<String>,
}

/// One feature and how it is normalised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureInfo {
    /// Name that the robot side delivers.
    pub name: String,
    /// Name in the configuration, where the checkpoint renames the feature.
    pub renamed_to: Option<String>,
    /// What it is; `None` for the action.
    pub kind: Option<FeatureKind>,
    /// `[n]`, or `[channels, height, width]`.
    pub shape: Vec<usize>,
    /// How it is normalised.
    pub normalization: NormalizationMode,
    /// Statistics it is normalised by, in the checkpoint's own units (images: 0 to 1), by
    /// LeRobot's names; one value per element or channel.
    pub statistics: BTreeMap<&'static str, Vec<f32>>,
}

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkInfo {
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

/// The image backbone as the tensors show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackboneInfo {
    /// Name in the configuration, which says nothing about the widths.
    pub name: String,
    /// Stages in order.
    pub stages: Vec<StageInfo>,
    /// Whether each camera has a backbone of its own.
    pub per_camera: bool,
    /// Order of the channels that it was trained with; images come as RGB and are turned.
    pub colors: Colors,
}

/// One stage of a backbone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageInfo {
    /// Channels.
    pub width: usize,
    /// Blocks.
    pub blocks: usize,
}

pub(super) fn collect(
    description: &PolicyDescription,
    checkpoint: &ActCheckpoint,
    tensors: &TensorFile<'_>,
    tokens: usize,
) -> PolicyInfo {
    let config = &checkpoint.config;
    let inputs = description.inputs.iter().zip(&config.inputs).filter_map(|(feature, spec)| {
        let renamed_to = (feature.name != spec.name).then(|| spec.name.clone());
        let statistics = checkpoint.inputs.get(&spec.name)?;
        Some(feature_info(&feature.name, renamed_to, Some(feature.kind), &spec.shape, statistics))
    });
    let action = &config.action;
    let (per_camera, colors) = (config.extension.backbone_per_camera, config.extension.colors);
    let prefix = backbone::prefix(per_camera.then_some(0));
    let stages = backbone::stages(tensors, &prefix).into_iter();
    let stages: Vec<_> = stages.map(|(width, blocks)| StageInfo { width, blocks }).collect();
    PolicyInfo {
        kind: description.kind,
        path: description.path.clone(),
        format: checkpoint.format,
        sha256: description.sha256.clone(),
        inputs: inputs.collect(),
        action: feature_info(&action.name, None, None, &action.shape, &checkpoint.action),
        chunk_size: config.chunk_size,
        action_steps: config.action_steps,
        ensemble_coefficient: config.ensemble_coefficient,
        network: NetworkInfo {
            backbone: (!stages.is_empty()).then(|| BackboneInfo {
                name: config.backbone.clone(),
                stages,
                per_camera,
                colors,
            }),
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
        },
        parameters: description.parameters,
        warnings: checkpoint.warnings.clone(),
    }
}

fn feature_info(
    name: &str,
    renamed_to: Option<String>,
    kind: Option<FeatureKind>,
    shape: &[usize],
    statistics: &FeatureStatistics,
) -> FeatureInfo {
    let names = statistics.mode.statistics().into_iter().flatten();
    let values = statistics.values.iter().flatten().cloned();
    FeatureInfo {
        name: name.to_owned(),
        renamed_to,
        kind,
        shape: shape.to_vec(),
        normalization: statistics.mode,
        statistics: names.zip(values).collect(),
    }
}

impl Display for PolicyInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            CheckpointFormat::Processors => "LeRobot 0.4 or later (processor files)",
            CheckpointFormat::StatisticsInWeights => {
                "LeRobot up to 0.3 (statistics in the weights)"
            }
        };
        writeln!(f, "policy        {} in {}", self.kind, self.path.display())?;
        writeln!(f, "format        {format}")?;
        writeln!(f, "sha256        {}", self.sha256)?;
        for input in &self.inputs {
            write!(f, "input         {input}")?;
        }
        write!(f, "output        {}", self.action)?;
        let (chunk, steps) = (self.chunk_size, self.action_steps);
        writeln!(f, "chunk         {chunk} actions, {steps} executed before the next inference")?;
        match self.ensemble_coefficient {
            Some(coefficient) => writeln!(f, "ensembling    on, coefficient {coefficient}")?,
            None => writeln!(f, "ensembling    off")?,
        }
        write!(f, "{}", self.network)?;
        writeln!(f, "weights       {} numbers", self.parameters)?;
        for warning in &self.warnings {
            writeln!(f, "warning       {warning}")?;
        }
        Ok(())
    }
}

impl Display for FeatureInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}, {}", self.name, self.shape, self.normalization.name())?;
        if let Some(name) = &self.renamed_to {
            write!(f, ", renamed to {name}")?;
        }
        writeln!(f)?;
        for (name, values) in &self.statistics {
            let values: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
            writeln!(f, "                {name:<4} {}", values.join(" "))?;
        }
        Ok(())
    }
}

impl Display for NetworkInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(backbone) = &self.backbone {
            let stages =
                backbone.stages.iter().map(|stage| format!("{}x{}", stage.blocks, stage.width));
            let stages: Vec<String> = stages.collect();
            let stages = stages.join(", ");
            let own = if backbone.per_camera { ", one for each camera" } else { "" };
            writeln!(f, "backbone      {}: basic blocks x channels {stages}{own}", backbone.name)?;
            if backbone.colors == Colors::Bgr {
                writeln!(
                    f,
                    "colours       trained on BGR; RGB images are turned before inference"
                )?;
            }
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
