//! Repulsion near the ends of the joints' ranges.

use sinew_simulation::dynamics::Joints;

/// Springs that begin a margin before the ends of each joint's range, or at the ends, with damping
/// that grows as deep as the joint is in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftLimits<const N: usize> {
    /// Lower ends, rad.
    pub lower: Joints<N>,
    /// Upper ends, rad.
    pub upper: Joints<N>,
    /// How long before an end the spring begins, rad: 0 or more.
    pub margin: f64,
    /// How deep in the spring its damping is whole, rad: above 0.
    pub depth: f64,
    /// N·m/rad.
    pub stiffness: Joints<N>,
}

/// Whole damping of a spring, as a part of its stiffness, s.
const DAMPING_S: f64 = 0.1;

impl<const N: usize> SoftLimits<N> {
    /// The torque at `position` rad and `velocity` rad/s, N·m: 0 between the margins.
    pub fn torque(&self, position: &Joints<N>, velocity: &Joints<N>) -> Joints<N> {
        Joints::from_fn(|joint, _| {
            let above = (position[joint] - (self.upper[joint] - self.margin)).max(0.0);
            let below = ((self.lower[joint] + self.margin) - position[joint]).max(0.0);
            if above == 0.0 && below == 0.0 {
                return 0.0;
            }
            let depth = (above.max(below) / self.depth).min(1.0);
            let damping = DAMPING_S * self.stiffness[joint] * depth;
            self.stiffness[joint] * (below - above) - damping * velocity[joint]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: SoftLimits<1> = SoftLimits {
        lower: Joints::<1>::new(-1.0),
        upper: Joints::<1>::new(2.0),
        margin: 0.2,
        depth: 0.2,
        stiffness: Joints::<1>::new(300.0),
    };

    fn torque(position: f64, velocity: f64) -> f64 {
        LIMITS.torque(&Joints::from([position]), &Joints::from([velocity]))[0]
    }

    #[test]
    fn it_is_nothing_between_the_margins_and_a_spring_in_them() {
        assert_eq!([torque(-0.8, 3.0), torque(0.0, -3.0), torque(1.8, 3.0)], [0.0; 3]);
        assert!((torque(2.0, 0.0) + 60.0).abs() < 1e-9);
        assert!((torque(-0.9, 0.0) - 30.0).abs() < 1e-9);
        // At the end it damps by a tenth of its stiffness.
        assert!((torque(2.0, 0.5) + 60.0 + 15.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn it_never_pushes_outwards_at_rest_and_takes_energy_from_motion(
            position in -1.5..2.5f64, velocity in -5.0..5.0f64,
        ) {
            let spring = torque(position, 0.0);
            prop_assert!(spring * (position - 0.5) <= 0.0);
            prop_assert!((torque(position, velocity) - spring) * velocity <= 0.0);
        }
    }
}
