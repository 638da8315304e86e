//! Reference trajectories of in-context identification, played by the mock arm and exported.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{run, sinew};

const CONFIG: &str = "configs/identification.toml";
const VIRTUAL: [&str; 2] = ["--set", "run.clock=simulated"];

/// Columns of an exported file.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<f64>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let row = |line: &str| line.split(',').map(|it| it.parse().unwrap()).collect();
    (names, lines.map(row).collect())
}

#[test]
fn a_circle_of_the_tool_is_made_recorded_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let circle = "excitation.signals=[{kind='circle', duration_s=6, radius_m=0.05, period_s=2.5}]";
    let ended = run(CONFIG, folder.path(), &[&VIRTUAL[..], &["--set", circle]].concat());
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let episode = ended.json["episode"].as_str().unwrap();
    let output = folder.path().join("circle.csv");
    let export = |more: &[&str]| {
        let mut command = sinew();
        command.args(["export", episode, "--to", "poses-csv", "--output"]).arg(&output).args(more);
        command.output().unwrap()
    };
    let exported = export(&["--arm", "panda"]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let (names, rows) = table(&output);
    assert_eq!(names.len(), 21);
    assert_eq!([&names[0], &names[7], &names[13], &names[20]], ["tau0", "px", "qw", "q6"]);
    assert!(rows.len() > 6000, "{}", rows.len());
    // While it goes round (the last seconds are the way to rest), the tool is on the circle in the plane of
    // y and z around its pose, and looks the same way.
    let arm = sinew_simulation::arms::franka::panda().unwrap();
    let pose = [0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.785];
    let middle = arm.chain.at(&pose.into()).tool().translation.vector;
    let round: Vec<&Vec<f64>> = rows
        .iter()
        .filter(|row| {
            let (y, z) = (row[8] - middle.y, row[9] - middle.z);
            (y.hypot(z) - 0.05).abs() < 1e-3 && (row[7] - middle.x).abs() < 1e-3
        })
        .collect();
    assert!(round.len() > 5000, "{}", round.len());
    for side in [1.0, -1.0] {
        assert!(round.iter().any(|row| side * (row[8] - middle.y) > 0.049), "{side}");
        assert!(round.iter().any(|row| side * (row[9] - middle.z) > 0.049), "{side}");
    }
    let turned =
        |row: &[f64]| (0..4).map(|at| (row[10 + at] - round[0][10 + at]).abs()).sum::<f64>();
    assert!(round.iter().all(|row| turned(row) < 2e-2));

    let again = export(&["--arm", "panda"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
    let other = export(&["--arm", "viperx300", "--force"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(2));
    assert!(said.contains("viperx300 has 6 joints, and 7 are asked for"), "{said}");
}

#[test]
fn all_joints_move_at_once_and_the_effective_configuration_is_the_same_motion() {
    let folder = tempfile::tempdir().unwrap();
    let signals = "excitation.signals=[{kind='joint_multi_sine', duration_s=2, frequency_hz=0.4}, \
                   {kind='joint_chirp', duration_s=2, frequency_hz=0.4}, \
                   {kind='joint_impulse', duration_s=3}, {kind='joint_trapezoid', duration_s=3}]";
    let first = run(CONFIG, folder.path(), &[&VIRTUAL[..], &["--set", signals]].concat());
    assert_eq!((first.code, first.cause()), (0, "completed"), "{}", first.stderr);
    let journal = first.journal();
    for joint in 0..7 {
        let positions = journal.cycles.iter().map(|cycle| cycle.requested[joint]);
        let [low, high] = positions
            .fold([f64::MAX, f64::MIN], |[low, high], value| [low.min(value), high.max(value)]);
        assert!(high - low > 0.05, "joint {joint}: {low} to {high}");
    }
    // What was drawn stands in the configuration of the run; with another seed it stays.
    let effective = Path::new(first.json["episode"].as_str().unwrap()).join("config.toml");
    let text = std::fs::read_to_string(&effective).unwrap();
    for key in ["amplitudes_rad = [", "frequencies_hz = [", "levels_rad = [", "ramps_s = ["] {
        assert!(text.contains(key), "{key}");
    }
    let other = tempfile::tempdir().unwrap();
    let effective = effective.display().to_string();
    let more = [&VIRTUAL[..], &["--set", "excitation.seed=9"]].concat();
    let second = run(&effective, other.path(), &more);
    assert_eq!(second.code, 0, "{}", second.stderr);
    let again = second.journal();
    assert_eq!(journal.cycles.len(), again.cycles.len());
    for (one, other) in journal.cycles.iter().zip(&again.cycles) {
        assert_eq!(one.requested, other.requested);
    }
    let third = tempfile::tempdir().unwrap();
    let more = [&more[..], &["--set", signals]].concat();
    let third = run(CONFIG, third.path(), &more);
    let differs = third
        .journal()
        .cycles
        .iter()
        .zip(&journal.cycles)
        .any(|(one, other)| one.requested != other.requested);
    assert!(differs, "another seed draws other numbers");
}

#[test]
fn paths_and_lists_that_cannot_be_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (set, expected) in [
        (
            "excitation.signals=[{kind='circle', duration_s=4, radius_m=0.6, period_s=4}]",
            "and comes no nearer than",
        ),
        (
            "excitation.signals=[{kind='circle', duration_s=4, radius_m=0.1, period_s=0.2}]",
            "Lengthen period_s and duration_s, or lower radius_m",
        ),
        (
            "excitation.pose={joint1=0, joint2=0, joint3=1.5708, joint4=-1.2, joint5=0, joint6=1.6, joint7=0}",
            "nearly singular",
        ),
        ("excitation.pose.joint9=0", "joint9"),
        ("excitation.arm=viperx300", "the arm viperx300 has 6 joints, and 7 are asked for"),
        ("excitation.arm=none.urdf", "none.urdf"),
        (
            "excitation.signals=[{kind='joint_chirp', duration_s=4, frequency_hz=0.2, phases_rad=[0.1]}]",
            "has 1 numbers, needed are 7",
        ),
        (
            "excitation.signals=[{kind='joint_multi_sine', joints=['joint1'], duration_s=4, frequency_hz=0.2, amplitudes_rad=[1, 1, 1, 1]}]",
            "4 rad to either side of 0 rad",
        ),
        (
            "excitation.signals=[{kind='joint_impulse', joints=['joint1', 'joint8'], duration_s=4}]",
            "joint8",
        ),
    ] {
        let small = "excitation.signals=[{kind='circle', duration_s=4, radius_m=0.05, period_s=4}]";
        let more = ["--set", small, "--set", set, "--for", "100ms"];
        let ended = run(CONFIG, folder.path(), &[&VIRTUAL[..], &more].concat());
        assert_eq!(ended.code, 2, "{set}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{set}: {}", ended.stderr);
    }
}
