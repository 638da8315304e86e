//! Checkpoints of the original ACT programs, converted to LeRobot's layout.
//!
//! [tonyzhaozh/act](https://github.com/tonyzhaozh/act) and
//! [MarkFzp/act-plus-plus](https://github.com/MarkFzp/act-plus-plus) with its forks save a state
//! dict (`policy_best.ckpt`) and the statistics of the data (`dataset_stats.pkl`). Sizes come from
//! the shapes of the tensors. What no tensor says, the caller must: the number of attention heads,
//! names and image sizes of the cameras, and the order of their colours.
//!
//! * Of the decoder only the first layer counts: the originals take the normalised output of layer 0
//!   and never train the others. They are left out.
//! * The images of all cameras are one wide image there, and a sequence here. Positions belong to
//!   pixels of one camera in both, and attention has no order, so that is the same.
//! * act has one backbone for all cameras, as LeRobot. act-plus-plus has one for each; where they
//!   differ, the configuration says so in a key of its own (`"sinew": {"backbone_per_camera": true}`,
//!   tensors `model.backbones.0.*` and so on), and LeRobot refuses it.
//! * Some checkpoints end an action with what no joint takes: act-plus-plus with the velocities of a
//!   base, the one-arm fork with a column of zeros. They can be cut off; the variational encoder,
//!   which read them in training, then goes as well.
//! * The baseline CNNMLP has a layout of its own (`"type": "cnnmlp"`): LeRobot has no such policy.
//! * The Diffusion policy of act-plus-plus keeps the sign of its image features and crops before it
//!   resizes: the key `sinew` says so, and LeRobot refuses it.
//! * The originals feed real recordings as OpenCV delivers them, blue first, but normalise as if red
//!   came first. `"sinew": {"colors": "bgr"}` does the same.

mod cnnmlp;
mod diffusion;
mod error;
mod folder;
mod names;
mod state_dict;
mod statistics;

pub use error::ConvertError;

use crate::lerobot::{Colors, ImageWeights, RESIDUAL_ATTENTION, Rectangle};
use folder::{Content, Scalings};
use names::Sizes;
use serde_json::{Value, json};
use state_dict::StateDict;
use statistics::Statistics;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Name of the checkpoint that the originals evaluate.
const CHECKPOINT: &str = "policy_best.ckpt";
/// Name of the statistics beside it.
const STATISTICS: &str = "dataset_stats.pkl";
/// Heads of every published training.
const DEFAULT_HEADS: usize = 8;

/// A camera: the checkpoint knows neither its name nor the size of its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Name; the feature is `observation.images.NAME`.
    pub name: String,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl FromStr for Camera {
    type Err = ConvertError;

    /// Reads `NAME=HEIGHTxWIDTH`.
    fn from_str(text: &str) -> Result<Self, ConvertError> {
        let parsed = || {
            let (name, size) = text.split_once('=')?;
            let (height, width) = size.split_once('x')?;
            let is_known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let name = Some(name).filter(|name| !name.is_empty() && name.chars().all(is_known))?;
            let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side));
            Some(Self { name: name.to_owned(), height: side(height)?, width: side(width)? })
        };
        parsed().ok_or_else(|| ConvertError::Camera { camera: text.to_owned() })
    }
}

/// What to convert, and what the checkpoint does not say.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The checkpoint, or the folder that holds `policy_best.ckpt`.
    pub from: PathBuf,
    /// The statistics; `dataset_stats.pkl` beside the checkpoint if `None`.
    pub statistics: Option<PathBuf>,
    /// Cameras in the order of the training.
    pub cameras: Vec<Camera>,
    /// Attention heads; 8 if `None`.
    pub heads: Option<usize>,
    /// Order of the colours that it was trained with.
    pub colors: Colors,
    /// Name under which the robot side delivers joint positions, if not `observation.state`.
    pub qpos: Option<String>,
    /// Actions to keep, from the front; all if `None`.
    pub actions: Option<usize>,
    /// Actions in a chunk, where the policy is a Diffusion policy.
    pub chunk: Option<usize>,
}

/// Converts a checkpoint into the new folder `out`, and reads the result once. Returns what is worth
/// knowing about it.
///
/// # Errors
/// [`ConvertError`], naming file and tensor; `out` is then as it was. A folder that is not empty is
/// refused.
pub fn convert(conversion: &Conversion, out: &Path) -> Result<Vec<String>, ConvertError> {
    folder::refuse_existing(out)?;
    let file = if conversion.from.is_dir() {
        let file = conversion.from.join(CHECKPOINT);
        if !file.exists() {
            return Err(ConvertError::NoCheckpoint { folder: conversion.from.clone() });
        }
        file
    } else {
        conversion.from.clone()
    };
    let beside = || file.with_file_name(STATISTICS);
    let statistics = conversion.statistics.clone().unwrap_or_else(beside);

    let bytes = crate::pickle::read_file(&file)?;
    let document = state_dict::read(&file, &bytes)?;
    if let Some(found) = StateDict::of_diffusion(&file, &document) {
        let (mut tensors, averaged) = found?;
        let (content, notes) = diffusion::convert(conversion, &statistics, &mut tensors, averaged)?;
        folder::write(out, &file, &content)?;
        return Ok(notes);
    }
    let mut tensors = StateDict::new(&file, &document)?;
    if conversion.chunk.is_some() {
        let (kind, option) = ("regression", "chunk to name: its tensors say how long it is");
        return Err(ConvertError::NoPlace { file, kind, option });
    }
    let (content, notes) = if cnnmlp::is_one(&tensors) {
        cnnmlp::convert(conversion, &statistics, &mut tensors)?
    } else {
        convert_act(conversion, &statistics, &mut tensors)?
    };
    folder::write(out, &file, &content)?;
    Ok(notes)
}

/// An ACT policy.
fn convert_act<'c>(
    conversion: &'c Conversion,
    statistics: &Path,
    tensors: &mut StateDict<'_>,
) -> Result<(Content<'c>, Vec<String>), ConvertError> {
    let mut sizes = Sizes::of(tensors)?;
    let file = tensors.file().to_path_buf();
    check_options(conversion, &file, &sizes)?;
    let mut notes = notes(conversion, &sizes);
    let shared = sizes.backbones == 1 || tensors.same_backbones(sizes.backbones);
    if shared && sizes.backbones > 1 {
        notes.push(format!("its {} backbones are the same; one is written", sizes.backbones));
    }
    let image_weights = image_weights(conversion, &sizes, &mut notes);
    let extension = extension(conversion, shared, image_weights);
    if sizes.backbone == RESIDUAL_ATTENTION {
        notes.push(format!(
            "LeRobot cannot load the result: it has no backbone {RESIDUAL_ATTENTION}"
        ));
    } else if extension.is_some() {
        notes.push("LeRobot cannot load the result: config.json needs the key sinew".to_owned());
    }
    let mut weights = names::rename(tensors, &sizes, shared)?;
    let mut statistics = Statistics::read(statistics, sizes.state, sizes.action)?;
    if let Some(kept) = conversion.actions.filter(|kept| *kept < sizes.action) {
        names::keep_actions(&mut weights, &sizes, kept);
        statistics.action.iter_mut().for_each(|values| values.truncate(kept));
        notes.push(format!(
            "the last {} of {} actions are cut off, and the variational encoder of the training",
            sizes.action - kept,
            sizes.action
        ));
        (sizes.action, sizes.vae_layers) = (kept, 0);
    }
    let network = sizes.config(conversion.heads.unwrap_or(DEFAULT_HEADS));
    let (state, action) = (sizes.state, sizes.action);
    let scalings = Scalings::MeanStd;
    let content =
        Content { conversion, state, action, network, extension, statistics, scalings, weights };
    Ok((content, notes))
}

fn check_options(conversion: &Conversion, file: &Path, sizes: &Sizes) -> Result<(), ConvertError> {
    let cameras = conversion.cameras.len();
    let fits = if sizes.backbones == 1 { cameras > 0 } else { cameras == sizes.backbones };
    if !fits {
        let needed = if sizes.backbones == 1 {
            "at least one".to_owned()
        } else {
            sizes.backbones.to_string()
        };
        return Err(ConvertError::Cameras {
            file: file.to_path_buf(),
            backbones: sizes.backbones,
            cameras,
            needed,
        });
    }
    check_names(conversion)?;
    let heads = conversion.heads.unwrap_or(DEFAULT_HEADS);
    if heads == 0 || !sizes.width.is_multiple_of(heads) {
        let (file, width) = (file.to_path_buf(), sizes.width);
        return Err(ConvertError::Heads { file, heads, width });
    }
    check_actions(conversion, file, sizes.action)
}

/// Size of the images, rectangle and weights that the one-arm fork has in the code of its residual
/// attention backbone.
const WEIGHED: (usize, usize) = (480, 640);
const WEIGHTS: ImageWeights = ImageWeights { inside: 1.5, outside: 0.5, rectangle: RECTANGLE };
const RECTANGLE: Rectangle = Rectangle { left: 230, top: 350, right: 412, bottom: 400 };

/// The weights of pixels that no tensor tells of.
fn image_weights(
    conversion: &Conversion,
    sizes: &Sizes,
    notes: &mut Vec<String>,
) -> Option<ImageWeights> {
    if sizes.backbone != RESIDUAL_ATTENTION {
        return None;
    }
    let weighed = conversion.cameras.iter().all(|camera| (camera.height, camera.width) == WEIGHED);
    let ImageWeights { inside, outside, .. } = WEIGHTS;
    let Rectangle { left, top, right, bottom } = RECTANGLE;
    notes.push(if weighed {
        format!(
            "its images are multiplied by {inside} from ({left}, {top}) to ({right}, {bottom}) and by {outside} elsewhere, as the code of the one-arm fork does; where a training did not, remove sinew.image_weights from config.json"
        )
    } else {
        "its images are not weighed: the one-arm fork does so at 640 x 480 only".to_owned()
    });
    weighed.then_some(WEIGHTS)
}

/// What goes beyond LeRobot, if anything does.
fn extension(
    conversion: &Conversion,
    shared: bool,
    image_weights: Option<ImageWeights>,
) -> Option<Value> {
    let colors = conversion.colors;
    if shared && colors == Colors::Rgb && image_weights.is_none() {
        return None;
    }
    let mut extension = json!({ "backbone_per_camera": !shared, "colors": colors });
    if let Some(weights) = image_weights {
        extension["image_weights"] = json!(weights);
    }
    Some(extension)
}

/// Refuses cameras that share a name.
fn check_names(conversion: &Conversion) -> Result<(), ConvertError> {
    let cameras = &conversion.cameras;
    for (index, camera) in cameras.iter().enumerate() {
        if cameras[..index].iter().any(|other| other.name == camera.name) {
            return Err(ConvertError::CameraTwice { camera: camera.name.clone() });
        }
    }
    Ok(())
}

/// Refuses to keep more actions than there are, or none.
fn check_actions(conversion: &Conversion, file: &Path, actions: usize) -> Result<(), ConvertError> {
    let kept = conversion.actions.unwrap_or(actions);
    if kept == 0 || kept > actions {
        return Err(ConvertError::Actions { file: file.to_path_buf(), kept, actions });
    }
    Ok(())
}

fn notes(conversion: &Conversion, sizes: &Sizes) -> Vec<String> {
    let mut notes = Vec::new();
    if sizes.decoder_layers > 1 {
        notes.push(format!(
            "of {} decoder layers only the first counts, as in the original program; the others are left out",
            sizes.decoder_layers
        ));
    }
    if conversion.heads.is_none() {
        notes.push(format!("{DEFAULT_HEADS} attention heads are assumed: no tensor says how many"));
    }
    if conversion.actions.unwrap_or(sizes.action) > sizes.state {
        notes.push(format!(
            "{} actions for {} positions: act-plus-plus appends the velocities of a base, the one-arm fork a column of zeros; keep as many as there are joints with --actions",
            sizes.action, sizes.state
        ));
    }
    notes
}

/// Statistics for as many joint positions and actions, as tests of other modules read them.
#[cfg(test)]
pub(crate) fn test_statistics(
    file: &Path,
    [state, action]: [usize; 2],
) -> Result<(), ConvertError> {
    Statistics::read(file, state, action)?;
    Statistics::read_range(file, state, action).map(drop)
}
