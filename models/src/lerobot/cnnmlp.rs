//! `config.json` of a CNNMLP policy, the convolutional behaviour cloning of the ACT programs.
//! LeRobot has no such policy: the layout is LeRobot's, the type is ours.

use super::config::{self, ConfigError, unsupported};
use super::extension::Extension;
use super::features::{FeatureType, Features, MAX_CAMERAS};
use super::json::Node;
use crate::preprocessing::{Geometry, ImagePlan};

/// Keys beyond [`config::COMMON_KEYS`].
const KNOWN_KEYS: &[&str] = &[Extension::KEY];

/// `config.json` of a CNNMLP policy. All sizes of the network come from its tensors.
#[derive(Clone, Debug)]
pub(crate) struct CnnMlpConfig {
    /// Inputs, the action, and how they are normalised.
    pub features: Features,
    /// Name of the backbone, which says nothing about its widths.
    pub backbone: String,
    /// What goes beyond LeRobot.
    pub extension: Extension,
    /// Things that are accepted but worth knowing.
    pub warnings: Vec<String>,
}

impl CnnMlpConfig {
    /// Reads the root of `config.json`.
    pub(super) fn read(root: &Node<'_>, mut warnings: Vec<String>) -> Result<Self, ConfigError> {
        for key in ["n_obs_steps", "n_action_steps"] {
            if root.optional(key)?.is_some_and(|node| node.integer(1..=1).is_err()) {
                warnings.push(format!("config.json: {key} is ignored: there is one"));
            }
        }
        config::warn_about_unknown_keys(root, KNOWN_KEYS, &mut warnings)?;
        let features = Features::read(root, "CNNMLP", &mut warnings)?;
        let cameras = features.images().count();
        let has = |kind| features.vector_len(kind).is_some();
        if !(1..=MAX_CAMERAS).contains(&cameras)
            || !has(FeatureType::State)
            || has(FeatureType::Environment)
        {
            let needed = format!("observation.state and 1 to {MAX_CAMERAS} images, nothing else");
            let remedy = "the network has no place for other inputs";
            return Err(unsupported(root, "input_features", &needed, remedy));
        }
        let backbone = root.optional("vision_backbone")?.map_or(Ok("resnet18"), |n| n.string())?;
        let extension = Extension::read(root, &features)?;
        Ok(Self { features, backbone: backbone.to_owned(), extension, warnings })
    }

    /// What becomes of the images of each camera.
    pub(crate) fn image_plans(&self) -> Vec<ImagePlan> {
        self.extension.plans(&self.features, Geometry::default())
    }
}
