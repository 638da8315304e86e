//! What a loaded policy accepts, computes and tells.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use sinew_models::golden::{self, GoldenError};
use sinew_models::lerobot::{CheckpointFormat, NormalizationMode};
use sinew_models::{
    ActNetworkInfo, ActPolicy, LoadOptions, NetworkInfo, Observation, Policy, Precision,
    PredictError, Trace,
};
use support::{Checkpoint, fixture, floats, values};

const PIXELS: usize = 48 * 64 * 3;
const NORMALIZER: &str = "policy_preprocessor_step_3_normalizer_processor.safetensors";
const UNNORMALIZER: &str = "policy_postprocessor_step_0_unnormalizer_processor.safetensors";

fn tiny() -> ActPolicy {
    ActPolicy::load(&fixture("act_tiny"), &LoadOptions::default()).unwrap()
}

fn network(policy: &ActPolicy) -> &ActNetworkInfo {
    match &policy.info().network {
        NetworkInfo::Act(network) => network,
        _ => panic!("not of ACT"),
    }
}

#[test]
fn description_and_details_say_what_the_checkpoint_is() {
    let policy = tiny();
    let description = policy.description();
    let inputs: Vec<&str> = description.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(inputs, ["observation.state", "observation.images.top", "observation.images.wrist"]);
    assert_eq!(description.inputs[1].shape, [3, 48, 64]);
    let sizes = (description.action_size, description.chunk_size, description.action_steps);
    assert_eq!(sizes, (6, 8, 4));
    assert_eq!(description.sha256.len(), 64);

    let info = policy.info();
    assert_eq!(info.format, CheckpointFormat::Processors);
    let stages = &network(&policy).backbone.as_ref().unwrap().stages;
    let stages: Vec<_> = stages.iter().map(|stage| (stage.width, stage.blocks)).collect();
    assert_eq!(stages, [(8, 2), (8, 2), (16, 2), (16, 2)]);
    assert_eq!(network(&policy).tokens, 10);
    assert_eq!(info.inputs[0].normalization, NormalizationMode::MeanStd);
    assert_eq!(info.inputs[0].statistics["mean"].len(), 6);
    let text = info.to_string();
    assert!(text.contains("resnet18: basic blocks x channels 2x8, 2x8, 2x16, 2x16"), "{text}");
    assert!(serde_json::to_string(info).unwrap().contains("\"trained_with_vae\":true"));

    let legacy = ActPolicy::load(&fixture("act_legacy_v033"), &LoadOptions::default()).unwrap();
    assert_eq!(legacy.info().format, CheckpointFormat::StatisticsInWeights);
}

#[test]
fn unknown_keys_are_reported_but_accepted() {
    let copy = Checkpoint::copy("act_tiny");
    copy.set("from_the_future", json!([1]));
    copy.edit_json("policy_preprocessor.json", |v| v["steps"][1]["config"]["later"] = json!(1));
    copy.edit_json("config.json", |v| drop(v.as_object_mut().unwrap().remove("type")));
    let policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let warnings = policy.info().warnings.join("\n");
    for part in ["unknown key from_the_future", "steps.1.config.later", "type is missing"] {
        assert!(warnings.contains(part), "{warnings}");
    }
    assert!(policy.info().to_string().contains("warning       config.json: unknown key"));
}

#[test]
fn observations_that_do_not_fit_are_refused() {
    let mut policy = tiny();
    let (state, image) = ([0.0; 6], vec![0; PIXELS]);
    let images: [&[u8]; 2] = [&image, &image];
    let mut actions = vec![0.0; 48];
    let mut predict = |vectors: &[&[f32]], images: &[&[u8]], actions: &mut [f32]| {
        policy.predict(&Observation { vectors, images }, actions)
    };
    assert_eq!(predict(&[&state], &images, &mut actions), Ok(()));
    let size = |feature: &str, needed, got| {
        Err(PredictError::Size { feature: feature.to_owned(), needed, got })
    };
    let name = "observation.state";
    assert_eq!(predict(&[&state[..5]], &images, &mut actions), size(name, 6, 5));
    assert_eq!(predict(&[], &images, &mut actions), size(name, 6, 0));
    let one_missing = size("observation.images.wrist", PIXELS, 0);
    assert_eq!(predict(&[&state], &images[..1], &mut actions), one_missing);
    let short: [&[u8]; 2] = [&image, &image[1..]];
    let wrong_size = size("observation.images.wrist", PIXELS, PIXELS - 1);
    assert_eq!(predict(&[&state], &short, &mut actions), wrong_size);
    let too_many = size("number of vectors", 1, 2);
    assert_eq!(predict(&[&state, &state], &images, &mut actions), too_many);
    let three: [&[u8]; 3] = [&image, &image, &image];
    assert_eq!(predict(&[&state], &three, &mut actions), size("number of images", 2, 3));
    assert_eq!(predict(&[&state], &images, &mut actions[1..]), size("action", 48, 47));
    for bad in [f32::NAN, f32::INFINITY] {
        let state = [0.0, 0.0, 0.0, bad, 0.0, 0.0];
        let feature = name.to_owned();
        let expected = Err(PredictError::NotFinite { feature, index: 3 });
        assert_eq!(predict(&[&state], &images, &mut actions), expected);
    }
}

/// Finite weights whose products are not: the policy says so instead of commanding them.
#[test]
fn actions_that_are_not_finite_are_refused() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_weights(|tensors| {
        let head = tensors.get_mut("model.action_head.weight").unwrap();
        *head = floats(&[6, 32], [f32::MAX; 192]);
    });
    let mut policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let (state, image) = ([0.0; 6], vec![0; PIXELS]);
    let observation = Observation { vectors: &[&state], images: &[&image, &image] };
    let refused = policy.predict(&observation, &mut [0.0; 48]);
    assert!(matches!(refused, Err(PredictError::NotFinite { feature, .. }) if feature == "action"));
}

#[test]
fn prediction_neither_allocates_nor_depends_on_the_past() {
    let mut policy = tiny();
    let image: Vec<u8> = (0..PIXELS).map(|index| (index * 7 % 256) as u8).collect();
    let dark = vec![0; PIXELS];
    let mut first = [0.0; 48];
    let state = [0.1, -0.2, 0.3, -0.4, 0.5, -0.6];
    let observation = Observation { vectors: &[&state], images: &[&image, &dark] };
    policy.predict(&observation, &mut first).unwrap();
    let other = Observation { vectors: &[&[9.0; 6]], images: &[&dark, &image] };
    policy.predict(&other, &mut [0.0; 48]).unwrap();
    let mut second = [0.0; 48];
    let allocations = allocation_counter::measure(|| {
        policy.predict(&observation, &mut second).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(first, second);
    let mut traced = [0.0; 48];
    policy.predict_traced(&observation, &mut traced, &mut Trace::new()).unwrap();
    assert_eq!(first, traced);
}

/// Changes statistics so that a range normalises exactly as mean and deviation did.
#[test]
fn ranges_and_quantiles_normalise_as_declared() {
    for (mode, names) in
        [("MIN_MAX", ["min", "max"]), ("QUANTILES", ["q01", "q99"]), ("QUANTILE10", ["q10", "q90"])]
    {
        let copy = Checkpoint::copy("act_tiny");
        for (file, json_file, step) in [
            (NORMALIZER, "policy_preprocessor.json", 3),
            (UNNORMALIZER, "policy_postprocessor.json", 0),
        ] {
            copy.edit_json(json_file, |v| {
                for kind in ["STATE", "ACTION", "VISUAL"] {
                    v["steps"][step]["config"]["norm_map"][kind] = json!(mode);
                }
            });
            copy.edit_tensors(file, |tensors| {
                let means: Vec<String> =
                    tensors.keys().filter(|name| name.ends_with(".mean")).cloned().collect();
                for name in means {
                    let feature = name.trim_end_matches(".mean");
                    let mean = values(&tensors[&name]);
                    let std = values(&tensors[&format!("{feature}.std")]);
                    let shape = tensors[&name].1.clone();
                    let low = mean.iter().zip(&std).map(|(mean, std)| mean - std);
                    let high = mean.iter().zip(&std).map(|(mean, std)| mean + std);
                    let (low, high) = (floats(&shape, low), floats(&shape, high));
                    tensors.insert(format!("{feature}.{}", names[0]), low);
                    tensors.insert(format!("{feature}.{}", names[1]), high);
                }
            });
        }
        let mut policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
        let golden = copy.path().join("inference.safetensors");
        let report = golden::check(policy.as_mut(), &golden).unwrap();
        assert!(report.passed(), "{mode}: {:?}", report.comparisons);
    }
}

#[test]
fn identity_passes_values_through_and_needs_no_statistics() {
    let copy = Checkpoint::copy("act_tiny");
    for (file, step) in [("policy_preprocessor.json", 3), ("policy_postprocessor.json", 0)] {
        copy.edit_json(file, |v| {
            v["steps"][step]["config"]["norm_map"] = json!({"STATE": "IDENTITY"});
        });
    }
    for file in [NORMALIZER, UNNORMALIZER] {
        copy.edit_tensors(file, |tensors| tensors.clear());
    }
    let mut policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    assert!(policy.info().warnings[0].contains("although config.json says MEAN_STD"));
    let (state, image) = ([3.0, 4.0, 5.0, 6.0, 7.0, 8.0], vec![51; PIXELS]);
    let observation = Observation { vectors: &[&state], images: &[&image, &image] };
    let mut trace = Trace::new();
    policy.predict_traced(&observation, &mut [0.0; 48], &mut trace).unwrap();
    let recorded = |name: &str| &trace.get(name).unwrap().values;
    assert_eq!(recorded("in.normalized.observation.state"), &state);
    assert!(recorded("in.normalized.observation.images.top").iter().all(|value| *value == 0.2));
    assert_eq!(recorded("out.action_chunk"), recorded("out.action_chunk_normalized"));
}

#[test]
fn only_listed_observations_are_normalised_where_a_list_is_given() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_json("policy_preprocessor.json", |v| {
        v["steps"][3]["config"]["normalize_observation_keys"] = json!(["observation.state"]);
    });
    let policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let modes: Vec<_> = policy.info().inputs.iter().map(|input| input.normalization).collect();
    use NormalizationMode::{Identity, MeanStd};
    assert_eq!(modes, [MeanStd, Identity, Identity]);
}

/// A camera of another name on the robot: inputs are asked for by the robot's name.
#[test]
fn renamed_observations_are_asked_for_by_their_source() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_json("policy_preprocessor.json", |v| {
        v["steps"][0]["config"]["rename_map"] =
            json!({"observation.images.front": "observation.images.top", "other": "unused"});
    });
    let policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    assert_eq!(policy.description().inputs[1].name, "observation.images.front");
    let renamed_to = policy.info().inputs[1].renamed_to.as_deref();
    assert_eq!(renamed_to, Some("observation.images.top"));
}

/// A state file that is not called what the position of its step suggests.
#[test]
fn state_files_are_found_by_their_declared_name() {
    let copy = Checkpoint::copy("act_tiny");
    std::fs::rename(copy.path().join(NORMALIZER), copy.path().join("state.safetensors")).unwrap();
    copy.edit_json("policy_preprocessor.json", |v| {
        v["steps"][3]["state_file"] = json!("state.safetensors");
    });
    sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
}

#[test]
fn a_wrong_policy_fails_the_comparison() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_weights(|tensors| {
        let bias = tensors.get_mut("model.action_head.bias").unwrap();
        let mut changed = values(bias);
        changed[3] += 2e-4;
        *bias = floats(&[6], changed);
    });
    let mut policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
    for file in ["inference.safetensors", "rollout.safetensors"] {
        let report = golden::check(policy.as_mut(), &copy.path().join(file)).unwrap();
        assert!(!report.passed(), "{file}");
        let failed = |name: &&golden::Comparison| !name.passed;
        assert!(report.comparisons.iter().filter(failed).all(|c| c.decides));
    }
}

#[test]
fn golden_files_that_prove_nothing_are_refused() {
    let refusal =
        |file: &str, edit: &dyn Fn(&mut std::collections::BTreeMap<String, support::Tensor>)| {
            let copy = Checkpoint::copy("act_tiny");
            copy.edit_tensors(file, |tensors| edit(tensors));
            let mut policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
            golden::check(policy.as_mut(), &copy.path().join(file)).unwrap_err()
        };
    let (one, many) = ("inference.safetensors", "rollout.safetensors");
    let error = refusal(one, &|t| t.retain(|name, _| !name.starts_with("out.")));
    assert!(matches!(error, GoldenError::NoOutput { .. }), "{error}");
    let error = refusal(one, &|t| drop(t.remove("in.raw.observation.images.top")));
    assert!(
        error.to_string().contains(
            "tensor in.raw.observation.images.top is missing, needed with shape [48, 64, 3]"
        ),
        "{error}"
    );
    let error = refusal(one, &|t| {
        drop(t.insert("in.raw.observation.state".into(), floats(&[5], [0.0; 5])))
    });
    assert!(error.to_string().contains("has shape [5], needed [6]"), "{error}");
    let error =
        refusal(one, &|t| drop(t.insert("out.action_chunk".into(), floats(&[1, 8, 5], [0.0; 40]))));
    assert!(error.to_string().contains("has shape [1, 8, 5], needed [1, 8, 6]"), "{error}");
    let error = refusal(one, &|t| drop(t.insert("out.other".into(), floats(&[1], [0.0]))));
    assert!(matches!(error, GoldenError::UnknownTensor { .. }), "{error}");
    let error = refusal(one, &|t| drop(t.insert("mid.other".into(), floats(&[1], [0.0]))));
    assert!(matches!(error, GoldenError::NotProduced { .. }), "{error}");
    let error =
        refusal(one, &|t| drop(t.insert("out.queue.action".into(), floats(&[1, 6], [0.0; 6]))));
    assert!(matches!(error, GoldenError::MixedLayouts { .. }), "{error}");
    let error = refusal(many, &|t| {
        drop(t.insert("in.raw.observation.state".into(), floats(&[6], [0.0; 6])))
    });
    assert!(matches!(error, GoldenError::Steps { .. }), "{error}");
    let error = refusal(many, &|t| {
        drop(t.insert("in.raw.observation.state".into(), floats(&[11, 6], [0.0; 66])))
    });
    assert!(error.to_string().contains("needed [11, 48, 64, 3]"), "{error}");
    let error = refusal(many, &|t| {
        drop(t.insert("out.ensemble_1000.action".into(), floats(&[12, 6], [0.0; 72])))
    });
    assert!(matches!(error, GoldenError::Execution(_)), "{error}");
}

/// The queue cannot be repeated without knowing how long it is.
#[test]
fn a_queue_without_its_length_is_refused() {
    let copy = Checkpoint::copy("act_tiny");
    let file = copy.path().join("rollout.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let key = bytes.windows(14).position(|window| window == b"n_action_steps").unwrap();
    bytes[key] = b'x';
    std::fs::write(&file, bytes).unwrap();
    let mut policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
    let error = golden::check(policy.as_mut(), &file).unwrap_err();
    assert!(error.to_string().contains("metadata n_action_steps is missing"), "{error}");
}

/// A third block that adds nothing: deeper stages than ResNet-18 has are read and run, and the
/// recorded outputs stay as they are.
#[test]
fn any_number_of_blocks_is_run() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_weights(|tensors| {
        for part in [
            "conv1.weight",
            "bn1.weight",
            "bn1.bias",
            "bn1.running_mean",
            "bn1.running_var",
            "conv2.weight",
            "bn2.weight",
            "bn2.bias",
            "bn2.running_mean",
            "bn2.running_var",
        ] {
            let mut tensor = tensors[&format!("model.backbone.layer3.1.{part}")].clone();
            if part.starts_with("bn2") {
                tensor = floats(&[16], [if part.ends_with("var") { 1.0 } else { 0.0 }; 16]);
            }
            tensors.insert(format!("model.backbone.layer3.2.{part}"), tensor);
        }
    });
    let mut policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    let stages = &network(&policy).backbone.as_ref().unwrap().stages;
    assert_eq!(stages[2].blocks, 3);
    let golden = copy.path().join("inference.safetensors");
    let report = golden::check(&mut policy, &golden).unwrap();
    assert!(report.comparisons.iter().all(|comparison| comparison.passed));
}

/// Cameras need not agree on a size; each contributes the tokens of its own map.
#[test]
fn cameras_of_different_sizes_work_together() {
    let copy = Checkpoint::copy("act_tiny");
    let shape = json!([3, 33, 97]);
    copy.edit_json("config.json", |v| {
        v["input_features"]["observation.images.wrist"]["shape"] = shape.clone();
    });
    copy.edit_json("policy_preprocessor.json", |v| {
        v["steps"][3]["config"]["features"]["observation.images.wrist"]["shape"] = shape;
    });
    let mut policy = ActPolicy::load(copy.path(), &LoadOptions::default()).unwrap();
    assert_eq!(network(&policy).tokens, 2 + 2 * 2 + 2 * 4);
    let (top, wrist) = (vec![100; PIXELS], vec![200; 33 * 97 * 3]);
    let observation = Observation { vectors: &[&[0.0; 6]], images: &[&top, &wrist] };
    let mut trace = Trace::new();
    policy.predict_traced(&observation, &mut [0.0; 48], &mut trace).unwrap();
    assert_eq!(trace.get("mid.backbone.cam1").unwrap().shape, [1, 16, 2, 4]);
}

#[test]
fn weights_of_two_bytes_change_actions_by_less_than_a_hundredth() {
    let image: Vec<u8> = (0..PIXELS).map(|index| (index * 7 % 256) as u8).collect();
    let observation = Observation { vectors: &[&[0.1; 6]], images: &[&image, &image] };
    let normalized = |precision| {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let mut policy = ActPolicy::load(&fixture("act_tiny"), &options).unwrap();
        let mut trace = Trace::new();
        policy.predict_traced(&observation, &mut [0.0; 48], &mut trace).unwrap();
        (trace.get("out.action_chunk_normalized").unwrap().values.clone(), policy.cost())
    };
    let (exact, cost) = normalized(Precision::F32);
    let (short, short_cost) = normalized(Precision::Bf16);
    let differences = exact.iter().zip(&short).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest > 0.0 && largest < 1e-2, "{largest}");
    assert_eq!(short_cost.weight_bytes * 2, cost.weight_bytes);
    assert_eq!(short_cost.products, cost.products);
}
