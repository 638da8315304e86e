//! Poses and Jacobians of the frames along the arm: 1 to 7 of the joints, 8 the flange, 9 the end
//! effector.

use nalgebra::{Matrix3, Matrix4, Vector3};
use sinew_simulation::arms::franka::chain;
use sinew_simulation::dynamics::{Chain, Jacobian, Joints, Pose};

use std::sync::LazyLock;

/// To the flange.
static CHAIN: LazyLock<Chain<7>> = LazyLock::new(chain);

/// Pose of frame 1 to 8, and the Jacobian of its origin, both in the base.
fn frame(q: &[f64; 7], frame: usize) -> (Pose, Jacobian<7>) {
    let kinematics = CHAIN.at(&Joints::from(*q));
    let pose = kinematics.joint(frame - 1).unwrap_or_else(|| kinematics.tool());
    (pose, kinematics.jacobian_at(frame, &pose.translation.vector))
}

/// Likewise of the end effector, a pose in the flange.
fn end_effector(q: &[f64; 7], f_t_ee: &[f64; 16]) -> (Matrix4<f64>, Jacobian<7>) {
    let kinematics = CHAIN.at(&Joints::from(*q));
    let pose = kinematics.tool().to_homogeneous() * Matrix4::from_column_slice(f_t_ee);
    let origin = Vector3::new(pose[(0, 3)], pose[(1, 3)], pose[(2, 3)]);
    (pose, kinematics.jacobian_at(7, &origin))
}

/// The same Jacobian in the axes of the frame itself.
fn body(jacobian: &Jacobian<7>, axes: &Matrix3<f64>) -> Jacobian<7> {
    let mut turned = *jacobian;
    let back = axes.transpose();
    turned.fixed_rows_mut::<3>(0).copy_from(&(back * jacobian.fixed_rows::<3>(0)));
    turned.fixed_rows_mut::<3>(3).copy_from(&(back * jacobian.fixed_rows::<3>(3)));
    turned
}

macro_rules! frames {
    ($($number:literal: $pose:ident $zero:ident $body:ident)*) => {$(
        /// Pose of a frame in the base.
        #[unsafe(no_mangle)]
        pub extern "C" fn $pose(q: &[f64; 7], out: &mut [f64; 16]) {
            out.copy_from_slice(frame(q, $number).0.to_homogeneous().as_slice());
        }

        /// Jacobian of a frame in the axes of the base: m/s, then rad/s, for each joint.
        #[unsafe(no_mangle)]
        pub extern "C" fn $zero(q: &[f64; 7], out: &mut [f64; 42]) {
            out.copy_from_slice(frame(q, $number).1.as_slice());
        }

        /// Jacobian of a frame in its own axes.
        #[unsafe(no_mangle)]
        pub extern "C" fn $body(q: &[f64; 7], out: &mut [f64; 42]) {
            let (pose, jacobian) = frame(q, $number);
            out.copy_from_slice(body(&jacobian, pose.rotation.matrix()).as_slice());
        }
    )*};
}

frames! {
    2: O_T_J2 O_J_J2 Ji_J_J2
    3: O_T_J3 O_J_J3 Ji_J_J3
    4: O_T_J4 O_J_J4 Ji_J_J4
    5: O_T_J5 O_J_J5 Ji_J_J5
    6: O_T_J6 O_J_J6 Ji_J_J6
    7: O_T_J7 O_J_J7 Ji_J_J7
    8: O_T_J8 O_J_J8 Ji_J_J8
}

/// Pose of the first joint's frame in the base.
#[unsafe(no_mangle)]
pub extern "C" fn O_T_J1(q: &[f64; 7], out: &mut [f64; 16]) {
    out.copy_from_slice(frame(q, 1).0.to_homogeneous().as_slice());
}

/// Jacobian of the first joint's frame: always the same.
#[unsafe(no_mangle)]
pub extern "C" fn O_J_J1(out: &mut [f64; 42]) {
    out.copy_from_slice(frame(&[0.0; 7], 1).1.as_slice());
}

/// The same in the frame's own axes.
#[unsafe(no_mangle)]
pub extern "C" fn Ji_J_J1(out: &mut [f64; 42]) {
    let (pose, jacobian) = frame(&[0.0; 7], 1);
    out.copy_from_slice(body(&jacobian, pose.rotation.matrix()).as_slice());
}

/// Pose of the end effector in the base; `f_t_ee` is its pose in the flange.
#[unsafe(no_mangle)]
pub extern "C" fn O_T_J9(q: &[f64; 7], f_t_ee: &[f64; 16], out: &mut [f64; 16]) {
    out.copy_from_slice(end_effector(q, f_t_ee).0.as_slice());
}

/// Jacobian of the end effector in the axes of the base.
#[unsafe(no_mangle)]
pub extern "C" fn O_J_J9(q: &[f64; 7], f_t_ee: &[f64; 16], out: &mut [f64; 42]) {
    out.copy_from_slice(end_effector(q, f_t_ee).1.as_slice());
}

/// Jacobian of the end effector in its own axes.
#[unsafe(no_mangle)]
pub extern "C" fn Ji_J_J9(q: &[f64; 7], f_t_ee: &[f64; 16], out: &mut [f64; 42]) {
    let (pose, jacobian) = end_effector(q, f_t_ee);
    let axes = pose.fixed_view::<3, 3>(0, 0).into_owned();
    out.copy_from_slice(body(&jacobian, &axes).as_slice());
}
