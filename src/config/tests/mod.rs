//! Tests of loading and validation, on files in a temporary folder.

mod control;
mod fuzz;
mod law;
mod reference;
mod refusals;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use sinew_firmware_interfaces::{
    ControlMode, JointDescription, JointKind, JointLimits as DeviceLimits, OnSilence,
    RobotDescription,
};
use tempfile::TempDir;

use super::*;
use crate::limits::JointLimits;

/// A robot of two revolute joints and a gripper, whose figures the tests quote.
fn robot() -> RobotDescription {
    let joint = |name: &str, kind, reach: (f64, f64), max_velocity, max_acceleration| {
        let limits = DeviceLimits {
            position: reach.0..=reach.1,
            max_velocity,
            max_acceleration,
            max_jerk: None,
            max_effort: None,
            velocity_barrier: None,
        };
        JointDescription { name: name.to_owned(), kind, limits }
    };
    RobotDescription {
        model: "mycobot320".to_owned(),
        joints: vec![
            joint("shoulder", JointKind::Revolute, (-2.5, 2.5), 2.6, None),
            joint("elbow", JointKind::Revolute, (-2.0, 2.0), 2.6, Some(3.5)),
            joint("gripper", JointKind::Gripper, (0.0, 1.0), 2.0, None),
        ],
        max_command_rate_hz: 50.0,
        modes: vec![ControlMode::Position],
        sensors: Vec::new(),
        measures_velocity: false,
        measures_effort: false,
        compensates_gravity: false,
        lockstep: false,
        device_rate_hz: None,
        on_silence: OnSilence::Continues,
    }
}

/// A complete configuration for [`robot`], with every optional key that fits it.
const GOOD: &str = r#"[run]
name = "trial"
task = "pick the cube"
rate_hz = 50
duration_s = 10.0

[robot]
model = "mycobot320"
port = "emulator"
accept_motion_on_silence = true

[emulator]
start = { shoulder = 0.5 }

[limits.shoulder]
position_rad = [-2.4, 2.4]
max_velocity_rad_s = 1.0
max_acceleration_rad_s2 = 2.5
max_step_rad = 0.025
max_jerk_rad_s3 = 40.0
margin_rad = 0.1

[limits.elbow]
position_rad = [-1.9, 1.9]
max_velocity_rad_s = 1.0
max_acceleration_rad_s2 = 2.5

[limits.gripper]
opening = [0.0, 1.0]
max_slew_per_s = 0.5
max_slew_change_per_s2 = 4.0

[cameras.top]
source = "synthetic"
width = 64
height = 48
rate_hz = 30.0

[cameras.wrist]
source = "replay"
path = "frames"
rate_hz = 15.0

[policy]
path = "checkpoint"
rate_hz = 10.0
hold = ["elbow"]
state = [
  { joint = "shoulder", unit = "deg" },
  { joint = "gripper", unit = "percent" },
]
action = [
  { joint = "shoulder", unit = "deg", sign = -1 },
  { joint = "gripper", unit = "percent" },
]

[policy.images]
"observation.images.top" = "top"

[rest]
pose = { shoulder = 0.0, elbow = 0.0, gripper = 0.7 }

[supervision]
policy_hold_after_ms = 300.0

[recording]
directory = "episodes"

[workspace]
urdf = "arm.urdf"
tip = "flange"
min_m = [-0.3, -0.3, 0.0]
max_m = [0.3, 0.3, 0.5]

[target]
generator = "jerk_limited"
fraction = 0.9

[actuation]
model = "position"

[overrun]
policy = "hold"
allowed = 10
window_s = 2.0

[realtime]
mode = "prefer"
priority = 70
cpus = [2, 3]
lock_memory = false
timer_slack_ns = 50
"#;

/// A folder with configuration files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self, name: &str, sets: &[&str]) -> Result<Loaded, ConfigError> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        load(&self.path(name), &sets)
    }

    /// Loads and validates; the text of what is wrong.
    fn refusal(&self, name: &str, sets: &[&str]) -> String {
        let result = self.load(name, sets).and_then(|loaded| loaded.validate(&robot()));
        result.expect_err("this configuration must be refused").to_string()
    }
}

/// The number of the line of `text` that contains `part`.
fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[test]
fn a_good_file_loads_and_resolves() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let loaded = files.load("run.toml", &[]).unwrap();
    let limits = loaded.validate(&robot()).unwrap();
    assert_eq!(
        limits[0],
        JointLimits {
            position: [-2.4 + 0.1, 2.4 - 0.1],
            max_velocity: 1.0,
            max_acceleration: 2.5,
            max_jerk: 40.0,
            max_step: 0.025,
            barrier: None,
            effort: None,
        }
    );
    // Not said: 1.5 times the way of one cycle at full speed.
    assert_eq!(limits[1].max_step, 1.5 * 1.0 / 50.0);
    // Full acceleration within 50 ms.
    assert_eq!(limits[1].max_jerk, 20.0 * 2.5);
    assert_eq!(limits[1].position, [-1.9, 1.9]);
    assert_eq!(limits[2].max_step, 1.5 * 0.5 / 50.0);
    assert_eq!(limits[2].position, [0.0, 1.0]);
    assert_eq!(resolve_limits(&loaded.config, &robot()).unwrap(), limits);
    assert_eq!(loaded.config.run.rate_hz, 50.0);
    assert_eq!(loaded.config.policy.as_ref().unwrap().action[0].sign, -1);
    assert_eq!(loaded.config.robot.retries, 5);
}

#[test]
fn limits_of_another_robot_do_not_resolve() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let loaded = files.load("run.toml", &[]).unwrap();
    let mut other = robot();
    other.joints[1].name = "wrist".to_owned();
    let error = resolve_limits(&loaded.config, &other).unwrap_err().to_string();
    assert!(error.contains("`limits.wrist` is missing"), "{error}");
    // The right name, but limits of the wrong kind.
    other = robot();
    other.joints[2].kind = JointKind::Revolute;
    assert!(resolve_limits(&loaded.config, &other).is_err());
}

#[test]
fn every_value_knows_its_line() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let loaded = files.load("run.toml", &["run.spin_us=20"]).unwrap();
    let line = |key: &str| loaded.origins.of(key).line();
    assert_eq!(line("run.rate_hz"), Some(line_of(GOOD, "rate_hz = 50")));
    assert_eq!(line("limits.elbow"), Some(line_of(GOOD, "[limits.elbow]")));
    assert_eq!(line("policy.action[1].unit"), Some(line_of(GOOD, "sign = -1") + 1));
    let images = "policy.images.\"observation.images.top\"";
    assert_eq!(line(images), Some(line_of(GOOD, "observation.images.top")));
    assert_eq!(loaded.origins.of("run.spin_us"), Origin::Override);
    assert_eq!(loaded.origins.of("run.clock"), Origin::Default);
    // A value nobody said is looked for in its table, an unknown one in its file.
    assert_eq!(loaded.origins.nearest("run.clock").unwrap().line(), Some(1));
    let problem = loaded.problem("policy.state[1].scale", "is wrong").to_string();
    let expected = format!(
        "run.toml:{}: `policy.state[1].scale`: is wrong",
        line_of(GOOD, "unit = \"percent\"")
    );
    assert!(problem.ends_with(&expected), "{problem}");
    assert!(loaded.problem("elsewhere", "is wrong").to_string().contains("run.toml: `elsewhere`"));
    let error = loaded.problems([("run.task", "no"), ("run.name", "no")]);
    assert_eq!(error.problems[0].key(), Some("run.name"));
    let error = ConfigError::from(loaded.problem("run.name", "no"));
    assert!(error.to_string().contains("run.toml:2: `run.name`: no"));
}

#[test]
fn files_merge_key_by_key_and_the_later_wins() {
    let top = r#"extends = ["base.toml", "more/speed.toml"]
[run]
name = "top"
[limits]
shoulder.max_velocity_rad_s = 0.4
[policy]
hold = []
"#;
    let speed = r#"[run]
name = "speed"
rate_hz = 100.0
[cameras.wrist]
path = "../pictures"
[limits.shoulder]
max_velocity_rad_s = 0.7
max_acceleration_rad_s2 = 1.1
"#;
    let files = Files::new(&[("run.toml", top), ("base.toml", GOOD), ("more/speed.toml", speed)]);
    let loaded = files.load("run.toml", &["limits.shoulder.max_acceleration_rad_s2=0.9"]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.run.name, "top");
    assert_eq!(config.run.rate_hz, 100.0);
    assert_eq!(config.run.task, "pick the cube");
    assert_eq!(config.limits["shoulder"].position_rad, Some([-2.4, 2.4]));
    assert_eq!(config.limits["shoulder"].max_velocity_rad_s, Some(0.4));
    assert_eq!(config.limits["shoulder"].max_acceleration_rad_s2, Some(0.9));
    assert_eq!(config.policy.as_ref().unwrap().hold, Vec::<String>::new());
    let origin = loaded.origins.of("run.rate_hz").to_string();
    assert!(origin.ends_with("more/speed.toml:3"), "{origin}");
    // Paths belong to the file that says them.
    let CameraConfig::Replay { path, .. } = &config.cameras["wrist"] else { panic!() };
    assert_eq!(*path, files.path("pictures"));
    assert_eq!(config.policy.as_ref().unwrap().path, files.path("checkpoint"));
    let names: Vec<_> = loaded.files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["run.toml", "base.toml", "speed.toml"]);
}

#[test]
fn overrides_take_toml_and_bare_text() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let sets = [
        "run.duration_s=5",
        "run.name=7",
        "run.task = follow = me",
        "robot.port=/dev/ttyUSB0",
        "policy.execution=queue",
        "policy.hold=[\"elbow\", \"shoulder\"]",
        "policy.images.\"observation=x\"=top",
        "emulator.start={ elbow = 1 }",
        "recording.directory=out",
        "run.duration_s=6",
        "cameras.top.source='synthetic'",
    ];
    let loaded = files.load("run.toml", &sets).unwrap();
    let config = &loaded.config;
    assert_eq!(config.run.duration_s, 6.0);
    assert_eq!(config.run.name, "7");
    assert_eq!(config.run.task, "follow = me");
    assert_eq!(config.robot.port, "/dev/ttyUSB0");
    assert_eq!(config.policy.as_ref().unwrap().execution, Execution::Queue);
    assert_eq!(config.policy.as_ref().unwrap().hold, ["elbow", "shoulder"]);
    assert_eq!(config.policy.as_ref().unwrap().images["observation=x"], "top");
    assert_eq!(config.emulator.start["elbow"], 1.0);
    assert_eq!(config.emulator.start["shoulder"], 0.5);
    assert_eq!(config.recording.directory, std::env::current_dir().unwrap().join("out"));
}

#[test]
fn the_effective_configuration_loads_to_the_same_one_elsewhere() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let sets = [
        "policy.execution=ensemble",
        "policy.ensemble_coefficient=0.01",
        "run.task=say \"hi\" \\ ü",
    ];
    let loaded = files.load("run.toml", &sets).unwrap();
    loaded.validate(&robot()).unwrap();
    let explained = loaded.explain();
    let elsewhere = Files::new(&[
        ("deep/down/effective.toml", &loaded.effective_toml()),
        ("explained.toml", &explained),
    ]);
    let again = elsewhere.load("deep/down/effective.toml", &[]).unwrap();
    assert_eq!(again.config, loaded.config);
    again.validate(&robot()).unwrap();

    // The explanation is TOML as well; it only spells out the values derived from others.
    let spelled = elsewhere.load("explained.toml", &[]).unwrap();
    assert_eq!(spelled.config.recording.rate_hz, Some(10.0));
    assert_eq!(spelled.validate(&robot()).unwrap(), loaded.validate(&robot()).unwrap());
}

#[test]
fn the_explanation_names_every_origin() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let loaded = files.load("run.toml", &["run.duration_s=5"]).unwrap();
    let text = loaded.explain();
    let line = |start: &str| {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{start}\n{text}"))
    };
    assert!(line("run.rate_hz = 50.0 ").ends_with("run.toml:4"));
    assert!(line("run.duration_s = 5.0 ").ends_with("# --set"));
    assert!(line("run.clock = \"real\" ").ends_with("# default"));
    assert!(line("limits.elbow.max_step_rad = 0.03 ").contains("# default: 1.5 * max_velocity"));
    assert!(line("limits.shoulder.max_step_rad = 0.025 ").ends_with("run.toml:19"));
    assert!(
        line("limits.elbow.max_jerk_rad_s3 = 50.0 ")
            .ends_with("# default: 20 * max_acceleration_rad_s2")
    );
    assert!(
        line("limits.gripper.max_slew_jerk_per_s3 = 80.0 ")
            .ends_with("# default: 20 * max_slew_change_per_s2")
    );
    assert!(line("limits.shoulder.margin_rad = 0.1 ").ends_with("run.toml:21"));
    assert!(line("limits.elbow.margin_rad = 0.0 ").ends_with("# default: 0"));
    assert!(line("limits.gripper.margin = 0.0 ").ends_with("# default: 0"));
    assert!(line("actuation.gains = {}").ends_with("# default"));
    assert!(line("# realtime.cpu_dma_latency_us is not set").ends_with("# default: not asked for"));
    assert!(!text.contains("torque_nm"), "{text}");
    assert!(line("# policy.inference_period_ms is not set").contains("n_action_steps"));
    assert!(line("recording.rate_hz = 10.0 ").contains("# default: policy.rate_hz"));
    assert!(!text.contains("limits.elbow.opening"), "{text}");
    // Comments stand in one column.
    let places: Vec<usize> = text
        .lines()
        .filter(|line| line.contains("# default") && !line.starts_with('#'))
        .map(|line| line.find("# default").unwrap())
        .collect();
    assert!(places.len() > 20 && places.iter().all(|place| *place == places[0]), "{text}");
}

#[test]
fn paths_on_the_disk_are_looked_at() {
    let files = Files::new(&[("run.toml", GOOD), ("checkpoint", "a file"), ("episodes", "a file")]);
    let loaded = files.load("run.toml", &[]).unwrap();
    let error = loaded.validate_paths().unwrap_err().to_string();
    for part in [
        "`policy.path`: ",
        "checkpoint is not a folder. Needed is the folder of a checkpoint",
        "frames does not exist. Needed is a folder of PNG files",
        "`recording.directory`: ",
        "episodes is a file, where a folder is needed",
        "arm.urdf does not exist. Needed is the arm's URDF",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let good =
        Files::new(&[("run.toml", GOOD), ("checkpoint/x", ""), ("frames/x", ""), ("arm.urdf", "")]);
    good.load("run.toml", &[]).unwrap().validate_paths().unwrap();
}

#[test]
fn the_shipped_demo_is_in_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/demo.toml");
    let loaded = load(&path, &[]).unwrap();
    let reach = [2.93, 2.35, 2.53, 2.53, 2.93, 3.12].map(|end: f64| -end..=end);
    let mut joints: Vec<JointDescription> = reach
        .into_iter()
        .zip(1..)
        .map(|(position, number)| JointDescription {
            name: format!("joint{number}"),
            kind: JointKind::Revolute,
            limits: DeviceLimits {
                position,
                max_velocity: 2.6,
                max_acceleration: None,
                max_jerk: None,
                max_effort: None,
                velocity_barrier: None,
            },
        })
        .collect();
    joints.extend(robot().joints.pop());
    loaded.validate(&RobotDescription { joints, ..robot() }).unwrap();
    assert_eq!(loaded.files.len(), 3);
    let origin = loaded.origins.of("limits.joint1.position_rad").to_string();
    assert!(origin.ends_with("configs/robots/mycobot320.toml:15"), "{origin}");
}

#[test]
fn ranges_are_shown_so_that_what_is_shown_is_allowed() {
    use super::limits::range_words;
    assert_eq!(range_words(-2.3, 2.3, "rad"), "-2.3 to 2.3 rad");
    assert_eq!(range_words(0.0, 1.0, "opening"), "0 to 1 opening");
    let end = 168.0_f64.to_radians();
    assert_eq!(range_words(-end, end, "rad"), "-2.9321 to 2.9321 rad");
    let end = 150.0_f64.to_radians();
    assert_eq!(range_words(-end, end, "rad"), "-2.6179 to 2.6179 rad");
}
