//! `config.json` of a Diffusion Policy.

use super::config::{self, ConfigError, unsupported};
use super::extension::Extension;
use super::features::{FeatureType, Features, MAX_CAMERAS};
use super::json::{JsonError, Node};
use super::preparation::map_size;
use crate::diffusion::{BetaSchedule, Prediction, Scheduler};
use crate::layers::convolution::MapSize;
use crate::preprocessing::{Geometry, ImagePlan};

/// Longest horizon.
const MAX_HORIZON: usize = 1024;
/// Longest history of observations.
const MAX_HISTORY: usize = 64;
/// Widest layer.
const MAX_WIDTH: usize = 1 << 14;
/// Most levels of the network.
const MAX_LEVELS: usize = 8;
/// Longest kernel.
const MAX_KERNEL: usize = 31;
/// Most steps of the diffusion.
const MAX_STEPS: usize = 10_000;

/// `config.json` of a Diffusion Policy, with LeRobot's defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct DiffusionConfig {
    /// Inputs, the action, and how they are normalised.
    pub features: Features,
    /// Observations that the network sees.
    pub history: usize,
    /// Actions that it predicts, from the oldest observation on.
    pub horizon: usize,
    /// Actions executed before the next inference.
    pub action_steps: usize,
    /// Name of the backbone, which says nothing about its widths.
    pub backbone: String,
    /// What is done to the shape of images.
    pub geometry: Geometry,
    /// Whether the backbone normalises by groups of channels instead of by statistics.
    pub group_norm: bool,
    /// Key points of one image.
    pub keypoints: usize,
    /// Whether each camera has an encoder of its own.
    pub separate_encoders: bool,
    /// Widths of the levels.
    pub widths: Vec<usize>,
    /// Kernel of the residual blocks.
    pub kernel: usize,
    /// Groups of the normalisation in residual blocks.
    pub groups: usize,
    /// Width of the embedded timestep.
    pub step_width: usize,
    /// Whether the condition scales as well as shifts.
    pub scales: bool,
    /// How samples are drawn.
    pub scheduler: Scheduler,
    /// Steps of the diffusion in training.
    pub train_steps: usize,
    /// Noise of each step.
    pub betas: BetaSchedule,
    /// What the network predicts.
    pub prediction: Prediction,
    /// Magnitude to which predicted actions are clipped, if they are.
    pub clip: Option<f32>,
    /// Steps of one inference.
    pub steps: usize,
    /// What goes beyond LeRobot.
    pub extension: Extension,
    /// Things that are accepted but worth knowing.
    pub warnings: Vec<String>,
}

/// Keys beyond [`config::COMMON_KEYS`] that inference reads or may ignore.
const KNOWN_KEYS: &[&str] = &[
    "horizon",
    "drop_n_last_frames",
    "resize_shape",
    "crop_ratio",
    "crop_shape",
    "crop_is_random",
    "use_group_norm",
    "spatial_softmax_num_keypoints",
    "use_separate_rgb_encoder_per_camera",
    "down_dims",
    "kernel_size",
    "n_groups",
    "diffusion_step_embed_dim",
    "use_film_scale_modulation",
    "gradient_checkpointing",
    "noise_scheduler_type",
    "num_train_timesteps",
    "beta_schedule",
    "beta_start",
    "beta_end",
    "prediction_type",
    "clip_sample",
    "clip_sample_range",
    "num_inference_steps",
    "compile_mode",
    "do_mask_loss_for_padding",
    "optimizer_betas",
    "optimizer_eps",
    "scheduler_name",
    "scheduler_warmup_steps",
    Extension::KEY,
];

impl DiffusionConfig {
    /// Reads the root of `config.json`. Keys whose default changed between versions of LeRobot
    /// must be there.
    pub(super) fn read(root: &Node<'_>, mut warnings: Vec<String>) -> Result<Self, ConfigError> {
        config::warn_about_unknown_keys(root, KNOWN_KEYS, &mut warnings)?;
        let integer = |key: &str, default: usize, limit: usize| -> Result<usize, JsonError> {
            root.optional(key)?.map_or(Ok(default), |node| node.integer(1..=limit))
        };
        let stated = |key: &str, limit: usize| -> Result<usize, JsonError> {
            root.required(key, "a whole number")?.integer(1..=limit)
        };
        let boolean = |key: &str, default: bool| -> Result<bool, JsonError> {
            root.optional(key)?.map_or(Ok(default), |node| node.boolean())
        };
        if boolean("use_peft", false)? {
            let remedy = "merge the adapter into the weights before exporting";
            return Err(unsupported(root, "use_peft", "false", remedy));
        }
        if boolean("use_amp", false)? {
            warnings.push("config.json: use_amp is set; inference uses f32 throughout".to_owned());
        }
        let features = Features::read(root, "Diffusion Policy", &mut warnings)?;
        let extension = Extension::read(root, &features)?;
        let has_images = features.images().next().is_some();
        let stated_flag = |key: &str| -> Result<bool, JsonError> {
            let node = if has_images {
                Some(root.required(key, "true or false")?)
            } else {
                root.optional(key)?
            };
            node.map_or(Ok(false), |node| node.boolean())
        };
        let backbone = root.optional("vision_backbone")?.map_or(Ok("resnet18"), |n| n.string())?;
        let train_steps = integer("num_train_timesteps", 100, MAX_STEPS)?;
        let config = Self {
            features,
            history: integer("n_obs_steps", 2, MAX_HISTORY)?,
            horizon: stated("horizon", MAX_HORIZON)?,
            action_steps: stated("n_action_steps", MAX_HORIZON)?,
            backbone: backbone.to_owned(),
            geometry: geometry(root, has_images)?,
            group_norm: stated_flag("use_group_norm")?,
            keypoints: integer("spatial_softmax_num_keypoints", 32, MAX_WIDTH)?,
            separate_encoders: stated_flag("use_separate_rgb_encoder_per_camera")?,
            widths: widths(root)?,
            kernel: integer("kernel_size", 5, MAX_KERNEL)?,
            groups: integer("n_groups", 8, MAX_WIDTH)?,
            step_width: integer("diffusion_step_embed_dim", 128, MAX_WIDTH)?,
            scales: boolean("use_film_scale_modulation", true)?,
            scheduler: choice(root, "noise_scheduler_type", Scheduler::Ddpm, &Scheduler::ALL)?,
            betas: betas(root)?,
            prediction: choice(root, "prediction_type", Prediction::Noise, &Prediction::ALL)?,
            clip: clip(root)?,
            steps: root
                .optional("num_inference_steps")?
                .map_or(Ok(train_steps), |node| node.integer(1..=train_steps))?,
            train_steps,
            extension,
            warnings,
        };
        config.check(root)?;
        Ok(config)
    }

    /// What becomes of the images of each camera.
    pub(crate) fn image_plans(&self) -> Vec<ImagePlan> {
        self.extension.plans(&self.features, self.geometry)
    }

    /// Checks what concerns several keys at once.
    fn check(&self, root: &Node<'_>) -> Result<(), ConfigError> {
        let predicted = (self.horizon + 1).saturating_sub(self.history);
        if self.action_steps > predicted {
            let needed = format!("at most horizon - n_obs_steps + 1, which is {predicted}");
            let remedy = "no more actions lie in the future";
            return Err(unsupported(root, "n_action_steps", &needed, remedy));
        }
        let shrinks = 1 << self.widths.len();
        if !self.horizon.is_multiple_of(shrinks) {
            let needed = format!("a multiple of {shrinks}, as down_dims has {}", self.widths.len());
            return Err(unsupported(root, "horizon", &needed, "each level halves the actions"));
        }
        if let Some(width) = self.widths.iter().find(|width| !width.is_multiple_of(self.groups)) {
            let needed = format!("a divisor of every width in down_dims, {width} among them");
            let remedy = "each group gets an equal share of the channels";
            return Err(unsupported(root, "n_groups", &needed, remedy));
        }
        if self.kernel.is_multiple_of(2) {
            let remedy = "an even kernel changes the number of actions";
            return Err(unsupported(root, "kernel_size", "an odd number", remedy));
        }
        if !self.step_width.is_multiple_of(2) || self.step_width < 4 {
            let remedy = "half of it are sines, half are cosines";
            let key = "diffusion_step_embed_dim";
            return Err(unsupported(root, key, "an even number of 4 or more", remedy));
        }
        self.check_features(root)
    }

    fn check_features(&self, root: &Node<'_>) -> Result<(), ConfigError> {
        let inputs =
            |needed: &str, remedy| Err(unsupported(root, "input_features", needed, remedy));
        if self.features.vector_len(FeatureType::State).is_none() {
            let remedy = "Diffusion Policy is conditioned on it";
            return inputs("observation.state among the inputs", remedy);
        }
        let images = self.image_plans();
        let Some(first) = images.first() else {
            if self.features.vector_len(FeatureType::Environment).is_none() {
                let remedy = "Diffusion Policy cannot act on joint positions alone";
                return inputs("an image or observation.environment_state", remedy);
            }
            return Ok(());
        };
        if images.iter().any(|image| image.cropped() != first.cropped()) {
            let remedy = "Diffusion Policy stacks its cameras";
            return inputs("images of one shape", remedy);
        }
        if images.len() > MAX_CAMERAS {
            return inputs(&format!("at most {MAX_CAMERAS} images"), "leave cameras out");
        }
        if self.extension.backbone_per_camera {
            let remedy = "use_separate_rgb_encoder_per_camera says so here";
            return Err(unsupported(root, Extension::KEY, "no backbone_per_camera", remedy));
        }
        let MapSize { height, width } = first.cropped();
        if let Some(crop) = self.geometry.crop
            && (crop.height > height || crop.width > width)
        {
            let needed = format!("at most [{height}, {width}], the size of what is cropped");
            return Err(unsupported(root, "crop_shape", &needed, "a crop is a part of an image"));
        }
        if !self.backbone.starts_with("resnet") {
            let remedy = "Diffusion Policy in LeRobot uses ResNets";
            return Err(unsupported(root, "vision_backbone", "resnet...", remedy));
        }
        Ok(())
    }
}

/// A value of a few, by name.
fn choice<T: Copy + AsRef<str>>(
    root: &Node<'_>,
    key: &str,
    default: T,
    all: &[T],
) -> Result<T, JsonError> {
    let Some(node) = root.optional(key)? else { return Ok(default) };
    let name = node.string()?;
    all.iter().copied().find(|one| one.as_ref() == name).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
        node.refuse(names.join(" or "))
    })
}

fn widths(root: &Node<'_>) -> Result<Vec<usize>, JsonError> {
    let Some(node) = root.optional("down_dims")? else { return Ok(vec![512, 1024, 2048]) };
    let elements = node.elements()?;
    if !(1..=MAX_LEVELS).contains(&elements.len()) {
        return Err(node.refuse(format!("a list of 1 to {MAX_LEVELS} widths")));
    }
    elements.iter().map(|width| width.integer(1..=MAX_WIDTH)).collect()
}

fn betas(root: &Node<'_>) -> Result<BetaSchedule, JsonError> {
    let number = |key: &str, default: f64| -> Result<f64, JsonError> {
        let Some(node) = root.optional(key)? else { return Ok(default) };
        let value = node.number()?;
        if value > 0.0 && value < 1.0 {
            return Ok(value);
        }
        Err(node.refuse("a number above 0 and below 1"))
    };
    let (start, end) = (number("beta_start", 1e-4)?, number("beta_end", 0.02)?);
    let Some(node) = root.optional("beta_schedule")? else { return Ok(BetaSchedule::Cosine) };
    match node.string()? {
        "squaredcos_cap_v2" => Ok(BetaSchedule::Cosine),
        "linear" => Ok(BetaSchedule::Linear { start, end }),
        "scaled_linear" => Ok(BetaSchedule::ScaledLinear { start, end }),
        _ => Err(node.refuse("squaredcos_cap_v2, linear or scaled_linear")),
    }
}

fn clip(root: &Node<'_>) -> Result<Option<f32>, JsonError> {
    let clips = root.optional("clip_sample")?.map_or(Ok(true), |node| node.boolean())?;
    let Some(node) = root.optional("clip_sample_range")? else {
        return Ok(clips.then_some(1.0));
    };
    let range = node.number()? as f32;
    if range > 0.0 && range.is_finite() {
        return Ok(clips.then_some(range));
    }
    Err(node.refuse("a number above 0"))
}

/// Where images are resized, the crop follows from `crop_ratio`, and `crop_shape` is a result.
fn geometry(root: &Node<'_>, has_images: bool) -> Result<Geometry, ConfigError> {
    if has_images && root.members()?.iter().all(|(key, _)| *key != "crop_shape") {
        // Nothing, or [84, 84] before LeRobot 0.6.
        root.required("crop_shape", "[height, width] or null: LeRobot's default has changed")?;
    }
    let (resize, crop) = (map_size(root, "resize_shape")?, map_size(root, "crop_shape")?);
    let ratio = match root.optional("crop_ratio")? {
        Some(node) => {
            let ratio = node.number()?;
            if !(ratio > 0.0 && ratio <= 1.0) {
                return Err(node.refuse("a number above 0, at most 1").into());
            }
            ratio
        }
        None => 1.0,
    };
    let Some(resized) = resize else { return Ok(Geometry { resize, crop }) };
    let derived = (ratio < 1.0).then(|| {
        let part = |side: usize| (side as f64 * ratio) as usize;
        MapSize { height: part(resized.height), width: part(resized.width) }
    });
    if derived.is_some_and(|size| size.height == 0 || size.width == 0) {
        let remedy = "the crop would be empty";
        return Err(unsupported(root, "crop_ratio", "a larger number", remedy));
    }
    if crop.is_some() && crop != derived {
        let needed = match derived {
            Some(MapSize { height, width }) => format!("[{height}, {width}]"),
            None => "null".to_owned(),
        };
        let remedy = "resize_shape and crop_ratio decide it, as in LeRobot";
        return Err(unsupported(root, "crop_shape", &needed, remedy));
    }
    Ok(Geometry { resize, crop: derived })
}
