//! Where joints and tool may be, and how fast.

use super::super::keys::Need::{Optional, Required};
use super::super::keys::{Key, Range, Shape};
use super::{above, key, range};

pub(super) const LIMITS: &[Key] = &[
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
        Optional("required where `actuation.model` commands torques"),
        "N·m",
        "Largest torque of a revolute joint, for commands in torque.",
    ),
    key(
        "max_torque_rate_nm_s",
        above(0.0, 1e7),
        Optional("required where `actuation.model` commands torques"),
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

pub(super) const WORKSPACE: &[Key] = &[
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
