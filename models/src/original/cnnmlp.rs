//! The CNNMLP baseline of the originals.

use super::folder::{Content, Scalings};
use super::names::{self, Weight};
use super::state_dict::{StateDict, unsupported};
use super::statistics::Statistics;
use super::{Conversion, ConvertError, check_actions, check_names};
use crate::lerobot::RESIDUAL_ATTENTION;
use serde_json::json;
use std::path::Path;

/// Linear layers of the original; activations take every second place.
const LAYERS: [usize; 3] = [0, 2, 4];
/// Its convolutions after each backbone.
const CONVOLUTIONS: usize = 3;

/// Whether a checkpoint is one.
pub(super) fn is_one(tensors: &StateDict<'_>) -> bool {
    tensors.shape("model.mlp.0.weight").is_some()
}

/// Takes all tensors under the names of our layout, which are the original's but for the
/// backbones.
pub(super) fn convert<'c>(
    conversion: &'c Conversion,
    statistics: &Path,
    tensors: &mut StateDict<'_>,
) -> Result<(Content<'c>, Vec<String>), ConvertError> {
    let file = tensors.file().to_path_buf();
    let (backbones, cameras) = (names::count_backbones(tensors), conversion.cameras.len());
    let backbone = names::backbone(tensors)?;
    if backbone == RESIDUAL_ATTENTION {
        let tensor = "model.backbones.0.0.body.conv1.0.weight";
        let what =
            "a residual attention network, of which the one-arm fork takes the first map here";
        let remedy = "train CNNMLP with a ResNet";
        return Err(unsupported(&file, tensor, what, remedy));
    }
    if cameras != backbones {
        let needed = backbones.to_string();
        return Err(ConvertError::Cameras { file, backbones, cameras, needed });
    }
    check_names(conversion)?;
    if conversion.heads.is_some() {
        let (kind, option) = ("CNNMLP", "attention heads");
        return Err(ConvertError::NoPlace { file, kind, option });
    }
    // Reaches no output, but says how many joint positions the others were made for.
    let [state, _] = tensors.sizes("model.action_head.weight")?;
    tensors.expect(|name| name.starts_with("model.action_head."));
    let last = format!("model.mlp.{}", LAYERS[LAYERS.len() - 1]);
    let [action, _] = tensors.sizes(&format!("{last}.weight"))?;
    check_actions(conversion, &file, action)?;

    let mut notes = vec!["one action for each observation, and no chunks".to_owned()];
    let shared = backbones == 1 || tensors.same_backbones(backbones);
    if shared && backbones > 1 {
        notes.push(format!("its {backbones} backbones are the same; one is written"));
    }
    let mut weights = Vec::new();
    names::take_backbones(tensors, backbones, shared, &mut weights)?;
    let projections = (0..backbones).flat_map(|camera| {
        (0..CONVOLUTIONS).map(move |index| format!("model.backbone_down_projs.{camera}.{index}"))
    });
    let layers = LAYERS.iter().map(|index| format!("model.mlp.{index}"));
    for layer in projections.chain(layers) {
        for part in ["weight", "bias"] {
            let name = format!("{layer}.{part}");
            let shape = tensors.shape(&name).ok_or_else(|| tensors.missing(&name))?.to_vec();
            let values = tensors.take_any_shape(&name)?;
            weights.push(Weight { name, shape, values });
        }
    }
    tensors.finish()?;
    let mut statistics = Statistics::read(statistics, state, action)?;
    let kept = conversion.actions.unwrap_or(action);
    if kept < action {
        let dropped = action - kept;
        notes.push(format!("the last {dropped} of {action} actions are cut off"));
        for weight in weights.iter_mut().filter(|weight| weight.name.starts_with(&last)) {
            weight.values.truncate(weight.values.len() / action * kept);
            weight.shape[0] = kept;
        }
        statistics.action.iter_mut().for_each(|values| values.truncate(kept));
    }
    let extension = super::extension(conversion, shared, None);
    let network = json!({ "type": "cnnmlp", "vision_backbone": backbone });
    let content = Content {
        conversion,
        state,
        action: kept,
        network,
        extension,
        statistics,
        scalings: Scalings::MeanStd,
        weights,
    };
    Ok((content, notes))
}
