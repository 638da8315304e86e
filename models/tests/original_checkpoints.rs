//! Checkpoints of the original ACT programs are converted to what LeRobot would have saved.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use sinew_models::golden::check;
use sinew_models::original::{Camera, Conversion, ConvertError, convert};
use sinew_models::{ActPolicy, Colors, LoadOptions, Observation, Policy, Trace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::fixture;
use support::torch_file::{self, Tensor, read_state_dict};
use tempfile::TempDir;

/// The recorded checkpoint in a folder of its own, to be changed.
struct Original {
    folder: TempDir,
    tensors: BTreeMap<String, Tensor>,
    statistics: BTreeMap<&'static str, Vec<f32>>,
}

impl Original {
    fn new() -> Self {
        let statistics = ["action_mean", "action_std", "qpos_mean", "qpos_std"];
        Self {
            folder: tempfile::tempdir().unwrap(),
            tensors: read_state_dict(&fixture("act_original_repo/policy_best.ckpt")),
            statistics: statistics.map(|name| (name, vec![0.5; 14])).into(),
        }
    }

    /// Keeps the first `state` columns and `action` rows, or repeats the last.
    fn resize(&mut self, state: usize, action: usize) {
        let tensors = &mut self.tensors;
        let mut columns = |name: &str, count: usize| {
            let (shape, values) = tensors.get_mut(name).unwrap();
            let rows = values.chunks_exact(shape[1]);
            let resized = rows.flat_map(|row| (0..count).map(|i| row[i.min(row.len() - 1)]));
            (*values, shape[1]) = (resized.collect(), count);
        };
        columns("model.input_proj_robot_state.weight", state);
        columns("model.encoder_joint_proj.weight", state);
        columns("model.encoder_action_proj.weight", action);
        for (name, width) in [("model.action_head.weight", 32), ("model.action_head.bias", 1)] {
            let (shape, values) = tensors.get_mut(name).unwrap();
            let last = values[values.len() - width..].to_vec();
            while values.len() < action * width {
                values.extend(&last);
            }
            values.truncate(action * width);
            shape[0] = action;
        }
        for (name, values) in &mut self.statistics {
            values.resize(if name.starts_with("qpos") { state } else { action }, 0.5);
        }
    }

    /// Gives the second camera a copy of the backbone.
    fn copy_backbone(&mut self) {
        let copies = self.tensors.iter().filter_map(|(name, tensor)| {
            let part = name.strip_prefix("model.backbones.0.")?;
            Some((format!("model.backbones.1.{part}"), tensor.clone()))
        });
        let copies: Vec<_> = copies.collect();
        self.tensors.extend(copies);
    }

    fn convert_as(&self, conversion: &Conversion) -> Result<(PathBuf, Vec<String>), ConvertError> {
        let path = self.folder.path();
        let bytes = torch_file::state_dict(&self.tensors);
        std::fs::write(path.join("policy_best.ckpt"), bytes).unwrap();
        let bytes = torch_file::statistics(&self.statistics);
        std::fs::write(path.join("dataset_stats.pkl"), bytes).unwrap();
        let out = path.join("converted");
        let _ = std::fs::remove_dir_all(&out);
        convert(conversion, &out).map(|notes| (out, notes))
    }

    fn options(&self) -> Conversion {
        conversion(self.folder.path())
    }

    fn convert(&self) -> Result<(PathBuf, Vec<String>), ConvertError> {
        self.convert_as(&self.options())
    }

    fn refusal(&self) -> String {
        let error = self.convert().unwrap_err().to_string();
        assert!(error.contains(&self.folder.path().display().to_string()), "{error}");
        // Nothing is left behind.
        let mut left = std::fs::read_dir(self.folder.path()).unwrap();
        assert!(left.all(|entry| entry.unwrap().path().is_file()));
        error
    }
}

fn conversion(from: &Path) -> Conversion {
    let camera = |name: &str| Camera { name: name.to_owned(), height: 48, width: 64 };
    Conversion {
        from: from.to_path_buf(),
        statistics: None,
        cameras: vec![camera("top"), camera("wrist")],
        heads: Some(4),
        colors: Colors::Rgb,
        qpos: None,
        actions: None,
        chunk: None,
    }
}

fn json_of(folder: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

/// Two images that differ in every channel, for a policy of two cameras.
fn images() -> [Vec<u8>; 2] {
    [7, 13].map(|step| (0..48 * 64 * 3).map(|i| ((i * step + i / 97) % 251) as u8).collect())
}

fn turned(image: &[u8]) -> Vec<u8> {
    image.as_chunks().0.iter().flat_map(|[r, g, b]| [*b, *g, *r]).collect()
}

fn predict(folder: &Path, images: &[Vec<u8>; 2]) -> (Vec<f32>, Trace) {
    let mut policy = ActPolicy::load(folder, &LoadOptions::default()).unwrap();
    let size = policy.description().chunk_size * policy.description().action_size;
    let state = vec![0.25; policy.description().inputs[0].shape[0]];
    let (mut actions, mut trace) = (vec![0.0; size], Trace::new());
    let images = [images[0].as_slice(), &images[1]];
    let observation = Observation { vectors: &[&state], images: &images };
    policy.predict_traced(&observation, &mut actions, &mut trace).unwrap();
    (actions, trace)
}

#[test]
fn the_converted_checkpoint_acts_as_the_original_program() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    let notes = convert(&conversion(&fixture("act_original_repo")), &out).unwrap();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("of 3 decoder layers only the first counts"), "{notes:?}");
    let mut policy = sinew_models::load(&out, &LoadOptions::default()).unwrap();
    let golden = fixture("act_original_repo/inference.safetensors");
    let report = check(policy.as_mut(), &golden).unwrap();
    assert_eq!(report.comparisons.len(), 2);
    report.comparisons.iter().for_each(|comparison| println!("{comparison}"));
    assert!(report.passed());
    // The number of heads is the one thing of the network that no tensor tells: it matters.
    let wrong = Conversion { heads: None, ..conversion(&fixture("act_original_repo")) };
    let out = folder.path().join("wrong");
    let notes = convert(&wrong, &out).unwrap();
    assert!(notes[1].contains("8 attention heads are assumed"), "{notes:?}");
    assert!(
        !check(sinew_models::load(&out, &LoadOptions::default()).unwrap().as_mut(), &golden)
            .unwrap()
            .passed()
    );
}

/// The renamed state dict has the names and shapes that LeRobot 0.6.1 gives this network, except
/// those of layers that inference and training do not use.
#[test]
fn names_and_shapes_are_those_of_lerobot() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    convert(&conversion(&fixture("act_original_repo")), &out).unwrap();
    let tensors = |folder: &Path| -> Vec<String> {
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
        // The variational encoder has one layer there and two here.
        names.retain(|name| !name.starts_with("model.vae_encoder.layers.1."));
        names.sort();
        names
    };
    let lerobot = fixture("act_tiny");
    assert_eq!(tensors(&out), tensors(&lerobot));

    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (ours, theirs) = (json_of(&out, "config.json"), json_of(&lerobot, "config.json"));
    assert_eq!(keys(&ours), keys(&theirs));
    assert_eq!(ours["latent_dim"], json!(32));
    assert_eq!(ours["n_vae_encoder_layers"], json!(2));
    for file in ["policy_preprocessor.json", "policy_postprocessor.json"] {
        let (ours, theirs) = (json_of(&out, file), json_of(&lerobot, file));
        assert_eq!(keys(&ours), keys(&theirs));
        let steps = |value: &Value| value["steps"].as_array().unwrap().clone();
        for (ours, theirs) in steps(&ours).iter().zip(&steps(&theirs)) {
            assert_eq!(keys(ours), keys(theirs));
            assert_eq!(ours["registry_name"], theirs["registry_name"]);
            assert_eq!(ours["state_file"], theirs["state_file"]);
            assert_eq!(keys(&ours["config"]), keys(&theirs["config"]));
        }
        assert_eq!(steps(&ours).len(), steps(&theirs).len());
    }
}

#[test]
fn backbones_that_are_the_same_become_one() {
    let mut original = Original::new();
    let (out, _) = original.convert().unwrap();
    let one = std::fs::read(out.join("model.safetensors")).unwrap();
    original.copy_backbone();
    let (out, notes) = original.convert().unwrap();
    assert!(notes.iter().any(|note| note.contains("2 backbones are the same")), "{notes:?}");
    assert_eq!(std::fs::read(out.join("model.safetensors")).unwrap(), one);
    assert!(json_of(&out, "config.json").get("sinew").is_none());
}

#[test]
fn each_camera_sees_through_its_own_backbone() {
    let mut original = Original::new();
    let (out, _) = original.convert().unwrap();
    let (_, with_first) = predict(&out, &images());

    let mut other = Original::new();
    let change = |tensors: &mut BTreeMap<String, Tensor>, index: usize| {
        let name = format!("model.backbones.{index}.0.body.layer3.0.conv1.weight");
        tensors.get_mut(&name).unwrap().1.iter_mut().for_each(|value| *value *= -1.5);
    };
    change(&mut other.tensors, 0);
    let (out, _) = other.convert().unwrap();
    let (_, with_other) = predict(&out, &images());

    original.copy_backbone();
    change(&mut original.tensors, 1);
    let (out, notes) = original.convert().unwrap();
    assert!(notes.iter().any(|note| note.contains("LeRobot cannot load")), "{notes:?}");
    let extension = json!({ "backbone_per_camera": true, "colors": "rgb" });
    assert_eq!(json_of(&out, "config.json")["sinew"], extension);
    let (_, trace) = predict(&out, &images());
    let map = |trace: &Trace, camera: usize| {
        trace.get(&format!("mid.backbone.cam{camera}")).unwrap().values.clone()
    };
    assert_eq!(map(&trace, 0), map(&with_first, 0));
    assert_eq!(map(&trace, 1), map(&with_other, 1));
    assert_ne!(map(&trace, 1), map(&with_first, 1));
    let info = ActPolicy::load(&out, &LoadOptions::default()).unwrap().info().to_string();
    assert!(info.contains("2x16, one for each camera"), "{info}");

    // As many cameras as backbones, no more and no fewer.
    let mut conversion = original.options();
    conversion.cameras.pop();
    let error = original.convert_as(&conversion).unwrap_err().to_string();
    assert!(error.contains("2 backbone(s) and was given 1 camera(s), needed 2"), "{error}");
}

/// Whoever wrote the key `sinew` meant this reader: nothing in it is ignored.
#[test]
fn what_goes_beyond_lerobot_is_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    convert(&conversion(&fixture("act_original_repo")), &out).unwrap();
    let refusal = |extension: Value| {
        let mut config = json_of(&out, "config.json");
        config["sinew"] = extension;
        std::fs::write(out.join("config.json"), config.to_string()).unwrap();
        ActPolicy::load(&out, &LoadOptions::default()).err().unwrap().to_string()
    };
    for (extension, expected) in [
        (json!({ "colors": "brg" }), "sinew.colors is \"brg\", needed rgb or bgr"),
        (json!({ "backbone_per_camera": "yes" }), "sinew.backbone_per_camera is \"yes\""),
        (
            json!({ "other": 1 }),
            "sinew.other is 1, needed no other keys than backbone_per_camera, signed_features, colors, cameras, background, keep,",
        ),
        (json!([]), "sinew is [], needed an object"),
        (
            json!({ "backbone_per_camera": true }),
            "tensor model.backbones.0.conv1.weight is missing",
        ),
    ] {
        let message = refusal(extension);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn blue_first_is_red_first_with_turned_images() {
    let original = Original::new();
    let (out, _) = original.convert().unwrap();
    let (expected, _) = predict(&out, &images());
    let conversion = Conversion { colors: Colors::Bgr, ..original.options() };
    let (out, _) = original.convert_as(&conversion).unwrap();
    let [top, wrist] = images();
    assert_eq!(predict(&out, &[turned(&top), turned(&wrist)]).0, expected);
    assert_ne!(predict(&out, &[top, wrist]).0, expected);
    assert!(
        ActPolicy::load(&out, &LoadOptions::default())
            .unwrap()
            .info()
            .to_string()
            .contains("trained on BGR")
    );
}

#[test]
fn one_arm_and_a_mobile_base_are_sizes_of_tensors() {
    for (state, action) in [(7, 8), (14, 16)] {
        let mut original = Original::new();
        original.resize(state, action);
        let (out, notes) = original.convert().unwrap();
        let policy = ActPolicy::load(&out, &LoadOptions::default()).unwrap();
        let description = policy.description();
        assert_eq!((description.inputs[0].shape[0], description.action_size), (state, action));
        let expected = format!("{action} actions for {state} positions");
        assert!(notes.iter().any(|note| note.starts_with(&expected)), "{notes:?}");
        predict(&out, &images());
    }
}

#[test]
fn actions_that_no_joint_takes_can_be_cut_off() {
    let mut original = Original::new();
    original.resize(7, 8);
    let (out, _) = original.convert().unwrap();
    let (all, _) = predict(&out, &images());
    let (out, notes) =
        original.convert_as(&Conversion { actions: Some(7), ..original.options() }).unwrap();
    assert!(notes.iter().any(|note| note.starts_with("the last 1 of 8 actions are cut off")));
    let expected: Vec<f32> = all.chunks_exact(8).flat_map(|action| &action[..7]).copied().collect();
    assert_eq!(predict(&out, &images()).0, expected);
    for actions in [0, 9] {
        let conversion = Conversion { actions: Some(actions), ..original.options() };
        let error = original.convert_as(&conversion).unwrap_err().to_string();
        assert!(error.contains("has 8 actions"), "{error}");
    }
}

#[test]
fn a_policy_without_variational_encoder_is_converted() {
    let mut original = Original::new();
    original.tensors.retain(|name, _| !name.starts_with("model.encoder.layers."));
    let (out, _) = original.convert().unwrap();
    assert_eq!(json_of(&out, "config.json")["use_vae"], json!(false));
    predict(&out, &images());
}

#[test]
fn joint_positions_may_have_another_name() {
    let original = Original::new();
    let conversion = Conversion { qpos: Some("qpos".to_owned()), ..original.options() };
    let (out, _) = original.convert_as(&conversion).unwrap();
    let policy = ActPolicy::load(&out, &LoadOptions::default()).unwrap();
    assert_eq!(policy.description().inputs[0].name, "qpos");
}

#[test]
fn what_cannot_be_converted_is_refused_by_name() {
    type Change = fn(&mut Original);
    let cases: [(Change, &str); 14] = [
        (
            |original| {
                let (shape, values) = original.tensors.get_mut("model.latent_proj.weight").unwrap();
                values.truncate(32 * 32);
                shape[0] = 32;
            },
            "model.latent_proj.weight belongs to a VQ-ACT policy: its latent input is a code",
        ),
        (
            |original| {
                original.tensors.insert("model.vq_embed.weight".to_owned(), (vec![1], vec![0.0]));
            },
            "model.vq_embed.weight belongs to a VQ-ACT policy",
        ),
        (
            |original| {
                let name = "model.transformer.encoder.norm.weight";
                original.tensors.insert(name.to_owned(), (vec![32], vec![0.0; 32]));
            },
            "layers that normalise before each block",
        ),
        (
            |original| {
                let name = "model.backbones.0.1.row_embed.weight";
                original.tensors.insert(name.to_owned(), (vec![1], vec![0.0]));
            },
            "learned image positions",
        ),
        (
            |original| {
                let name = "model.backbones.0.0.body.layer1.0.conv3.weight";
                original.tensors.insert(name.to_owned(), (vec![1], vec![0.0]));
            },
            "a bottleneck block",
        ),
        (
            |original| {
                let tensor = (vec![1], vec![0.0]);
                original.tensors.insert("model.extra".to_owned(), tensor);
            },
            "1 unknown tensor(s): model.extra",
        ),
        (
            |original| drop(original.tensors.remove("model.query_embed.weight")),
            "model.query_embed.weight is missing; it must come from a policy of act",
        ),
        (
            |original| drop(original.tensors.remove("model.transformer.decoder.norm.bias")),
            "model.transformer.decoder.norm.bias is missing",
        ),
        (
            |original| original.tensors.get_mut("model.action_head.bias").unwrap().1[3] = f32::NAN,
            "model.action_head.bias holds NaN at index 3",
        ),
        (
            |original| {
                let name = "model.encoder.layers.1.linear2.weight";
                original.tensors.get_mut(name).unwrap().0.reverse();
            },
            "model.encoder.layers.1.linear2.weight has shape [48, 32], needed [32, 48]",
        ),
        (
            |original| {
                let name = "model.backbones.0.0.body.layer2.0.conv1.weight";
                original.tensors.get_mut(name).unwrap().0.swap(0, 1);
                original.tensors.get_mut(name).unwrap().0.swap(1, 2);
            },
            "what it was converted to cannot be run",
        ),
        (
            |original| original.statistics.get_mut("qpos_std").unwrap()[2] = 0.0,
            "qpos_std holds 0 at index 2",
        ),
        (|original| drop(original.statistics.remove("action_mean")), "action_mean is missing"),
        (
            |original| original.statistics.get_mut("action_std").unwrap().truncate(13),
            "action_std has shape [13], needed [14], as the checkpoint has it",
        ),
    ];
    for (change, expected) in cases {
        let mut original = Original::new();
        change(&mut original);
        let message = original.refusal();
        assert!(message.contains(expected), "{message}\n  lacks: {expected}");
    }
}

#[test]
fn other_policies_and_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let refusal = |conversion: &Conversion| convert(conversion, &out).unwrap_err().to_string();
    let message = refusal(&conversion(folder.path()));
    assert!(message.contains("holds no policy_best.ckpt"), "{message}");
    let file = folder.path().join("policy_best.ckpt");
    let cases: [(&[u8], &str); 5] = [
        (b"\x80\x02}(X\x04\0\0\0nets}X\x03\0\0\0ema}u.", "policy.linears.0.weight is missing"),
        (b"\x80\x02].", "is a list, needed a dictionary of named tensors"),
        (b"\x80\x02}K\x01Ns.", "is a dictionary with a number as a key"),
        (b"\x80\x02}X\x01\0\0\0aNs.", "is a dictionary with None as a"),
        (b"\x80\x02}.", "model.query_embed.weight is missing"),
    ];
    for (pickle, expected) in cases {
        std::fs::write(&file, torch_file::archive(pickle, &[])).unwrap();
        let message = refusal(&conversion(folder.path()));
        assert!(message.contains(expected) && message.contains("policy_best.ckpt"), "{message}");
    }
    let good = conversion(&fixture("act_original_repo"));
    let message = refusal(&Conversion { cameras: Vec::new(), ..good.clone() });
    assert!(message.contains("was given 0 camera(s), needed at least one"), "{message}");
    let message = refusal(&Conversion { heads: Some(5), ..good.clone() });
    assert!(message.contains("5 attention heads do not share its width of 32"), "{message}");
    let twice = vec![good.cameras[0].clone(); 2];
    let message = refusal(&Conversion { cameras: twice, ..good.clone() });
    assert!(message.contains("camera top is named twice"), "{message}");
    let statistics = Some(folder.path().join("none.pkl"));
    let message = refusal(&Conversion { statistics, ..good.clone() });
    assert!(message.contains("none.pkl: no such file"), "{message}");
    for camera in ["top", "top=480", "top=0x5", "top=480x9999", "=4x4", "a/b=4x4", "a=4x4x4"] {
        assert!(camera.parse::<Camera>().is_err(), "{camera}");
    }
    assert_eq!("top=48x64".parse::<Camera>().unwrap(), good.cameras[0]);
}

#[test]
fn nothing_is_overwritten() {
    let good = conversion(&fixture("act_original_repo"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // An empty folder is as good as none.
    std::fs::create_dir(&out).unwrap();
    convert(&good, &out).unwrap();
    let error = convert(&good, &out).unwrap_err();
    assert!(matches!(error, ConvertError::Exists { .. }), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(convert(&good, &file).unwrap_err(), ConvertError::Exists { .. }));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}
