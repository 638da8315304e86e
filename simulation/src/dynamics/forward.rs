//! Forward dynamics: how an arm moves under efforts, by the articulated-body algorithm.

use nalgebra::{Matrix6, Vector3, Vector6};

use super::spatial::Screw;
use super::{Dynamics, Joints};

impl<const N: usize> Dynamics<N> {
    /// Accelerations (rad/s², m/s²) of joints that move with `velocities` under `efforts` (N·m, N).
    /// Gravity and rotor inertia included; friction is to be taken off the efforts before.
    ///
    /// Not finite where a joint has nothing to move, as the last one of a chain whose last mass is
    /// a point on its axis.
    pub fn forward(&self, velocities: &Joints<N>, efforts: &Joints<N>) -> Joints<N> {
        let screws = &self.kinematics.screws;
        let mut drifts = [Screw::ZERO; N];
        let mut forces = [Vector6::zeros(); N];
        let mut velocity = Screw::ZERO;
        for (i, (screw, body)) in screws.iter().zip(&self.bodies).enumerate() {
            drifts[i] = velocity.carry(screw) * velocities[i];
            velocity += *screw * velocities[i];
            forces[i] = velocity.carry_force(&body.times(&velocity)).vector();
        }
        // From the tip: the inertia of what hangs on each joint, its own joints free to give way.
        let mut held = [Vector6::zeros(); N];
        let (mut resistance, mut drive) = ([0.0; N], [0.0; N]);
        let (mut inertia, mut force) = (Matrix6::zeros(), Vector6::zeros());
        for i in (0..N).rev() {
            inertia += self.bodies[i].matrix();
            force += forces[i];
            let screw = screws[i].vector();
            held[i] = inertia * screw;
            resistance[i] = screw.dot(&held[i]) + self.rotor[i];
            drive[i] = efforts[i] - screw.dot(&force);
            let share = held[i] / resistance[i];
            inertia -= share * held[i].transpose();
            force += inertia * drifts[i].vector() + share * drive[i];
        }
        let mut accelerations = Joints::zeros();
        let mut acceleration = Screw::new(-self.gravity, Vector3::zeros());
        for i in 0..N {
            acceleration += drifts[i];
            accelerations[i] = (drive[i] - held[i].dot(&acceleration.vector())) / resistance[i];
            acceleration += screws[i] * accelerations[i];
        }
        accelerations
    }
}
