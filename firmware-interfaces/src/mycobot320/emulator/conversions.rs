//! Between the plant's units and the numbers on the wire.

use sinew_simulation::kinematics::Transform;

use super::plant::{self, Coords};
use crate::mycobot320::wire::{ARM_JOINTS, scaling};

/// A joint, servo or axis number as an index.
pub(super) fn index(number: u8) -> Option<usize> {
    usize::from(number).checked_sub(1)
}

/// A speed byte as a fraction of full speed.
pub(super) fn part(speed: u8) -> f64 {
    f64::from(speed.clamp(1, 100)) / 100.0
}

/// Angles in rad as the firmware reports them: to the nearest 0.01°.
pub(super) fn wire_angles(angles: &[f64; ARM_JOINTS]) -> [i16; ARM_JOINTS] {
    angles.map(|angle| (angle.to_degrees() * scaling::ANGLE_PER_DEGREE).round() as i16)
}

pub(super) fn wire_coords(coords: &Coords) -> [i16; 6] {
    std::array::from_fn(|axis| {
        let scale =
            if axis < 3 { scaling::LENGTH_PER_MILLIMETRE } else { scaling::ANGLE_PER_DEGREE };
        (coords[axis] * scale).round() as i16
    })
}

pub(super) fn coord_from_wire(axis: usize, value: i16) -> f64 {
    if axis < 3 {
        scaling::millimetres_from_length(value)
    } else {
        scaling::degrees_from_angle(value)
    }
}

pub(super) fn coords_from_wire(coords: &[i16; 6]) -> Coords {
    std::array::from_fn(|axis| coord_from_wire(axis, coords[axis]))
}

pub(super) fn transform_from_wire(coords: &[i16; 6]) -> Transform {
    plant::transform_from(&coords_from_wire(coords))
}

pub(super) fn limit_to_wire(radians: f64) -> i16 {
    (radians.to_degrees() * scaling::LIMIT_PER_DEGREE).round() as i16
}

pub(super) fn counts_per_second(velocity: f64) -> f64 {
    velocity / std::f64::consts::TAU * scaling::ENCODER_PER_TURN
}
