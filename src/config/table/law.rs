//! Laws for whole arms.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Range, Shape};
use super::{above, key, range};

/// Arms that are known by name.
pub(in crate::config) const ARMS: &[&str] =
    &["fr3", "panda", "panda_identified", "viperx300", "mycobot320"];

const fn each(min: f64, max: f64) -> Shape {
    Shape::Each(Range { min, max, above: false })
}

pub(super) const ARM: Key = key(
    "arm",
    Shape::NameOrPath(ARMS),
    Optional("required with a law of a whole arm, refused without"),
    "",
    "Kinematics and masses of the arm, for laws of a whole arm: one that sinew knows ([dynamics](dynamics.md)), or a URDF.",
);

pub(super) const TIP: Key = key(
    "tip",
    Shape::Text,
    Optional("the only link without a child"),
    "",
    "The link of the URDF that is the tool.",
);

pub(super) const ARM_JOINTS: Key = key(
    "arm_joints",
    Shape::List { of: &Shape::Text, least: 0 },
    Default,
    "",
    "Names of the joints in the URDF, in the order of the robot's joints, where they are not the robot's own.",
);

pub(super) const GRAVITY: Key = key(
    "gravity_compensation",
    Shape::Bool,
    Optional("`true`, but for robots that bear their own weight (Franka)"),
    "",
    "Whether the law bears the arm's weight.",
);

pub(super) const FRICTION: Key = key(
    "friction_compensation",
    range(0.0, 0.95),
    Default,
    "",
    "The part of the arm model's friction that is compensated.",
);

pub(super) const ROTOR: Key = key(
    "rotor_inertia_kg_m2",
    each(0.0, 100.0),
    Optional("0.1 of Franka's arms, 0 of others"),
    "kg·m²",
    "Inertia of the drives' rotors as their joints feel it.",
);

pub(super) const FILTER: Key = key(
    "filter_hz",
    above(0.0, 10_000.0),
    Optional("no filter"),
    "Hz",
    "Cut-off of a first-order low-pass filter of the law's pull. What compensates is not filtered.",
);

pub(super) const SOFT_MARGIN: Key = key(
    "soft_limit_margin_rad",
    range(0.0, 1.0),
    Optional("0.2 with `model = \"guiding\"`, 0 otherwise"),
    "rad",
    "How long before the ends of a joint's range (`limits`, less its margin) a spring begins to push it back.",
);

pub(super) const SOFT_STIFFNESS: Key = key(
    "soft_limit_stiffness_nm_rad",
    each(0.0, 1e6),
    Optional(
        "such that 0.8 of the joint's largest torque is reached at the end of its range, or 0.2 rad behind it with a margin of 0",
    ),
    "N·m/rad",
    "The stiffness of that spring.",
);

pub(super) const PAYLOAD: Key = key(
    "payload",
    Shape::Table(PAYLOAD_KEYS),
    Optional("none"),
    "",
    "What the tool carries and the arm's model does not know.",
);

const PAYLOAD_KEYS: &[Key] = &[
    key("mass_kg", above(0.0, 1000.0), Required, "kg", "Its mass."),
    key(
        "center_m",
        Shape::Point(Range { min: -10.0, max: 10.0, above: false }),
        Default,
        "m",
        "Its centre of mass in the frame of the arm's tool.",
    ),
    key(
        "inertia_kg_m2",
        Shape::List {
            of: &Shape::Number(Range { min: -1000.0, max: 1000.0, above: false }),
            least: 6,
        },
        Default,
        "kg·m²",
        "Its inertia about the centre of mass: xx, xy, xz, yy, yz, zz.",
    ),
];

pub(super) const JOINT_IMPEDANCE: Key = key(
    "joint_impedance",
    Shape::Table(&[
        key(
            "stiffness_nm_rad",
            each(0.0, 1e6),
            Optional("Franka's arms: [600, 600, 600, 600, 250, 150, 50]; required for others"),
            "N·m/rad",
            "Torque per position error.",
        ),
        key(
            "damping_nm_s_rad",
            each(0.0, 1e6),
            Optional("Franka's arms: [50, 50, 50, 50, 30, 25, 15]; required for others"),
            "N·m·s/rad",
            "Torque per velocity error.",
        ),
        key(
            "feedforward",
            Shape::Bool,
            Default,
            "",
            "Whether the inertia of the commanded acceleration is paid. It asks for a torque rate of inertia times jerk.",
        ),
    ]),
    Default,
    "",
    "The law of `model = \"joint_impedance\"`, and what holds the arm with `\"guiding\"`.",
);

pub(super) const JOINT_PID: Key = key(
    "joint_pid",
    Shape::Table(&[
        key(
            "proportional_nm_rad",
            each(0.0, 1e6),
            Optional("Franka's arms: [600, 600, 600, 600, 250, 150, 50]; required for others"),
            "N·m/rad",
            "Torque per position error.",
        ),
        key(
            "derivative_nm_s_rad",
            each(0.0, 1e6),
            Optional("Franka's arms: [50, 50, 50, 50, 30, 25, 15]; required for others"),
            "N·m·s/rad",
            "Torque per velocity error.",
        ),
        key(
            "integral_nm_rad_s",
            each(0.0, 1e6),
            Optional("Franka's arms: [600, 600, 600, 600, 250, 150, 50]; required for others"),
            "N·m/(rad·s)",
            "Torque per position error and second.",
        ),
        key(
            "integral_limit_nm",
            each(0.0, 1e6),
            Optional("Franka's arms: [10, 10, 10, 10, 3, 3, 3]; required for others"),
            "N·m",
            "What the integral may add.",
        ),
    ]),
    Default,
    "",
    "The law of `model = \"joint_pid\"`.",
);

const NULL_STIFFNESS: Key = key(
    "null_stiffness_nm_rad",
    each(0.0, 1e6),
    Default,
    "N·m/rad",
    "Torque per position error of a joint, as far as it does not move the tool.",
);

const NULL_DAMPING: Key = key(
    "null_damping_nm_s_rad",
    each(0.0, 1e6),
    Default,
    "N·m·s/rad",
    "Torque per velocity error of a joint, as far as it does not move the tool.",
);

pub(super) const CARTESIAN_IMPEDANCE: Key = key(
    "cartesian_impedance",
    Shape::Table(&[
        key(
            "translation_n_m",
            range(0.0, 1e5),
            Default,
            "N/m",
            "Force per way of the tool, along each axis of the base.",
        ),
        key(
            "rotation_nm_rad",
            range(0.0, 1e5),
            Default,
            "N·m/rad",
            "Torque per turn of the tool, about each axis of the base.",
        ),
        key(
            "damping_ratio",
            range(0.0, 5.0),
            Default,
            "",
            "Part of the damping that is critical for what the tool weighs along each axis.",
        ),
        NULL_STIFFNESS,
        NULL_DAMPING,
    ]),
    Default,
    "",
    "The law of `model = \"cartesian_impedance\"`.",
);

pub(super) const CARTESIAN_PID: Key = key(
    "cartesian_pid",
    Shape::Table(&[
        key(
            "translation_proportional_n_m",
            range(0.0, 1e5),
            Default,
            "N/m",
            "Force per way of the tool.",
        ),
        key(
            "translation_derivative_n_s_m",
            range(0.0, 1e5),
            Default,
            "N·s/m",
            "Force per velocity error of the tool.",
        ),
        key(
            "translation_integral_n_m_s",
            range(0.0, 1e5),
            Default,
            "N/(m·s)",
            "Force per way of the tool and second.",
        ),
        key(
            "translation_integral_limit_n",
            range(0.0, 1e5),
            Default,
            "N",
            "What the integral may add along each axis.",
        ),
        key(
            "rotation_proportional_nm_rad",
            range(0.0, 1e5),
            Default,
            "N·m/rad",
            "Torque per turn of the tool.",
        ),
        key(
            "rotation_derivative_nm_s_rad",
            range(0.0, 1e5),
            Default,
            "N·m·s/rad",
            "Torque per error of the tool's angular velocity.",
        ),
        key(
            "rotation_integral_nm_rad_s",
            range(0.0, 1e5),
            Default,
            "N·m/(rad·s)",
            "Torque per turn of the tool and second.",
        ),
        key(
            "rotation_integral_limit_nm",
            range(0.0, 1e5),
            Default,
            "N·m",
            "What the integral may add about each axis.",
        ),
        NULL_STIFFNESS,
        NULL_DAMPING,
    ]),
    Default,
    "",
    "The law of `model = \"cartesian_pid\"`.",
);

pub(super) const OPERATIONAL_SPACE: Key = key(
    "operational_space",
    Shape::Table(&[
        key(
            "translation_per_s2",
            range(0.0, 1e5),
            Default,
            "1/s²",
            "Acceleration per way of the tool.",
        ),
        key(
            "rotation_per_s2",
            range(0.0, 1e5),
            Default,
            "1/s²",
            "Angular acceleration per turn of the tool.",
        ),
        key(
            "damping_ratio",
            range(0.0, 5.0),
            Default,
            "",
            "Part of critical damping, at the tool and in the null space.",
        ),
        key(
            "null_per_s2",
            range(0.0, 1e5),
            Default,
            "1/s²",
            "Acceleration of a joint per position error, as far as it does not move the tool.",
        ),
    ]),
    Default,
    "",
    "The law of `model = \"operational_space\"`.",
);

pub(super) const GUIDING: Key = key(
    "guiding",
    Shape::Table(&[
        key(
            "damping_nm_s_rad",
            each(0.0, 1e6),
            Optional("Franka's arms: [1, 1, 1, 1, 0.5, 0.5, 0.5]; required for others"),
            "N·m·s/rad",
            "Torque against motion while a hand leads the arm.",
        ),
        key(
            "fast_rad_s",
            above(0.0, 100.0),
            Default,
            "rad/s",
            "The joint speed from which there is more.",
        ),
        key(
            "fast_damping_nm_s_rad",
            each(0.0, 1e6),
            Optional("Franka's arms: [20, 20, 20, 20, 5, 5, 5]; required for others"),
            "N·m·s/rad",
            "Torque against what is faster than that.",
        ),
    ]),
    Default,
    "",
    "While a hand leads the arm, with `model = \"guiding\"`.",
);
