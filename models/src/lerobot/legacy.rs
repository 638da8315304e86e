//! Statistics of LeRobot up to 0.3, which are tensors among the weights.
//!
//! Their names are feature names with dots replaced by underscores. That cannot be undone (a camera
//! may be called `top_cam`), so the configuration's names are flattened and looked up instead.

use super::features::{FeatureSpec, Features};
use super::statistics::{
    self, Epsilon, FeatureStatistics, NormalizationMode, Side, StatisticsError,
};
use crate::tensor_file::TensorFile;
use std::collections::BTreeMap;

/// Added to spreads; a constant in those versions.
const EPSILON: Epsilon = Epsilon::Added(1e-8);

/// Whether a tensor is a statistic.
pub(crate) fn is_statistic(tensor: &str) -> bool {
    ["normalize_inputs.", "normalize_targets.", "unnormalize_outputs."]
        .iter()
        .any(|prefix| tensor.starts_with(prefix))
}

/// Takes the statistics of all inputs that the network reads, and of the action.
pub(crate) fn read(
    config: &Features,
    weights: &mut TensorFile<'_>,
) -> Result<(BTreeMap<String, FeatureStatistics>, FeatureStatistics), StatisticsError> {
    check_names(config, weights)?;
    let mut inputs = BTreeMap::new();
    for feature in &config.inputs {
        let statistics = take(config, weights, "normalize_inputs", feature, Side::Input)?;
        inputs.insert(feature.name.clone(), statistics);
    }
    // Statistics of inputs that the network does not read are known, but nothing needs them.
    for name in &config.ignored_inputs {
        let prefix = format!("normalize_inputs.buffer_{}.", flatten(name));
        weights.expect(|tensor| tensor.starts_with(&prefix));
    }
    let action = take(config, weights, "unnormalize_outputs", &config.action, Side::Output)?;
    // Only training needs the targets; where they exist they are copies.
    if weights.names().any(|name| name.starts_with("normalize_targets.")) {
        let targets = take(config, weights, "normalize_targets", &config.action, Side::Output)?;
        let file = weights.file();
        statistics::check_equal(&config.action.name, (file, &targets), (file, &action))?;
    }
    Ok((inputs, action))
}

fn flatten(feature: &str) -> String {
    feature.replace('.', "_")
}

fn take(
    config: &Features,
    weights: &mut TensorFile<'_>,
    group: &str,
    feature: &FeatureSpec,
    side: Side,
) -> Result<FeatureStatistics, StatisticsError> {
    let mode = config.mode(feature.kind);
    if matches!(mode, NormalizationMode::Quantiles | NormalizationMode::Quantile10) {
        return Err(StatisticsError::Mode {
            file: config.file.clone(),
            feature: feature.name.clone(),
            mode: mode.name(),
        });
    }
    let prefix = format!("{group}.buffer_{}", flatten(&feature.name));
    statistics::take(weights, &prefix, feature, mode, side, EPSILON)
}

fn check_names(config: &Features, weights: &TensorFile<'_>) -> Result<(), StatisticsError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let names = config.inputs.iter().map(|feature| &feature.name).chain(&config.ignored_inputs);
    for name in names {
        let tensor = flatten(name);
        if let Some(first) = seen.insert(tensor.clone(), name) {
            return Err(StatisticsError::Ambiguous {
                file: weights.file().to_path_buf(),
                first: first.to_owned(),
                second: name.clone(),
                tensor,
            });
        }
    }
    Ok(())
}
