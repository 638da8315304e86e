//! What is known about the motor without learning: PD control inside a torque–speed curve, and a
//! spring.

use super::series::Series;
use super::settings::Model;
use sinew_models::actuators::{JointInput, PdPart, TargetVelocity};

/// State and target of one sample; the target's velocity is that since the sample before.
pub fn input(series: &Series, sample: usize) -> JointInput {
    let before = series.target[sample.saturating_sub(1)];
    JointInput {
        position: series.position[sample],
        velocity: series.velocity[sample],
        target_position: series.target[sample],
        target_velocity: (series.target[sample] - before) * series.rate_hz,
    }
}

/// PD torque inside the curve, and the spring's, N·m.
pub fn parts(model: &Model, input: &JointInput) -> (f64, f64) {
    let asked = model.pd.map_or(0.0, |pd| pd.effort(input));
    let pd = model.torque_speed_curve.map_or(asked, |curve| curve.clip(asked, input.velocity));
    (pd, model.spring.map_or(0.0, |spring| spring.effort(input.position)))
}

/// The gains that fit measured torque best: least squares of `kp (q_d - q) - kd qd`.
pub fn fitted<'a>(samples: impl Iterator<Item = (&'a Series, usize)>) -> PdPart {
    let (mut ee, mut ev, mut vv, mut et, mut vt) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (series, sample) in samples {
        let (error, velocity, torque) = (
            series.target[sample] - series.position[sample],
            -series.velocity[sample],
            series.torque[sample],
        );
        ee += error * error;
        ev += error * velocity;
        vv += velocity * velocity;
        et += error * torque;
        vt += velocity * torque;
    }
    let determinant = ee * vv - ev * ev;
    let (stiffness, damping) = if determinant > 1e-12 * ee * vv {
        ((et * vv - vt * ev) / determinant, (vt * ee - et * ev) / determinant)
    } else {
        (et / ee.max(f64::MIN_POSITIVE), 0.0)
    };
    // Negative gains would be no controller; then one gain alone.
    let (stiffness, damping) = match (stiffness >= 0.0, damping >= 0.0) {
        (true, true) => (stiffness, damping),
        (true, false) => ((et / ee.max(f64::MIN_POSITIVE)).max(0.0), 0.0),
        (false, _) => (0.0, (vt / vv.max(f64::MIN_POSITIVE)).max(0.0)),
    };
    PdPart {
        stiffness_nm_per_rad: stiffness,
        damping_nm_s_per_rad: damping,
        target_velocity: TargetVelocity::Zero,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_found_again() {
        let wave = |scale: f64, speed: f64| -> Vec<f64> {
            (0..200).map(|index| scale * (f64::from(index) * speed).sin()).collect()
        };
        let (position, target, velocity) = (wave(0.4, 0.1), wave(0.5, 0.11), wave(2.0, 0.3));
        let torque = (0..200)
            .map(|index| 3.0 * (target[index] - position[index]) - 0.25 * velocity[index])
            .collect();
        let series =
            Series { rate_hz: 100.0, position, target, velocity, torque, ..Series::default() };
        let pd = fitted((0..200).map(|sample| (&series, sample)));
        assert!((pd.stiffness_nm_per_rad - 3.0).abs() < 1e-9, "{pd:?}");
        assert!((pd.damping_nm_s_per_rad - 0.25).abs() < 1e-9, "{pd:?}");
    }
}
