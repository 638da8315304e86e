//! The CNNMLP baseline of the original ACT programs.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use sinew_models::golden::check;
use sinew_models::original::{Camera, Conversion, ConvertError, convert};
use sinew_models::{CnnMlpPolicy, Colors, Isa, LoadOptions, Observation, Policy, PredictError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::torch_file::{self, Tensor, read_state_dict};
use support::{Checkpoint, fixture, floats};
use tempfile::TempDir;

const HEIGHT: usize = 480;
const WIDTH: usize = 640;

/// The image of camera `k`, as `ORIGIN.md` says.
fn image(k: usize) -> Vec<u8> {
    let pixel =
        |x: usize, y: usize, c: usize| x * (3 + k) + 5 * y + x * y / (97 + k) + (40 + k) * c;
    let rows = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    rows.flat_map(|(x, y)| [0, 1, 2].map(|c| (pixel(x, y, c) % 256) as u8)).collect()
}

fn conversion(from: &Path) -> Conversion {
    let camera = |name: &str| Camera { name: name.to_owned(), height: HEIGHT, width: WIDTH };
    Conversion {
        from: from.to_path_buf(),
        statistics: None,
        cameras: vec![camera("top"), camera("angle")],
        heads: None,
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
    let notes = convert(&conversion(&fixture("cnnmlp_original")), &out).unwrap();
    assert!(notes[0].contains("one action for each observation"), "{notes:?}");
    (folder, out)
}

/// The recorded inference with its images.
fn golden(folder: &Path) -> PathBuf {
    let copy = Checkpoint::copy("cnnmlp_original");
    copy.edit_tensors("inference.safetensors", |tensors| {
        for (k, camera) in ["top", "angle"].into_iter().enumerate() {
            let tensor = (safetensors::Dtype::U8, vec![HEIGHT, WIDTH, 3], image(k));
            tensors.insert(format!("in.raw.observation.images.{camera}"), tensor);
        }
    });
    let file = folder.join("golden.safetensors");
    std::fs::copy(copy.path().join("inference.safetensors"), &file).unwrap();
    file
}

#[test]
fn the_converted_checkpoint_acts_as_the_original_program() {
    let (folder, out) = converted();
    let golden = golden(folder.path());
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut of_one = None;
        for threads in [1, 2, 3] {
            let options = LoadOptions { isa, threads, ..LoadOptions::default() };
            let mut policy = sinew_models::load(&out, &options).unwrap();
            let report = check(policy.as_mut(), &golden).unwrap();
            assert_eq!(report.comparisons.len(), 6);
            for comparison in &report.comparisons {
                println!("{isa:?}, {threads} threads: {comparison}");
                assert!(comparison.passed, "{isa:?}: {comparison}");
            }
            assert_eq!(of_one.get_or_insert_with(|| report.clone()), &report, "{threads} threads");
        }
    }
}

#[test]
fn the_description_says_what_it_is() {
    let (_folder, out) = converted();
    let policy = CnnMlpPolicy::load(&out, &LoadOptions::default()).unwrap();
    let description = policy.description();
    assert_eq!(
        (description.kind, description.chunk_size, description.action_steps),
        ("cnnmlp", 1, 1)
    );
    assert_eq!(description.action_size, 14);
    let info = policy.info().to_string();
    for part in [
        "basic blocks x channels 2x8, 2x8, 2x16, 2x16, one for each camera",
        "convolutions  12, 8, 4 channels, without padding",
        "layers        24, 24, 14 values",
    ] {
        assert!(info.contains(part), "{info}");
    }
    let cost = policy.cost();
    // Two stems of 3 x 49 products for 8 channels alone, at 240 x 320.
    assert!(cost.products > 2 * 3 * 49 * 8 * 240 * 320 && cost.weight_bytes > 4 * 80_000);
    assert!(cost.buffer_bytes > 2 * 3 * 4 * HEIGHT * WIDTH);
}

#[test]
fn prediction_neither_allocates_nor_depends_on_the_past() {
    let (_folder, out) = converted();
    let mut policy = CnnMlpPolicy::load(&out, &LoadOptions::default()).unwrap();
    let (state, images) = ([0.1; 14], [image(0), image(1)]);
    let observation = Observation { vectors: &[&state], images: &[&images[0], &images[1]] };
    let (mut first, mut second) = ([0.0; 14], [0.0; 14]);
    policy.predict(&observation, &mut first).unwrap();
    let turned = Observation { vectors: &[&[-3.0; 14]], images: &[&images[1], &images[0]] };
    policy.predict(&turned, &mut [0.0; 14]).unwrap();
    let allocations = allocation_counter::measure(|| {
        policy.predict(&observation, &mut second).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(first, second);

    let short = Observation { vectors: &[&state], images: &[&images[0], &images[1][3..]] };
    let refused = policy.predict(&short, &mut second).unwrap_err();
    assert!(matches!(refused, PredictError::Size { feature, .. } if feature.ends_with("angle")));
    let bad = Observation { vectors: &[&[f32::NAN; 14]], ..observation };
    assert!(matches!(policy.predict(&bad, &mut second), Err(PredictError::NotFinite { .. })));
    assert!(policy.predict(&observation, &mut second[1..]).is_err());
}

#[test]
fn feature_maps_are_those_of_the_inference() {
    let (folder, out) = converted();
    let mut policy = sinew_models::load(&out, &LoadOptions::default()).unwrap();
    let maps = policy.feature_maps(1, &image(1)).unwrap();
    let shapes: Vec<_> =
        maps.tensors().iter().map(|map| (map.name.as_str(), map.shape.clone())).collect();
    let expected = [
        ("stem", vec![1, 8, 120, 160]),
        ("layer1", vec![1, 8, 120, 160]),
        ("layer2", vec![1, 8, 60, 80]),
        ("layer3", vec![1, 16, 30, 40]),
        ("layer4", vec![1, 16, 15, 20]),
    ];
    assert_eq!(shapes, expected);
    let bytes = std::fs::read(golden(folder.path())).unwrap();
    let recorded = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let recorded = recorded.tensor("mid.backbone.cam1").unwrap();
    for (bytes, value) in recorded.data().as_chunks::<4>().0.iter().zip(&maps.tensors()[4].values) {
        assert!((f32::from_le_bytes(*bytes) - value).abs() < 1e-4);
    }
    assert!(policy.feature_maps(2, &image(1)).unwrap().tensors().is_empty());
    assert!(policy.feature_maps(0, &[0; 7]).is_err());
}

/// The recorded checkpoint, to be changed.
struct Original {
    folder: TempDir,
    tensors: BTreeMap<String, Tensor>,
}

impl Original {
    fn new() -> Self {
        let tensors = read_state_dict(&fixture("cnnmlp_original/policy_best.ckpt"));
        let folder = tempfile::tempdir().unwrap();
        let from = fixture("cnnmlp_original/dataset_stats.pkl");
        std::fs::copy(from, folder.path().join("dataset_stats.pkl")).unwrap();
        Self { folder, tensors }
    }

    fn convert(
        &self,
        change: impl FnOnce(&mut Conversion),
    ) -> Result<(PathBuf, Vec<String>), ConvertError> {
        let path = self.folder.path();
        std::fs::write(path.join("policy_best.ckpt"), torch_file::state_dict(&self.tensors))
            .unwrap();
        let out = path.join("converted");
        let _ = std::fs::remove_dir_all(&out);
        let mut conversion = conversion(path);
        change(&mut conversion);
        convert(&conversion, &out).map(|notes| (out, notes))
    }
}

fn predict(folder: &Path) -> Vec<f32> {
    let mut policy = sinew_models::load(folder, &LoadOptions::default()).unwrap();
    let mut action = vec![0.0; policy.description().action_size];
    let observation = Observation { vectors: &[&[0.25; 14]], images: &[&image(0), &image(1)] };
    policy.predict(&observation, &mut action).unwrap();
    action
}

#[test]
fn backbones_that_are_the_same_become_one() {
    let mut original = Original::new();
    let copies = original.tensors.iter().filter_map(|(name, tensor)| {
        let part = name.strip_prefix("model.backbones.0.")?;
        Some((format!("model.backbones.1.{part}"), tensor.clone()))
    });
    let copies: Vec<_> = copies.collect();
    original.tensors.extend(copies);
    let (out, notes) = original.convert(|_| ()).unwrap();
    assert!(notes.iter().any(|note| note.contains("2 backbones are the same")), "{notes:?}");
    let shared = predict(&out);
    // Different to the last bit only, and so kept apart.
    let name = "model.backbones.1.0.body.conv1.weight";
    original.tensors.get_mut(name).unwrap().1[0] += 1e-7;
    let (out, _) = original.convert(|_| ()).unwrap();
    let apart = predict(&out);
    assert!(shared.iter().zip(&apart).all(|(a, b)| (a - b).abs() < 1e-5), "{shared:?} {apart:?}");
}

#[test]
fn the_first_actions_can_be_kept() {
    let original = Original::new();
    let (out, _) = original.convert(|_| ()).unwrap();
    let all = predict(&out);
    let (out, notes) = original.convert(|conversion| conversion.actions = Some(7)).unwrap();
    assert!(notes.iter().any(|note| note.starts_with("the last 7 of 14 actions")), "{notes:?}");
    assert_eq!(predict(&out), all[..7]);
}

#[test]
fn what_cannot_be_converted_is_named() {
    let refusal = |change: fn(&mut Original), option: fn(&mut Conversion)| {
        let mut original = Original::new();
        change(&mut original);
        original.convert(option).unwrap_err().to_string()
    };
    let unchanged: fn(&mut Original) = |_| ();
    let message = refusal(unchanged, |c| c.heads = Some(8));
    assert!(message.contains("is a CNNMLP policy, which has no attention heads"), "{message}");
    let message = refusal(unchanged, |c| drop(c.cameras.pop()));
    assert!(message.contains("2 backbone(s) and was given 1 camera(s), needed 2"), "{message}");
    let message = refusal(unchanged, |c| c.actions = Some(15));
    assert!(message.contains("has 14 actions"), "{message}");
    // The maps of other images have other sizes.
    let message = refusal(unchanged, |c| c.cameras[1].height = 512);
    assert!(
        message.contains("model.mlp.0.weight has shape [24, 206], needed [1 or more, 238]"),
        "{message}"
    );
    let message = refusal(unchanged, |c| c.cameras[0].height = 240);
    assert!(
        message.contains("model.backbone_down_projs.0.1.weight")
            && message.contains("fits into the map of 4 x 16"),
        "{message}"
    );
    let message = refusal(|o| drop(o.tensors.remove("model.mlp.2.bias")), |_| ());
    assert!(message.contains("model.mlp.2.bias is missing"), "{message}");
    let message =
        refusal(|o| drop(o.tensors.insert("model.extra".to_owned(), (vec![1], vec![0.0]))), |_| ());
    assert!(message.contains("1 unknown tensor(s): model.extra"), "{message}");
}

#[test]
fn damaged_folders_are_refused_by_name() {
    let (_folder, out) = converted();
    let refusal = |change: &dyn Fn(&Checkpoint)| {
        let copy = Checkpoint::copy_of(&out);
        change(&copy);
        copy.refusal()
    };
    type Case<'a> = (&'a dyn Fn(&Checkpoint), &'a str);
    let cases: [Case<'_>; 6] = [
        (
            &|c| {
                c.edit_json("config.json", |v| {
                    drop(v["input_features"].as_object_mut().unwrap().remove("observation.state"))
                })
            },
            "observation.state and 1 to 32 images, nothing else",
        ),
        (&|c| c.set("type", json!("cnn")), "type is \"cnn\", needed"),
        (
            &|c| c.edit_weights(|t| drop(t.remove("model.backbone_down_projs.1.0.bias"))),
            "tensor model.backbone_down_projs.1.0.bias is missing",
        ),
        (
            &|c| {
                c.edit_weights(|t| {
                    drop(
                        t.insert(
                            "model.mlp.4.weight".to_owned(),
                            floats(&[13, 24], [0.0; 13 * 24]),
                        ),
                    )
                })
            },
            "tensor model.mlp.4.weight has shape [13, 24], needed [14, 24]",
        ),
        (
            &|c| {
                c.edit_weights(|t| {
                    drop(t.insert("model.mlp.0.bias".to_owned(), floats(&[24], [f32::NAN; 24])))
                })
            },
            "tensor model.mlp.0.bias holds NaN at index 0",
        ),
        (
            &|c| c.edit_weights(|t| drop(t.insert("model.query".to_owned(), floats(&[1], [0.0])))),
            "1 unknown tensor(s): model.query",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(change);
        assert!(message.contains(expected), "{message}");
    }
    let error = sinew_models::ActPolicy::load(&out, &LoadOptions::default()).err().unwrap();
    assert!(error.to_string().contains("holds a policy of type cnnmlp, needed act"), "{error}");
}
