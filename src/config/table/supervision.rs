//! The rest pose, and the thresholds of the stop ladder.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Names, Shape};
use super::{above, key, range};

pub(super) const REST: &[Key] = &[
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

pub(super) const SUPERVISION: &[Key] = &[
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
        "How long a ramp to rest may take before the arm stands where it is; and how long that may take before torque goes off.",
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
    key(
        "guards",
        Shape::Map { of: &Shape::Table(GUARD), placeholder: "NAME", names: Names::Any },
        Default,
        "",
        "Ramp stop when a measured value leaves its bounds. NAME is a sensor of the robot (`sinew check` lists them), or `JOINT.effort` or `JOINT.velocity`.",
    ),
];

const GUARD: &[Key] = &[
    key("min", range(-1e9, 1e9), Optional("no lower bound"), "the value's unit", "Smallest value."),
    key("max", range(-1e9, 1e9), Optional("no upper bound"), "the value's unit", "Largest value."),
    key("for_ms", range(0.0, 600_000.0), Default, "ms", "How long it may be outside."),
];
