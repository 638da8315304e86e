//! Proportional, integral and derivative control of the tool.

use nalgebra::Vector6;
use sinew_simulation::dynamics::{Arm, Joints};

use super::cartesian_impedance::Aim;
use super::{Drive, Feedback, HEAVIEST_KG, Integral, NullSpring, Situation, TaskSpace};

/// Gains at the tool: along the axes of the base three times, about them three times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskGains {
    /// N/m, N·m/rad.
    pub proportional: Vector6<f64>,
    /// N·s/m, N·m·s/rad.
    pub derivative: Vector6<f64>,
    /// N/(m·s), N·m/(rad·s).
    pub integral: Vector6<f64>,
    /// What the integral may add, N and N·m.
    pub integral_limit: Vector6<f64>,
}

/// `J' (Kp e + Kd (V_d - V))` with the integral of `Ki e`, and a spring in the null space. All six
/// parts of the integral add up, and stay where they are while a joint's torque is at its limit.
#[derive(Clone, Copy, Debug)]
pub struct CartesianPid<const N: usize> {
    gains: TaskGains,
    integral: Integral<6>,
    null: NullSpring<N>,
    /// Largest torques, N·m.
    limits: Joints<N>,
}

impl<const N: usize> CartesianPid<N> {
    /// `limits` in N·m: what a joint takes at most.
    pub fn new(gains: TaskGains, null: NullSpring<N>, limits: Joints<N>) -> Self {
        Self { gains, integral: Integral::new(gains.integral_limit), null, limits }
    }
}

impl<const N: usize> Feedback<N> for CartesianPid<N> {
    fn kind(&self) -> &'static str {
        "cartesian_pid"
    }

    fn reset(&mut self) {
        self.integral.reset();
    }

    fn drive(&mut self, arm: &Arm<N>, now: &Situation<N>) -> Drive<N> {
        let Some(space) = TaskSpace::new(&now.dynamics, HEAVIEST_KG) else {
            return Drive::pull(Joints::repeat(f64::NAN));
        };
        let Aim { error, twist } = Aim::new(arm, &space, now);
        let force = self.gains.proportional.component_mul(&error)
            + self.gains.derivative.component_mul(&twist);
        let null = self.null.torque(&space, now);
        let sum = space.torque(&(force + self.integral.value())) + null;
        let runs = sum.iter().zip(&self.limits).all(|(torque, limit)| torque.abs() < *limit);
        self.integral.add(&self.gains.integral.component_mul(&error), now.dt, |_| runs);
        Drive::pull(space.torque(&(force + self.integral.value())) + null)
    }
}
