//! What a network is given and asked for: normalised features and targets of every sample.

use super::dataset::Dataset;
use super::physics::{self, Physics};
use super::series::Series;
use super::settings::{Model, Target};
use super::splits::Window;
use sinew_models::actuators::Normalization;

/// Features and targets as a network sees them, and statistics of the training windows.
pub struct Features {
    pub normalization: Normalization,
    /// Of each file: `[samples, 3]`.
    pub inputs: Vec<Vec<f32>>,
    /// Of each file: `[samples]`.
    pub targets: Vec<Vec<f32>>,
}

impl Features {
    /// What a network with these statistics sees.
    pub fn new(model: &Model, dataset: &Dataset, normalization: Normalization) -> Self {
        let of_each = |values: fn(&Self, &Model, &Series) -> Vec<f32>, features: &Self| {
            dataset.series.iter().map(|series| values(features, model, series)).collect()
        };
        let mut features = Self { normalization, inputs: Vec::new(), targets: Vec::new() };
        features.inputs = of_each(Self::inputs_of, &features);
        features.targets = of_each(Self::targets_of, &features);
        features
    }

    fn inputs_of(&self, _: &Model, series: &Series) -> Vec<f32> {
        let Normalization { input_mean, input_std, epsilon, .. } = &self.normalization;
        (0..series.len())
            .flat_map(|sample| {
                let features = series.features(sample).into_iter().enumerate();
                features.map(|(index, value)| {
                    ((value - input_mean[index]) / (input_std[index] + epsilon)) as f32
                })
            })
            .collect()
    }

    fn targets_of(&self, model: &Model, series: &Series) -> Vec<f32> {
        (0..series.len())
            .map(|sample| {
                let rest = series.torque[sample] - self.known(model, series, sample);
                (rest / self.scale()) as f32
            })
            .collect()
    }

    /// What a network's output is multiplied by, N·m.
    pub fn scale(&self) -> f64 {
        self.normalization.target_std + self.normalization.epsilon
    }

    /// What is added to a network's output. Of a residual, the mean cancels in training.
    pub fn known(&self, model: &Model, series: &Series, sample: usize) -> f64 {
        match model.target {
            Target::Full => self.normalization.target_mean,
            Target::Residual => {
                let (pd, spring) = Physics::of(model).parts(&physics::input(series, sample));
                pd + spring
            }
        }
    }
}

/// Inputs pooled over all windows and steps, targets at the last steps; deviations without bias, and 1
/// where they are below 1e-6.
pub fn statistics(dataset: &Dataset, windows: &[Window], steps: usize) -> Normalization {
    // How often each sample is in a window.
    let mut weights: Vec<Vec<f64>> =
        dataset.series.iter().map(|series| vec![0.0; series.len() + 1]).collect();
    let mut targets = Moments::default();
    for window in windows {
        weights[window.series][window.begin] += 1.0;
        weights[window.series][window.begin + steps] -= 1.0;
        targets.add(dataset.series[window.series].torque[window.begin + steps - 1], 1.0);
    }
    let mut inputs = [Moments::default(); 3];
    for (series, changes) in dataset.series.iter().zip(&weights) {
        let mut weight = 0.0;
        for (sample, change) in changes.iter().take(series.len()).enumerate() {
            weight += change;
            if weight > 0.0 {
                for (moments, value) in inputs.iter_mut().zip(series.features(sample)) {
                    moments.add(value, weight);
                }
            }
        }
    }
    Normalization {
        input_mean: inputs.iter().map(|moments| moments.mean).collect(),
        input_std: inputs.iter().map(Moments::deviation).collect(),
        target_mean: targets.mean,
        target_std: targets.deviation(),
        epsilon: Normalization::SEED_EPSILON,
        std_floor: 0.0,
    }
}

/// Mean and spread of weighted values (West 1979).
#[derive(Clone, Copy, Default)]
struct Moments {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64, weight: f64) {
        self.weight += weight;
        let distance = value - self.mean;
        self.mean += distance * weight / self.weight;
        self.squares += weight * distance * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        let deviation = (self.squares / (self.weight - 1.0).max(1.0)).sqrt();
        if deviation < 1e-6 { 1.0 } else { deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_weigh_samples_by_their_windows() {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        let series = Series {
            rate_hz: 100.0,
            position: values.clone(),
            target: vec![2.0; 6],
            velocity: values.iter().map(|value| -value).collect(),
            torque: values.iter().map(|value| value * value).collect(),
            ..Series::default()
        };
        let dataset = Dataset { series: vec![series], ..Dataset::default() };
        let windows: Vec<Window> = (0..4).map(|begin| Window { series: 0, begin }).collect();
        let statistics = statistics(&dataset, &windows, 3);
        // 0 1 2, 1 2 3, 2 3 4, 3 4 5.
        let pooled = [0.0, 1.0, 2.0, 1.0, 2.0, 3.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0_f64];
        let mean = pooled.iter().sum::<f64>() / 12.0;
        let spread = pooled.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 11.0;
        assert!((statistics.input_mean[0] - mean).abs() < 1e-12);
        assert!((statistics.input_std[0] - spread.sqrt()).abs() < 1e-12);
        assert_eq!((statistics.input_mean[1], statistics.input_std[1]), (2.0, 1.0));
        assert_eq!(statistics.target_mean, (4.0 + 9.0 + 16.0 + 25.0) / 4.0);
    }
}
