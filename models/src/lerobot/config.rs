//! `config.json` of an ACT policy.

use super::json::{self, JsonError, Node};
use super::statistics::NormalizationMode;
use crate::bounded_file::{self, ReadError};
use crate::layers::activation::Activation;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest JSON file that is read, in bytes.
pub(crate) const MAX_JSON: u64 = 4 << 20;
/// Longest state or action vector.
const MAX_VECTOR: usize = 4096;
/// Longest side of an image, in pixels.
const MAX_SIDE: usize = 4096;
/// Largest image, in pixels.
const MAX_PIXELS: usize = 1 << 22;
/// Most cameras.
const MAX_CAMERAS: usize = 32;
/// Longest chunk.
const MAX_CHUNK: usize = 10_000;
/// Widest layer.
const MAX_WIDTH: usize = 1 << 16;
/// Most layers.
const MAX_LAYERS: usize = 256;
/// Pixels of an image that become one token, on each axis: the stride of a ResNet.
const TOKEN_STRIDE: usize = 32;
/// Most tokens that the encoder attends to. Attention grows with their square.
const MAX_TOKENS: usize = 8192;

/// Why `config.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key is missing or holds something else.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A value is valid, but stands for something that is not implemented or contradicts another.
    #[error("{}: {key} is {found}, needed {needed}; {remedy}", file.display())]
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

/// LeRobot's feature types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeatureType {
    /// `STATE`: what the robot measures of itself.
    State,
    /// `ENV`: what a simulator knows of the scene.
    Environment,
    /// `VISUAL`: an image, channels first.
    Visual,
    /// `ACTION`.
    Action,
}

impl FeatureType {
    /// LeRobot's name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Environment => "ENV",
            Self::Visual => "VISUAL",
            Self::Action => "ACTION",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::State, Self::Environment, Self::Visual, Self::Action]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A feature as declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureSpec {
    /// Name, for example `observation.images.top`.
    pub name: String,
    /// Type.
    pub kind: FeatureType,
    /// `[n]`, or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

impl FeatureSpec {
    /// Number of statistics of each kind: one per element, or one per channel of an image.
    pub(crate) fn statistics_len(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Reads `{"type": ..., "shape": [...]}`.
    pub(crate) fn read(name: &str, node: &Node<'_>) -> Result<Self, JsonError> {
        let kind_node = node.required("type", "STATE, ENV, VISUAL or ACTION")?;
        let kind = FeatureType::from_name(kind_node.string()?)
            .ok_or_else(|| kind_node.refuse("STATE, ENV, VISUAL or ACTION"))?;
        let shape_node = node.required("shape", "a list of sizes")?;
        let elements = shape_node.elements()?;
        let shape = if kind == FeatureType::Visual {
            let [channels, height, width] = elements.as_slice() else {
                return Err(shape_node.refuse("[channels, height, width]"));
            };
            let shape = [
                channels.integer(3..=3)?,
                height.integer(1..=MAX_SIDE)?,
                width.integer(1..=MAX_SIDE)?,
            ];
            if shape[1] * shape[2] > MAX_PIXELS {
                return Err(shape_node.refuse(format!("at most {MAX_PIXELS} pixels")));
            }
            shape.to_vec()
        } else {
            let [length] = elements.as_slice() else {
                return Err(shape_node.refuse("a list of one size"));
            };
            vec![length.integer(1..=MAX_VECTOR)?]
        };
        Ok(Self { name: name.to_owned(), kind, shape })
    }
}

/// Order of the colour channels that a policy was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Colors {
    /// Red, green, blue, as LeRobot trains.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV delivers and some programs train.
    Bgr,
}

impl Colors {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
        }
    }
}

/// The key `sinew` of `config.json`, which LeRobot does not have: what policies of other programs
/// need beyond it. LeRobot refuses such a configuration, as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Each camera has a backbone of its own, `model.backbones.0` and so on in the order of the
    /// inputs.
    pub backbone_per_camera: bool,
    /// Order of the colour channels.
    pub colors: Colors,
}

impl Extension {
    /// Its name in `config.json`.
    pub(crate) const KEY: &'static str = "sinew";

    /// Reads it strictly: whoever wrote it meant this reader.
    fn read(root: &Node<'_>) -> Result<Self, JsonError> {
        let mut extension = Self::default();
        let Some(node) = root.optional(Self::KEY)? else { return Ok(extension) };
        for (key, member) in node.members()? {
            match key {
                "backbone_per_camera" => extension.backbone_per_camera = member.boolean()?,
                "colors" => {
                    extension.colors = match member.string()? {
                        "rgb" => Colors::Rgb,
                        "bgr" => Colors::Bgr,
                        _ => return Err(member.refuse("rgb or bgr")),
                    };
                }
                _ => return Err(member.refuse("backbone_per_camera and colors only")),
            }
        }
        Ok(extension)
    }
}

/// `config.json` of an ACT policy, with LeRobot's defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct ActConfig {
    /// Path of the file.
    pub file: PathBuf,
    /// Inputs that the network reads, in the order of the file.
    pub inputs: Vec<FeatureSpec>,
    /// Inputs that are declared but that ACT does not read.
    pub ignored_inputs: Vec<String>,
    /// The action.
    pub action: FeatureSpec,
    /// Normalisation by feature type; types that are not listed are not normalised.
    pub normalization: BTreeMap<&'static str, NormalizationMode>,
    /// Actions in one chunk.
    pub chunk_size: usize,
    /// Actions executed before the next inference.
    pub action_steps: usize,
    /// Coefficient of temporal ensembling, if it is on.
    pub ensemble_coefficient: Option<f64>,
    /// Name of the backbone, which says nothing about its widths.
    pub backbone: String,
    /// Whether layers normalise before instead of after their residual sum.
    pub pre_norm: bool,
    /// Width of the transformer.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub feed_forward: usize,
    /// Activation of the feed-forward layers.
    pub activation: Activation,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Whether it was trained with a variational encoder, which inference does not use.
    pub use_vae: bool,
    /// Width of the latent input, which is zero at inference.
    pub latent: usize,
    /// What goes beyond LeRobot.
    pub extension: Extension,
    /// Things that are accepted but worth knowing.
    pub warnings: Vec<String>,
}

/// Keys that LeRobot writes and that inference reads or may ignore.
const KNOWN_KEYS: &[&str] = &[
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
    "chunk_size",
    "n_action_steps",
    "normalization_mapping",
    "vision_backbone",
    "pretrained_backbone_weights",
    "replace_final_stride_with_dilation",
    "pre_norm",
    "dim_model",
    "n_heads",
    "dim_feedforward",
    "feedforward_activation",
    "n_encoder_layers",
    "n_decoder_layers",
    "use_vae",
    "latent_dim",
    "n_vae_encoder_layers",
    "temporal_ensemble_coeff",
    "dropout",
    "kl_weight",
    "optimizer_lr",
    "optimizer_weight_decay",
    "optimizer_lr_backbone",
    "compile_model",
    Extension::KEY,
];

impl ActConfig {
    /// Reads `config.json` in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, ConfigError> {
        let file = folder.join("config.json");
        let value = json::parse(&file, &bounded_file::read(&file, MAX_JSON)?)?;
        Self::parse(&Node::root(&file, &value))
    }

    fn parse(root: &Node<'_>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        check_kind(root, &mut warnings)?;
        for (key, _) in root.members()?.iter().filter(|(key, _)| !KNOWN_KEYS.contains(key)) {
            warnings.push(format!("config.json: unknown key {key} is ignored"));
        }
        let integer = |key: &str, default: usize, limit: usize| -> Result<usize, JsonError> {
            root.optional(key)?.map_or(Ok(default), |node| node.integer(1..=limit))
        };
        let boolean = |key: &str| -> Result<bool, JsonError> {
            root.optional(key)?.map_or(Ok(false), |node| node.boolean())
        };
        for (key, remedy) in [
            ("use_peft", "merge the adapter into the weights before exporting"),
            ("compile_model", "save the policy without torch.compile"),
            (
                "replace_final_stride_with_dilation",
                "torchvision's basic blocks cannot be dilated, so no such ACT policy can have been trained with them",
            ),
        ] {
            if boolean(key)? {
                return Err(unsupported(root, key, "false", remedy));
            }
        }
        if boolean("use_amp")? {
            warnings.push("config.json: use_amp is set; inference uses f32 throughout".to_owned());
        }
        if integer("n_obs_steps", 1, MAX_CHUNK)? != 1 {
            return Err(unsupported(root, "n_obs_steps", "1", "ACT reads a single observation"));
        }
        let activation = activation(root)?;
        let (inputs, ignored_inputs) = inputs(root, &mut warnings)?;
        let backbone = root.optional("vision_backbone")?.map_or(Ok("resnet18"), |n| n.string())?;
        let config = Self {
            file: root.file().to_path_buf(),
            inputs,
            ignored_inputs,
            action: action(root, &mut warnings)?,
            normalization: normalization(root)?,
            chunk_size: integer("chunk_size", 100, MAX_CHUNK)?,
            action_steps: integer("n_action_steps", 100, MAX_CHUNK)?,
            ensemble_coefficient: root
                .optional("temporal_ensemble_coeff")?
                .map(|node| node.number())
                .transpose()?,
            backbone: backbone.to_owned(),
            pre_norm: boolean("pre_norm")?,
            width: integer("dim_model", 512, MAX_WIDTH)?,
            heads: integer("n_heads", 8, MAX_WIDTH)?,
            feed_forward: integer("dim_feedforward", 3200, MAX_WIDTH)?,
            activation,
            encoder_layers: integer("n_encoder_layers", 4, MAX_LAYERS)?,
            decoder_layers: integer("n_decoder_layers", 1, MAX_LAYERS)?,
            use_vae: root.optional("use_vae")?.map_or(Ok(true), |node| node.boolean())?,
            latent: integer("latent_dim", 32, MAX_WIDTH)?,
            extension: Extension::read(root)?,
            warnings,
        };
        config.check(root)?;
        Ok(config)
    }

    /// Checks what concerns several keys at once.
    fn check(&self, root: &Node<'_>) -> Result<(), ConfigError> {
        if self.action_steps > self.chunk_size {
            let needed = format!("at most chunk_size, which is {}", self.chunk_size);
            return Err(unsupported(
                root,
                "n_action_steps",
                &needed,
                "a chunk has no more actions",
            ));
        }
        if self.ensemble_coefficient.is_some() && self.action_steps != 1 {
            return Err(unsupported(
                root,
                "n_action_steps",
                "1, because temporal_ensemble_coeff is set",
                "ensembling infers at every step",
            ));
        }
        if !self.width.is_multiple_of(self.heads) {
            let needed = format!("a divisor of dim_model, which is {}", self.width);
            return Err(unsupported(root, "n_heads", &needed, "each head gets an equal share"));
        }
        let images = self.inputs.iter().filter(|feature| feature.kind == FeatureType::Visual);
        let cameras = images.clone().count();
        if cameras == 0 && !self.inputs.iter().any(|f| f.kind == FeatureType::Environment) {
            return Err(unsupported(
                root,
                "input_features",
                "an image or observation.environment_state",
                "ACT cannot act on joint positions alone",
            ));
        }
        if cameras == 0 {
            return Ok(());
        }
        let tokens: usize = images
            .map(|image| {
                image
                    .shape
                    .iter()
                    .skip(1)
                    .map(|side| side.div_ceil(TOKEN_STRIDE))
                    .product::<usize>()
            })
            .sum();
        if cameras > MAX_CAMERAS || tokens > MAX_TOKENS {
            let needed = format!("at most {MAX_CAMERAS} images of {MAX_TOKENS} tokens together");
            let remedy = "a token is 32 x 32 pixels; train with smaller images";
            return Err(unsupported(root, "input_features", &needed, remedy));
        }
        if !self.width.is_multiple_of(4) {
            let remedy = "image positions use sine and cosine on two axes";
            return Err(unsupported(root, "dim_model", "a multiple of 4", remedy));
        }
        if !self.backbone.starts_with("resnet") {
            let remedy = "ACT in LeRobot uses ResNets";
            return Err(unsupported(root, "vision_backbone", "resnet...", remedy));
        }
        Ok(())
    }

    /// How features of this type are normalised.
    pub(crate) fn mode(&self, kind: FeatureType) -> NormalizationMode {
        self.normalization.get(kind.name()).copied().unwrap_or(NormalizationMode::Identity)
    }

    /// Whether any input or the action is normalised.
    pub(crate) fn needs_statistics(&self) -> bool {
        let features = self.inputs.iter().chain([&self.action]);
        features.into_iter().any(|feature| self.mode(feature.kind) != NormalizationMode::Identity)
    }
}

/// Error for a key whose value stands for something that is not supported.
fn unsupported(root: &Node<'_>, key: &str, needed: &str, remedy: &'static str) -> ConfigError {
    let found = match root.optional(key) {
        Ok(Some(node)) => node.quote(),
        _ => "absent, so LeRobot's default applies".to_owned(),
    };
    let file = root.file().to_path_buf();
    ConfigError::Unsupported { file, key: key.to_owned(), found, needed: needed.to_owned(), remedy }
}

fn check_kind(root: &Node<'_>, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    match root.optional("type")? {
        None => warnings.push("config.json: key type is missing; read as act".to_owned()),
        Some(node) if node.string()? != "act" => {
            return Err(unsupported(root, "type", "\"act\"", "only ACT policies are implemented"));
        }
        Some(_) => {}
    }
    Ok(())
}

fn activation(root: &Node<'_>) -> Result<Activation, ConfigError> {
    let Some(node) = root.optional("feedforward_activation")? else {
        return Ok(Activation::Relu);
    };
    match node.string()? {
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        // LeRobot offers glu, but its own layers do not fit the halved rows: no model can have it.
        _ => Err(node.refuse("relu or gelu").into()),
    }
}

fn normalization(root: &Node<'_>) -> Result<BTreeMap<&'static str, NormalizationMode>, JsonError> {
    let needed = "an object of feature types and modes";
    normalization_map(&root.required("normalization_mapping", needed)?)
}

/// Reads `{"STATE": "MEAN_STD", ...}`.
pub(crate) fn normalization_map(
    node: &Node<'_>,
) -> Result<BTreeMap<&'static str, NormalizationMode>, JsonError> {
    let mut map = BTreeMap::new();
    for (kind, mode) in node.members()? {
        let parsed = NormalizationMode::from_name(mode.string()?)
            .ok_or_else(|| mode.refuse(NormalizationMode::NAMES))?;
        // Other policies list types of their own, which no feature of ACT can have.
        if let Some(kind) = FeatureType::from_name(kind) {
            map.insert(kind.name(), parsed);
        }
    }
    Ok(map)
}

/// Inputs that ACT reads, and names of those it does not.
fn inputs(
    root: &Node<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<FeatureSpec>, Vec<String>), ConfigError> {
    let (mut used, mut ignored) = (Vec::new(), Vec::new());
    for (name, node) in root.required("input_features", "an object of features")?.members()? {
        let feature = FeatureSpec::read(name, &node)?;
        match (feature.kind, name) {
            (FeatureType::Visual, _)
            | (FeatureType::State, "observation.state")
            | (FeatureType::Environment, "observation.environment_state") => used.push(feature),
            (FeatureType::State, _) => {
                warnings.push(format!("config.json: input {name} is ignored, as ACT does"));
                ignored.push(name.to_owned());
            }
            (FeatureType::Environment, _) => {
                let needed = "observation.environment_state as the only feature of type ENV";
                return Err(node.refuse(needed).into());
            }
            (FeatureType::Action, _) => {
                return Err(node.refuse("an input of type STATE, ENV or VISUAL").into());
            }
        }
    }
    Ok((used, ignored))
}

fn action(root: &Node<'_>, warnings: &mut Vec<String>) -> Result<FeatureSpec, ConfigError> {
    let outputs = root.required("output_features", "an object with the feature action")?;
    for (name, _) in outputs.members()?.iter().filter(|(name, _)| *name != "action") {
        warnings.push(format!("config.json: output {name} is ignored, as ACT does"));
    }
    let node = outputs.required("action", "a feature of type ACTION")?;
    let feature = FeatureSpec::read("action", &node)?;
    if feature.kind == FeatureType::Action {
        Ok(feature)
    } else {
        Err(node.refuse("a feature of type ACTION").into())
    }
}
