//! Every key with its type, unit, range and meaning: the table that files are checked against and
//! that the reference in `docs/configuration.md` is held to. [`super::schema`] has the same keys
//! as Rust types; a test compares the two.

use super::keys::Need::{Default, Optional, Required};
use super::keys::{Key, Names, Need, Range, Shape};

const fn key(
    name: &'static str,
    shape: Shape,
    need: Need,
    unit: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, shape, need, unit, meaning }
}

const fn range(min: f64, max: f64) -> Shape {
    Shape::Number(Range { min, max, above: false })
}

const fn above(min: f64, max: f64) -> Shape {
    Shape::Number(Range { min, max, above: true })
}

const fn integer(min: i64, max: i64) -> Shape {
    Shape::Integer { min, max }
}

/// The whole file.
pub(super) static ROOT: Shape = Shape::Table(&[
    key("run", Shape::Table(RUN), Required, "", "The loop and the run."),
    key("robot", Shape::Table(ROBOT), Required, "", "The arm."),
    key(
        "emulator",
        Shape::Table(EMULATOR),
        Default,
        "",
        "The emulated device, used with `robot.port = \"emulator\"`.",
    ),
    key(
        "limits",
        Shape::Map { of: &Shape::Table(LIMITS), placeholder: "JOINT", names: Names::Any },
        Required,
        "",
        "Limits by joint name: every joint of the robot, and no other.",
    ),
    key(
        "workspace",
        Shape::Table(WORKSPACE),
        Optional("the tool is not watched"),
        "",
        "Where the tool may be, for arms with a URDF.",
    ),
    key("target", Shape::Table(TARGET), Default, "", "From targets to the loop's rate."),
    key("actuation", Shape::Table(ACTUATION), Default, "", "What turns a position into a command."),
    key("overrun", Shape::Table(OVERRUN), Default, "", "What happens to a cycle that is late."),
    key(
        "realtime",
        Shape::Table(REALTIME),
        Default,
        "",
        "What the control thread asks of the operating system.",
    ),
    key(
        "cameras",
        Shape::Map { of: &CAMERA, placeholder: "NAME", names: Names::Plain },
        Default,
        "",
        "Frame sources by name. A camera that feeds no feature is recorded all the same.",
    ),
    key("policy", Shape::Table(POLICY), Required, "", "The policy and its mapping to joints."),
    key("rest", Shape::Table(REST), Required, "", "Ramps and the rest pose."),
    key("supervision", Shape::Table(SUPERVISION), Default, "", "Thresholds of the stop ladder."),
    key("recording", Shape::Table(RECORDING), Required, "", "Where and how episodes are kept."),
]);

const RUN: &[Key] = &[
    key("name", Shape::Name, Required, "", "Name of the run; part of its folder's name."),
    key("task", Shape::Text, Required, "", "The task in words, kept with the episode."),
    key("rate_hz", range(1.0, 1000.0), Required, "Hz", "Rate of the control loop."),
    key("duration_s", above(0.0, 86_400.0), Required, "s", "How long the policy drives."),
    key(
        "clock",
        Shape::Choice(&["real", "simulated"]),
        Default,
        "",
        "`real`: the machine's monotonic clock. `simulated`: virtual time, as fast as the machine can, the same bytes every time; only with `robot.port = \"emulator\"`.",
    ),
    key(
        "pace",
        Shape::Choice(&["timer", "device"]),
        Default,
        "",
        "Who says when a cycle begins. `timer`: an absolute grid on the machine's clock. `device`: the robot, with each state that it sends; only for robots that own the clock, and with `rate_hz` the robot's rate.",
    ),
    key(
        "spin_us",
        integer(0, 50),
        Default,
        "µs",
        "Largest busy wait before a tick; no effect with `pace = \"device\"`, which waits for the robot.",
    ),
];

const ROBOT: &[Key] = &[
    key("model", Shape::Choice(&["mycobot320", "mock"]), Required, "", "Which driver."),
    key("port", Shape::Text, Required, "", "Serial device, `tcp://HOST:PORT`, or `emulator`."),
    key("speed_percent", integer(1, 100), Default, "%", "Speed byte of motion commands."),
    key("expect_ack", Shape::Bool, Default, "", "True where the firmware acknowledges setters."),
    key(
        "gripper",
        Shape::Bool,
        Default,
        "",
        "True where a gripper is mounted; it is then the last joint, `gripper`.",
    ),
    key(
        "joints",
        integer(1, 32),
        Default,
        "",
        "Number of joints of the mock arm, `joint1`, `joint2` and so on; refused for other robots.",
    ),
    key("reply_timeout_ms", integer(5, 10_000), Default, "ms", "How long to wait for a reply."),
    key(
        "retries",
        integer(1, 1000),
        Default,
        "",
        "Consecutive failed requests before the link is opened again.",
    ),
    key(
        "reconnect_window_ms",
        integer(0, 600_000),
        Default,
        "ms",
        "How long to try to open the link again before it counts as lost.",
    ),
    key(
        "gripper_gap_ms",
        integer(0, 1000),
        Default,
        "ms",
        "Least time between an arm and a gripper command.",
    ),
    key(
        "gripper_read_period_ms",
        integer(20, 60_000),
        Default,
        "ms",
        "Time between gripper reads.",
    ),
    key("arm_timeout_ms", integer(100, 120_000), Default, "ms", "How long arming may take."),
    key(
        "accept_motion_on_silence",
        Shape::Bool,
        Default,
        "",
        "Must be true for a robot that goes on to its last target when commands stop: a runtime that is killed cannot stop it.",
    ),
];

const EMULATOR: &[Key] = &[
    key(
        "faults",
        Shape::List { of: &Shape::Text, least: 0 },
        Default,
        "",
        "Faults, as `sinew emulate --fault` takes them.",
    ),
    key("seed", integer(0, i64::MAX), Default, "", "Seed of latency jitter and random faults."),
    key(
        "start",
        Shape::Map { of: &range(-100.0, 100.0), placeholder: "JOINT", names: Names::Any },
        Default,
        "rad or opening",
        "Where the arm stands at the start, by joint, within the device's range; others stand at 0.",
    ),
];

const LIMITS: &[Key] = &[
    key(
        "position_rad",
        Shape::Pair(Range { min: -100.0, max: 100.0, above: false }),
        Optional("required for a revolute joint"),
        "rad",
        "Allowed positions of a revolute joint: lower, upper; within the device's range.",
    ),
    key(
        "max_velocity_rad_s",
        above(0.0, 100.0),
        Optional("required for a revolute joint"),
        "rad/s",
        "Largest speed of a revolute joint.",
    ),
    key(
        "max_acceleration_rad_s2",
        above(0.0, 10_000.0),
        Optional("required for a revolute joint"),
        "rad/s²",
        "Largest acceleration of a revolute joint.",
    ),
    key(
        "max_jerk_rad_s3",
        above(0.0, 1e7),
        Optional("`20 * max_acceleration_rad_s2`"),
        "rad/s³",
        "Largest jerk of a revolute joint.",
    ),
    key(
        "max_step_rad",
        above(0.0, 100.0),
        Optional("`1.5 * max_velocity_rad_s / run.rate_hz`"),
        "rad",
        "Largest change of a revolute joint's command in one cycle; at least `max_velocity_rad_s / run.rate_hz`.",
    ),
    key(
        "margin_rad",
        range(0.0, 3.0),
        Optional("0"),
        "rad",
        "How far inside both ends of `position_rad` commands stay.",
    ),
    key(
        "max_torque_nm",
        above(0.0, 10_000.0),
        Optional("required with `actuation.model = \"pd\"`"),
        "N·m",
        "Largest torque of a revolute joint, for commands in torque.",
    ),
    key(
        "max_torque_rate_nm_s",
        above(0.0, 1e7),
        Optional("required with `actuation.model = \"pd\"`"),
        "N·m/s",
        "Largest change of torque, for commands in torque.",
    ),
    key(
        "opening",
        Shape::Pair(Range { min: 0.0, max: 1.0, above: false }),
        Optional("required for a gripper"),
        "opening",
        "Allowed openings of a gripper: lower, upper; 0 is closed, 1 is open.",
    ),
    key(
        "max_slew_per_s",
        above(0.0, 100.0),
        Optional("required for a gripper"),
        "opening/s",
        "Largest slew of a gripper.",
    ),
    key(
        "max_slew_change_per_s2",
        above(0.0, 10_000.0),
        Optional("required for a gripper"),
        "opening/s²",
        "Largest change of slew of a gripper.",
    ),
    key(
        "max_slew_jerk_per_s3",
        above(0.0, 1e7),
        Optional("`20 * max_slew_change_per_s2`"),
        "opening/s³",
        "Largest jerk of a gripper.",
    ),
    key(
        "margin",
        range(0.0, 0.5),
        Optional("0"),
        "opening",
        "How far inside both ends of `opening` commands stay.",
    ),
    key(
        "max_step",
        above(0.0, 100.0),
        Optional("`1.5 * max_slew_per_s / run.rate_hz`"),
        "opening",
        "Largest change of a gripper's command in one cycle; at least `max_slew_per_s / run.rate_hz`.",
    ),
];

const WORKSPACE: &[Key] = &[
    key(
        "urdf",
        Shape::Path,
        Required,
        "",
        "The arm's URDF: its joints have the robot's joint names.",
    ),
    key(
        "tip",
        Shape::Text,
        Optional("the last link of the chain"),
        "",
        "The link whose origin is kept inside the box.",
    ),
    key("min_m", CORNER, Required, "m", "Smallest x, y, z in the base frame."),
    key("max_m", CORNER, Required, "m", "Largest x, y, z in the base frame."),
];

const CORNER: Shape = Shape::Point(Range { min: -100.0, max: 100.0, above: false });

const TARGET: &[Key] = &[
    key(
        "generator",
        Shape::Choice(&["jerk_limited", "linear"]),
        Default,
        "",
        "`jerk_limited`: the fastest motion inside speed, acceleration and jerk that follows the target. `linear`: straight lines between targets; the limits make what they can of the corners.",
    ),
    key(
        "fraction",
        range(0.05, 0.99),
        Default,
        "",
        "The generator's speed, acceleration and jerk, as a fraction of the limits, so that these need not bind.",
    ),
];

const ACTUATION: &[Key] = &[
    key(
        "model",
        Shape::Choice(&["position", "pd"]),
        Default,
        "",
        "`position`: the robot takes positions. `pd`: it takes torques, made of position and velocity errors.",
    ),
    key(
        "gains",
        Shape::Map { of: &Shape::Table(GAINS), placeholder: "JOINT", names: Names::Any },
        Default,
        "",
        "Gains by joint name: every revolute joint with `model = \"pd\"`, none without.",
    ),
];

const GAINS: &[Key] = &[
    key("stiffness_nm_rad", range(0.0, 1e6), Required, "N·m/rad", "Torque per position error."),
    key("damping_nm_s_rad", range(0.0, 1e6), Required, "N·m·s/rad", "Torque per velocity error."),
];

const OVERRUN: &[Key] = &[
    key(
        "policy",
        Shape::Choice(&["report", "hold", "stop"]),
        Default,
        "",
        "What a missed deadline leads to. `report`: it is counted and shown. `hold`: the arm also holds until a cycle is on time, and more than allowed ramp to rest. `stop`: more than allowed ramp to rest.",
    ),
    key(
        "allowed",
        integer(0, 1_000_000),
        Default,
        "",
        "Missed deadlines that a window bears; with `policy = \"stop\"` fewer than it has periods.",
    ),
    key(
        "window_s",
        above(0.0, 3600.0),
        Default,
        "s",
        "The time over which that many misses are forgotten again.",
    ),
];

const REALTIME: &[Key] = &[
    key(
        "mode",
        Shape::Choice(&["off", "prefer", "enforce"]),
        Default,
        "",
        "`off`: ask for nothing. `prefer`: ask, and say what was not granted. `enforce`: refuse to arm without.",
    ),
    key(
        "priority",
        integer(1, 98),
        Default,
        "",
        "Priority of the control thread in the class SCHED_FIFO; the watchdog has one more.",
    ),
    key(
        "cpus",
        Shape::List { of: &integer(0, 1023), least: 0 },
        Default,
        "",
        "CPUs that the control thread may run on; an empty list: any.",
    ),
    key(
        "lock_memory",
        Shape::Bool,
        Default,
        "",
        "Whether memory is locked and touched before the run.",
    ),
    key(
        "timer_slack_ns",
        integer(1, 1_000_000),
        Default,
        "ns",
        "Timer slack of the control thread, where it has no real-time class.",
    ),
    key(
        "cpu_dma_latency_us",
        integer(0, 1_000_000),
        Optional("not asked for"),
        "µs",
        "Longest wake-up of an idle CPU, asked for at `/dev/cpu_dma_latency`.",
    ),
];

const CAMERA_RATE: Key = key("rate_hz", range(0.1, 1000.0), Required, "Hz", "Frames per second.");

static CAMERA: Shape = Shape::Tagged {
    tag: "source",
    meaning: "Where the frames come from; decides which other keys there are.",
    variants: &[
        (
            "synthetic",
            &[
                key(
                    "width",
                    integer(8, 8192),
                    Required,
                    "pixels",
                    "Width of the moving test picture.",
                ),
                key(
                    "height",
                    integer(8, 8192),
                    Required,
                    "pixels",
                    "Height of the moving test picture.",
                ),
                CAMERA_RATE,
                key(
                    "stops_after_s",
                    range(0.0, 86_400.0),
                    Optional("never"),
                    "s",
                    "Stop delivering after this time: a fault switch for tests.",
                ),
            ],
        ),
        (
            "replay",
            &[
                key(
                    "path",
                    Shape::Path,
                    Required,
                    "",
                    "A folder of PNG files, shown in name order, round and round.",
                ),
                CAMERA_RATE,
            ],
        ),
    ],
};

const POLICY: &[Key] = &[
    key("path", Shape::Path, Required, "", "The checkpoint folder."),
    key(
        "rate_hz",
        range(0.1, 1000.0),
        Required,
        "Hz",
        "Rate at which its actions follow each other: the `fps` it was trained with.",
    ),
    key(
        "execution",
        Shape::Choice(&["timeline", "ensemble", "queue"]),
        Default,
        "",
        "How chunks become targets. `timeline`: chunks addressed by absolute time, past actions dropped, cross-faded. `ensemble`: every chunk that covers an instant votes (LeRobot's rule). `queue`: LeRobot's queue, for comparison.",
    ),
    key(
        "ensemble_coefficient",
        range(-10.0, 10.0),
        Optional("required with `execution = \"ensemble\"`, refused without"),
        "",
        "Coefficient of temporal ensembling (LeRobot's rule; its usual value is 0.01).",
    ),
    key(
        "inference_period_ms",
        above(0.0, 60_000.0),
        Optional("the time of the checkpoint's `n_action_steps`, less one inference"),
        "ms",
        "Least time between the starts of two inferences; refused with `execution = \"queue\"`.",
    ),
    key(
        "crossfade_ms",
        range(0.0, 10_000.0),
        Default,
        "ms",
        "How long a new chunk fades in over the old one.",
    ),
    key(
        "state",
        Shape::List { of: &Shape::Table(ELEMENT), least: 1 },
        Required,
        "",
        "The elements of `observation.state`, in the checkpoint's order.",
    ),
    key(
        "action",
        Shape::List { of: &Shape::Table(ELEMENT), least: 1 },
        Required,
        "",
        "The elements of `action`, in the checkpoint's order.",
    ),
    key(
        "images",
        Shape::Map { of: &Shape::Text, placeholder: "FEATURE", names: Names::Any },
        Default,
        "",
        "Which camera feeds which image feature: feature name (quoted) to camera name.",
    ),
    key(
        "hold",
        Shape::List { of: &Shape::Text, least: 0 },
        Default,
        "",
        "Joints that no action drives, on purpose: they hold where they were at the start.",
    ),
];

const ELEMENT: &[Key] = &[
    key("joint", Shape::Text, Required, "", "The joint."),
    key(
        "unit",
        Shape::Choice(&["rad", "deg", "percent", "fraction"]),
        Required,
        "",
        "Unit of the policy's value: `rad` or `deg` for a revolute joint; `percent` (0 to 100) or `fraction` (0 to 1) of the opening for a gripper.",
    ),
    key("sign", Shape::Sign, Default, "", "Direction."),
    key(
        "offset",
        range(-1e6, 1e6),
        Default,
        "",
        "Added on the policy's side, in the policy's unit.",
    ),
    key(
        "scale",
        Shape::Factor(Range { min: 1e-6, max: 1e6, above: false }),
        Default,
        "",
        "Factor on the policy's side.",
    ),
];

const REST: &[Key] = &[
    key(
        "pose",
        Shape::Map { of: &range(-100.0, 100.0), placeholder: "JOINT", names: Names::Any },
        Required,
        "rad or opening",
        "Where the arm goes at the end of a run, for every joint, within its limits.",
    ),
    key(
        "speed_fraction",
        above(0.0, 1.0),
        Default,
        "",
        "Speed and acceleration of that motion, as a fraction of the limits.",
    ),
    key(
        "start_ramp_ms",
        range(0.0, 60_000.0),
        Default,
        "ms",
        "How long the policy's target fades in from the measured position at the start.",
    ),
    key(
        "then",
        Shape::Choice(&["hold", "torque_off"]),
        Default,
        "",
        "What follows at rest. `hold`: powered and holding. `torque_off`: only where the rest pose is supported.",
    ),
];

const SUPERVISION: &[Key] = &[
    key(
        "policy_hold_after_ms",
        above(0.0, 600_000.0),
        Default,
        "ms",
        "Hold when no policy target covers the present for this long.",
    ),
    key(
        "policy_ramp_after_ms",
        above(0.0, 600_000.0),
        Default,
        "ms",
        "Ramp to rest when the hold has lasted this long; more than `policy_hold_after_ms`.",
    ),
    key(
        "state_hold_after_ms",
        above(0.0, 600_000.0),
        Default,
        "ms",
        "Hold when a driven joint's measurement is older than this.",
    ),
    key(
        "state_ramp_after_ms",
        above(0.0, 600_000.0),
        Default,
        "ms",
        "Ramp stop when it is older than this; more than `state_hold_after_ms`.",
    ),
    key(
        "frame_max_age_ms",
        above(0.0, 600_000.0),
        Default,
        "ms",
        "Refuse observations with a frame older than this; more than the time between two frames of every camera that feeds the policy.",
    ),
    key(
        "tracking_error_rad",
        above(0.0, 6.3),
        Default,
        "rad",
        "Ramp stop when measured and commanded position of a revolute joint differ by more.",
    ),
    key("tracking_error_opening", above(0.0, 1.0), Default, "opening", "The same for a gripper."),
    key(
        "tracking_error_ms",
        range(0.0, 60_000.0),
        Default,
        "ms",
        "How long a tracking error must last.",
    ),
    key(
        "ramp_timeout_s",
        above(0.0, 600.0),
        Default,
        "s",
        "How long a ramp to rest may take before it counts as failed.",
    ),
    key(
        "watchdog_ms",
        range(20.0, 60_000.0),
        Default,
        "ms",
        "Stop the robot when the control thread has begun no cycle for this long; at least 10 periods of the loop.",
    ),
    key(
        "clamp_fault_ms",
        above(0.0, 600_000.0),
        Default,
        "ms",
        "Ramp stop when the limits have changed a joint's target in every cycle for this long.",
    ),
];

const RECORDING: &[Key] = &[
    key(
        "directory",
        Shape::Path,
        Required,
        "",
        "The dataset's folder: it grows by one episode a run.",
    ),
    key(
        "rate_hz",
        range(1.0, 1000.0),
        Optional("`policy.rate_hz`"),
        "Hz",
        "Rate of dataset frames: a whole number, at most `run.rate_hz`; with `run.duration_s` at most 5,000,000 frames.",
    ),
    key(
        "ring_s",
        range(0.1, 600.0),
        Default,
        "s",
        "How many seconds of cycles the ring between loop and recorder holds; at most 100,000 cycles, about 280 MB of locked memory.",
    ),
];
