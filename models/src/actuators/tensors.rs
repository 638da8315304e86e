//! Tensors by name, whichever program saved them.

use super::{ActuatorFileError, DenseParameters, GruLayerParameters, GruParameters, MlpParameters};
use crate::bounded_file::{self, ReadError};
use crate::pickle::{self, Classes, Entries, Kind, Limits, Tensor, TorchArchive, Value};
use crate::quote::{quote, shape};
use crate::tensor_file::TensorFile;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes. A GRU of two layers of 128 takes 0.6 MB, its training state 2.
pub(super) const MAX_FILE: u64 = 256 << 20;
/// Most layers.
const MAX_LAYERS: usize = 64;
/// Names that an error lists before it only counts.
const LISTED_NAMES: usize = 5;
/// Deepest nesting of modules.
const MAX_DEPTH: usize = 20;
/// Classes whose objects may lie around the tensors. None is made: they become names.
const SCRIPTED: &[&str] = &["__torch__.", "torch.jit._pickle."];
const TRAINING_STATE: &[&str] = &[
    "typing.Any",
    "omegaconf.",
    "argparse.Namespace",
    "lightning.",
    "lightning_fabric.",
    "pytorch_lightning.",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "torch.Size",
    "torch.device",
    "torch.float32",
    "torch.float64",
    "__builtin__.bool",
    "__builtin__.dict",
    "__builtin__.float",
    "__builtin__.int",
    "__builtin__.list",
    "__builtin__.long",
    "__builtin__.str",
    "__builtin__.tuple",
    "__builtin__.unicode",
    "builtins.bool",
    "builtins.dict",
    "builtins.float",
    "builtins.int",
    "builtins.list",
    "builtins.str",
    "builtins.tuple",
];

/// Which program saved a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    TorchScript,
    Lightning,
    StateDict,
    Safetensors,
}

impl Source {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TorchScript => "TorchScript archive",
            Self::Lightning => "Lightning checkpoint",
            Self::StateDict => "state dict of torch.save",
            Self::Safetensors => "safetensors",
        }
    }
}

/// The tensors of a file. What is taken is gone, so that leftovers can be refused.
pub(super) struct Tensors {
    pub file: PathBuf,
    pub source: Source,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What the file holds beside tensors, and what became of it.
    pub notes: Vec<String>,
    entries: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

/// Reads a whole file.
pub(super) fn read_file(
    file: &Path,
    limit: u64,
    remedy: &'static str,
) -> Result<Vec<u8>, ActuatorFileError> {
    bounded_file::read(file, limit).map_err(|error| match error {
        ReadError::Missing { file } => ActuatorFileError::Missing { file, remedy },
        error => ActuatorFileError::Read(error),
    })
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tensors {
    /// Reads a file, whose content says what it is.
    pub(super) fn read(file: &Path) -> Result<Self, ActuatorFileError> {
        let remedy = "name a TorchScript .pt, a Lightning .ckpt, a safetensors file or a folder with actuator.json";
        let bytes = read_file(file, MAX_FILE, remedy)?;
        Self::parse(file, &bytes, &Limits::for_file(&bytes))
    }

    /// Reads the content of a file.
    pub(super) fn parse(
        file: &Path,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Self, ActuatorFileError> {
        let mut tensors = Self {
            file: file.to_path_buf(),
            source: Source::Safetensors,
            sha256: sha256(bytes),
            notes: Vec::new(),
            entries: BTreeMap::new(),
        };
        // Eight bytes of length, then an object.
        if bytes.get(8) == Some(&b'{') && !bytes.starts_with(b"PK") {
            tensors.parse_safetensors(bytes)?;
        } else if bytes.starts_with(b"PK") {
            let archive = TorchArchive::open(file, bytes)?;
            if archive.contains("constants.pkl") {
                tensors.parse_scripted(&archive, limits)?;
            } else {
                let classes = Classes::Listed(TRAINING_STATE);
                tensors.parse_saved(&archive.pickle("data.pkl", "data", limits, classes)?)?;
            }
        } else {
            let classes = Classes::Listed(TRAINING_STATE);
            tensors.parse_saved(&pickle::torch(file, bytes, limits, classes)?)?;
        }
        Ok(tensors)
    }

    fn parse_safetensors(&mut self, bytes: &[u8]) -> Result<(), ActuatorFileError> {
        let mut source = TensorFile::parse(&self.file, bytes)?;
        let names: Vec<String> = source.names().map(str::to_owned).collect();
        for name in names {
            let shape = source.shape(&name).unwrap_or_default().to_vec();
            let values = source.take_any_shape(&name)?;
            self.entries.insert(name, (shape, values));
        }
        Ok(())
    }

    /// A module that `torch.jit.save` wrote: objects of objects of tensors. Its code is not even read.
    fn parse_scripted(
        &mut self,
        archive: &TorchArchive<'_>,
        limits: &Limits,
    ) -> Result<(), ActuatorFileError> {
        self.source = Source::TorchScript;
        let (mut code, mut extra) = (0, 0);
        for entry in archive.entries() {
            let known = ["data.pkl", "constants.pkl", "version", "byteorder", "mobile_ivalues.pkl"];
            let folders = ["data/", "constants/", ".data/"];
            if entry.starts_with("code/") {
                code += 1;
            } else if entry.starts_with("extra/") {
                extra += 1;
            } else if !known.contains(&entry)
                && !folders.iter().any(|folder| entry.starts_with(folder))
            {
                let (file, entry) = (self.file.clone(), entry.to_owned());
                return Err(ActuatorFileError::Entry { file, entry });
            }
        }
        self.notes.push(format!(
            "{code} entries of TorchScript code were ignored: nothing of a file is run, so a forward() that does more than a GRU and a linear layer would differ"
        ));
        if extra > 0 {
            self.notes.push(format!("{extra} extra entries were ignored"));
        }
        let document = archive.pickle("data.pkl", "data", limits, Classes::Listed(SCRIPTED))?;
        let root = document.root();
        match root.kind() {
            Kind::Object(_) => self.take_module("", root, 0),
            kind => Err(self.content(
                format!("its data.pkl is {}", kind.describe()),
                "save a module with torch.jit.save(torch.jit.script(module), file)",
            )),
        }
    }

    /// The tensors of a scripted module and of those inside it.
    fn take_module(
        &mut self,
        prefix: &str,
        module: Value<'_>,
        depth: usize,
    ) -> Result<(), ActuatorFileError> {
        let Kind::Object(object) = module.kind() else { return Ok(()) };
        let Some(attributes) = object.attributes.filter(|_| depth < MAX_DEPTH) else {
            return Ok(());
        };
        let mut flat = Vec::new();
        for (key, value) in attributes.iter() {
            let Kind::Text(key) = key.kind() else { continue };
            match value.kind() {
                Kind::Tensor(tensor) => self.insert(&format!("{prefix}{key}"), tensor)?,
                Kind::Object(_) => {
                    self.take_module(&format!("{prefix}{key}."), value, depth + 1)?;
                }
                Kind::List(items) if key == "_flat_weights" => {
                    flat.extend(items.iter().filter_map(|item| match item.kind() {
                        Kind::Tensor(tensor) => Some(bits(&tensor.to_f32())),
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
        // torch.nn.GRU computes with this list; its named tensors are the same ones.
        let own =
            |name: &&String| name.strip_prefix(prefix).is_some_and(|rest| !rest.contains('.'));
        let named: Vec<Vec<u32>> =
            self.entries.iter().filter(|(name, _)| own(name)).map(|(_, e)| bits(&e.1)).collect();
        if flat.iter().any(|values| !named.contains(values)) {
            let found = format!("{prefix}_flat_weights are others than the tensors beside them");
            return Err(self.content(found, "script the module again after loading its weights"));
        }
        Ok(())
    }

    /// What `torch.save` wrote: a state dict, or a training state with one.
    fn parse_saved(&mut self, document: &pickle::Document<'_>) -> Result<(), ActuatorFileError> {
        let entries = match document.root().kind() {
            Kind::Dict(entries) => entries,
            kind => {
                let found = format!("it holds {}", kind.describe());
                return Err(self.content(found, "save the state_dict(), or script the module"));
            }
        };
        match entries.get("state_dict").map(|value| value.kind()) {
            Some(Kind::Dict(state)) => {
                self.source = Source::Lightning;
                let others: Vec<String> = entries
                    .iter()
                    .filter_map(|(key, _)| match key.kind() {
                        Kind::Text("state_dict") => None,
                        Kind::Text(key) => Some(quote(key).to_string()),
                        _ => None,
                    })
                    .take(20)
                    .collect();
                self.notes.push(format!(
                    "of the training state, these were ignored: {}",
                    others.join(", ")
                ));
                self.take_state(state)
            }
            _ => {
                self.source = Source::StateDict;
                self.take_state(entries)
            }
        }
    }

    fn take_state(&mut self, entries: Entries<'_>) -> Result<(), ActuatorFileError> {
        for (key, value) in entries.iter() {
            match (key.kind(), value.kind()) {
                (Kind::Text(key), Kind::Tensor(tensor)) => self.insert(key, tensor)?,
                (Kind::Text(key), kind) => {
                    let found = format!("{key} is {}", kind.describe());
                    return Err(self.content(found, "a state dict holds tensors only"));
                }
                (kind, _) => {
                    let found = format!("a state dict with {} as a key", kind.describe());
                    return Err(self.content(found, "a state dict has names as keys"));
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, name: &str, tensor: Tensor<'_>) -> Result<(), ActuatorFileError> {
        if !tensor.element_type().is_float() {
            // Counters of a training.
            return Ok(());
        }
        let (shape, values) = (tensor.shape().to_vec(), tensor.to_f32());
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (file, tensor, value) = (self.file.clone(), name.to_owned(), values[index]);
            return Err(ActuatorFileError::Value { file, tensor, index, value });
        }
        if self.entries.insert(name.to_owned(), (shape, values)).is_some() {
            return Err(self.content(format!("{name} is there twice"), "save it again"));
        }
        Ok(())
    }

    fn content(&self, found: String, remedy: &'static str) -> ActuatorFileError {
        ActuatorFileError::Content { file: self.file.clone(), found, remedy }
    }

    /// Takes a tensor of this shape.
    pub(super) fn take(
        &mut self,
        name: &str,
        needed: &[usize],
    ) -> Result<Vec<f32>, ActuatorFileError> {
        let (file, tensor, needed) = (self.file.clone(), name.to_owned(), needed.to_vec());
        match self.entries.remove(name) {
            None => Err(ActuatorFileError::MissingTensor { file, tensor, needed }),
            Some((found, _)) if found != needed => {
                Err(ActuatorFileError::Shape { file, tensor, found, needed })
            }
            Some((_, values)) => Ok(values),
        }
    }

    /// Takes a tensor whatever its shape, if it is there.
    pub(super) fn take_any(&mut self, name: &str) -> Option<Vec<f32>> {
        self.entries.remove(name).map(|(_, values)| values)
    }

    /// Shape of a tensor, if it is there.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|(shape, _)| shape.as_slice())
    }

    /// Takes the only GRU of the file and the linear layer behind it. Returns the prefix of the module
    /// that both are in as well.
    pub(super) fn take_gru(&mut self) -> Result<(GruParameters, String), ActuatorFileError> {
        const FIRST: &str = "weight_ih_l0";
        let prefixes: Vec<String> = self
            .entries
            .keys()
            .filter_map(|name| name.strip_suffix(FIRST))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .map(str::to_owned)
            .collect();
        let file = self.file.clone();
        let [gru] = prefixes.as_slice() else {
            return Err(ActuatorFileError::NotOneGru { file, found: prefixes.len() });
        };
        let name = |tensor: &str, layer: usize| format!("{gru}{tensor}_l{layer}");
        let sizes = |name: String| match self.shape(&name) {
            Some(&[rows, columns]) if rows > 0 && columns > 0 && rows.is_multiple_of(3) => {
                Ok((rows / 3, columns))
            }
            found => Err(self.content(
                format!("{name} has shape {}", shape(found.unwrap_or_default())),
                "a GRU has [3 * hidden, inputs] there",
            )),
        };
        let (hidden, inputs) = sizes(name("weight_ih", 0))?;
        let layers = (0..MAX_LAYERS)
            .take_while(|layer| self.shape(&name("weight_ih", *layer)).is_some())
            .count();
        let mut read = Vec::with_capacity(layers);
        let gates = 3 * hidden;
        for layer in 0..layers {
            let inputs = if layer == 0 { inputs } else { hidden };
            let weight_ih = self.take(&name("weight_ih", layer), &[gates, inputs])?;
            let weight_hh = self.take(&name("weight_hh", layer), &[gates, hidden])?;
            let mut bias = |tensor| {
                let name = name(tensor, layer);
                match self.shape(&name) {
                    Some(_) => self.take(&name, &[gates]),
                    None => Ok(vec![0.0; gates]),
                }
            };
            let (bias_ih, bias_hh) = (bias("bias_ih")?, bias("bias_hh")?);
            read.push(GruLayerParameters { weight_ih, weight_hh, bias_ih, bias_hh });
        }
        let heads: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, (shape, _))| shape == &[1, hidden])
            .filter_map(|(name, _)| name.strip_suffix("weight"))
            .map(str::to_owned)
            .collect();
        let [head] = heads.as_slice() else {
            return Err(ActuatorFileError::NotOneHead { file, hidden, found: heads.len() });
        };
        let head_weight = self.take(&format!("{head}weight"), &[1, hidden])?;
        let bias = format!("{head}bias");
        let head_bias =
            if self.shape(&bias).is_some() { self.take(&bias, &[1])? } else { vec![0.0] };
        // `model.gru.` is in `model.`.
        let module = gru.trim_end_matches('.').rsplit_once('.');
        let module = module.map_or(String::new(), |(module, _)| format!("{module}."));
        let parameters = GruParameters { inputs, hidden, layers: read, head_weight, head_bias };
        Ok((parameters, module))
    }

    /// Takes the linear layers of a `torch.nn.Sequential`, in the order of their numbers.
    pub(super) fn take_mlp(&mut self) -> Result<MlpParameters, ActuatorFileError> {
        let mut layers: Vec<(usize, String, usize, usize)> = self
            .entries
            .iter()
            .filter_map(|(name, (shape, _))| {
                let prefix = name.strip_suffix(".weight")?;
                let number = prefix.rsplit('.').next()?.parse().ok()?;
                let [outputs, inputs] = *shape.as_slice() else { return None };
                Some((number, prefix.to_owned(), outputs, inputs))
            })
            .take(MAX_LAYERS)
            .collect();
        layers.sort();
        let Some(&(_, _, _, inputs)) = layers.first() else {
            return Err(ActuatorFileError::NoLayers { file: self.file.clone() });
        };
        let (mut read, mut width) = (Vec::with_capacity(layers.len()), inputs);
        for (_, prefix, outputs, _) in layers {
            let weight = self.take(&format!("{prefix}.weight"), &[outputs, width])?;
            let bias = format!("{prefix}.bias");
            let bias = match self.shape(&bias) {
                Some(_) => self.take(&bias, &[outputs])?,
                None => vec![0.0; outputs],
            };
            read.push(DenseParameters { outputs, weight, bias });
            width = outputs;
        }
        Ok(MlpParameters { inputs, layers: read })
    }

    /// Drops tensors for which `known` holds, and returns how many there were.
    pub(super) fn ignore(&mut self, known: impl Fn(&str) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|name, _| !known(name));
        before - self.entries.len()
    }

    /// Refuses tensors that are left.
    pub(super) fn finish(&self) -> Result<(), ActuatorFileError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let tensors = self.entries.keys().take(LISTED_NAMES).cloned().collect();
        Err(ActuatorFileError::Unknown {
            file: self.file.clone(),
            tensors,
            count: self.entries.len(),
        })
    }
}

/// Numbers to the last bit.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
