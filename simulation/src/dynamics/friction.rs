//! Friction of joints as a function of velocity.

/// Friction of one joint. Its torque is what a drive needs on top of the rigid-body torque.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum JointFriction {
    /// None.
    #[default]
    None,
    /// `viscous · v + coulomb · sign(v) + offset`.
    Linear {
        /// N·m·s/rad.
        viscous: f64,
        /// N·m.
        coulomb: f64,
        /// N·m: drift of the torque sensor, and friction that differs between directions.
        offset: f64,
        /// The sign is `tanh(v / transition)`, rad/s, so that it does not jump at standstill;
        /// with 0 it does, and is 0 there.
        transition: f64,
    },
    /// Viscous and Coulomb friction as one smooth step (Gaz et al., Dynamic identification of the
    /// Franka Emika Panda robot with retrieval of feasible parameters, RA-L 2019, section V):
    /// `height / (1 + exp(-slope (v + shift))) - height / (1 + exp(-slope · shift))`.
    Sigmoid {
        /// N·m.
        height: f64,
        /// s/rad.
        slope: f64,
        /// rad/s.
        shift: f64,
    },
}

impl JointFriction {
    /// The torque in N·m (of a prismatic joint N) at `velocity` rad/s (m/s).
    pub fn torque(&self, velocity: f64) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::Linear { viscous, coulomb, offset, transition } => {
                viscous * velocity + coulomb * sign(velocity, transition) + offset
            }
            Self::Sigmoid { height, slope, shift } => {
                let step = |v: f64| height / (1.0 + (-slope * v).exp());
                step(velocity + shift) - step(shift)
            }
        }
    }
}

fn sign(velocity: f64, transition: f64) -> f64 {
    if transition > 0.0 {
        (velocity / transition).tanh()
    } else if velocity == 0.0 {
        0.0
    } else {
        velocity.signum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn coulomb_friction_is_against_the_motion_and_none_at_rest() {
        let friction =
            JointFriction::Linear { viscous: 0.5, coulomb: 2.0, offset: 0.0, transition: 0.0 };
        assert_eq!([-1.0, 0.0, 1.0].map(|v| friction.torque(v)), [-2.5, 0.0, 2.5]);
        let smooth =
            JointFriction::Linear { viscous: 0.0, coulomb: 2.0, offset: 0.1, transition: 0.01 };
        assert!((smooth.torque(0.01) - 0.1 - 2.0 * 1_f64.tanh()).abs() < 1e-15);
        assert!((smooth.torque(1.0) - 2.1).abs() < 1e-12);
        assert_eq!(JointFriction::default().torque(3.0), 0.0);
    }

    proptest! {
        #[test]
        fn a_sigmoid_is_nothing_at_rest_rises_with_speed_and_stays_within_its_height(
            height in 0.1..2.0f64, slope in 1.0..20.0f64, shift in -0.05..0.05f64,
            slow in -400.0..400.0f64, more in 0.0..5.0f64,
        ) {
            let friction = JointFriction::Sigmoid { height, slope, shift };
            prop_assert_eq!(friction.torque(0.0), 0.0);
            prop_assert!(friction.torque(slow) <= friction.torque(slow + more));
            prop_assert!(friction.torque(slow).abs() <= height);
        }
    }
}
