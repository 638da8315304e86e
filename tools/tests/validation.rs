//! A model against the emulated rig, in virtual time.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn validate(out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew-tools"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["validate", "actuator", "configs/actuators/rig", "--out"])
        .arg(out)
        .args(["--data", "configs/actuator/train-rig-collect.toml"])
        .args(more)
        .output()
        .unwrap()
}

fn found(out: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(out.join("validation.json")).unwrap()).unwrap()
}

const RIG: [&str; 4] = ["--on", "configs/rig-collect.toml", "--set", "run.clock=simulated"];

#[test]
fn the_committed_model_moves_as_the_emulated_servo_and_tighter_tolerances_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("excited");
    let short = "excitation.signals=[{kind='chirp', joint='joint1', duration_s=8, \
                 amplitude_rad=0.5, from_hz=0.3, to_hz=2}]";
    let tolerances = ["--torque-tolerance", "0.1", "--angle-tolerance", "1"];
    let ended = validate(&out, &[&RIG[..], &["--set", short], &tolerances].concat());
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let first = found(&out);
    assert_eq!(first["inside"], true);
    // An actuator that followed its target exactly would be far off: there is something to learn.
    let rmse = |key: &str| first[key]["rmse"].as_f64().unwrap();
    assert!(rmse("target") > 3.0 * rmse("angle"), "{first}");
    assert!(first["torque"]["r2"].as_f64().unwrap() > 0.9, "{first}");
    for file in ["report.html", "torque.png", "angle.png", "angle-error.png"] {
        assert!(out.join(file).is_file(), "{file}");
    }

    // What was recorded is replayed, and judged more strictly.
    let recording = first["recording"].as_str().unwrap();
    let again = folder.path().join("replayed");
    let strict = ["--torque-tolerance", "0.001", "--angle-tolerance", "6"];
    let commands = ["--commands", recording];
    let ended = validate(&again, &[&RIG[..], &commands, &strict].concat());
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(found(&again)["inside"], false);
    assert!(String::from_utf8_lossy(&ended.stdout).contains("OUTSIDE 0.001 N·m"));

    // Without a rig, from the recording alone, the same comes out.
    let alone = folder.path().join("alone");
    let from = ["--recording", recording, "--inertia", "0.010"];
    let ended = validate(&alone, &[&from[..], &tolerances].concat());
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(found(&alone)["torque"], first["torque"]);
    assert_eq!(found(&alone)["angle"], first["angle"]);
}

#[test]
fn what_cannot_be_judged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tolerances = ["--torque-tolerance", "0", "--angle-tolerance", "6"];
    let ended = validate(folder.path(), &[&RIG[..], &tolerances].concat());
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("torque-tolerance is 0"));
    let tolerances = ["--torque-tolerance", "1", "--angle-tolerance", "6"];
    let fast = ["--set", "supervision.guards.\"joint1.velocity\"={max=0.5, for_ms=1}"];
    let ended = validate(folder.path(), &[&RIG[..], &fast, &tolerances].concat());
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("guard (code 42)"));
}
