//! Franka's arms.

use super::super::keys::Need::{Default, Optional};
use super::super::keys::{Key, Range, Shape};
use super::{above, key, range};

const TORQUES: Shape = Shape::List { of: &above(0.0, 1000.0), least: 7 };
const LEFT: &str = "what the arm was told last";

pub(super) const FRANKA: &[Key] = &[
    key(
        "arm",
        Shape::Choice(&["fer", "fr3"]),
        Default,
        "",
        "Which arm: the FER (Panda, version 5 of its interface) or the FR3 (version 10). Another one is refused.",
    ),
    key(
        "recover",
        Shape::Bool,
        Default,
        "",
        "Whether arming may recover the arm from an error of before. Look at the arm first.",
    ),
    key(
        "collision_torque_nm",
        TORQUES,
        Optional(LEFT),
        "N·m",
        "External torque on each of the seven joints above which the arm stops by itself; half of it is shown as a contact.",
    ),
    key(
        "collision_force",
        Shape::List { of: &above(0.0, 1000.0), least: 6 },
        Optional(LEFT),
        "N, N·m",
        "External force and torque on the end effector (x, y, z, then about them) above which it does.",
    ),
    key(
        "stiffness_nm_rad",
        Shape::List { of: &range(10.0, 20_000.0), least: 7 },
        Optional(LEFT),
        "N·m/rad",
        "Stiffness of the arm's own controller in each joint, for commands in position.",
    ),
    key(
        "load_kg",
        range(0.0, 20.0),
        Optional(LEFT),
        "kg",
        "What the flange carries beside the end effector that is set in Desk.",
    ),
    key(
        "load_center_m",
        Shape::Point(Range { min: -2.0, max: 2.0, above: false }),
        Default,
        "m",
        "Its centre of mass in the flange's frame.",
    ),
    key(
        "load_inertia_kg_m2",
        Shape::List { of: &range(-100.0, 100.0), least: 6 },
        Optional("a point"),
        "kg·m²",
        "Its inertia about that centre: xx, xy, xz, yy, yz, zz.",
    ),
    key(
        "gripper_speed_m_s",
        range(0.001, 0.1),
        Default,
        "m/s",
        "Speed of the hand's fingers, with `robot.gripper = true`.",
    ),
    key(
        "gripper_force_n",
        range(0.1, 140.0),
        Optional("it goes to a width, and stops where an object is in the way"),
        "N",
        "Force with which the hand closes on an object and holds it.",
    ),
];
