//! Files of other programs, and the project's own folder.

use super::*;
use sinew_models::actuators::{
    ActuatorInfo, ActuatorModel, Bundle, ImportOptions, IsaacLab, Network, SpringConvention, import,
};
use std::collections::BTreeMap;

const SEED: [&str; 4] = [
    "seed/gru-global_tiny_best_jit.pt",
    "seed/gru-global_tiny-epoch=03.ckpt",
    "seed/state_dict.pth",
    "seed/model.safetensors",
];

fn at(rate_hz: f64) -> ImportOptions {
    ImportOptions { rate_hz: Some(rate_hz), ..ImportOptions::default() }
}

/// The largest difference from what torch computed, in N·m.
fn worst(model: &mut dyn ActuatorModel, rollout: &[([JointInput; 2], [f64; 2])]) -> f64 {
    let mut worst = 0.0_f64;
    for (inputs, torque) in rollout {
        let mut efforts = [0.0; 2];
        model.step(inputs, &mut efforts).unwrap();
        for (effort, torque) in efforts.iter().zip(torque) {
            worst = worst.max((effort - torque).abs());
        }
    }
    assert_eq!(model.fallbacks(), 0);
    worst
}

#[test]
fn the_seeds_exports_give_torchs_torques_over_a_thousand_recurrent_steps() {
    let rollout = rollout("seed");
    assert_eq!(rollout.len(), 1000);
    let mut networks = Vec::new();
    for name in SEED {
        let imported = import(&fixture(name), &at(240.0)).unwrap();
        let mut model = imported.bundle.model(2, 240.0).unwrap();
        assert_eq!((model.joints(), model.rate_hz(), model.kind()), (2, Some(240.0), "gru"));
        let worst = worst(model.as_mut(), &rollout);
        println!("{name}: at most {worst:e} N·m from torch");
        assert!(worst <= 1e-5, "{name}: {worst:e}");
        networks.push(imported.bundle.network);
    }
    assert!(networks.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_a_file_holds_beside_its_network_is_said_to_be_ignored() {
    let notes = |name: &str| import(&fixture(name), &at(240.0)).unwrap().notes.join("\n");
    let scripted = notes(SEED[0]);
    assert!(scripted.contains("entries of TorchScript code were ignored"), "{scripted}");
    assert!(scripted.contains("training metrics were ignored"), "{scripted}");
    assert!(scripted.contains("4 buffers of statistics are those of"), "{scripted}");
    assert!(scripted.contains("pushes away from theta0"), "{scripted}");
    let saved = notes(SEED[1]);
    assert!(saved.contains("hyper_parameters") && saved.contains("optimizer_states"), "{saved}");
}

#[test]
fn isaac_labs_networks_are_the_same_after_their_columns_are_mixed() {
    let rollout = rollout("isaac_lab");
    let file = fixture("isaac_lab/network.pt");
    let options = |name: &str| ImportOptions {
        isaac_lab: Some(fixture("isaac_lab").join(name)),
        ..ImportOptions::default()
    };
    // Full torque, clamped by Isaac Lab's effort limit; then a residual on top of PD.
    let full = import(&file, &options("full.json")).unwrap().bundle;
    let limited: Vec<_> =
        rollout.iter().map(|(x, y)| (*x, y.map(|y: f64| y.clamp(-0.12, 0.12)))).collect();
    assert!(limited.iter().filter(|(_, y)| y[0].abs() == 0.12).count() > 50);
    let difference = worst(full.model(2, 200.0).unwrap().as_mut(), &limited);
    println!("full: at most {difference:e} N·m from torch");
    assert!(difference <= 1e-5, "{difference:e}");

    let residual = import(&file, &options("residual.json")).unwrap().bundle;
    let added: Vec<_> = rollout
        .iter()
        .map(|(x, y)| {
            let pd = x.map(|x| 3.5 * (x.target_position - x.position) - 0.05 * x.velocity);
            (*x, [y[0] + pd[0], y[1] + pd[1]])
        })
        .collect();
    let difference = worst(residual.model(2, 200.0).unwrap().as_mut(), &added);
    println!("residual: at most {difference:e} N·m from torch");
    assert!(difference <= 1e-5, "{difference:e}");
}

#[test]
fn only_one_column_changes_in_the_mix() {
    let mut mixed = gru(3, 8);
    let isaac = IsaacLab {
        position_normalization: Some((0.5, 2.0)),
        pos_error_normalization: Some((0.25, 0.5)),
        vel_normalization: None,
        output_normalization: Some((0.1, 0.0)),
        ..IsaacLab::default()
    };
    isaac.remix(&mut mixed).unwrap();
    let plain = gru(3, 8);
    let rows = plain.layers[0].weight_ih.chunks(3).zip(mixed.layers[0].weight_ih.chunks(3));
    for (plain, mixed) in rows {
        assert!((mixed[0] - (plain[0] - 4.0 * plain[1])).abs() < 1e-6);
        assert_eq!(plain[1..], mixed[1..]);
    }
    assert_eq!(mixed.layers[1], plain.layers[1]);
    let normalization = isaac.normalization().unwrap();
    assert_eq!(normalization.input_mean, [0.5, 0.75, 0.0]);
    assert_eq!(normalization.input_std, [2.0, 0.5, 1.0]);
    // Isaac Lab's floor.
    assert_eq!((normalization.target_mean, normalization.target_std), (0.1, 1e-8));
}

#[test]
fn a_folder_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let imported = import(&fixture(SEED[0]), &at(240.0)).unwrap().bundle;
    let provenance = BTreeMap::from([("program".to_owned(), "a test \u{1f600}".to_owned())]);
    let dense = Bundle { network: Network::Mlp(mlp_spec(), mlp()), provenance };
    for (name, bundle) in [("gru", imported), ("mlp", dense)] {
        let out = folder.path().join("new").join(name);
        let sha256 = bundle.write(&out).unwrap();
        assert_eq!(Bundle::read(&out).unwrap(), bundle);
        let again = import(&out, &ImportOptions::default()).unwrap();
        assert_eq!((again.bundle, again.sha256), (bundle.clone(), sha256));
        let refused = bundle.write(&out).unwrap_err().to_string();
        assert!(refused.contains("nothing is overwritten"), "{refused}");
        let info = ActuatorInfo::read(&out, &ImportOptions::default()).unwrap();
        assert_eq!(info.kind, name);
    }
    // What is written is a seed's export as well.
    let out = folder.path().join("new/gru");
    let plain = import(&out.join("weights.safetensors"), &ImportOptions::default()).unwrap();
    assert_eq!(plain.bundle.network, Bundle::read(&out).unwrap().network);
}

#[test]
fn a_description_says_what_a_model_is() {
    let options = ImportOptions { mars_jumper: true, ..ImportOptions::default() };
    let info = ActuatorInfo::read(&fixture(SEED[0]), &options).unwrap();
    assert_eq!((info.layers.as_slice(), info.rate_hz), ([16, 16, 1].as_slice(), None));
    assert_eq!(info.parameters, 2657);
    let text = info.to_string();
    for part in [
        "actuator      gru",
        "TorchScript archive",
        "rate          not said in any file: give it with --rate-hz",
        "current_angle_rad      (x - 0.113000) / 0.620000",
        "+ 0.041000 N·m, added to PD and spring",
        "pd            3.5 N·m/rad, 0.05 N·m·s/rad towards rest",
        "curve         1.82 N·m at rest, none at 36 rad/s",
        "spring        +0.1 N·m/rad x (q - 0.02 rad) (seed)",
        "effort limit  none",
        "note          ",
        "warning       mars_jumper: the mean of the torque is added",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = serde_json::to_value(&info).unwrap();
    assert_eq!(json["spring"]["convention"], "seed");
    let options = ImportOptions {
        spring_convention: Some(SpringConvention::Physical),
        effort_limit_nm: Some(1.5),
        ..at(240.0)
    };
    let text = ActuatorInfo::read(&fixture(SEED[0]), &options).unwrap().to_string();
    assert!(text.contains("-0.1 N·m/rad x (q - 0.02 rad) (physical)"), "{text}");
    assert!(text.contains("effort limit  1.5 N·m") && text.contains("rate          240 Hz"));
    assert!(text.contains("(the mean 0.041000 is not)"), "{text}");
}

/// `mars_jumper` adds the mean to a residual: a constant bias, and nothing else.
#[test]
fn the_compatibility_mode_differs_by_the_mean() {
    let options = ImportOptions { mars_jumper: true, ..at(240.0) };
    let biased = import(&fixture(SEED[0]), &options).unwrap();
    assert!(biased.warnings[0].contains("constant bias of 0.041 N·m"), "{:?}", biased.warnings);
    let rollout: Vec<_> =
        rollout("seed").into_iter().map(|(x, y)| (x, y.map(|y| y + 0.041))).collect();
    assert!(worst(biased.bundle.model(2, 240.0).unwrap().as_mut(), &rollout) <= 1e-5);
}

#[test]
fn the_files_of_a_fold_are_found_where_the_seed_has_them() {
    let run = tempfile::tempdir().unwrap();
    let fold = run.path().join("checkpoints/fold_1");
    let put = |from: &str, to: PathBuf| {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(fixture(from), to).unwrap();
    };
    let scripted = fold.join("jit_models/gru-fold_1_best_jit.pt");
    put(SEED[0], scripted.clone());
    put(SEED[1], fold.join("gru-fold_1.ckpt"));
    put(SEED[1], run.path().join("checkpoints/global_run/gru.ckpt"));
    for name in ["normalization_stats.json", "training_config_summary.json"] {
        put(&format!("seed/{name}"), fold.join("norm_stats_and_config").join(name));
        put(&format!("seed/{name}"), run.path().join(name));
    }
    import(&scripted, &at(240.0)).unwrap();
    import(&fold.join("gru-fold_1.ckpt"), &at(240.0)).unwrap();
    import(&run.path().join("checkpoints/global_run/gru.ckpt"), &at(240.0)).unwrap();
}

/// A `torch.nn.Sequential` of linear layers with softsign between them, as walk-these-ways saves it.
#[test]
fn a_dense_network_is_imported_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = mlp();
    let mut inputs = parameters.inputs;
    let mut tensors = BTreeMap::new();
    for (index, layer) in parameters.layers.iter().enumerate() {
        let (name, shape) = (format!("actuator.{}", 2 * index), [layer.outputs, inputs]);
        let weight = support::floats(&shape, layer.weight.iter().copied());
        tensors.insert(format!("{name}.weight"), weight);
        let bias = support::floats(&[layer.outputs], layer.bias.iter().copied());
        tensors.insert(format!("{name}.bias"), bias);
        inputs = layer.outputs;
    }
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let file = folder.path().join("unitree.safetensors");
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let settings = folder.path().join("mlp.json");
    std::fs::write(&settings, serde_json::to_string(&mlp_spec()).unwrap()).unwrap();
    let options = ImportOptions { mlp: Some(settings.clone()), ..ImportOptions::default() };
    let imported = import(&file, &options).unwrap();
    assert_eq!(imported.bundle.network, Network::Mlp(mlp_spec(), parameters));
    let text = ActuatorInfo::of(&file, &imported).to_string();
    assert!(text.contains("32 -> 32 -> 1; 1313 weights"), "{text}");
    assert!(text.contains("steps back [0, 4, 8]"), "{text}");

    let short = serde_json::json!({ "input_idx": [0, 1] });
    let mut json = serde_json::to_value(mlp_spec()).unwrap();
    json["input_idx"] = short["input_idx"].clone();
    std::fs::write(&settings, json.to_string()).unwrap();
    let refused = import(&file, &options).unwrap_err().to_string();
    assert!(refused.contains("the network's input holds 6 numbers, needed 4"), "{refused}");
}
