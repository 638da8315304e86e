//! Inverse dynamics: which efforts make a motion, by the recursive Newton-Euler algorithm.

use nalgebra::Vector3;

use super::spatial::{RigidBody, Screw};
use super::{Dynamics, Joints};

impl<const N: usize> Dynamics<N> {
    /// The efforts (N·m, N) under which the joints, moving with `velocities`, have `accelerations`.
    /// Gravity and rotor inertia included, friction not.
    pub fn inverse(&self, velocities: &Joints<N>, accelerations: &Joints<N>) -> Joints<N> {
        let mut efforts = self.newton_euler(velocities, accelerations, &self.gravity);
        efforts += self.rotor.component_mul(accelerations);
        efforts
    }

    /// `C(q, v) v + g(q)`: efforts at which nothing accelerates.
    pub fn bias(&self, velocities: &Joints<N>) -> Joints<N> {
        self.newton_euler(velocities, &Joints::zeros(), &self.gravity)
    }

    /// `C(q, v) v`: Coriolis and centrifugal efforts.
    pub fn coriolis(&self, velocities: &Joints<N>) -> Joints<N> {
        self.newton_euler(velocities, &Joints::zeros(), &Vector3::zeros())
    }

    /// `g(q)`: efforts that hold the arm at rest.
    pub fn gravity(&self) -> Joints<N> {
        let mut efforts = Joints::zeros();
        let (mut mass, mut moment) = (0.0, Vector3::zeros());
        for (i, (screw, body)) in self.kinematics.screws.iter().zip(&self.bodies).enumerate().rev()
        {
            mass += body.mass;
            moment += body.moment;
            efforts[i] = -screw.linear.dot(&self.gravity) * mass
                - screw.angular.dot(&moment.cross(&self.gravity));
        }
        efforts
    }

    /// Kinetic energy in J, rotors included.
    pub fn kinetic_energy(&self, velocities: &Joints<N>) -> f64 {
        let mut moving = Screw::ZERO;
        let mut energy = 0.0;
        for (i, (screw, body)) in self.kinematics.screws.iter().zip(&self.bodies).enumerate() {
            moving += *screw * velocities[i];
            energy += moving.dot(&body.times(&moving));
            energy += self.rotor[i] * velocities[i] * velocities[i];
        }
        0.5 * energy
    }

    /// Energy in J that gravity holds: 0 where the centre of mass is at the base's height.
    pub fn potential_energy(&self) -> f64 {
        self.bodies.iter().map(|body| -body.moment.dot(&self.gravity)).sum()
    }

    fn newton_euler(
        &self,
        velocities: &Joints<N>,
        accelerations: &Joints<N>,
        gravity: &Vector3<f64>,
    ) -> Joints<N> {
        let screws = &self.kinematics.screws;
        let mut forces = [Screw::ZERO; N];
        let mut velocity = Screw::ZERO;
        // An arm that is accelerated upwards feels what one in gravity feels.
        let mut acceleration = Screw::new(-gravity, Vector3::zeros());
        for (i, (screw, body)) in screws.iter().zip(&self.bodies).enumerate() {
            acceleration += *screw * accelerations[i] + velocity.carry(screw) * velocities[i];
            velocity += *screw * velocities[i];
            forces[i] = force(body, &velocity, &acceleration);
        }
        let mut total = Screw::ZERO;
        let mut efforts = Joints::zeros();
        for (i, (screw, force)) in screws.iter().zip(&forces).enumerate().rev() {
            total += *force;
            efforts[i] = screw.dot(&total);
        }
        efforts
    }
}

/// What accelerates a body that moves.
fn force(body: &RigidBody, velocity: &Screw, acceleration: &Screw) -> Screw {
    body.times(acceleration) + velocity.carry_force(&body.times(velocity))
}
