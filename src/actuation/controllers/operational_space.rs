//! Operational-space control: accelerations at the tool.

use nalgebra::Vector6;
use sinew_simulation::dynamics::{Arm, Joints};

use super::{Drive, Feedback, HEAVIEST_KG, Situation, TaskSpace, pose_error};

/// `J' Lambda (A_d + kp e + kd (V_d - V) - J'' v)`, where `J''` is the Jacobian's rate, and in the null
/// space the joint accelerations `a_d + kn (q_d - q) + dn (v_d - v)` (O. Khatib, 1987). Gains are
/// accelerations: the arm's inertia is taken out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationalSpace {
    /// 1/s²: along the axes of the base three times, about them three times.
    pub stiffness: Vector6<f64>,
    /// Part of critical damping, at the tool and in the null space.
    pub damping_ratio: f64,
    /// In the null space, 1/s².
    pub null_stiffness: f64,
}

impl<const N: usize> Feedback<N> for OperationalSpace {
    fn kind(&self) -> &'static str {
        "operational_space"
    }

    fn drive(&mut self, arm: &Arm<N>, now: &Situation<N>) -> Drive<N> {
        let Some(space) = TaskSpace::new(&now.dynamics, HEAVIEST_KG) else {
            return Drive::pull(Joints::repeat(f64::NAN));
        };
        let wanted = arm.chain.at(&now.wanted_position);
        let there = wanted.jacobian();
        let error = pose_error(&wanted.tool(), &now.dynamics.kinematics.tool());
        let twist = there * now.wanted_velocity - space.jacobian * now.velocity;
        let carried = wanted.jacobian_rate(&now.wanted_velocity) * now.wanted_velocity
            - now.dynamics.kinematics.jacobian_rate(&now.velocity) * now.velocity;
        let critical = |stiffness: f64| 2.0 * self.damping_ratio * stiffness.sqrt();
        let acceleration = there * now.wanted_acceleration
            + carried
            + self.stiffness.component_mul(&error)
            + self.stiffness.map(critical).component_mul(&twist);
        let posture = now.wanted_acceleration
            + (now.wanted_position - now.position) * self.null_stiffness
            + (now.wanted_velocity - now.velocity) * critical(self.null_stiffness);
        let null = space.null(&(now.dynamics.mass_matrix() * posture));
        Drive::pull(space.torque(&(space.inertia * acceleration)) + null)
    }
}
