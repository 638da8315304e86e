//! A pendulum of one joint.

use crate::dynamics::{Arm, Joint, JointLimits, Link, LinkError};
use crate::kinematics::Transform;

/// A point of `mass` kg on a rod of `length` m without mass, that turns about the base's y axis:
/// 0 is hanging, positive is towards -x. The tool is the point.
///
/// # Errors
/// [`LinkError`] where `mass` is not above 0 or `length` not finite.
pub fn pendulum(mass: f64, length: f64) -> Result<Arm<1>, LinkError> {
    // The joint's z is the base's y; its x points down.
    let origin = Transform {
        rotation: [[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]],
        translation: [0.0; 3],
    };
    let joint = Joint::about_z(origin, JointLimits::NONE);
    let end = Transform { translation: [length, 0.0, 0.0], ..Transform::IDENTITY };
    Arm::new(&[joint], &[Link::point(mass, end.translation)], end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::Joints;

    #[test]
    fn a_pendulum_follows_the_textbook() {
        let (mass, length) = (0.7, 0.4);
        let arm = pendulum(mass, length).unwrap();
        for angle in [-2.0, -0.3, 0.0, 0.5, 1.6, 3.0_f64] {
            let state = arm.at(&Joints::from([angle]));
            let point = state.kinematics.tool().translation.vector;
            let expected = nalgebra::Vector3::new(-angle.sin(), 0.0, -angle.cos()) * length;
            assert!((point - expected).amax() < 1e-15, "{point}");
            assert!((state.gravity()[0] - mass * 9.81 * length * angle.sin()).abs() < 1e-14);
            assert!((state.mass_matrix()[0] - mass * length * length).abs() < 1e-15);
            let free = state.forward(&Joints::from([1.3]), &Joints::from([0.0]));
            assert!((free[0] + 9.81 / length * angle.sin()).abs() < 1e-12);
        }
    }

    #[test]
    fn a_pendulum_without_mass_is_refused() {
        let refusal = pendulum(0.0, 1.0).unwrap_err().to_string();
        assert_eq!(refusal, "link 1 of the arm: its mass is 0 kg, needed is a number above 0");
        assert!(pendulum(1.0, f64::NAN).unwrap_err().to_string().contains("not finite"));
    }
}
