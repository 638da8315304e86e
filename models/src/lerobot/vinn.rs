//! `config.json` of a VINN policy. LeRobot has no such policy: the layout resembles LeRobot's, the
//! type and most keys are ours, and keys that are not known are refused.

use super::config::{ConfigError, unsupported};
use super::extension::Extension;
use super::features::{FeatureSpec, FeatureType, Features, MAX_CAMERAS};
use super::json::{JsonError, Node};
use super::preparation::map_size;
use super::statistics::{FeatureStatistics, NormalizationMode};
use super::{CheckpointFormat, Normalization};
use crate::layers::convolution::MapSize;
use crate::layers::feature_scaling::FeatureScaling;
use crate::preprocessing::{Geometry, ImagePlan};
use crate::vinn::{Search, StateDistance};
use std::collections::BTreeMap;

/// Longest chunk.
const MAX_CHUNK: usize = 10_000;
/// Most neighbours.
const MAX_NEIGHBORS: usize = 1 << 20;
/// Keys that are read.
const KNOWN_KEYS: &[&str] = &[
    "type",
    "input_features",
    "output_features",
    "normalization_mapping",
    "image_mean",
    "image_std",
    "resize_shape",
    "crop_shape",
    "vision_backbone",
    "chunk_size",
    "n_action_steps",
    "neighbors",
    "state_weight",
    "state_distance",
    "camera_weights",
    Extension::KEY,
];

/// `config.json` of a VINN policy.
#[derive(Clone, Debug)]
pub(crate) struct VinnConfig {
    /// Inputs and the action.
    pub features: Features,
    /// Mean and standard deviation of the colours that the encoders were trained with.
    pub image_statistics: [[f32; 3]; 2],
    /// What is done to the shape of images.
    pub geometry: Geometry,
    /// Name of the backbone, which says nothing about its widths.
    pub backbone: String,
    /// Actions in one chunk.
    pub chunk_size: usize,
    /// Actions executed before the next inference.
    pub action_steps: usize,
    /// How neighbours are found.
    pub search: Search,
    /// What goes beyond LeRobot.
    pub extension: Extension,
    /// Things that are accepted but worth knowing.
    pub warnings: Vec<String>,
}

impl VinnConfig {
    /// Reads the root of `config.json`.
    pub(super) fn read(root: &Node<'_>, mut warnings: Vec<String>) -> Result<Self, ConfigError> {
        for (key, node) in root.members()? {
            if !KNOWN_KEYS.contains(&key) {
                return Err(node
                    .refuse(format!("one of the keys {}", KNOWN_KEYS.join(", ")))
                    .into());
            }
        }
        let features = Features::read(root, "VINN", &mut warnings)?;
        check_inputs(root, &features)?;
        if let Some(kind) = [FeatureType::Visual, FeatureType::State, FeatureType::Action]
            .into_iter()
            .find(|kind| features.mode(*kind) != NormalizationMode::Identity)
        {
            let remedy = "colours are normalised by image_mean and image_std, states by the memory";
            let needed = format!("IDENTITY for {}", kind.name());
            return Err(unsupported(root, "normalization_mapping", &needed, remedy));
        }
        let geometry = Geometry {
            resize: map_size(root, "resize_shape")?,
            crop: map_size(root, "crop_shape")?,
        };
        let extension = Extension::read(root, &features)?;
        check_geometry(root, &features, &extension, geometry)?;
        let integer = |key: &str, limit: usize| -> Result<usize, JsonError> {
            root.required(key, "a whole number")?.integer(1..=limit)
        };
        let chunk_size = integer("chunk_size", MAX_CHUNK)?;
        let action_steps = integer("n_action_steps", chunk_size)?;
        let backbone = root.optional("vision_backbone")?.map_or(Ok("resnet18"), |n| n.string())?;
        Ok(Self {
            image_statistics: [
                colors(root, "image_mean", false)?,
                colors(root, "image_std", true)?,
            ],
            geometry,
            backbone: backbone.to_owned(),
            chunk_size,
            action_steps,
            search: Search {
                neighbors: integer("neighbors", MAX_NEIGHBORS)?,
                state_weight: weight(&root.required("state_weight", "0 or more")?)?,
                state_distance: state_distance(root)?,
                camera_weights: camera_weights(root, &features)?,
            },
            extension,
            features,
            warnings,
        })
    }

    /// What becomes of the images of each camera.
    pub(crate) fn image_plans(&self) -> Vec<ImagePlan> {
        self.extension.plans(&self.features, self.geometry)
    }

    /// How inputs and actions are normalised: images by what the configuration says, vectors not
    /// at all.
    pub(super) fn normalization(&self, warnings: Vec<String>) -> Normalization {
        let as_it_is = || FeatureStatistics {
            mode: NormalizationMode::Identity,
            values: None,
            scaling: FeatureScaling::Identity,
        };
        let [mean, std] = self.image_statistics.map(|values| values.to_vec());
        let of_images = FeatureStatistics {
            mode: NormalizationMode::MeanStd,
            values: Some([mean.clone(), std.clone()]),
            scaling: FeatureScaling::MeanStd { mean, std, epsilon: 0.0 },
        };
        let statistics = |spec: &FeatureSpec| match spec.kind {
            FeatureType::Visual => of_images.clone(),
            _ => as_it_is(),
        };
        let inputs = self.features.inputs.iter();
        Normalization {
            format: CheckpointFormat::Bundle,
            inputs: inputs.map(|spec| (spec.name.clone(), statistics(spec))).collect(),
            action: as_it_is(),
            sources: BTreeMap::new(),
            warnings,
        }
    }
}

fn check_inputs(root: &Node<'_>, features: &Features) -> Result<(), ConfigError> {
    let has = |kind| features.vector_len(kind).is_some();
    if (1..=MAX_CAMERAS).contains(&features.images().count())
        && has(FeatureType::State)
        && !has(FeatureType::Environment)
    {
        return Ok(());
    }
    let needed = format!("observation.state and 1 to {MAX_CAMERAS} images, nothing else");
    let remedy = "neighbours are found by images and joint positions";
    Err(unsupported(root, "input_features", &needed, remedy))
}

fn check_geometry(
    root: &Node<'_>,
    features: &Features,
    extension: &Extension,
    geometry: Geometry,
) -> Result<(), ConfigError> {
    for plan in extension.plans(features, geometry) {
        let MapSize { height, width } = plan.cropped();
        if geometry.crop.is_some_and(|crop| crop.height > height || crop.width > width) {
            let needed = format!("at most [{height}, {width}], the size of what is cropped");
            return Err(unsupported(root, "crop_shape", &needed, "a crop is a part of an image"));
        }
    }
    Ok(())
}

fn weight(node: &Node<'_>) -> Result<f32, JsonError> {
    let weight = node.number()? as f32;
    let usable = weight >= 0.0 && weight.is_finite();
    if usable { Ok(weight) } else { Err(node.refuse("0 or more")) }
}

fn colors(root: &Node<'_>, key: &str, positive: bool) -> Result<[f32; 3], JsonError> {
    let needed = if positive { "three positive numbers" } else { "three numbers" };
    let node = root.required(key, needed)?;
    let elements = node.elements()?;
    let mut values = [0.0; 3];
    if elements.len() != values.len() {
        return Err(node.refuse(needed));
    }
    for (value, element) in values.iter_mut().zip(&elements) {
        *value = element.number()? as f32;
        if positive && *value <= 0.0 {
            return Err(element.refuse("a positive number"));
        }
    }
    Ok(values)
}

fn state_distance(root: &Node<'_>) -> Result<StateDistance, JsonError> {
    let Some(node) = root.optional("state_distance")? else {
        return Ok(StateDistance::default());
    };
    StateDistance::from_name(node.string()?).ok_or_else(|| node.refuse(StateDistance::NAMES))
}

/// One weight for each camera, 1 where none is given.
fn camera_weights(root: &Node<'_>, features: &Features) -> Result<Vec<f32>, JsonError> {
    let names: Vec<&str> = features.images().map(|image| image.name.as_str()).collect();
    let mut weights = vec![1.0; names.len()];
    let Some(node) = root.optional("camera_weights")? else { return Ok(weights) };
    for (name, value) in node.members()? {
        match names.iter().position(|known| *known == name) {
            Some(index) => weights[index] = weight(&value)?,
            None => return Err(value.refuse(format!("weights of {} only", names.join(", ")))),
        }
    }
    Ok(weights)
}
