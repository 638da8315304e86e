//! From targets to commands.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Names, Shape};
use super::{above, key, law, range};

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
        Shape::Choice(&[
            "position",
            "pd",
            "network",
            "joint_impedance",
            "joint_pid",
            "cartesian_impedance",
            "cartesian_pid",
            "operational_space",
            "guiding",
        ]),
        Default,
        "",
        "`position`: the robot takes positions. `pd`: it takes torques, made of position and velocity errors. `network`: it takes torques, which a learned model makes of what the joints did. The others are [laws of a whole arm](controllers.md), in torques.",
    ),
    key(
        "path",
        Shape::Path,
        Optional("required with `model = \"network\"`, refused without"),
        "",
        "The folder of an actuator model (`sinew actuator info` describes it).",
    ),
    key(
        "gains",
        Shape::Map { of: &Shape::Table(GAINS), placeholder: "JOINT", names: Names::Any },
        Default,
        "",
        "Gains by joint name: every revolute joint with `model = \"pd\"`, none without.",
    ),
    key(
        "motors",
        Shape::Map { of: &Shape::Table(MOTORS), placeholder: "JOINT", names: Names::Any },
        Default,
        "",
        "DC motors by joint name, with `model = \"pd\"`: none, or every revolute joint. The law then stays inside their torque-speed lines.",
    ),
    key(
        "delay_ms",
        range(0.0, 1000.0),
        Default,
        "ms",
        "How late targets reach the law, with `model = \"pd\"`, as in a drive behind a bus: a whole number of cycles.",
    ),
    law::ARM,
    law::TIP,
    law::ARM_JOINTS,
    law::GRAVITY,
    law::FRICTION,
    law::ROTOR,
    law::FILTER,
    law::SOFT_MARGIN,
    law::SOFT_STIFFNESS,
    law::PAYLOAD,
    law::JOINT_IMPEDANCE,
    law::JOINT_PID,
    law::CARTESIAN_IMPEDANCE,
    law::CARTESIAN_PID,
    law::OPERATIONAL_SPACE,
    law::GUIDING,
];

const MOTORS: &[Key] = &[
    key("stall_torque_nm", above(0.0, 1e6), Required, "N·m", "Torque at rest."),
    key("no_load_speed_rad_s", above(0.0, 1e6), Required, "rad/s", "Speed without load."),
    key("continuous_torque_nm", above(0.0, 1e6), Required, "N·m", "What it can give for long."),
];

const GAINS: &[Key] = &[
    key("stiffness_nm_rad", range(0.0, 1e6), Required, "N·m/rad", "Torque per position error."),
    key("damping_nm_s_rad", range(0.0, 1e6), Required, "N·m·s/rad", "Torque per velocity error."),
];
