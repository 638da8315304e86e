//! The model of the emulated FER as the shared library that such an arm sends to its clients:
//! libfranka 0.9 opens it with `dlopen` and looks for these names. The numbers are those of
//! `arms::franka::panda_identified`, the emulated arm's own.
//!
//! Everything is an array of doubles, matrices column by column. `q` are joint positions (rad),
//! `dq` velocities (rad/s), `load` is what the flange carries, the hand included: inertia about its
//! centre of mass (kg·m²), mass (kg) and centre of mass in the flange's frame (m). What cannot
//! exist has NaN for an answer.
#![allow(
    unsafe_code,
    reason = "C finds functions by names that are not mangled, which is unsafe by itself: two of a \
              name would clash. There is no other unsafe code here; a reference to an array is C's \
              pointer to its first number, and C vouches for it."
)]
#![allow(non_snake_case, reason = "the names that libfranka looks for")]

pub mod frames;

use std::sync::LazyLock;

use nalgebra::Vector3;
use sinew_simulation::arms::franka::panda_identified;
use sinew_simulation::dynamics::{Arm, Joints, Link, LinkError};

/// The arm without anything at its flange.
static ARM: LazyLock<Result<Arm<7>, LinkError>> = LazyLock::new(panda_identified);

/// The arm with a load.
fn loaded(inertia: &[f64; 9], mass: f64, center: &[f64; 3]) -> Option<Arm<7>> {
    let arm = ARM.as_ref().ok()?.clone();
    if mass == 0.0 {
        return Some(arm);
    }
    // Symmetric: rows are columns.
    let [xx, xy, xz, _, yy, yz, _, _, zz] = *inertia;
    let link = Link { mass, center: *center, inertia: [xx, xy, xz, yy, yz, zz] };
    arm.with_payload(&link).ok()
}

fn write<const N: usize>(out: &mut [f64; N], numbers: Option<&[f64]>) {
    match numbers {
        Some(numbers) => out.copy_from_slice(numbers),
        None => out.fill(f64::NAN),
    }
}

/// Mass matrix, kg·m².
#[unsafe(no_mangle)]
pub extern "C" fn M_NE(
    q: &[f64; 7],
    inertia: &[f64; 9],
    mass: f64,
    center: &[f64; 3],
    out: &mut [f64; 49],
) {
    let matrix = loaded(inertia, mass, center).map(|arm| arm.at(&Joints::from(*q)).mass_matrix());
    write(out, matrix.as_ref().map(|matrix| matrix.as_slice()));
}

/// Coriolis and centrifugal torques, N·m.
#[unsafe(no_mangle)]
pub extern "C" fn c_NE(
    q: &[f64; 7],
    dq: &[f64; 7],
    inertia: &[f64; 9],
    mass: f64,
    center: &[f64; 3],
    out: &mut [f64; 7],
) {
    let torques = loaded(inertia, mass, center)
        .map(|arm| arm.at(&Joints::from(*q)).coriolis(&Joints::from(*dq)));
    write(out, torques.as_ref().map(|torques| torques.as_slice()));
}

/// Torques that hold the arm against `gravity`, the acceleration of free fall in the base's frame
/// (m/s²), in N·m.
#[unsafe(no_mangle)]
pub extern "C" fn g_NE(
    q: &[f64; 7],
    gravity: &[f64; 3],
    mass: f64,
    center: &[f64; 3],
    out: &mut [f64; 7],
) {
    let torques = loaded(&[0.0; 9], mass, center).map(|mut arm| {
        arm.gravity = Vector3::from(*gravity);
        arm.at(&Joints::from(*q)).gravity()
    });
    write(out, torques.as_ref().map(|torques| torques.as_slice()));
}
