//! Between physical units and the protocol's integers. All scaling happens here.
//!
//! Conversions to the wire truncate toward zero, as the vendor's client does, and saturate at the
//! ends of `i16`. A value that is not finite becomes 0; callers refuse such values beforehand.

/// Wire counts per degree of an angle.
pub const ANGLE_PER_DEGREE: f64 = 100.0;
/// Wire counts per millimetre.
pub const LENGTH_PER_MILLIMETRE: f64 = 10.0;
/// Wire counts per degree of a joint limit.
pub const LIMIT_PER_DEGREE: f64 = 10.0;
/// Encoder counts per revolution.
pub const ENCODER_PER_TURN: f64 = 4096.0;
/// Encoder reading at angle 0.
pub const ENCODER_ZERO: u16 = 2048;
/// Largest encoder reading.
pub const ENCODER_MAX: u16 = 4095;
/// Gripper counts from closed to open.
pub const GRIPPER_OPEN: f64 = 100.0;

/// Degrees to an angle on the wire.
pub fn angle_from_degrees(degrees: f64) -> i16 {
    (degrees * ANGLE_PER_DEGREE) as i16
}

/// An angle on the wire in degrees.
pub fn degrees_from_angle(angle: i16) -> f64 {
    f64::from(angle) / ANGLE_PER_DEGREE
}

/// Radians to an angle on the wire.
pub fn angle_from_radians(radians: f64) -> i16 {
    angle_from_degrees(radians.to_degrees())
}

/// An angle on the wire in radians.
pub fn radians_from_angle(angle: i16) -> f64 {
    degrees_from_angle(angle).to_radians()
}

/// Millimetres to a length on the wire.
pub fn length_from_millimetres(millimetres: f64) -> i16 {
    (millimetres * LENGTH_PER_MILLIMETRE) as i16
}

/// A length on the wire in millimetres.
pub fn millimetres_from_length(length: i16) -> f64 {
    f64::from(length) / LENGTH_PER_MILLIMETRE
}

/// Degrees to a joint limit on the wire.
pub fn limit_from_degrees(degrees: f64) -> i16 {
    (degrees * LIMIT_PER_DEGREE) as i16
}

/// A joint limit on the wire in degrees.
pub fn degrees_from_limit(limit: i16) -> f64 {
    f64::from(limit) / LIMIT_PER_DEGREE
}

/// Radians to the nearest encoder count.
pub fn encoder_from_radians(radians: f64) -> u16 {
    let counts = radians / std::f64::consts::TAU * ENCODER_PER_TURN + f64::from(ENCODER_ZERO);
    (counts.round() as u16).min(ENCODER_MAX)
}

/// An encoder count in radians.
pub fn radians_from_encoder(encoder: u16) -> f64 {
    (f64::from(encoder) - f64::from(ENCODER_ZERO)) / ENCODER_PER_TURN * std::f64::consts::TAU
}

/// A gripper opening of 0 to 1 to the nearest of 0 to 100 on the wire.
pub fn gripper_from_opening(opening: f64) -> u8 {
    (opening.clamp(0.0, 1.0) * GRIPPER_OPEN).round() as u8
}

/// A gripper value on the wire as an opening; `None` outside 0 to 100, which is how the firmware
/// reports a failed read.
pub fn opening_from_gripper(value: u8) -> Option<f64> {
    let opening = f64::from(value) / GRIPPER_OPEN;
    (opening <= 1.0).then_some(opening)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_truncate_toward_zero_and_saturate() {
        assert_eq!(angle_from_degrees(15.5), 1550);
        assert_eq!(angle_from_degrees(-50.259), -5025);
        assert_eq!(angle_from_degrees(0.009), 0);
        assert_eq!(angle_from_degrees(400.0), i16::MAX);
        assert_eq!(angle_from_degrees(-400.0), i16::MIN);
        assert_eq!(angle_from_degrees(f64::NAN), 0);
    }

    #[test]
    fn lengths_limits_and_encoders_match_the_reference_frames() {
        assert_eq!(length_from_millimetres(-120.0), -1200);
        assert_eq!(limit_from_degrees(-168.0), -1680);
        assert_eq!(degrees_from_limit(1450), 145.0);
        assert_eq!(encoder_from_radians(0.0), 2048);
        assert_eq!(encoder_from_radians(10.0), 4095);
        assert_eq!(encoder_from_radians(-10.0), 0);
        assert!((radians_from_encoder(3072) - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
    }

    #[test]
    fn only_0_to_100_is_a_gripper_reading() {
        assert_eq!(opening_from_gripper(70), Some(0.7));
        assert_eq!(opening_from_gripper(100), Some(1.0));
        assert_eq!(opening_from_gripper(101), None);
        assert_eq!(opening_from_gripper(255), None);
        assert_eq!(gripper_from_opening(0.704), 70);
        assert_eq!(gripper_from_opening(7.0), 100);
    }
}
