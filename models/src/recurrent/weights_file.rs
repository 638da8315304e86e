//! Weights from a safetensors file with PyTorch's names.

use super::{LinearWeights, NetworkError};
use crate::tensor_file::{TensorError, TensorFile};

/// Largest file of weights that is read, in bytes.
pub(super) const MAX_FILE: u64 = 1 << 30;

/// A linear layer read from a file.
pub(super) struct ReadLinear {
    outputs: usize,
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl ReadLinear {
    pub(super) fn weights(&self) -> LinearWeights<'_> {
        let Self { outputs, ref weight, ref bias } = *self;
        LinearWeights { outputs, weight, bias: bias.as_deref() }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }
}

/// Reads `weight` and, where it is there, `bias`.
pub(super) fn read_linear(
    source: &mut TensorFile<'_>,
    prefix: &str,
    inputs: Option<usize>,
) -> Result<ReadLinear, NetworkError> {
    let name = format!("{prefix}weight");
    let (outputs, found) = two_sizes(source, &name, "[outputs, inputs]")?;
    let weight = take(source, &name, &[outputs, inputs.unwrap_or(found)])?;
    let bias = take_optional(source, &format!("{prefix}bias"), &[outputs])?;
    Ok(ReadLinear { outputs, weight, bias })
}

/// Both sizes of a matrix.
pub(super) fn two_sizes(
    source: &TensorFile<'_>,
    name: &str,
    needed: &'static str,
) -> Result<(usize, usize), NetworkError> {
    match source.shape(name) {
        Some(&[rows, columns]) => Ok((rows, columns)),
        Some(_) => Err(misshaped(source, name, needed.to_owned())),
        None => Err(missing(source, name, &[]).into()),
    }
}

/// A tensor of this shape.
pub(super) fn take(
    source: &mut TensorFile<'_>,
    name: &str,
    needed: &[usize],
) -> Result<Vec<f32>, NetworkError> {
    match source.shape(name) {
        None => Err(missing(source, name, needed).into()),
        Some(found) if found != needed => Err(misshaped(source, name, format!("{needed:?}"))),
        Some(_) => Ok(source.take_any_shape(name)?),
    }
}

/// A tensor of this shape, if it is there.
pub(super) fn take_optional(
    source: &mut TensorFile<'_>,
    name: &str,
    needed: &[usize],
) -> Result<Option<Vec<f32>>, NetworkError> {
    source.shape(name).is_some().then(|| take(source, name, needed)).transpose()
}

fn missing(source: &TensorFile<'_>, name: &str, needed: &[usize]) -> TensorError {
    TensorError::Missing {
        file: source.file().to_path_buf(),
        tensor: name.to_owned(),
        needed: format!("{needed:?}"),
        remedy: "name the prefix of the right module",
    }
}

fn misshaped(source: &TensorFile<'_>, name: &str, needed: String) -> NetworkError {
    NetworkError::Shape {
        file: source.file().to_path_buf(),
        tensor: name.to_owned(),
        found: source.shape(name).unwrap_or_default().to_vec(),
        needed,
    }
}
