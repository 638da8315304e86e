//! `sinew-tools formula-checkpoint`: a complete checkpoint folder without a download.
//!
//! Takes configuration and statistics from a template folder and computes the weights that its
//! `tensors.tsv` lists. Such a policy does nothing sensible; it has the size and the speed of a
//! trained one, and its outputs are known.

use crate::formula::Fill;
use crate::tensor_table::{self, Entry, TableError};
use safetensors::{Dtype, SafeTensorError, View};
use sinew_models::{LoadError, LoadOptions, Policy};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, the processor files and tensors.tsv
    #[arg(long, value_name = "DIR")]
    template: PathBuf,
    /// Folder to write; created, and refused if it already holds anything
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Why no checkpoint was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormulaCheckpointError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    System { path: PathBuf, source: std::io::Error },
    /// The table of tensors is not usable.
    #[error("{}: {source}", file.display())]
    Table { file: PathBuf, source: TableError },
    /// No rule says how to fill a tensor.
    #[error("{}: no formula for tensor {tensor} of shape {shape:?}; known are weights, biases, embeddings and statistics of ACT", file.display())]
    Unknown { file: PathBuf, tensor: String, shape: Vec<usize> },
    /// The output folder is in use.
    #[error("{}: is not empty; name a new folder", folder.display())]
    NotEmpty { folder: PathBuf },
    /// Weights could not be written.
    #[error("{}: {source}", file.display())]
    Write { file: PathBuf, source: SafeTensorError },
    /// What was written is not a policy: the template's files do not belong together.
    #[error("the written checkpoint does not load, so the template is not consistent: {0}")]
    Load(#[from] LoadError),
}

/// A tensor that is computed when it is written, so that only one is in memory.
struct FormulaTensor {
    entry: Entry,
    fill: Fill,
}

impl View for FormulaTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.fill.values(&self.entry.name, self.entry.count);
        values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.entry.count * size_of::<f32>()
    }
}

/// Writes the checkpoint, loads it again, and says what it is.
pub(crate) fn run(arguments: &Arguments) -> Result<String, FormulaCheckpointError> {
    let Arguments { template, out } = arguments;
    let table = template.join("tensors.tsv");
    let tensors = plan(&table)?;
    prepare_folder(out)?;
    let policy = write(template, tensors, out).inspect_err(|_| {
        // Half a checkpoint is worse than none; the folder was empty before.
        let _ = std::fs::remove_dir_all(out);
    })?;
    let (parameters, sha256) = (policy.description().parameters, &policy.description().sha256);
    Ok(format!("{}: {parameters} weights, SHA-256 {sha256}", out.display()))
}

fn write(
    template: &Path,
    tensors: Vec<FormulaTensor>,
    out: &Path,
) -> Result<Box<dyn Policy>, FormulaCheckpointError> {
    copy_descriptions(template, out)?;
    let file = out.join("model.safetensors");
    let named = tensors.into_iter().map(|tensor| (tensor.entry.name.clone(), tensor));
    safetensors::serialize_to_file(named, None, &file)
        .map_err(|source| FormulaCheckpointError::Write { file, source })?;
    Ok(sinew_models::load(out, &LoadOptions::default())?)
}

fn system(path: &Path) -> impl FnOnce(std::io::Error) -> FormulaCheckpointError {
    let path = path.to_path_buf();
    move |source| FormulaCheckpointError::System { path, source }
}

/// Decides how each tensor of the table is filled.
fn plan(table: &Path) -> Result<Vec<FormulaTensor>, FormulaCheckpointError> {
    let text = std::fs::read_to_string(table).map_err(system(table))?;
    let entries = tensor_table::parse(&text)
        .map_err(|source| FormulaCheckpointError::Table { file: table.into(), source })?;
    let tensor = |entry: Entry| match Fill::for_tensor(&entry.name, &entry.shape) {
        Some(fill) => Ok(FormulaTensor { entry, fill }),
        None => Err(FormulaCheckpointError::Unknown {
            file: table.to_path_buf(),
            tensor: entry.name,
            shape: entry.shape,
        }),
    };
    entries.into_iter().map(tensor).collect()
}

fn prepare_folder(folder: &Path) -> Result<(), FormulaCheckpointError> {
    std::fs::create_dir_all(folder).map_err(system(folder))?;
    match std::fs::read_dir(folder).map_err(system(folder))?.next() {
        Some(_) => Err(FormulaCheckpointError::NotEmpty { folder: folder.to_path_buf() }),
        None => Ok(()),
    }
}

/// Copies configuration, processors and their state, but neither weights nor recorded runs.
fn copy_descriptions(template: &Path, out: &Path) -> Result<(), FormulaCheckpointError> {
    for entry in std::fs::read_dir(template).map_err(system(template))? {
        let name = entry.map_err(system(template))?.file_name();
        let is_json = Path::new(&name).extension() == Some(OsStr::new("json"));
        let is_state = name.to_string_lossy().starts_with("policy_");
        if is_json || is_state {
            let (from, to) = (template.join(&name), out.join(&name));
            // Contents only: a copy of a read-only file should not be read-only.
            let bytes = std::fs::read(&from).map_err(system(&from))?;
            std::fs::write(&to, bytes).map_err(system(&to))?;
        }
    }
    Ok(())
}
