//! `sinew doctor` as a person meets it, on whatever computer this is.

#![allow(clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn doctor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew"))
        .arg("doctor")
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn json(arguments: &[&str]) -> Value {
    let output = doctor(&[&["--format", "json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).expect("a check of that name")
}

#[test]
fn every_finding_that_is_not_fine_has_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = json(&["--seconds", "0", "--directory", folder.path().to_str().expect("UTF-8")]);
    assert!(report["wake_ups"].is_null());
    for check in report["checks"].as_array().expect("checks") {
        let fine = check["verdict"] == "ok";
        assert_eq!(check["remedy"].is_null(), fine, "{check}");
    }
    assert_ne!(check(&report, "fsync")["verdict"], "bad");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn enforce_is_said_to_work_exactly_if_class_and_memory_are_granted() {
    let report = json(&["--seconds", "0"]);
    let granted = |name| check(&report, name)["verdict"] == "ok";
    assert_eq!(report["enforceable"], granted("SCHED_FIFO") && granted("memory lock"));
    assert_eq!(report["not_granted"].is_null(), report["enforceable"] == true);
}

#[test]
fn a_configuration_says_what_is_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = root.join("configs/demo.toml").display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("not/yet").display().to_string();
    let set = format!("recording.directory={directory:?}");
    let with = |more: &[&str]| {
        json(&[&[demo.as_str(), "--seconds", "0", "--set", set.as_str()], more].concat())
    };
    // The demo's robot is emulated: there is no port to look at.
    let report = with(&[]);
    let checks = report["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["name"] != "robot.port"));
    let space = check(&report, "free space")["found"].as_str().expect("text").to_owned();
    let shown = std::fs::canonicalize(folder.path()).expect("there").display().to_string();
    assert!(space.contains(&shown), "{space}");
    assert!(!folder.path().join("not").exists());
    let report = with(&["--set", "robot.port=/dev/nowhere", "--set", "realtime.cpus=[1023]"]);
    assert_eq!(check(&report, "robot.port")["verdict"], "bad");
    assert_eq!(report["enforceable"], false, "there is no CPU 1023");
    assert_eq!(check(&report, "CPUs")["verdict"], "bad");
    let refused = doctor(&["--seconds", "0", &demo, "--set", "realtime.priority=99"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_folder_that_does_not_exist_is_bad_and_the_rest_is_still_looked_at() {
    let report = json(&["--seconds", "0", "--directory", "/nowhere/at/all"]);
    assert_eq!(check(&report, "directory")["verdict"], "bad");
    assert_eq!(check(&report, "kernel")["area"], "kernel");
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn the_table_has_both_timers_and_no_line_is_too_long() {
    let output = doctor(&["--seconds", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    for word in ["kernel and machine", "clock_nanosleep  SCHED_OTHER", "p99.9", "enforce"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    // A path may be as long as it likes; there is none in these lines.
    let table = text.lines().skip_while(|line| !line.starts_with("wake-ups"));
    assert!(table.clone().count() > 3);
    assert!(table.into_iter().all(|line| line.chars().count() <= 96), "{text}");
}
