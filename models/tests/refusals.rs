//! What a checkpoint reader must not accept, and what its messages say.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use sinew_models::{Device, LoadOptions};
use support::{Checkpoint, floats, values};

const NORMALIZER: &str = "policy_preprocessor_step_3_normalizer_processor.safetensors";
const UNNORMALIZER: &str = "policy_postprocessor_step_0_unnormalizer_processor.safetensors";

/// Checks that each change leads to a message with all of these parts.
fn refused(checkpoint: &str, change: impl FnOnce(&Checkpoint), parts: &[&str]) {
    let copy = Checkpoint::copy(checkpoint);
    change(&copy);
    let message = copy.refusal();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn unsupported_values_of_the_configuration_are_named() {
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("type", json!("vqbet"), &["type is \"vqbet\"", "needed \"act\", \"diffusion\""]),
        ("n_obs_steps", json!(2), &["n_obs_steps is 2", "needed 1"]),
        ("n_obs_steps", json!("1"), &["n_obs_steps is \"1\"", "a whole number"]),
        ("use_peft", json!(true), &["use_peft is true", "merge the adapter"]),
        ("compile_model", json!(true), &["compile_model is true"]),
        (
            "replace_final_stride_with_dilation",
            json!(1),
            &["replace_final_stride_with_dilation is 1"],
        ),
        ("replace_final_stride_with_dilation", json!(2), &["is 2, needed true or false"]),
        ("feedforward_activation", json!("silu"), &["is \"silu\", needed relu or gelu"]),
        ("n_action_steps", json!(9), &["n_action_steps is 9", "at most chunk_size, which is 8"]),
        ("n_action_steps", json!(0), &["n_action_steps is 0, needed a whole number from 1"]),
        (
            "temporal_ensemble_coeff",
            json!(0.01),
            &["n_action_steps is 4", "temporal_ensemble_coeff"],
        ),
        ("temporal_ensemble_coeff", json!("0.01"), &["temporal_ensemble_coeff", "a finite number"]),
        ("n_heads", json!(5), &["n_heads is 5", "a divisor of dim_model, which is 32"]),
        ("n_heads", json!(0), &["n_heads is 0"]),
        ("dim_model", json!(1_u64 << 60), &["dim_model is 1152921504606846976, needed"]),
        ("dim_model", json!(-32), &["dim_model is -32"]),
        ("chunk_size", json!(1e300), &["chunk_size is 1e+300"]),
        ("vision_backbone", json!("vit_b"), &["vision_backbone is \"vit_b\", needed resnet"]),
        (
            "normalization_mapping",
            json!({"STATE": "Z_SCORE"}),
            &["normalization_mapping.STATE is \"Z_SCORE\"", "QUANTILE10"],
        ),
        ("normalization_mapping", Value::Null, &["key normalization_mapping is missing"]),
        (
            "input_features",
            json!({}),
            &["input_features is {}", "an image or observation.environment_state"],
        ),
        (
            "input_features",
            json!({"observation.state": {"type": "STATE", "shape": [6]}}),
            &["ACT cannot act on joint positions alone"],
        ),
        (
            "input_features",
            json!({"a": {"type": "LIDAR", "shape": [6]}}),
            &["input_features.a.type is \"LIDAR\""],
        ),
        (
            "input_features",
            json!({"a": {"type": "ACTION", "shape": [6]}}),
            &["input_features.a is", "STATE, ENV or VISUAL"],
        ),
        (
            "input_features",
            json!({"a": {"type": "ENV", "shape": [6]}}),
            &["observation.environment_state"],
        ),
        (
            "input_features",
            json!({"a": {"type": "VISUAL", "shape": [48, 64, 3]}}),
            &["input_features.a.shape.0 is 48"],
        ),
        (
            "input_features",
            json!({"a": {"type": "VISUAL", "shape": [3, 1_000_000, 64]}}),
            &["shape.1 is 1000000"],
        ),
        (
            "input_features",
            json!({"a": {"type": "VISUAL", "shape": [3, 4096, 4096]}}),
            &["at most 4194304 pixels"],
        ),
        (
            "input_features",
            json!({"a": {"type": "VISUAL", "shape": [3, 48]}}),
            &["[channels, height, width]"],
        ),
        ("output_features", json!({}), &["key output_features.action is missing"]),
        (
            "output_features",
            json!({"action": {"type": "STATE", "shape": [6]}}),
            &["needed a feature of type ACTION"],
        ),
    ];
    for (key, value, parts) in cases {
        refused("act_tiny", |copy| copy.set(key, value), parts);
    }
}

#[test]
fn unreadable_files_are_named() {
    let write = |file: &'static str, bytes: &'static [u8]| {
        move |copy: &Checkpoint| std::fs::write(copy.path().join(file), bytes).unwrap()
    };
    let remove = |file: &'static str| {
        move |copy: &Checkpoint| std::fs::remove_file(copy.path().join(file)).unwrap()
    };
    refused("act_tiny", write("config.json", b"{"), &["config.json: not valid JSON", "line 1"]);
    refused("act_tiny", write("config.json", b"[]"), &["the whole file", "an object"]);
    refused(
        "act_tiny",
        write("model.safetensors", b""),
        &["model.safetensors", "header of 0 bytes"],
    );
    refused("act_tiny", remove("config.json"), &["config.json: no such file"]);
    refused("act_tiny", remove("model.safetensors"), &["model.safetensors: no such file"]);
    refused("act_tiny", remove(NORMALIZER), &[NORMALIZER, "no such file"]);
    refused(
        "act_tiny",
        remove("policy_postprocessor.json"),
        &["policy_postprocessor.json: no such file"],
    );
    refused(
        "act_tiny",
        |copy| {
            remove("policy_preprocessor.json")(copy);
            remove("policy_postprocessor.json")(copy);
        },
        &["no normalisation statistics", "normalize_inputs.buffer_*"],
    );
    refused(
        "act_tiny",
        |copy| {
            let file = copy.path().join("model.safetensors");
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        },
        &["model.safetensors: tensor ", "truncated"],
    );
}

#[test]
fn processors_that_cannot_be_honoured_are_named() {
    let edit = |file: &'static str, edit: fn(&mut Value)| {
        move |copy: &Checkpoint| copy.edit_json(file, edit)
    };
    let pre = |change| edit("policy_preprocessor.json", change);
    let post = |change| edit("policy_postprocessor.json", change);
    refused(
        "act_tiny",
        pre(|v| v["steps"][1]["registry_name"] = json!("delta_action_processor")),
        &["steps.1.registry_name is \"delta_action_processor\"", "to_batch_processor"],
    );
    refused(
        "act_tiny",
        post(|v| v["steps"][1]["registry_name"] = json!("to_batch_processor")),
        &["policy_postprocessor.json: steps.1.registry_name"],
    );
    refused(
        "act_tiny",
        pre(|v| drop(v["steps"].as_array_mut().unwrap().remove(3))),
        &["0 steps are called normalizer_processor, needed exactly one"],
    );
    refused(
        "act_tiny",
        pre(|v| {
            let step = v["steps"][3].clone();
            v["steps"].as_array_mut().unwrap().push(step);
        }),
        &["2 steps are called normalizer_processor"],
    );
    refused(
        "act_tiny",
        pre(|v| v["steps"][2]["config"]["float_dtype"] = json!("float16")),
        &["steps.2.config.float_dtype is \"float16\", needed null or float32"],
    );
    refused("act_tiny", pre(|v| v["steps"][3]["config"]["eps"] = json!(-1)), &["config.eps is -1"]);
    refused(
        "act_tiny",
        pre(|v| v["steps"][3]["config"]["norm_map"]["STATE"] = json!("ZSCORE")),
        &["steps.3.config.norm_map.STATE is \"ZSCORE\""],
    );
    for outside in ["../state.safetensors", "/etc/passwd", "..", ""] {
        refused(
            "act_tiny",
            |copy| {
                copy.edit_json("policy_preprocessor.json", |v| {
                    v["steps"][3]["state_file"] = json!(outside);
                });
            },
            &["steps.3.state_file is", "a file in the same folder"],
        );
    }
    refused(
        "act_tiny",
        pre(|v| {
            let features = v["steps"][3]["config"]["features"].as_object_mut().unwrap();
            features.remove("observation.images.wrist");
        }),
        &["features lacks observation.images.wrist", "config.json declares"],
    );
    refused(
        "act_tiny",
        pre(|v| v["steps"][3]["config"]["features"]["observation.state"]["shape"] = json!([7])),
        &["features.observation.state is STATE [7]", "declares STATE [6]"],
    );
    refused(
        "act_tiny",
        pre(|v| v["steps"][3]["config"]["features"]["action"]["shape"] = json!([7])),
        &["policy_preprocessor.json", "features.action is ACTION [7]"],
    );
    refused(
        "act_tiny",
        post(|v| v["steps"][0]["config"]["norm_map"]["ACTION"] = json!("MIN_MAX")),
        &["features.action is MEAN_STD", "declares MIN_MAX"],
    );
    refused(
        "act_tiny",
        pre(|v| {
            v["steps"][0]["config"]["rename_map"] =
                json!({"a": "observation.state", "b": "observation.state"});
        }),
        &["rename_map leaves input observation.state with 2 sources"],
    );
    refused(
        "act_tiny",
        pre(|v| v["steps"][0]["config"]["rename_map"] = json!({"observation.state": "elsewhere"})),
        &["rename_map leaves input observation.state with 0 sources"],
    );
}

#[test]
fn unusable_statistics_are_named() {
    let state = |file: &'static str, tensor: &'static str, new: Option<Vec<f32>>| {
        move |copy: &Checkpoint| {
            copy.edit_tensors(file, |tensors| match new {
                Some(values) => {
                    drop(tensors.insert(tensor.to_owned(), floats(&[values.len()], values)))
                }
                None => drop(tensors.remove(tensor)),
            });
        }
    };
    refused(
        "act_tiny",
        state(NORMALIZER, "observation.state.std", None),
        &["statistic observation.state.std is missing", "MEAN_STD"],
    );
    refused(
        "act_tiny",
        state(UNNORMALIZER, "action.mean", None),
        &[UNNORMALIZER, "statistic action.mean is missing"],
    );
    refused(
        "act_tiny",
        state(NORMALIZER, "observation.state.std", Some(vec![1.0, 1.0, 0.0, 1.0, 1.0, 1.0])),
        &["observation.state.std[2] is 0", "a positive number"],
    );
    refused(
        "act_tiny",
        state(UNNORMALIZER, "action.std", Some(vec![1.0, -1.0, 1.0, 1.0, 1.0, 1.0])),
        &["action.std[1] is -1"],
    );
    refused(
        "act_tiny",
        state(NORMALIZER, "observation.state.mean", Some(vec![f32::NAN; 6])),
        &["observation.state.mean holds NaN at index 0"],
    );
    refused(
        "act_tiny",
        state(NORMALIZER, "observation.state.mean", Some(vec![0.0; 7])),
        &["observation.state.mean has shape [7], needed [6]"],
    );
    refused(
        "act_tiny",
        state(NORMALIZER, "observation.images.top.std", Some(vec![1.0; 1])),
        &["needed [3, 1, 1] or [3]"],
    );
    refused(
        "act_tiny",
        state(UNNORMALIZER, "action.std", Some(vec![0.5; 6])),
        &["action.std[0]", "but", "different trainings"],
    );
    refused(
        "act_tiny",
        |copy| {
            for file in ["policy_preprocessor.json", "policy_postprocessor.json"] {
                let step = if file.contains("pre") { 3 } else { 0 };
                copy.edit_json(file, |v| {
                    v["steps"][step]["config"]["norm_map"]["STATE"] = json!("QUANTILES");
                });
            }
        },
        &["statistic observation.state.q01 is missing", "QUANTILES"],
    );
}

#[test]
fn unusable_weights_are_named() {
    let remove = |name: &'static str| {
        move |copy: &Checkpoint| copy.edit_weights(|tensors| drop(tensors.remove(name)))
    };
    refused(
        "act_tiny",
        remove("model.encoder.layers.1.linear2.bias"),
        &["tensor model.encoder.layers.1.linear2.bias is missing, needed with shape [32]"],
    );
    refused(
        "act_tiny",
        remove("model.backbone.layer3.0.downsample.0.weight"),
        &["downsample.0.weight is missing"],
    );
    refused(
        "act_tiny",
        remove("model.backbone.layer3.0.conv1.weight"),
        &["layer3.0.conv1.weight is missing"],
    );
    refused(
        "act_tiny",
        remove("model.backbone.layer2.1.conv1.weight"),
        &["unknown tensor(s)", "model.backbone.layer2.1.bn1.bias"],
    );

    let replace = |name: &'static str, tensor: support::Tensor| {
        move |copy: &Checkpoint| {
            copy.edit_weights(|tensors| drop(tensors.insert(name.to_owned(), tensor)));
        }
    };
    refused(
        "act_tiny",
        replace("model.action_head.bias", floats(&[7], [0.0; 7])),
        &["tensor model.action_head.bias has shape [7], needed [6]"],
    );
    refused(
        "act_tiny",
        replace("model.action_head.bias", (safetensors::Dtype::F16, vec![6], vec![0; 12])),
        &["tensor model.action_head.bias has type F16, needed F32"],
    );
    refused(
        "act_tiny",
        replace("model.action_head.bias", floats(&[6], [0.0, 0.0, f32::INFINITY, 0.0, 0.0, 0.0])),
        &["tensor model.action_head.bias holds inf at index 2"],
    );
    refused(
        "act_tiny",
        replace("model.backbone.bn1.running_var", floats(&[8], [-0.5; 8])),
        &["model.backbone.bn1.running_var holds -0.5 at index 0", "variances of 0 or more"],
    );
    refused(
        "act_tiny",
        replace("model.backbone.layer1.0.conv3.weight", floats(&[1], [0.0])),
        &[
            "model.backbone.layer1.0.conv3.weight belongs to a bottleneck block",
            "resnet18 or resnet34",
        ],
    );
    refused(
        "act_tiny",
        replace("model.backbone.conv1.weight", floats(&[0, 3, 7, 7], [])),
        &["needed [1 or more, 3, 7, 7]"],
    );
    refused(
        "act_tiny",
        replace("model._orig_mod.x", floats(&[1], [0.0])),
        &["1 unknown tensor(s): model._orig_mod.x"],
    );
    refused(
        "act_tiny",
        |copy| copy.set("use_vae", json!(false)),
        &["unknown tensor(s): model.vae_encoder"],
    );
    refused(
        "act_tiny",
        |copy| copy.set("pre_norm", json!(true)),
        &["model.encoder.norm.weight is missing"],
    );
    // LeRobot declares glu, but its own layers do not fit it.
    refused(
        "act_tiny",
        |copy| copy.set("feedforward_activation", json!("glu")),
        &["is \"glu\", needed relu or gelu"],
    );
}

#[test]
fn images_that_would_fill_the_memory_are_refused_before_they_do() {
    let copy = Checkpoint::copy("act_tiny");
    let channels = 1 << 14;
    copy.edit_weights(|tensors| {
        let stem = "model.backbone.conv1.weight".to_owned();
        tensors.insert(stem, floats(&[channels, 3, 7, 7], vec![0.0; channels * 147]));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            let name = format!("model.backbone.bn1.{part}");
            tensors.insert(name, floats(&[channels], vec![0.0; channels]));
        }
        let width = 8;
        let first = "model.backbone.layer1.0.conv1.weight".to_owned();
        let shape = [width, channels, 3, 3];
        tensors.insert(first, floats(&shape, vec![0.0; shape.iter().product()]));
        let shortcut = "model.backbone.layer1.0.downsample";
        let shape = [width, channels, 1, 1];
        tensors.insert(format!("{shortcut}.0.weight"), floats(&shape, vec![0.0; width * channels]));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            tensors.insert(format!("{shortcut}.1.{part}"), floats(&[width], vec![0.0; width]));
        }
    });
    let larger = |v: &mut Value, path: &str| {
        for camera in ["top", "wrist"] {
            let pointer = format!("{path}/observation.images.{camera}/shape");
            *v.pointer_mut(&pointer).unwrap() = json!([3, 1024, 1024]);
        }
    };
    copy.edit_json("config.json", |v| larger(v, "/input_features"));
    copy.edit_json("policy_preprocessor.json", |v| larger(v, "/steps/3/config/features"));
    let message = copy.refusal();
    assert!(message.contains("bytes of feature maps, at most 2147483648 are allowed"), "{message}");
}

#[test]
fn statistics_among_the_weights_are_checked_too() {
    let change = |tensor: &'static str, new: Option<Vec<f32>>| {
        move |copy: &Checkpoint| {
            copy.edit_weights(|tensors| match new {
                Some(values) => {
                    drop(tensors.insert(tensor.to_owned(), floats(&[values.len()], values)))
                }
                None => drop(tensors.remove(tensor)),
            });
        }
    };
    refused(
        "act_legacy_v033",
        change("normalize_inputs.buffer_observation_images_top_cam.mean", None),
        &[
            "normalize_inputs.buffer_observation_images_top_cam.mean is missing",
            "observation.images.top_cam",
        ],
    );
    // LeRobot fills statistics with infinity until it knows them.
    refused(
        "act_legacy_v033",
        change("normalize_inputs.buffer_observation_state.std", Some(vec![f32::INFINITY; 6])),
        &["buffer_observation_state.std holds inf"],
    );
    refused(
        "act_legacy_v033",
        change("normalize_targets.buffer_action.mean", Some(vec![0.0; 6])),
        &["action.mean[0]", "different trainings"],
    );
    refused(
        "act_legacy_v033",
        change("normalize_inputs.so100_buffer_observation_state.mean", Some(vec![0.0; 6])),
        &["unknown tensor(s): normalize_inputs.so100_buffer_observation_state.mean"],
    );
    refused(
        "act_legacy_v033",
        |copy| {
            copy.edit_json("config.json", |v| {
                v["normalization_mapping"]["STATE"] = json!("QUANTILES");
            })
        },
        &["observation.state is normalised by QUANTILES, which LeRobot up to 0.3 does not have"],
    );
    refused(
        "act_legacy_v033",
        |copy| {
            copy.edit_json("config.json", |v| {
                v["input_features"]["observation.images_top.cam"] =
                    v["input_features"]["observation.images.top_cam"].clone();
            });
        },
        &["both have statistics called observation_images_top_cam"],
    );
    refused(
        "act_legacy_v033",
        |copy| std::fs::write(copy.path().join("policy_preprocessor.json"), "{}").unwrap(),
        &["holds processor files", "normalize_inputs.buffer_"],
    );
}

/// A copy that is written back unchanged loads; otherwise the tests above would prove little.
#[test]
fn an_unchanged_copy_is_accepted() {
    let copy = Checkpoint::copy("act_tiny");
    copy.edit_weights(|tensors| assert_eq!(values(&tensors["model.action_head.bias"]).len(), 6));
    copy.set("dropout", json!(0.5));
    sinew_models::load(copy.path(), &sinew_models::LoadOptions::default()).unwrap();
}

#[test]
fn unsupported_values_of_a_diffusion_configuration_are_named() {
    let cases: Vec<(&str, Value, &[&str])> = vec![
        (
            "noise_scheduler_type",
            json!("EDM"),
            &["noise_scheduler_type is \"EDM\"", "DDPM or DDIM"],
        ),
        ("noise_scheduler_type", json!(1), &["a string"]),
        (
            "beta_schedule",
            json!("sigmoid"),
            &["is \"sigmoid\", needed squaredcos_cap_v2, linear or"],
        ),
        ("beta_end", json!(1.5), &["beta_end is 1.5", "below 1"]),
        (
            "prediction_type",
            json!("v_prediction"),
            &["is \"v_prediction\", needed epsilon or sample"],
        ),
        ("clip_sample_range", json!(0), &["clip_sample_range is 0, needed a number above 0"]),
        ("num_inference_steps", json!(101), &["num_inference_steps is 101", "from 1 to 100"]),
        ("num_train_timesteps", json!(0), &["num_train_timesteps is 0"]),
        ("n_obs_steps", json!(0), &["n_obs_steps is 0"]),
        (
            "n_action_steps",
            json!(8),
            &["n_action_steps is 8", "horizon - n_obs_steps + 1, which is 7"],
        ),
        ("horizon", json!(12), &["horizon is 12, needed a multiple of 8"]),
        ("horizon", Value::Null, &["key horizon is missing"]),
        ("use_group_norm", Value::Null, &["key use_group_norm is missing"]),
        ("use_separate_rgb_encoder_per_camera", Value::Null, &["per_camera is missing"]),
        ("down_dims", json!([]), &["down_dims is [], needed a list of 1 to"]),
        ("down_dims", json!([16, 0, 32]), &["down_dims.1 is 0"]),
        ("n_groups", json!(5), &["n_groups is 5, needed a divisor", "16 among them"]),
        ("kernel_size", json!(4), &["kernel_size is 4, needed an odd number"]),
        ("diffusion_step_embed_dim", json!(15), &["diffusion_step_embed_dim is 15", "even"]),
        ("use_peft", json!(true), &["use_peft is true", "merge the adapter"]),
        ("vision_backbone", json!("vit_b"), &["vision_backbone is \"vit_b\", needed resnet"]),
        ("crop_shape", json!([49, 56]), &["crop_shape is [49,56], needed at most [48, 64]"]),
        ("crop_shape", json!([49]), &["crop_shape is [49], needed [height, width]"]),
        ("crop_ratio", json!(0.0), &["crop_ratio is 0.0"]),
        ("resize_shape", json!([36, 40]), &["crop_shape is [40,56], needed null", "crop_ratio"]),
        (
            "input_features",
            json!({"observation.state": {"type": "STATE", "shape": [4]}}),
            &["Diffusion Policy cannot act on joint positions alone"],
        ),
        (
            "input_features",
            json!({"observation.image": {"type": "VISUAL", "shape": [3, 48, 64]}}),
            &["needed observation.state among the inputs"],
        ),
        (
            "input_features",
            json!({
                "observation.state": {"type": "STATE", "shape": [4]},
                "observation.images.a": {"type": "VISUAL", "shape": [3, 48, 64]},
                "observation.images.b": {"type": "VISUAL", "shape": [3, 64, 48]},
            }),
            &["needed images of one shape", "stacks its cameras"],
        ),
    ];
    for (key, value, parts) in cases {
        refused("diffusion_tiny", |copy| copy.set(key, value), parts);
    }
}

#[test]
fn weights_that_contradict_a_diffusion_configuration_are_named() {
    let rename = |from: &'static str, to: Option<&'static str>| {
        move |copy: &Checkpoint| {
            copy.edit_weights(|tensors| {
                let tensor = tensors.remove(from).unwrap();
                if let Some(to) = to {
                    tensors.insert(to.to_owned(), tensor);
                }
            });
        }
    };
    type Change = Box<dyn FnOnce(&Checkpoint)>;
    let cases: Vec<(Change, &[&str])> = vec![
        (
            Box::new(rename("diffusion.unet.mid_modules.1.conv1.block.0.bias", None)),
            &["tensor diffusion.unet.mid_modules.1.conv1.block.0.bias is missing"],
        ),
        (
            Box::new(|copy| {
                copy.edit_json("config.json", |config| {
                    config.as_object_mut().unwrap().remove("crop_shape");
                });
            }),
            &["crop_shape is missing", "or null: LeRobot's default has changed"],
        ),
        (
            Box::new(|copy| copy.set("down_dims", json!([16, 24]))),
            &["tensor diffusion.unet.mid_modules.0", "has shape"],
        ),
        (
            Box::new(|copy| copy.set("n_obs_steps", json!(1))),
            &["cond_encoder.1.weight has shape [32, 72], needed [32, 44]"],
        ),
        (
            Box::new(|copy| copy.set("use_film_scale_modulation", json!(false))),
            &["cond_encoder.1.weight has shape [32, 72], needed [16, 72]"],
        ),
        (
            Box::new(|copy| copy.set("crop_shape", json!([30, 56]))),
            &["tensor diffusion.rgb_encoder.pool.pos_grid has shape [4, 2], needed [2, 2]"],
        ),
        (
            Box::new(|copy| copy.set("use_group_norm", json!(false))),
            &["tensor diffusion.rgb_encoder.backbone.1.running_mean is missing"],
        ),
        (
            Box::new(|copy| copy.set("use_separate_rgb_encoder_per_camera", json!(true))),
            &["diffusion.rgb_encoder.0.backbone.0.weight is missing"],
        ),
        (
            Box::new(|copy| {
                copy.edit_weights(|tensors| {
                    let extra = floats(&[1], [0.0]);
                    tensors.insert("diffusion.unet.extra".to_owned(), extra);
                });
            }),
            &["1 unknown tensor(s): diffusion.unet.extra"],
        ),
        (
            Box::new(|copy| {
                copy.edit_weights(|tensors| {
                    let bias = tensors["diffusion.unet.final_conv.1.bias"].clone();
                    tensors.insert("diffusion.unet._orig_mod.final_conv.1.bias".to_owned(), bias);
                });
            }),
            &["tensor diffusion.unet.final_conv.1.bias is listed twice"],
        ),
        (
            Box::new(|copy| {
                copy.edit_weights(|tensors| {
                    let grid = tensors.get_mut("diffusion.rgb_encoder.pool.pos_grid").unwrap();
                    *grid = floats(&[4, 2], [-1.0, -1.0, 0.9, -1.0, -1.0, 1.0, 1.0, 1.0]);
                });
            }),
            &["pos_grid holds 0.9 at index 2", "coordinates of the backbone's pixels"],
        ),
    ];
    for (change, parts) in cases {
        refused("diffusion_tiny", change, parts);
    }
}

#[test]
fn a_device_that_this_build_lacks_is_refused_with_the_feature_that_has_it() {
    for (device, feature) in
        [(Device::Gpu, "wgpu"), (Device::Ndarray, "ndarray"), (Device::Flex, "train")]
    {
        if device.is_built() {
            continue;
        }
        let options = LoadOptions { device, ..LoadOptions::default() };
        let error = sinew_models::load(&support::fixture("act_tiny"), &options).err().unwrap();
        let text = error.to_string();
        for part in [device.name(), "needed cpu", &format!("--features {feature}")] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}
