//! Every kind of policy sees its images as `sinew` in `config.json` says.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use sinew_models::original::{Camera, Conversion, convert};
use sinew_models::{Colors, FeatureKind, LoadOptions, Observation};
use std::path::Path;
use support::{Checkpoint, fixture};

/// Pixels around what the network sees.
const MARGIN: [usize; 2] = [7, 11];
/// Keeps this, and drops that.
const KEEP: [usize; 4] = [20, 9, 58, 50];
const DROP: [usize; 4] = [30, 20, 41, 33];

fn cnnmlp() -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let camera = |name: &str| Camera { name: name.to_owned(), height: 480, width: 640 };
    let conversion = Conversion {
        from: fixture("cnnmlp_original"),
        statistics: None,
        cameras: vec![camera("top"), camera("angle")],
        heads: None,
        colors: Colors::Rgb,
        qpos: None,
        actions: None,
        chunk: None,
    };
    let out = folder.path().join("converted");
    convert(&conversion, &out).unwrap();
    Checkpoint::copy_of(&out)
}

/// Sizes of the vectors, and height and width of the images.
struct Inputs {
    vectors: Vec<usize>,
    images: Vec<[usize; 2]>,
}

impl Inputs {
    fn of(folder: &Path) -> Self {
        let policy = sinew_models::load(folder, &LoadOptions::default()).unwrap();
        let (mut vectors, mut images) = (Vec::new(), Vec::new());
        for input in &policy.description().inputs {
            if input.kind == FeatureKind::Visual {
                images.push([input.shape[1], input.shape[2]]);
            } else {
                vectors.push(input.shape[0]);
            }
        }
        Self { vectors, images }
    }
}

fn predict(folder: &Path, inputs: &Inputs, images: &[Vec<u8>]) -> Vec<f32> {
    let mut policy = sinew_models::load(folder, &LoadOptions::default()).unwrap();
    let state = |size: usize| (0..size).map(|i| 0.1 * i as f32 - 0.2).collect();
    let vectors: Vec<Vec<f32>> = inputs.vectors.iter().map(|size| state(*size)).collect();
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let description = policy.description();
    let mut actions = vec![0.0; description.chunk_size * description.action_size];
    policy.predict(&Observation { vectors: &vectors, images: &images }, &mut actions).unwrap();
    actions
}

fn picture([height, width]: [usize; 2], camera: usize) -> Vec<u8> {
    let value = |i: usize| (i * (7 + camera) + i / width * 31 + i * i % 61) as u8;
    (0..3 * height * width).map(value).collect()
}

/// What a person cuts out of an image: black outside of one rectangle and inside of the other, a
/// part of it, blue first.
fn by_hand(image: &[u8], width: usize, [left, top, right, bottom]: [usize; 4]) -> Vec<u8> {
    let inside = |[left, top, right, bottom]: [usize; 4], row: usize, column: usize| {
        (left..right).contains(&column) && (top..bottom).contains(&row)
    };
    let mut cut = Vec::new();
    for row in top..bottom {
        for column in left..right {
            let pixel = &image[3 * (row * width + column)..][..3];
            let shown = inside(KEEP, row, column) && !inside(DROP, row, column);
            cut.extend(pixel.iter().rev().map(|byte| if shown { *byte } else { 0 }));
        }
    }
    cut
}

/// Declares images that have a margin, of which the preparation leaves what was there before.
fn add_margin(copy: &Checkpoint, inputs: &Inputs) -> Vec<[usize; 4]> {
    let larger = |features: &mut Value| {
        for feature in features.as_object_mut().unwrap().values_mut() {
            if feature["type"] == "VISUAL" {
                for (axis, margin) in [(1, MARGIN[0]), (2, MARGIN[1])] {
                    feature["shape"][axis] =
                        json!(feature["shape"][axis].as_u64().unwrap() + 2 * margin as u64);
                }
            }
        }
    };
    let [top, left] = MARGIN;
    let part = |[height, width]: &[usize; 2]| [left, top, left + width, top + height];
    let crops: Vec<[usize; 4]> = inputs.images.iter().map(part).collect();
    copy.edit_json("config.json", |config| {
        larger(&mut config["input_features"]);
        config["sinew"]["colors"] = json!("bgr");
        config["sinew"]["keep"] = json!([KEEP]);
        config["sinew"]["drop"] = json!([DROP]);
        config["sinew"]["crop"] = json!({ "rectangle": crops[0] });
    });
    if copy.path().join("policy_preprocessor.json").exists() {
        copy.edit_json("policy_preprocessor.json", |processor| {
            for step in processor["steps"].as_array_mut().unwrap() {
                if let Some(features) = step["config"].get_mut("features") {
                    larger(features);
                }
            }
        });
    }
    crops
}

#[test]
fn every_kind_of_policy_sees_what_a_person_would_cut_out() {
    for (kind, copy) in [
        ("act", Checkpoint::copy("act_tiny")),
        ("diffusion", Checkpoint::copy("diffusion_tiny")),
        ("vinn", Checkpoint::copy("vinn_tiny")),
        ("cnnmlp", cnnmlp()),
    ] {
        let plain = Inputs::of(copy.path());
        let larger: Vec<[usize; 2]> = plain
            .images
            .iter()
            .map(|[height, width]| [height + 2 * MARGIN[0], width + 2 * MARGIN[1]])
            .collect();
        let images: Vec<Vec<u8>> =
            larger.iter().enumerate().map(|(camera, size)| picture(*size, camera)).collect();
        let crop =
            [MARGIN[1], MARGIN[0], MARGIN[1] + plain.images[0][1], MARGIN[0] + plain.images[0][0]];
        let cut: Vec<Vec<u8>> = images
            .iter()
            .zip(&larger)
            .map(|(image, [_, width])| by_hand(image, *width, crop))
            .collect();
        let expected = predict(copy.path(), &plain, &cut);
        let crops = add_margin(&copy, &plain);
        assert_eq!(crops[0], crop);
        let prepared = Inputs::of(copy.path());
        assert_eq!(prepared.images, larger, "{kind}: a camera delivers what input_features says");
        assert_eq!(predict(copy.path(), &prepared, &images), expected, "{kind}");
        let others: Vec<Vec<u8>> =
            images.iter().map(|image| image.iter().map(|byte| byte / 16).collect()).collect();
        assert_ne!(predict(copy.path(), &prepared, &others), expected, "{kind}: it is seen");

        let policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
        let text = policy.info().to_string();
        let said = format!(
            ": BGR; black outside of {KEEP:?}; black inside of {DROP:?}; cropped to {crop:?}; the network sees "
        );
        assert_eq!(text.matches(&said).count(), plain.images.len(), "{text}");
        let json = serde_json::to_value(policy.info()).unwrap();
        assert_eq!(json["images"][0]["crop"], json!(crop));
        assert_eq!(json["images"][0]["colors"], "bgr");
    }
}

#[test]
fn a_resize_decides_what_the_network_sees_not_what_the_camera_delivers() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_json("config.json", |config| config["sinew"] = json!({ "resize": [96, 128] }));
    let policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
    let image = &policy.info().images[0];
    assert_eq!((image.size, <[usize; 4]>::from(image.seen)), ([96, 128], [0, 0, 64, 48]));
    assert_eq!(policy.description().inputs[1].shape, [3, 48, 64]);
    assert!(policy.info().to_string().contains("resized to 96 x 128; the network sees 96 x 128"));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let refusal = |name: &str, sinew: Value| {
        let copy = Checkpoint::copy(name);
        copy.edit_json("config.json", |config| config["sinew"] = sinew);
        sinew_models::load(copy.path(), &LoadOptions::default()).err().unwrap().to_string()
    };
    // Diffusion crops 40 x 56 itself, and stacks its cameras.
    let small = refusal("diffusion_tiny", json!({ "resize": [39, 64] }));
    assert!(small.contains("crop_shape is [40,56], needed at most [39, 64]"), "{small}");
    let one = json!({ "cameras": { "observation.images.top": { "resize": [60, 60] } } });
    let one = refusal("diffusion_tiny", one);
    assert!(one.contains("needed images of one shape"), "{one}");
    let per_camera = refusal("diffusion_tiny", json!({ "backbone_per_camera": true }));
    assert!(per_camera.contains("use_separate_rgb_encoder_per_camera"), "{per_camera}");
    let unknown = refusal("diffusion_tiny", json!({ "roi": [1] }));
    assert!(unknown.contains("sinew.roi is [1], needed no other keys"), "{unknown}");
    let copy = Checkpoint::copy("diffusion_tiny");
    copy.edit_json("config.json", |config| {
        config["resize_shape"] = json!([4096, 4096]);
    });
    let large = sinew_models::load(copy.path(), &LoadOptions::default()).err().unwrap();
    let large = large.to_string();
    assert!(
        large.contains("resize_shape is [4096,4096], needed at most 4194304 pixels"),
        "{large}"
    );
}
