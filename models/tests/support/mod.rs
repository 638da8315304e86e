//! Copies of recorded checkpoints that a test may change.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod scene;
pub mod torch_file;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Folder of a recorded checkpoint.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

/// Type, shape and bytes of a tensor.
pub type Tensor = (Dtype, Vec<usize>, Vec<u8>);

/// A tensor of 32-bit floating-point numbers.
pub fn floats(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Tensor {
    (Dtype::F32, shape.to_vec(), values.into_iter().flat_map(f32::to_le_bytes).collect())
}

/// Numbers of a tensor.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.2.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// A copy of a recorded checkpoint.
pub struct Checkpoint(TempDir);

impl Checkpoint {
    /// Copies the fixture of this name.
    pub fn copy(name: &str) -> Self {
        Self::copy_of(&fixture(name))
    }

    /// Copies a folder.
    pub fn copy_of(from: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            std::fs::write(folder.path().join(entry.file_name()), bytes).unwrap();
        }
        Self(folder)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Changes a JSON file.
    pub fn edit_json(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let file = self.path().join(file);
        let mut value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        edit(&mut value);
        std::fs::write(file, value.to_string()).unwrap();
    }

    /// Changes one key of `config.json`.
    pub fn set(&self, key: &str, new: Value) {
        self.edit_json("config.json", |config| config[key] = new);
    }

    /// Changes the tensors of a file; metadata is kept.
    pub fn edit_tensors(&self, file: &str, edit: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
        let file = self.path().join(file);
        let bytes = std::fs::read(&file).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata: Option<HashMap<String, String>> = metadata.metadata().clone();
        let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
        let owned = |(name, view): (String, TensorView<'_>)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        let mut tensors: BTreeMap<String, Tensor> = tensors.into_iter().map(owned).collect();
        edit(&mut tensors);
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        std::fs::write(&file, safetensors::serialize(views, metadata).unwrap()).unwrap();
    }

    /// Changes the tensors of `model.safetensors`.
    pub fn edit_weights(&self, edit: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
        self.edit_tensors("model.safetensors", edit);
    }

    /// The message with which loading fails.
    pub fn refusal(&self) -> String {
        let error = sinew_models::load(self.path(), &sinew_models::LoadOptions::default())
            .err()
            .expect("the checkpoint was accepted");
        let message = error.to_string();
        let folder = self.path().display().to_string();
        assert!(message.contains(&folder), "names no file: {message}");
        message
    }
}
