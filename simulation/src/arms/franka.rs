//! Franka's arms of seven joints: FER (Panda) and FR3.
//!
//! Both have the same kinematics: Franka's published modified Denavit-Hartenberg table. Joint `i`'s
//! frame is the table's, the tool is the flange.

use crate::dynamics::{Arm, Chain, Joint, JointFriction, JointLimits, Link, LinkError};
use crate::kinematics::Transform;

/// Joints of an arm.
pub const JOINTS: usize = 7;

/// Where Franka's examples begin, rad.
pub const READY: [f64; JOINTS] = [
    0.0,
    -std::f64::consts::FRAC_PI_4,
    0.0,
    -3.0 * std::f64::consts::FRAC_PI_4,
    0.0,
    std::f64::consts::FRAC_PI_2,
    std::f64::consts::FRAC_PI_4,
];

/// The Panda with the parameters that Gaz et al. identified on one (RA-L 2019): links in the
/// sense of physics, the flange in the last, and the sigmoid friction of the same work. Of the
/// three sets it is the one that was compared with a real arm's torques.
///
/// # Errors
/// None with this table: it is checked like any other.
pub fn panda_identified() -> Result<Arm<JOINTS>, LinkError> {
    let arm = Arm::new(&joints(&FER_LIMITS), &GAZ_LINKS, FLANGE)?;
    Ok(arm.with_friction(std::array::from_fn(|i| JointFriction::Sigmoid {
        height: GAZ_FRICTION[i][0],
        slope: GAZ_FRICTION[i][1],
        shift: GAZ_FRICTION[i][2],
    })))
}

/// The Panda with the links of its maker's description (`franka_description`, FER). That gives no
/// friction.
///
/// # Errors
/// None with this table: it is checked like any other.
pub fn panda() -> Result<Arm<JOINTS>, LinkError> {
    Arm::new(&joints(&FER_LIMITS), &FER_LINKS, FLANGE)
}

/// The FR3 with the links and the friction of its maker's description (`franka_description`). The
/// friction there is the same small number for every joint, a figure for simulators.
///
/// # Errors
/// None with this table: it is checked like any other.
pub fn fr3() -> Result<Arm<JOINTS>, LinkError> {
    let friction =
        JointFriction::Linear { viscous: 0.003, coulomb: 0.2, offset: 0.0, transition: 0.0 };
    Ok(Arm::new(&joints(&FR3_LIMITS), &FR3_LINKS, FLANGE)?.with_friction([friction; JOINTS]))
}

/// The chain alone, with the Panda's limits.
pub fn chain() -> Chain<JOINTS> {
    Chain::new(&joints(&FER_LIMITS), FLANGE)
}

/// From the seventh frame to the flange.
const FLANGE: Transform =
    Transform { rotation: Transform::IDENTITY.rotation, translation: [0.0, 0.0, 0.107] };

/// Modified (Craig's) parameters of each joint, from Franka's FCI documentation: a in m, d in m,
/// alpha in rad.
pub const DENAVIT_HARTENBERG: [[f64; 3]; JOINTS] = {
    const RIGHT: f64 = std::f64::consts::FRAC_PI_2;
    [
        [0.0, 0.333, 0.0],
        [0.0, 0.0, -RIGHT],
        [0.0, 0.316, RIGHT],
        [0.0825, 0.0, RIGHT],
        [-0.0825, 0.384, -RIGHT],
        [0.0, 0.0, RIGHT],
        [0.088, 0.0, RIGHT],
    ]
};

fn joints(limits: &[JointLimits; JOINTS]) -> [Joint; JOINTS] {
    std::array::from_fn(|i| {
        let [a, d, alpha] = DENAVIT_HARTENBERG[i];
        // RotX(alpha) TransX(a), then d along the new z.
        let turn = Transform::from_xyz_rpy([a, 0.0, 0.0], [alpha, 0.0, 0.0]);
        let along = Transform { translation: [0.0, 0.0, d], ..Transform::IDENTITY };
        Joint::about_z(turn.then(&along), limits[i])
    })
}

/// Limits of the FER (Franka's FCI documentation): rad, rad/s, rad/s², rad/s³, N·m, N·m/s.
pub const FER_LIMITS: [JointLimits; JOINTS] = [
    limits([-2.8973, 2.8973], 2.175, 15.0, 7500.0, 87.0),
    limits([-1.7628, 1.7628], 2.175, 7.5, 3750.0, 87.0),
    limits([-2.8973, 2.8973], 2.175, 10.0, 5000.0, 87.0),
    limits([-3.0718, -0.0698], 2.175, 12.5, 6250.0, 87.0),
    limits([-2.8973, 2.8973], 2.61, 15.0, 7500.0, 12.0),
    limits([-0.0175, 3.7525], 2.61, 20.0, 10_000.0, 12.0),
    limits([-2.8973, 2.8973], 2.61, 20.0, 10_000.0, 12.0),
];

/// Limits of the FR3 from system version 5.9 on (Franka's FCI documentation; older ones and the
/// URDF have narrower ranges). Near an end of its range a joint may move less fast: see
/// [`fr3_velocity_range`].
pub const FR3_LIMITS: [JointLimits; JOINTS] = [
    limits([-2.9007, 2.9007], 2.62, 10.0, 5000.0, 87.0),
    limits([-1.8361, 1.8361], 2.62, 10.0, 5000.0, 87.0),
    limits([-2.9007, 2.9007], 2.62, 10.0, 5000.0, 87.0),
    limits([-3.0770, -0.1169], 2.62, 10.0, 5000.0, 87.0),
    limits([-2.8763, 2.8763], 5.26, 10.0, 5000.0, 12.0),
    limits([0.4398, 4.6216], 4.18, 10.0, 5000.0, 12.0),
    limits([-3.0508, 3.0508], 5.26, 10.0, 5000.0, 12.0),
];

const fn limits(
    [lower, upper]: [f64; 2],
    velocity: f64,
    acceleration: f64,
    jerk: f64,
    effort: f64,
) -> JointLimits {
    JointLimits { lower, upper, velocity, acceleration, jerk, effort, effort_rate: 1000.0 }
}

/// How an FR3 slows down towards the ends of its ranges (Franka's FCI documentation): offset in
/// rad/s and deceleration in rad/s² of each joint.
pub const FR3_BRAKING: [[f64; 2]; JOINTS] = [
    [0.6599, 6.0],
    [0.2517, 2.585],
    [0.2, 3.5],
    [0.3533, 4.0],
    [0.5757, 17.0],
    [0.4878, 5.5],
    [0.4628, 17.0],
];

/// How fast joint `joint` of an FR3 may move at `position` rad: lowest and highest velocity in
/// rad/s. `None` past the last joint. From Franka's FCI documentation:
/// `min(v_max, max(0, -offset + sqrt(max(0, 2 deceleration (q_max - q)))))`, and mirrored.
pub fn fr3_velocity_range(joint: usize, position: f64) -> Option<(f64, f64)> {
    let limits = FR3_LIMITS.get(joint)?;
    let [offset, deceleration] = FR3_BRAKING[joint];
    let most = |way: f64| {
        let braking = (2.0 * deceleration * way).max(0.0).sqrt();
        (braking - offset).clamp(0.0, limits.velocity)
    };
    Some((-most(position - limits.lower), most(limits.upper - position)))
}

/// C. Gaz, M. Cognetti, A. Oliva, P. Robuffo Giordano, A. De Luca, Dynamic identification of the
/// Franka Emika Panda robot with retrieval of feasible parameters using penalty-based optimization,
/// RA-L 4 (2019): published numbers.
const GAZ_LINKS: [Link; JOINTS] = [
    Link {
        mass: 4.970684,
        center: [0.003875, 0.002081, -0.175],
        inertia: [0.70337, -0.000139, 0.006772, 0.70661, 0.019169, 0.009117],
    },
    Link {
        mass: 0.646926,
        center: [-0.003141, -0.02872, 0.003495],
        inertia: [0.007962, -0.003925, 0.010254, 0.02811, 0.000704, 0.025995],
    },
    Link {
        mass: 3.228604,
        center: [0.027518, 0.039252, -0.066502],
        inertia: [0.037242, -0.004761, -0.011396, 0.036155, -0.012805, 0.01083],
    },
    Link {
        mass: 3.587895,
        center: [-0.05317, 0.104419, 0.027454],
        inertia: [0.025853, 0.007796, -0.001332, 0.019552, 0.008641, 0.028323],
    },
    Link {
        mass: 1.225946,
        center: [-0.011953, 0.041065, -0.038437],
        inertia: [0.035549, -0.002117, -0.004037, 0.029474, 0.000229, 0.008627],
    },
    Link {
        mass: 1.666555,
        center: [0.060149, -0.014117, -0.010517],
        inertia: [0.001964, 0.000109, -0.001158, 0.004354, 0.000341, 0.005433],
    },
    Link {
        mass: 0.735522,
        center: [0.010517, -0.004252, 0.061597],
        inertia: [0.012516, -0.000428, -0.001196, 0.010027, -0.000741, 0.004815],
    },
];

/// The same work: height in N·m, slope in s/rad, shift in rad/s.
const GAZ_FRICTION: [[f64; 3]; JOINTS] = [
    [0.54615, 5.1181, 0.039533],
    [0.87224, 9.0657, 0.025882],
    [0.64068, 10.136, -0.04607],
    [1.2794, 5.5903, 0.036194],
    [0.83904, 8.3469, 0.026226],
    [0.30301, 17.133, -0.021047],
    [0.56489, 10.336, 0.0035526],
];

/// `franka_description` (Franka Robotics, Apache-2.0), `fer`.
const FER_LINKS: [Link; JOINTS] = [
    Link {
        mass: 2.7907,
        center: [0.00033, -0.02204, -0.04762],
        inertia: [
            0.01564782655,
            5.31236e-06,
            -3.676721e-05,
            0.01439883526,
            -0.00248480843,
            0.00500443991,
        ],
    },
    Link {
        mass: 2.542,
        center: [0.00038, -0.09211, 0.01908],
        inertia: [
            0.01662427728,
            3.086077e-05,
            8.3594e-06,
            0.00462501261,
            0.0035589983,
            0.01545124526,
        ],
    },
    Link {
        mass: 2.2513,
        center: [0.05152, 0.01696, -0.02971],
        inertia: [
            0.00631741992,
            0.00097309955,
            0.00292525834,
            0.00866285493,
            0.00093469224,
            0.00657804051,
        ],
    },
    Link {
        mass: 2.2037,
        center: [-0.05113, 0.05825, 0.01698],
        inertia: [
            0.00784585566,
            -0.00339591957,
            0.00158704074,
            0.00649543136,
            -0.00181477884,
            0.01003079917,
        ],
    },
    Link {
        mass: 2.2855,
        center: [-5e-05, 0.0373, -0.0928],
        inertia: [
            0.02297014781,
            -9.49345e-06,
            -2.063156e-05,
            0.02095060919,
            0.00382345782,
            0.00430606551,
        ],
    },
    Link {
        mass: 1.353,
        center: [0.06572, -0.00371, 0.00153],
        inertia: [
            0.00087964522,
            -0.00021487814,
            -0.00011911662,
            0.00277796968,
            1.274322e-05,
            0.00286701969,
        ],
    },
    Link {
        mass: 0.35973,
        center: [0.00089, -0.00044, 0.05491],
        inertia: [
            0.00019541063,
            1.65231e-06,
            1.48826e-06,
            0.00019210361,
            -1.31132e-06,
            0.00017936256,
        ],
    },
];

/// `franka_description` (Franka Robotics, Apache-2.0), `fr3`.
const FR3_LINKS: [Link; JOINTS] = [
    Link {
        mass: 2.9274653454,
        center: [4.128e-07, -0.0181251324, -0.038603597],
        inertia: [
            0.023927316485107913,
            1.3317903455714081e-05,
            -0.00011404774918616684,
            0.0224821613275756,
            -0.0019950320628240115,
            0.006350098258530016,
        ],
    },
    Link {
        mass: 2.9355370338,
        center: [0.0031828864, -0.0743221644, 0.0088146084],
        inertia: [
            0.041938946257609425,
            0.00020257331521090626,
            0.004077784227179924,
            0.02514514885014724,
            -0.0042252158006570156,
            0.06170214472888839,
        ],
    },
    Link {
        mass: 2.2449013699,
        center: [0.0407015686, -0.0048200565, -0.0289730823],
        inertia: [
            0.02410142547240885,
            0.002404694559042109,
            -0.002856269270114313,
            0.01974053266708178,
            -0.002104212683891874,
            0.019044494482244823,
        ],
    },
    Link {
        mass: 2.6155955791,
        center: [-0.0459100965, 0.063049296, -0.0085187868],
        inertia: [
            0.03452998321913202,
            0.01322552265982813,
            0.01015142998484113,
            0.028881621933049058,
            -0.0009762833870704552,
            0.04125471171146641,
        ],
    },
    Link {
        mass: 2.3271207594,
        center: [-0.0016039605, 0.0292536262, -0.097296599],
        inertia: [
            0.051610278463662895,
            -0.005715173387783472,
            -0.0035673167625872135,
            0.04787729713371481,
            0.010673985108535986,
            0.016423625579357254,
        ],
    },
    Link {
        mass: 1.8170376524,
        center: [0.0597131221, -0.0410294666, -0.0101692726],
        inertia: [
            0.005412333594383447,
            0.006193456360285834,
            0.0014219289306117652,
            0.014058329545509979,
            -0.0013140753741120031,
            0.016080817924212554,
        ],
    },
    Link {
        mass: 0.6271432862,
        center: [0.0045225817, 0.0086261921, -0.0161633251],
        inertia: [
            0.00021092389150104718,
            -2.433299114461931e-05,
            4.564480393778983e-05,
            0.00017718568002411474,
            8.744070223226438e-05,
            5.993190599659971e-05,
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fr3_slows_down_towards_the_ends_of_its_range() {
        for (joint, limits) in FR3_LIMITS.iter().enumerate() {
            let middle = 0.5 * (limits.lower + limits.upper);
            let (slowest, fastest) = fr3_velocity_range(joint, middle).unwrap();
            assert!(slowest < -1.0 && fastest > 1.0, "{joint}: {slowest} {fastest}");
            assert!(slowest >= -limits.velocity && fastest <= limits.velocity);
            assert_eq!(fr3_velocity_range(joint, limits.upper).unwrap().1, 0.0);
            assert_eq!(fr3_velocity_range(joint, limits.lower - 0.1).unwrap().0, 0.0);
        }
        // -0.6599 + sqrt(2 · 6 · 0.5)
        let (_, fastest) = fr3_velocity_range(0, 2.9007 - 0.5).unwrap();
        assert!((fastest - 1.789_589_742_783_178).abs() < 1e-12, "{fastest}");
        assert_eq!(fr3_velocity_range(7, 0.0), None);
    }
}
