//! The seed's two files beside a network: statistics of the training, and a summary of its settings.

use super::tensors::read_file;
use super::{ActuatorFileError, Feature, GruParameters, GruSpec, Output, SpringConvention};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the statistics.
pub(super) const STATISTICS: &str = "normalization_stats.json";
/// Name of the summary.
pub(super) const SUMMARY: &str = "training_config_summary.json";
/// Largest JSON file, in bytes.
pub(super) const MAX_JSON: u64 = 1 << 20;

/// `normalization_stats.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statistics {
    pub input_mean: Vec<f64>,
    pub input_std: Vec<f64>,
    pub target_mean: Vec<f64>,
    pub target_std: Vec<f64>,
    /// What the columns are, in order: this project's, the seed does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_names: Vec<String>,
}

/// `training_config_summary.json`. The last two keys are this project's; the seed has no place for what
/// they say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Summary {
    pub use_residual: bool,
    pub k_spring: f64,
    pub theta0: f64,
    pub kp_phys: f64,
    pub kd_phys: f64,
    pub pd_stall_torque_phys_training: Option<f64>,
    pub pd_no_load_speed_phys_training: Option<f64>,
    pub gru_num_layers: usize,
    pub gru_hidden_dim: usize,
    #[serde(default, alias = "gru_sequence_length")]
    pub gru_sequence_length_timesteps: Option<serde_json::Number>,
    pub input_dim: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling_rate_hz: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spring_convention: Option<SpringConvention>,
}

/// Reads a JSON file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    file: &Path,
    remedy: &'static str,
) -> Result<T, ActuatorFileError> {
    parse_json(file, &read_file(file, MAX_JSON, remedy)?)
}

/// Reads the content of a JSON file.
pub(super) fn parse_json<T: serde::de::DeserializeOwned>(
    file: &Path,
    bytes: &[u8],
) -> Result<T, ActuatorFileError> {
    serde_json::from_slice(bytes)
        .map_err(|source| ActuatorFileError::Json { file: file.to_path_buf(), source })
}

impl Statistics {
    pub(super) fn of(spec: &GruSpec) -> Self {
        let normalization = &spec.normalization;
        Self {
            input_mean: normalization.input_mean.clone(),
            input_std: normalization.input_std.clone(),
            target_mean: vec![normalization.target_mean],
            target_std: vec![normalization.target_std],
            feature_names: spec.features.iter().map(|it| it.name().to_owned()).collect(),
        }
    }

    /// Refuses lengths that do not fit the features, standard deviations that are none, and more than
    /// one torque.
    pub(super) fn check(&self, file: &Path, features: usize) -> Result<(), ActuatorFileError> {
        for (key, values, needed, why) in [
            ("input_mean", &self.input_mean, features, "one for each feature of the network"),
            ("input_std", &self.input_std, features, "one for each feature of the network"),
            ("target_mean", &self.target_mean, 1, "that of the torque"),
            ("target_std", &self.target_std, 1, "that of the torque"),
        ] {
            if values.len() != needed {
                return Err(ActuatorFileError::Key {
                    file: file.to_path_buf(),
                    key,
                    found: format!("a list of {}", values.len()),
                    needed: format!("{needed} numbers: {why}"),
                });
            }
            let spread = key.ends_with("_std");
            if let Some(value) = values.iter().find(|value| spread && **value <= 0.0) {
                return Err(ActuatorFileError::Key {
                    file: file.to_path_buf(),
                    key,
                    found: value.to_string(),
                    needed: "numbers above 0".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Refuses statistics of other columns, or of these in another order.
    pub(super) fn check_order(
        &self,
        file: &Path,
        features: &[Feature],
    ) -> Result<(), ActuatorFileError> {
        let needed: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
        if self.feature_names.is_empty() || self.feature_names == needed {
            return Ok(());
        }
        Err(ActuatorFileError::Key {
            file: file.to_path_buf(),
            key: "feature_names",
            found: self.feature_names.join(", "),
            needed: format!("{}: the network's columns in their order", needed.join(", ")),
        })
    }

    /// Refuses tensors of the same names that say something else.
    pub(super) fn compare(
        &self,
        file: &Path,
        tensors: &Path,
        name: &str,
        values: &[f32],
    ) -> Result<(), ActuatorFileError> {
        let ours = match name {
            "input_mean" => &self.input_mean,
            "input_std" => &self.input_std,
            "target_mean" => &self.target_mean,
            _ => &self.target_std,
        };
        let near = |a: f64, b: f32| (a - f64::from(b)).abs() <= 1e-6 * a.abs().max(1e-3);
        if ours.len() == values.len() && ours.iter().zip(values).all(|(a, b)| near(*a, *b)) {
            return Ok(());
        }
        Err(ActuatorFileError::Contradiction {
            file: tensors.to_path_buf(),
            key: name.to_owned(),
            found: format!("{values:?}"),
            other: file.into(),
            there: format!("{ours:?}"),
        })
    }
}

impl Summary {
    pub(super) fn of(spec: &GruSpec, parameters: &GruParameters) -> Self {
        let curve = spec.torque_speed_curve;
        Self {
            use_residual: spec.output != Output::Full,
            k_spring: spec.spring.map_or(0.0, |spring| spring.stiffness_nm_per_rad),
            theta0: spec.spring.map_or(0.0, |spring| spring.rest_position_rad),
            kp_phys: spec.pd.map_or(0.0, |pd| pd.stiffness_nm_per_rad),
            kd_phys: spec.pd.map_or(0.0, |pd| pd.damping_nm_s_per_rad),
            pd_stall_torque_phys_training: curve.map(|curve| curve.stall_torque_nm),
            pd_no_load_speed_phys_training: curve.map(|curve| curve.no_load_speed_rad_s),
            gru_num_layers: parameters.layers.len(),
            gru_hidden_dim: parameters.hidden,
            gru_sequence_length_timesteps: None,
            input_dim: parameters.inputs,
            sampling_rate_hz: Some(spec.rate_hz),
            spring_convention: spec.spring.map(|spring| spring.convention),
        }
    }

    /// Refuses another network than the summary's.
    pub(super) fn check(
        &self,
        file: &Path,
        tensors: &Path,
        parameters: &GruParameters,
    ) -> Result<(), ActuatorFileError> {
        for (key, said, found) in [
            ("gru_num_layers", self.gru_num_layers, parameters.layers.len()),
            ("gru_hidden_dim", self.gru_hidden_dim, parameters.hidden),
            ("input_dim", self.input_dim, parameters.inputs),
        ] {
            if said != found {
                return Err(ActuatorFileError::Contradiction {
                    file: file.to_path_buf(),
                    key: key.to_owned(),
                    found: said.to_string(),
                    other: tensors.into(),
                    there: found.to_string(),
                });
            }
        }
        Ok(())
    }
}
