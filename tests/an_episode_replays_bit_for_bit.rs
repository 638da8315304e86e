//! `sinew replay`: every command of a recorded run, computed again from its journal.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use sinew_episodes::journal::{Reader, Record, Writer};
use support::{Ended, root, run, sinew};

fn replay(episode: &Path, more: &[&str]) -> Ended {
    let output =
        sinew().arg("replay").arg(episode).args(more).args(["--format", "json"]).output().unwrap();
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

/// A copy of the stored journal with every record that `change` lets through, as it leaves it.
fn changed(folder: &Path, mut change: impl FnMut(&mut Record) -> bool) -> PathBuf {
    let path = folder.join("journal.sinew");
    let _ = std::fs::remove_file(&path);
    let mut reader = Reader::open(&stored()).unwrap();
    let mut header = Record::Header(reader.header().clone());
    change(&mut header);
    let Record::Header(header) = header else { unreachable!() };
    let mut writer = Writer::create(&path, &header).unwrap();
    for record in &mut reader {
        let mut record = record.unwrap();
        if change(&mut record) {
            writer.append(&record).unwrap();
        }
    }
    writer.sync().unwrap();
    path
}

fn flip(value: &mut f64) {
    *value = f64::from_bits(value.to_bits() ^ 1);
}

#[test]
fn a_stored_episode_is_identical() {
    let ended = replay(&stored(), &[]);
    assert_eq!((ended.code, ended.cause()), (0, "identical"), "{} {}", ended.json, ended.stderr);
    assert!(ended.json["cycles"].as_u64().unwrap() > 100);
    assert!(ended.json["chunks"].as_u64().unwrap() >= 2);
}

#[test]
fn one_flipped_bit_is_found_with_its_cycle_and_joint() {
    let folder = tempfile::tempdir().unwrap();
    // The last bit of one command, while the arm moves.
    let path = changed(folder.path(), |record| {
        if let Record::Cycle(cycle) = record
            && cycle.index == 40
        {
            flip(&mut cycle.limited[2]);
        }
        true
    });
    let ended = replay(&path, &[]);
    assert_eq!((ended.code, ended.cause()), (50, "different"), "{}", ended.json);
    let first = &ended.json["first"];
    assert_eq!((&first["cycle"], &first["joint"]), (&40.into(), &"joint3".into()));
    assert_eq!(first["field"], "limited");
    assert_ne!(first["recorded_bits"], first["computed_bits"]);
    assert_eq!(ended.json["different_cycles"], 1);

    // The last bit of the measurement at which commands begin changes every one of joint 1.
    let path = changed(folder.path(), |record| {
        if let Record::Cycle(cycle) = record
            && cycle.index == 0
        {
            flip(&mut cycle.measured[0]);
        }
        true
    });
    let ended = replay(&path, &[]);
    assert_eq!((ended.code, ended.cause()), (50, "different"), "{}", ended.json);
    let first = &ended.json["first"];
    assert_eq!((&first["cycle"], &first["joint"]), (&0.into(), &"joint1".into()));
    assert!(ended.json["different_cycles"].as_u64().unwrap() > 1);
}

#[test]
fn another_limit_in_the_journal_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), |record| {
        if let Record::Header(header) = record {
            let limit = "max_acceleration_rad_s2 = 10.0";
            assert!(header.config.contains(limit));
            let other = f64::from_bits(10f64.to_bits() + 1);
            header.config =
                header.config.replace(limit, &format!("max_acceleration_rad_s2 = {other:?}"));
        }
        true
    });
    let ended = replay(&path, &[]);
    assert_eq!((ended.code, ended.cause()), (50, "different"), "{}", ended.json);
    assert!(ended.json["different_values"]["limited"].as_u64().unwrap() > 0);
}

#[test]
fn a_dropped_sample_ends_the_comparison_there_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        changed(folder.path(), |record| !matches!(record, Record::Cycle(it) if it.index == 50));
    let ended = replay(&path, &[]);
    assert_eq!((ended.code, ended.cause()), (51, "incomplete"), "{}", ended.json);
    assert_eq!(ended.json["cycles"], 50);
    assert_eq!(ended.json["incomplete"]["after"], 49);
    assert_eq!(ended.json["incomplete"]["before"], 51);
}

#[test]
fn a_lost_chunk_and_a_torn_end_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        changed(folder.path(), |record| !matches!(record, Record::Chunk(it) if it.sequence == 2));
    let ended = replay(&path, &[]);
    assert_eq!((ended.code, ended.cause()), (51, "incomplete"), "{}", ended.json);
    assert_eq!(ended.json["incomplete"]["sequence"], 2);

    let bytes = std::fs::read(stored()).unwrap();
    let path = folder.path().join("torn.sinew");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let ended = replay(&path, &[]);
    assert_eq!((ended.code, ended.cause()), (51, "incomplete"), "{}", ended.json);
    assert_eq!(ended.json["incomplete"]["kind"], "end");
    assert!(ended.json["cycles"].as_u64().unwrap() > 20);
}

#[test]
fn runs_in_virtual_time_replay_identically_however_chunks_are_executed() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = ["--for", "3s", "--set", "run.clock=simulated"];
    let cases: [(&str, &[&str]); 5] = [
        ("configs/demo.toml", &[]),
        ("configs/mock.toml", &[]),
        ("configs/mock.toml", &["policy.execution=queue", "target.generator=linear"]),
        (
            "configs/mock.toml",
            &["policy.execution=ensemble", "policy.ensemble_coefficient=0.01", "run.rate_hz=200"],
        ),
        ("configs/mock.toml", &["emulator.faults=['disconnect=1s@2s', 'nan=20ms@4s']"]),
    ];
    for (config, sets) in cases {
        let mut more = simulated.to_vec();
        sets.iter().for_each(|set| more.extend(["--set", set]));
        let ended = run(config, &folder.path().join(sets.len().to_string()), &more);
        let episode = ended.json["episode"].as_str().unwrap_or_else(|| panic!("{}", ended.stderr));
        let again = replay(Path::new(episode), &[]);
        assert_eq!(
            (again.code, again.cause()),
            (0, "identical"),
            "{config} {sets:?} {}",
            again.json
        );
        assert!(again.json["cycles"].as_u64().unwrap() > 100);
        std::fs::remove_dir_all(folder.path().join(sets.len().to_string())).unwrap();
    }
}

#[test]
fn a_run_in_real_time_with_faults_replays_identically() {
    let folder = tempfile::tempdir().unwrap();
    let faults = "emulator.faults=['disconnect=1s@2s', 'jump=0.2@4s', 'drop=1/20']";
    // A busy machine misses deadlines: they are part of what is replayed.
    let sets = ["--set", faults, "--set", "overrun.policy=report"];
    let ended = run("configs/mock.toml", folder.path(), &[&["--for", "6s"], &sets[..]].concat());
    let episode = ended.json["episode"].as_str().unwrap_or_else(|| panic!("{}", ended.stderr));
    assert!(ended.journal().has_event("reconnect", ""), "{}", ended.json);
    let again = replay(Path::new(episode), &[]);
    if ended.json["drops"]["samples"] == 0 {
        assert_eq!((again.code, again.cause()), (0, "identical"), "{}", again.json);
    } else {
        // The machine was too busy to record every cycle: then that is what replay says.
        assert_eq!((again.code, again.cause()), (51, "incomplete"), "{}", again.json);
    }
    assert!(again.json["first"].is_null());
}

#[test]
fn a_box_around_the_tool_is_replayed_from_the_urdf_that_the_run_kept() {
    let folder = tempfile::tempdir().unwrap();
    let urdf = folder.path().join("arm.urdf");
    std::fs::write(&urdf, seven_joints()).unwrap();
    let sets = [
        format!("workspace.urdf={:?}", urdf.display().to_string()),
        "workspace.min_m=[-5.0, -5.0, -5.0]".to_owned(),
        "workspace.max_m=[5.0, 5.0, 5.0]".to_owned(),
    ];
    let mut more = vec!["--for", "1s", "--set", "run.clock=simulated", "--set", "run.rate_hz=100"];
    sets.iter().for_each(|set| more.extend(["--set", set]));
    let ended = run("configs/mock.toml", &folder.path().join("set"), &more);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let episode = PathBuf::from(ended.json["episode"].as_str().unwrap());
    std::fs::remove_file(&urdf).unwrap();
    let again = replay(&episode, &[]);
    assert_eq!((again.code, again.cause()), (0, "identical"), "{} {}", again.json, again.stderr);
    // Without it the box is unknown, and that is what is said.
    std::fs::remove_file(episode.join("workspace.urdf")).unwrap();
    let refused = replay(&episode, &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("arm.urdf does not exist"), "{}", refused.stderr);
}

/// A chain of seven hinges, one over the other.
fn seven_joints() -> String {
    let mut text = String::from("<robot name=\"mock\"><link name=\"link0\"/>");
    for joint in 1..=7 {
        let axis = if joint % 2 == 0 { "0 1 0" } else { "0 0 1" };
        text.push_str(&format!(
            "<link name=\"link{joint}\"/><joint name=\"joint{joint}\" type=\"revolute\">\
             <parent link=\"link{}\"/><child link=\"link{joint}\"/><origin xyz=\"0 0 0.2\"/>\
             <axis xyz=\"{axis}\"/><limit lower=\"-3\" upper=\"3\" effort=\"1\" velocity=\"3\"/></joint>",
            joint - 1
        ));
    }
    text + "</robot>"
}

#[test]
fn other_limits_show_what_they_would_have_done() {
    let slower = "limits.joint1.max_velocity_rad_s=0.2";
    let ended = replay(&stored(), &["--with", slower]);
    assert_eq!((ended.code, ended.cause()), (0, "computed"), "{} {}", ended.json, ended.stderr);
    assert_eq!(ended.json["open_loop"], true);
    let joints = ended.json["joints"].as_array().unwrap();
    assert!(joints[0]["largest"].as_f64().unwrap() > 0.01, "{}", joints[0]);
    assert!(joints[0]["rms"].as_f64().unwrap() > 0.0);
    assert_eq!(joints[1]["largest"], 0.0);
    assert!(ended.json["different_cycles"].as_u64().unwrap() > 10);
    // So slow that the recorded arm runs away from the command: open loop, that ends the run.
    let ended = replay(&stored(), &["--with", "limits.joint1.max_velocity_rad_s=0.05"]);
    let computed = ended.json["computed"].as_array().unwrap();
    assert!(computed.iter().any(|change| change["why"] == "tracking_error"), "{}", ended.json);
    let same = replay(&stored(), &["--with", "supervision.clamp_fault_ms=4999"]);
    assert_eq!(same.json["different_cycles"], 0, "{}", same.json);
}

#[test]
fn what_a_change_makes_void_is_left_out_of_the_recorded_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let record = |config: &str, name: &str, sets: &[&str]| {
        let mut more = vec!["--for", "1s", "--set", "run.clock=simulated"];
        sets.iter().for_each(|set| more.extend(["--set", set]));
        let ended = run(config, &folder.path().join(name), &more);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.folder()
    };
    let ensemble = ["policy.execution=ensemble", "policy.ensemble_coefficient=0.01"];
    let episode = record("configs/mock.toml", "ensemble", &ensemble);
    let computed = replay(&episode, &["--with", "policy.execution=timeline"]);
    assert_eq!((computed.code, computed.cause()), (0, "computed"), "{}", computed.stderr);
    // What somebody says himself is refused as ever.
    let said = ["--with", "policy.execution=timeline", "--with", "policy.ensemble_coefficient=0.1"];
    let refused = replay(&episode, &said);
    assert!(refused.stderr.contains("policy.ensemble_coefficient"), "{}", refused.stderr);
    assert_eq!(refused.code, 2);
    let episode = record("configs/mock.toml", "period", &["policy.inference_period_ms=500"]);
    let computed = replay(&episode, &["--with", "policy.execution=queue"]);
    assert_eq!((computed.code, computed.cause()), (0, "computed"), "{}", computed.stderr);
    let episode = record("configs/mock-torque.toml", "torque", &[]);
    let computed = replay(&episode, &["--with", "actuation.model=position"]);
    assert_eq!((computed.code, computed.cause()), (0, "computed"), "{}", computed.stderr);
    let again = folder.path().join("again");
    let again = format!("recording.directory={:?}", again.display().to_string());
    let on = ["--on", "configs/mock.toml", "--set", "run.clock=simulated", "--set", &again];
    let moved = replay(&episode, &on);
    assert_eq!(moved.code, 0, "{} {}", moved.json, moved.stderr);
}

#[test]
fn limits_that_the_robot_does_not_have_are_refused_and_so_is_what_changes_nothing() {
    let beyond = replay(&stored(), &["--with", "limits.joint1.position_rad=[-9.0, 9.0]"]);
    assert_eq!(beyond.code, 2, "{}", beyond.json);
    assert!(beyond.stderr.contains("limits.joint1"), "{}", beyond.stderr);
    let rate = replay(&stored(), &["--with", "run.rate_hz=10"]);
    assert_eq!(rate.code, 2);
    assert!(rate.stderr.contains("cannot be changed"), "{}", rate.stderr);
    let nothing = replay(&stored(), &["--with", "run.spin_us=10"]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("no recorded cycle depends"), "{}", nothing.stderr);
    let nowhere = replay(Path::new("tests"), &[]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("neither a run's folder"), "{}", nowhere.stderr);
}
