//! A training at rest: weights by PyTorch's names, AdamW's moments, and how far it is.

use super::optimizer::Moments;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sinew_models::recurrent::sequence::SequenceSizes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Key of the metadata.
const PROGRESS: &str = "sinew.progress";

/// Why a checkpoint was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}; the run has to begin again", path.display())]
    Content { path: PathBuf, reason: String },
}

/// One finished epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    pub epoch: usize,
    pub train_loss: f64,
    pub val_rmse: f64,
    pub val_mae: f64,
    pub val_r2: f64,
    pub learning_rate: f64,
    /// Mean norm of the gradients before they were clipped.
    pub gradient_norm: f64,
    pub seconds: f64,
}

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs and batches of the present one that are done.
    pub epoch: usize,
    pub batch: usize,
    pub loss_sum: f64,
    pub norm_sum: f64,
    /// `None` before the first epoch is done.
    pub best_rmse: Option<f64>,
    pub best_epoch: usize,
    pub epochs_since_best: usize,
    pub finished: bool,
    pub history: Vec<Epoch>,
}

/// Weights, optimiser and progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    pub parameters: Vec<f32>,
    pub moments: Moments,
    pub progress: Progress,
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Checkpoint {
    /// Writes beside the file and then renames, so that there is always a whole one. Returns the
    /// SHA-256 of the file.
    pub fn write(&self, path: &Path, sizes: &SequenceSizes) -> Result<String, CheckpointError> {
        let content = |reason: String| CheckpointError::Content { path: path.to_owned(), reason };
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = sizes
            .tensors()
            .into_iter()
            .map(|tensor| (tensor.name, tensor.shape, le_bytes(&self.parameters[tensor.range])))
            .collect();
        let moments =
            [("adamw.first", &self.moments.first), ("adamw.second", &self.moments.second)];
        for (name, values) in moments.into_iter().filter(|(_, values)| !values.is_empty()) {
            tensors.push((name.to_owned(), vec![values.len()], le_bytes(values)));
        }
        let mut views = Vec::with_capacity(tensors.len());
        for (name, shape, bytes) in &tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            views.push((name, view.map_err(|error| content(error.to_string()))?));
        }
        let progress =
            serde_json::to_string(&self.progress).map_err(|error| content(error.to_string()))?;
        let metadata = HashMap::from([
            (PROGRESS.to_owned(), progress),
            ("sinew.optimizer_steps".to_owned(), self.moments.steps.to_string()),
        ]);
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| content(error.to_string()))?;
        let new = path.with_extension("new");
        std::fs::write(&new, &bytes)
            .and_then(|()| std::fs::rename(&new, path))
            .map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
        Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn read(path: &Path, sizes: &SequenceSizes) -> Result<Self, CheckpointError> {
        let content = |reason: String| CheckpointError::Content { path: path.to_owned(), reason };
        let bytes = std::fs::read(path)
            .map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| content(error.to_string()))?;
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|error| content(error.to_string()))?;
        let said = metadata.metadata().as_ref();
        let value = |key: &str| said.and_then(|said| said.get(key)).map(String::as_str);
        let progress = value(PROGRESS).ok_or_else(|| content(format!("no {PROGRESS}")))?;
        let progress =
            serde_json::from_str(progress).map_err(|error| content(error.to_string()))?;
        let values = |name: &str, shape: &[usize]| -> Result<Vec<f32>, CheckpointError> {
            let tensor = tensors.tensor(name).map_err(|error| content(error.to_string()))?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
                let found = format!("{name} is {:?} {:?}", tensor.dtype(), tensor.shape());
                return Err(content(format!("{found}, needed F32 {shape:?}")));
            }
            Ok(tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let mut parameters = Vec::with_capacity(sizes.parameters());
        for tensor in sizes.tensors() {
            parameters.extend(values(&tensor.name, &tensor.shape)?);
        }
        let steps = value("sinew.optimizer_steps").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut moments = Moments { steps, ..Moments::default() };
        if steps > 0 {
            moments.first = values("adamw.first", &[parameters.len()])?;
            moments.second = values("adamw.second", &[parameters.len()])?;
        }
        Ok(Self { parameters, moments, progress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_another_network_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        let sizes = SequenceSizes { inputs: 3, hidden: 4, layers: 2, outputs: 1 };
        let count = sizes.parameters();
        let numbers = |scale: f32| (0..count).map(|index| index as f32 * scale).collect();
        let checkpoint = Checkpoint {
            parameters: numbers(0.1),
            moments: Moments { steps: 7, first: numbers(0.2), second: numbers(0.3) },
            progress: Progress {
                epoch: 2,
                best_rmse: Some(0.125),
                history: vec![Epoch { train_loss: 0.1 + 0.2, ..Epoch::default() }],
                ..Progress::default()
            },
        };
        let hash = checkpoint.write(&path, &sizes).unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(Checkpoint::read(&path, &sizes).unwrap(), checkpoint);
        let other = SequenceSizes { hidden: 5, ..sizes };
        let message = Checkpoint::read(&path, &other).unwrap_err().to_string();
        assert!(message.contains("gru.weight_ih_l0") && message.contains("[15, 3]"), "{message}");
    }
}
