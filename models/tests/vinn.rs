//! VINN against NumPy, PyTorch and the original program.

#![allow(clippy::unwrap_used)]

mod support;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use sinew_models::golden::check;
use sinew_models::{
    Isa, LoadOptions, Observation, Policy, PredictError, VinnEncoder, VinnMemory, VinnPolicy,
};
use support::{Checkpoint, fixture, floats, values};

const PIXELS: usize = 60 * 80 * 3;

fn recorded(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(fixture("vinn_tiny/inference.safetensors")).unwrap();
    let tensor = SafeTensors::deserialize(&bytes).unwrap();
    let data = tensor.tensor(name).unwrap().data().to_vec();
    data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The recorded observation.
fn observation() -> (Vec<f32>, [Vec<u8>; 2]) {
    let bytes = std::fs::read(fixture("vinn_tiny/inference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let image = |camera: &str| {
        tensors.tensor(&format!("in.raw.observation.images.{camera}")).unwrap().data().to_vec()
    };
    (recorded("in.raw.observation.state"), ["top", "wrist"].map(image))
}

/// The chunk of a copy with changed keys of `config.json`.
fn chunk(changes: &[(&str, Value)]) -> Vec<f32> {
    let copy = Checkpoint::copy("vinn_tiny");
    changes.iter().for_each(|(key, value)| copy.set(key, value.clone()));
    let mut policy = VinnPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let (state, images) = observation();
    let mut actions = vec![0.0; 12];
    let observation = Observation { vectors: &[&state], images: &[&images[0], &images[1]] };
    policy.predict(&observation, &mut actions).unwrap();
    actions
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn features_distances_and_chunk_are_those_of_pytorch_and_numpy() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut of_one = None;
        for threads in [1, 2, 3] {
            let options = LoadOptions { isa, threads, ..LoadOptions::default() };
            let mut policy = sinew_models::load(&fixture("vinn_tiny"), &options).unwrap();
            let golden = fixture("vinn_tiny/inference.safetensors");
            let report = check(policy.as_mut(), &golden).unwrap();
            assert_eq!(report.comparisons.len(), 3);
            for comparison in &report.comparisons {
                println!("{isa:?}, {threads} threads: {comparison}");
                assert!(comparison.passed, "{isa:?}: {comparison}");
            }
            assert_eq!(of_one.get_or_insert_with(|| report.clone()), &report, "{threads} threads");
        }
    }
}

/// The original's weights are those of the first moments, not of the nearest. With one neighbour
/// there is nothing to weigh, and it is right.
#[test]
fn weights_belong_to_the_neighbours_unlike_in_the_original() {
    let one = chunk(&[("neighbors", json!(1))]);
    assert!(distance(&one, &recorded("check.original_1")) < 1e-5);
    let five = chunk(&[]);
    assert!(distance(&five, &recorded("out.action_chunk")) < 1e-5);
    assert!(distance(&five, &recorded("check.original_5")) > 0.01);
}

#[test]
fn state_and_cameras_weigh_what_the_configuration_says() {
    let standardized = chunk(&[("state_distance", json!("standardized"))]);
    assert!(distance(&standardized, &recorded("check.standardized_5")) < 1e-5);
    assert!(distance(&standardized, &recorded("out.action_chunk")) > 0.01);
    // It is the default.
    let default = chunk(&[("state_distance", Value::Null)]);
    assert_eq!(default, standardized);
    let weights = json!({ "observation.images.top": 4, "observation.images.wrist": 0 });
    let cameras = chunk(&[("camera_weights", weights), ("state_weight", json!(0))]);
    assert!(distance(&cameras, &recorded("check.cameras_4_0")) < 1e-5);
}

#[test]
fn prediction_neither_allocates_nor_depends_on_the_past() {
    let mut policy = VinnPolicy::load(&fixture("vinn_tiny"), &LoadOptions::default()).unwrap();
    let (state, images) = observation();
    let observation = Observation { vectors: &[&state], images: &[&images[0], &images[1]] };
    let (mut first, mut second) = ([0.0; 12], [0.0; 12]);
    policy.predict(&observation, &mut first).unwrap();
    let other = Observation { vectors: &[&[9.0; 3]], images: &[&images[1], &images[0]] };
    policy.predict(&other, &mut [0.0; 12]).unwrap();
    let allocations = allocation_counter::measure(|| {
        policy.predict(&observation, &mut second).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(first, second);
    let bad = Observation { vectors: &[&[f32::NAN; 3]], ..observation };
    assert!(matches!(policy.predict(&bad, &mut second), Err(PredictError::NotFinite { .. })));
    assert!(policy.predict(&observation, &mut second[1..]).is_err());
    // Finite, but too far from everything for f32.
    let copy = Checkpoint::copy("vinn_tiny");
    copy.set("state_weight", json!(1000));
    let mut policy = VinnPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let far = Observation { vectors: &[&[f32::MAX; 3]], ..observation };
    let refused = policy.predict(&far, &mut second);
    assert!(matches!(refused, Err(PredictError::NotFinite { feature, .. }) if feature == "action"));
}

#[test]
fn the_description_says_what_it_is() {
    let policy = VinnPolicy::load(&fixture("vinn_tiny"), &LoadOptions::default()).unwrap();
    let description = policy.description();
    assert_eq!((description.kind, description.chunk_size, description.action_size), ("vinn", 6, 2));
    let info = policy.info().to_string();
    for part in [
        "format        sinew (everything in config.json)",
        "encoder       resnet18: basic blocks x channels 2x8, 2x8, 2x16, 2x16, one for each camera",
        "resized to 40 x 53",
        "memory        60 moments of 3 episodes, 16, 16 features",
        "search        5 nearest; cameras weigh 1, 1, joint positions 0.1 (raw)",
    ] {
        assert!(info.contains(part), "{info}");
    }
    assert!(policy.cost().weight_bytes > 60 * 35 * 4);
}

#[test]
fn feature_maps_are_those_of_the_cropped_image() {
    let mut policy = VinnPolicy::load(&fixture("vinn_tiny"), &LoadOptions::default()).unwrap();
    let (_, images) = observation();
    let maps = policy.feature_maps(1, &images[1]).unwrap();
    let last = &maps.tensors()[4];
    assert_eq!((last.name.as_str(), last.shape.as_slice()), ("layer4", [1, 16, 2, 2].as_slice()));
    for (channel, feature) in last.values.chunks_exact(4).zip(&recorded("mid.features")[16..]) {
        assert!((channel.iter().sum::<f32>() / 4.0 - feature).abs() < 1e-4);
    }
}

/// What the offline tools will do: encode demonstrations, remember them, choose the number of
/// neighbours.
#[test]
fn a_memory_is_made_of_demonstrations() {
    let copy = Checkpoint::copy("vinn_tiny");
    let file = copy.path().join("memory.safetensors");
    std::fs::remove_file(&file).unwrap();
    let mut encoder = VinnEncoder::load(copy.path(), &LoadOptions::default()).unwrap();
    let size: usize = encoder.widths().iter().sum();
    let mut memory = VinnMemory::new(size, 3, 2);
    let mut features = vec![0.0; size];
    let image = |moment: usize| -> Vec<u8> {
        (0..PIXELS).map(|i| ((i / 3 % 80 * (moment + 1) + i / 240 * 2) % 256) as u8).collect()
    };
    for episode in 0..2 {
        memory.begin_episode();
        for step in 0..4 {
            let image = image(10 * episode + step);
            let state = [step as f32, 0.0, episode as f32];
            let observation = Observation { vectors: &[&state], images: &[&image, &image] };
            encoder.encode(&observation, &mut features).unwrap();
            memory.push(&features, &state, &[step as f32, episode as f32]).unwrap();
        }
    }
    memory.write(&file).unwrap();
    copy.set("neighbors", json!(1));
    let mut policy = VinnPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let mut actions = [0.0; 12];
    let image = image(11);
    let observation = Observation { vectors: &[&[1.0, 0.0, 1.0]], images: &[&image, &image] };
    policy.predict(&observation, &mut actions).unwrap();
    // The moment itself, to the end of its episode, whose last action is repeated.
    assert_eq!(actions, [1.0, 1.0, 2.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0]);
    let (search, widths) = (search_of(&policy), encoder.widths());
    let options = LoadOptions::default();
    let curve = memory.error_curve(&search, widths, 6, 400, &options).unwrap();
    assert_eq!(curve.len(), 4);
    // Half of the values name the episode, and the other one's is 1 away.
    assert!(curve.iter().all(|error| *error >= 0.5), "{curve:?}");
}

fn search_of(policy: &VinnPolicy) -> sinew_models::Search {
    match &policy.info().network {
        sinew_models::NetworkInfo::Vinn(network) => network.search.clone(),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    type Change = fn(&Checkpoint);
    let cases: [(Change, &str); 15] = [
        (|c| c.set("neighbors", json!(61)), "holds 60 moments, 61 neighbours are asked for"),
        (|c| c.set("neighbors", json!(0)), "neighbors is 0, needed a whole number from 1"),
        (|c| c.set("neighbours", json!(5)), "neighbours is 5, needed one of the keys"),
        (|c| c.set("state_weight", json!(-1)), "state_weight is -1, needed 0 or more"),
        (|c| c.set("state_distance", json!("l1")), "needed standardized or raw"),
        (
            |c| c.set("camera_weights", json!({ "top": 1 })),
            "camera_weights.top is 1, needed weights of",
        ),
        (|c| c.set("image_std", json!([1, 1, 0])), "image_std.2 is 0, needed a positive number"),
        (|c| c.set("image_mean", json!([1, 1])), "image_mean is [1,1], needed three numbers"),
        (|c| c.set("crop_shape", json!([41, 40])), "at most [40, 53]"),
        (
            |c| c.set("n_action_steps", json!(7)),
            "n_action_steps is 7, needed a whole number from 1 to 6",
        ),
        (
            |c| c.set("normalization_mapping", json!({ "STATE": "MEAN_STD" })),
            "needed IDENTITY for STATE",
        ),
        (
            |c| c.set("output_features", json!({ "action": { "type": "ACTION", "shape": [3] } })),
            "action of a moment has 2 values, needed 3 by config.json",
        ),
        (
            |c| {
                c.edit_tensors("memory.safetensors", |t| {
                    drop(t.insert("states".to_owned(), floats(&[59, 3], [0.0; 177])))
                })
            },
            "tensor states has shape [59, 3], needed [60, 1 or more]",
        ),
        (
            |c| {
                c.edit_tensors("memory.safetensors", |t| {
                    let tensor = t.get_mut("features").unwrap();
                    let mut values = values(tensor);
                    values[7] = f32::INFINITY;
                    *tensor = floats(&[60, 32], values);
                });
            },
            "tensor features holds inf at index 7",
        ),
        (|c| std::fs::remove_file(c.path().join("memory.safetensors")).unwrap(), "no such file"),
    ];
    for (change, expected) in cases {
        let copy = Checkpoint::copy("vinn_tiny");
        change(&copy);
        let message = copy.refusal();
        assert!(message.contains(expected), "{message}");
    }
    for lengths in ["", "25 20", "25 20 15 0", "25 20 x", "25 20 18446744073709551615"] {
        let copy = Checkpoint::copy("vinn_tiny");
        let file = copy.path().join("memory.safetensors");
        let bytes = std::fs::read(&file).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let metadata =
            std::collections::HashMap::from([("episode_lengths".to_owned(), lengths.to_owned())]);
        let changed = safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap();
        std::fs::write(&file, changed).unwrap();
        let message = copy.refusal();
        assert!(
            message.contains("episode_lengths is") && message.contains("add up to 60"),
            "{message}"
        );
    }
}
