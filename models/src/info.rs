//! A description of a checkpoint for people.

use crate::act::ActNetworkInfo;
use crate::backbone::{self, Place};
use crate::cnnmlp::CnnMlpNetworkInfo;
use crate::diffusion::DiffusionNetworkInfo;
use crate::layers::convolution::MapSize;
use crate::lerobot::RESIDUAL_ATTENTION;
use crate::lerobot::{
    CheckpointFormat, Colors, Extension, FeatureStatistics, Features, Normalization,
    NormalizationMode, Preparation, Rectangle,
};
use crate::policy::{FeatureKind, PolicyDescription};
use crate::preprocessing::ImagePlan;
use crate::quote::quote;
use crate::residual_attention;
use crate::tensor_file::TensorFile;
use crate::vinn::VinnNetworkInfo;
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
    /// What becomes of the images of each camera.
    pub images: Vec<ImageInfo>,
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

/// What becomes of the images of one camera before the network sees them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageInfo {
    /// Name that the robot side delivers.
    pub camera: String,
    /// Order of the channels that the network sees; images come as RGB.
    pub colors: Colors,
    /// What is done before the policy's own resizing and cropping.
    #[serde(flatten)]
    pub preparation: Preparation,
    /// What the network sees of the image, in pixels of the camera, rounded outwards.
    pub seen: Rectangle,
    /// Height and width of what the network sees.
    pub size: [usize; 2],
}

/// Sizes of the network, and what else only policies of one kind have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NetworkInfo {
    /// Of ACT.
    Act(ActNetworkInfo),
    /// Of Diffusion Policy.
    Diffusion(DiffusionNetworkInfo),
    /// Of CNNMLP.
    CnnMlp(CnnMlpNetworkInfo),
    /// Of VINN.
    Vinn(VinnNetworkInfo),
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
    /// Blocks; of a residual attention network the levels of the stage's attention module, from
    /// whose smallest it looks at the whole.
    pub blocks: usize,
}

/// Stages of the backbone at `place`, if it is there.
pub(crate) fn backbone_info(
    name: &str,
    tensors: &TensorFile<'_>,
    place: &Place,
    extension: &Extension,
) -> Option<BackboneInfo> {
    let stages = if residual_attention::is_one(tensors, &place.prefix) {
        residual_attention::stages(tensors, &place.prefix)
    } else {
        backbone::stages(tensors, place)
    };
    let stages = stages.into_iter();
    let stages: Vec<_> = stages.map(|(width, blocks)| StageInfo { width, blocks }).collect();
    let (name, per_camera, colors) =
        (name.to_owned(), extension.backbone_per_camera, extension.colors);
    (!stages.is_empty()).then_some(BackboneInfo { name, stages, per_camera, colors })
}

/// What a checkpoint is, around its network.
pub(crate) fn collect(
    description: &PolicyDescription,
    features: &Features,
    normalization: &Normalization,
    plans: &[ImagePlan],
    network: NetworkInfo,
) -> PolicyInfo {
    let names = description.inputs.iter().filter(|input| input.kind == FeatureKind::Visual);
    let images = names.zip(plans).map(|(feature, plan)| {
        let MapSize { height, width } = plan.output();
        let (camera, preparation) = (feature.name.clone(), plan.preparation.clone());
        let (colors, seen) = (plan.colors, plan.seen());
        ImageInfo { camera, colors, preparation, seen, size: [height, width] }
    });
    let inputs = description.inputs.iter().zip(&features.inputs).filter_map(|(feature, spec)| {
        let renamed_to = (feature.name != spec.name).then(|| spec.name.clone());
        let statistics = normalization.inputs.get(&spec.name)?;
        Some(feature_info(&feature.name, renamed_to, Some(feature.kind), &spec.shape, statistics))
    });
    let action = &features.action;
    PolicyInfo {
        kind: description.kind,
        path: description.path.clone(),
        format: normalization.format,
        sha256: description.sha256.clone(),
        inputs: inputs.collect(),
        images: images.collect(),
        action: feature_info(&action.name, None, None, &action.shape, &normalization.action),
        chunk_size: description.chunk_size,
        action_steps: description.action_steps,
        ensemble_coefficient: description.ensemble_coefficient,
        network,
        parameters: description.parameters,
        warnings: normalization.warnings.clone(),
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
            CheckpointFormat::Bundle => "sinew (everything in config.json)",
        };
        writeln!(f, "policy        {} in {}", self.kind, self.path.display())?;
        writeln!(f, "format        {format}")?;
        writeln!(f, "sha256        {}", self.sha256)?;
        for input in &self.inputs {
            write!(f, "input         {input}")?;
        }
        for image in &self.images {
            writeln!(f, "image         {image}")?;
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

impl Display for ImageInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (prepared, [height, width]) = (self.preparation.to_string(), self.size);
        write!(f, "{}: {}", self.camera, self.colors.name().to_uppercase())?;
        if !prepared.is_empty() {
            write!(f, "; {prepared}")?;
        }
        write!(f, "; the network sees {height} x {width}")
    }
}

impl Display for NetworkInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(network) => network.fmt(f),
            Self::Diffusion(network) => network.fmt(f),
            Self::CnnMlp(network) => network.fmt(f),
            Self::Vinn(network) => network.fmt(f),
        }
    }
}

impl Display for BackboneInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stages = self.stages.iter().map(|stage| format!("{}x{}", stage.blocks, stage.width));
        let stages: Vec<String> = stages.collect();
        let what =
            if self.name == RESIDUAL_ATTENTION { "attention levels" } else { "basic blocks" };
        write!(f, "{}: {what} x channels {}", quote(&self.name), stages.join(", "))?;
        if self.per_camera {
            write!(f, ", one for each camera")?;
        }
        if self.colors == Colors::Bgr {
            write!(f, "; trained on BGR, RGB images are turned before inference")?;
        }
        Ok(())
    }
}
