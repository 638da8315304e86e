//! A training at rest: weights by PyTorch's names, AdamW's moments, and how far it is.

use super::digest;
use super::optimizer::Moments;
use super::settings::Training;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
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
    /// The RMSE that patience counts from: the last one that was better than the one before it by
    /// `min_delta`.
    pub counted_rmse: Option<f64>,
    pub epochs_since_counted: usize,
    pub finished: bool,
    pub history: Vec<Epoch>,
}

impl Progress {
    /// Notes a finished epoch; true where it is the best of all, which is what is kept. Patience counts from
    /// the last epoch that was better than the one it counted from before by `min_delta`, so that small
    /// steps that add up are progress.
    pub fn advance(&mut self, record: Epoch, training: &Training) -> bool {
        let better = self.best_rmse.is_none_or(|best| record.val_rmse < best);
        if better {
            self.best_rmse = Some(record.val_rmse);
            self.best_epoch = record.epoch;
        }
        let enough = |counted| record.val_rmse < counted - training.min_delta;
        if self.counted_rmse.is_none_or(enough) {
            self.counted_rmse = Some(record.val_rmse);
            self.epochs_since_counted = 0;
        } else {
            self.epochs_since_counted += 1;
        }
        self.finished = self.epochs_since_counted >= training.patience
            || record.epoch + 1 >= training.max_epochs;
        self.history.push(record);
        self.epoch += 1;
        (self.batch, self.loss_sum, self.norm_sum) = (0, 0.0, 0.0);
        better
    }
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
        Ok(digest::sha256(&bytes))
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

    #[test]
    fn patience_counts_from_the_last_rmse_that_was_better_by_min_delta() {
        let training = Training { patience: 3, min_delta: 0.01, ..Training::default() };
        let epochs = |rmse: &[f64]| {
            let mut progress = Progress::default();
            for (epoch, &val_rmse) in rmse.iter().enumerate() {
                assert!(!progress.finished, "finished before epoch {epoch}");
                progress.advance(Epoch { epoch, val_rmse, ..Epoch::default() }, &training);
            }
            progress
        };
        // Each step is smaller than min_delta, and two of them are not.
        let creeping: Vec<f64> = (0..12).map(|epoch| 1.0 - 0.006 * f64::from(epoch)).collect();
        let progress = epochs(&creeping);
        assert!(!progress.finished);
        assert_eq!((progress.best_epoch, progress.best_rmse), (11, Some(creeping[11])));
        // The best of all is kept though it does not count.
        let progress = epochs(&[1.0, 0.995, 0.992, 0.991]);
        assert!(progress.finished);
        assert_eq!((progress.best_epoch, progress.counted_rmse), (3, Some(1.0)));
        assert!(epochs(&[1.0, 0.5, 0.6, 0.7, 0.8]).finished);
    }
}
