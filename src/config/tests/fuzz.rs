//! Whatever a file or an override says: a valid configuration or a named error, never a panic.

use std::fs;

use proptest::prelude::*;

use super::{Files, GOOD, robot};
use crate::config::{ConfigError, Loaded, load};

/// What must hold of every outcome.
fn judge(files: &Files, result: Result<Loaded, ConfigError>) {
    let error = match result {
        Err(error) => error,
        Ok(loaded) => match loaded.validate(&robot()) {
            Err(error) => error,
            Ok(limits) => {
                assert_eq!(limits.len(), robot().joints.len());
                for joint in limits {
                    let [low, high] = joint.position;
                    assert!(low.is_finite() && high.is_finite() && low < high);
                    for value in
                        [joint.max_velocity, joint.max_acceleration, joint.max_jerk, joint.max_step]
                    {
                        assert!(value.is_finite() && value > 0.0);
                    }
                }
                let text = loaded.effective_toml();
                fs::write(files.path("effective.toml"), text).unwrap();
                let again = load(&files.path("effective.toml"), &[]).unwrap();
                assert_eq!(again.config, loaded.config);
                assert!(!loaded.explain().is_empty());
                return;
            }
        },
    };
    assert!(!error.problems.is_empty());
    for problem in &error.problems {
        let text = problem.to_string();
        assert!(text.contains("run.toml") || text.contains("--set"), "no place in: {text}");
        assert!(text.len() > 20, "no reason in: {text}");
    }
}

fn judge_bytes(bytes: &[u8]) {
    let files = Files::new(&[]);
    fs::write(files.path("run.toml"), bytes).unwrap();
    judge(&files, files.load("run.toml", &[]));
}

/// Values that have broken readers before.
const VALUES: &[&str] = &[
    "nan",
    "-inf",
    "1e400",
    "-1",
    "0",
    "1",
    "-0.0",
    "2.5",
    "1e-300",
    "9223372036854775807",
    "99999999999999999999",
    "\"\"",
    "\"x\"",
    "'\u{0}'",
    "\"\\u0000\"",
    "[]",
    "[[]]",
    "[1, 2]",
    "[2, 1]",
    "[0, 0, 1]",
    "[nan, 1]",
    "{}",
    "{ x = 1 }",
    "true",
    "1979-05-27",
    "07:32:00",
    "\"emulator\"",
    "\"queue\"",
    "\"pd\"",
    "\"device\"",
    "\"mock\"",
    "\"elbow\"",
    "[\"shoulder\"]",
    "\"ensemble\"",
    "\"🦾\"",
    "[{}]",
    "[{ joint = \"elbow\", unit = \"rad\" }]",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        judge_bytes(&bytes);
    }

    #[test]
    fn bytes_changed_in_a_good_file_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (index, byte, kind) in edits {
            let place = index.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => { bytes.remove(place); }
            }
        }
        judge_bytes(&bytes);
    }

    #[test]
    fn values_changed_in_a_good_file_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(VALUES)), 1..4),
    ) {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        for (index, value) in edits {
            let place = index.index(lines.len());
            if let Some((key, _)) = lines[place].clone().split_once(" = ") {
                lines[place] = format!("{key} = {value}");
            }
        }
        judge_bytes(lines.join("\n").as_bytes());
    }

    #[test]
    fn lines_moved_in_a_good_file_never_panic(
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), copy in any::<bool>(),
    ) {
        let mut lines: Vec<&str> = GOOD.lines().collect();
        let place = from.index(lines.len());
        let line = if copy { lines[place] } else { lines.remove(place) };
        lines.insert(to.index(lines.len()), line);
        judge_bytes(lines.join("\n").as_bytes());
    }

    #[test]
    fn arbitrary_overrides_never_panic(
        free in ".{0,40}",
        key in prop::sample::select(&[
            "run.rate_hz", "run", "limits.shoulder", "policy.state", "policy.images.\"a.b\"", "cameras.top.source",
            "rest.pose.elbow", "emulator.faults", "recording.rate_hz", "policy.ensemble_coefficient", "x.y",
        ][..]),
        value in prop_oneof![prop::sample::select(VALUES).prop_map(str::to_owned), ".{0,20}"],
    ) {
        let files = Files::new(&[("run.toml", GOOD)]);
        judge(&files, files.load("run.toml", &[&free]));
        judge(&files, files.load("run.toml", &[&format!("{key}={value}")]));
    }
}
