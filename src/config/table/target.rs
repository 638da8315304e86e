//! From targets to commands.

use super::super::keys::Need::{Default, Required};
use super::super::keys::{Key, Names, Shape};
use super::{key, range};

pub(super) const TARGET: &[Key] = &[
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

pub(super) const ACTUATION: &[Key] = &[
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
