//! An actuator on a test rig end to end: motions that show what it does become data to train on, and a
//! model that was trained on such data drives a motor.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use sinew_episodes::journal::ArmState;

use support::{Ended, root, run, sinew};

const COLLECT: &str = "configs/rig-collect.toml";
const DRIVEN: &str = "configs/rig.toml";
const STOPPING: u8 = ArmState::Stopping as u8;
const VIRTUAL: [&str; 2] = ["--set", "run.clock=simulated"];

fn collected(folder: &Path, more: &[&str]) -> Ended {
    let csv = format!("recording.csv={:?}", folder.join("data/0.010kgm2").display().to_string());
    run(COLLECT, folder, &[&VIRTUAL[..], &["--set", &csv], more].concat())
}

#[test]
fn an_excitation_leaves_the_samples_of_the_rig_as_csv() {
    let folder = tempfile::tempdir().unwrap();
    let ended = collected(folder.path(), &["--for", "6s"]);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    journal.assert_inside_limits();
    let file = ended.json["csv"].as_str().unwrap();
    assert!(Path::new(file).starts_with(folder.path().join("data/0.010kgm2")), "{file}");
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let header = "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z";
    assert!(lines.next().unwrap().starts_with(header));
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|it| it.parse().unwrap()).collect()).collect();
    // One sample a millisecond, from when it was armed to when it rested.
    assert!(rows.len() > 6000, "{}", rows.len());
    assert!(rows.windows(2).all(|pair| (pair[1][0] - pair[0][0] - 1.0).abs() < 1e-6));
    // The servo moves after its command, by tens of degrees.
    let span = |column: usize| {
        let of = || rows.iter().map(move |row| row[column]);
        of().fold(f64::MIN, f64::max) - of().fold(f64::MAX, f64::min)
    };
    assert!(span(2) > 40.0 && span(1) > 0.8 * span(2), "{} {}", span(1), span(2));
    // The gyroscope agrees with what the encoder did.
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    let turned: f64 = rows.iter().map(|row| row[8] * 1e-3).sum();
    assert!((turned - (last[1] - first[1])).abs() < 3.0, "{turned}");
    // Sensors are in the dataset as well.
    let info = folder.path().join("meta/info.json");
    let info: serde_json::Value = serde_json::from_slice(&fs::read(info).unwrap()).unwrap();
    assert_eq!(info["features"]["sinew.sensors"]["names"][0], "device_time_s");
}

#[test]
fn the_same_seed_plays_the_same_excitation() {
    let samples = |seed: &str| {
        let folder = tempfile::tempdir().unwrap();
        let seed = format!("excitation.seed={seed}");
        let signal = "excitation.signals=[{kind='steps', joint='joint1', duration_s=2, \
                      amplitude_rad=0.5, dwell_s=0.3}]";
        let ended = collected(folder.path(), &["--set", &seed, "--set", signal]);
        assert_eq!(ended.cause(), "completed", "{}", ended.stderr);
        let cycles = ended.journal().cycles;
        cycles.iter().map(|cycle| cycle.requested[0].to_bits()).collect::<Vec<_>>()
    };
    let one = samples("7");
    assert_eq!(one, samples("7"));
    assert_ne!(one, samples("8"));
}

#[test]
fn a_learned_model_drives_the_rig_and_its_run_replays_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(DRIVEN, folder.path(), &VIRTUAL);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    journal.assert_inside_limits();
    let actuator = journal.header.actuator.clone().unwrap();
    assert_eq!((actuator.kind.as_str(), actuator.sha256.len()), ("gru", 64));
    let driven: Vec<_> = journal.cycles.iter().filter(|cycle| cycle.commanded).collect();
    let errors = driven.iter().map(|cycle| (cycle.limited[0] - cycle.measured[0]).powi(2));
    let mean = (errors.sum::<f64>() / driven.len() as f64).sqrt();
    let torque = driven.iter().map(|cycle| cycle.effort[0].abs()).fold(0.0, f64::max);
    // It lags as the servo does that it stands in for.
    assert!(mean < 0.12 && torque > 0.3, "{mean} rad, {torque} N·m");
    let replayed = sinew().arg("replay").arg(ended.folder()).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    // The run has kept its model; another one is refused by name.
    let kept = ended.folder().join("actuator/actuator.json");
    let text = fs::read_to_string(&kept).unwrap();
    let other = text.replace("\"effort_limit_nm\": 1.82", "\"effort_limit_nm\": 0.5");
    assert_ne!(other, text);
    fs::write(&kept, other).unwrap();
    let replayed = sinew().arg("replay").arg(ended.folder()).output().unwrap();
    let stderr = String::from_utf8_lossy(&replayed.stderr);
    assert_eq!(replayed.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("SHA-256") && stderr.contains(&actuator.sha256), "{stderr}");
}

#[test]
fn a_guard_ends_a_run_with_its_own_code_and_before_it_moves_keeps_it_from_beginning() {
    let folder = tempfile::tempdir().unwrap();
    // It is warmer than that before anything moves.
    let ended = collected(folder.path(), &["--set", "supervision.guards.temperature.max=20"]);
    assert_eq!(ended.code, 10, "{}", ended.stderr);
    let says = "temperature: measured 23";
    assert!(ended.stderr.contains(says) && ended.stderr.contains("allow 20 °C or less"));
    let guard = "supervision.guards.\"joint1.velocity\"={max=1.5, for_ms=3}";
    for (config, folder) in [(COLLECT, "position"), (DRIVEN, "torque")] {
        let recording = tempfile::tempdir().unwrap();
        let ended = run(config, recording.path(), &[&VIRTUAL[..], &["--set", guard]].concat());
        assert_eq!((ended.code, ended.cause()), (42, "guard"), "{folder}: {}", ended.stderr);
        let journal = ended.journal();
        assert!(journal.has_event("guard", "joint1.velocity: measured 1."), "{}", journal.told());
        assert!(journal.has_event("guard", "outside for 3 ms at most"));
        // In torque the rig holds by itself: the model has no say in its stop.
        let stopping: Vec<_> =
            journal.cycles.iter().filter(|cycle| cycle.state == STOPPING).collect();
        assert!(!stopping.is_empty());
        assert!(stopping.iter().all(|cycle| cycle.commanded == (config == COLLECT)));
    }
}

#[test]
fn a_loop_that_is_no_multiple_of_the_model_s_rate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let more = [&VIRTUAL[..], &["--set", "run.rate_hz=900", "--set", "run.pace=timer"]].concat();
    let ended = run(DRIVEN, folder.path(), &more);
    assert_eq!(ended.code, 2);
    for text in ["actuation.path", "900", "250"] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

#[test]
fn a_model_whose_weights_are_not_its_own_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(root().join("configs/actuators/rig")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let weights = model.join("weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let path = format!("actuation.path={:?}", model.display().to_string());
    let ended = run(DRIVEN, folder.path(), &[&VIRTUAL[..], &["--set", &path]].concat());
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("SHA-256"), "{}", ended.stderr);
}

#[test]
fn what_an_excitation_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            "excitation.signals=[{kind='chirp', joint='joint9', duration_s=1, amplitude_rad=0.1, from_hz=1, to_hz=2}]",
            "joint9",
        ),
        (
            "excitation.signals=[{kind='chirp', joint='joint1', duration_s=1, amplitude_rad=5, from_hz=1, to_hz=2}]",
            "5 rad to either side of 0 rad",
        ),
        (
            "excitation.signals=[{kind='multi_sine', joint='joint1', duration_s=1, amplitude_rad=0.1, frequencies_hz=[499.9, 3]}]",
            "",
        ),
        // The limits leave 1.6 rad, the margin 1.5.
        (
            "excitation.signals=[{kind='steps', joint='joint1', duration_s=1, amplitude_rad=1.55, dwell_s=0.5}]",
            "-1.5 to 1.5 rad for joint1 (limits.joint1.position_rad, less its margin at both ends)",
        ),
        (
            "excitation.signals=[{kind='modulated_chirp', joint='joint1', duration_s=1, amplitude_rad=0.1, from_hz=1, to_hz=450, modulation_hz=60, least_fraction=0.5}]",
            "510 Hz (the highest of from_hz and to_hz, and modulation_hz on top)",
        ),
        (
            "excitation.signals=[{kind='chirp', joint='joint1', duration_s=20000, amplitude_rad=0.1, from_hz=1, to_hz=2}]",
            "10000000 at most for 1 joints",
        ),
        ("supervision.guards.temprature={max=50}", "temperature"),
        ("supervision.guards.supply={}", "bounds nothing"),
        ("robot.rig.temperature=false", "does not measure \"temperature\""),
    ];
    for (set, expected) in cases {
        let margin = "limits.joint1.margin_rad=0.1";
        let ended = collected(folder.path(), &["--for", "100ms", "--set", margin, "--set", set]);
        if expected.is_empty() {
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            continue;
        }
        assert_eq!(ended.code, 2, "{set}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{set}: {}", ended.stderr);
    }
}

#[test]
fn what_will_not_be_as_expected_is_said_and_a_second_file_has_a_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let first = collected(folder.path(), &["--for", "100ms"]);
    assert!(first.stderr.contains("their end may not be played"), "{}", first.stderr);
    // Another recording directory, the same folder for files.
    let (other, data) = (tempfile::tempdir().unwrap(), folder.path().join("data/0.010kgm2"));
    let csv = format!("recording.csv={:?}", data.display().to_string());
    let more = [&VIRTUAL[..], &["--set", &csv, "--for", "100ms"]].concat();
    let second = run(COLLECT, other.path(), &more);
    assert_eq!((second.code, second.cause()), (0, "completed"), "{}", second.stderr);
    assert!(
        second.json["csv"].as_str().unwrap().ends_with("-rig-collect-2.csv"),
        "{}",
        second.json
    );
    let void = "limits.joint1.max_torque_rate_nm_s=4000";
    let recording = format!("recording.directory={:?}", folder.path().join("none"));
    let checked =
        sinew().args(["check", DRIVEN, "--set", &recording, "--set", void]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("max_torque_rate_nm_s limits nothing"), "{said}");
    let checked = sinew().args(["check", DRIVEN, "--set", &recording]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && !said.contains("note"), "{said}");
    let drive = ["check", "configs/mock.toml", "--set", "emulator.drive=direct"];
    let checked = sinew().args(drive).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("emulator.drive") && said.contains("no effect on the mock"), "{said}");
}
