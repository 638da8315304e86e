//! A spring and a damper at every joint.

use sinew_simulation::dynamics::{Arm, Joints};

use super::{Drive, Feedback, Situation};

/// `K (q_d - q) + D (v_d - v)`, and the arm's inertia for the commanded acceleration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointImpedance<const N: usize> {
    /// N·m/rad.
    pub stiffness: Joints<N>,
    /// N·m·s/rad.
    pub damping: Joints<N>,
    /// Whether the inertia of the commanded acceleration is paid.
    pub feedforward: bool,
}

impl<const N: usize> JointImpedance<N> {
    /// The pull towards the commanded motion.
    pub(super) fn pull(&self, now: &Situation<N>) -> Joints<N> {
        self.stiffness.component_mul(&(now.wanted_position - now.position))
            + self.damping.component_mul(&(now.wanted_velocity - now.velocity))
    }
}

impl<const N: usize> Feedback<N> for JointImpedance<N> {
    fn kind(&self) -> &'static str {
        "joint_impedance"
    }

    fn drive(&mut self, _arm: &Arm<N>, now: &Situation<N>) -> Drive<N> {
        let acceleration = if self.feedforward { now.wanted_acceleration } else { Joints::zeros() };
        Drive { torque: self.pull(now), acceleration }
    }
}
