//! A spring and a damper at the tool.

use nalgebra::Vector6;
use sinew_simulation::dynamics::{Arm, Joints};

use super::{Drive, Feedback, HEAVIEST_KG, Situation, TaskSpace, pose_error};

/// What the joints do that the tool does not feel: go to the commanded joint positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NullSpring<const N: usize> {
    /// N·m/rad.
    pub stiffness: Joints<N>,
    /// N·m·s/rad.
    pub damping: Joints<N>,
}

impl<const N: usize> NullSpring<N> {
    /// The part of the spring's torque that does not accelerate the tool.
    pub(super) fn torque(&self, space: &TaskSpace<N>, now: &Situation<N>) -> Joints<N> {
        let pull = self.stiffness.component_mul(&(now.wanted_position - now.position))
            + self.damping.component_mul(&(now.wanted_velocity - now.velocity));
        space.null(&pull)
    }
}

/// `J' (K e + D (V_d - V))` towards the commanded motion's pose and twist, and a spring in the null
/// space. The damping goes with what the tool weighs along each axis. The inertia of the commanded
/// acceleration is paid: near the commanded motion what is felt at the tool is the spring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CartesianImpedance<const N: usize> {
    /// N/m three times, N·m/rad three times, along and about the axes of the base.
    pub stiffness: Vector6<f64>,
    /// Part of critical damping.
    pub damping_ratio: f64,
    /// In the null space.
    pub null: NullSpring<N>,
}

impl<const N: usize> Feedback<N> for CartesianImpedance<N> {
    fn kind(&self) -> &'static str {
        "cartesian_impedance"
    }

    fn drive(&mut self, arm: &Arm<N>, now: &Situation<N>) -> Drive<N> {
        let Some(space) = TaskSpace::new(&now.dynamics, HEAVIEST_KG) else {
            return Drive::pull(Joints::repeat(f64::NAN));
        };
        let Aim { error, twist } = Aim::new(arm, &space, now);
        let damping = space.damping(&self.stiffness, self.damping_ratio);
        let force = self.stiffness.component_mul(&error) + damping.component_mul(&twist);
        let torque = space.torque(&force) + self.null.torque(&space, now);
        Drive { torque, acceleration: now.wanted_acceleration }
    }
}

/// How far the tool is from the commanded motion's.
pub(super) struct Aim {
    /// m and rad.
    pub error: Vector6<f64>,
    /// Difference of twists, m/s and rad/s.
    pub twist: Vector6<f64>,
}

impl Aim {
    pub fn new<const N: usize>(arm: &Arm<N>, space: &TaskSpace<N>, now: &Situation<N>) -> Self {
        let wanted = arm.chain.at(&now.wanted_position);
        Self {
            error: pose_error(&wanted.tool(), &now.dynamics.kinematics.tool()),
            twist: wanted.jacobian() * now.wanted_velocity - space.jacobian * now.velocity,
        }
    }
}
