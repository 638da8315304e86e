//! Hand guiding: the arm goes where a hand takes it.

use sinew_simulation::dynamics::{Arm, Joints};

use super::{Drive, Feedback, JointImpedance, Situation};

/// No pull while a hand leads the arm, but for damping; else the arm is held by an impedance: before
/// it is led, and in a stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guiding<const N: usize> {
    /// What holds the arm.
    pub hold: JointImpedance<N>,
    /// Damping while the arm is led, N·m·s/rad.
    pub damping: Joints<N>,
    /// The speed from which there is more, rad/s.
    pub fast: f64,
    /// The damping of what is faster than that, N·m·s/rad.
    pub fast_damping: Joints<N>,
}

impl<const N: usize> Feedback<N> for Guiding<N> {
    fn kind(&self) -> &'static str {
        "guiding"
    }

    fn guides(&self) -> bool {
        true
    }

    fn drive(&mut self, arm: &Arm<N>, now: &Situation<N>) -> Drive<N> {
        if !now.free {
            return self.hold.drive(arm, now);
        }
        Drive::pull(Joints::from_fn(|joint, _| {
            let speed = now.velocity[joint];
            let excess = (speed.abs() - self.fast).max(0.0).copysign(speed);
            -self.damping[joint] * speed - self.fast_damping[joint] * excess
        }))
    }
}
