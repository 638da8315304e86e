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
    key("spin_us", integer(0, 50), Default, "µs", "Largest busy wait before a tick."),
];

const ROBOT: &[Key] = &[
    key("model", Shape::Choice(&["mycobot320"]), Required, "", "Which driver."),
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
        "max_step_rad",
        above(0.0, 100.0),
        Optional("`1.5 * max_velocity_rad_s / run.rate_hz`"),
        "rad",
        "Largest change of a revolute joint's command in one cycle; at least `max_velocity_rad_s / run.rate_hz`.",
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
        "max_step",
        above(0.0, 100.0),
        Optional("`1.5 * max_slew_per_s / run.rate_hz`"),
        "opening",
        "Largest change of a gripper's command in one cycle; at least `max_slew_per_s / run.rate_hz`.",
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
        range(0.1, 1000.0),
        Optional("`policy.rate_hz`"),
        "Hz",
        "Rate of dataset frames; at most `run.rate_hz`.",
    ),
    key(
        "ring_s",
        range(0.1, 600.0),
        Default,
        "s",
        "How many seconds of cycles the ring between loop and recorder holds.",
    ),
];
