//! The project's own folder of an actuator model: `actuator.json`, `weights.safetensors`, and the
//! seed's two files.

use super::files::{self, MAX_JSON, STATISTICS, SUMMARY, Statistics, Summary, read_json};
use super::tensors::{MAX_FILE, Source, Tensors, read_file, sha256};
use super::{
    ActuatorFileError, ActuatorModel, GruActuator, GruParameters, GruSpec, MlpActuator,
    MlpParameters, MlpSpec, ParameterError,
};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the description.
pub(super) const DESCRIPTION: &str = "actuator.json";
/// Name of the weights.
pub(super) const WEIGHTS: &str = "weights.safetensors";
/// What the description calls itself.
const FORMAT: &str = "sinew-actuator";
/// Version that is written and read.
const VERSION: u64 = 1;
/// What a folder is.
const REMEDY: &str = "a folder of an actuator holds actuator.json, weights.safetensors, normalization_stats.json and training_config_summary.json: copy all of them";

/// A network, and what is needed to run it.
#[derive(Clone, Debug, PartialEq)]
pub enum Network {
    /// Recurrent.
    Gru(GruSpec, GruParameters),
    /// Dense.
    Mlp(MlpSpec, MlpParameters),
}

/// An actuator model as it is kept in a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The network.
    pub network: Network,
    /// Where it comes from: program and version, hashes of data, date, whatever a reader may ask.
    pub provenance: BTreeMap<String, String>,
}

/// Sizes of the network, for people; they must be those of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    layers: usize,
    hidden: usize,
}

impl Bundle {
    /// Key of the provenance: samples of a window of the training.
    pub const WINDOW_STEPS: &str = "window_steps";

    /// A model of as many joints that is stepped at `caller_rate_hz`.
    ///
    /// # Errors
    /// [`ParameterError`] as [`GruActuator::new`] and [`MlpActuator::new`] have it.
    pub fn model(
        &self,
        joints: usize,
        caller_rate_hz: f64,
    ) -> Result<Box<dyn ActuatorModel>, ParameterError> {
        Ok(match &self.network {
            Network::Gru(spec, parameters) => {
                Box::new(GruActuator::new(spec, parameters, joints, caller_rate_hz)?)
            }
            Network::Mlp(spec, parameters) => {
                Box::new(MlpActuator::new(spec, parameters, joints, caller_rate_hz)?)
            }
        })
    }

    /// Names of all files of a folder; a dense network has no more than the first two.
    pub const FILES: [&str; 4] = [DESCRIPTION, WEIGHTS, STATISTICS, SUMMARY];

    /// SHA-256 of a folder's description, in hexadecimal. The description names that of the weights:
    /// two folders with the same one are the same model.
    ///
    /// # Errors
    /// [`ActuatorFileError`] when there is no such file.
    pub fn fingerprint(folder: &Path) -> Result<String, ActuatorFileError> {
        read_file(&folder.join(DESCRIPTION), MAX_JSON, REMEDY).map(|bytes| sha256(&bytes))
    }

    /// Rate of the training.
    #[must_use]
    pub fn rate_hz(&self) -> f64 {
        match &self.network {
            Network::Gru(spec, _) => spec.rate_hz,
            Network::Mlp(spec, _) => spec.rate_hz,
        }
    }

    /// Checks that there is a model in it.
    ///
    /// # Errors
    /// [`ParameterError`] naming the number or tensor.
    pub fn check(&self) -> Result<(), ParameterError> {
        self.model(1, self.rate_hz()).map(drop)
    }

    fn sizes(&self) -> Sizes {
        match &self.network {
            Network::Gru(_, parameters) => {
                Sizes { layers: parameters.layers.len(), hidden: parameters.hidden }
            }
            Network::Mlp(_, parameters) => Sizes {
                layers: parameters.layers.len(),
                hidden: parameters.layers.first().map_or(0, |layer| layer.outputs),
            },
        }
    }

    /// Writes the folder, which must be new or empty; `actuator.json` comes last. Returns the SHA-256
    /// of the weights.
    ///
    /// # Errors
    /// [`ActuatorFileError`] for a model that is none, for a folder that holds something, and for what
    /// the operating system refuses.
    pub fn write(&self, folder: &Path) -> Result<String, ActuatorFileError> {
        let description = folder.join(DESCRIPTION);
        self.check().map_err(ActuatorFileError::of(&description))?;
        let write = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ActuatorFileError::Write { path, source }
        };
        if folder.is_dir() && folder.read_dir().map_err(write(folder))?.next().is_some() {
            return Err(ActuatorFileError::Exists { folder: folder.to_path_buf() });
        }
        std::fs::create_dir_all(folder).map_err(write(folder))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|source| ActuatorFileError::Write { path, source })
        };
        let weights = self.weights().map_err(write(&folder.join(WEIGHTS)))?;
        let sha256 = sha256(&weights);
        put(WEIGHTS, &weights)?;
        self.write_seed_files(folder)?;
        put(DESCRIPTION, pretty(&self.description(&sha256)).as_bytes())?;
        Ok(sha256)
    }

    /// Writes the seed's two files into a folder: statistics, and the summary of a training. A dense
    /// network has neither.
    ///
    /// # Errors
    /// [`ActuatorFileError::Write`] for what the operating system refuses.
    pub fn write_seed_files(&self, folder: &Path) -> Result<(), ActuatorFileError> {
        let Network::Gru(spec, parameters) = &self.network else { return Ok(()) };
        let window = self.provenance.get(Self::WINDOW_STEPS);
        let window = window.and_then(|text| text.parse::<u64>().ok()).map(Into::into);
        let summary =
            Summary { gru_sequence_length_timesteps: window, ..Summary::of(spec, parameters) };
        for (name, text) in
            [(STATISTICS, pretty(&Statistics::of(spec))), (SUMMARY, pretty(&summary))]
        {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .map_err(|source| ActuatorFileError::Write { path, source })?;
        }
        Ok(())
    }

    /// The weights as a safetensors file.
    fn weights(&self) -> Result<Vec<u8>, std::io::Error> {
        let tensors = match &self.network {
            Network::Gru(_, parameters) => parameters.tensors(),
            Network::Mlp(_, parameters) => parameters.tensors(),
        };
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, shape, values)| {
                (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
            })
            .collect();
        let mut views = Vec::with_capacity(bytes.len());
        for (name, shape, data) in &bytes {
            let view = TensorView::new(Dtype::F32, shape.clone(), data);
            views.push((name, view.map_err(std::io::Error::other)?));
        }
        safetensors::serialize(views, None).map_err(std::io::Error::other)
    }

    fn description(&self, sha256: &str) -> Value {
        let (kind, spec) = match &self.network {
            Network::Gru(spec, _) => ("gru", json!(spec)),
            Network::Mlp(spec, _) => ("mlp", json!(spec)),
        };
        let mut description = Map::new();
        description.insert("format".to_owned(), json!(FORMAT));
        description.insert("version".to_owned(), json!(VERSION));
        description.insert("kind".to_owned(), json!(kind));
        if let Value::Object(spec) = spec {
            description.extend(spec);
        }
        description.insert("network".to_owned(), json!(self.sizes()));
        description.insert("provenance".to_owned(), json!(self.provenance));
        description.insert("sha256".to_owned(), json!(sha256));
        Value::Object(description)
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// [`ActuatorFileError`], naming file and key or tensor, when a file is missing, when the weights are
    /// not those that the description was written for, when a key is unknown or missing, when numbers do
    /// not fit each other or are no model, and when tensors are left over.
    pub fn read(folder: &Path) -> Result<Self, ActuatorFileError> {
        let file = folder.join(DESCRIPTION);
        let bytes = read_file(&file, MAX_JSON, REMEDY)?;
        let weights_file = folder.join(WEIGHTS);
        let weights = read_file(&weights_file, MAX_FILE, REMEDY)?;
        let bundle = Self::parse(&file, &bytes, &weights_file, &weights)?;
        if let Network::Gru(spec, parameters) = &bundle.network {
            let statistics_file = folder.join(STATISTICS);
            let statistics: Statistics = read_json(&statistics_file, REMEDY)?;
            let mut needed = Statistics::of(spec);
            if statistics.feature_names.is_empty() {
                needed.feature_names.clear();
            }
            contradict(&statistics_file, &file, &statistics, &needed)?;
            let summary_file = folder.join(SUMMARY);
            let mut summary: Summary = read_json(&summary_file, REMEDY)?;
            summary.gru_sequence_length_timesteps = None;
            contradict(&summary_file, &file, &summary, &Summary::of(spec, parameters))?;
        }
        Ok(bundle)
    }

    /// Reads the content of `actuator.json` and of the weights.
    pub(super) fn parse(
        file: &Path,
        bytes: &[u8],
        weights_file: &Path,
        weights: &[u8],
    ) -> Result<Self, ActuatorFileError> {
        let mut keys: Map<String, Value> = files::parse_json(file, bytes)?;
        let format: String = take(file, &mut keys, "format")?;
        let version: u64 = take(file, &mut keys, "version")?;
        if (format.as_str(), version) != (FORMAT, VERSION) {
            let found = format!("is {format} of version {version}");
            let remedy = "needed is sinew-actuator of version 1: export again, or update sinew";
            return Err(ActuatorFileError::Content { file: file.to_path_buf(), found, remedy });
        }
        let kind: String = take(file, &mut keys, "kind")?;
        let sizes: Sizes = take(file, &mut keys, "network")?;
        let provenance = take(file, &mut keys, "provenance")?;
        let needed: String = take(file, &mut keys, "sha256")?;
        let found = sha256(weights);
        if found != needed {
            let (file, description) = (weights_file.to_path_buf(), file.to_path_buf());
            return Err(ActuatorFileError::Hash { file, description, found, needed });
        }
        let mut tensors = parse_weights(weights_file, weights)?;
        let network = match kind.as_str() {
            "gru" => {
                let spec: GruSpec = value(file, Value::Object(keys))?;
                Network::Gru(spec, tensors.take_gru()?.0)
            }
            "mlp" => {
                let spec: MlpSpec = value(file, Value::Object(keys))?;
                Network::Mlp(spec, tensors.take_mlp()?)
            }
            _ => {
                let file = file.to_path_buf();
                let needed = "gru or mlp".to_owned();
                return Err(ActuatorFileError::Key { file, key: "kind", found: kind, needed });
            }
        };
        tensors.finish()?;
        let bundle = Self { network, provenance };
        contradict(file, weights_file, &sizes, &bundle.sizes())?;
        bundle.check().map_err(ActuatorFileError::of(file))?;
        Ok(bundle)
    }
}

/// The weights, which are safetensors and nothing else.
fn parse_weights(file: &Path, bytes: &[u8]) -> Result<Tensors, ActuatorFileError> {
    let limits = crate::pickle::Limits::for_file(bytes);
    let tensors = Tensors::parse(file, bytes, &limits)?;
    if tensors.source == Source::Safetensors {
        return Ok(tensors);
    }
    let found = format!("is a {}", tensors.source.name());
    let remedy = "weights of a folder are safetensors: export again";
    Err(ActuatorFileError::Content { file: file.to_path_buf(), found, remedy })
}

/// Takes a key of the description.
fn take<T: DeserializeOwned>(
    file: &Path,
    keys: &mut Map<String, Value>,
    key: &'static str,
) -> Result<T, ActuatorFileError> {
    let found = keys.shift_remove(key).unwrap_or(Value::Null);
    let shown = found.to_string();
    serde_json::from_value(found).map_err(|source| ActuatorFileError::Key {
        file: file.to_path_buf(),
        key,
        found: shown,
        needed: source.to_string(),
    })
}

fn value<T: DeserializeOwned>(file: &Path, value: Value) -> Result<T, ActuatorFileError> {
    serde_json::from_value(value)
        .map_err(|source| ActuatorFileError::Json { file: file.to_path_buf(), source })
}

/// Refuses a file that says something else than another one.
fn contradict<T: PartialEq + Serialize>(
    file: &Path,
    other: &Path,
    found: &T,
    there: &T,
) -> Result<(), ActuatorFileError> {
    if found == there {
        return Ok(());
    }
    let (Value::Object(found), Value::Object(there)) = (json!(found), json!(there)) else {
        return Ok(());
    };
    let null = Value::Null;
    let both = found.keys().chain(there.keys());
    let differs = |key: &&String| found.get(*key) != there.get(*key);
    let key = both.into_iter().find(differs).cloned().unwrap_or_default();
    let text = |keys: &Map<String, Value>| keys.get(&key).unwrap_or(&null).to_string();
    let (file, other) = (file.to_path_buf(), other.into());
    let (found, there) = (text(&found), text(&there));
    Err(ActuatorFileError::Contradiction { file, key, found, other, there })
}

/// JSON for people. Plain numbers and strings: serialising cannot fail.
fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
