//! `config.json`: which architecture it describes, and what all architectures share.

use super::act::ActConfig;
use super::cnnmlp::CnnMlpConfig;
use super::diffusion::DiffusionConfig;
use super::features::Features;
use super::json::{self, JsonError, Node};
use super::vinn::VinnConfig;
use crate::bounded_file::{self, ReadError};
use crate::quote::quote;
use std::path::{Path, PathBuf};

/// Largest JSON file that is read, in bytes.
pub(crate) const MAX_JSON: u64 = 4 << 20;

/// Why `config.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key is missing or holds something else.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A picture that it names is not usable.
    #[error("{}: is {found}, needed {needed}; config.json names it as {key}", file.display(), found = quote(found), key = quote(key))]
    Picture {
        /// Path of the picture.
        file: PathBuf,
        /// Path of the key, joined by dots.
        key: String,
        /// What it is.
        found: String,
        /// What it should be.
        needed: String,
    },
    /// A value is valid, but stands for something that is not implemented or contradicts another.
    #[error("{}: {key} is {found}, needed {needed}; {remedy}", file.display(), found = quote(found), key = quote(key))]
    Unsupported {
        /// Path of the file.
        file: PathBuf,
        /// Path of the key, joined by dots.
        key: String,
        /// What it holds.
        found: String,
        /// What is supported.
        needed: String,
        /// Why, or what to do about it.
        remedy: &'static str,
    },
}

/// `config.json` of any policy.
#[derive(Clone, Debug)]
pub(crate) enum PolicyConfig {
    /// Action chunking with transformers.
    Act(ActConfig),
    /// Diffusion Policy.
    Diffusion(DiffusionConfig),
    /// Convolutional behaviour cloning.
    CnnMlp(CnnMlpConfig),
    /// Nearest neighbours.
    Vinn(VinnConfig),
}

impl PolicyConfig {
    /// Reads `config.json` in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, ConfigError> {
        let file = folder.join("config.json");
        let value = json::parse(&file, &bounded_file::read(&file, MAX_JSON)?)?;
        Self::of(&Node::root(&file, &value))
    }

    /// Reads the root of a file.
    pub(super) fn of(root: &Node<'_>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let kind = root.optional("type")?;
        if kind.is_none() {
            warnings.push("config.json: key type is missing; read as act".to_owned());
        }
        match kind.map_or(Ok("act"), |node| node.string())? {
            "act" => Ok(Self::Act(ActConfig::read(root, warnings)?)),
            "diffusion" => Ok(Self::Diffusion(DiffusionConfig::read(root, warnings)?)),
            "cnnmlp" => Ok(Self::CnnMlp(CnnMlpConfig::read(root, warnings)?)),
            "vinn" => Ok(Self::Vinn(VinnConfig::read(root, warnings)?)),
            _ => {
                let remedy = "other architectures are not implemented";
                Err(unsupported(
                    root,
                    "type",
                    "\"act\", \"diffusion\", \"cnnmlp\" or \"vinn\"",
                    remedy,
                ))
            }
        }
    }

    /// Inputs, the action, and how they are normalised.
    pub(crate) fn features(&self) -> &Features {
        match self {
            Self::Act(config) => &config.features,
            Self::Diffusion(config) => &config.features,
            Self::CnnMlp(config) => &config.features,
            Self::Vinn(config) => &config.features,
        }
    }

    /// LeRobot's name of the architecture.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Act(_) => "act",
            Self::Diffusion(_) => "diffusion",
            Self::CnnMlp(_) => "cnnmlp",
            Self::Vinn(_) => "vinn",
        }
    }

    /// Takes what is accepted but worth knowing.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Act(config) => std::mem::take(&mut config.warnings),
            Self::Diffusion(config) => std::mem::take(&mut config.warnings),
            Self::CnnMlp(config) => std::mem::take(&mut config.warnings),
            Self::Vinn(config) => std::mem::take(&mut config.warnings),
        }
    }
}

/// Error for a key whose value stands for something that is not supported.
pub(super) fn unsupported(
    root: &Node<'_>,
    key: &str,
    needed: &str,
    remedy: &'static str,
) -> ConfigError {
    let found = match root.optional(key) {
        Ok(Some(node)) => node.quote(),
        _ => "absent, so LeRobot's default applies".to_owned(),
    };
    let file = root.file().to_path_buf();
    ConfigError::Unsupported { file, key: key.to_owned(), found, needed: needed.to_owned(), remedy }
}

/// Keys that every kind of policy of LeRobot has, read or of no effect on inference.
pub(super) const COMMON_KEYS: &[&str] = &[
    "type",
    "n_obs_steps",
    "input_features",
    "output_features",
    "device",
    "use_amp",
    "use_peft",
    "push_to_hub",
    "repo_id",
    "private",
    "tags",
    "license",
    "pretrained_path",
    "pretrained_revision",
    "n_action_steps",
    "normalization_mapping",
    "vision_backbone",
    "pretrained_backbone_weights",
    "compile_model",
    "optimizer_lr",
    "optimizer_weight_decay",
];

/// Warns about keys that are neither common nor `known`: a newer version of LeRobot may have
/// added them.
pub(super) fn warn_about_unknown_keys(
    root: &Node<'_>,
    known: &[&str],
    warnings: &mut Vec<String>,
) -> Result<(), JsonError> {
    let is_known = |key: &str| COMMON_KEYS.contains(&key) || known.contains(&key);
    for (key, _) in root.members()?.iter().filter(|(key, _)| !is_known(key)) {
        warnings.push(format!("config.json: unknown key {} is ignored", quote(key)));
    }
    Ok(())
}
