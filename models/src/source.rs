//! A checkpoint folder whose files have been read.

use crate::engine::{Engine, Precision};
use crate::lerobot::{self, LoadError, Normalization, PolicyConfig};
use crate::policy::{Device, LoadOptions};
use crate::tensor_file::TensorFile;
use std::path::Path;

/// What a policy is made of.
pub(crate) struct Source<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Of the weights file, in hexadecimal.
    pub sha256: String,
    /// Weights that nothing has taken yet.
    pub tensors: TensorFile<'static>,
    /// `config.json`.
    pub config: PolicyConfig,
    /// Statistics.
    pub normalization: Normalization,
    /// Threads of the policy.
    pub engine: Engine,
    /// How its weights are stored.
    pub precision: Precision,
}

/// Most bytes that images may need of a policy.
const MAX_BUFFER_BYTES: usize = 2 << 30;

/// Refuses a policy that would need more than is sensible.
pub(crate) fn check_memory(folder: &Path, bytes: usize) -> Result<(), LoadError> {
    if bytes <= MAX_BUFFER_BYTES {
        return Ok(());
    }
    Err(LoadError::Memory { folder: folder.to_path_buf(), bytes, limit: MAX_BUFFER_BYTES })
}

/// Reads a folder and makes a policy of it that the engine computes.
pub(crate) fn load<P>(
    folder: &Path,
    options: &LoadOptions,
    make: impl FnOnce(Source<'_>) -> Result<P, LoadError>,
) -> Result<P, LoadError> {
    if options.device != Device::Cpu {
        let (folder, found) = (folder.to_path_buf(), options.device.name().to_owned());
        let needed = "cpu; sinew_models::load loads for the others".to_owned();
        return Err(LoadError::Option { folder, option: "device", found, needed });
    }
    read(folder, options, make)
}

/// Reads a folder and makes a policy of it.
pub(crate) fn read<P>(
    folder: &Path,
    options: &LoadOptions,
    make: impl FnOnce(Source<'_>) -> Result<P, LoadError>,
) -> Result<P, LoadError> {
    if !options.isa.is_here() {
        return Err(LoadError::Instructions { instructions: options.isa.name() });
    }
    let engine = Engine::new(options.isa, options.threads, &options.cpus)
        .map_err(|source| LoadError::Threads { threads: options.threads, source })?;
    let mut tensors = lerobot::open_weights(folder)?;
    let sha256 = tensors.sha256()?;
    let lerobot::Checkpoint { config, normalization } =
        lerobot::read_checkpoint(folder, &mut tensors)?;
    let precision = options.precision;
    make(Source { folder, sha256, tensors, config, normalization, engine, precision })
}
