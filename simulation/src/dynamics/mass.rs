//! Matrices of the equations of motion: mass, by the composite-rigid-body algorithm, and Coriolis.

use nalgebra::{Matrix3, Matrix6, SMatrix};

use super::spatial::{RigidBody, Screw, blocks};
use super::{Dynamics, Joints};

impl<const N: usize> Dynamics<N> {
    /// The mass matrix `M(q)`, symmetric and positive definite, kg·m² (between a joint that turns
    /// and one that slides kg·m, between two that slide kg). Rotor inertia included.
    pub fn mass_matrix(&self) -> SMatrix<f64, N, N> {
        let screws = &self.kinematics.screws;
        let mut matrix = SMatrix::zeros();
        let mut beyond = RigidBody::ZERO;
        for i in (0..N).rev() {
            // What this joint moves, as one rigid body.
            beyond += self.bodies[i];
            let momentum = beyond.times(&screws[i]);
            for (j, screw) in screws.iter().enumerate().take(i + 1) {
                let element = screw.dot(&momentum);
                matrix[(i, j)] = element;
                matrix[(j, i)] = element;
            }
            matrix[(i, i)] += self.rotor[i];
        }
        matrix
    }

    /// A Coriolis matrix `C(q, v)`: `C v` is [`Self::coriolis`], and `dM/dt - 2 C` is skew.
    ///
    /// After S. Echeandia and P. M. Wensing, Numerical methods to compute the Coriolis matrix and
    /// Christoffel symbols for rigid-body systems, J. Comput. Nonlinear Dynam. 16 (2021).
    pub fn coriolis_matrix(&self, velocities: &Joints<N>) -> SMatrix<f64, N, N> {
        let screws = &self.kinematics.screws;
        let mut rates = [Screw::ZERO; N];
        let mut bodies = [Matrix6::zeros(); N];
        let mut velocity = Screw::ZERO;
        for (i, screw) in screws.iter().enumerate() {
            rates[i] = velocity.carry(screw);
            velocity += *screw * velocities[i];
            bodies[i] = body_coriolis(&self.bodies[i], &velocity);
        }
        let mut matrix = SMatrix::zeros();
        let (mut inertia, mut coriolis) = (RigidBody::ZERO, Matrix6::zeros());
        for j in (0..N).rev() {
            inertia += self.bodies[j];
            coriolis += bodies[j];
            let screw = screws[j].vector();
            let above = inertia.times(&rates[j]) + Screw::from_vector(&(coriolis * screw));
            let momentum = inertia.times(&screws[j]);
            let left = Screw::from_vector(&coriolis.tr_mul(&screw));
            for i in 0..=j {
                matrix[(j, i)] = rates[i].dot(&momentum) + screws[i].dot(&left);
                matrix[(i, j)] = screws[i].dot(&above);
            }
        }
        matrix
    }
}

/// `B` of a body: `B v` is the force that keeps it moving, and `B + B'` the rate of its inertia.
fn body_coriolis(body: &RigidBody, velocity: &Screw) -> Matrix6<f64> {
    let inertia = body.matrix();
    let carrying = velocity.carrying();
    let momentum = body.times(velocity);
    let (linear, angular) = (momentum.linear.cross_matrix(), momentum.angular.cross_matrix());
    let swapped = blocks(&Matrix3::zeros(), &-linear, &-linear, &-angular);
    // The matrix that carries forces is minus the transpose of the one that carries motions.
    (swapped - carrying.tr_mul(&inertia) - inertia * carrying) * 0.5
}
