//! Why a network was not made, or not stepped.

use crate::bounded_file::ReadError;
use crate::quote::{quote, shape};
use crate::tensor_file::TensorError;
use std::path::PathBuf;

/// Why a network was not made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A size is zero or absurd.
    #[error("{what} is {value}, allowed are 1 to {limit}")]
    Size {
        /// Which size.
        what: &'static str,
        /// What was given.
        value: usize,
        /// Largest one allowed.
        limit: usize,
    },
    /// A slice of weights has another length.
    #[error("{tensor} holds {found} numbers, needed {needed}; give it in PyTorch's layout", needed = shape(needed), tensor = quote(tensor))]
    Length {
        /// Name of the tensor, as PyTorch has it.
        tensor: String,
        /// Numbers given.
        found: usize,
        /// Shape that is needed.
        needed: Vec<usize>,
    },
    /// A weight cannot be used.
    #[error("{tensor} holds {value:?} at index {index}, needed {needed}", tensor = quote(tensor))]
    Value {
        /// Name of the tensor, as PyTorch has it.
        tensor: String,
        /// Position of the first such number.
        index: usize,
        /// The number.
        value: f32,
        /// What is allowed, and the remedy.
        needed: &'static str,
    },
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tensor of the file is not usable.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A tensor of the file has a shape that no network of this kind has.
    #[error("{}: tensor {tensor} has shape {found}, needed {needed}; name the prefix of the right module", file.display(), found = shape(found), tensor = quote(tensor))]
    Shape {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// What is needed, in words.
        needed: String,
    },
}

/// Why a step was refused. The state is what it was before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepError {
    /// A slice has another length than the network was made for.
    #[error("{what} holds {found} numbers, needed {needed} ({rows} rows)")]
    Length {
        /// `inputs`, `outputs` or `state`.
        what: &'static str,
        /// Numbers given.
        found: usize,
        /// Numbers needed.
        needed: usize,
        /// Rows among which they are shared.
        rows: usize,
    },
    /// A number is not finite.
    #[error(
        "{what} {index} of row {row} is {value}, needed a finite number; the state stays as it was"
    )]
    NotFinite {
        /// `input`, `output` or `state`.
        what: &'static str,
        /// Row.
        row: usize,
        /// Position in the row.
        index: usize,
        /// The number.
        value: f32,
    },
}

/// Checks length and finiteness of what is `rows` rows of `width` numbers.
pub(super) fn check_rows(
    (whole, one): (&'static str, &'static str),
    values: &[f32],
    rows: usize,
    width: usize,
) -> Result<(), StepError> {
    let needed = rows * width;
    if values.len() != needed {
        return Err(StepError::Length { what: whole, found: values.len(), needed, rows });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(StepError::NotFinite {
            what: one,
            row: at / width,
            index: at % width,
            value: values[at],
        }),
        None => Ok(()),
    }
}
