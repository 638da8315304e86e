//! Diffusion policies of act-plus-plus are converted to LeRobot's layout.

#![allow(clippy::unwrap_used)]

mod support;

use sinew_models::golden::check;
use sinew_models::original::{Camera, Conversion, ConvertError, convert};
use sinew_models::{Colors, DiffusionPolicy, Isa, LoadOptions, Policy};
use std::path::PathBuf;
use support::{Checkpoint, fixture};
use tempfile::TempDir;

const FIXTURE: &str = "diffusion_act_plus_plus";

fn conversion() -> Conversion {
    let camera = |name: &str| Camera { name: name.to_owned(), height: 48, width: 64 };
    Conversion {
        from: fixture(FIXTURE),
        statistics: None,
        cameras: vec![camera("top"), camera("wrist")],
        heads: None,
        colors: Colors::Rgb,
        qpos: None,
        actions: None,
        chunk: Some(16),
    }
}

fn converted(conversion: &Conversion) -> Result<(TempDir, PathBuf, Vec<String>), ConvertError> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    let notes = convert(conversion, &out)?;
    Ok((folder, out, notes))
}

#[test]
fn the_averaged_weights_sample_what_pytorch_samples() {
    let (_folder, out, notes) = converted(&conversion()).unwrap();
    assert!(notes[0].contains("the moving average of the weights (ema) is converted"), "{notes:?}");
    let golden = fixture(FIXTURE).join("inference.safetensors");
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        for threads in [1, 3] {
            let options = LoadOptions { isa, threads, ..LoadOptions::default() };
            let mut policy = sinew_models::load(&out, &options).unwrap();
            let report = check(policy.as_mut(), &golden).unwrap();
            assert!(report.passed(), "{report:?}");
            let names = report.comparisons.iter().map(|comparison| comparison.name.as_str());
            let names: Vec<&str> = names.collect();
            for name in ["unet.out", "sample.ddim10.out_actions", "mid.rgb1.after_resize_crop"] {
                assert!(names.contains(&name), "{names:?}");
            }
        }
    }
}

#[test]
fn without_an_average_the_last_weights_count() {
    let from = fixture(FIXTURE).join("no_average.ckpt");
    let (_folder, out, notes) = converted(&Conversion { from, ..conversion() }).unwrap();
    assert!(notes[0].contains("holds no moving average"), "{notes:?}");
    let mut policy = sinew_models::load(&out, &LoadOptions::default()).unwrap();
    let golden = fixture(FIXTURE).join("inference.safetensors");
    let report = check(policy.as_mut(), &golden).unwrap();
    assert!(report.passed(), "{report:?}");
}

/// It samples and prepares images as the original's code says, unless the file is edited.
#[test]
fn what_no_tensor_tells_is_in_the_configuration() {
    let bgr = Conversion { colors: Colors::Bgr, ..conversion() };
    let (_folder, out, notes) = converted(&bgr).unwrap();
    assert!(notes.iter().any(|note| note.contains("50 steps of the training, 10 of DDIM")));
    let text = sinew_models::load(&out, &LoadOptions::default()).unwrap().info().to_string();
    for expected in [
        "observation.images.top: BGR; cropped to [1, 1, 62, 46]; resized to 48 x 64; the network sees 48 x 64",
        "chunk         16 actions, 16 executed before the next inference",
        "action [6], MIN_MAX",
        "observation.state [5], MEAN_STD",
        "observation.images.wrist [3, 48, 64], IDENTITY",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The golden is of red first.
    let mut policy = DiffusionPolicy::load(&out, &LoadOptions::default()).unwrap();
    let golden = fixture(FIXTURE).join("inference.safetensors");
    assert!(!check(&mut policy as &mut dyn Policy, &golden).unwrap().passed());
}

#[test]
fn what_cannot_be_converted_is_refused_by_name() {
    let refusal = |conversion: Conversion| converted(&conversion).err().unwrap().to_string();
    let mut one = conversion();
    one.cameras.pop();
    let mut odd = conversion();
    odd.cameras[1].height = 90;
    for (conversion, expected) in [
        (
            Conversion { chunk: None, ..conversion() },
            "say with --chunk what --chunk_size of its training was",
        ),
        (
            Conversion { heads: Some(8), ..conversion() },
            "is a Diffusion policy, which has no attention heads",
        ),
        (Conversion { actions: Some(5), ..conversion() }, "which has no actions to leave out"),
        (one, "has 2 backbone(s) and was given 1 camera(s), needed 2"),
        (odd, "needed images of one shape"),
        (Conversion { chunk: Some(12), ..conversion() }, "horizon is 12, needed a multiple of 8"),
        (Conversion { chunk: Some(0), ..conversion() }, "horizon is 0"),
    ] {
        let message = refusal(conversion);
        assert!(message.contains(expected), "{message}");
    }
    // Images of another size leave another map behind the backbone than the key points know.
    let mut larger = conversion();
    larger.cameras.iter_mut().for_each(|camera| (camera.height, camera.width) = (96, 128));
    let message = refusal(larger);
    assert!(message.contains("pool.pos_grid"), "{message}");
    let act = Conversion { from: fixture("act_original_repo"), heads: Some(4), ..conversion() };
    let message = refusal(act);
    assert!(message.contains("leave the option out"), "{message}");
}

#[test]
fn a_range_of_actions_must_be_one() {
    let copy = Checkpoint::copy(FIXTURE);
    let file = copy.path().join("dataset_stats.pkl");
    let statistics = std::collections::BTreeMap::from([
        ("action_min", vec![0.5; 6]),
        ("action_max", vec![0.5; 6]),
        ("qpos_mean", vec![0.5; 5]),
        ("qpos_std", vec![0.5; 5]),
    ]);
    std::fs::write(&file, support::torch_file::statistics(&statistics)).unwrap();
    let from = copy.path().to_path_buf();
    let message = converted(&Conversion { from, ..conversion() }).err().unwrap().to_string();
    assert!(message.contains("action_max is not above action_min at index 0"), "{message}");
}
