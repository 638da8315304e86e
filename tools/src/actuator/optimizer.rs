//! AdamW (Loshchilov and Hutter 2019) with PyTorch's coefficients, clipping and the learning rate.

const BETA: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// What AdamW remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    pub steps: usize,
    /// Empty before the first step.
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Moments {
    /// Moves the parameters by one step.
    pub fn step(
        &mut self,
        parameters: &mut [f32],
        gradient: &[f32],
        learning_rate: f64,
        weight_decay: f64,
    ) {
        self.steps += 1;
        self.first.resize(parameters.len(), 0.0);
        self.second.resize(parameters.len(), 0.0);
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(steps);
        let keep = (1.0 - learning_rate * weight_decay) as f32;
        let scale = (learning_rate / correction(BETA.0)) as f32;
        let root = correction(BETA.1).sqrt().recip() as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (first, second)) in
            parameters.iter_mut().zip(gradient).zip(moments)
        {
            *first = BETA.0 * *first + (1.0 - BETA.0) * gradient;
            *second = BETA.1 * *second + (1.0 - BETA.1) * gradient * gradient;
            *parameter = *parameter * keep - scale * *first / (second.sqrt() * root + EPSILON);
        }
    }
}

/// Scales a gradient so that its norm is at most `limit`; returns the norm it had.
pub fn clip(gradient: &mut [f32], limit: f64) -> f64 {
    // In order and in 64 bits, so that it is the same with any number of threads.
    let norm = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if norm > limit {
        let scale = (limit / (norm + 1e-6)) as f32;
        gradient.iter_mut().for_each(|value| *value *= scale);
    }
    norm
}

/// Linear warm-up, then half a cosine to zero, by optimiser steps.
pub fn learning_rate(base: f64, step: usize, warm_up: usize, total: usize) -> f64 {
    if step < warm_up {
        return base * (step + 1) as f64 / warm_up as f64;
    }
    let share = (step - warm_up) as f64 / (total.saturating_sub(warm_up)).max(1) as f64;
    0.5 * base * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_paper() {
        let gradients = [[0.1_f32, -0.2], [0.3, 0.1], [-0.2, 0.4]];
        let mut parameters = [0.5_f32, -0.3];
        let (mut first, mut second) = ([0.0; 2], [0.0; 2]);
        let mut expected = parameters.map(f64::from);
        let mut moments = Moments::default();
        for (index, gradient) in gradients.iter().enumerate() {
            let step = index as i32 + 1;
            moments.step(&mut parameters, gradient, 0.02, 0.01);
            for i in 0..2 {
                let g = f64::from(gradient[i]);
                first[i] = 0.9 * first[i] + 0.1 * g;
                second[i] = 0.999 * second[i] + 0.001 * g * g;
                let m = first[i] / (1.0 - 0.9_f64.powi(step));
                let v = second[i] / (1.0 - 0.999_f64.powi(step));
                expected[i] = expected[i] * (1.0 - 0.02 * 0.01) - 0.02 * m / (v.sqrt() + 1e-8);
                assert!((f64::from(parameters[i]) - expected[i]).abs() < 1e-6, "{step}");
            }
        }
        assert_eq!(moments.steps, 3);
    }

    #[test]
    fn the_rate_rises_over_the_warm_up_and_ends_at_zero() {
        let rates: Vec<f64> = (0..=20).map(|step| learning_rate(1.0, step, 4, 20)).collect();
        assert_eq!(rates[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
        assert!(rates[4..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!((rates[12] - 0.5).abs() < 1e-12 && rates[20] < 1e-12);
    }

    #[test]
    fn a_long_gradient_is_shortened_and_a_short_one_stays() {
        let mut gradient = [3.0, 4.0];
        assert_eq!(clip(&mut gradient, 10.0), 5.0);
        assert_eq!(gradient, [3.0, 4.0]);
        clip(&mut gradient, 1.0);
        assert!((gradient[0] - 0.6).abs() < 1e-5 && (gradient[1] - 0.8).abs() < 1e-5);
    }
}
