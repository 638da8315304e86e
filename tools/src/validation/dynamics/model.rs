//! An arm whose number of joints is known only when it is read.

use nalgebra::{Matrix3, SMatrix, Vector3};
use sinew_simulation::arms::NamedArmError;
use sinew_simulation::dynamics::{Arm, Dynamics, JointFriction, Joints, Link, LinkError};

/// Numbers that describe a payload: mass (kg), mass times centre (kg·m), inertia about the origin of
/// the tool (kg·m²: xx, xy, xz, yy, yz, zz), all in the axes of the tool.
pub const PAYLOAD: usize = 10;

/// Most joints of an arm.
pub const MOST_JOINTS: usize = 7;

/// What is asked of an arm.
pub struct Wanted<'a> {
    /// Its name, or the path of a URDF.
    pub arm: &'a str,
    /// Last link, of a URDF.
    pub tip: Option<&'a str>,
    /// Names of the joints.
    pub joints: &'a [&'a str],
    /// What hangs on the tool, in its frame.
    pub payload: Option<Link>,
    /// Whether the joints rub.
    pub friction: bool,
    /// Whether torques hold the arm against its weight.
    pub gravity: bool,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Arm(#[from] NamedArmError),
    #[error("--payload: {0}")]
    Payload(LinkError),
    #[error(
        "{joints} joints: arms of 1 to {MOST_JOINTS} joints can be validated; choose them with --joints"
    )]
    Joints { joints: usize },
}

/// An arm of some number of joints. All lists are in the order of its joints.
pub trait Model {
    /// Torques of a motion, friction included.
    fn efforts(&self, q: &[f64], v: &[f64], a: &[f64]) -> Vec<f64>;
    /// Torques that hold the arm at rest.
    fn gravity(&self, q: &[f64]) -> Vec<f64>;
    /// For each joint what one unit of each number of a payload adds to its torque.
    fn payload(&self, q: &[f64], v: &[f64], a: &[f64]) -> Vec<[f64; PAYLOAD]>;
    /// Moves the arm on by `dt` seconds under constant torques.
    fn advance(&self, q: &mut [f64], v: &mut [f64], efforts: &[f64], dt: f64);
    /// Whether the model has any friction.
    fn rubs(&self) -> bool;
}

/// The arm that is wanted.
pub fn model(wanted: &Wanted<'_>) -> Result<Box<dyn Model>, ModelError> {
    match wanted.joints.len() {
        1 => of::<1>(wanted),
        2 => of::<2>(wanted),
        3 => of::<3>(wanted),
        4 => of::<4>(wanted),
        5 => of::<5>(wanted),
        6 => of::<6>(wanted),
        MOST_JOINTS => of::<MOST_JOINTS>(wanted),
        joints => Err(ModelError::Joints { joints }),
    }
}

fn of<const N: usize>(wanted: &Wanted<'_>) -> Result<Box<dyn Model>, ModelError> {
    let mut names = [""; N];
    names.copy_from_slice(wanted.joints);
    let mut arm = Arm::<N>::named(wanted.arm, wanted.tip, &names)?;
    if let Some(payload) = &wanted.payload {
        arm = arm.with_payload(payload).map_err(ModelError::Payload)?;
    }
    if !wanted.friction {
        arm.friction = [JointFriction::None; N];
    }
    if !wanted.gravity {
        arm.gravity = Vector3::zeros();
    }
    Ok(Box::new(arm))
}

/// Coulomb friction that jumps at standstill cannot be integrated: it rises over this much, rad/s.
const LEAST_TRANSITION: f64 = 0.01;
/// Step of the difference that a friction's slope is, rad/s.
const SLOPE: f64 = 1e-5;

impl<const N: usize> Model for Arm<N> {
    fn efforts(&self, q: &[f64], v: &[f64], a: &[f64]) -> Vec<f64> {
        let v = joints(v);
        let efforts = self.at(&joints(q)).inverse(&v, &joints(a)) + self.friction_torque(&v);
        efforts.as_slice().to_vec()
    }

    fn gravity(&self, q: &[f64]) -> Vec<f64> {
        self.at(&joints(q)).gravity().as_slice().to_vec()
    }

    fn payload(&self, q: &[f64], v: &[f64], a: &[f64]) -> Vec<[f64; PAYLOAD]> {
        let torques = regressor(&self.at(&joints(q)), &self.gravity, &joints(v), &joints(a));
        (0..N).map(|joint| std::array::from_fn(|number| torques[(joint, number)])).collect()
    }

    /// Friction at the end of the step is what counts (linearised: Rosenbrock's way), so that stiff
    /// friction on a light link does not shake it.
    fn advance(&self, q: &mut [f64], v: &mut [f64], efforts: &[f64], dt: f64) {
        let (now, speed) = (joints::<N>(q), joints::<N>(v));
        let friction = self.friction.map(|friction| match friction {
            JointFriction::Linear { viscous, coulomb, offset, transition } => {
                let transition = transition.max(LEAST_TRANSITION);
                JointFriction::Linear { viscous, coulomb, offset, transition }
            }
            other => other,
        });
        let mut arm = self.clone();
        let mut net = joints::<N>(efforts);
        for (i, friction) in friction.iter().enumerate() {
            net[i] -= friction.torque(speed[i]);
            let slope = (friction.torque(speed[i] + SLOPE) - friction.torque(speed[i] - SLOPE))
                / (2.0 * SLOPE);
            arm.rotor_inertia[i] += dt * slope;
        }
        let middle = now + speed * (0.5 * dt);
        let change = arm.at(&middle).forward(&speed, &net) * dt;
        let moved = now + (speed + change * 0.5) * dt;
        q.copy_from_slice(moved.as_slice());
        v.copy_from_slice((speed + change).as_slice());
    }

    fn rubs(&self) -> bool {
        self.friction.iter().any(|friction| *friction != JointFriction::None)
    }
}

fn joints<const N: usize>(values: &[f64]) -> Joints<N> {
    Joints::from_fn(|i, _| values[i])
}

/// Torques per unit of each number of a payload: the wrench of a body that moves with the tool is
/// linear in them (Featherstone, Rigid Body Dynamics Algorithms, 2008, section 2.13).
fn regressor<const N: usize>(
    state: &Dynamics<N>,
    gravity: &Vector3<f64>,
    v: &Joints<N>,
    a: &Joints<N>,
) -> SMatrix<f64, N, PAYLOAD> {
    let jacobian = state.kinematics.jacobian();
    let (twist, rate) = (jacobian * v, jacobian * a + state.kinematics.jacobian_rate(v) * v);
    let rotation = state.kinematics.tool().rotation;
    // Everything in the axes of the tool; it feels gravity as an acceleration upwards.
    let back = |x: f64, y: f64, z: f64| rotation.inverse() * Vector3::new(x, y, z);
    let linear = back(rate[0], rate[1], rate[2]) - rotation.inverse() * gravity;
    let (turning, turned) = (back(rate[3], rate[4], rate[5]), back(twist[3], twist[4], twist[5]));
    let spin = turning.cross_matrix() + turned.cross_matrix() * turned.cross_matrix();
    // I ω for the six numbers of a symmetric I.
    let times = |w: &Vector3<f64>| {
        SMatrix::<f64, 3, 6>::from_row_slice(&[
            w.x, w.y, w.z, 0.0, 0.0, 0.0, //
            0.0, w.x, 0.0, w.y, w.z, 0.0, //
            0.0, 0.0, w.x, 0.0, w.y, w.z,
        ])
    };
    let mut wrench = SMatrix::<f64, 6, PAYLOAD>::zeros();
    wrench.fixed_view_mut::<3, 1>(0, 0).copy_from(&linear);
    wrench.fixed_view_mut::<3, 3>(0, 1).copy_from(&spin);
    wrench.fixed_view_mut::<3, 3>(3, 1).copy_from(&(-linear.cross_matrix()));
    let inertia = times(&turning) + turned.cross_matrix() * times(&turned);
    wrench.fixed_view_mut::<3, 6>(3, 4).copy_from(&inertia);
    let mut outward = SMatrix::<f64, 6, 6>::zeros();
    let matrix: Matrix3<f64> = rotation.into_inner();
    outward.fixed_view_mut::<3, 3>(0, 0).copy_from(&matrix);
    outward.fixed_view_mut::<3, 3>(3, 3).copy_from(&matrix);
    jacobian.tr_mul(&(outward * wrench))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinew_simulation::arms::franka;

    fn some(phase: f64, size: f64) -> Vec<f64> {
        (0..7).map(|i| size * (phase + 1.7 * f64::from(i)).sin()).collect()
    }

    #[test]
    fn the_regressor_of_a_payload_is_what_the_payload_adds() {
        let arm = franka::panda().unwrap();
        let (mass, center) = (1.3, [0.03, -0.05, 0.11]);
        let inertia = [4e-3, 1e-4, -2e-4, 5e-3, 3e-4, 6e-3];
        let loaded = arm.clone().with_payload(&Link { mass, center, inertia }).unwrap();
        let [x, y, z] = center;
        let [xx, xy, xz, yy, yz, zz] = inertia;
        let numbers = [
            mass,
            mass * x,
            mass * y,
            mass * z,
            xx + mass * (y * y + z * z),
            xy - mass * x * y,
            xz - mass * x * z,
            yy + mass * (x * x + z * z),
            yz - mass * y * z,
            zz + mass * (x * x + y * y),
        ];
        for phase in [0.0, 0.9, 2.3] {
            let (q, v, a) = (some(phase, 1.5), some(phase + 1.0, 2.0), some(phase + 2.0, 8.0));
            let with = loaded.efforts(&q, &v, &a);
            let without = arm.efforts(&q, &v, &a);
            for (joint, row) in arm.payload(&q, &v, &a).iter().enumerate() {
                let added: f64 = row.iter().zip(numbers).map(|(per, number)| per * number).sum();
                let expected = with[joint] - without[joint];
                assert!((added - expected).abs() < 1e-10, "{joint}: {added} {expected}");
            }
        }
    }

    #[test]
    fn an_arm_under_its_own_torques_makes_the_motion_they_are_for() {
        // The light links of the FR3 with Coulomb friction that jumps: the stiff case.
        let arm = franka::fr3().unwrap();
        let (mut q, mut v) = (franka::READY.to_vec(), vec![0.3; 7]);
        let dt = 5e-4;
        for step in 0..600 {
            let time = (f64::from(step) + 0.5) * dt;
            let planned: Vec<f64> =
                franka::READY.iter().map(|q| q + 0.3 * time + 0.75 * time * time).collect();
            let efforts = arm.efforts(&planned, &[0.3 + 1.5 * time; 7], &[1.5; 7]);
            arm.advance(&mut q, &mut v, &efforts, dt);
        }
        for (joint, (q, from)) in q.iter().zip(franka::READY).enumerate() {
            let expected = from + 0.3 * 0.3 + 0.75 * 0.09;
            assert!((q - expected).abs() < 1e-3, "joint {joint}: {q} {expected}");
        }
    }
}
