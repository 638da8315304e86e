//! `sinew check` as a person meets it.

#![allow(clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const DEMO: &str = "configs/demo.toml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sinew(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn last_line_as_json(output: &Output) -> Value {
    let text = stdout(output);
    serde_json::from_str(text.lines().last().unwrap_or("")).expect("the last line is JSON")
}

/// A file that extends the demo, in a temporary folder.
fn extending(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mine.toml");
    let demo = root().join(DEMO);
    fs::write(&path, format!("extends = {:?}\n{text}", demo.display().to_string()))
        .expect("written");
    (folder, path)
}

#[test]
fn the_demo_is_valid_and_summed_up() {
    let output = sinew(root(), &["check", DEMO]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("ok: configs/demo.toml\n"), "{text}");
    for part in [
        "mycobot320 at emulator",
        "joint1, joint2, joint3, joint4, joint5, joint6, gripper",
        "fixtures/act_tiny",
        "loop 50 Hz, policy 10 Hz, recording 10 Hz",
        "recordings/demo",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn explain_shows_where_every_value_was_said() {
    let output = sinew(root(), &["check", DEMO, "--explain", "--set", "run.duration_s=3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for (value, origin) in [
        ("run.rate_hz = 50.0 ", "# configs/demo.toml:10"),
        ("run.duration_s = 3.0 ", "# --set"),
        ("run.clock = \"real\" ", "# default"),
        ("limits.joint1.position_rad = ", "# configs/robots/mycobot320.toml:15"),
        ("limits.joint1.max_step_rad = ", "# default: 1.5 * max_velocity_rad_s / run.rate_hz"),
    ] {
        let line = text.lines().find(|line| line.starts_with(value));
        assert!(line.is_some_and(|line| line.ends_with(origin)), "{value}{origin}\n{text}");
    }
}

#[test]
fn what_explain_prints_is_a_configuration_itself() {
    let output = sinew(root(), &["check", DEMO, "--explain"]);
    let text = stdout(&output);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (effective, _) = text.split_once("ok: ").expect("the summary follows");
    fs::write(folder.path().join("effective.toml"), effective).expect("written");
    let again = sinew(folder.path(), &["check", "effective.toml"]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
}

#[test]
fn it_does_not_matter_where_the_program_is_started() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = root().join(DEMO);
    let output = sinew(folder.path(), &["check", &demo.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "check writes nothing");
}

#[test]
fn everything_wrong_is_named_with_file_and_line() {
    let (folder, _) = extending(
        "[run]\nrate_hz = 5000\nduraton_s = 3\n\n[limits.joint1]\nmax_velocity_rad_s = \"fast\"\n",
    );
    let output = sinew(folder.path(), &["check", "mine.toml", "--set", "robot.retries=0"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let text = stderr(&output);
    for part in [
        "mine.toml:3: `run.rate_hz` = 5000 Hz is not allowed. Allowed: 1 to 1000 Hz",
        "mine.toml:4: unknown key `run.duraton_s`; did you mean `run.duration_s`?",
        "mine.toml:7: `limits.joint1.max_velocity_rad_s` is the text \"fast\", needed is a number",
        "--set: `robot.retries` = 0",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }

    let output = sinew(folder.path(), &["check", "mine.toml", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let report = last_line_as_json(&output);
    assert_eq!(report["exit"]["code"], 2);
    let problems = report["problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 3, "{report}");
    assert_eq!(problems[0]["line"], 3);
    assert_eq!(problems[0]["key"], "run.rate_hz");
    assert!(problems[0]["file"].as_str().is_some_and(|file| file.ends_with("mine.toml")));
}

#[test]
fn what_the_robot_and_the_disk_refuse_comes_together() {
    let (folder, _) = extending(
        "[limits.joint2]\nposition_rad = [-3.0, 2.3]\n[policy]\npath = \"nowhere\"\nhold = []\n",
    );
    let output = sinew(folder.path(), &["check", "mine.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for part in [
        "mine.toml:3: `limits.joint2.position_rad` = [-3, 2.3] rad is not allowed. Allowed: -2.",
        "mine.toml:5: `policy.path`: ",
        "nowhere does not exist. Needed is the folder of a checkpoint",
        "nothing drives joint6",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_run_refuses_what_check_refuses() {
    let (folder, _) = extending("[recording]\ndirectory = \"episodes\"\n[run]\nspin_us = 51\n");
    let check = sinew(folder.path(), &["check", "mine.toml"]);
    let run = sinew(folder.path(), &["run", "mine.toml"]);
    assert_eq!(check.status.code(), Some(2));
    assert_eq!(run.status.code(), Some(2));
    let says = "mine.toml:5: `run.spin_us` = 51 µs is not allowed. Allowed: 0 to 50 µs";
    assert!(stderr(&check).contains(says) && stderr(&run).contains(says), "{}", stderr(&run));

    // What only the robot can refuse as well: nothing was armed, nothing was written.
    let set = "limits.joint1.max_velocity_rad_s=99";
    let run = sinew(folder.path(), &["run", "mine.toml", "--set", "run.spin_us=50", "--set", set]);
    assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
    assert!(stderr(&run).contains("--set: `limits.joint1.max_velocity_rad_s` = 99 rad/s"));
    assert!(!folder.path().join("episodes").exists());

    // Nor does a rate that no dataset can have wait until the arm is armed.
    let sets = ["--set", "run.spin_us=50", "--set", "policy.rate_hz=12.5"];
    for verb in ["check", "run"] {
        let refused = sinew(folder.path(), &[&[verb, "mine.toml"], &sets[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let says = "`recording.rate_hz` = 12.5 Hz (not said, so policy.rate_hz) is not allowed";
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    assert!(!folder.path().join("episodes").exists());
}

#[test]
fn a_valid_configuration_reads_as_json() {
    let output = sinew(root(), &["check", DEMO, "--explain", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = last_line_as_json(&output);
    assert_eq!(report["exit"]["code"], 0);
    assert_eq!(report["robot"], "mycobot320");
    assert_eq!(report["effective"]["run"]["rate_hz"], 50.0);
    assert_eq!(report["origins"]["run.rate_hz"], "configs/demo.toml:10");
    assert_eq!(report["origins"].get("run.clock"), None);
}
