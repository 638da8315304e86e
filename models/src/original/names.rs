//! The tensors of the originals, and their names in LeRobot.

use super::ConvertError;
use super::state_dict::{StateDict, unsupported};
use crate::lerobot::RESIDUAL_ATTENTION;
use serde_json::{Value, json};

/// Layers or backbones that are looked for.
const MAX_COUNT: usize = 256;
/// Stem of the residual attention network.
const ATTENTION_STEM: &str = "conv1.0";
/// Blocks in the stages of the ResNets that have basic blocks.
const RESNETS: [(&str, [usize; 4]); 2] = [("resnet18", [2, 2, 2, 2]), ("resnet34", [3, 4, 6, 3])];

/// A tensor under its name in LeRobot.
pub(super) struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Sizes of a network, as the shapes of its tensors show them.
pub(super) struct Sizes {
    pub width: usize,
    pub feed_forward: usize,
    pub chunk: usize,
    pub state: usize,
    pub action: usize,
    pub latent: usize,
    pub encoder_layers: usize,
    /// All layers that are there; the first one counts.
    pub decoder_layers: usize,
    /// Layers of the variational encoder; 0 if it was trained without.
    pub vae_layers: usize,
    pub backbones: usize,
    /// Channels of their last feature map.
    pub image_width: usize,
    /// torchvision's name of the backbone.
    pub backbone: &'static str,
}

impl Sizes {
    /// Reads the sizes and refuses kinds of policies that cannot be converted.
    pub(super) fn of(tensors: &StateDict<'_>) -> Result<Self, ConvertError> {
        refuse_other_kinds(tensors)?;
        let [chunk, width] = tensors.sizes("model.query_embed.weight")?;
        let [feed_forward, _] =
            tensors.sizes("model.transformer.encoder.layers.0.linear1.weight")?;
        let [_, state] = tensors.sizes("model.input_proj_robot_state.weight")?;
        let [_, image_width, _, _] = tensors.sizes("model.input_proj.weight")?;
        let [action, _] = tensors.sizes("model.action_head.weight")?;
        let [_, latent] = tensors.sizes("model.latent_out_proj.weight")?;
        let [latent_outputs, _] = tensors.sizes("model.latent_proj.weight")?;
        if latent_outputs == latent {
            // Mean and variance would be twice as many.
            let what = "a VQ-ACT policy: its latent input is a code, not a Gaussian";
            let tensor = "model.latent_proj.weight";
            return Err(unsupported(tensors.file(), tensor, what, NO_VQ));
        }
        let count = |name: &dyn Fn(usize) -> String| {
            (0..MAX_COUNT).take_while(|index| tensors.shape(&name(*index)).is_some()).count()
        };
        let layers =
            |stack: &str| count(&|index| format!("model.{stack}.layers.{index}.linear1.weight"));
        Ok(Self {
            width,
            feed_forward,
            chunk,
            state,
            action,
            latent,
            encoder_layers: layers("transformer.encoder"),
            decoder_layers: layers("transformer.decoder"),
            vae_layers: layers("encoder"),
            backbones: count_backbones(tensors),
            image_width,
            backbone: backbone(tensors)?,
        })
    }

    /// All keys that LeRobot 0.6.1 writes but those of the features. What concerns training alone is
    /// the originals' default.
    pub(super) fn config(&self, heads: usize) -> Value {
        json!({
            "type": "act",
            "n_obs_steps": 1,
            // The folder fills them in; here is their place.
            "input_features": null,
            "output_features": null,
            "device": "cpu",
            "use_amp": false,
            "use_peft": false,
            "push_to_hub": false,
            "repo_id": null,
            "private": null,
            "tags": null,
            "license": null,
            "pretrained_path": null,
            "pretrained_revision": null,
            "chunk_size": self.chunk,
            "n_action_steps": self.chunk,
            "normalization_mapping": null,
            "vision_backbone": self.backbone,
            "pretrained_backbone_weights": null,
            "replace_final_stride_with_dilation": false,
            "pre_norm": false,
            "dim_model": self.width,
            "n_heads": heads,
            "dim_feedforward": self.feed_forward,
            "feedforward_activation": "relu",
            "n_encoder_layers": self.encoder_layers,
            "n_decoder_layers": 1,
            "use_vae": self.vae_layers > 0,
            "latent_dim": self.latent,
            "n_vae_encoder_layers": self.vae_layers.max(1),
            "temporal_ensemble_coeff": null,
            "dropout": 0.1,
            "kl_weight": 10.0,
            "optimizer_lr": 1e-5,
            "optimizer_weight_decay": 1e-4,
            "optimizer_lr_backbone": 1e-5,
        })
    }
}

/// Why codes cannot be had.
const NO_VQ: &str = "it needs a second network that predicts the code, which the checkpoint does not hold; train without --use_vq";

fn refuse_other_kinds(tensors: &StateDict<'_>) -> Result<(), ConvertError> {
    let refuse = |name: &str, what, remedy| Err(unsupported(tensors.file(), name, what, remedy));
    for name in tensors.names() {
        if name.contains("vq") || name.contains("latent_model") {
            return refuse(name, "a VQ-ACT policy", NO_VQ);
        }
        if name.starts_with("model.transformer.encoder.norm.") {
            let remedy = "no published training does that, so nothing could be compared with";
            return refuse(name, "layers that normalise before each block", remedy);
        }
        if name.contains(".1.row_embed.") || name.contains(".1.col_embed.") {
            let remedy = "LeRobot has only the computed ones: train with position_embedding sine";
            return refuse(name, "learned image positions", remedy);
        }
        if name.starts_with("model.input_proj_env_state.") {
            let remedy = "only policies with cameras are converted";
            return refuse(name, "a policy without cameras", remedy);
        }
    }
    Ok(())
}

/// Number of backbones.
pub(super) fn count_backbones(tensors: &StateDict<'_>) -> usize {
    let stem = |index: usize, name| format!("model.backbones.{index}.0.body.{name}.weight");
    let is_there = |index: &usize| {
        ["conv1", ATTENTION_STEM].iter().any(|name| tensors.shape(&stem(*index, name)).is_some())
    };
    (0..MAX_COUNT).take_while(is_there).count()
}

/// The name of the backbone by its blocks.
pub(super) fn backbone(tensors: &StateDict<'_>) -> Result<&'static str, ConvertError> {
    let body = "model.backbones.0.0.body";
    if tensors.shape(&format!("{body}.{ATTENTION_STEM}.weight")).is_some() {
        return Ok(RESIDUAL_ATTENTION);
    }
    tensors.sizes::<4>(&format!("{body}.conv1.weight"))?;
    let deep = format!("{body}.layer1.0.conv3.weight");
    let remedy = "only basic blocks are implemented: train with resnet18 or resnet34";
    if tensors.shape(&deep).is_some() {
        let what = "a bottleneck block, as in ResNet-50 and deeper";
        return Err(unsupported(tensors.file(), &deep, what, remedy));
    }
    let blocks = [1, 2, 3, 4].map(|stage| {
        let conv1 = |block: &usize| format!("{body}.layer{stage}.{block}.conv1.weight");
        (0..MAX_COUNT).take_while(|block| tensors.shape(&conv1(block)).is_some()).count()
    });
    let found = RESNETS.iter().find(|(_, known)| *known == blocks);
    let what = "a ResNet with other numbers of blocks";
    found.map(|(name, _)| *name).ok_or_else(|| unsupported(tensors.file(), body, what, remedy))
}

/// Takes all tensors under LeRobot's names. `shared`: of the backbones only the first, for all
/// cameras.
pub(super) fn rename(
    tensors: &mut StateDict<'_>,
    sizes: &Sizes,
    shared: bool,
) -> Result<Vec<Weight>, ConvertError> {
    let mut weights = Vec::new();
    for (from, name, shape) in table(sizes) {
        let values = tensors.take(&from, &shape)?;
        weights.push(Weight { name, shape, values });
    }
    take_backbones(tensors, sizes.backbones, shared, &mut weights)?;
    // Layers that reach no output, and a head that is never trained.
    tensors.expect(|name| {
        let rest = name.strip_prefix("model.transformer.decoder.layers.");
        let layer = rest.and_then(|rest| rest.split_once('.')?.0.parse::<usize>().ok());
        layer.is_some_and(|layer| (1..sizes.decoder_layers).contains(&layer))
            || name.starts_with("model.is_pad_head.")
    });
    if sizes.vae_layers == 0 {
        // Trained with --no_encoder: these are there, but nothing leads to them.
        let parts = ["pos_table", "cls_embed.", "encoder_action_proj.", "encoder_joint_proj."];
        tensors.expect(|name| {
            let part = name.strip_prefix("model.").unwrap_or(name);
            part.starts_with("latent_proj.") || parts.iter().any(|p| part.starts_with(p))
        });
    }
    tensors.finish()?;
    Ok(weights)
}

/// Takes all `count` backbones under LeRobot's names, or the first for all cameras if it is `shared`.
pub(super) fn take_backbones(
    tensors: &mut StateDict<'_>,
    count: usize,
    shared: bool,
    weights: &mut Vec<Weight>,
) -> Result<(), ConvertError> {
    for index in 0..count {
        let body = format!("model.backbones.{index}.0.body.");
        if shared && index > 0 {
            tensors.expect(|name| name.starts_with(&body));
            continue;
        }
        let names: Vec<&str> = tensors.names().filter(|name| name.starts_with(&body)).collect();
        for from in names {
            let part = &from[body.len()..];
            let name = if shared {
                format!("model.backbone.{part}")
            } else {
                format!("model.backbones.{index}.{part}")
            };
            let shape = tensors.shape(from).unwrap_or_default().to_vec();
            let values = tensors.take_any_shape(from)?;
            weights.push(Weight { name, shape, values });
        }
    }
    Ok(())
}

/// Cuts off all actions but the first `kept`, and what only training needs of the others.
pub(super) fn keep_actions(weights: &mut Vec<Weight>, sizes: &Sizes, kept: usize) {
    weights.retain(|weight| !weight.name.starts_with("model.vae_encoder"));
    for weight in weights.iter_mut().filter(|weight| weight.name.starts_with("model.action_head."))
    {
        let row = weight.values.len() / sizes.action;
        weight.values.truncate(kept * row);
        weight.shape[0] = kept;
    }
}

/// Name in the original, name in LeRobot and shape of everything except the backbones.
fn table(sizes: &Sizes) -> Vec<(String, String, Vec<usize>)> {
    let Sizes { width, chunk, state, action, latent, .. } = *sizes;
    let mut table = Vec::new();
    let mut add = |from: &str, to: &str, shape: &[usize]| {
        table.push((format!("model.{from}"), format!("model.{to}"), shape.to_vec()));
    };
    let mut linear = |from: &str, to: &str, shape: &[usize]| {
        add(&format!("{from}.weight"), &format!("{to}.weight"), shape);
        add(&format!("{from}.bias"), &format!("{to}.bias"), &shape[..1]);
    };
    linear("input_proj", "encoder_img_feat_input_proj", &[width, sizes.image_width, 1, 1]);
    linear("input_proj_robot_state", "encoder_robot_state_input_proj", &[width, state]);
    linear("latent_out_proj", "encoder_latent_input_proj", &[width, latent]);
    linear("action_head", "action_head", &[action, width]);
    linear("transformer.decoder.norm", "decoder.norm", &[width]);
    if sizes.vae_layers > 0 {
        linear("encoder_action_proj", "vae_encoder_action_input_proj", &[width, action]);
        linear("encoder_joint_proj", "vae_encoder_robot_state_input_proj", &[width, state]);
        linear("latent_proj", "vae_encoder_latent_output_proj", &[2 * latent, width]);
    }
    let mut stack = |from: &str, to: &str, count: usize, is_decoder: bool| {
        for index in 0..count {
            let layer = |stack: &str, part: &str| format!("{stack}.layers.{index}.{part}");
            let inner = sizes.feed_forward;
            let mut linear =
                |part: &str, shape: &[usize]| linear(&layer(from, part), &layer(to, part), shape);
            linear("linear1", &[inner, width]);
            linear("linear2", &[width, inner]);
            let (norms, attentions): (&[&str], &[&str]) = if is_decoder {
                (&["norm1", "norm2", "norm3"], &["self_attn", "multihead_attn"])
            } else {
                (&["norm1", "norm2"], &["self_attn"])
            };
            norms.iter().for_each(|norm| linear(norm, &[width]));
            for attention in attentions {
                linear(&format!("{attention}.out_proj"), &[width, width]);
            }
        }
    };
    stack("transformer.encoder", "encoder", sizes.encoder_layers, false);
    stack("transformer.decoder", "decoder", 1, true);
    stack("encoder", "vae_encoder", sizes.vae_layers, false);
    let mut attention = |from: &str, to: &str| {
        for (part, shape) in [("weight", &[3 * width, width][..]), ("bias", &[3 * width])] {
            add(&format!("{from}.in_proj_{part}"), &format!("{to}.in_proj_{part}"), shape);
        }
    };
    for index in 0..sizes.encoder_layers {
        let layer = format!("encoder.layers.{index}.self_attn");
        attention(&format!("transformer.{layer}"), &layer);
    }
    for index in 0..sizes.vae_layers {
        let layer = format!("encoder.layers.{index}.self_attn");
        attention(&layer, &format!("vae_{layer}"));
    }
    for part in ["self_attn", "multihead_attn"] {
        let layer = format!("decoder.layers.0.{part}");
        attention(&format!("transformer.{layer}"), &layer);
    }
    add("query_embed.weight", "decoder_pos_embed.weight", &[chunk, width]);
    add("additional_pos_embed.weight", "encoder_1d_feature_pos_embed.weight", &[2, width]);
    if sizes.vae_layers > 0 {
        add("cls_embed.weight", "vae_encoder_cls_embed.weight", &[1, width]);
        add("pos_table", "vae_encoder_pos_enc", &[1, chunk + 2, width]);
    }
    table
}
