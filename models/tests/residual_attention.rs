//! ACT with the residual attention backbone of the one-arm fork.

#![allow(clippy::unwrap_used)]

mod support;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use sinew_models::golden::check;
use sinew_models::original::{Camera, Conversion, convert};
use sinew_models::{ActPolicy, Colors, Isa, LoadOptions, Observation, Policy};
use std::path::PathBuf;
use support::{Checkpoint, fixture, values};
use tempfile::TempDir;

const PIXELS: usize = 96 * 128 * 3;

fn conversion(height: usize, width: usize) -> Conversion {
    let camera = |name: &str| Camera { name: name.to_owned(), height, width };
    Conversion {
        from: fixture("act_residual_attention"),
        statistics: None,
        cameras: vec![camera("right_wrist"), camera("top")],
        heads: Some(4),
        colors: Colors::Rgb,
        qpos: None,
        actions: None,
        chunk: None,
    }
}

/// The recorded checkpoint, converted.
fn converted() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    let notes = convert(&conversion(96, 128), &out).unwrap().join("\n");
    for part in ["are not weighed", "it has no backbone residual_attention_18"] {
        assert!(notes.contains(part), "{notes}");
    }
    (folder, out)
}

fn recorded(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(fixture("act_residual_attention/inference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    values(&(tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()))
}

fn recorded_image(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(fixture("act_residual_attention/inference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensor(&format!("in.raw.observation.images.{name}")).unwrap().data().to_vec()
}

#[test]
fn the_converted_checkpoint_acts_as_the_original_program() {
    let (_folder, out) = converted();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut of_one = None;
        for threads in [1, 2, 3] {
            let options = LoadOptions { isa, threads, ..LoadOptions::default() };
            let mut policy = sinew_models::load(&out, &options).unwrap();
            let golden = fixture("act_residual_attention/inference.safetensors");
            let report = check(policy.as_mut(), &golden).unwrap();
            assert_eq!(report.comparisons.len(), 4);
            for comparison in &report.comparisons {
                println!("{isa:?}, {threads} threads: {comparison}");
                assert!(comparison.passed, "{isa:?}: {comparison}");
            }
            assert_eq!(of_one.get_or_insert_with(|| report.clone()), &report, "{threads} threads");
        }
    }
}

#[test]
fn every_part_has_the_map_of_the_original() {
    let (_folder, out) = converted();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let options = LoadOptions { isa, ..LoadOptions::default() };
        let mut policy = sinew_models::load(&out, &options).unwrap();
        let maps = policy.feature_maps(0, &recorded_image("right_wrist")).unwrap();
        let names: Vec<&str> = maps.tensors().iter().map(|map| map.name.as_str()).collect();
        let parts = [
            "residual_block1",
            "attention_module1",
            "residual_block2",
            "attention_module2",
            "residual_block3",
            "attention_module3",
            "layer4",
        ];
        assert_eq!(names[1..], parts);
        for map in &maps.tensors()[1..] {
            let expected = recorded(&format!("check.{}", map.name));
            assert_eq!(expected.len(), map.values.len());
            let difference = expected.iter().zip(&map.values).map(|(a, b)| (a - b).abs());
            let largest = difference.fold(0.0, f32::max);
            assert!(largest < 2e-5, "{isa:?}, {}: {largest}", map.name);
        }
    }
}

fn predict(policy: &mut dyn Policy) -> Vec<f32> {
    let (state, images) =
        (recorded("in.raw.observation.state"), ["right_wrist", "top"].map(recorded_image));
    let mut actions = vec![0.0; 5 * 14];
    let observation = Observation { vectors: &[&state], images: &[&images[0], &images[1]] };
    policy.predict(&observation, &mut actions).unwrap();
    actions
}

#[test]
fn prediction_neither_allocates_nor_depends_on_the_past() {
    let (_folder, out) = converted();
    let mut policy = ActPolicy::load(&out, &LoadOptions::default()).unwrap();
    let first = predict(&mut policy);
    let (state, images) = ([2.0; 14], [vec![0; PIXELS], vec![255; PIXELS]]);
    let other = Observation { vectors: &[&state], images: &[&images[0], &images[1]] };
    let mut actions = vec![0.0; 5 * 14];
    let allocations = allocation_counter::measure(|| {
        policy.predict(&other, &mut actions).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(predict(&mut policy), first);
    let info = policy.info().to_string();
    let expected = "residual_attention_18: attention levels x channels 2x8, 1x12, 0x16, 0x20, one for each camera";
    assert!(info.contains(expected), "{info}");
    assert!(policy.cost().products > 2 * 3 * 49 * 8 * 48 * 64);
    assert!(policy.cost().weight_bytes > 4 * 30_000);
}

/// At 480x640 the fork multiplies normalised pixels by 1.5 in a rectangle and by 0.5 elsewhere.
#[test]
fn images_are_weighed_as_the_code_of_the_fork_does() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    let notes = convert(&conversion(480, 640), &out).unwrap().join("\n");
    assert!(notes.contains("by 1.5 from (230, 350) to (412, 400) and by 0.5 elsewhere"), "{notes}");
    let text = std::fs::read_to_string(out.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let weights = json!({ "inside": 1.5, "outside": 0.5, "rectangle": [230, 350, 412, 400] });
    assert_eq!(config["sinew"]["image_weights"], weights);

    let image: Vec<u8> = (0..480 * 640 * 3).map(|i| (i % 251) as u8).collect();
    let mut policy = ActPolicy::load(&out, &LoadOptions::default()).unwrap();
    let observation = Observation { vectors: &[&[0.0; 14]], images: &[&image, &image] };
    let mut trace = sinew_models::Trace::new();
    policy.predict_traced(&observation, &mut vec![0.0; 5 * 14], &mut trace).unwrap();
    let seen = trace.get("in.normalized.observation.images.top").unwrap();
    for (x, y, weight) in [
        (0, 0, 0.5),
        (229, 350, 0.5),
        (230, 349, 0.5),
        (230, 350, 1.5),
        (411, 399, 1.5),
        (412, 399, 0.5),
        (411, 400, 0.5),
        (639, 479, 0.5),
    ] {
        for (channel, (mean, std)) in
            [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)].into_iter().enumerate()
        {
            let byte = f32::from(image[(y * 640 + x) * 3 + channel]);
            let expected = (byte / 255.0 - mean) / std * weight;
            let got = seen.values[(channel * 480 + y) * 640 + x];
            assert!((got - expected).abs() < 1e-5, "{x} {y}: {got} {expected}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let (_folder, out) = converted();
    let module = "model.backbones.0.attention_module1";
    let remove = |name: &str| {
        let copy = Checkpoint::copy_of(&out);
        copy.edit_weights(|tensors| drop(tensors.remove(name).unwrap()));
        copy.refusal()
    };
    for (name, expected) in [
        (
            format!("{module}.softmax3_blocks.1.conv2.weight"),
            "softmax3_blocks.1.conv2.weight is missing",
        ),
        (format!("{module}.softmax6_blocks.5.weight"), "softmax6_blocks.5.weight is missing"),
        // A level less: what belonged to it is left over or missing.
        (format!("{module}.skip2_connection_residual_block.bn1.weight"), "attention_module1"),
        ("model.backbones.1.layer4.3.running_var".to_owned(), "layer4.3.running_var is missing"),
        ("model.backbones.0.conv1.1.bias".to_owned(), "conv1.1.bias is missing"),
    ] {
        let message = remove(&name);
        assert!(message.contains(expected), "{message}");
    }
    let copy = Checkpoint::copy_of(&out);
    copy.edit_weights(|tensors| {
        let tensor = tensors.get_mut("model.backbones.0.residual_block2.bn1.running_var").unwrap();
        *tensor = support::floats(&[8], [-1.0; 8]);
    });
    let message = copy.refusal();
    assert!(message.contains("residual_block2.bn1.running_var holds -1 at index 0"), "{message}");
    for (weights, expected) in [
        (
            json!({ "inside": 1, "outside": 0, "rectangle": [0, 0, 129, 5] }),
            "within 128 x 96 pixels",
        ),
        (
            json!({ "inside": 1, "outside": 0, "rectangle": [5, 0, 5, 5] }),
            "image_weights.rectangle is [5,0,5,5]",
        ),
        (json!({ "inside": 1, "rectangle": [0, 0, 5, 5] }), "image_weights.outside is missing"),
        (
            json!({ "inside": 1, "outside": 0, "rectangle": [0, 0, 5, 5], "x": 1 }),
            "image_weights.x is 1",
        ),
    ] {
        let copy = Checkpoint::copy_of(&out);
        copy.edit_json("config.json", |config| config["sinew"]["image_weights"] = weights);
        let message = copy.refusal();
        assert!(message.contains(expected), "{message}");
    }
}
