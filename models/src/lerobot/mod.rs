//! Reader of LeRobot checkpoints, both generations of the format.
//!
//! * LeRobot 0.4 and later writes `config.json`, `model.safetensors`, `policy_preprocessor.json`
//!   and `policy_postprocessor.json`; the last two name state files with the normalisation
//!   statistics.
//! * LeRobot up to 0.3 writes `config.json` and `model.safetensors`; the statistics are tensors
//!   such as `normalize_inputs.buffer_observation_state.mean` among the weights.
//!
//! LeRobot passes a feature through unchanged when its statistics are missing. Here that is an
//! error with a name: a policy that receives raw values acts, but not as it was trained.

mod act;
mod cnnmlp;
mod config;
mod diffusion;
mod error;
mod extension;
mod features;
mod json;
mod legacy;
mod picture;
mod preparation;
mod processors;
mod statistics;
mod vinn;

pub(crate) use act::{ActConfig, RESIDUAL_ATTENTION};
pub(crate) use cnnmlp::CnnMlpConfig;
pub use config::ConfigError;
pub(crate) use config::PolicyConfig;
pub(crate) use diffusion::DiffusionConfig;
pub use error::LoadError;
pub use extension::Colors;
pub(crate) use extension::Extension;
pub(crate) use features::{FeatureSpec, FeatureType, Features};
pub use json::JsonError;
pub use preparation::{Background, ImageWeights, Preparation, Rectangle};
pub use processors::ProcessorError;
pub(crate) use statistics::FeatureStatistics;
pub use statistics::{NormalizationMode, StatisticsError};
pub(crate) use vinn::VinnConfig;

use crate::tensor_file::TensorFile;
use std::collections::BTreeMap;
use std::path::Path;

/// Largest weights file that is read, in bytes. ACT with a ResNet-18 takes 207 MB.
const MAX_WEIGHTS: u64 = 2 << 30;

/// Generation of the checkpoint format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointFormat {
    /// LeRobot 0.4 and later: statistics in the state files of processors.
    Processors,
    /// LeRobot up to 0.3: statistics among the weights.
    StatisticsInWeights,
    /// Ours: everything in `config.json`.
    Bundle,
}

/// Everything a checkpoint folder says except the weights.
pub(crate) struct Checkpoint {
    /// Content of `config.json`.
    pub config: PolicyConfig,
    /// How its inputs and its action are normalised.
    pub normalization: Normalization,
}

/// Statistics of a checkpoint, and what else surrounds its network.
#[derive(Clone, Debug)]
pub(crate) struct Normalization {
    /// Generation of the format.
    pub format: CheckpointFormat,
    /// Statistics of every input that the network reads, by its name in the configuration.
    pub inputs: BTreeMap<String, FeatureStatistics>,
    /// Statistics of the action.
    pub action: FeatureStatistics,
    /// Renamed inputs: name in the configuration, name that the robot side delivers.
    pub sources: BTreeMap<String, String>,
    /// Things that are accepted but worth knowing.
    pub warnings: Vec<String>,
}

/// Opens the weights file of a checkpoint folder.
pub(crate) fn open_weights(folder: &Path) -> Result<TensorFile<'static>, LoadError> {
    Ok(TensorFile::open(&folder.join("model.safetensors"), MAX_WEIGHTS)?)
}

/// Reads configuration and statistics of a checkpoint folder. Takes legacy statistics out of
/// `weights`.
pub(crate) fn read_checkpoint(
    folder: &Path,
    weights: &mut TensorFile<'_>,
) -> Result<Checkpoint, LoadError> {
    let mut config = PolicyConfig::read(folder)?;
    let normalization = read_normalization(folder, config.take_warnings(), &config, weights)?;
    Ok(Checkpoint { config, normalization })
}

fn read_normalization(
    folder: &Path,
    mut warnings: Vec<String>,
    config: &PolicyConfig,
    weights: &mut TensorFile<'_>,
) -> Result<Normalization, LoadError> {
    if let PolicyConfig::Vinn(config) = config {
        return Ok(config.normalization(warnings));
    }
    let features = config.features();
    let preprocessor = folder.join("policy_preprocessor.json");
    let postprocessor = folder.join("policy_postprocessor.json");
    let legacy_tensor = weights.names().find(|name| legacy::is_statistic(name));
    let legacy_tensor = legacy_tensor.map(str::to_owned);
    match (preprocessor.exists() || postprocessor.exists(), legacy_tensor) {
        (true, Some(tensor)) => {
            Err(LoadError::BothFormats { folder: folder.to_path_buf(), tensor })
        }
        (true, None) => {
            let processors = processors::read(folder, features)?;
            warnings.extend(processors.warnings);
            Ok(Normalization {
                format: CheckpointFormat::Processors,
                inputs: processors.inputs,
                action: processors.action,
                sources: processors.sources,
                warnings,
            })
        }
        (false, None) if features.needs_statistics() => {
            Err(LoadError::NoStatistics { folder: folder.to_path_buf() })
        }
        (false, _) => {
            let (inputs, action) = legacy::read(features, weights)?;
            Ok(Normalization {
                format: CheckpointFormat::StatisticsInWeights,
                inputs,
                action,
                sources: BTreeMap::new(),
                warnings,
            })
        }
    }
}

/// For tests of other modules.
#[cfg(test)]
pub(crate) mod test_config {
    use super::{ConfigError, Extension, Features, PolicyConfig, json, processors};
    use crate::lerobot::json::Node;
    use crate::preprocessing::{Geometry, ImagePlan};
    use std::path::Path;

    /// What becomes of the images of a configuration that is in `file`.
    pub(crate) fn image_plans(
        file: &Path,
        config: &serde_json::Value,
        geometry: Geometry,
    ) -> Result<Vec<ImagePlan>, ConfigError> {
        let root = Node::root(file, config);
        let features = Features::read(&root, "a test", &mut Vec::new())?;
        Ok(Extension::read(&root, &features)?.plans(&features, geometry))
    }

    fn config(file: &Path, bytes: &[u8]) -> Result<PolicyConfig, ConfigError> {
        PolicyConfig::of(&Node::root(file, &json::parse(file, bytes)?))
    }

    /// Reads a configuration and says why not.
    pub(crate) fn read(file: &Path, bytes: &[u8]) -> Result<(), String> {
        config(file, bytes).map(drop).map_err(|error| error.to_string())
    }

    /// Reads the processors in `folder` for a configuration, and says why not.
    pub(crate) fn processors(folder: &Path, bytes: &[u8]) -> Result<(), String> {
        let config = config(folder, bytes).map_err(|error| error.to_string())?;
        let read = processors::read(folder, config.features());
        read.map(drop).map_err(|error| error.to_string())
    }
}
