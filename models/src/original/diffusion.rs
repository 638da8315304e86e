//! The Diffusion policy of act-plus-plus, in LeRobot's layout.
//!
//! The networks are robomimic's: a ResNet-18 with group normalisation, key points and a linear
//! layer for each camera, and a conditional U-Net. They are LeRobot's as well, but for three things:
//!
//! * The condition is the cameras' features and then the joint positions; LeRobot has the positions
//!   first. The columns of all layers over the condition change places.
//! * LeRobot cuts off what is negative of the features: `sinew.signed_features` says not to.
//! * Images lose a margin and are resized to what they were. LeRobot resizes before it crops:
//!   `sinew` in the configuration says it.

use super::folder::{Content, Scalings};
use super::names::Weight;
use super::state_dict::{StateDict, unsupported};
use super::statistics::Statistics;
use super::{Camera, Conversion, ConvertError, check_names};
use crate::lerobot::Colors;
use serde_json::{Value, json};
use std::path::Path;

/// What all names of the original begin with, but for the counters of a training.
const PREFIX: &str = "policy.";
/// Cameras or levels that are looked for.
const MAX_COUNT: usize = 64;
/// What evaluation and training keep of an image, on each axis.
const KEPT: f64 = 0.95;
/// Steps of the training and of an inference, fixed in the original's code.
const STEPS: [usize; 2] = [50, 10];
/// Groups of the U-Net's normalisation, which no tensor tells: robomimic's default.
const GROUPS: usize = 8;

/// Sizes, as the shapes of tensors show them.
struct Sizes {
    cameras: usize,
    /// Features of one camera: two for each key point.
    features: usize,
    state: usize,
    action: usize,
    step_width: usize,
    widths: Vec<usize>,
    kernel: usize,
}

impl Sizes {
    fn of(tensors: &StateDict<'_>) -> Result<Self, ConvertError> {
        let count = |name: &dyn Fn(usize) -> String| {
            (0..MAX_COUNT).take_while(|index| tensors.shape(&name(*index)).is_some()).count()
        };
        let cameras = count(&|index| format!("{PREFIX}backbones.{index}.nets.0.weight"));
        let [features, points] = tensors.sizes(&format!("{PREFIX}linears.0.weight"))?;
        let down = |level: usize| unet(&format!("down_modules.{level}.0.blocks.0.block.0.weight"));
        let widths = (0..count(&down)).map(|level| Ok(tensors.sizes::<3>(&down(level))?[0]));
        let widths: Vec<usize> = widths.collect::<Result<_, ConvertError>>()?;
        let [_, action, kernel] = tensors.sizes(&down(0))?;
        let [step_width, _] = tensors.sizes(&unet("diffusion_step_encoder.3.weight"))?;
        let name = unet("down_modules.0.0.cond_encoder.1.weight");
        let [_, condition] = tensors.sizes(&name)?;
        let others = cameras.saturating_mul(features).saturating_add(step_width);
        let Some(state) = condition.checked_sub(others).filter(|state| *state > 0) else {
            let needed = format!(
                "more than {others} columns: the timestep, {features} features of {cameras} camera(s) and joint positions"
            );
            return Err(tensors.misshaped(&name, needed));
        };
        if points % 2 != 0 || features != points {
            let needed =
                "two rows and two columns for each key point, as LeRobot has it".to_owned();
            return Err(tensors.misshaped(&format!("{PREFIX}linears.0.weight"), needed));
        }
        Ok(Self { cameras, features, state, action, step_width, widths, kernel })
    }

    /// All keys of LeRobot that concern inference, but those of the features.
    fn config(&self, chunk: usize) -> Value {
        let [train_steps, steps] = STEPS;
        json!({
            "type": "diffusion",
            "n_obs_steps": 1,
            "input_features": null,
            "output_features": null,
            "horizon": chunk,
            "n_action_steps": chunk,
            "normalization_mapping": null,
            "drop_n_last_frames": 0,
            "vision_backbone": "resnet18",
            "resize_shape": null,
            "crop_ratio": 1.0,
            "crop_shape": null,
            "crop_is_random": false,
            "pretrained_backbone_weights": null,
            "use_group_norm": true,
            "spatial_softmax_num_keypoints": self.features / 2,
            "use_separate_rgb_encoder_per_camera": true,
            "down_dims": self.widths,
            "kernel_size": self.kernel,
            "n_groups": GROUPS,
            "diffusion_step_embed_dim": self.step_width,
            "use_film_scale_modulation": true,
            "noise_scheduler_type": "DDIM",
            "num_train_timesteps": train_steps,
            "beta_schedule": "squaredcos_cap_v2",
            "beta_start": 0.0001,
            "beta_end": 0.02,
            "prediction_type": "epsilon",
            "clip_sample": true,
            "clip_sample_range": 1.0,
            "num_inference_steps": steps,
        })
    }
}

fn unet(part: &str) -> String {
    format!("{PREFIX}noise_pred_net.{part}")
}

/// Takes all tensors under LeRobot's names. `averaged`: they are the moving average of the training.
pub(super) fn convert<'c>(
    conversion: &'c Conversion,
    statistics: &Path,
    tensors: &mut StateDict<'_>,
    averaged: bool,
) -> Result<(Content<'c>, Vec<String>), ConvertError> {
    let file = tensors.file().to_path_buf();
    let sizes = Sizes::of(tensors)?;
    let cameras = conversion.cameras.len();
    if cameras != sizes.cameras {
        let (backbones, needed) = (sizes.cameras, sizes.cameras.to_string());
        return Err(ConvertError::Cameras { file, backbones, cameras, needed });
    }
    check_names(conversion)?;
    let kind = "Diffusion";
    if conversion.heads.is_some() {
        return Err(ConvertError::NoPlace { file, kind, option: "attention heads" });
    }
    if conversion.actions.is_some_and(|kept| kept != sizes.action) {
        // All of them pass through the network together.
        return Err(ConvertError::NoPlace { file, kind, option: "actions to leave out" });
    }
    let Some(chunk) = conversion.chunk else { return Err(ConvertError::NoChunk { file }) };

    let mut weights = Vec::new();
    for camera in 0..sizes.cameras {
        encoder(tensors, &sizes, camera, &mut weights)?;
    }
    take_unet(tensors, &sizes, &mut weights)?;
    tensors.finish()?;
    let statistics = Statistics::read_range(statistics, sizes.state, sizes.action)?;
    let extension = extension(conversion);
    let network = sizes.config(chunk);
    let (state, action) = (sizes.state, sizes.action);
    let content = Content {
        conversion,
        state,
        action,
        network,
        extension: Some(extension),
        statistics,
        scalings: Scalings::Range,
        weights,
    };
    Ok((content, notes(averaged)))
}

fn notes(averaged: bool) -> Vec<String> {
    let [train_steps, steps] = STEPS;
    let weights = if averaged {
        "the moving average of the weights (ema) is converted, which the original evaluates"
    } else {
        "it holds no moving average of the weights (ema); the weights of the last step are converted"
    };
    vec![
        weights.to_owned(),
        format!("{train_steps} steps of the training, {steps} of DDIM, {GROUPS} groups of channels are assumed, as in the original's code: no tensor says how many"),
        "images lose 2.5 % at each edge and are resized, as the original does when it evaluates (sinew.cameras in config.json)".to_owned(),
        "LeRobot cannot load the result: config.json needs the key sinew".to_owned(),
    ]
}

/// What the original does to images before its network sees them.
fn extension(conversion: &Conversion) -> Value {
    // As Python computes it, so that the same pixels are cut off.
    let kept = |side: usize| {
        let side = side as f64;
        ((side * (1.0 - KEPT) / 2.0) as usize, (side * (1.0 + KEPT) / 2.0) as usize)
    };
    let preparation = |Camera { name, height, width }: &Camera| {
        let ((top, bottom), (left, right)) = (kept(*height), kept(*width));
        let rectangle = [left, top, right, bottom];
        let prepared = json!({ "crop": { "rectangle": rectangle }, "resize": [height, width] });
        (format!("observation.images.{name}"), prepared)
    };
    let cameras = conversion.cameras.iter().map(preparation);
    let cameras: serde_json::Map<String, Value> = cameras.collect();
    let mut extension = json!({ "signed_features": true, "cameras": cameras });
    if conversion.colors != Colors::default() {
        extension["colors"] = json!(conversion.colors);
    }
    extension
}

/// The encoder of one camera.
fn encoder(
    tensors: &mut StateDict<'_>,
    sizes: &Sizes,
    camera: usize,
    weights: &mut Vec<Weight>,
) -> Result<(), ConvertError> {
    let (features, keypoints) = (sizes.features, sizes.features / 2);
    let target = format!("diffusion.rgb_encoder.{camera}");
    let mut add = |name: &str, shape: &[usize], values: Vec<f32>| {
        weights.push(Weight { name: format!("{target}.{name}"), shape: shape.to_vec(), values });
    };
    let backbone = format!("{PREFIX}backbones.{camera}.nets.");
    let names: Vec<&str> = tensors.names().filter(|name| name.starts_with(&backbone)).collect();
    for name in names {
        if name.ends_with(".running_mean") {
            let what = "batch normalisation, which the original replaces";
            let remedy = "convert a checkpoint of act-plus-plus itself";
            return Err(unsupported(tensors.file(), name, what, remedy));
        }
        let shape = tensors.shape(name).unwrap_or_default().to_vec();
        add(
            &format!("backbone.{}", &name[backbone.len()..]),
            &shape,
            tensors.take_any_shape(name)?,
        );
    }
    let pool = format!("{PREFIX}pools.{camera}");
    let name = format!("{pool}.temperature");
    let temperature = tensors.take(&name, &[1])?[0];
    if temperature <= 0.0 {
        let (file, found) =
            (tensors.file().to_path_buf(), format!("holds {temperature} at index 0"));
        return Err(ConvertError::Numbers { file, tensor: name, found });
    }
    let name = format!("{pool}.nets.weight");
    let [_, channels, _, _] = tensors.sizes(&name)?;
    // LeRobot has no temperature, so it goes into the layer before the softmax.
    for (part, shape) in [("weight", &[keypoints, channels, 1, 1][..]), ("bias", &[keypoints])] {
        let mut values = tensors.take(&format!("{pool}.nets.{part}"), shape)?;
        values.iter_mut().for_each(|value| *value /= temperature);
        add(&format!("pool.nets.{part}"), shape, values);
    }
    let [_, pixels] = tensors.sizes(&format!("{pool}.pos_x"))?;
    let columns = tensors.take(&format!("{pool}.pos_x"), &[1, pixels])?;
    let rows = tensors.take(&format!("{pool}.pos_y"), &[1, pixels])?;
    let places = columns.into_iter().zip(rows).flat_map(|(x, y)| [x, y]).collect();
    add("pool.pos_grid", &[pixels, 2], places);

    let linear = format!("{PREFIX}linears.{camera}");
    for (part, shape) in [("weight", &[features, features][..]), ("bias", &[features])] {
        add(&format!("out.{part}"), shape, tensors.take(&format!("{linear}.{part}"), shape)?);
    }
    Ok(())
}

/// The U-Net: robomimic's names, and the columns of its condition.
fn take_unet(
    tensors: &mut StateDict<'_>,
    sizes: &Sizes,
    weights: &mut Vec<Weight>,
) -> Result<(), ConvertError> {
    let prefix = unet("");
    let names: Vec<&str> = tensors.names().filter(|name| name.starts_with(&prefix)).collect();
    for name in names {
        let part = &name[prefix.len()..];
        let shape = tensors.shape(name).unwrap_or_default().to_vec();
        let mut values = tensors.take_any_shape(name)?;
        if part.ends_with(".cond_encoder.1.weight") {
            let columns = sizes.step_width + sizes.cameras * sizes.features + sizes.state;
            if shape.len() != 2 || shape[1] != columns {
                return Err(tensors.misshaped(name, format!("{columns} columns")));
            }
            values = reordered(sizes, columns, &values);
        }
        let part = part
            .replace(".blocks.0.", ".conv1.")
            .replace(".blocks.1.", ".conv2.")
            .replace(".2.conv.", ".2.");
        weights.push(Weight { name: format!("diffusion.unet.{part}"), shape, values });
    }
    Ok(())
}

/// The columns in LeRobot's order: timestep, joint positions, features.
fn reordered(sizes: &Sizes, columns: usize, values: &[f32]) -> Vec<f32> {
    let mut all = Vec::with_capacity(values.len());
    for row in values.chunks_exact(columns) {
        let (step, rest) = row.split_at(sizes.step_width);
        let (images, state) = rest.split_at(sizes.cameras * sizes.features);
        all.extend(step.iter().chain(state).chain(images));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_change_places() {
        let (cameras, features, state, action, step_width) = (2, 2, 3, 1, 1);
        let (widths, kernel) = (vec![8], 3);
        let sizes = Sizes { cameras, features, state, action, step_width, widths, kernel };
        // The timestep, two features of two cameras, three positions.
        let row = [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(reordered(&sizes, 8, &row), [9.0, 5.0, 6.0, 7.0, 1.0, 2.0, 3.0, 4.0]);
    }

    /// `int(480 * (1 - 0.95) / 2)` and so on, in Python.
    #[test]
    fn a_twentieth_of_an_image_is_cut_off() {
        let camera = |name: &str, height, width| Camera { name: name.to_owned(), height, width };
        let conversion = Conversion {
            from: "x".into(),
            statistics: None,
            cameras: vec![camera("a", 480, 640), camera("b", 48, 64)],
            heads: None,
            colors: Colors::Bgr,
            qpos: None,
            actions: None,
            chunk: None,
        };
        let extension = extension(&conversion);
        let crop = |name: &str| extension["cameras"][name]["crop"]["rectangle"].clone();
        assert_eq!(crop("observation.images.a"), json!([16, 12, 624, 468]));
        assert_eq!(crop("observation.images.b"), json!([1, 1, 62, 46]));
        assert_eq!(extension["colors"], "bgr");
    }
}
