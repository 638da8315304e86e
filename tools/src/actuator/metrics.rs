//! How far predictions are from what was measured.

use serde::{Deserialize, Serialize};

/// Of torque in N·m.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub samples: usize,
    pub mse: f64,
    pub rmse: f64,
    pub mae: f64,
    /// 1 less the share of the variance that is left; 0 where nothing varies.
    pub r2: f64,
}

impl Metrics {
    pub fn of(predicted: &[f64], measured: &[f64]) -> Self {
        let samples = predicted.len().min(measured.len());
        if samples == 0 {
            return Self::default();
        }
        let count = samples as f64;
        let mean = measured.iter().sum::<f64>() / count;
        let (mut squares, mut sizes, mut spread) = (0.0, 0.0, 0.0);
        for (predicted, measured) in predicted.iter().zip(measured) {
            squares += (predicted - measured).powi(2);
            sizes += (predicted - measured).abs();
            spread += (measured - mean).powi(2);
        }
        let r2 = if spread > 0.0 { 1.0 - squares / spread } else { 0.0 };
        let mse = squares / count;
        Self { samples, mse, rmse: mse.sqrt(), mae: sizes / count, r2 }
    }

    /// The mean of each, as `avg_<metric>` of a leave-one-out validation.
    pub fn average(all: &[Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / count;
        Self {
            samples: all.iter().map(|it| it.samples).sum(),
            mse: mean(|it| it.mse),
            rmse: mean(|it| it.rmse),
            mae: mean(|it| it.mae),
            r2: mean(|it| it.r2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_those_of_their_definitions() {
        let metrics = Metrics::of(&[1.0, 2.0, 3.0, 6.0], &[1.0, 2.0, 4.0, 5.0]);
        assert_eq!((metrics.mse, metrics.mae), (0.5, 0.5));
        assert!((metrics.r2 - (1.0 - 2.0 / 10.0)).abs() < 1e-12);
        assert_eq!(Metrics::of(&[], &[]), Metrics::default());
    }
}
