//! The folder of a converted checkpoint, in the layout of LeRobot 0.4 and later.

use super::names::Weight;
use super::statistics::Statistics;
use super::{Conversion, ConvertError};
use crate::lerobot::Extension;
use crate::policy::LoadOptions;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// torchvision's ImageNet mean and standard deviation, which the originals hold fixed.
const IMAGE_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGE_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// State files, by LeRobot's rule: file of the processor, index and name of the step.
const INPUT_STATE: &str = "policy_preprocessor_step_3_normalizer_processor.safetensors";
const OUTPUT_STATE: &str = "policy_postprocessor_step_0_unnormalizer_processor.safetensors";

/// What a folder is made of.
pub(super) struct Content<'c> {
    pub conversion: &'c Conversion,
    /// Joint positions.
    pub state: usize,
    /// Values of an action.
    pub action: usize,
    /// `config.json` without features, normalisation and extension.
    pub network: Value,
    /// What goes beyond LeRobot, if anything does.
    pub extension: Option<Value>,
    pub statistics: Statistics,
    pub scalings: Scalings,
    pub weights: Vec<Weight>,
}

/// How inputs and actions are normalised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalings {
    /// All by mean and standard deviation, images by ImageNet's.
    MeanStd,
    /// Joint positions by mean and standard deviation, actions by their range, images not at all.
    Range,
}

/// Refuses an output that exists, unless it is an empty folder.
pub(super) fn refuse_existing(out: &Path) -> Result<(), ConvertError> {
    let taken = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if taken { Err(ConvertError::Exists { folder: out.to_path_buf() }) } else { Ok(()) }
}

/// Writes the folder beside `out`, reads it as a policy, and gives it its name. `from` is the
/// checkpoint.
pub(super) fn write(out: &Path, from: &Path, content: &Content<'_>) -> Result<(), ConvertError> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let staging = out.with_file_name(format!(".{name}.partial-{}", std::process::id()));
    let written = write_checked(&staging, from, content).and_then(|()| {
        if out.exists() {
            fs::remove_dir(out).map_err(at(out))?;
        }
        fs::rename(&staging, out).map_err(at(out))
    });
    if written.is_err() {
        // What is left of it is of no use, and the error that matters is the first.
        let _ = fs::remove_dir_all(&staging);
    }
    written
}

fn at(file: &Path) -> impl FnOnce(std::io::Error) -> ConvertError {
    let file = file.to_path_buf();
    move |source| ConvertError::Write { file, source }
}

fn write_checked(folder: &Path, from: &Path, content: &Content<'_>) -> Result<(), ConvertError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let json = |name: &str, value: &Value| {
        let file = folder.join(name);
        let text = format!("{value:#}\n");
        fs::write(&file, text).map_err(at(&file))
    };
    json("config.json", &config(content))?;
    json("policy_preprocessor.json", &preprocessor(content))?;
    json("policy_postprocessor.json", &postprocessor(content))?;
    let state = state(content);
    tensors(folder.join(INPUT_STATE), &state)?;
    tensors(folder.join(OUTPUT_STATE), &state)?;
    tensors(folder.join("model.safetensors"), &content.weights)?;
    let unusable =
        |source| ConvertError::Unusable { file: from.to_path_buf(), source: Box::new(source) };
    crate::load(folder, &LoadOptions::default()).map(drop).map_err(unusable)
}

fn tensors(file: PathBuf, weights: &[Weight]) -> Result<(), ConvertError> {
    let bytes =
        |weight: &Weight| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let data: Vec<Vec<u8>> = weights.iter().map(bytes).collect();
    let layout = |source| ConvertError::Layout { file: file.clone(), source };
    let mut views = Vec::new();
    for (weight, data) in weights.iter().zip(&data) {
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), data).map_err(layout)?;
        views.push((weight.name.as_str(), view));
    }
    let bytes = safetensors::serialize(views, None).map_err(layout)?;
    fs::write(&file, bytes).map_err(at(&file))
}

/// `{"type": ..., "shape": ...}` of every input.
fn inputs(content: &Content<'_>) -> Map<String, Value> {
    let state = json!({ "type": "STATE", "shape": [content.state] });
    let mut inputs = Map::from_iter([("observation.state".to_owned(), state)]);
    for camera in &content.conversion.cameras {
        let image = json!({ "type": "VISUAL", "shape": [3, camera.height, camera.width] });
        inputs.insert(format!("observation.images.{}", camera.name), image);
    }
    inputs
}

fn action(content: &Content<'_>) -> Value {
    json!({ "type": "ACTION", "shape": [content.action] })
}

fn modes(content: &Content<'_>) -> Value {
    let (visual, action) = match content.scalings {
        Scalings::MeanStd => ("MEAN_STD", "MEAN_STD"),
        Scalings::Range => ("IDENTITY", "MIN_MAX"),
    };
    json!({ "VISUAL": visual, "STATE": "MEAN_STD", "ACTION": action })
}

/// `config.json`: what the architecture says, and what all have.
fn config(content: &Content<'_>) -> Value {
    let Content { extension, .. } = content;
    let mut config = content.network.clone();
    config["input_features"] = json!(inputs(content));
    config["output_features"] = json!({ "action": action(content) });
    config["normalization_mapping"] = modes(content);
    if let Some(extension) = extension {
        config[Extension::KEY] = extension.clone();
    }
    config
}

/// The originals divide by the standard deviation alone.
fn normalizer(content: &Content<'_>, features: Map<String, Value>) -> Value {
    json!({ "eps": 0.0, "features": features, "norm_map": modes(content) })
}

fn device() -> Value {
    let config = json!({ "device": "cpu", "float_dtype": null });
    json!({ "registry_name": "device_processor", "config": config })
}

fn preprocessor(content: &Content<'_>) -> Value {
    let renamed = content.conversion.qpos.iter().filter(|name| *name != "observation.state");
    let renamed: Map<String, Value> =
        renamed.map(|name| (name.clone(), json!("observation.state"))).collect();
    let mut features = inputs(content);
    features.insert("action".to_owned(), action(content));
    json!({
        "name": "policy_preprocessor",
        "steps": [
            {
                "registry_name": "rename_observations_processor",
                "config": { "rename_map": renamed },
            },
            { "registry_name": "to_batch_processor", "config": {} },
            device(),
            {
                "registry_name": "normalizer_processor",
                "config": normalizer(content, features),
                "state_file": INPUT_STATE,
            },
        ],
    })
}

fn postprocessor(content: &Content<'_>) -> Value {
    let features = Map::from_iter([("action".to_owned(), action(content))]);
    json!({
        "name": "policy_postprocessor",
        "steps": [
            {
                "registry_name": "unnormalizer_processor",
                "config": normalizer(content, features),
                "state_file": OUTPUT_STATE,
            },
            device(),
        ],
    })
}

/// Statistics of all features, which both state files hold.
fn state(content: &Content<'_>) -> Vec<Weight> {
    let Statistics { state, action } = &content.statistics;
    let mut weights = Vec::new();
    let moments = ["mean", "std"];
    let mut add = |feature: &str, names: [&str; 2], statistics: [&[f32]; 2], shape: &[usize]| {
        for (statistic, values) in names.into_iter().zip(statistics) {
            let (name, shape) = (format!("{feature}.{statistic}"), shape.to_vec());
            weights.push(Weight { name, shape, values: values.to_vec() });
        }
    };
    add("observation.state", moments, [&state[0], &state[1]], &[state[0].len()]);
    for camera in &content.conversion.cameras {
        let feature = format!("observation.images.{}", camera.name);
        add(&feature, moments, [&IMAGE_MEAN, &IMAGE_STD], &[3, 1, 1]);
    }
    let of_actions = match content.scalings {
        Scalings::MeanStd => moments,
        Scalings::Range => ["min", "max"],
    };
    add("action", of_actions, [&action[0], &action[1]], &[action[0].len()]);
    weights
}
