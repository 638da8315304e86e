//! The mock arm end to end: at the pace of its own clock, and by torques.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use support::{Ended, Journal, run};

const MOCK: &str = "configs/mock.toml";
const TORQUE: &str = "configs/mock-torque.toml";

fn completed(config: &str, more: &[&str]) -> (Ended, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(config, folder.path(), more);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    journal.assert_inside_limits();
    assert_eq!(journal.assert_every_miss_is_reported(), ended.count("/timing/missed"));
    (ended, journal)
}

#[test]
fn at_the_device_s_pace_each_lost_beat_is_a_gap_in_the_index() {
    let faults = "emulator.faults=[\"drop=1/50\"]";
    let more = ["--for", "3s", "--set", "run.pace=device", "--set", faults];
    let (ended, journal) = completed(MOCK, &more);
    let cycles = &journal.cycles;
    // One beat in fifty never came; a busy machine misses more, never fewer.
    let periods = cycles.last().unwrap().index + 1;
    let missed = ended.count("/timing/missed");
    assert_eq!(cycles.len() as u64 + missed, periods);
    assert!(missed >= periods / 50 - 1, "{missed} of {periods}");
    assert!(journal.has_event("overrun", "1 period without a cycle"));
    // Each cycle has a sample of its own, unless the one before woke so late that it had read it
    // already. The device's beats are 20 ppm fast.
    let beat = 1e9 / (1000.0 * (1.0 + 20e-6));
    for pair in cycles.windows(2) {
        let read_ahead = pair[0].measured_ns[0] > pair[0].scheduled_ns;
        let index = pair[1].index;
        assert!(pair[1].sample > pair[0].sample || read_ahead, "cycle {index} has no new sample");
    }
    let (first, last) = (&cycles[0], cycles.last().unwrap());
    let beats = (last.measured_ns[0] - first.measured_ns[0]) as f64 / beat;
    let counted = (last.index - first.index) as f64;
    assert!((beats - counted).abs() < 3.0, "{beats} beats, counted {counted}");
}

/// Root mean square of the difference between command and measurement while the arm is driven, over
/// all joints, and the largest.
fn tracking(journal: &Journal) -> (f64, f64) {
    let errors: Vec<f64> = journal
        .cycles
        .iter()
        .filter(|cycle| cycle.commanded)
        .flat_map(|cycle| cycle.limited.iter().zip(&cycle.measured))
        .map(|(commanded, measured)| (commanded - measured).abs())
        .collect();
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    ((squares / errors.len() as f64).sqrt(), errors.iter().copied().fold(0.0, f64::max))
}

fn moved(journal: &Journal) -> f64 {
    let of = |joint: usize| journal.cycles.iter().map(move |cycle| cycle.measured[joint]);
    let span = |joint| of(joint).fold(f64::MIN, f64::max) - of(joint).fold(f64::MAX, f64::min);
    (0..journal.header.joints.len()).map(span).fold(0.0, f64::max)
}

#[test]
fn torques_make_the_arm_follow_within_milliradians() {
    let more = ["--for", "6s", "--set", "run.clock=simulated"];
    let (ended, journal) = completed(TORQUE, &more);
    let (mean, worst) = tracking(&journal);
    assert!(mean < 0.002 && worst < 0.01, "{mean} rad in the mean, {worst} at most");
    assert!(moved(&journal) > 0.3);
    // The gains ask for nothing that the limits of torque would have to change.
    for cause in ["effort", "effort_rate"] {
        assert!(!ended.json["clamps"].to_string().contains(cause), "{}", ended.json["clamps"]);
    }
    let largest = journal
        .cycles
        .iter()
        .flat_map(|cycle| &cycle.effort)
        .fold(0.0, |most: f64, it| most.max(it.abs()));
    assert!((1.0..20.0).contains(&largest), "{largest} N·m");
    assert!(journal.cycles.iter().all(|cycle| cycle.effort.len() == 7));
}

#[test]
fn torques_that_are_too_small_are_clamped_and_the_arm_follows_late() {
    let mut more = vec!["--for", "6s", "--set", "run.clock=simulated"];
    let joints: Vec<String> =
        (1..=7).map(|joint| format!("limits.joint{joint}.max_torque_nm=3.0")).collect();
    for joint in &joints {
        more.extend(["--set", joint]);
    }
    let folder = tempfile::tempdir().unwrap();
    let ended = run(TORQUE, folder.path(), &more);
    let journal = ended.journal();
    journal.assert_inside_limits();
    assert!(ended.json["clamps"].to_string().contains("\"effort\""), "{}", ended.json["clamps"]);
}

#[test]
fn torques_hold_and_move_the_arm_in_real_time() {
    let (ended, journal) = completed(TORQUE, &["--for", "3s"]);
    let (mean, _) = tracking(&journal);
    // A period without a cycle leaves the last torque on: a busy machine costs accuracy.
    assert!(mean < 0.05, "{mean} rad in the mean");
    assert!(moved(&journal) > 0.3);
    assert!(ended.count("/bus/commands") > 1000);
    assert!(journal.cycles.iter().all(|cycle| cycle.effort.iter().all(|it| it.abs() <= 30.0)));
}
