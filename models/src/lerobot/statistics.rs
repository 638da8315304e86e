//! Normalisation modes and the statistics they need.

use super::features::FeatureSpec;
use crate::layers::feature_scaling::FeatureScaling;
use crate::quote::quote;
use crate::tensor_file::{TensorError, TensorFile};
use std::path::{Path, PathBuf};

/// How a feature is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NormalizationMode {
    /// Unchanged.
    Identity,
    /// Mean to 0, standard deviation to 1.
    MeanStd,
    /// Minimum to -1, maximum to 1.
    MinMax,
    /// First percentile to -1, 99th to 1.
    Quantiles,
    /// Tenth percentile to -1, 90th to 1.
    Quantile10,
}

impl NormalizationMode {
    /// All names that LeRobot uses.
    pub(crate) const NAMES: &'static str = "IDENTITY, MEAN_STD, MIN_MAX, QUANTILES or QUANTILE10";

    /// The mode of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "IDENTITY" => Self::Identity,
            "MEAN_STD" => Self::MeanStd,
            "MIN_MAX" => Self::MinMax,
            "QUANTILES" => Self::Quantiles,
            "QUANTILE10" => Self::Quantile10,
            _ => return None,
        })
    }

    /// LeRobot's name of the mode.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "IDENTITY",
            Self::MeanStd => "MEAN_STD",
            Self::MinMax => "MIN_MAX",
            Self::Quantiles => "QUANTILES",
            Self::Quantile10 => "QUANTILE10",
        }
    }

    /// Names of the two statistics that the mode needs.
    pub(crate) fn statistics(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Identity => None,
            Self::MeanStd => Some(["mean", "std"]),
            Self::MinMax => Some(["min", "max"]),
            Self::Quantiles => Some(["q01", "q99"]),
            Self::Quantile10 => Some(["q10", "q90"]),
        }
    }
}

/// Why statistics were refused.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// A statistic is not there.
    #[error("{}: statistic {tensor} is missing, feature {feature} is normalised by {mode} and needs it; train with a dataset that has it, or copy the complete folder", file.display(), feature = quote(feature), tensor = quote(tensor))]
    Missing {
        /// Path of the file.
        file: PathBuf,
        /// Name of the feature.
        feature: String,
        /// Name of the tensor.
        tensor: String,
        /// How the feature is normalised.
        mode: &'static str,
    },
    /// A statistic cannot be used.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The spread of an element is not positive.
    #[error("{}: {tensor}[{index}] is {value}, feature {feature} needs {needed}; an element that never moved in the dataset cannot be normalised: leave it out or train with IDENTITY", file.display(), feature = quote(feature), tensor = quote(tensor))]
    Spread {
        /// Path of the file.
        file: PathBuf,
        /// Name of the feature.
        feature: String,
        /// Name of the tensor.
        tensor: String,
        /// Position in the feature.
        index: usize,
        /// Value found.
        value: f32,
        /// What is allowed.
        needed: String,
    },
    /// Input and output sides hold different statistics for the same feature.
    #[error("{}: {tensor}[{index}] is {value}, but {} holds {other_value}; the files come from different trainings", file.display(), other_file.display(), tensor = quote(tensor))]
    Disagreement {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Position in the feature.
        index: usize,
        /// Value found.
        value: f32,
        /// Path of the other file.
        other_file: PathBuf,
        /// Value in the other file.
        other_value: f32,
    },
    /// A mode that this generation of the format does not have.
    #[error("{}: feature {feature} is normalised by {mode}, which LeRobot up to 0.3 does not have; needed IDENTITY, MEAN_STD or MIN_MAX, or processor files", file.display(), feature = quote(feature))]
    Mode {
        /// Path of the file.
        file: PathBuf,
        /// Name of the feature.
        feature: String,
        /// How the feature is normalised.
        mode: &'static str,
    },
    /// Two features have the same name once their dots are underscores.
    #[error("{}: features {first} and {second} both have statistics called {tensor}; save the checkpoint with LeRobot 0.4 or later", file.display(), first = quote(first), second = quote(second), tensor = quote(tensor))]
    Ambiguous {
        /// Path of the file.
        file: PathBuf,
        /// One feature.
        first: String,
        /// The other feature.
        second: String,
        /// Shared name.
        tensor: String,
    },
}

/// Which side of the network a feature is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Normalised before the network; divided by its spread.
    Input,
    /// Un-normalised after the network; multiplied by its spread.
    Output,
}

/// Statistics of one feature in the checkpoint's own units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureStatistics {
    /// How the feature is normalised.
    pub mode: NormalizationMode,
    /// Location and spread (mean and std, or low and high), one value per element or channel.
    /// Absent for [`NormalizationMode::Identity`].
    pub values: Option<[Vec<f32>; 2]>,
    /// Scaling built from them.
    pub scaling: FeatureScaling,
}

/// How ranges are divided by their width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Epsilon {
    /// Processors: it replaces a width of zero.
    ReplacesZero(f32),
    /// LeRobot up to 0.3: it is always added.
    Added(f32),
}

impl Epsilon {
    fn value(self) -> f32 {
        match self {
            Self::ReplacesZero(epsilon) | Self::Added(epsilon) => epsilon,
        }
    }

    fn divisor(self, width: f32) -> f32 {
        match self {
            Self::ReplacesZero(epsilon) if width == 0.0 => epsilon,
            Self::ReplacesZero(_) => width,
            Self::Added(epsilon) => width + epsilon,
        }
    }
}

/// Takes the statistics of `feature` from `tensors`, where they are called `prefix` plus `.mean`
/// and so on.
pub(crate) fn take(
    tensors: &mut TensorFile<'_>,
    prefix: &str,
    feature: &FeatureSpec,
    mode: NormalizationMode,
    side: Side,
    epsilon: Epsilon,
) -> Result<FeatureStatistics, StatisticsError> {
    let Some(names) = mode.statistics() else {
        return Ok(FeatureStatistics { mode, values: None, scaling: FeatureScaling::Identity });
    };
    let [location_name, spread_name] = names.map(|name| format!("{prefix}.{name}"));
    let location = take_one(tensors, &location_name, feature, mode)?;
    let spread = take_one(tensors, &spread_name, feature, mode)?;
    let file = tensors.file().to_path_buf();
    let refuse = |index: usize, needed: String| StatisticsError::Spread {
        file: file.clone(),
        feature: feature.name.clone(),
        tensor: spread_name.clone(),
        index,
        value: spread[index],
        needed,
    };
    let scaling = if mode == NormalizationMode::MeanStd {
        // As below: an action that never varied is its mean.
        let usable = |std: f32| if side == Side::Input { std > 0.0 } else { std >= 0.0 };
        if let Some(index) = spread.iter().position(|std| !usable(*std)) {
            let needed = if side == Side::Input { "a positive number" } else { "0 or more" };
            return Err(refuse(index, needed.to_owned()));
        }
        let (mean, std) = (location.clone(), spread.clone());
        FeatureScaling::MeanStd { mean, std, epsilon: epsilon.value() }
    } else {
        for (index, (low, high)) in location.iter().zip(&spread).enumerate() {
            // An action that is always the same is well defined; a measurement divided by a width
            // of zero is not.
            let usable = if side == Side::Input { high > low } else { high >= low };
            if !usable || !(high - low).is_finite() {
                return Err(refuse(
                    index,
                    format!("a number above {location_name}, which is {low}"),
                ));
            }
        }
        let divisor = location.iter().zip(&spread).map(|(low, high)| epsilon.divisor(high - low));
        let divisor = divisor.collect();
        FeatureScaling::Range { low: location.clone(), high: spread.clone(), divisor }
    };
    Ok(FeatureStatistics { mode, values: Some([location, spread]), scaling })
}

fn take_one(
    tensors: &mut TensorFile<'_>,
    name: &str,
    feature: &FeatureSpec,
    mode: NormalizationMode,
) -> Result<Vec<f32>, StatisticsError> {
    let count = feature.statistics_len();
    let shape = tensors.shape(name).ok_or_else(|| StatisticsError::Missing {
        file: tensors.file().to_path_buf(),
        feature: feature.name.clone(),
        tensor: name.to_owned(),
        mode: mode.name(),
    })?;
    let is_image = feature.shape.len() == 3;
    let fits = shape == [count] || (is_image && shape == [count, 1, 1]);
    if !fits {
        let needed =
            if is_image { format!("[{count}, 1, 1] or [{count}]") } else { format!("[{count}]") };
        return Err(tensors.misshaped(name, needed).into());
    }
    Ok(tensors.take_any_shape(name)?)
}

/// Refuses two statistics of one feature that should be copies of each other but are not.
pub(crate) fn check_equal(
    feature: &str,
    (file, ours): (&Path, &FeatureStatistics),
    (other_file, theirs): (&Path, &FeatureStatistics),
) -> Result<(), StatisticsError> {
    let (Some(ours_values), Some(theirs_values), Some(names)) =
        (&ours.values, &theirs.values, ours.mode.statistics())
    else {
        return Ok(());
    };
    for ((name, ours), theirs) in names.iter().zip(ours_values).zip(theirs_values) {
        let pairs = ours.iter().zip(theirs).enumerate();
        if let Some((index, (value, other_value))) = pairs.into_iter().find(|(_, (a, b))| a != b) {
            return Err(StatisticsError::Disagreement {
                file: file.to_path_buf(),
                tensor: format!("{feature}.{name}"),
                index,
                value: *value,
                other_file: other_file.to_path_buf(),
                other_value: *other_value,
            });
        }
    }
    Ok(())
}
