//! `config.json` of an ACT policy.

use super::config::{self, ConfigError, unsupported};
use super::extension::Extension;
use super::features::{FeatureType, Features, MAX_CAMERAS};
use super::json::{JsonError, Node};
use crate::layers::activation::Activation;
use crate::layers::convolution::MapSize;
use crate::preprocessing::{Geometry, ImagePlan};

/// Name of the residual attention network of the one-arm fork, which LeRobot does not have.
pub(crate) const RESIDUAL_ATTENTION: &str = "residual_attention_18";
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

/// `config.json` of an ACT policy, with LeRobot's defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct ActConfig {
    /// Inputs, the action, and how they are normalised.
    pub features: Features,
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

/// Keys beyond [`config::COMMON_KEYS`] that inference reads or may ignore.
const KNOWN_KEYS: &[&str] = &[
    "chunk_size",
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
    "optimizer_lr_backbone",
    Extension::KEY,
];

impl ActConfig {
    /// Reads the root of `config.json`.
    pub(super) fn read(root: &Node<'_>, mut warnings: Vec<String>) -> Result<Self, ConfigError> {
        config::warn_about_unknown_keys(root, KNOWN_KEYS, &mut warnings)?;
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
        let features = Features::read(root, "ACT", &mut warnings)?;
        let extension = Extension::read(root, &features)?;
        let backbone = root.optional("vision_backbone")?.map_or(Ok("resnet18"), |n| n.string())?;
        let config = Self {
            features,
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
            extension,
            warnings,
        };
        config.check(root)?;
        Ok(config)
    }

    /// What becomes of the images of each camera.
    pub(crate) fn image_plans(&self) -> Vec<ImagePlan> {
        self.extension.plans(&self.features, Geometry::default())
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
        let images = self.image_plans();
        let cameras = images.len();
        if cameras == 0 && self.features.vector_len(FeatureType::Environment).is_none() {
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
        let tokens = images.iter().map(|image| {
            let MapSize { height, width } = image.output();
            height.div_ceil(TOKEN_STRIDE) * width.div_ceil(TOKEN_STRIDE)
        });
        let tokens: usize = tokens.sum();
        if cameras > MAX_CAMERAS || tokens > MAX_TOKENS {
            let needed = format!("at most {MAX_CAMERAS} images of {MAX_TOKENS} tokens together");
            let remedy = "a token is 32 x 32 pixels; train with smaller images";
            return Err(unsupported(root, "input_features", &needed, remedy));
        }
        if !self.width.is_multiple_of(4) {
            let remedy = "image positions use sine and cosine on two axes";
            return Err(unsupported(root, "dim_model", "a multiple of 4", remedy));
        }
        if !self.backbone.starts_with("resnet") && self.backbone != RESIDUAL_ATTENTION {
            let remedy = "ACT in LeRobot uses ResNets";
            return Err(unsupported(root, "vision_backbone", "resnet...", remedy));
        }
        Ok(())
    }
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
