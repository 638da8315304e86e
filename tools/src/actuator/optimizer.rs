//! AdamW from Burn, over all parameters as one vector.

use sinew_models::reference::burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer as _};
use sinew_models::reference::burn::tensor::{Device, Tensor, TensorData};

/// What AdamW remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    pub steps: usize,
    /// Empty before the first step.
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

/// Parameters and their optimiser.
pub struct Optimizer {
    device: Device,
    adam: AdamW,
    parameters: Tensor<1>,
    state: Option<AdamWState<1>>,
}

/// Why numbers did not come back from the device.
#[derive(Debug, thiserror::Error)]
#[error("the optimiser's numbers cannot be read: {0}")]
pub struct OptimizerError(String);

impl Optimizer {
    /// With PyTorch's coefficients.
    pub fn new(parameters: &[f32], moments: &Moments, weight_decay: f32) -> Self {
        let device = Device::flex();
        let adam = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(weight_decay).build();
        let vector = |values: &[f32]| vector(values, &device);
        let state = (moments.steps > 0).then(|| {
            let (first, second) = (vector(&moments.first), vector(&moments.second));
            AdamWState::new(AdaptiveMomentumState::new(moments.steps, first, second))
        });
        Self { parameters: vector(parameters), adam, state, device }
    }

    /// One step.
    pub fn step(&mut self, learning_rate: f64, gradient: &[f32]) -> Result<Vec<f32>, OptimizerError> {
        let gradient = vector(gradient, &self.device);
        let parameters = self.parameters.clone();
        let (parameters, state) =
            self.adam.step(learning_rate, parameters, gradient, self.state.take());
        (self.parameters, self.state) = (parameters, state);
        values(&self.parameters)
    }

    pub fn moments(&self) -> Result<Moments, OptimizerError> {
        let Some(state) = &self.state else { return Ok(Moments::default()) };
        let momentum = &state.momentum;
        Ok(Moments {
            steps: momentum.time,
            first: values(&momentum.moment_1)?,
            second: values(&momentum.moment_2)?,
        })
    }
}

fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn values(tensor: &Tensor<1>) -> Result<Vec<f32>, OptimizerError> {
    let data = tensor.clone().try_into_data().map_err(|error| OptimizerError(error.to_string()))?;
    data.to_vec().map_err(|error| OptimizerError(format!("{error:?}")))
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
    fn a_step_is_that_of_the_paper_and_goes_on_after_a_pause() {
        let (start, gradients) = ([0.5_f32, -0.3], [[0.1_f32, -0.2], [0.3, 0.1], [-0.2, 0.4]]);
        let mut optimizer = Optimizer::new(&start, &Moments::default(), 0.01);
        let (mut first, mut second) = ([0.0; 2], [0.0; 2]);
        let mut expected = start.map(f64::from);
        for (index, gradient) in gradients.iter().enumerate() {
            let step = index as i32 + 1;
            let got = optimizer.step(0.02, gradient).unwrap();
            for i in 0..2 {
                let g = f64::from(gradient[i]);
                first[i] = 0.9 * first[i] + 0.1 * g;
                second[i] = 0.999 * second[i] + 0.001 * g * g;
                let (m, v) =
                    (first[i] / (1.0 - 0.9_f64.powi(step)), second[i] / (1.0 - 0.999_f64.powi(step)));
                expected[i] = expected[i] * (1.0 - 0.02 * 0.01) - 0.02 * m / (v.sqrt() + 1e-8);
                assert!((f64::from(got[i]) - expected[i]).abs() < 1e-5, "{step}");
            }
            let moments = optimizer.moments().unwrap();
            assert_eq!(moments.steps, index + 1);
            optimizer = Optimizer::new(&got, &moments, 0.01);
        }
    }

    #[test]
    fn the_rate_rises_over_the_warm_up_and_ends_at_zero() {
        let rates: Vec<f64> = (0..=20).map(|step| learning_rate(1.0, step, 4, 20)).collect();
        assert_eq!(rates[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
        assert!(rates[4..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(rates[12] - 0.5 < 1e-12 && rates[20] < 1e-12);
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
