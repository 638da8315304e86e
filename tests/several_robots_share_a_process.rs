//! One process, several robots: a loop each, one operator, and nobody goes on alone.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Journal, root, sinew};

/// A run on a mock arm of its own, recorded to a folder of its own.
fn config(folder: &Path, name: &str, faults: &str) -> PathBuf {
    let path = folder.join(format!("{name}.toml"));
    let text = format!(
        "extends = {:?}\n[run]\nname = {name:?}\nrate_hz = 200.0\n[emulator]\nfaults = [{faults}]\n\
         [recording]\ndirectory = {:?}\n",
        root().join("configs/mock.toml"),
        folder.join(name),
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Exit code, and the runs' summaries.
fn run(configs: &[PathBuf], duration: &str) -> (i32, Vec<Value>) {
    let output = sinew()
        .arg("run")
        .args(configs)
        .args(["--for", duration, "--format", "json"])
        .args(["--set", "supervision.state_hold_after_ms=2000"])
        .args(["--set", "supervision.state_ramp_after_ms=8000"])
        .args(["--set", "supervision.policy_ramp_after_ms=8000"])
        .args(["--set", "supervision.watchdog_ms=10000"])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(last["exit"]["code"], code);
    (code, last["runs"].as_array().unwrap().clone())
}

#[test]
fn two_robots_run_side_by_side_each_with_its_own_episode() {
    let folder = tempfile::tempdir().unwrap();
    let configs = [config(folder.path(), "left", ""), config(folder.path(), "right", "")];
    let (code, runs) = run(&configs, "2s");
    assert_eq!(code, 0, "{runs:?}");
    for (run, name) in runs.iter().zip(["left", "right"]) {
        assert_eq!(run["exit"]["cause"], "completed");
        let episode = PathBuf::from(run["episode"].as_str().unwrap());
        assert!(episode.starts_with(folder.path().join(name)));
        let journal = Journal::read(&episode.join("journal.sinew"));
        assert!(journal.cycles.len() > 300);
    }
}

#[test]
fn a_fault_of_one_robot_ramps_the_other_to_rest() {
    let folder = tempfile::tempdir().unwrap();
    let configs = [config(folder.path(), "left", "\"nan@1s\""), config(folder.path(), "right", "")];
    let (code, runs) = run(&configs, "60s");
    assert_eq!(code, 33);
    assert_eq!(runs[0]["exit"]["cause"], "non_finite");
    assert_eq!(runs[1]["exit"]["cause"], "operator");
    assert!(runs[1]["seconds"].as_f64().unwrap() < 40.0);
}

#[test]
fn two_robots_do_not_record_into_one_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let left = config(folder.path(), "left", "");
    let (code, runs) = run(&[left.clone(), left], "1s");
    assert_eq!(code, 13, "{runs:?}");
    let refused = runs.iter().filter(|run| run["exit"]["code"] == 13).count();
    assert_eq!(refused, 1);
}
