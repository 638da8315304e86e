//! `policy_preprocessor.json` and `policy_postprocessor.json` of LeRobot 0.4 and later.

use super::config::MAX_JSON;
use super::features::{self, FeatureSpec, FeatureType, Features, is_name, normalization_map};
use super::json::{self, JsonError, Node};
use super::statistics::{
    self, Epsilon, FeatureStatistics, NormalizationMode, Side, StatisticsError,
};
use crate::bounded_file::{self, ReadError};
use crate::quote::quote;
use crate::tensor_file::{TensorError, TensorFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest state file that is read, in bytes.
const MAX_STATE: u64 = 16 << 20;
/// LeRobot's default.
const DEFAULT_EPSILON: f64 = 1e-8;

/// Why a processor file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key is missing or holds something else.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The state file is not usable.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// Statistics in the state file are not usable.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A step is not known here, or at this side of the policy.
    #[error("{}: {key} is \"{step}\", known steps are {known}; this step would change what the policy sees or does, so the checkpoint cannot be run without it", file.display(), key = quote(key), step = quote(step))]
    UnknownStep {
        /// Path of the file.
        file: PathBuf,
        /// Path of the key.
        key: String,
        /// Name of the step.
        step: String,
        /// Names of known steps.
        known: &'static str,
    },
    /// The step that normalises is missing or occurs twice.
    #[error("{}: {count} steps are called {step}, needed exactly one; the file was edited", file.display())]
    StepCount {
        /// Path of the file.
        file: PathBuf,
        /// Name of the step.
        step: &'static str,
        /// How often it occurs.
        count: usize,
    },
    /// A feature that the policy needs is not normalised.
    #[error("{}: steps.{step}.config.features lacks {feature}, which config.json declares; LeRobot would pass it through unchanged: export the checkpoint again", file.display(), feature = quote(feature))]
    MissingFeature {
        /// Path of the file.
        file: PathBuf,
        /// Index of the step.
        step: usize,
        /// Name of the feature.
        feature: String,
    },
    /// Two files declare a feature differently.
    #[error("{}: {key} is {found}, but {} declares {needed}; the files come from different trainings", file.display(), other_file.display(), key = quote(key))]
    Disagreement {
        /// Path of the file.
        file: PathBuf,
        /// Path of the key.
        key: String,
        /// Type and shape, or normalisation, here.
        found: Box<str>,
        /// Type and shape, or normalisation, there.
        needed: Box<str>,
        /// Path of the other file.
        other_file: PathBuf,
    },
    /// Renaming leaves an input without a source, or gives it two.
    #[error("{}: rename_map leaves input {feature} with {count} sources, needed exactly one; correct the map", file.display(), feature = quote(feature))]
    Rename {
        /// Path of the file.
        file: PathBuf,
        /// Name of the input.
        feature: String,
        /// Number of names that would be renamed to it.
        count: usize,
    },
}

/// What both processor files say.
pub(crate) struct Processors {
    /// Statistics of every input that the network reads.
    pub inputs: BTreeMap<String, FeatureStatistics>,
    /// Statistics of the action.
    pub action: FeatureStatistics,
    /// Renamed inputs: name in the configuration, name that the robot side delivers.
    pub sources: BTreeMap<String, String>,
    /// Things that are accepted but worth knowing.
    pub warnings: Vec<String>,
}

/// A normalising step and its state.
struct Normalizer {
    file: PathBuf,
    step: usize,
    epsilon: f32,
    features: BTreeMap<String, FeatureSpec>,
    modes: BTreeMap<&'static str, NormalizationMode>,
    /// Observations that are normalised, if not all.
    only: Option<Vec<String>>,
    state_path: PathBuf,
    state: Vec<u8>,
}

/// Reads both files and their state.
pub(crate) fn read(folder: &Path, config: &Features) -> Result<Processors, ProcessorError> {
    let mut warnings = Vec::new();
    let mut renames = Vec::new();
    let file = folder.join("policy_preprocessor.json");
    let known =
        "rename_observations_processor, to_batch_processor, device_processor, normalizer_processor";
    let input = read_steps(&file, "normalizer_processor", known, &mut renames, &mut warnings)?;
    let file = folder.join("policy_postprocessor.json");
    let known = "unnormalizer_processor, device_processor";
    let output =
        read_steps(&file, "unnormalizer_processor", known, &mut Vec::new(), &mut warnings)?;

    let mut input_state = TensorFile::parse(&input.state_path, &input.state)?;
    let mut inputs = BTreeMap::new();
    for feature in &config.inputs {
        let mode = input.check(feature, &config.file)?;
        warn_about_mode(&mut warnings, config, feature, mode);
        let statistics = input.take(&mut input_state, feature, mode, Side::Input)?;
        inputs.insert(feature.name.clone(), statistics);
    }
    let mut output_state = TensorFile::parse(&output.state_path, &output.state)?;
    let mode = output.check(&config.action, &config.file)?;
    warn_about_mode(&mut warnings, config, &config.action, mode);
    let action = output.take(&mut output_state, &config.action, mode, Side::Output)?;

    // The input side also holds the action, for training. Where it does, both sides must agree.
    if input.features.contains_key(&config.action.name) {
        let other = input.check(&config.action, &config.file)?;
        if other != mode {
            return Err(input.disagreement(
                &config.action,
                other.name(),
                mode.name(),
                &output.file,
            ));
        }
        let other = input.take(&mut input_state, &config.action, mode, Side::Output)?;
        let ours = (input.state_path.as_path(), &other);
        statistics::check_equal("action", ours, (&output.state_path, &action))?;
    }
    for (name, feature) in &output.features {
        if let Some(other) = input.features.get(name)
            && other != feature
        {
            let [found, needed] = [feature, other].map(describe);
            return Err(output.disagreement(feature, &found, &needed, &input.file));
        }
    }
    let sources = sources(&input.file, config, &renames)?;
    Ok(Processors { inputs, action, sources, warnings })
}

fn describe(feature: &FeatureSpec) -> String {
    format!("{} {:?}", feature.kind.name(), feature.shape)
}

fn warn_about_mode(
    warnings: &mut Vec<String>,
    config: &Features,
    feature: &FeatureSpec,
    mode: NormalizationMode,
) {
    let declared = config.mode(feature.kind);
    if declared != mode {
        warnings.push(format!(
            "{}: normalised by {} as the processor files say, although config.json says {}",
            feature.name,
            mode.name(),
            declared.name()
        ));
    }
}

impl Normalizer {
    /// Checks that the step treats `feature` as `config.json` declares it, and says how.
    fn check(
        &self,
        feature: &FeatureSpec,
        config: &Path,
    ) -> Result<NormalizationMode, ProcessorError> {
        let Some(found) = self.features.get(&feature.name) else {
            return Err(ProcessorError::MissingFeature {
                file: self.file.clone(),
                step: self.step,
                feature: feature.name.clone(),
            });
        };
        if found != feature {
            return Err(self.disagreement(feature, &describe(found), &describe(feature), config));
        }
        let skipped = feature.kind != FeatureType::Action
            && self.only.as_ref().is_some_and(|only| !only.contains(&feature.name));
        let mode = self.modes.get(feature.kind.name()).copied().filter(|_| !skipped);
        Ok(mode.unwrap_or(NormalizationMode::Identity))
    }

    fn take(
        &self,
        state: &mut TensorFile<'_>,
        feature: &FeatureSpec,
        mode: NormalizationMode,
        side: Side,
    ) -> Result<FeatureStatistics, StatisticsError> {
        let epsilon = Epsilon::ReplacesZero(self.epsilon);
        statistics::take(state, &feature.name, feature, mode, side, epsilon)
    }

    fn disagreement(
        &self,
        feature: &FeatureSpec,
        found: &str,
        needed: &str,
        other_file: &Path,
    ) -> ProcessorError {
        ProcessorError::Disagreement {
            file: self.file.clone(),
            key: format!("steps.{}.config.features.{}", self.step, feature.name),
            found: found.into(),
            needed: needed.into(),
            other_file: other_file.to_path_buf(),
        }
    }
}

/// Reads the steps of one file, of which exactly one is called `normalizing`.
fn read_steps(
    file: &Path,
    normalizing: &'static str,
    known: &'static str,
    renames: &mut Vec<(String, String)>,
    warnings: &mut Vec<String>,
) -> Result<Normalizer, ProcessorError> {
    let value = json::parse(file, &bounded_file::read(file, MAX_JSON)?)?;
    let root = Node::root(file, &value);
    let mut normalizers = Vec::new();
    for (index, step) in root.required("steps", "a list of steps")?.elements()?.iter().enumerate() {
        let name_node = step.required("registry_name", "the name of a step")?;
        let name = name_node.string()?;
        let config = step.required("config", "an object")?;
        let known_keys: &[&str] = match name {
            _ if name == normalizing => {
                normalizers.push(read_normalizer(file, index, step, &config)?);
                &["eps", "features", "norm_map", "normalize_observation_keys"]
            }
            "rename_observations_processor" if normalizing == "normalizer_processor" => {
                for (from, to) in config.required("rename_map", "an object of names")?.members()? {
                    if !is_name(from) {
                        return Err(to.refuse(features::NAME).into());
                    }
                    renames.push((from.to_owned(), to.string()?.to_owned()));
                }
                &["rename_map"]
            }
            "to_batch_processor" if normalizing == "normalizer_processor" => &[],
            "device_processor" => {
                check_float_type(&config)?;
                &["device", "float_dtype"]
            }
            _ => {
                return Err(ProcessorError::UnknownStep {
                    file: file.to_path_buf(),
                    key: name_node.key().to_owned(),
                    step: name.to_owned(),
                    known,
                });
            }
        };
        for (key, node) in config.members()? {
            if !known_keys.contains(&key) {
                let file_name = file.file_name().unwrap_or_default().display();
                warnings.push(format!("{file_name}: unknown key {} is ignored", quote(node.key())));
            }
        }
    }
    let count = normalizers.len();
    match normalizers.pop() {
        Some(normalizer) if count == 1 => Ok(normalizer),
        _ => {
            let file = file.to_path_buf();
            Err(ProcessorError::StepCount { file, step: normalizing, count })
        }
    }
}

/// A policy that was exported in half precision computes with rounded inputs; this one does not.
fn check_float_type(config: &Node<'_>) -> Result<(), JsonError> {
    match config.optional("float_dtype")? {
        Some(node) if node.string()? != "float32" => Err(node.refuse("null or float32")),
        _ => Ok(()),
    }
}

fn read_normalizer(
    file: &Path,
    step_index: usize,
    step: &Node<'_>,
    config: &Node<'_>,
) -> Result<Normalizer, ProcessorError> {
    let epsilon = match config.optional("eps")? {
        Some(node) => {
            let epsilon = node.number()?;
            if !(0.0..1.0).contains(&epsilon) {
                return Err(node.refuse("a number from 0 to below 1").into());
            }
            epsilon
        }
        None => DEFAULT_EPSILON,
    };
    let mut features = BTreeMap::new();
    for (name, node) in config.required("features", "an object of features")?.members()? {
        features.insert(name.to_owned(), FeatureSpec::read(name, &node)?);
    }
    let only = match config.optional("normalize_observation_keys")? {
        Some(node) => {
            let names: Result<Vec<String>, JsonError> =
                node.elements()?.iter().map(|name| Ok(name.string()?.to_owned())).collect();
            Some(names?)
        }
        None => None,
    };
    let state_node = step.required("state_file", "the name of a safetensors file")?;
    let state_path = features::beside(&state_node, "the name of a file in the same folder")?;
    Ok(Normalizer {
        file: file.to_path_buf(),
        step: step_index,
        epsilon: epsilon as f32,
        features,
        modes: normalization_map(&config.required("norm_map", "an object of modes")?)?,
        only,
        state: bounded_file::read(&state_path, MAX_STATE)?,
        state_path,
    })
}

/// Where each renamed input comes from. `renames` are (from, to) as in `rename_map`.
fn sources(
    file: &Path,
    config: &Features,
    renames: &[(String, String)],
) -> Result<BTreeMap<String, String>, ProcessorError> {
    let mut sources = BTreeMap::new();
    for feature in &config.inputs {
        let renamed_to_it = renames.iter().filter(|(_, to)| *to == feature.name);
        let candidates: Vec<&String> = renamed_to_it.map(|(from, _)| from).collect();
        let renamed_away = renames.iter().any(|(from, _)| *from == feature.name);
        match (candidates.as_slice(), renamed_away) {
            ([], false) => {}
            ([from], _) => {
                sources.insert(feature.name.clone(), (*from).clone());
            }
            (candidates, _) => {
                return Err(ProcessorError::Rename {
                    file: file.to_path_buf(),
                    feature: feature.name.clone(),
                    count: candidates.len(),
                });
            }
        }
    }
    Ok(sources)
}
