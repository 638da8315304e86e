//! Wrong configurations, and what is said about them.

use super::{Files, GOOD, line_of};

/// One edit of [`GOOD`] and what its refusal must contain. `LINE` stands for the line of `new`.
struct Case {
    old: &'static str,
    new: &'static str,
    says: &'static [&'static str],
}

const fn case(old: &'static str, new: &'static str, says: &'static [&'static str]) -> Case {
    Case { old, new, says }
}

const CASES: &[Case] = &[
    // Unknown keys.
    case(
        "rate_hz = 50",
        "rate = 50",
        &[
            "run.toml:LINE: unknown key `run.rate`; did you mean `run.rate_hz`?",
            "Allowed here: name, task, rate_hz, duration_s, clock, pace, spin_us",
            "run.toml:1: `run.rate_hz` is missing. Rate of the control loop. Needed is a number, 1 to 1000 Hz",
        ],
    ),
    case(
        "[supervision]",
        "[supervison]",
        &["run.toml:LINE: unknown key `supervison`; did you mean `supervision`?"],
    ),
    case(
        "port = \"emulator\"",
        "port = \"emulator\"\nduration_s = 3",
        &["unknown key `robot.duration_s`; did you mean `run.duration_s`?"],
    ),
    case(
        "max_step_rad = 0.025",
        "max_step_deg = 0.025",
        &[
            "run.toml:LINE: unknown key `limits.shoulder.max_step_deg`; did you mean `limits.shoulder.max_step_rad`?",
        ],
    ),
    case(
        "{ joint = \"gripper\", unit = \"percent\" },\n]\naction",
        "{ joint = \"gripper\", units = \"percent\" },\n]\naction",
        &[
            "unknown key `policy.state[1].units`; did you mean `policy.state[1].unit`?",
            "`policy.state[1].unit` is missing",
        ],
    ),
    case(
        "source = \"replay\"",
        "source = \"replay\"\nwidth = 64",
        &["unknown key `cameras.wrist.width`", "Allowed here: source, path, rate_hz"],
    ),
    // Types.
    case(
        "duration_s = 10.0",
        "duration_s = \"10 s\"",
        &[
            "run.toml:LINE: `run.duration_s` is the text \"10 s\", needed is a number, above 0, up to 86400 s",
        ],
    ),
    case("name = \"trial\"", "name = 7", &["`run.name` is the whole number 7, needed is a name"]),
    case(
        "task = \"pick the cube\"",
        "task = 1979-05-27",
        &["is the date or time 1979-05-27, needed is text"],
    ),
    case(
        "accept_motion_on_silence = true",
        "accept_motion_on_silence = \"true\"",
        &["needed is `true` or `false`"],
    ),
    case(
        "width = 64",
        "width = 64.0",
        &["`cameras.top.width` is the number 64, needed is a whole number, 8 to 8192 pixels"],
    ),
    case(
        "opening = [0.0, 1.0]",
        "opening = 1.0",
        &["`limits.gripper.opening` is the number 1, needed is [lower, upper]"],
    ),
    case(
        "opening = [0.0, 1.0]",
        "opening = [0.0, 0.5, 1.0]",
        &["is a list of 3, needed is [lower, upper], two numbers"],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = \"elbow\"",
        &["`policy.hold` is the text \"elbow\", needed is a list, each text"],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\", 3]",
        &["`policy.hold[1]` is the whole number 3, needed is text"],
    ),
    case(
        "[supervision]",
        "[[supervision]]",
        &["`supervision` is a list of 1, needed is a table with policy_hold_after_ms"],
    ),
    case(
        "source = \"replay\"",
        "source = 3",
        &[
            "`cameras.wrist.source` is the whole number 3, needed is one of \"synthetic\", \"replay\"",
        ],
    ),
    case(
        "source = \"replay\"",
        "",
        &[
            "`cameras.wrist.source` is missing. Where the frames come from",
            "\"synthetic\", \"replay\"",
        ],
    ),
    case(
        "position_rad = [-2.4, 2.4]",
        "position_rad = [-2.4, \"2.4\"]",
        &["`limits.shoulder.position_rad[1]` is the text \"2.4\""],
    ),
    // Ranges.
    case(
        "rate_hz = 50",
        "rate_hz = 5000",
        &[
            "run.toml:LINE: `run.rate_hz` = 5000 Hz is not allowed. Allowed: 1 to 1000 Hz. Lower it to 1000 Hz or less",
        ],
    ),
    case("rate_hz = 50", "rate_hz = 0", &["`run.rate_hz` = 0 Hz", "Raise it to 1 Hz or more"]),
    case("rate_hz = 50", "rate_hz = nan", &["`run.rate_hz` = NaN Hz", "Write a finite number"]),
    case(
        "duration_s = 10.0",
        "duration_s = inf",
        &["`run.duration_s` = inf s", "Write a finite number"],
    ),
    case(
        "duration_s = 10.0",
        "duration_s = 0",
        &["Allowed: above 0, up to 86400 s. Write more than 0 s"],
    ),
    case(
        "rate_hz = 50",
        "rate_hz = 50\nspin_us = 51",
        &["`run.spin_us` = 51 µs is not allowed. Allowed: 0 to 50 µs. Lower it to 50 µs or less"],
    ),
    case(
        "port = \"emulator\"",
        "port = \"emulator\"\nspeed_percent = 0",
        &["`robot.speed_percent` = 0 %", "1 to 100 %"],
    ),
    case(
        "rate_hz = 50",
        "rate_hz = 50\nclock = \"reel\"",
        &["`run.clock` = \"reel\"", "Allowed: \"real\", \"simulated\". Did you mean \"real\"?"],
    ),
    case(
        "model = \"mycobot320\"",
        "model = \"mycobot\"",
        &["`robot.model` = \"mycobot\"", "Did you mean \"mycobot320\"?"],
    ),
    case(
        "source = \"replay\"",
        "source = \"reply\"",
        &["`cameras.wrist.source` = \"reply\"", "Did you mean \"replay\"?"],
    ),
    case(
        "name = \"trial\"",
        "name = \"a/b\"",
        &["`run.name` = \"a/b\"", "It becomes part of a file name"],
    ),
    case("name = \"trial\"", "name = \"..\"", &["`run.name` = \"..\""]),
    case("task = \"pick the cube\"", "task = \"  \"", &["Allowed: text that is not empty"]),
    case(
        "task = \"pick the cube\"",
        "task = \"a\\nb\"",
        &["`run.task` = \"a\\nb\"", "Keep it on one line"],
    ),
    case(
        "position_rad = [-2.4, 2.4]",
        "position_rad = [2.4, -2.4]",
        &[
            "run.toml:LINE: `limits.shoulder.position_rad` = [2.4, -2.4] rad is not allowed",
            "lower below upper. Write the lower end first; nothing is swapped for you",
        ],
    ),
    case(
        "opening = [0.0, 1.0]",
        "opening = [0.0, 100.0]",
        &["`limits.gripper.opening[1]` = 100 opening", "0 to 1 opening"],
    ),
    case("sign = -1", "sign = 2", &["`policy.action[0].sign` = 2", "Allowed: 1 or -1"]),
    case(
        "sign = -1",
        "scale = 0",
        &["`policy.action[0].scale` = 0", "a factor of zero loses the joint"],
    ),
    case(
        "sign = -1",
        "offset = -inf",
        &["`policy.action[0].offset` = -inf is not allowed", "finite"],
    ),
    case(
        "path = \"checkpoint\"",
        "path = \"~/checkpoint\"",
        &["`policy.path` = \"~/checkpoint\"", "`~` is not expanded"],
    ),
    case(
        "path = \"checkpoint\"",
        "path = \"\"",
        &["`policy.path` = \"\"", "a path that is not empty"],
    ),
    case(
        "[cameras.top]",
        "[cameras.\"a b\"]",
        &["`cameras.\"a b\"` = \"a b\"", "Choose another name"],
    ),
    case(
        "state = [",
        "state = []\nignored = [",
        &["`policy.state` is a list of 0, needed is a list of 1 or more"],
    ),
    // Limits.
    case(
        "[limits.elbow]",
        "[limits.elbw]",
        &[
            "run.toml:LINE: `limits.elbw`: the mycobot320 has no joint \"elbw\"; did you mean `elbow`? Its joints: shoulder, elbow, gripper",
            "`limits.elbow` is missing. Every joint needs limits",
            "max_velocity_rad_s",
        ],
    ),
    case(
        "max_step_rad = 0.025",
        "opening = [0.0, 1.0]",
        &[
            "run.toml:LINE: `limits.shoulder.opening`: shoulder is a revolute joint, whose limits are position_rad, max_velocity_rad_s",
        ],
    ),
    case(
        "max_slew_per_s = 0.5",
        "max_velocity_rad_s = 0.5",
        &[
            "gripper is a gripper joint, whose limits are opening, max_slew_per_s",
            "`limits.gripper.max_slew_per_s` is missing. Nothing runs without limits",
        ],
    ),
    case(
        "position_rad = [-1.9, 1.9]",
        "",
        &["`limits.elbow.position_rad` is missing", "for a revolute joint"],
    ),
    case(
        "position_rad = [-1.9, 1.9]",
        "position_rad = [-2.1, 1.9]",
        &[
            "run.toml:LINE: `limits.elbow.position_rad` = [-2.1, 1.9] rad is not allowed. Allowed: -2 to 2 rad",
        ],
    ),
    case(
        "max_slew_per_s = 0.5",
        "max_slew_per_s = 2.5",
        &["`limits.gripper.max_slew_per_s` = 2.5 opening/s", "up to 2 opening/s", "lower it"],
    ),
    case(
        "max_velocity_rad_s = 1.0\nmax_acceleration_rad_s2 = 2.5\n\n",
        "max_velocity_rad_s = 1.0\nmax_acceleration_rad_s2 = 4.5\n\n",
        &["`limits.elbow.max_acceleration_rad_s2` = 4.5 rad/s²", "up to 3.5 rad/s²"],
    ),
    case(
        "max_step_rad = 0.025",
        "max_step_rad = 0.015",
        &[
            "run.toml:LINE: `limits.shoulder.max_step_rad`: 0.015 rad per cycle at run.rate_hz = 50",
            "run.toml:4",
            "stops the joint short of limits.shoulder.max_velocity_rad_s = 1 rad/s",
            "Raise max_step_rad to 0.02 rad or more, or lower max_velocity_rad_s",
        ],
    ),
    // Rest and start.
    case(
        "elbow = 0.0, gripper",
        "gripper",
        &[
            "run.toml:61: `rest.pose.elbow` is missing. The rest pose needs every joint. Needed is a position in rad",
        ],
    ),
    case(
        "elbow = 0.0, gripper",
        "elbow = 1.95, gripper",
        &[
            "`rest.pose.elbow` = 1.95 rad is not allowed. Allowed: -1.9 to 1.9 rad. Move it inside limits.elbow, less its margin at both ends (",
            "run.toml:23)",
        ],
    ),
    case(
        "elbow = 0.0, gripper",
        "elbow = 0.0, wrist = 0.0, gripper",
        &["`rest.pose.wrist`: the mycobot320 has no joint \"wrist\""],
    ),
    case(
        "start = { shoulder = 0.5 }",
        "start = { shoulder = 2.6 }",
        &["run.toml:LINE: `emulator.start.shoulder` = 2.6 rad", "Allowed: -2.5 to 2.5 rad"],
    ),
    case(
        "start = { shoulder = 0.5 }",
        "start = { sholder = 0.5 }",
        &["`emulator.start.sholder`", "did you mean `shoulder`?"],
    ),
    case(
        "start = { shoulder = 0.5 }",
        "faults = [\"drop=0.1\", \"drip=0.1\"]",
        &["run.toml:LINE: `emulator.faults[1]`: unknown fault \"drip\""],
    ),
    // Robot.
    case(
        "accept_motion_on_silence = true",
        "",
        &[
            "`robot.accept_motion_on_silence`: the mycobot320 goes on to its last target",
            "Allowed: true",
        ],
    ),
    case("port = \"emulator\"", "port = \"/dev/ttyUSB0\"\n[run]\nclock", &["run.toml:"]),
    // Mapping.
    case(
        "{ joint = \"shoulder\", unit = \"deg\" }",
        "{ joint = \"sholder\", unit = \"deg\" }",
        &[
            "run.toml:LINE: `policy.state[0].joint`: the mycobot320 has no joint \"sholder\"; did you mean `shoulder`?",
        ],
    ),
    case(
        "{ joint = \"shoulder\", unit = \"deg\" }",
        "{ joint = \"shoulder\", unit = \"percent\" }",
        &[
            "run.toml:LINE: `policy.state[0].unit` = \"percent\"",
            "Allowed: \"rad\" or \"deg\" for the revolute joint shoulder",
        ],
    ),
    case(
        "unit = \"deg\", sign = -1 },\n  { joint = \"gripper\", unit = \"percent\" }",
        "unit = \"deg\" },\n  { joint = \"gripper\", unit = \"rad\" }",
        &[
            "`policy.action[1].unit` = \"rad\"",
            "\"percent\" or \"fraction\" for the gripper joint gripper",
        ],
    ),
    case(
        "sign = -1 },",
        "sign = -1 },\n  { joint = \"shoulder\", unit = \"rad\" },",
        &[
            "`policy.action[1].joint`: shoulder is driven by policy.action[0].joint (",
            "run.toml:53) already",
        ],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = []",
        &["`policy.action`: nothing drives elbow. Give it an action, or list it in policy.hold"],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\", \"shoulder\"]",
        &["`policy.hold[1]`: shoulder is driven by policy.action[0].joint"],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\", \"elbow\"]",
        &["`policy.hold[1]`: elbow is listed twice"],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\", \"elbows\"]",
        &["`policy.hold[1]`: the mycobot320 has no joint \"elbows\"; did you mean `elbow`?"],
    ),
    case(
        "\"observation.images.top\" = \"top\"",
        "\"observation.images.top\" = \"topp\"",
        &[
            "run.toml:LINE: `policy.images.\"observation.images.top\"`: there is no camera \"topp\"; did you mean `top`? Cameras: top, wrist",
        ],
    ),
    case(
        "rate_hz = 30.0",
        "rate_hz = 1.5",
        &[
            "run.toml:LINE: `cameras.top.rate_hz`: 1.5 Hz is a frame every 666.7 ms",
            "supervision.frame_max_age_ms = 500 ms",
        ],
    ),
    // Policy, supervision, recording.
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\"]\nensemble_coefficient = 0.01",
        &[
            "`policy.ensemble_coefficient`: 0.01 has no effect without policy.execution = \"ensemble\"",
        ],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\"]\nexecution = \"ensemble\"",
        &["`policy.ensemble_coefficient` is missing", "usual value is 0.01"],
    ),
    case(
        "hold = [\"elbow\"]",
        "hold = [\"elbow\"]\nexecution = \"queue\"\ninference_period_ms = 200",
        &["`policy.inference_period_ms`: 200 ms has no effect"],
    ),
    case(
        "policy_hold_after_ms = 300.0",
        "policy_hold_after_ms = 2000",
        &[
            "run.toml:LINE: `supervision.policy_hold_after_ms`: the ramp comes after the hold",
            "policy_ramp_after_ms = 2000 ms is not above",
        ],
    ),
    case(
        "policy_hold_after_ms = 300.0",
        "state_ramp_after_ms = 200",
        &["run.toml:LINE: `supervision.state_ramp_after_ms`: ", "state_hold_after_ms = 250 ms"],
    ),
    case(
        "directory = \"episodes\"",
        "directory = \"episodes\"\nrate_hz = 60",
        &[
            "`recording.rate_hz`: 60 Hz is more than run.rate_hz = 50 Hz (",
            "set it to 50 Hz or less",
        ],
    ),
    case(
        "rate_hz = 10.0",
        "rate_hz = 100.0",
        &["`recording.rate_hz`: 100 Hz (not said, so policy.rate_hz) is more than run.rate_hz"],
    ),
    case(
        "directory = \"episodes\"",
        "directory = \"episodes\"\nrate_hz = 12.5",
        &["`recording.rate_hz` = 12.5 Hz is not allowed. Allowed: a whole number, 1 to 1000 Hz"],
    ),
    case(
        "rate_hz = 10.0",
        "rate_hz = 0.5",
        &["`recording.rate_hz` = 0.5 Hz (not said, so policy.rate_hz) is not allowed"],
    ),
    case(
        "[rest]\npose",
        "[resting]\npose",
        &[
            "unknown key `resting`; did you mean `rest`?",
            "run.toml: `rest` is missing. Ramps and the rest pose.",
        ],
    ),
    // Syntax.
    case(
        "name = \"trial\"",
        "name = \"trial\"\nname = \"again\"",
        &["run.toml:3:1: duplicate key", "    name = \"again\"\n    ^"],
    ),
    case("name = \"trial\"", "name = trial", &["run.toml:2:8: ", "    name = trial\n           ^"]),
    case("[run]", "[run", &["run.toml:1:"]),
];

#[test]
fn every_wrong_configuration_is_named_with_its_place() {
    let mut failures = String::new();
    for Case { old, new, says } in CASES {
        assert!(GOOD.contains(old), "the example has no {old}");
        let text = GOOD.replacen(old, new, 1);
        let files = Files::new(&[("run.toml", &text)]);
        let refusal = files.refusal("run.toml", &[]);
        let line = line_of(&text, new.lines().next().unwrap_or("").trim()).to_string();
        for part in *says {
            let part = part.replace("LINE", &line);
            if !refusal.contains(&part) {
                failures.push_str(&format!("{old} -> {new}\nmissing: {part}\nsaid: {refusal}\n\n"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn all_problems_of_a_configuration_come_together_in_the_order_of_its_lines() {
    let text = GOOD
        .replacen("rate_hz = 50", "rate_hz = 5000", 1)
        .replacen("width = 64", "widht = 64", 1)
        .replacen("directory = \"episodes\"", "directory = 3", 1);
    let files = Files::new(&[("run.toml", &text)]);
    let error = files.load("run.toml", &[]).unwrap_err();
    let keys: Vec<_> = error.problems.iter().filter_map(|problem| problem.key()).collect();
    assert_eq!(
        keys,
        ["run.rate_hz", "cameras.top.width", "cameras.top.widht", "recording.directory"]
    );
    assert_eq!(error.to_string().lines().count(), 4);
}

#[test]
fn a_run_that_no_episode_can_hold_and_a_ring_beyond_memory_are_refused_with_both_keys() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let day = "run.duration_s=86400";
    let allowed = files.load("run.toml", &[day, "recording.rate_hz=50"]).unwrap();
    allowed.validate(&super::robot()).unwrap();
    let fast = ["run.rate_hz=1000", day, "recording.rate_hz=100", "recording.ring_s=600"];
    let refusal = files.refusal("run.toml", &fast);
    for part in [
        "--set: `run.duration_s`: 86400 s at recording.rate_hz = 100 Hz are 8640000 dataset frames",
        "an episode has 5000000 at most. Shorten the run to 50000 s, or lower recording.rate_hz",
        "--set: `recording.ring_s`: 600 s at run.rate_hz = 1000 Hz (--set) are 600000 cycles",
        "Lower it to 100 s",
    ] {
        assert!(refusal.contains(part), "{part}\n{refusal}");
    }
}

#[test]
fn a_simulated_clock_needs_the_emulator() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let sets = ["run.clock=simulated", "robot.port=/dev/ttyUSB0"];
    let refusal = files.refusal("run.toml", &sets);
    assert!(
        refusal.contains("--set: `run.clock`: \"simulated\" is for emulated robots"),
        "{refusal}"
    );
    assert!(refusal.contains("robot.port is \"/dev/ttyUSB0\" (--set)"), "{refusal}");
    let loaded = files.load("run.toml", &["run.clock=simulated"]).unwrap();
    loaded.validate(&super::robot()).unwrap();
}

#[test]
fn a_robot_that_stops_by_itself_needs_no_acceptance() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let loaded = files.load("run.toml", &["robot.accept_motion_on_silence=false"]).unwrap();
    let mut robot = super::robot();
    assert!(loaded.validate(&robot).is_err());
    robot.on_silence = sinew_firmware_interfaces::OnSilence::Unknown;
    assert!(loaded.validate(&robot).is_err());
    robot.on_silence = sinew_firmware_interfaces::OnSilence::Stops;
    loaded.validate(&robot).unwrap();
}

#[test]
fn a_gripper_that_is_switched_off_is_no_joint() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let loaded = files.load("run.toml", &["robot.gripper=false"]).unwrap();
    let mut robot = super::robot();
    robot.joints.pop();
    let refusal = loaded.validate(&robot).unwrap_err().to_string();
    for part in
        ["`limits.gripper`", "`rest.pose.gripper`", "robot.gripper = true (now false: --set)"]
    {
        assert!(refusal.contains(part), "{part}\n{refusal}");
    }
}

#[test]
fn choices_of_inference_that_have_no_effect_are_refused() {
    let files = Files::new(&[("run.toml", GOOD)]);
    let queue = "policy.execution=queue";
    for (sets, parts) in [
        (
            vec![queue, "policy.warm_start=0.5"],
            ["`policy.warm_start`", "does not keep what it promises"],
        ),
        (
            vec!["policy.execution=ensemble", "policy.inpaint=true"],
            ["`policy.inpaint`", "averages over all chunks"],
        ),
        (vec![queue, "policy.inpaint=true"], ["`policy.inpaint`", "do not overlap in time"]),
        (vec!["policy.cpus=[1]"], ["`policy.cpus[0]`", "policy.threads is 1"]),
        (
            vec!["policy.threads=3", "policy.cpus=[1, 1]"],
            ["`policy.cpus[1]`", "CPU 1 is listed twice"],
        ),
        (
            vec!["policy.threads=2", "policy.cpus=[1]", "realtime.cpus=[1]"],
            ["`policy.cpus[0]`", "the control thread runs there"],
        ),
    ] {
        let refusal = files.refusal("run.toml", &sets);
        for part in parts {
            assert!(refusal.contains(part), "{part}\n{refusal}");
        }
    }
    for (set, part) in [
        ("policy.threads=0", "1 to 256"),
        ("policy.warm_start=0", "above 0, up to 1"),
        ("policy.warm_start=1.5", "above 0, up to 1"),
        ("policy.device=cuda", "Allowed: \"cpu\", \"gpu\", \"ndarray\""),
        ("policy.device=flex", "Allowed: \"cpu\", \"gpu\", \"ndarray\""),
        ("policy.precision=f16", "Allowed: \"f32\", \"bf16\""),
        ("policy.scheduler=euler", "ddim"),
        ("policy.steps=0", "1 to 10000"),
        ("policy.seed=-1", "policy.seed"),
    ] {
        let refusal = files.refusal("run.toml", &[set]);
        assert!(refusal.contains(part), "{part}\n{refusal}");
    }
}

#[test]
fn a_device_that_this_build_lacks_is_refused_with_the_feature_that_has_it() {
    let files = Files::new(&[("run.toml", GOOD)]);
    for (name, feature, built) in
        [("gpu", "wgpu", cfg!(feature = "wgpu")), ("ndarray", "ndarray", cfg!(feature = "ndarray"))]
    {
        let set = format!("policy.device={name}");
        if built {
            files.load("run.toml", &[&set]).unwrap();
        } else {
            let refusal = files.refusal("run.toml", &[&set]);
            for part in ["`policy.device`", "\"cpu\"", &format!("--features {feature}")] {
                assert!(refusal.contains(part), "{part}\n{refusal}");
            }
        }
        let refusal = files.refusal("run.toml", &[&set, "policy.precision=bf16"]);
        for part in ["`policy.precision`", "policy.device = \"cpu\"", "\"f32\" only"] {
            assert!(refusal.contains(part), "{part}\n{refusal}");
        }
    }
}
