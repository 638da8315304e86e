//! Proportional, integral and derivative control of every joint.

use sinew_simulation::dynamics::{Arm, Joints};

use super::{Drive, Feedback, Integral, Situation};

/// `Kp (q_d - q) + Kd (v_d - v)` and the integral of `Ki (q_d - q)`. The derivative is the
/// measured velocity's, not a difference of positions; the integral has an end, and stays where it is
/// while a joint's torque is at its limit.
#[derive(Clone, Copy, Debug)]
pub struct JointPid<const N: usize> {
    proportional: Joints<N>,
    derivative: Joints<N>,
    gain: Joints<N>,
    integral: Integral<N>,
    /// Largest torques, N·m.
    limits: Joints<N>,
}

impl<const N: usize> JointPid<N> {
    /// Gains in N·m/rad, N·m·s/rad and N·m/(rad·s); `integral_limit` and `limits` in N·m: what the
    /// integral may add, and what a joint takes at most.
    pub fn new(
        proportional: Joints<N>,
        derivative: Joints<N>,
        integral: Joints<N>,
        integral_limit: Joints<N>,
        limits: Joints<N>,
    ) -> Self {
        let (gain, integral) = (integral, Integral::new(integral_limit));
        Self { proportional, derivative, gain, integral, limits }
    }
}

impl<const N: usize> Feedback<N> for JointPid<N> {
    fn kind(&self) -> &'static str {
        "joint_pid"
    }

    fn reset(&mut self) {
        self.integral.reset();
    }

    fn drive(&mut self, _arm: &Arm<N>, now: &Situation<N>) -> Drive<N> {
        let error = now.wanted_position - now.position;
        let torque = self.proportional.component_mul(&error)
            + self.derivative.component_mul(&(now.wanted_velocity - now.velocity));
        let sum = torque + self.integral.value();
        let rate = self.gain.component_mul(&error);
        let runs = |joint: usize| sum[joint].abs() < self.limits[joint];
        self.integral.add(&rate, now.dt, runs);
        Drive::pull(torque + self.integral.value())
    }
}
