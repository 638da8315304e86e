//! The dense baseline: Hwangbo's inputs (position error and velocity now, 10 ms and 20 ms ago), three
//! hidden layers with softsign.

use super::dataset::Dataset;
use super::optimizer::{Moments, clip, learning_rate};
use super::random::Random;
use super::series::Series;
use super::settings::Settings;
use super::splits::Windows;
use sinew_models::actuators::{DenseParameters, ErrorSign, InputOrder, MlpParameters, MlpSpec};
use sinew_models::recurrent::Activation;

/// Distance of two inputs in time.
const HISTORY_S: f64 = 0.01;
/// Hidden layers.
const HIDDEN_LAYERS: usize = 3;
const BATCH: usize = 64;

fn distance(rate_hz: f64) -> usize {
    ((HISTORY_S * rate_hz).round() as usize).max(1)
}

/// What it learns from, as files and samples: the last steps of the training windows that have a whole
/// history before them.
pub fn samples(dataset: &Dataset, windows: &Windows) -> Vec<(usize, usize)> {
    let history = 2 * distance(dataset.rate_hz);
    windows
        .train
        .iter()
        .map(|window| (window.series, window.begin + windows.steps - 1))
        .filter(|(_, sample)| *sample >= history)
        .collect()
}

/// Trains on the last steps of the training windows.
pub fn train(
    settings: &Settings,
    dataset: &Dataset,
    windows: &Windows,
) -> (MlpSpec, MlpParameters) {
    let distance = distance(dataset.rate_hz);
    let input_idx = vec![0, distance, 2 * distance];
    let mut samples = samples(dataset, windows);
    let spread = |of: &dyn Fn(&Series, usize) -> f64| {
        let squares = samples.iter().map(|(series, it)| of(&dataset.series[*series], *it).powi(2));
        (squares.sum::<f64>() / samples.len().max(1) as f64).sqrt().max(1e-6)
    };
    let spec = MlpSpec {
        rate_hz: dataset.rate_hz,
        input_idx,
        input_order: InputOrder::PosVel,
        error_sign: ErrorSign::TargetMinusMeasured,
        pos_scale: 1.0 / spread(&|series, it| series.target[it] - series.position[it]),
        vel_scale: 1.0 / spread(&|series, it| series.velocity[it]),
        torque_scale: spread(&|series, it| series.torque[it]),
        activation: Activation::Softsign,
        dc_motor: None,
        effort_limit_nm: settings.model.effort_limit_nm,
    };
    let mut widths = vec![2 * spec.input_idx.len()];
    widths.extend([settings.baselines.mlp_hidden; HIDDEN_LAYERS]);
    widths.push(1);
    let mut network = Dense::new(widths, settings.seed);
    let epochs = settings.baselines.mlp_epochs;
    let total = epochs * samples.len().div_ceil(BATCH);
    let mut moments = Moments::default();
    let mut gradient = vec![0.0; network.parameters.len()];
    let mut random = Random::new(settings.seed, 0x317);
    for _ in 0..epochs {
        random.shuffle(&mut samples);
        for batch in samples.chunks(BATCH) {
            gradient.fill(0.0);
            for (series, sample) in batch {
                let series = &dataset.series[*series];
                let target = (series.torque[*sample] / spec.torque_scale) as f32;
                let error = network.forward(&inputs(&spec, series, *sample)) - target;
                network.backward(2.0 * error / batch.len() as f32, &mut gradient);
            }
            clip(&mut gradient, settings.training.gradient_clip);
            let rate = learning_rate(settings.training.learning_rate, moments.steps, 0, total);
            moments.step(&mut network.parameters, &gradient, rate, settings.training.weight_decay);
        }
    }
    let parameters = network.export();
    (spec, parameters)
}

/// Errors, then velocities, newest first.
fn inputs(spec: &MlpSpec, series: &Series, sample: usize) -> Vec<f32> {
    let at = |of: &dyn Fn(usize) -> f64| -> Vec<f32> {
        spec.input_idx.iter().map(|back| of(sample.saturating_sub(*back)) as f32).collect()
    };
    let mut inputs = at(&|it| (series.target[it] - series.position[it]) * spec.pos_scale);
    inputs.extend(at(&|it| series.velocity[it] * spec.vel_scale));
    inputs
}

/// Linear layers with softsign between them, one sample at a time.
struct Dense {
    widths: Vec<usize>,
    /// Of each layer: weight `[outputs, inputs]`, bias.
    parameters: Vec<f32>,
    /// What each layer was given, and what the last one gave.
    values: Vec<Vec<f32>>,
    /// Before softsign.
    sums: Vec<Vec<f32>>,
}

impl Dense {
    fn new(widths: Vec<usize>, seed: u64) -> Self {
        let mut random = Random::new(seed, 0x316);
        let mut parameters = Vec::new();
        for pair in widths.windows(2) {
            // As PyTorch begins.
            let bound = 1.0 / (pair[0] as f64).sqrt();
            let count = pair[1] * (pair[0] + 1);
            parameters.extend((0..count).map(|_| ((2.0 * random.unit() - 1.0) * bound) as f32));
        }
        let values = widths.iter().map(|width| vec![0.0; *width]).collect();
        let sums = widths[1..].iter().map(|width| vec![0.0; *width]).collect();
        Self { widths, parameters, values, sums }
    }

    fn forward(&mut self, inputs: &[f32]) -> f32 {
        self.values[0].copy_from_slice(inputs);
        let (mut begin, last) = (0, self.sums.len() - 1);
        for (layer, sums) in self.sums.iter_mut().enumerate() {
            let (inputs, outputs) = (self.widths[layer], self.widths[layer + 1]);
            let weight = &self.parameters[begin..][..inputs * outputs];
            let bias = &self.parameters[begin + inputs * outputs..][..outputs];
            let (before, after) = self.values.split_at_mut(layer + 1);
            let lines = weight.chunks_exact(inputs).zip(bias).zip(sums.iter_mut());
            for (((line, bias), sum), value) in lines.zip(&mut after[0]) {
                *sum = bias + line.iter().zip(&before[layer]).map(|(w, x)| w * x).sum::<f32>();
                *value = if layer == last { *sum } else { *sum / (1.0 + sum.abs()) };
            }
            begin += (inputs + 1) * outputs;
        }
        self.values[last + 1][0]
    }

    /// Adds the gradient of the last sample, whose output has this derivative.
    fn backward(&self, derivative: f32, gradient: &mut [f32]) {
        let mut above = vec![derivative];
        let mut end = self.parameters.len();
        for layer in (0..self.sums.len()).rev() {
            let (inputs, outputs) = (self.widths[layer], self.widths[layer + 1]);
            let begin = end - (inputs + 1) * outputs;
            let mut below = vec![0.0; inputs];
            for (output, derivative) in above.iter().enumerate() {
                let line = begin + output * inputs..begin + (output + 1) * inputs;
                let weights = self.parameters[line.clone()].iter().zip(&mut below);
                weights.for_each(|(weight, below)| *below += derivative * weight);
                let slopes = gradient[line].iter_mut().zip(&self.values[layer]);
                slopes.for_each(|(slope, value)| *slope += derivative * value);
                gradient[begin + inputs * outputs + output] += derivative;
            }
            if layer > 0 {
                for (below, sum) in below.iter_mut().zip(&self.sums[layer - 1]) {
                    *below /= (1.0 + sum.abs()).powi(2);
                }
            }
            (above, end) = (below, begin);
        }
    }

    fn export(&self) -> MlpParameters {
        let mut rest = self.parameters.as_slice();
        let mut take = |count: usize| {
            let (part, after) = rest.split_at(count);
            rest = after;
            part.to_vec()
        };
        let layers = self.widths.windows(2).map(|pair| DenseParameters {
            outputs: pair[1],
            weight: take(pair[0] * pair[1]),
            bias: take(pair[1]),
        });
        let layers = layers.collect();
        MlpParameters { inputs: self.widths[0], layers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope() {
        let mut network = Dense::new(vec![6, 5, 4, 1], 3);
        let inputs = [0.3, -0.2, 0.5, 1.0, -0.7, 0.1];
        let mut gradient = vec![0.0; network.parameters.len()];
        network.forward(&inputs);
        network.backward(1.0, &mut gradient);
        for (index, gradient) in gradient.iter().enumerate() {
            let at = network.parameters[index];
            network.parameters[index] = at + 1e-2;
            let above = network.forward(&inputs);
            network.parameters[index] = at - 1e-2;
            let slope = (above - network.forward(&inputs)) / 2e-2;
            network.parameters[index] = at;
            assert!((gradient - slope).abs() < 1e-3, "{index}");
        }
    }
}
