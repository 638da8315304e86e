//! Smooth ways between two positions: at rest at both ends.

use std::time::Duration;

use sinew_firmware_interfaces::MAX_JOINTS;

use crate::limits::JointLimits;

/// Largest speed, acceleration and jerk of [`eased`] over one second.
const PEAKS: [f64; 3] = [1.875, 5.7735, 60.0];

/// How long `way` takes at least, so that speed, acceleration and jerk stay below `limits`.
pub(super) fn duration(way: f64, limits: &JointLimits) -> Duration {
    let way = way.abs();
    let seconds = (PEAKS[0] * way / limits.max_velocity)
        .max((PEAKS[1] * way / limits.max_acceleration).sqrt())
        .max((PEAKS[2] * way / limits.max_jerk).cbrt());
    Duration::from_secs_f64(seconds)
}

/// How many periods of `step` last as long as `span`.
pub(super) fn steps(span: Duration, step: Duration) -> u64 {
    (span.as_nanos() as u64).div_ceil((step.as_nanos() as u64).max(1))
}

/// Step `step` of a way of `steps`.
pub(super) fn between(
    from: &[f64; MAX_JOINTS],
    to: &[f64; MAX_JOINTS],
    step: u64,
    steps: u64,
) -> [f64; MAX_JOINTS] {
    let eased = eased(step as f64 / steps.max(1) as f64);
    std::array::from_fn(|joint| from[joint] + eased * (to[joint] - from[joint]))
}

/// From 0 to 1 while `x` does, without a jump in acceleration: 10x³ - 15x⁴ + 6x⁵.
pub(super) fn eased(x: f64) -> f64 {
    x * x * x * (10.0 + x * (6.0 * x - 15.0))
}
