//! What is known about the motor without learning: PD control inside a torque–speed curve, a spring, and
//! what bounds their sum.

use super::series::Series;
use super::settings::Model;
use sinew_models::actuators::{
    JointInput, PdPart, Spring, TargetVelocity, TorqueSpeedCurve, physical,
};

/// Steps of a fit, of which most need a few.
const FIT_STEPS: usize = 60;
/// Samples of a fit.
const MOST_SAMPLES: usize = 100_000;

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

/// A model without a network.
#[derive(Clone, Copy, Debug)]
pub struct Physics {
    pub pd: Option<PdPart>,
    pub curve: Option<TorqueSpeedCurve>,
    pub spring: Option<Spring>,
    pub effort_limit_nm: Option<f64>,
}

impl Physics {
    /// As it is configured.
    pub fn of(model: &Model) -> Self {
        Self {
            pd: model.pd,
            curve: model.torque_speed_curve,
            spring: model.spring,
            effort_limit_nm: model.effort_limit_nm,
        }
    }

    /// The same with other gains.
    pub fn with(self, pd: PdPart) -> Self {
        Self { pd: Some(pd), ..self }
    }

    /// PD torque inside the curve, and the spring's, N·m.
    pub fn parts(&self, input: &JointInput) -> (f64, f64) {
        physical(self.pd, self.curve, self.spring, input)
    }

    /// Both together, as a model without a network gives them, N·m.
    pub fn effort(&self, input: &JointInput) -> f64 {
        let (pd, spring) = self.parts(input);
        let limit = self.effort_limit_nm.unwrap_or(f64::INFINITY);
        (pd + spring).clamp(-limit, limit)
    }

    /// The gains with which [`Physics::effort`] comes nearest to measured torque: least squares by
    /// Levenberg's and Marquardt's steps from several beginnings, of which the configured gains are one.
    pub fn fitted(self, samples: &[(JointInput, f64)]) -> PdPart {
        let thin = samples.len().div_ceil(MOST_SAMPLES).max(1);
        let samples: Vec<(JointInput, f64)> = samples.iter().step_by(thin).copied().collect();
        let target_velocity = self.pd.map_or(TargetVelocity::Zero, |pd| pd.target_velocity);
        let pd = |[stiffness_nm_per_rad, damping_nm_s_per_rad]: [f64; 2]| PdPart {
            stiffness_nm_per_rad,
            damping_nm_s_per_rad,
            target_velocity,
        };
        let unbounded = Self { curve: None, effort_limit_nm: None, ..self };
        let linear = unbounded.slope(pd([0.0; 2]), &samples).step([0.0; 2], 0.0);
        let configured = self.pd.map(|pd| [pd.stiffness_nm_per_rad, pd.damping_nm_s_per_rad]);
        let beginnings = [Some(linear), Some(linear.map(|gain| 4.0 * gain)), configured];
        let mut best = (f64::INFINITY, linear);
        for mut gains in beginnings.into_iter().flatten() {
            let mut here = self.slope(pd(gains), &samples);
            let mut caution = 1e-3;
            for _ in 0..FIT_STEPS {
                let next = here.step(gains, caution);
                let there = self.slope(pd(next), &samples);
                if there.squares < here.squares {
                    let little = here.squares - there.squares < 1e-12 * here.squares;
                    (gains, here, caution) = (next, there, 0.1 * caution);
                    if little {
                        break;
                    }
                } else if caution > 1e6 {
                    break;
                } else {
                    caution *= 10.0;
                }
            }
            if here.squares < best.0 {
                best = (here.squares, gains);
            }
        }
        pd(best.1)
    }

    /// Squares of the errors, and where they fall.
    fn slope(&self, pd: PdPart, samples: &[(JointInput, f64)]) -> Slope {
        let with = self.with(pd);
        let mut slope = Slope::default();
        for (input, torque) in samples {
            let error = torque - with.effort(input);
            slope.squares += error * error;
            // Where something bounds the torque the gains change nothing.
            let (given, spring) = with.parts(input);
            let bounded = self.effort_limit_nm.is_some_and(|limit| (given + spring).abs() > limit);
            if bounded || given != pd.effort(input) {
                continue;
            }
            let unit = |stiffness_nm_per_rad: f64, damping_nm_s_per_rad: f64| {
                PdPart { stiffness_nm_per_rad, damping_nm_s_per_rad, ..pd }.effort(input)
            };
            let by = [unit(1.0, 0.0), unit(0.0, 1.0)];
            for row in 0..2 {
                slope.right[row] += by[row] * error;
                for column in 0..2 {
                    slope.left[row][column] += by[row] * by[column];
                }
            }
        }
        slope
    }
}

/// Normal equations of the two gains.
#[derive(Clone, Copy, Debug, Default)]
struct Slope {
    squares: f64,
    left: [[f64; 2]; 2],
    right: [f64; 2],
}

impl Slope {
    /// Gains after a step; negative ones would be no controller.
    fn step(&self, gains: [f64; 2], caution: f64) -> [f64; 2] {
        let [[a, b], [_, d]] = self.left;
        let (a, d) = (a * (1.0 + caution), d * (1.0 + caution));
        let [first, second] = self.right;
        let alone = |right: f64, left: f64| if left > 0.0 { right / left } else { 0.0 };
        let determinant = a * d - b * b;
        let both = if determinant > 1e-12 * a * d {
            [(first * d - b * second) / determinant, (a * second - b * first) / determinant]
        } else {
            [alone(first, a), 0.0]
        };
        let [stiffness, damping] = [gains[0] + both[0], gains[1] + both[1]];
        // Where one would become negative, the other is the best alone.
        match (stiffness >= 0.0, damping >= 0.0) {
            (true, true) => [stiffness, damping],
            (true, false) => [(gains[0] + alone(first + b * gains[1], a)).max(0.0), 0.0],
            (false, _) => [0.0, (gains[1] + alone(second + b * gains[0], d)).max(0.0)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(truth: &Physics) -> Vec<(JointInput, f64)> {
        let input = |index: u32| {
            let time = f64::from(index);
            JointInput {
                position: 0.4 * (time * 0.1).sin(),
                velocity: 8.0 * (time * 0.3).sin(),
                target_position: 0.7 * (time * 0.11).sin(),
                target_velocity: 3.0 * (time * 0.07).cos(),
            }
        };
        (0..400).map(input).map(|input| (input, truth.effort(&input))).collect()
    }

    fn rmse(physics: &Physics, samples: &[(JointInput, f64)]) -> f64 {
        let errors = samples.iter().map(|(input, torque)| physics.effort(input) - torque);
        (errors.map(|error| error * error).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn gains_are_found_again_behind_curve_spring_and_clamp() {
        let gains = |stiffness_nm_per_rad, damping_nm_s_per_rad| PdPart {
            stiffness_nm_per_rad,
            damping_nm_s_per_rad,
            target_velocity: TargetVelocity::Zero,
        };
        let plain = Physics {
            pd: Some(gains(3.0, 0.25)),
            curve: None,
            spring: None,
            effort_limit_nm: None,
        };
        let curve = TorqueSpeedCurve { stall_torque_nm: 1.82, no_load_speed_rad_s: 36.0 };
        let spring = Spring {
            stiffness_nm_per_rad: 0.2,
            rest_position_rad: 0.1,
            convention: sinew_models::actuators::SpringConvention::Physical,
        };
        let bounded = Physics {
            pd: Some(gains(12.0, 0.12)),
            curve: Some(curve),
            spring: Some(spring),
            effort_limit_nm: Some(1.7),
        };
        let given = Physics {
            pd: Some(PdPart { target_velocity: TargetVelocity::Given, ..gains(2.0, 0.1) }),
            ..bounded
        };
        for truth in [plain, bounded, given] {
            let samples = samples(&truth);
            // Configured are others.
            let other =
                PdPart { target_velocity: truth.pd.unwrap().target_velocity, ..gains(5.0, 0.0) };
            let found = truth.with(other).fitted(&samples);
            let truth = truth.pd.unwrap();
            let stiffness = found.stiffness_nm_per_rad / truth.stiffness_nm_per_rad;
            let damping = found.damping_nm_s_per_rad / truth.damping_nm_s_per_rad;
            assert!((stiffness - 1.0).abs() < 1e-6, "{found:?} {truth:?}");
            assert!((damping - 1.0).abs() < 1e-6, "{found:?} {truth:?}");
        }
    }

    #[test]
    fn a_fit_is_never_worse_than_what_is_configured() {
        let pd = PdPart {
            stiffness_nm_per_rad: 12.0,
            damping_nm_s_per_rad: 0.12,
            target_velocity: TargetVelocity::Zero,
        };
        let curve = TorqueSpeedCurve { stall_torque_nm: 1.82, no_load_speed_rad_s: 36.0 };
        let physics =
            Physics { pd: Some(pd), curve: Some(curve), spring: None, effort_limit_nm: None };
        let mut samples = samples(&physics);
        // What it does not know: friction and a delay.
        for index in (3..samples.len()).rev() {
            samples[index].1 = samples[index - 3].1 - 0.3 * samples[index].0.velocity.signum();
        }
        let fitted = physics.with(physics.fitted(&samples));
        assert!(rmse(&fitted, &samples) <= rmse(&physics, &samples));
        assert!(rmse(&fitted, &samples) > 0.1, "nothing is left to fit badly");
    }
}
