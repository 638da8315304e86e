//! What is refused about limits, actuation, pace, supervision and the workspace.

use sinew_firmware_interfaces::{ControlMode, RobotDescription, mock};

use super::{Files, GOOD, robot};
use crate::config::{ConfigError, Loaded};
use crate::limits::JointLimits;

/// A refusal of [`GOOD`] with these overrides, by [`robot`] as `change` leaves it.
fn refusal_of(change: impl FnOnce(&mut RobotDescription), sets: &[&str]) -> String {
    let files = Files::new(&[("run.toml", GOOD)]);
    let mut robot = robot();
    change(&mut robot);
    let result = files.load("run.toml", sets).and_then(|loaded| loaded.validate(&robot));
    result.expect_err("this configuration must be refused").to_string()
}

/// Overrides that must be refused by [`robot`], and what must be said about them.
fn assert_refused(cases: &[(&[&str], &[&str])]) {
    for (sets, says) in cases {
        assert_says(&refusal_of(|_| {}, sets), says);
    }
}

fn assert_says(refusal: &str, says: &[&str]) {
    for part in says {
        assert!(refusal.contains(part), "missing: {part}\nsaid: {refusal}");
    }
}

fn validated(sets: &[&str], robot: &RobotDescription) -> Result<Vec<JointLimits>, ConfigError> {
    let files = Files::new(&[("run.toml", GOOD)]);
    files.load("run.toml", sets).and_then(|loaded: Loaded| loaded.validate(robot))
}

#[test]
fn margins_leave_some_of_the_range() {
    assert_refused(&[
        (
            &["limits.elbow.margin_rad=1.9"],
            &[
                "--set: `limits.elbow.margin_rad` = 1.9 rad is not allowed. Allowed: 0 to less than 1.9 rad",
                "At both ends of limits.elbow.position_rad = [-1.9, 1.9] rad (",
                "run.toml:24) it leaves nothing: lower it",
            ],
        ),
        (
            &["limits.gripper.margin=0.5"],
            &["`limits.gripper.margin` = 0.5 opening", "Allowed: 0 to less than 0.5 opening"],
        ),
        (&["limits.gripper.margin_rad=0.1"], &["gripper is a gripper joint, whose limits are"]),
        // The rest pose keeps the same distance.
        (
            &["limits.gripper.margin=0.4"],
            &[
                "`rest.pose.gripper` = 0.7 opening is not allowed. Allowed: 0.4 to 0.6 opening",
                "Move it inside limits.gripper, less its margin at both ends (",
            ],
        ),
    ]);
    let limits = validated(&["limits.gripper.margin=0.25"], &robot()).unwrap();
    assert_eq!(limits[2].position, [0.25, 0.75]);
}

#[test]
fn jerk_is_no_more_than_the_device_can_do() {
    let gentle = |robot: &mut RobotDescription| robot.joints[1].limits.max_jerk = Some(45.0);
    let refusal = refusal_of(gentle, &["limits.elbow.max_jerk_rad_s3=46"]);
    assert_says(
        &refusal,
        &[
            "--set: `limits.elbow.max_jerk_rad_s3` = 46 rad/s³ is not allowed. Allowed: above 0, up to 45 rad/s³",
        ],
    );
    // A default is no excuse.
    let refusal = refusal_of(gentle, &[]);
    assert_says(
        &refusal,
        &[
            "`limits.elbow.max_jerk_rad_s3` = 50 rad/s³ (not said, so 20 * max_acceleration_rad_s2)",
            "lower it",
        ],
    );
    let mut robot = robot();
    gentle(&mut robot);
    validated(&["limits.elbow.max_jerk_rad_s3=45"], &robot).unwrap();
}

#[test]
fn jerk_lets_the_joint_stop_in_time() {
    // 2 * sqrt(1 / 0.01) s.
    assert_refused(&[(
        &["limits.elbow.max_jerk_rad_s3=0.009"],
        &[
            "--set: `limits.elbow.max_jerk_rad_s3`: with 0.009 rad/s³ the joint needs 21.1 s to stop from",
            "max_velocity_rad_s = 1 rad/s (",
            "max_acceleration_rad_s2 = 2.5 rad/s² (",
            "supervision.ramp_timeout_s = 20 s (",
            "Allowed: 0.01 rad/s³ or more. Raise it, or lower the speed",
        ],
    )]);
    // Full acceleration is never reached before full speed, which is fine.
    validated(&["limits.elbow.max_jerk_rad_s3=2", "supervision.ramp_timeout_s=7"], &robot())
        .unwrap();
    // At half of everything: 3.8 s of way, 2 s of stopping, 1 s of settling.
    assert_refused(&[(
        &["limits.elbow.max_jerk_rad_s3=1", "supervision.ramp_timeout_s=6.5"],
        &[
            "`supervision.ramp_timeout_s`: 6.5 s is too short: at rest.speed_fraction = 0.5 joint `elbow` may need 6.8 s",
            "Raise it, or the joint's jerk, which costs 1.6 s of them",
        ],
    )]);
    assert_refused(&[(&["supervision.ramp_timeout_s=5"], &["Raise one of the two"])]);
}

#[test]
fn torques_come_with_their_rate_and_inside_the_device() {
    assert_refused(&[
        (
            &["limits.elbow.max_torque_nm=3"],
            &[
                "`limits.elbow.max_torque_rate_nm_s` is missing. max_torque_nm alone has no effect",
                "Needed is a number in N·m/s, or neither of the two",
            ],
        ),
        (
            &["limits.elbow.max_torque_rate_nm_s=3"],
            &["`limits.elbow.max_torque_nm` is missing. max_torque_rate_nm_s alone"],
        ),
        (
            &["limits.gripper.max_torque_nm=3"],
            &[
                "`limits.gripper.max_torque_nm`: gripper is a gripper joint, whose limits are opening",
            ],
        ),
    ]);
    let refusal = refusal_of(
        |robot| robot.joints[1].limits.max_effort = Some(12.0),
        &["limits.elbow.max_torque_nm=12.5", "limits.elbow.max_torque_rate_nm_s=100"],
    );
    assert_says(
        &refusal,
        &["`limits.elbow.max_torque_nm` = 12.5 N·m is not allowed. Allowed: above 0, up to 12 N·m"],
    );
}

const PD: [&str; 7] = [
    "actuation.model=pd",
    "actuation.gains.shoulder={ stiffness_nm_rad = 50, damping_nm_s_rad = 5 }",
    "actuation.gains.elbow={ stiffness_nm_rad = 50, damping_nm_s_rad = 5 }",
    "limits.shoulder.max_torque_nm=10",
    "limits.shoulder.max_torque_rate_nm_s=100",
    "limits.elbow.max_torque_nm=10",
    "limits.elbow.max_torque_rate_nm_s=200",
];

#[test]
fn torque_control_needs_a_robot_that_takes_torques() {
    assert_refused(&[(
        &PD,
        &[
            "--set: `actuation.model`: \"pd\" does not go with the mycobot320, which takes positions (\"position\"). Choose what it takes",
        ],
    )]);
    let refusal = refusal_of(|robot| robot.modes = vec![ControlMode::Effort], &[]);
    assert_says(
        &refusal,
        &[
            "\"position\" does not go with the mycobot320, which takes torques (all but \"position\")",
        ],
    );

    let mut takes = robot();
    takes.modes.push(ControlMode::Effort);
    let limits = validated(&PD, &takes).unwrap();
    let effort = limits[1].effort.unwrap();
    assert_eq!((effort.max, effort.max_rate), (10.0, 200.0));
    assert_eq!(limits[2].effort, None);
}

#[test]
fn torque_control_needs_gains_and_limits_of_every_revolute_joint() {
    let takes = |robot: &mut RobotDescription| {
        robot.modes.push(ControlMode::Effort);
        robot.joints[1].limits.max_effort = Some(12.0);
    };
    let refusal = refusal_of(takes, &["actuation.model=pd"]);
    assert_says(
        &refusal,
        &[
            "`actuation.gains.shoulder` is missing. actuation.model = \"pd\" commands torques. Needed is a table with stiffness_nm_rad (N·m/rad)",
            "`actuation.gains.elbow` is missing",
            "`limits.shoulder.max_torque_nm` is missing",
            "`limits.elbow.max_torque_nm` is missing. actuation.model = \"pd\" commands torques. Needed is max_torque_nm, above 0, up to 12 N·m, and max_torque_rate_nm_s",
        ],
    );
    assert!(!refusal.contains("gripper"), "{refusal}");
    let gains = "={ stiffness_nm_rad = 50, damping_nm_s_rad = 5 }";
    let [stranger, gripper] =
        ["elbo", "gripper"].map(|name| format!("actuation.gains.{name}{gains}"));
    let refusal = refusal_of(takes, &["actuation.model=pd", &stranger, &gripper]);
    assert_says(
        &refusal,
        &[
            "--set: `actuation.gains.elbo`: the mycobot320 has no joint \"elbo\"; did you mean `elbow`?",
            "--set: `actuation.gains.gripper`: gripper is a gripper joint, and gains are for revolute joints",
        ],
    );
}

#[test]
fn gains_without_torque_control_have_no_effect() {
    assert_refused(&[(
        &[PD[1]],
        &[
            "--set: `actuation.gains.shoulder`: gains have no effect without actuation.model = \"pd\" (",
            "run.toml:80). Remove them, or set it",
        ],
    )]);
}

#[test]
fn only_a_robot_that_owns_the_clock_sets_the_pace_and_at_its_own_rate() {
    assert_refused(&[(
        &["run.pace=device"],
        &[
            "--set: `run.pace`: \"device\" is for robots that own the clock, and the mycobot320 does not",
        ],
    )]);
    let beats = |robot: &mut RobotDescription| robot.device_rate_hz = Some(100.0);
    let refusal = refusal_of(beats, &["run.pace=device"]);
    assert_says(
        &refusal,
        &[
            "run.toml:4: `run.rate_hz` = 50 Hz is not allowed. Allowed: 100 Hz, the rate of the mycobot320, which sets the pace with run.pace = \"device\" (--set)",
            "Limits, targets and recording reckon with this rate",
        ],
    );
    let mut robot = robot();
    beats(&mut robot);
    validated(&["run.pace=device", "run.rate_hz=100", "run.spin_us=20"], &robot).unwrap();
    validated(&["run.pace=timer"], &robot).unwrap();
}

#[test]
fn the_watchdog_waits_for_ten_periods() {
    assert_refused(&[
        (
            &["supervision.watchdog_ms=199"],
            &[
                "--set: `supervision.watchdog_ms` = 199 ms is not allowed. Allowed: 200 ms or more, 10 periods at run.rate_hz = 50 Hz (",
                "raise it to 200 ms",
            ],
        ),
        (
            &["run.rate_hz=1"],
            &[
                "`supervision.watchdog_ms` = 500 ms (not said, the default) is not allowed. Allowed: 10000 ms or more, 10 periods at run.rate_hz = 1 Hz (--set)",
            ],
        ),
        (&["run.rate_hz=30", "supervision.watchdog_ms=333"], &["Allowed: 333.4 ms or more"]),
    ]);
    validated(&["supervision.watchdog_ms=200"], &robot()).unwrap();
    let slow = [
        "run.rate_hz=1",
        "supervision.watchdog_ms=10000",
        "policy.rate_hz=1",
        "limits.shoulder.max_step_rad=1",
    ];
    validated(&slow, &robot()).unwrap();
}

#[test]
fn a_bucket_that_cannot_fill_stops_nothing() {
    let bucket = ["overrun.policy=stop", "overrun.window_s=0.5", "overrun.allowed=25"];
    assert_refused(&[(
        &bucket,
        &[
            "--set: `overrun.allowed`: allowed = 25 in window_s = 0.5 s never stops the arm: at run.rate_hz = 50 Hz (",
            "the window has 25 periods, and no more can be missed. Lower allowed below that, raise window_s above 0.5 s, or say policy = \"report\"",
        ],
    )]);
    validated(&[bucket[0], bucket[1], "overrun.allowed=24"], &robot()).unwrap();
    // Holding works without a bucket, and reporting has none.
    validated(&["overrun.policy=hold", bucket[1], bucket[2]], &robot()).unwrap();
    validated(&["overrun.policy=report", bucket[1], bucket[2]], &robot()).unwrap();
}

#[test]
fn settings_of_the_machine_are_checked_and_ignored_where_they_do_nothing() {
    assert_refused(&[
        (
            &["realtime.cpus=[1, 3, 1]"],
            &["--set: `realtime.cpus[2]`: CPU 1 is listed twice. Remove one"],
        ),
        (&["realtime.priority=99"], &["`realtime.priority` = 99", "1 to 98"]),
        (&["realtime.cpus=[-1]"], &["`realtime.cpus[0]` = -1"]),
    ]);
    validated(&["run.clock=simulated", "realtime.mode=enforce", "run.spin_us=10"], &robot())
        .unwrap();
}

#[test]
fn a_workspace_has_an_inside() {
    assert_refused(&[
        (
            &["workspace.max_m=[0.3, -0.3, 0.5]"],
            &[
                "--set: `workspace.max_m[1]` = -0.3 m is not allowed. Allowed: above workspace.min_m[1] = -0.3 m (",
                "nothing is swapped for you",
            ],
        ),
        (
            &["workspace.min_m=[0.0, 0.0]"],
            &[
                "--set: `workspace.min_m` is a list of 2, needed is [x, y, z], three numbers, -100 to 100 m",
            ],
        ),
        (
            &["workspace.min_m=[0, 0, \"low\"]"],
            &["`workspace.min_m[2]` is the text \"low\", needed is a number"],
        ),
        (&["workspace.min_m=[0, 0, 101]"], &["`workspace.min_m[2]` = 101 m"]),
    ]);
}

/// The URDF of [`robot`]: a shoulder at 0.3 m, an elbow 0.25 m on, the flange another 0.15 m.
const URDF: &str = r#"<robot name="arm">
<link name="base"/><link name="upper"/><link name="fore"/><link name="flange"/><link name="finger"/>
<joint name="shoulder" type="revolute"><origin xyz="0 0 0.3"/><parent link="base"/><child link="upper"/><axis xyz="0 1 0"/></joint>
<joint name="elbow" type="revolute"><origin xyz="0.25 0 0"/><parent link="upper"/><child link="fore"/><axis xyz="0 1 0"/></joint>
<joint name="mount" type="fixed"><origin xyz="0.15 0 0"/><parent link="fore"/><child link="flange"/></joint>
<joint name="gripper" type="prismatic"><parent link="flange"/><child link="finger"/><limit upper="0.1"/></joint>
</robot>"#;

#[test]
fn the_tool_is_found_and_rests_inside_the_box() {
    let files = Files::new(&[("run.toml", GOOD), ("arm.urdf", URDF)]);
    let find = |sets: &[&str]| files.load("run.toml", sets).unwrap().tool(&robot());
    let roomy = "workspace.max_m=[0.5, 0.3, 0.5]";
    let tool = find(&[roomy]).unwrap().unwrap();
    assert_eq!(tool.tip(&[0.0, 0.0, 0.7]), [0.4, 0.0, 0.3]);
    assert_eq!(tool.tip_name(), "flange");

    let refused = |sets: &[&str]| find(sets).unwrap_err().to_string();
    assert_says(
        &refused(&[]),
        &[
            "run.toml:73: `workspace.max_m`: at rest.pose (",
            "run.toml:61) link `flange` is at [0.4, 0, 0.3] m, outside the box from [-0.3, -0.3, 0] m to [0.3, 0.3, 0.5] m, which is judged 1 cm smaller on each side. Widen the box, or rest elsewhere",
        ],
    );
    assert_says(
        &refused(&[roomy, "workspace.tip=hand"]),
        &["--set: `workspace.tip`: ", "arm.urdf: there is no link `hand` to be the tip"],
    );
    assert_says(
        &refused(&[roomy, "workspace.tip=finger"]),
        &["arm.urdf: joint `gripper` is prismatic, but the mycobot320's is a gripper joint"],
    );
    let mut other = robot();
    other.joints[1].name = "wrist".to_owned();
    let loaded = files.load("run.toml", &[roomy]).unwrap();
    assert_says(
        &loaded.tool(&other).unwrap_err().to_string(),
        &[
            "run.toml:70: `workspace.urdf`: ",
            "arm.urdf:4: joint `elbow` moves the tip, but the robot has no joint of that name. Its joints: shoulder, wrist, gripper",
        ],
    );
    // Named once, although both look for it.
    let bare = Files::new(&[("run.toml", GOOD)]);
    let loaded = bare.load("run.toml", &[]).unwrap();
    let missing = loaded.tool(&robot()).unwrap_err();
    assert!(loaded.validate_paths().unwrap_err().problems.contains(&missing.problems[0]));
}

#[test]
fn the_number_of_joints_is_for_the_mock_arm() {
    assert_refused(&[(
        &["robot.joints=6"],
        &["--set: `robot.joints`: 6 has no effect on the mycobot320, which has its own 3 joints"],
    )]);
}

#[test]
fn the_mock_arm_takes_torques_at_its_own_pace() {
    let text = r#"
[run]
name = "mock"
task = "stand"
rate_hz = 1000
duration_s = 1
pace = "device"
[robot]
model = "mock"
port = "emulator"
joints = 1
[limits.joint1]
position_rad = [-3, 3]
max_velocity_rad_s = 2
max_acceleration_rad_s2 = 10
max_torque_nm = 80
max_torque_rate_nm_s = 1000
[actuation]
model = "pd"
[actuation.gains.joint1]
stiffness_nm_rad = 600
damping_nm_s_rad = 50
[policy]
path = "checkpoint"
rate_hz = 50
state = [{ joint = "joint1", unit = "rad" }]
action = [{ joint = "joint1", unit = "rad" }]
[rest]
pose = { joint1 = 0 }
[recording]
directory = "episodes"
"#;
    let files = Files::new(&[("run.toml", text)]);
    let robot = mock::Config { joints: 1, ..mock::Config::default() }.description();
    files.load("run.toml", &[]).unwrap().validate(&robot).unwrap();
    for (set, says) in [
        ("run.rate_hz=500", "`run.rate_hz` = 500 Hz is not allowed. Allowed: 1000 Hz"),
        ("limits.joint1.max_torque_nm=101", "`limits.joint1.max_torque_nm` = 101 N·m"),
        ("limits.joint1.max_jerk_rad_s3=200000", "Allowed: above 0, up to 100000 rad/s³"),
        ("emulator.faults=[\"no such fault\"]", "`emulator.faults[0]`: unknown fault"),
    ] {
        let loaded = files.load("run.toml", &[set]).unwrap();
        assert_says(&loaded.validate(&robot).unwrap_err().to_string(), &[says]);
    }
}
