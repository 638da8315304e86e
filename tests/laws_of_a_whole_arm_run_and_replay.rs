//! Laws of a whole arm end to end: configured, driven in virtual time, recorded, replayed.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{Ended, Journal, run, sinew};

const IMPEDANCE: &str = "configs/mock-impedance.toml";
const GUIDING: &str = "configs/mock-guiding.toml";
const CHIRP: &str = "excitation={ signals = [{ kind = 'chirp', joint = 'joint1', duration_s = 3, \
                     amplitude_rad = 0.2, from_hz = 0.2, to_hz = 0.5 }] }";

fn completed(config: &str, folder: &Path, more: &[&str]) -> (Ended, Journal) {
    let mut set = vec!["--set", "run.clock=simulated", "--for", "4s"];
    more.iter().for_each(|more| set.extend(["--set", more]));
    let ended = run(config, folder, &set);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    (ended, journal)
}

fn assert_identical(ended: &Ended) {
    let output =
        sinew().arg("replay").arg(ended.folder()).args(["--format", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("identical"), "{text}");
}

/// Largest difference of command and measurement while the arm is driven, rad.
fn worst(journal: &Journal) -> f64 {
    let driven = journal.cycles.iter().filter(|cycle| cycle.commanded);
    let errors = driven.flat_map(|cycle| cycle.limited.iter().zip(&cycle.measured));
    errors.map(|(commanded, measured)| (commanded - measured).abs()).fold(0.0, f64::max)
}

#[test]
fn joint_impedance_drives_the_mock_arm_and_is_computed_again_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, journal) = completed(IMPEDANCE, folder.path(), &[]);
    journal.assert_inside_limits();
    assert!(worst(&journal) < 0.1, "{}", worst(&journal));
    assert!(journal.cycles.iter().any(|cycle| cycle.effort.iter().any(|it| it.abs() > 0.5)));
    assert!(!ended.json["clamps"].to_string().contains("effort"), "{}", ended.json["clamps"]);
    assert_identical(&ended);
}

#[test]
fn every_law_runs_from_its_name_and_is_computed_again_bit_for_bit() {
    let each = "[35, 35, 35, 35, 22, 17, 17]";
    let pid = format!(
        "actuation.joint_pid={{ proportional_nm_rad = 600, derivative_nm_s_rad = {each} }}"
    );
    for law in ["joint_pid", "cartesian_impedance", "cartesian_pid", "operational_space"] {
        let model = format!("actuation.model={law}");
        let mut sets = vec![model.as_str(), CHIRP, "actuation.filter_hz=300"];
        if law == "joint_pid" {
            sets.push(&pid);
        }
        // The mock arm is no FR3: what is left of a law's precision is not the point here.
        sets.push("supervision.tracking_error_rad=1.5");
        let folder = tempfile::tempdir().unwrap();
        let (ended, journal) = completed(GUIDING, folder.path(), &sets);
        assert!(journal.cycles.iter().any(|cycle| cycle.effort.iter().any(|it| it.abs() > 0.1)));
        assert_identical(&ended);
    }
}

#[test]
fn a_guided_demonstration_records_where_the_arm_was_and_ends_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    // What bears an FR3 pushes the mock arm, which has no weight, about: that is the hand.
    let sets = ["actuation.gravity_compensation=true", "rest.pose.joint1=1.0"];
    let (ended, journal) = completed(GUIDING, folder.path(), &sets);
    let running: Vec<_> = journal.cycles.iter().filter(|cycle| cycle.state == 2).collect();
    assert!(running.len() > 3500, "{}", running.len());
    for cycle in &running {
        for (limited, measured) in cycle.limited.iter().zip(&cycle.measured) {
            // At the soft end of the range at most the range's end.
            assert!(limited == measured || limited.abs() >= 2.7 - 1e-9, "{limited}, {measured}");
        }
    }
    let (first, last) = (running[0], running[running.len() - 1]);
    assert!((first.measured[1] - last.measured[1]).abs() > 0.1, "the arm was moved");
    // It stands where it was left: within what braking takes, far from the rest pose.
    let end = journal.cycles.last().unwrap();
    assert!((end.measured[0] - last.measured[0]).abs() < 0.3);
    assert!((end.measured[0] - 1.0).abs() > 0.3, "{}", end.measured[0]);
    assert!(ended.count("/episode_frames") > 100);
    assert_identical(&ended);
}
