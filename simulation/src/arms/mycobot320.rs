//! Elephant Robotics' myCobot 320, version M5 of 2022.

use std::f64::consts::FRAC_PI_2;

use crate::dynamics::{Chain, Joint, JointLimits};
use crate::kinematics::Transform;

/// The chain of the maker's URDF (repository `mycobot_ros2`, BSD-2-Clause), with the ranges of
/// pymycobot 4.0.7; the tool is the flange. The maker publishes neither masses nor inertias, so
/// there is no [`Arm`](crate::dynamics::Arm) of it.
///
/// Not verified against a real arm: the maker's Denavit-Hartenberg table differs by 1 to 10 mm.
pub fn mycobot320() -> Chain<6> {
    let joint = |xyz, rpy, degrees: f64| {
        let most = degrees.to_radians();
        Joint::about_z(Transform::from_xyz_rpy(xyz, rpy), JointLimits::range(-most, most))
    };
    let joints = [
        joint([0.0, 0.0, 0.173], [0.0, 0.0, 0.0], 168.0),
        joint([0.0, -0.086, 0.0], [0.0, -FRAC_PI_2, FRAC_PI_2], 135.0),
        joint([0.136_35, 0.0, -0.086], [0.0, 0.0, 0.0], 145.0),
        joint([0.1195, 0.0, 0.082], [0.0, 0.0, FRAC_PI_2], 145.0),
        joint([0.0, -0.094_15, 0.0], [FRAC_PI_2, 0.0, 0.0], 168.0),
        joint([0.0, 0.055, 0.0], [-FRAC_PI_2, 0.0, 0.0], 180.0),
    ];
    Chain::new(&joints, Transform::IDENTITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::{Joints, Pose};
    use crate::tool::ToolChain;

    #[test]
    fn the_table_is_the_arm_of_the_urdf() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/urdf/mycobot320.urdf");
        let names = ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6"];
        let tool = ToolChain::from_urdf(file.as_ref(), None, &names).unwrap();
        for seed in 0..50 {
            let angles = Joints::from_fn(|i, _| 2.5 * f64::from(seed * 7 + 3 * i as i32).sin());
            let pose: Pose = mycobot320().at(&angles).tool();
            let expected = nalgebra::Vector3::from(tool.tip(angles.as_slice()));
            assert!((pose.translation.vector - expected).amax() < 1e-14);
        }
    }
}
