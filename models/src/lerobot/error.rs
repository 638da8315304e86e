//! Why a checkpoint was refused.

use super::config::ConfigError;
use super::processors::ProcessorError;
use super::statistics::StatisticsError;
use crate::bounded_file::ReadError;
use crate::quote::quote;
use crate::tensor_file::TensorError;
use crate::vinn::VinnMemoryError;
use std::path::PathBuf;

/// Why a checkpoint folder was refused. Every message names the file, the key or tensor, what was
/// found and what is needed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// `config.json` is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A processor file is not usable.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// Statistics are not usable.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A tensor is not usable.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The memory of a VINN policy is not usable.
    #[error(transparent)]
    VinnMemory(#[from] VinnMemoryError),
    /// Statistics are nowhere to be found.
    #[error("{}: no normalisation statistics: neither policy_preprocessor.json (LeRobot 0.4 and later) nor normalize_inputs.buffer_* in model.safetensors (up to 0.3); copy the complete folder that the training wrote", folder.display())]
    NoStatistics {
        /// Folder of the checkpoint.
        folder: PathBuf,
    },
    /// Statistics exist in the places of both generations.
    #[error("{}: holds processor files (LeRobot 0.4 and later) and tensor {tensor} in model.safetensors (up to 0.3), which may contradict each other; remove one of them or migrate the checkpoint again", folder.display(), tensor = quote(tensor))]
    BothFormats {
        /// Folder of the checkpoint.
        folder: PathBuf,
        /// A statistic among the weights.
        tensor: String,
    },
    /// Another architecture was asked for.
    #[error("{}: holds a policy of type {found}, needed {needed}; name another folder", folder.display())]
    Kind {
        /// Folder of the checkpoint.
        folder: PathBuf,
        /// Architecture in the folder.
        found: &'static str,
        /// Architecture that was asked for.
        needed: &'static str,
    },
    /// An option does not fit the checkpoint.
    #[error("{}: option {option} is {found}, needed {needed}", folder.display())]
    Option {
        /// Folder of the checkpoint.
        folder: PathBuf,
        /// Name of the option.
        option: &'static str,
        /// What was asked for.
        found: String,
        /// What the checkpoint allows.
        needed: String,
    },
    /// Images, or many steps, would need more memory than is sensible.
    #[error("{}: the declared images and steps need {bytes} bytes of feature maps, at most {limit} are allowed; the shapes in config.json and the network's widths do not belong together", folder.display())]
    Memory {
        /// Folder of the checkpoint.
        folder: PathBuf,
        /// Bytes needed.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// This build does not have the device that was asked for.
    #[error(
        "device is {device}, needed cpu: this program was built without it; build it with --features {feature}, or choose cpu"
    )]
    Device {
        /// Its name.
        device: &'static str,
        /// The feature of a build that has it.
        feature: &'static str,
    },
    /// There is no graphics card, or it does not work.
    #[error(
        "device gpu: {message}; install the driver of the graphics card (with Vulkan), or choose device cpu"
    )]
    NoAdapter {
        /// What was tried.
        message: String,
    },
    /// The computer lacks the instructions that were asked for.
    #[error("this computer does not have the instructions {instructions}; leave the choice to it")]
    Instructions {
        /// Their name.
        instructions: &'static str,
    },
    /// The operating system refused a thread, or a processor to bind it to.
    #[error(
        "inference on {threads} threads: {source}; ask for fewer threads, or for processors that this computer has"
    )]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// Why.
        source: std::io::Error,
    },
}
