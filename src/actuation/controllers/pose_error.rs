//! How far a pose is from another.

use nalgebra::{UnitQuaternion, Vector6};
use sinew_simulation::dynamics::Pose;

/// From `measured` to `wanted`: the way in m, and the turn as twice the vector part of its unit
/// quaternion, in rad for small turns, both in the axes of the base. The turn is the shorter one of
/// the two that lead there (`w` of the quaternion is not below 0) and grows with the angle up to
/// half a turn, so a spring on it always pulls the right way.
pub fn pose_error(wanted: &Pose, measured: &Pose) -> Vector6<f64> {
    let way = wanted.translation.vector - measured.translation.vector;
    let turn = wanted.rotation * measured.rotation.inverse();
    let turn = UnitQuaternion::from_rotation_matrix(&turn);
    let turn = turn.imag() * if turn.w < 0.0 { -2.0 } else { 2.0 };
    Vector6::new(way.x, way.y, way.z, turn.x, turn.y, turn.z)
}

#[cfg(test)]
mod tests {
    use nalgebra::{Rotation3, Translation3, Unit, Vector3};
    use proptest::prelude::*;

    use super::*;

    fn pose(position: [f64; 3], turn: Vector3<f64>) -> Pose {
        Pose::from_parts(Translation3::from(position), Rotation3::new(turn))
    }

    #[test]
    fn a_small_turn_is_its_angle_about_its_axis_in_the_axes_of_the_base() {
        let measured = pose([0.1, 0.2, 0.3], Vector3::new(0.4, -1.2, 2.0));
        let turn = Rotation3::new(Vector3::new(1e-4, 2e-4, -3e-4));
        let wanted = Pose::from_parts(Translation3::new(0.2, 0.2, 0.1), turn * measured.rotation);
        let error = pose_error(&wanted, &measured);
        let expected = Vector6::new(0.1, 0.0, -0.2, 1e-4, 2e-4, -3e-4);
        assert!((error - expected).amax() < 1e-11, "{error}");
    }

    proptest! {
        #[test]
        fn the_turn_is_the_shorter_one_and_grows_up_to_half_a_turn(
            from in prop::array::uniform3(-3.0..3.0f64),
            axis in prop::array::uniform3(-1.0..1.0f64).prop_filter("short", |it| Vector3::from(*it).norm() > 0.1),
            angle in 0.01..3.13f64,
        ) {
            let axis = Unit::new_normalize(Vector3::from(axis));
            let measured = pose([0.0; 3], Vector3::from(from));
            let turned = |angle: f64| Pose::from_parts(
                Translation3::identity(),
                Rotation3::from_axis_angle(&axis, angle) * measured.rotation,
            );
            let error = pose_error(&turned(angle), &measured).fixed_rows::<3>(3).into_owned();
            prop_assert!((error - axis.into_inner() * (2.0 * (angle / 2.0).sin())).amax() < 1e-6);
            // More than half a turn is less than half a turn the other way.
            let back = pose_error(&turned(angle + std::f64::consts::PI), &measured);
            prop_assert!(back.fixed_rows::<3>(3).dot(&axis) < 1e-6);
        }
    }
}
