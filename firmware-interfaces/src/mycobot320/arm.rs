//! What is known about the arm itself: joints, limits, geometry.

use std::ops::RangeInclusive;

use sinew_simulation::kinematics::{SerialChain, Transform};

use super::wire::ARM_JOINTS;

/// Joint names, base to flange.
pub const JOINT_NAMES: [&str; ARM_JOINTS] =
    ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6"];

/// Name of the gripper as a joint.
pub const GRIPPER_NAME: &str = "gripper";

/// Largest angle of each joint in degrees, both ways. From pymycobot 4.0.7's table for the 320;
/// the vendor's documents disagree among themselves by up to 30°.
pub const JOINT_RANGE_DEGREES: [f64; ARM_JOINTS] = [168.0, 135.0, 145.0, 145.0, 168.0, 180.0];

/// Joint speed at a speed byte of 100, in degrees per second. The vendor publishes none for the
/// 320; this is the figure of the arm's family.
pub const MAX_JOINT_SPEED_DEGREES: f64 = 150.0;

/// Joint acceleration in degrees per second squared; same source.
pub const MAX_JOINT_ACCELERATION_DEGREES: f64 = 200.0;

/// Opening per second of the adaptive gripper at a speed byte of 100. An estimate: about a second
/// from closed to open.
pub const MAX_GRIPPER_SPEED: f64 = 1.0;

/// Speed of Cartesian motion at a speed byte of 100, in mm/s; the arm family's figure.
pub const MAX_LINEAR_SPEED_MILLIMETRES: f64 = 100.0;

/// A joint's range in rad; empty past the last joint.
pub fn joint_range(joint: usize) -> RangeInclusive<f64> {
    let most = JOINT_RANGE_DEGREES.get(joint).copied().unwrap_or(0.0).to_radians();
    -most..=most
}

/// The chain of the vendor's URDF for the M5 version of 2022 (repository `mycobot_ros2`).
///
/// Not verified against a real arm: the vendor's Denavit-Hartenberg table differs from it by 1 to
/// 10 mm.
pub fn chain() -> SerialChain<ARM_JOINTS> {
    use std::f64::consts::FRAC_PI_2;
    let origins = [
        ([0.0, 0.0, 0.173], [0.0, 0.0, 0.0]),
        ([0.0, -0.086, 0.0], [0.0, -FRAC_PI_2, FRAC_PI_2]),
        ([0.136_35, 0.0, -0.086], [0.0, 0.0, 0.0]),
        ([0.1195, 0.0, 0.082], [0.0, 0.0, FRAC_PI_2]),
        ([0.0, -0.094_15, 0.0], [FRAC_PI_2, 0.0, 0.0]),
        ([0.0, 0.055, 0.0], [-FRAC_PI_2, 0.0, 0.0]),
    ];
    SerialChain {
        origins: origins.map(|(xyz, rpy)| Transform::from_xyz_rpy(xyz, rpy)),
        limits: std::array::from_fn(joint_range),
    }
}

#[cfg(test)]
mod tests {
    use sinew_simulation::tool::ToolChain;

    use super::*;

    #[test]
    fn upright_the_flange_is_as_high_as_the_links_are_long() {
        let pose = chain().forward(&[0.0; ARM_JOINTS]);
        // 173 + 136.35 + 119.5 + 94.15 mm; the vendor's range for z ends at 523.9 mm.
        assert!((pose.translation[2] - 0.523).abs() < 1e-9, "{:?}", pose.translation);
    }

    #[test]
    fn turning_the_base_turns_the_flange_about_the_vertical() {
        let ahead = chain().forward(&[0.0, 0.5, 0.6, 0.2, 0.3, 0.1]).translation;
        let aside = chain().forward(&[0.7, 0.5, 0.6, 0.2, 0.3, 0.1]).translation;
        let (sine, cosine) = 0.7_f64.sin_cos();
        assert!((aside[0] - (cosine * ahead[0] - sine * ahead[1])).abs() < 1e-12);
        assert!((aside[1] - (sine * ahead[0] + cosine * ahead[1])).abs() < 1e-12);
        assert!((aside[2] - ahead[2]).abs() < 1e-12);
    }

    #[test]
    fn the_urdf_describes_the_same_arm() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fixtures/urdf/mycobot320.urdf");
        let tool = ToolChain::from_urdf(&file, None, &JOINT_NAMES).unwrap();
        assert_eq!(tool.tip_name(), "link6");
        for seed in 0..100 {
            let angles =
                std::array::from_fn(|joint| 2.5 * f64::from(seed * 7 + joint as i32 * 3).sin());
            let expected = chain().forward(&angles).translation;
            let found = tool.tip(&angles);
            for (a, b) in expected.iter().zip(found) {
                assert!((a - b).abs() < 1e-12, "{angles:?}: {expected:?} {found:?}");
            }
        }
    }
}
