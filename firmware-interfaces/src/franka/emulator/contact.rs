//! What the arm feels from outside.
//!
//! The estimate is that of a generalized-momentum observer (A. De Luca, A. Albu-Schäffer, S. Haddadin,
//! G. Hirzinger, IROS 2006): its residual is the torque from outside through a first-order low pass,
//! and so it is computed here. From outside is all that the arm's own model does not explain: pushes,
//! and loads that it has not been told of.

use nalgebra::{Matrix6, Vector3};
use sinew_simulation::dynamics::{Jacobian, Joints};

use super::plant::PERIOD;
use crate::franka::wire::CollisionBehavior;

/// Of the observer, 1/s.
const GAIN: f64 = 100.0;
/// Keeps forces finite where the arm is singular: m², rad².
const DAMPING: f64 = 1e-6;
/// Joints that accelerate more count as accelerating, rad/s².
const ACCELERATING: f64 = 0.1;

/// The estimate, with libfranka's sign: positive is what the arm does to its surroundings
/// (`robot_state.h`, `O_F_ext_hat_K`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Contact {
    /// In the joints, N·m.
    pub torques: Joints<7>,
    /// At the stiffness frame's origin in the axes of the base, N and N·m.
    pub wrench: [f64; 6],
}

impl Contact {
    /// One cycle: `torques` come from outside, `jacobian` is that of the stiffness frame.
    pub fn observe(&mut self, torques: &Joints<7>, jacobian: &Jacobian<7>) {
        self.torques += (-torques - self.torques) * (1.0 - (-GAIN * PERIOD).exp());
        let damped = jacobian * jacobian.transpose() + Matrix6::from_diagonal_element(DAMPING);
        self.wrench = match damped.cholesky() {
            Some(factors) => factors.solve(&(jacobian * self.torques)).into(),
            None => [0.0; 6],
        };
    }
}

/// Torques (N·m) and forces (N and N·m) from which on something counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    pub torques: [f64; 7],
    pub forces: [f64; 6],
}

/// From which on a contact is one, and a collision is one, in a motion with these accelerations.
pub(super) fn thresholds(
    behavior: &CollisionBehavior,
    accelerations: &Joints<7>,
) -> (Thresholds, Thresholds) {
    let (lower, upper) = if accelerations.amax() > ACCELERATING {
        (
            (behavior.lower_torque_acceleration, behavior.lower_force_acceleration),
            (behavior.upper_torque_acceleration, behavior.upper_force_acceleration),
        )
    } else {
        (
            (behavior.lower_torque, behavior.lower_force),
            (behavior.upper_torque, behavior.upper_force),
        )
    };
    let of = |(torques, forces)| Thresholds { torques, forces };
    (of(lower), of(upper))
}

/// 1 where a threshold is passed.
pub(super) fn beyond<const N: usize>(felt: &[f64; N], most: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|i| f64::from(u8::from(felt[i].abs() > most[i])))
}

/// Force from outside, N and N·m, as torques of the joints.
pub(super) fn push(force: &Vector3<f64>, jacobian: &Jacobian<7>) -> Joints<7> {
    jacobian.fixed_rows::<3>(0).tr_mul(force)
}
