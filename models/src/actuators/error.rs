//! Why a model was not made, not stepped, or not read.

use crate::bounded_file::ReadError;
use crate::pickle::{ArchiveError, PickleError};
use crate::quote::{list, quote, shape};
use crate::recurrent::NetworkError;
use crate::tensor_file::TensorError;
use std::path::{Path, PathBuf};

/// Most joints of a model.
pub(super) const MAX_JOINTS: usize = 1024;

/// Why a model was not made of its numbers.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// A number is out of its range.
    #[error("{what} is {value}, allowed is {allowed}")]
    Value {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// A list has another length than what it belongs to.
    #[error("{what} holds {found} numbers, needed {needed}: {why}")]
    Length {
        /// Which list.
        what: &'static str,
        /// Numbers in it.
        found: usize,
        /// Numbers needed.
        needed: usize,
        /// What says so.
        why: &'static str,
    },
    /// Something that the model needs is not given.
    #[error("{what} is missing: {why}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Why it is needed, and the remedy.
        why: &'static str,
    },
    /// A feature is named twice.
    #[error("features name {feature} twice; each column of the network has its own feature")]
    FeatureTwice {
        /// The feature.
        feature: &'static str,
    },
    /// The caller's rate is no multiple of the model's.
    #[error(
        "the model was trained at {model_hz} Hz and is to be stepped at {caller_hz} Hz, which is no whole multiple of it (within 1 %); let the loop run at {nearest} Hz, or train at a rate that divides the loop's"
    )]
    Rates {
        /// Of the training.
        model_hz: f64,
        /// Of the loop.
        caller_hz: f64,
        /// A rate of the loop that would do.
        nearest: f64,
    },
    /// The weights are no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Why a step was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ActuatorError {
    /// A slice has another length than there are joints.
    #[error("{what} are {found}, needed one for each of {joints} joints")]
    Length {
        /// `inputs` or `efforts`.
        what: &'static str,
        /// Their number.
        found: usize,
        /// Joints of the model.
        joints: usize,
    },
    /// An input is not finite.
    #[error(
        "{what} of joint {joint} is {value}, needed a finite number; the model stays as it was"
    )]
    NotFinite {
        /// Joint.
        joint: usize,
        /// Which input.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// The network gave nothing usable, and there is no PD controller to fall back on.
    #[error(
        "the network's torque for joint {joint} is not finite, and the model has no PD part to fall back on; hold the joint and look at its inputs"
    )]
    Network {
        /// Joint.
        joint: usize,
    },
}

impl ActuatorError {
    /// The joint that it is about, if it is about one.
    #[must_use]
    pub const fn joint(&self) -> Option<usize> {
        match self {
            Self::Length { .. } => None,
            Self::NotFinite { joint, .. } | Self::Network { joint } => Some(*joint),
        }
    }
}

/// Why a file of an actuator model was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ActuatorFileError {
    /// A file is not there.
    #[error("{}: no such file; {remedy}", file.display())]
    Missing {
        /// Path that was tried.
        file: PathBuf,
        /// What it is needed for.
        remedy: &'static str,
    },
    /// A file could not be read.
    #[error(transparent)]
    Read(ReadError),
    /// The archive is not usable.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The pickle is not usable.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The safetensors file is not usable.
    #[error(transparent)]
    Tensors(#[from] TensorError),
    /// A JSON file is not what it should be.
    #[error("{}: {}; docs/actuators.md lists every key", file.display(), quote(&source.to_string()))]
    Json {
        /// Path of the file.
        file: PathBuf,
        /// Which key, and where.
        source: serde_json::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {}; {remedy}", file.display(), quote(found))]
    Content {
        /// Path of the file.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A key has a value that cannot be used.
    #[error("{}: {key} is {}, needed {}", file.display(), quote(found), quote(needed))]
    Key {
        /// Path of the file.
        file: PathBuf,
        /// Which key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is allowed, and the remedy.
        needed: String,
    },
    /// The weights are not those that the description was written for.
    #[error("{}: its SHA-256 is {found}, {} was written for {needed}; both must come from the same export: export again", file.display(), description.display())]
    Hash {
        /// Path of the weights.
        file: PathBuf,
        /// Path of the description.
        description: PathBuf,
        /// SHA-256 of the weights.
        found: String,
        /// What the description says.
        needed: String,
    },
    /// Two places say different things.
    #[error("{}: {key} is {}, but {} has {}; they come from different trainings: keep the files of one export together", file.display(), quote(found), other.display(), quote(there))]
    Contradiction {
        /// Path of the file.
        file: PathBuf,
        /// Key or tensor.
        key: String,
        /// What it says.
        found: String,
        /// The other file.
        other: Box<Path>,
        /// What that one says.
        there: String,
    },
    /// There is not exactly one recurrent network.
    #[error("{}: holds {found} tensors called weight_ih_l0, needed one: the GRU of an actuator network", file.display())]
    NotOneGru {
        /// Path of the file.
        file: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// There are no linear layers that follow each other.
    #[error("{}: holds no linear layers that are numbered in their order, as those of torch.nn.Sequential are (0.weight, 2.weight)", file.display())]
    NoLayers {
        /// Path of the file.
        file: PathBuf,
    },
    /// There is not exactly one linear layer behind it.
    #[error("{}: holds {found} linear layers from {hidden} to 1, needed one: the head behind the GRU", file.display())]
    NotOneHead {
        /// Path of the file.
        file: PathBuf,
        /// Size of the GRU's state.
        hidden: usize,
        /// How many there are.
        found: usize,
    },
    /// A tensor is not there.
    #[error("{}: tensor {} is missing, needed with shape {}", file.display(), quote(tensor), shape(needed))]
    MissingTensor {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        needed: Vec<usize>,
    },
    /// A tensor has another shape.
    #[error("{}: tensor {} has shape {}, needed {}", file.display(), quote(tensor), shape(found), shape(needed))]
    Shape {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape needed.
        needed: Vec<usize>,
    },
    /// A tensor holds a number that is not finite.
    #[error("{}: tensor {} holds {value} at index {index}; the training diverged or the file is damaged", file.display(), quote(tensor))]
    Value {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Position of the first such number.
        index: usize,
        /// The number.
        value: f32,
    },
    /// Tensors are left over.
    #[error("{}: {count} tensors belong to nothing that is known: {}; ignoring them could change what the network does", file.display(), list(tensors))]
    Unknown {
        /// Path of the file.
        file: PathBuf,
        /// The first few names.
        tensors: Vec<String>,
        /// How many there are.
        count: usize,
    },
    /// An archive holds entries that no scripted module has.
    #[error("{}: entry {} belongs to no scripted module; save it again with torch.jit.save", file.display(), quote(entry))]
    Entry {
        /// Path of the file.
        file: PathBuf,
        /// Name of the entry.
        entry: String,
    },
    /// Nobody has said at which rate the network was trained.
    #[error("{}: does not say at which rate its network was trained, and a recurrent network is wrong at any other; give it (--rate-hz)", file.display())]
    NoRate {
        /// Path of the file.
        file: PathBuf,
    },
    /// A folder is there already.
    #[error("{}: exists and is not empty; nothing is overwritten: name another folder", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// Something could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The numbers make no model.
    #[error("{}: {source}", file.display())]
    Parameters {
        /// Path of the file that holds them.
        file: PathBuf,
        /// What is wrong with them.
        source: Box<ParameterError>,
    },
}

impl ActuatorFileError {
    /// Names the file whose numbers make no model.
    pub(super) fn of(file: &Path) -> impl FnOnce(ParameterError) -> Self + '_ {
        move |source| Self::Parameters { file: file.to_path_buf(), source: Box::new(source) }
    }
}

/// A finite number.
pub(super) fn finite(what: &'static str, value: f64) -> Result<(), ParameterError> {
    let allowed = "a finite number";
    if value.is_finite() { Ok(()) } else { Err(ParameterError::Value { what, value, allowed }) }
}

/// A finite number above 0.
pub(super) fn positive(what: &'static str, value: f64) -> Result<(), ParameterError> {
    let allowed = "a finite number above 0";
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ParameterError::Value { what, value, allowed })
}

/// A finite number that is not negative.
pub(super) fn not_negative(what: &'static str, value: f64) -> Result<(), ParameterError> {
    let allowed = "a finite number, 0 or more";
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(ParameterError::Value { what, value, allowed })
}

/// A number of joints.
pub(super) fn count_joints(joints: usize) -> Result<(), ParameterError> {
    if (1..=MAX_JOINTS).contains(&joints) {
        return Ok(());
    }
    let (value, allowed) = (joints as f64, "1 to 1024");
    Err(ParameterError::Value { what: "number of joints", value, allowed })
}
