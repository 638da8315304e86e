//! The demo, end to end through the binary.

mod support;

use std::path::PathBuf;

use support::{run, sinew, start, wait};

#[test]
fn the_demo_moves_the_arm_inside_limits_and_leaves_an_episode() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run("configs/demo.toml", folder.path(), &["--for", "4s"]);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);

    let journal = ended.journal();
    journal.assert_inside_limits();
    assert!(journal.frames > 50 && journal.chunks >= 5);
    let travel = |joint: usize| {
        let positions = journal.cycles.iter().map(|cycle| cycle.measured[joint]);
        positions.clone().fold(f64::MIN, f64::max) - positions.fold(f64::MAX, f64::min)
    };
    assert!(travel(1) > 0.2, "joint2 moved {} rad", travel(1));
    assert!(travel(5) < 0.01, "joint6 is held");
    let last = journal.cycles.last().unwrap();
    let rest = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7];
    for (joint, (measured, rest)) in last.measured.iter().zip(rest).enumerate() {
        assert!((measured - rest).abs() < 0.05, "joint {joint} rests at {measured}");
    }

    assert!(PathBuf::from(ended.json["report"].as_str().unwrap()).is_file());
    assert_eq!(ended.json["episode_index"], 0);
    assert!(ended.json["timing"]["period"]["n"].as_u64().unwrap() > 200);
    assert!(ended.json["bus"]["commands"].as_u64().unwrap() > 20);
    assert_eq!(ended.json["drops"]["samples"], 0);
    assert!(folder.path().join("meta/info.json").is_file());

    let again = run("configs/demo.toml", folder.path(), &["--for", "1s"]);
    assert_eq!((again.code, &again.json["episode_index"]), (0, &1.into()), "{}", again.stderr);

    let info = sinew().args(["info", "--format", "json"]).arg(folder.path()).output().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["episodes"].as_array().unwrap().len(), 2);
}

#[test]
fn the_same_run_in_virtual_time_gives_the_same_bytes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("dataset");
    let bytes = || {
        let ended = run("configs/demo.toml", &dataset, &["--set", "run.clock=simulated"]);
        assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
        let journal = ended.journal();
        journal.assert_inside_limits();
        assert!(journal.cycles.len() > 500);
        let episode = PathBuf::from(ended.json["episode"].as_str().unwrap());
        let journal = std::fs::read(episode.join("journal.sinew")).unwrap();
        let report = std::fs::read(episode.join("report.html")).unwrap();
        let table = std::fs::read(dataset.join("data/chunk-000/file-000.parquet")).unwrap();
        std::fs::remove_dir_all(&dataset).unwrap();
        (journal, report, table)
    };
    let (first, second) = (bytes(), bytes());
    assert!(first.0 == second.0, "the journals differ");
    assert!(first.1 == second.1, "the reports differ");
    assert!(first.2 == second.2, "the datasets differ");
}

#[test]
fn one_interrupt_ramps_to_rest_and_a_second_takes_torque_off() {
    let folder = tempfile::tempdir().unwrap();
    for (interrupts, code, cause) in [(1, 20, "operator"), (2, 21, "operator_torque_off")] {
        let child = start("configs/demo.toml", folder.path(), &["--for", "60s"]);
        let pid = rustix::process::Pid::from_child(&child);
        std::thread::sleep(std::time::Duration::from_secs(3));
        for _ in 0..interrupts {
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        let ended = wait(child);
        assert_eq!((ended.code, ended.cause()), (code, cause), "{}", ended.stderr);
        let journal = ended.journal();
        journal.assert_inside_limits();
        let last = journal.cycles.last().unwrap();
        let rests = last.measured.iter().take(6).all(|position| position.abs() < 0.05);
        assert_eq!(rests, interrupts == 1, "{:?}", last.measured);
    }
}

#[test]
fn every_way_of_executing_chunks_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sets) in [
        ("queue", vec!["policy.execution=queue"]),
        ("ensemble", vec!["policy.execution=ensemble", "policy.ensemble_coefficient=0.01"]),
    ] {
        let mut more = vec!["--for", "5s", "--set", "run.clock=simulated"];
        for set in &sets {
            more.extend(["--set", set]);
        }
        let ended = run("configs/demo.toml", folder.path(), &more);
        assert_eq!((ended.code, ended.cause()), (0, "completed"), "{name}: {}", ended.stderr);
        ended.journal().assert_inside_limits();
        let inferences = ended.json["policy"]["inferences"].as_u64().unwrap();
        assert!(if name == "queue" { inferences < 15 } else { inferences > 40 }, "{inferences}");
    }
}
