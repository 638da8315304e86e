//! Why a checkpoint was not converted.

use crate::bounded_file::ReadError;
use crate::lerobot::LoadError;
use crate::pickle::PickleError;
use crate::quote::{list, quote, shape};
use safetensors::SafeTensorError;
use std::path::PathBuf;

/// Why a checkpoint was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A pickle was refused.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// A camera is not described as it must be.
    #[error(
        "camera {camera:?}: needed NAME=HEIGHTxWIDTH with sides from 1 to 4096 pixels and letters, digits, _ or - in the name, for example top=480x640"
    )]
    Camera {
        /// What was given.
        camera: String,
    },
    /// Two cameras have the same name.
    #[error("camera {camera} is named twice; each needs a name of its own", camera = quote(camera))]
    CameraTwice {
        /// The name.
        camera: String,
    },
    /// Not as many cameras as the checkpoint was trained with.
    #[error("{}: has {backbones} backbone(s) and was given {cameras} camera(s), needed {needed}; name each camera in the order of the training with --camera NAME=HEIGHTxWIDTH", file.display())]
    Cameras {
        /// Path of the checkpoint.
        file: PathBuf,
        /// Backbones in it.
        backbones: usize,
        /// Cameras given.
        cameras: usize,
        /// Cameras needed, in words.
        needed: String,
    },
    /// An option that the checkpoint has no place for.
    #[error("{}: is a {kind} policy, which has no {option}; leave the option out", file.display())]
    NoPlace {
        /// Path of the checkpoint.
        file: PathBuf,
        /// Kind of policy.
        kind: &'static str,
        /// What was given.
        option: &'static str,
    },
    /// The length of a chunk, which no tensor tells.
    #[error("{}: is a Diffusion policy, whose tensors do not say how many actions it makes at once; say with --chunk what --chunk_size of its training was", file.display())]
    NoChunk {
        /// Path of the checkpoint.
        file: PathBuf,
    },
    /// Heads that do not divide the width.
    #[error("{}: {heads} attention heads do not share its width of {width}; say with --heads how many it was trained with", file.display())]
    Heads {
        /// Path of the checkpoint.
        file: PathBuf,
        /// Heads given or assumed.
        heads: usize,
        /// Width of the transformer.
        width: usize,
    },
    /// More actions than there are, or none.
    #[error("{}: has {actions} actions, {kept} of them cannot be kept; needed 1 to {actions}", file.display())]
    Actions {
        /// Path of the checkpoint.
        file: PathBuf,
        /// Actions to keep.
        kept: usize,
        /// Actions in it.
        actions: usize,
    },
    /// The folder has no checkpoint of the usual name.
    #[error("{}: holds no policy_best.ckpt; name the checkpoint itself, for example {}", folder.display(), folder.join("policy_last.ckpt").display())]
    NoCheckpoint {
        /// The folder.
        folder: PathBuf,
    },
    /// The checkpoint is no state dict.
    #[error("{}: is {found}, needed a dictionary of named tensors, as the originals save it with torch.save(policy.state_dict())", file.display())]
    NotAStateDict {
        /// Path of the checkpoint.
        file: PathBuf,
        /// What it is.
        found: String,
    },
    /// The statistics are no dictionary.
    #[error("{}: is {found}, needed a dictionary of arrays, as the originals save it as dataset_stats.pkl", file.display())]
    NotStatistics {
        /// Path of the statistics.
        file: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// It is of a kind that cannot be converted.
    #[error("{}: {tensor} belongs to {what}; {remedy}", file.display(), tensor = quote(tensor))]
    Unsupported {
        /// Path of the checkpoint.
        file: PathBuf,
        /// The tensor that shows it.
        tensor: String,
        /// What it belongs to.
        what: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A tensor is not there.
    #[error("{}: {tensor} is missing; it must come from a policy of act, act-plus-plus or a fork", file.display(), tensor = quote(tensor))]
    Missing {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor has another shape.
    #[error("{}: {tensor} has shape {found}, needed {needed}", file.display(), found = shape(found), tensor = quote(tensor))]
    Shape {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// Shape that the others need.
        needed: String,
    },
    /// A tensor does not hold usable numbers.
    #[error("{}: {tensor} {found}; the training diverged or the file is damaged", file.display(), tensor = quote(tensor))]
    Numbers {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What it holds.
        found: String,
    },
    /// Tensors are left over.
    #[error("{}: {count} unknown tensor(s): {}; no policy of the originals has them, and ignoring them could change what the policy does", file.display(), list(tensors))]
    Unknown {
        /// Path of the checkpoint.
        file: PathBuf,
        /// The first few names.
        tensors: Vec<String>,
        /// Number of unknown tensors.
        count: usize,
    },
    /// The output exists.
    #[error("{}: exists and is not an empty folder; nothing is overwritten: name another one", folder.display())]
    Exists {
        /// The output.
        folder: PathBuf,
    },
    /// The output could not be written.
    #[error("{}: {source}", file.display())]
    Write {
        /// Path that was written.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The tensors do not make a file.
    #[error("{}: {source}", file.display())]
    Layout {
        /// Path that was written.
        file: PathBuf,
        /// The contradiction.
        source: SafeTensorError,
    },
    /// The result was refused by the reader that runs policies.
    #[error("{}: what it was converted to cannot be run: {source}", file.display())]
    Unusable {
        /// Path of the checkpoint.
        file: PathBuf,
        /// Why not.
        source: Box<LoadError>,
    },
}
