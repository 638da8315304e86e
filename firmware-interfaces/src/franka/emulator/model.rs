//! The model that an FR3 gives its clients: a URDF of its own making, from the same numbers as the
//! emulated arm.

use std::fmt::Write;

use sinew_simulation::arms::franka::{DENAVIT_HARTENBERG, FR3_BRAKING, FR3_LIMITS, fr3};
use sinew_simulation::dynamics::LinkError;

/// Distance of the flange from the last joint, m.
const FLANGE: f64 = 0.107;

/// Links are called `link0` to `link8` and joints `joint1` to `joint8`: clients look for these
/// names. The hand is not in it; states tell of it.
pub(super) fn fr3_urdf() -> Result<String, LinkError> {
    let links = fr3()?.links();
    let mut urdf =
        String::from("<?xml version=\"1.0\"?>\n<robot name=\"fr3\">\n<link name=\"link0\"/>\n");
    for (index, link) in links.iter().enumerate() {
        let number = index + 1;
        let [a, d, alpha] = DENAVIT_HARTENBERG[index];
        let (y, z) = (-alpha.sin() * d, alpha.cos() * d);
        let limits = &FR3_LIMITS[index];
        let [offset, deceleration] = FR3_BRAKING[index];
        let [x_center, y_center, z_center] = link.center;
        let [xx, xy, xz, yy, yz, zz] = link.inertia;
        // Writing to memory does not fail.
        let _ = write!(
            urdf,
            r#"<link name="link{number}"><inertial><origin xyz="{x_center} {y_center} {z_center}" rpy="0 0 0"/><mass value="{mass}"/><inertia ixx="{xx}" ixy="{xy}" ixz="{xz}" iyy="{yy}" iyz="{yz}" izz="{zz}"/></inertial></link>
<joint name="joint{number}" type="revolute"><origin xyz="{a} {y} {z}" rpy="{alpha} 0 0"/><parent link="link{index}"/><child link="link{number}"/><axis xyz="0 0 1"/><limit lower="{lower}" upper="{upper}" velocity="{velocity}" effort="{effort}"/><position_based_velocity_limits kind="joint" velocity_offset="{offset}" deceleration_limit="{deceleration}"/></joint>
"#,
            mass = link.mass,
            lower = limits.lower,
            upper = limits.upper,
            velocity = limits.velocity,
            effort = limits.effort,
        );
    }
    let _ = write!(
        urdf,
        r#"<link name="link8"/>
<joint name="joint8" type="fixed"><origin xyz="0 0 {FLANGE}" rpy="0 0 0"/><parent link="link7"/><child link="link8"/></joint>
</robot>
"#
    );
    Ok(urdf)
}

#[cfg(test)]
mod tests {
    use sinew_simulation::arms::franka::READY;
    use sinew_simulation::dynamics::{Arm, Joints};

    use super::*;

    #[test]
    fn the_urdf_is_the_emulated_arm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fr3.urdf");
        std::fs::write(&path, fr3_urdf().unwrap()).unwrap();
        let names = ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7"];
        let read = Arm::<7>::from_urdf(&path, Some("link8"), &names).unwrap();
        let (ready, arm) = (Joints::from(READY), fr3().unwrap());
        let (ours, theirs) = (arm.at(&ready), read.at(&ready));
        assert!((ours.gravity() - theirs.gravity()).amax() < 1e-9);
        assert!((ours.mass_matrix() - theirs.mass_matrix()).amax() < 1e-9);
        let [ours, theirs] = [ours, theirs].map(|state| state.kinematics.tool().translation.vector);
        assert!((ours - theirs).amax() < 1e-9);
    }
}
