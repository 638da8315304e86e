//! `sinew-tools actuator` as people run it: from recordings to a folder that the runtime loads.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use sha2::{Digest, Sha256};
use sinew_models::actuators::{ActuatorModel, Bundle, JointInput};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const CONFIG: &str = r#"
seed = 7
[data]
directory = "recordings"
radius_m = 0.1
[[data.groups]]
id = "light"
folder = "0.01kgm2"
inertia_kg_m2 = 0.01
[[data.groups]]
id = "heavy"
folder = "0.02kgm2"
inertia_kg_m2 = 0.02
[windows]
duration_s = 0.2
stride = 3
[model]
layers = 2
hidden = 8
dropout = 0.2
pd = { stiffness_nm_per_rad = 8.0, damping_nm_s_per_rad = 0.1, target_velocity = "zero" }
[training]
batch = 32
max_epochs = 6
learning_rate = 0.004
[baselines]
mlp_epochs = 2
"#;

fn tools(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sinew-tools"));
    command.current_dir(folder).arg("actuator").args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = tools(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// A folder with recordings and a configuration.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let make =
        "synthesize --out recordings --plant rig --inertias 0.01,0.02 --seconds 8 --rate-hz 100";
    run(folder.path(), &make.split(' ').collect::<Vec<_>>());
    std::fs::write(folder.path().join("train.toml"), CONFIG).unwrap();
    folder
}

/// Trains in an output folder of its own and returns the run's.
fn train(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let output = format!("output.directory={name}");
    run(folder, &[&["train", "train.toml", "--set", &output], more].concat());
    run_folder(&folder.join(name)).unwrap()
}

fn run_folder(outputs: &Path) -> Option<PathBuf> {
    let day = outputs.read_dir().ok()?.next()?.ok()?.path();
    Some(day.read_dir().ok()?.next()?.ok()?.path())
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn weights(run: &Path, file: &str) -> Vec<u8> {
    // What follows the header: its metadata has times in it.
    let bytes = std::fs::read(run.join(file)).unwrap();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

#[test]
fn a_training_is_the_same_on_any_number_of_threads_and_after_an_interruption() {
    let folder = workplace();
    let folder = folder.path();
    let one = train(folder, "one", &["--set", "training.threads=1"]);
    let three = train(folder, "three", &["--set", "training.threads=3"]);
    let other = train(folder, "other", &["--set", "seed=8"]);
    for file in ["best.safetensors", "last.safetensors"] {
        assert_eq!(weights(&one, file), weights(&three, file));
        assert_ne!(weights(&one, file), weights(&other, file));
    }

    let long = ["--set", "training.max_epochs=60"];
    let whole = train(folder, "whole", &long);
    let arguments = [&["train", "train.toml", "--set", "output.directory=cut"][..], &long].concat();
    let mut child = tools(folder, &arguments).stderr(Stdio::null()).spawn().unwrap();
    let begun = |folder: &Path| {
        run_folder(&folder.join("cut")).filter(|run| run.join("last.safetensors").exists())
    };
    let cut = loop {
        if let Some(run) = begun(folder) {
            break run;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first epoch");
        std::thread::sleep(Duration::from_millis(2));
    };
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(!child.wait().unwrap().success(), "it was not interrupted");
    assert!(!cut.join("metrics.json").exists());
    run(folder, &["train", "--resume", cut.to_str().unwrap()]);
    for file in ["best.safetensors", "last.safetensors"] {
        assert_eq!(weights(&whole, file), weights(&cut, file));
    }
}

#[test]
fn an_exported_run_gives_the_torque_that_was_evaluated() {
    let folder = workplace();
    let folder = folder.path();
    let trained = train(folder, "outputs", &[]);
    let run_name = trained.to_str().unwrap();
    let metrics = json(&trained.join("metrics.json"));
    let evaluated = run(folder, &["evaluate", run_name]);
    assert!(evaluated.contains("GRU, streamed"), "{evaluated}");
    run(folder, &["export", run_name, "--out", "model"]);
    let bundle = Bundle::read(&folder.join("model")).unwrap();
    assert_eq!(bundle.rate_hz(), 100.0);
    assert!(bundle.provenance.contains_key("data_sha256"));

    // The same sums again, from the files alone, over the samples of test windows.
    let split = json(&trained.join("split.json"));
    let mut model = bundle.model(1, 100.0).unwrap();
    for (group, inertia) in [("light", 0.01), ("heavy", 0.02)] {
        let file = folder.join(format!("recordings/{inertia}kgm2/01.csv"));
        let test = test_samples(&split, group);
        assert!(test.len() < 400, "more than the test parts: {}", test.len());
        let rmse = streamed_rmse(model.as_mut(), &file, inertia, &|it| test.contains(&it));
        let told = metrics["folds"][0]["streamed"][group]["rmse"].as_f64().unwrap();
        assert!((rmse / told - 1.0).abs() < 1e-6, "{group}: {rmse} {told}");
    }

    // The original's files, beside the run and in the folder; and what was evaluated, by its hashes.
    for place in [&trained, &folder.join("model")] {
        let summary = json(&place.join("training_config_summary.json"));
        assert_eq!(summary["gru_sequence_length_timesteps"], 20, "{summary}");
        assert_eq!((&summary["gru_hidden_dim"], &summary["input_dim"]), (&8.into(), &3.into()));
        let statistics = json(&place.join("normalization_stats.json"));
        assert_eq!(statistics["input_mean"], split["normalization"]["input_mean"]);
        assert_eq!(statistics["target_std"][0], split["normalization"]["target_std"]);
    }
    assert_eq!(metrics["data_sha256"], json(&trained.join("data.json"))["sha256"]);
    let checkpoint = std::fs::read(trained.join("best.safetensors")).unwrap();
    let hash: String = Sha256::digest(checkpoint).iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(metrics["folds"][0]["model_sha256"], hash.as_str());
    for picture in ["plots/training.png", "plots/scatter.png"] {
        let png = std::fs::read(trained.join(picture)).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{picture}");
    }
    let summary = std::fs::read_to_string(trained.join("summary.txt")).unwrap();
    assert!(summary.contains("best") && summary.contains("GRU, streamed"), "{summary}");

    let report = run(folder, &["report", run_name, "--out", "report"]);
    assert!(report.contains("report.html"));
    // Of each group by itself where it is about single files.
    let of_groups = ["time-series", "parts", "torque-speed", "frequency"];
    let of_groups =
        of_groups.into_iter().flat_map(|it| ["light", "heavy"].map(|id| format!("{it}-{id}")));
    let of_all = ["scatter", "step", "training"].map(str::to_owned);
    for picture in of_groups.chain(of_all) {
        let png = std::fs::read(folder.join(format!("report/{picture}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{picture}");
    }
    let inspected = run(folder, &["inspect", "train.toml", "--out", "inspection"]);
    for part in ["100.00 Hz", "cut-off", "0 gaps", "at the ends of their ranges", "would begin"] {
        assert!(inspected.contains(part), "{part}: {inspected}");
    }
    // Each file by itself where a group has several, and the group.
    let (one, two) = (folder.join("recordings/0.01kgm2/01.csv"), "recordings/0.01kgm2/02.csv");
    std::fs::copy(&one, folder.join(two)).unwrap();
    let inspected = run(folder, &["inspect", "train.toml", "--out", "inspection"]);
    assert_eq!(inspected.matches("torque, N·m: ").count(), 5, "{inspected}");
    for picture in ["spectrum-light", "spectrum-light-02", "histogram-torque-light-01"] {
        assert!(folder.join(format!("inspection/{picture}.png")).is_file(), "{picture}");
    }
}

/// Samples of the test windows of a group's only file.
fn test_samples(split: &Value, group: &str) -> HashSet<usize> {
    let files = split["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["group"] == group).unwrap();
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let (steps, stride) = (number(&split["steps"]), number(&split["stride"]));
    let mut samples = HashSet::new();
    for run in file["test"].as_array().unwrap() {
        for window in 0..number(&run[1]) {
            let begin = number(&run[0]) + window * stride;
            samples.extend(begin..begin + steps);
        }
    }
    samples
}

fn streamed_rmse(
    model: &mut dyn ActuatorModel,
    file: &Path,
    inertia: f64,
    counts: &dyn Fn(usize) -> bool,
) -> f64 {
    model.reset_all();
    let text = std::fs::read_to_string(file).unwrap();
    let (mut squares, mut count, mut before) = (0.0, 0.0, None);
    for (sample, line) in text.lines().skip(1).enumerate() {
        let columns: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let target = columns[2].to_radians();
        let input = JointInput {
            position: columns[1].to_radians(),
            velocity: columns[8].to_radians(),
            target_position: target,
            target_velocity: (target - before.unwrap_or(target)) * 100.0,
        };
        before = Some(target);
        let mut effort = [0.0];
        model.step(&[input], &mut effort).unwrap();
        if counts(sample) {
            squares += (effort[0] - inertia * columns[4] / 0.1).powi(2);
            count += 1.0;
        }
    }
    (squares / count).sqrt()
}

#[test]
fn a_trained_run_keeps_what_it_learned_with_whatever_the_recordings_become() {
    let folder = workplace();
    let folder = folder.path();
    let trained = train(folder, "outputs", &[]);
    let run_name = trained.to_str().unwrap();
    let rmse = |metrics: &Value, model: &str| {
        let models = metrics["folds"][0]["models"].as_array().unwrap();
        let found = models.iter().find(|it| it["name"] == model).unwrap();
        found["all"]["rmse"].as_f64().unwrap()
    };
    let first = json(&trained.join("metrics.json"));
    let kept = ["split.json", "baselines.json", "mlp/weights.safetensors"]
        .map(|file| (file, std::fs::read(trained.join(file)).unwrap()));

    // Other motions, three times as large, in place of those that were trained on.
    let make = "synthesize --out others --plant rig --inertias 0.01,0.02 --seconds 8 --rate-hz 100 \
                --amplitude-rad 1.5 --seed 9";
    run(folder, &make.split_whitespace().collect::<Vec<_>>());
    std::fs::rename(folder.join("recordings"), folder.join("elsewhere")).unwrap();
    let others = folder.join("others");
    let others = format!("data.directory={:?}", others.display().to_string());
    let refused = tools(folder, &["evaluate", run_name, "--set", &others]).output().unwrap();
    assert!(text(&refused).contains("not those that the run was trained on"), "{}", text(&refused));
    let table = run(folder, &["evaluate", run_name, "--changed-data", "--set", &others]);
    assert!(table.contains("2 files that were not there in training are all test"), "{table}");
    let changed = json(&trained.join("metrics-changed-data.json"));
    assert_eq!(json(&trained.join("metrics.json")), first, "what the training left stays");
    // The exported model, from the run's folder alone, is the one that was evaluated.
    run(folder, &["export", run_name, "--out", "model"]);
    let mut model = Bundle::read(&folder.join("model")).unwrap().model(1, 100.0).unwrap();
    for (group, inertia) in [("light", 0.01), ("heavy", 0.02)] {
        let file = folder.join(format!("others/{inertia}kgm2/01.csv"));
        let rmse = streamed_rmse(model.as_mut(), &file, inertia, &|_| true);
        let told = changed["folds"][0]["streamed"][group]["rmse"].as_f64().unwrap();
        assert!((rmse / told - 1.0).abs() < 1e-6, "{group}: {rmse} {told}");
    }

    // With the recordings it learned from, the same figures come out, and nothing is learned again.
    let back = folder.join("elsewhere");
    let back = format!("data.directory={:?}", back.display().to_string());
    run(folder, &["evaluate", run_name, "--set", &back]);
    let again = json(&trained.join("metrics.json"));
    for name in ["GRU", "GRU, streamed", "MLP", "PD, fitted"] {
        assert_eq!(rmse(&again, name), rmse(&first, name), "{name}");
    }
    for (file, bytes) in kept {
        assert_eq!(std::fs::read(trained.join(file)).unwrap(), bytes, "{file}");
    }

    for key in ["model.hidden=4", "data.radius_m=0.2", "windows.stride=1", "baselines.mlp=false"] {
        for verb in ["evaluate", "report"] {
            let refused = tools(folder, &[verb, run_name, "--set", key]).output().unwrap();
            let name = key.split('=').next().unwrap();
            assert!(!refused.status.success());
            assert!(text(&refused).contains(&format!("--set {name}: a run keeps")), "{key}");
        }
    }
}

#[test]
fn leaving_one_mass_out_reports_every_fold_and_the_average() {
    let folder = workplace();
    let folder = folder.path();
    let fold =
        ["--set", "mode=lomo", "--set", "training.max_epochs=2", "--set", "baselines.mlp=false"];
    let honest = train(folder, "honest", &fold);
    assert!(honest.join("fold_1/best.safetensors").exists());
    let metrics = json(&honest.join("metrics.json"));
    assert!(!metrics.to_string().contains("LEAKY"), "{metrics}");
    let folds = metrics["folds"].as_array().unwrap();
    let mut mean = 0.0;
    for (fold, id) in folds.iter().zip(["light", "heavy"]) {
        assert_eq!(fold["fold"], id);
        let models = fold["models"].as_array().unwrap();
        let gru = models.iter().find(|model| model["name"] == "GRU").unwrap();
        // Of a group left out there is nothing but that group.
        assert_eq!(gru["groups"].as_object().unwrap().keys().collect::<Vec<_>>(), [id]);
        mean += gru["all"]["rmse"].as_f64().unwrap() / 2.0;
    }
    assert_eq!(folds.len(), 2);
    let average = metrics["averages"]["GRU"]["avg_rmse"].as_f64().unwrap();
    assert!((average / mean - 1.0).abs() < 1e-12, "{average} {mean}");
    let leaky = [&fold[..], &["--set", "split.lomo_validates_on_test=true"]].concat();
    let leaky = train(folder, "leaky", &leaky);
    assert!(std::fs::read_to_string(leaky.join("metrics.json")).unwrap().contains("LEAKY"));
    let table = run(folder, &["evaluate", leaky.to_str().unwrap()]);
    assert!(table.contains("LEAKY") && table.contains("average over folds"), "{table}");
}

#[test]
fn a_bad_file_ends_the_command_or_is_skipped_and_listed() {
    let folder = workplace();
    let folder = folder.path();
    let bad = folder.join("recordings/0.01kgm2/02.csv");
    let good = std::fs::read_to_string(folder.join("recordings/0.01kgm2/01.csv")).unwrap();
    std::fs::write(&bad, good.replace("Gyro_Z", "Gyro_W")).unwrap();
    let arguments = ["train", "train.toml", "--set", "training.max_epochs=1"];
    let refused = tools(folder, &arguments).output().unwrap();
    assert!(!refused.status.success());
    let message = text(&refused);
    assert!(message.contains("02.csv") && message.contains("no column Gyro_Z"), "{message}");
    let skipping = [&arguments[..], &["--set", "data.skip_bad_files=true"]].concat();
    let message = run(folder, &skipping);
    assert!(message.contains("1 files were skipped"), "{message}");
    let skipped = &json(&run_folder(&folder.join("outputs")).unwrap().join("data.json"))["skipped"];
    assert!(skipped[0].as_str().unwrap().contains("02.csv"), "{skipped}");
    assert_eq!(skipped.as_array().unwrap().len(), 1);
}
