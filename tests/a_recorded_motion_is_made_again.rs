//! `sinew replay EPISODE --on FILE`: a robot through a recorded motion.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use sinew::supervision::ArmState;
use support::{Ended, root, run, sinew};

fn replay_on(episode: &Path, file: &str, directory: &Path, more: &[&str]) -> Ended {
    let output = sinew()
        .arg("replay")
        .arg(episode)
        .args(["--on", file, "--format", "json", "--set"])
        .arg(format!("recording.directory={:?}", directory.display().to_string()))
        .args(more)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        json: stdout.lines().last().map_or(Value::Null, |it| serde_json::from_str(it).unwrap()),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn stored() -> PathBuf {
    root().join("tests/fixtures/replay/journal.sinew")
}

/// The largest RMS and the largest single deviation over all joints.
fn worst(deviations: &Value) -> (f64, f64) {
    let joints = deviations.as_array().unwrap();
    assert!(!joints.is_empty());
    let largest =
        |key: &str| joints.iter().map(|joint| joint[key].as_f64().unwrap()).fold(0.0, f64::max);
    assert!(joints.iter().all(|joint| joint["measurements"].as_u64().unwrap() > 5), "{joints:?}");
    (largest("rms"), largest("largest"))
}

#[test]
fn the_mock_arm_repeats_a_recorded_motion_and_itself() {
    let folder = tempfile::tempdir().unwrap();
    // It stands elsewhere at the start: it goes to the first position slowly.
    let start = "emulator.start={joint1=-0.5, joint4=-0.4}";
    let more = ["--times", "2", "--set", start];
    let ended = replay_on(&stored(), "configs/robots/mock.toml", folder.path(), &more);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let repetitions = ended.json["repetitions"].as_array().unwrap();
    assert_eq!(repetitions.len(), 2);
    for repetition in repetitions {
        let (rms, largest) = worst(&repetition["from_recording"]);
        assert!(rms < 0.01 && largest < 0.03, "{rms} {largest}");
    }
    let (rms, largest) = worst(&repetitions[1]["from_first"]);
    assert!(rms < 1e-4 && largest < 1e-3, "{rms} {largest}");
    // A repetition is compared over the whole motion, and the arm was not there before.
    assert!(ended.json["motion_s"].as_f64().unwrap() > 1.0);
    assert!(repetitions[0]["began_s"].as_f64().unwrap() > 1.0);

    let journal = ended.journal();
    assert_eq!(journal.header.task, "replay of 19700101-000000-replay");
    assert_eq!(journal.header.policy.as_ref().unwrap().kind, "replay");
    assert!(journal.header.cameras.is_empty());
    // It fades in as any run does, and sets out after that.
    let ramp_ms = journal.config()["rest"]["start_ramp_ms"].as_float().unwrap();
    assert!(ramp_ms > 100.0);
    let ramp = (ramp_ms / 1e3 * journal.header.rate_hz) as usize;
    let running = journal.cycles.iter().filter(|it| it.state == ArmState::Running as u8);
    let still = running.take(ramp * 9 / 10).map(|it| it.limited[0]);
    let (low, high) = still.fold((f64::MAX, f64::MIN), |(l, h), it| (l.min(it), h.max(it)));
    assert!(high - low < 1e-6, "{low} to {high}");
    assert!(ended.json["incomplete"].is_null() && ended.json["replayed_incomplete"].is_null());
    // The way to the first position is slow: half of the configured limits.
    let rate = journal.header.rate_hz;
    let began = repetitions[0]["began_s"].as_f64().unwrap();
    let before = journal.cycles.iter().filter(|it| (it.scheduled_ns as f64) * 1e-9 < began);
    let before: Vec<_> = before.collect();
    let fastest = before
        .windows(2)
        .map(|pair| (pair[1].limited[0] - pair[0].limited[0]).abs() * rate)
        .fold(0.0, f64::max);
    assert!(fastest > 0.1 && fastest <= 1.05, "{fastest} rad/s");

    // What it did is an episode like any: it replays bit for bit.
    let episode = ended.json["episode"].as_str().unwrap();
    let again = sinew().args(["replay", episode]).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    let dataset = folder.path().join("meta/info.json");
    assert!(dataset.is_file());
}

#[test]
fn the_emulated_mycobot_repeats_a_motion_of_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = ["--for", "3s", "--set", "run.clock=simulated"];
    let recorded = run("configs/demo.toml", &folder.path().join("demo"), &simulated);
    assert_eq!(recorded.code, 0, "{}", recorded.stderr);
    let episode = PathBuf::from(recorded.json["episode"].as_str().unwrap());
    let file = "configs/robots/mycobot320-gripper.toml";
    let again = folder.path().join("again");
    let more = ["--set", "robot.port=emulator", "--set", "robot.accept_motion_on_silence=true"];
    let ended = replay_on(&episode, file, &again, &more);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let (rms, largest) = worst(&ended.json["repetitions"][0]["from_recording"]);
    assert!(rms < 0.05 && largest < 0.2, "{rms} {largest}");
    ended.journal().assert_inside_limits();
}

#[test]
fn it_works_in_real_time_too() {
    let folder = tempfile::tempdir().unwrap();
    let more =
        [&["--set", "run.clock=real", "--set", "overrun.policy=report"], &support::PATIENT[..]];
    let ended = replay_on(&stored(), "configs/robots/mock.toml", folder.path(), &more.concat());
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let (rms, _) = worst(&ended.json["repetitions"][0]["from_recording"]);
    assert!(rms < 0.2, "{rms}");
}

#[test]
fn a_broken_link_ends_the_motion_as_it_ends_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let fault = "emulator.faults=['disconnect=200ms@3s']";
    let more = ["--times", "3", "--set", fault];
    let ended = replay_on(&stored(), "configs/robots/mock.toml", folder.path(), &more);
    assert_eq!((ended.code, ended.cause()), (30, "policy_stale"), "{}", ended.stderr);
    assert!(ended.journal().has_event("link", "the rest is not played"));
}

#[test]
fn after_a_hold_in_mid_motion_the_arm_fades_in_to_where_the_motion_is() {
    let folder = tempfile::tempdir().unwrap();
    let mock = "configs/robots/mock.toml";
    let whole = replay_on(&stored(), mock, &folder.path().join("whole"), &[]);
    let began = whole.json["repetitions"][0]["began_s"].as_f64().unwrap();
    let fault = format!("emulator.faults=['silence=500ms@{:.3}s']", began + 0.3);
    let more = ["--set", &fault, "--set", "supervision.state_hold_after_ms=100"];
    let ended = replay_on(&stored(), mock, &folder.path().join("held"), &more);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    let running = ArmState::Running as u8;
    let resumed = journal
        .cycles
        .windows(2)
        .filter(|pair| pair[0].state != running && pair[1].state == running)
        .nth(1)
        .expect("a hold in the middle");
    // The target has gone on; what is asked of the arm begins where it stands.
    for (asked, stood) in resumed[1].requested.iter().zip(&resumed[0].limited) {
        assert!((asked - stood).abs() < 1e-3, "{resumed:?}");
    }
    let motion = |journal: &support::Journal| {
        let at = resumed[1].scheduled_ns;
        journal.cycles.iter().find(|it| it.scheduled_ns == at).unwrap().requested.clone()
    };
    let (held, whole) = (motion(&journal), motion(&whole.journal()));
    let apart = held.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart > 0.02, "the motion had not gone on: {apart}");
    journal.assert_inside_limits();
}

#[test]
fn another_robot_and_tighter_limits_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |file: &str, more: &[&str]| {
        let ended = replay_on(&stored(), file, folder.path(), more);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(!folder.path().join("runs").exists());
        ended.stderr
    };
    let other = refused("configs/robots/mycobot320.toml", &["--set", "robot.port=emulator"]);
    assert!(other.contains("joint7") && other.contains("the mycobot320 has"), "{other}");
    let mock = "configs/robots/mock.toml";
    let fewer = refused(mock, &["--set", "robot.joints=6"]);
    assert!(fewer.contains("joint7"), "{fewer}");
    let range = refused(mock, &["--set", "limits.joint4.position_rad=[-1.25, -1.05]"]);
    assert!(range.contains("limits.joint4: its position is"), "{range}");
    let sets = ["--set", "limits.joint1.max_velocity_rad_s=0.05", "--set"];
    let slow = refused(mock, &[&sets[..], &["supervision.ramp_timeout_s=300"]].concat());
    assert!(slow.contains("limits.joint1: its speed is"), "{slow}");
    assert!(slow.contains("at most 0.0475 rad/s, target.fraction = 0.95"), "{slow}");
    let part = refused(mock, &["--set", "target.fraction=0.1"]);
    assert!(part.contains("target.fraction = 0.1 of the limit"), "{part}");
    let long = refused(
        mock,
        &[
            "--times",
            "10000",
            "--set",
            "rest.speed_fraction=0.02",
            "--set",
            "supervision.ramp_timeout_s=600",
        ],
    );
    assert!(long.contains("--times 10000: that may take"), "{long}");
    assert!(!long.contains("duration_s"), "{long}");
}
