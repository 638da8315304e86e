//! Statistics of a training, applied exactly once.

use super::ParameterError;
use super::error::{finite, not_negative};
use serde::{Deserialize, Serialize};

/// `(x - mean) / (max(std, floor) + epsilon)`, and back for what the network gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean of each feature, in the order of the features.
    pub input_mean: Vec<f64>,
    /// Standard deviation of each feature.
    pub input_std: Vec<f64>,
    /// Mean of the torque, N·m.
    pub target_mean: f64,
    /// Standard deviation of the torque, N·m.
    pub target_std: f64,
    /// Added to every standard deviation: 1e-7 in the seed, 0 in Isaac Lab.
    pub epsilon: f64,
    /// Smallest standard deviation: 0 in the seed, 1e-8 in Isaac Lab.
    pub std_floor: f64,
}

impl Normalization {
    /// What the seed adds to standard deviations.
    pub const SEED_EPSILON: f64 = 1e-7;
    /// Smallest standard deviation of Isaac Lab.
    pub const ISAAC_LAB_FLOOR: f64 = 1e-8;

    /// Checks values, and lengths against the number of features.
    pub(super) fn check(&self, features: usize) -> Result<(), ParameterError> {
        let why = "one for each feature, in the order of the features";
        for (what, values) in [("input_mean", &self.input_mean), ("input_std", &self.input_std)] {
            let found = values.len();
            if found != features {
                return Err(ParameterError::Length { what, found, needed: features, why });
            }
        }
        self.input_mean.iter().try_for_each(|mean| finite("input_mean", *mean))?;
        finite("target_mean", self.target_mean)?;
        not_negative("epsilon", self.epsilon)?;
        not_negative("std_floor", self.std_floor)?;
        let stds = self.input_std.iter().map(|std| ("input_std", *std));
        for (what, std) in stds.chain([("target_std", self.target_std)]) {
            not_negative(what, std)?;
            let allowed = "such that std, floor and epsilon together are above 1e-12";
            if self.scale(std) < 1e-12 {
                return Err(ParameterError::Value { what, value: std, allowed });
            }
        }
        Ok(())
    }

    /// What a standard deviation divides by.
    fn scale(&self, std: f64) -> f64 {
        std.max(self.std_floor) + self.epsilon
    }

    /// Means and divisors of the inputs.
    pub(super) fn inputs(&self) -> Vec<(f64, f64)> {
        let stds = self.input_std.iter().map(|std| self.scale(*std));
        self.input_mean.iter().copied().zip(stds).collect()
    }

    /// What the network's output is multiplied by.
    pub(super) fn output_scale(&self) -> f64 {
        self.scale(self.target_std)
    }
}
