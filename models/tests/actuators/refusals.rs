//! What is refused, by which name, with which remedy.

use super::support::Checkpoint;
use super::*;
use serde_json::{Value, json};
use sinew_models::actuators::{
    ActuatorFileError, Bundle, GruActuator, ImportOptions, Network, ParameterError, import,
};
use std::collections::BTreeMap;
use std::path::Path;

const SCRIPTED: &str = "gru-global_tiny_best_jit.pt";
const SAVED: &str = "gru-global_tiny-epoch=03.ckpt";
const STATISTICS: &str = "normalization_stats.json";
const SUMMARY: &str = "training_config_summary.json";

fn options() -> ImportOptions {
    ImportOptions { rate_hz: Some(240.0), ..ImportOptions::default() }
}

fn seed() -> Checkpoint {
    Checkpoint::copy("actuators/seed")
}

fn refused(file: &Path) -> String {
    import(file, &options()).unwrap_err().to_string()
}

/// Each edit of the JSON files, and what the refusal says.
#[test]
fn the_seeds_files_must_fit_the_network_and_each_other() {
    type Edit = (&'static str, &'static str, Value, &'static [&'static str]);
    let edits: [Edit; 15] = [
        (STATISTICS, "input_mean", json!([1, 2]), &["input_mean", "a list of 2", "3 numbers"]),
        (STATISTICS, "input_std", json!([1, 2, 3, 4]), &["input_std", "a list of 4"]),
        (STATISTICS, "input_std", json!([1, 0, 3]), &["input_std", "above 0"]),
        (STATISTICS, "target_std", json!([-1.0]), &["target_std", "-1", "above 0"]),
        (STATISTICS, "target_mean", json!([]), &["target_mean", "that of the torque"]),
        (STATISTICS, "target_mean", json!([0.5]), &["target_mean", "different trainings"]),
        (STATISTICS, "input_mean", json!(["a", 2, 3]), &["invalid type", "expected f64"]),
        (
            STATISTICS,
            "feature_names",
            json!(["target_angle_rad", "current_angle_rad", "current_ang_vel_rad_s"]),
            &["feature_names", "current_angle_rad, target_angle_rad", "in their order"],
        ),
        (STATISTICS, "velocity_mean", json!([1]), &["unknown field `velocity_mean`"]),
        (SUMMARY, "kspring", json!(1), &["unknown field `kspring`", "docs/actuators.md"]),
        (SUMMARY, "gru_hidden_dim", json!(32), &["gru_hidden_dim is 32", "has 16"]),
        (SUMMARY, "gru_num_layers", json!(1), &["gru_num_layers is 1", "has 2"]),
        (SUMMARY, "input_dim", json!(4), &["input_dim is 4", "has 3"]),
        (SUMMARY, "kp_phys", json!(-3), &["pd.stiffness_nm_per_rad is -3"]),
        (SUMMARY, "sampling_rate_hz", json!(1000), &["sampling rate is 1000", "the 240 Hz"]),
    ];
    for (file, key, value, parts) in edits {
        let copy = seed();
        copy.edit_json(file, |json| json[key] = value);
        let message = refused(&copy.path().join(SCRIPTED));
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
        assert!(message.contains(copy.path().to_str().unwrap()), "{message}");
    }
    let copy = seed();
    copy.edit_json(SUMMARY, |json| {
        json.as_object_mut().unwrap().remove("kp_phys");
    });
    assert!(refused(&copy.path().join(SCRIPTED)).contains("missing field `kp_phys`"));
    std::fs::write(copy.path().join(STATISTICS), r#"{"input_mean": [NaN, 0, 0]}"#).unwrap();
    assert!(
        refused(&copy.path().join(SCRIPTED)).contains("normalization_stats.json: expected value")
    );
    std::fs::remove_file(copy.path().join(STATISTICS)).unwrap();
    let message = refused(&copy.path().join(SCRIPTED));
    assert!(message.contains("normalization_stats.json: no such file"), "{message}");
    assert!(message.contains("norm_stats_and_config"), "{message}");
    assert!(refused(&copy.path().join("nothing.pt")).contains("no such file; name a TorchScript"));
    let message = refused(copy.path());
    assert!(message.contains("is a folder without actuator.json"), "{message}");
}

#[test]
fn a_network_without_a_rate_is_refused() {
    let file = fixture("seed").join(SCRIPTED);
    let refused = import(&file, &ImportOptions::default()).unwrap_err();
    assert!(matches!(refused, ActuatorFileError::NoRate { .. }), "{refused}");
    assert!(refused.to_string().contains("--rate-hz"));
    let copy = seed();
    copy.edit_json(SUMMARY, |json| json["sampling_rate_hz"] = json!(240.0));
    let said = import(&copy.path().join(SCRIPTED), &ImportOptions::default()).unwrap();
    assert_eq!(said.bundle.rate_hz(), 240.0);
}

#[test]
fn tensors_must_be_a_network_and_nothing_else() {
    type Edit = Box<dyn FnOnce(&mut BTreeMap<String, support::Tensor>)>;
    let edits: [(Edit, &[&str]); 8] = [
        (
            Box::new(|all| {
                all.insert("model.extra.weight".to_owned(), support::floats(&[2], [0.0; 2]));
            }),
            &["1 tensors belong to nothing", "model.extra.weight"],
        ),
        (
            Box::new(|all| {
                let again = all["model.gru.weight_ih_l0"].clone();
                all.insert("other.weight_ih_l0".to_owned(), again);
            }),
            &["holds 2 tensors called weight_ih_l0"],
        ),
        (
            Box::new(|all| all.retain(|name, _| !name.contains("gru"))),
            &["holds 0 tensors called weight_ih_l0"],
        ),
        (
            Box::new(|all| {
                all.insert("fc.weight".to_owned(), support::floats(&[1, 16], [0.0; 16]));
            }),
            &["holds 2 linear layers from 16 to 1"],
        ),
        (
            Box::new(|all| {
                all.remove("model.gru.weight_hh_l1");
            }),
            &["tensor model.gru.weight_hh_l1 is missing, needed with shape [48, 16]"],
        ),
        (
            Box::new(|all| {
                all.insert("model.gru.bias_ih_l1".to_owned(), support::floats(&[3], [0.0; 3]));
            }),
            &["model.gru.bias_ih_l1 has shape [3], needed [48]"],
        ),
        (
            Box::new(|all| {
                let values = [0.0; 16].map(|_| f32::NAN);
                all.insert("model.fc.weight".to_owned(), support::floats(&[1, 16], values));
            }),
            &["model.fc.weight holds NaN at index 0"],
        ),
        (
            Box::new(|all| {
                let reverse = all["model.gru.weight_ih_l0"].clone();
                all.insert("model.gru.weight_ih_l0_reverse".to_owned(), reverse);
            }),
            &["model.gru.weight_ih_l0_reverse"],
        ),
    ];
    for (edit, parts) in edits {
        let copy = seed();
        copy.edit_tensors("model.safetensors", edit);
        let message = refused(&copy.path().join("model.safetensors"));
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
    }
}

/// Replaces bytes that are as long as what they replace, without the archive's checksum noticing.
fn with_checksum(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    for place in &places {
        bytes[*place..place + to.len()].copy_from_slice(to);
    }
    // The directory has the sum and the local header, or what follows the data, has it again.
    let mut at = 0;
    while at + 46 < bytes.len() {
        if !bytes[at..].starts_with(b"PK\x01\x02") {
            at += 1;
            continue;
        }
        let word = |bytes: &[u8], at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
        };
        let half = |bytes: &[u8], at: usize| {
            usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
        };
        if half(bytes, at + 10) == 0 {
            let (size, begin) = (word(bytes, at + 20), word(bytes, at + 42));
            let data = begin + 30 + half(bytes, begin + 26) + half(bytes, begin + 28);
            let sum = crc32fast::hash(&bytes[data..data + size]).to_le_bytes();
            bytes[at + 16..at + 20].copy_from_slice(&sum);
            bytes[begin + 14..begin + 18].copy_from_slice(&sum);
        }
        at += 46;
    }
    places.len()
}

#[test]
fn a_pickle_that_names_a_function_is_refused_by_its_name() {
    let copy = seed();
    let file = copy.path().join(SAVED);
    let mut bytes = std::fs::read(&file).unwrap();
    let changed = with_checksum(&mut bytes, b"argparse\nNamespace", b"builtins\neval    \x20");
    assert_eq!(changed, 1);
    std::fs::write(&file, bytes).unwrap();
    let message = refused(&file);
    assert!(message.contains("builtins.eval") && message.contains("which is refused"), "{message}");

    let file = copy.path().join(SCRIPTED);
    let mut bytes = std::fs::read(&file).unwrap();
    let changed = with_checksum(&mut bytes, b"__torch__\nRecurrent", b"posixpath\nsystem___");
    assert!(changed > 0);
    std::fs::write(&file, bytes).unwrap();
    let message = refused(&file);
    assert!(
        message.contains("posixpath.system___") && message.contains("data.pkl, byte"),
        "{message}"
    );
}

#[test]
fn a_scripted_archive_with_an_unknown_entry_is_refused() {
    let entries = [
        support::torch_file::Entry::new("m/data.pkl", *b"\x80\x02}."),
        support::torch_file::Entry::new("m/constants.pkl", *b"\x80\x02)."),
        support::torch_file::Entry::new("m/setup.py", *b"import os"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.pt");
    std::fs::write(&file, support::torch_file::zip(&entries)).unwrap();
    let message = refused(&file);
    assert!(message.contains("entry setup.py belongs to no scripted module"), "{message}");
    std::fs::write(&file, support::torch_file::zip(&entries[..2])).unwrap();
    assert!(refused(&file).contains("its data.pkl is a dictionary"));
}

fn bundle() -> Bundle {
    let network = Network::Gru(spec(Output::Residual), gru(3, 8));
    Bundle { network, provenance: BTreeMap::new() }
}

#[test]
fn a_folder_is_complete_and_of_one_export() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let out = folder.path().join(name);
        bundle().write(&out).unwrap();
        out
    };
    let read = |out: &Path| Bundle::read(out).unwrap_err().to_string();
    for name in ["actuator.json", "weights.safetensors", STATISTICS, SUMMARY] {
        let out = write(name);
        std::fs::remove_file(out.join(name)).unwrap();
        let message = read(&out);
        assert!(message.contains(name) && message.contains("copy all of them"), "{message}");
    }
    let out = write("hash");
    let weights = out.join("weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let message = read(&out);
    assert!(message.contains("SHA-256") && message.contains("the same export"), "{message}");

    let edits: [(&str, Value, &str); 14] = [
        (
            "features",
            json!(["target_angle_rad", "current_angle_rad", "current_ang_vel_rad_s"]),
            "feature_names is [\"current_angle_rad\",\"target_angle_rad\"",
        ),
        ("version", json!(2), "sinew-actuator of version 2"),
        ("format", json!("else"), "is else of version 1"),
        ("kind", json!("lstm"), "kind is lstm, needed gru or mlp"),
        ("kind", json!(null), "kind is null"),
        ("rate_hz", json!(0), "rate_hz is 0"),
        ("rate_hz", json!(null), "expected f64"),
        ("features", json!(["current_angle_rad"]), "input_mean holds 3 numbers, needed 1"),
        ("features", json!(["a", "b", "c"]), "unknown variant `a`"),
        ("network", json!({"layers": 2, "hidden": 9}), "hidden is 9"),
        ("pd", json!(null), "pd is missing"),
        ("spring", json!({"stiffness_nm_per_rad": 1.0, "rest_position_rad": 0.0}), "convention"),
        ("effort_limit_nm", json!(-1), "effort_limit_nm is -1"),
        ("effort_limit", json!(1), "unknown field `effort_limit`"),
    ];
    for (index, (key, value, part)) in edits.into_iter().enumerate() {
        let out = write(&format!("edit{index}"));
        let file = out.join("actuator.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        json[key] = value;
        std::fs::write(&file, json.to_string()).unwrap();
        let message = read(&out);
        assert!(message.contains(part), "{key}: {part} in {message}");
        assert!(message.contains("actuator.json"), "{message}");
    }
    let out = write("statistics");
    let file = out.join(STATISTICS);
    let mut json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    json["target_mean"] = json!([0.25]);
    std::fs::write(&file, json.to_string()).unwrap();
    let message = read(&out);
    assert!(message.contains("target_mean is [0.25]"), "{message}");
    assert!(message.contains("keep the files of one export together"), "{message}");
}

#[test]
fn a_model_is_not_made_of_numbers_that_do_not_fit() {
    let make = |edit: &dyn Fn(&mut GruSpec, &mut GruParameters)| {
        let (mut spec, mut parameters) = (spec(Output::Residual), gru(3, 8));
        edit(&mut spec, &mut parameters);
        GruActuator::new(&spec, &parameters, 2, 100.0).map(drop).unwrap_err()
    };
    let refused = make(&|spec, _| spec.normalization.input_std[1] = 0.0);
    assert!(matches!(refused, ParameterError::Value { what: "input_std", .. }), "{refused}");
    let refused = make(&|spec, _| spec.normalization.target_mean = f64::NAN);
    assert!(matches!(refused, ParameterError::Value { what: "target_mean", .. }), "{refused}");
    let refused = make(&|spec, _| spec.features[2] = Feature::Position);
    assert!(matches!(refused, ParameterError::FeatureTwice { .. }), "{refused}");
    let refused = make(&|spec, _| spec.features.clear());
    assert!(matches!(refused, ParameterError::Missing { what: "features", .. }), "{refused}");
    let refused = make(&|_, parameters| *parameters = gru(4, 8));
    assert!(refused.to_string().contains("the network's input holds 4 numbers, needed 3"));
    let refused = make(&|_, parameters| parameters.layers[1].bias_hh.truncate(3));
    assert!(matches!(refused, ParameterError::Network(_)), "{refused}");
    let refused = make(&|_, parameters| parameters.layers.clear());
    assert!(matches!(refused, ParameterError::Network(_)), "{refused}");
    for joints in [0, 1025] {
        let refused = GruActuator::new(&spec(Output::Residual), &gru(3, 8), joints, 100.0);
        assert!(refused.map(drop).unwrap_err().to_string().contains("allowed is 1 to 1024"));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut broken = bundle();
    let Network::Gru(spec, _) = &mut broken.network else { unreachable!() };
    spec.pd = None;
    let out = folder.path().join("out");
    assert!(broken.write(&out).unwrap_err().to_string().contains("pd is missing"));
    assert!(!out.exists());
}

/// Hydra leaves OmegaConf's nodes in hyper_parameters, each of which holds its parent.
#[test]
fn settings_that_contain_themselves_do_not_matter() {
    use support::torch_file::{archive, text};
    let pickle = [
        b"\x80\x02}(".to_vec(),
        text("state_dict"),
        b"}".to_vec(),
        text("hyper_parameters"),
        b"comegaconf.dictconfig\nDictConfig\n)Rq\x01}".to_vec(),
        text("_parent"),
        b"h\x01sbu.".to_vec(),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hydra.ckpt");
    std::fs::write(&file, archive(pickle.concat(), &[])).unwrap();
    let message = refused(&file);
    assert!(message.contains("holds 0 tensors called weight_ih_l0"), "{message}");
}
