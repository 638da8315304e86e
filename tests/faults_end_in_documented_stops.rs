//! What goes wrong in a run has a documented end, moves nothing by a jump and loses nothing.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use support::{Ended, Journal, root, run, sinew, start, wait};

/// Faults in virtual time: exact, fast, and the same every time.
fn simulated(more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut arguments = vec!["--set", "run.clock=simulated"];
    arguments.extend(more);
    let ended = run("configs/demo.toml", &folder, &arguments);
    if !ended.json["episode"].is_null() {
        ended.journal().assert_inside_limits();
    }
    ended
}

#[test]
fn a_short_silence_of_the_robot_holds_and_goes_on_from_the_measured_position() {
    let ended = simulated(&["--set", "emulator.faults=[\"silence=1s@4s\"]"]);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    assert!(journal.has_event("state", "running → holding"));
    assert!(ended.json["bus"]["timeouts"].as_u64().unwrap() > 0);
}

#[test]
fn a_robot_that_stays_silent_is_lost() {
    let ended = simulated(&["--set", "emulator.faults=[\"silence=1000s@4s\"]"]);
    assert_eq!((ended.code, ended.cause()), (34, "link_lost"), "{}", ended.stderr);
    assert_eq!(ended.json["episode_index"], 0);
}

#[test]
fn lost_and_damaged_replies_are_counted_and_survived() {
    let ended =
        simulated(&["--set", "emulator.faults=[\"drop=0.05\", \"corrupt=0.05\", \"garbage=0.1\"]"]);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    for counter in ["timeouts", "retries", "garbage_bytes"] {
        assert!(ended.json["bus"][counter].as_u64().unwrap() > 0, "{counter}");
    }
}

#[test]
fn a_gripper_that_cannot_be_read_is_reported_as_last_commanded() {
    let ended = simulated(&["--set", "emulator.faults=[\"gripper255\"]"]);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    assert!(ended.json["bus"]["substituted"].as_u64().unwrap() > 0);
    assert!(ended.journal().has_event("substituted", "gripper"));
}

#[test]
fn a_camera_that_stops_ends_in_a_ramp_to_rest() {
    let ended = simulated(&["--set", "cameras.top.stops_after_s=3.0"]);
    assert_eq!((ended.code, ended.cause()), (30, "policy_stale"), "{}", ended.stderr);
    let journal = ended.journal();
    assert!(journal.has_event("camera", "top: camera stopped"));
    assert!(journal.has_event("state", "running → holding"));
    assert!(journal.has_event("state", "holding → stopping"));
}

#[test]
fn a_port_that_vanishes_and_returns_is_opened_again_at_the_measured_position() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--for", "7s", "--set", "emulator.faults=[\"disconnect=1s@4s\"]"];
    let ended = run("configs/demo.toml", folder.path(), &more);
    // The emulator makes a new pseudo-terminal behind the same link.
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    assert!(ended.json["bus"]["reconnects"].as_u64().unwrap() >= 1);
    let journal = ended.journal();
    assert!(journal.has_event("reconnect", "begin again at the measured position"));
}

#[test]
fn two_runs_on_one_port_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("arm");
    let mut emulator = sinew()
        .args(["emulate", "mycobot320", "--link"])
        .arg(&link)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(emulator.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("ready: "), "{line}");
    let port = format!("robot.port={:?}", link.display().to_string());
    let first =
        start("configs/demo.toml", &folder.path().join("first"), &["--for", "4s", "--set", &port]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let second = run("configs/demo.toml", &folder.path().join("second"), &["--set", &port]);
    assert_eq!(second.code, 10, "{}", second.stderr);
    assert!(second.stderr.contains(&link.display().to_string()), "{}", second.stderr);
    let first = wait(first);
    assert_eq!((first.code, first.cause()), (0, "completed"), "{}", first.stderr);
    emulator.kill().unwrap();
    emulator.wait().unwrap();
}

#[test]
fn two_runs_into_one_dataset_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = start("configs/demo.toml", folder.path(), &["--for", "4s"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let second = run("configs/demo.toml", folder.path(), &["--for", "1s"]);
    assert_eq!(second.code, 13, "{}", second.stderr);
    assert_eq!(wait(first).code, 0);
}

#[test]
fn a_disk_that_fills_up_does_not_stop_the_arm_and_what_was_written_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    // Files may grow to 256 KiB; the signal that would end the process is ignored, so writes fail
    // as they do on a full disk.
    let command = format!(
        "trap '' XFSZ; ulimit -f 256; exec {} run configs/demo.toml --for 6s --format json --set \
         'recording.directory=\"{}\"'",
        env!("CARGO_BIN_EXE_sinew"),
        folder.path().display()
    );
    let child = std::process::Command::new("bash")
        .args(["-c", &command])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = wait(child);
    assert_eq!(ended.cause(), "completed", "{}", ended.stderr);
    assert_eq!(ended.code, 40, "{}", ended.stderr);
    assert!(!ended.json["recording_fault"].as_str().unwrap().is_empty());
    let journal = ended.journal();
    assert!(journal.cycles.len() > 30);
    journal.assert_inside_limits();
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_powered() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &[&str], code: i32, fragments: &[&str]| {
        let ended = run("configs/demo.toml", &folder.path().join("never"), more);
        assert_eq!(ended.code, code, "{more:?}: {}", ended.stderr);
        for fragment in fragments {
            assert!(ended.stderr.contains(fragment), "{more:?}: {}", ended.stderr);
        }
    };
    refused(&["--set", "robot.port=/dev/nowhere"], 10, &["/dev/nowhere"]);
    let outside = ["--set", "emulator.start.joint2=2.34"];
    refused(&outside, 10, &["joint2", "2.34", "-2.3 to 2.3", "by hand"]);
    refused(&["--set", "cameras.top.width=128"], 2, &["top", "128x48", "64x48"]);
    let five = "policy.state=[{ joint = \"joint1\", unit = \"deg\" }]";
    refused(&["--set", five], 2, &["policy.state", "1 elements", "6"]);
    refused(&["--set", "policy.hold=[]"], 2, &["joint6"]);
    refused(&["--set", "run.rate=50"], 2, &["run.rate", "rate_hz"]);
    refused(&["--set", "limits.joint1.max_velocity_rad_s=-1"], 2, &["max_velocity_rad_s", "-1"]);
    refused(&["--set", "rest.speed_fraction=0.05"], 2, &["ramp_timeout_s", "speed_fraction"]);
    refused(&["--set", "robot.accept_motion_on_silence=false"], 2, &["accept_motion_on_silence"]);

    let policy = |name: &str, damage: &dyn Fn(&Path)| {
        let copy = folder.path().join(name);
        std::fs::create_dir_all(&copy).unwrap();
        for entry in std::fs::read_dir(root().join("tests/fixtures/act_tiny")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        damage(&copy);
        format!("policy.path={:?}", copy.display().to_string())
    };
    let truncated = policy("truncated", &|copy| {
        let weights = copy.join("model.safetensors");
        let bytes = std::fs::read(&weights).unwrap();
        std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    });
    refused(&["--set", &truncated], 11, &["model.safetensors"]);
    let unnormalised = policy("unnormalised", &|copy| {
        std::fs::remove_file(
            copy.join("policy_preprocessor_step_3_normalizer_processor.safetensors"),
        )
        .unwrap();
    });
    refused(&["--set", &unnormalised], 11, &["normalizer_processor.safetensors"]);
    assert!(!folder.path().join("never/runs").exists() || folder.path().join("never").is_dir());
}

#[test]
fn a_killed_run_loses_at_most_half_a_second_and_the_next_start_repairs_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = start("configs/demo.toml", folder.path(), &["--for", "60s"]);
    std::thread::sleep(std::time::Duration::from_millis(3700));
    killed.kill().unwrap();
    let died = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    killed.wait().unwrap();
    let runs = std::fs::read_dir(folder.path().join("runs")).unwrap();
    let run = runs.map(|entry| entry.unwrap().path()).next().unwrap();
    let journal = Journal::read(&run.join("journal.sinew"));
    let last = journal.header.unix_ns + journal.cycles.last().unwrap().woke_ns;
    assert!(journal.cycles.len() > 50);
    assert!(died - last < 500_000_000, "{} ms are lost", (died - last) / 1_000_000);

    let next = run_again(folder.path());
    assert_eq!((next.code, &next.json["episode_index"]), (0, &1.into()), "{}", next.stderr);
    assert!(next.stderr.contains("repaired"), "{}", next.stderr);
    let mut dataset = sinew_episodes::lerobot::Reader::open(folder.path()).unwrap();
    assert_eq!(dataset.episodes().len(), 2);
    for index in 0..dataset.frames() {
        dataset.frame(index).unwrap();
    }
}

fn run_again(folder: &Path) -> Ended {
    run("configs/demo.toml", folder, &["--for", "1s"])
}

#[test]
fn a_reader_of_the_output_who_goes_away_does_not_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start("configs/demo.toml", folder.path(), &["--for", "3s", "--format", "text"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let dataset = sinew_episodes::lerobot::Reader::open(folder.path()).unwrap();
    assert_eq!(dataset.episodes().len(), 1);
}

#[test]
fn an_interrupt_before_the_arm_is_armed_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let faults = ["--set", "emulator.faults=[\"delay=50ms\"]"];
    let mut child = start("configs/demo.toml", folder.path(), &faults);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    // The first line of the run itself: the handler is there, the arm is not armed.
    while !text.contains("demo: ") {
        assert_ne!(stderr.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    stderr.read_to_string(&mut text).unwrap();
    assert_eq!(wait(child).code, 20, "{text}");
    assert!(text.contains("nothing was moved"), "{text}");
}
