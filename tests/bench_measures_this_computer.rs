//! `sinew bench` runs and says what docs/benchmarks.md says it does. Never how fast: tests run on
//! machines that do other things too.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

fn bench(only: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args(["bench", "--seconds", "1", "--format", "json", "--only", only, "--directory"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(answer["exit"]["code"], 0);
    answer["bench"].clone()
}

#[test]
fn one_part_alone_has_its_fields() {
    let report = bench("gate");
    for field in ["cpu", "cpus", "kernel", "load", "optimised", "not_granted"] {
        assert!(!report["machine"][field].is_null(), "{field}");
    }
    assert!(report["cycles"].as_array().unwrap().is_empty() && report["wake_ups"].is_null());
    let parts = report["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    for part in parts {
        assert!(part["name"].as_str().unwrap().starts_with("gate, "));
        assert!(part["n"].as_u64().unwrap() >= 1000);
        for field in ["p50_ns", "p99_ns", "max_ns", "calls_per_s"] {
            assert!(part[field].as_f64().unwrap() > 0.0, "{field}");
        }
    }
}

#[test]
fn every_cycle_is_in_the_journal_or_counted_as_dropped() {
    let report = bench("joints");
    let rows = report["cycles"].as_array().unwrap();
    let joints: Vec<u64> = rows.iter().map(|row| row["joints"].as_u64().unwrap()).collect();
    assert_eq!(joints, [1, 2, 4, 7, 16, 32]);
    for row in rows {
        let count = |field: &str| row[field].as_u64().unwrap();
        let cycles = row["response"]["n"].as_u64().unwrap();
        assert_eq!(count("recorded") + count("dropped") + count("unwritten"), cycles, "{row}");
        assert_eq!(row["logging"], true);
        assert!(row["bytes_per_cycle"].as_f64().unwrap() > 50.0);
        let phases: Vec<_> =
            row["phases"].as_array().unwrap().iter().map(|phase| &phase["name"]).collect();
        assert_eq!(phases, ["read", "take", "decide", "write", "record"]);
    }
}

#[test]
fn ctrl_c_ends_it_at_once_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args(["bench", "--seconds", "600", "--only", "cycle", "--ordinary", "--directory"])
        .arg(folder.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let count = || std::fs::read_dir(folder.path()).unwrap().count();
    while count() == 0 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let process = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(20));
    assert_eq!(count(), 0);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for arguments in [["--only", "nothing"], ["--seconds", "0"]] {
        let status = Command::new(env!("CARGO_BIN_EXE_sinew"))
            .arg("bench")
            .args(arguments)
            .output()
            .unwrap()
            .status;
        assert_eq!(status.code(), Some(2));
    }
}
