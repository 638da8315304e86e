//! Trossen Robotics' ViperX 300 with six joints (Interbotix `vx300s`).

use crate::dynamics::{Arm, Joint, JointKind, JointLimits, Link, LinkError};
use crate::kinematics::{Transform, Vector};

/// The arm of ALOHA's simulated tasks (gym-aloha, Apache-2.0, as MuJoCo 2.3.7 compiles it): waist,
/// shoulder, elbow, forearm roll, wrist angle, wrist rotate, with both fingers `finger` m from the
/// middle (0.021 to 0.057). The tool is the gripper's link.
///
/// Friction, rotor inertia and limits of speed and torque are not known: the scene's dry friction
/// of 30 to 60 N·m stands for the servos' gears there and is no property of the arm.
///
/// # Errors
/// [`LinkError`] where `finger` is not finite.
pub fn viperx300(finger: f64) -> Result<Arm<6>, LinkError> {
    let joints = JOINTS.map(|(translation, axis, lower, upper)| Joint {
        origin: Transform { translation, ..Transform::IDENTITY },
        axis,
        kind: JointKind::Turns,
        limits: JointLimits::range(lower, upper),
    });
    let mut arm = Arm::new(&joints, &LINKS, Transform::IDENTITY)?;
    for (mut link, offset) in HAND.into_iter().zip([0.0, finger, -finger]) {
        link.center[1] += offset;
        arm = arm.with_payload(&link)?;
    }
    Ok(arm)
}

const X: Vector = [1.0, 0.0, 0.0];
const Y: Vector = [0.0, 1.0, 0.0];
const Z: Vector = [0.0, 0.0, 1.0];

/// Offset in m, axis, range in rad.
const JOINTS: [(Vector, Vector, f64, f64); 6] = [
    ([0.0, 0.0, 0.079], Z, -3.14158, 3.14158),
    ([0.0, 0.0, 0.04805], Y, -1.85005, 1.25664),
    ([0.05955, 0.0, 0.3], Y, -1.76278, 1.6057),
    ([0.2, 0.0, 0.0], X, -3.14158, 3.14158),
    ([0.1, 0.0, 0.0], Y, -1.8675, 2.23402),
    ([0.069744, 0.0, 0.0], X, -3.14158, 3.14158),
];

const LINKS: [Link; 6] = [
    Link {
        mass: 0.798614,
        center: [0.000259233, -3.3552e-6, 0.0116129],
        inertia: [
            0.001137998301,
            1.09832444e-9,
            -5.957061386e-6,
            9.388000014e-4,
            -1.887794493e-8,
            0.001201001697,
        ],
    },
    Link {
        mass: 0.792592,
        center: [0.0206949, 4.0e-10, 0.226459],
        inertia: [0.0089369972, 0.0, -0.001201000471, 0.008925, 0.0, 9.356998e-4],
    },
    Link {
        mass: 0.322228,
        center: [0.105723, 0.0, 0.0],
        inertia: [
            1.523995506e-4,
            -1.883012074e-5,
            -8.407288365e-6,
            0.001342001552,
            1.256313175e-6,
            0.001440995898,
        ],
    },
    Link {
        mass: 0.414823,
        center: [0.0513477, 0.00680462, 0.0],
        inertia: [1.752997722e-4, 8.52801522e-5, 0.0, 5.269002278e-4, 0.0, 5.911e-4],
    },
    Link {
        mass: 0.115395,
        center: [0.046743, -7.6652e-6, 0.010565],
        inertia: [
            4.513996596e-5,
            -1.950018979e-8,
            -4.200213085e-6,
            4.631001851e-5,
            2.299904184e-9,
            5.270001553e-5,
        ],
    },
    Link {
        mass: 0.251652,
        center: [0.0395662, -2.56311e-7, 0.00400649],
        inertia: [
            6.6167977e-4,
            1.836099195e-9,
            1.779509828e-5,
            4.681420855e-4,
            1.336594806e-7,
            6.781821445e-4,
        ],
    },
];

/// On the gripper's link: the bar of the fingers, the left finger, the right one, these two at 0.
const HAND: [Link; 3] = [
    Link {
        mass: 0.008009,
        center: [0.050878, 2.85e-8, 0.0],
        inertia: [4.2979e-6, 0.0, 0.0, 2.038598818e-6, 6.559013927e-7, 2.379601182e-6],
    },
    Link {
        mass: 0.034796,
        center: [0.086044, -0.0060692, 0.0],
        inertia: [1.255004254e-5, 2.400378553e-6, 0.0, 2.432995746e-5, 0.0, 1.417e-5],
    },
    Link {
        mass: 0.034796,
        center: [0.086044, 0.0060692, 0.0],
        inertia: [1.25500291e-5, 2.400080593e-6, 0.0, 2.43299709e-5, 0.0, 1.417e-5],
    },
];
