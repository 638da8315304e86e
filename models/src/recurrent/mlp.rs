//! Dense layers with an activation between them.

use super::dense::{Dense, ROW_MULTIPLE};
use super::error::check_rows;
use super::gru_layer::Rows;
use super::weights_file::{MAX_FILE, ReadLinear, read_linear, two_sizes};
use super::{Activation, LinearWeights, MlpWeights, NetworkError, StepError, StepOptions};
use crate::bounded_file;
use crate::engine::isa::Isa;
use crate::tensor_file::TensorFile;
use std::path::Path;

/// Linear layers with an activation between them; see the [module](super).
pub struct MlpNetwork {
    inputs: usize,
    outputs: usize,
    rows: usize,
    layers: Vec<Dense>,
    /// Inputs of a step, each row filled up with zeros.
    input_rows: Vec<f32>,
    input_stride: usize,
    /// Results of each layer, row after row.
    results: Vec<Vec<f32>>,
}

/// What lies between and behind the layers of an [`MlpNetwork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpActivations {
    /// After every layer but the last.
    pub between: Activation,
    /// After the last layer.
    pub last: Option<Activation>,
}

/// Where the tensors of an [`MlpNetwork`] are in a file.
#[derive(Clone, Copy, Debug)]
pub struct MlpTensors<'a> {
    /// Prefix of `weight` and `bias` of each layer, first layer first: `0.`, `2.`, `4.` for a
    /// `torch.nn.Sequential` of linear layers and activations.
    pub layers: &'a [&'a str],
    /// Tensors that may be in the file and are not read.
    pub others: &'a [&'a str],
}

impl MlpNetwork {
    /// Packs the weights.
    ///
    /// # Errors
    /// [`NetworkError`] naming the size or tensor.
    pub fn new(
        weights: &MlpWeights<'_>,
        activations: MlpActivations,
        options: StepOptions,
    ) -> Result<Self, NetworkError> {
        Self::for_isa(weights, activations, options, Isa::best())
    }

    pub(super) fn for_isa(
        weights: &MlpWeights<'_>,
        activations: MlpActivations,
        options: StepOptions,
        isa: Isa,
    ) -> Result<Self, NetworkError> {
        weights.check(options)?;
        let StepOptions { rows, precision } = options;
        let mut width = weights.inputs;
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (index, layer) in weights.layers.iter().enumerate() {
            let activation = if index + 1 == weights.layers.len() {
                activations.last
            } else {
                Some(activations.between)
            };
            layers.push(Dense::new(layer, width, activation, rows, precision, isa));
            width = layer.outputs;
        }
        let input_stride = weights.inputs.next_multiple_of(ROW_MULTIPLE);
        Ok(Self {
            inputs: weights.inputs,
            outputs: width,
            rows,
            input_rows: vec![0.0; rows * input_stride],
            input_stride,
            results: layers.iter().map(|layer| vec![0.0; rows * layer.stride()]).collect(),
            layers,
        })
    }

    /// Reads a safetensors file with PyTorch's names; sizes come from the tensors. Tensors that the
    /// network does not use are refused unless `tensors` names them.
    ///
    /// # Errors
    /// [`NetworkError`] naming the file and the tensor.
    pub fn from_safetensors(
        file: &Path,
        tensors: MlpTensors<'_>,
        activations: MlpActivations,
        options: StepOptions,
    ) -> Result<Self, NetworkError> {
        let bytes = bounded_file::read(file, MAX_FILE)?;
        let mut source = TensorFile::parse(file, &bytes)?;
        let mut read: Vec<ReadLinear> = Vec::with_capacity(tensors.layers.len());
        for prefix in tensors.layers {
            let inputs = read.last().map(ReadLinear::outputs);
            read.push(read_linear(&mut source, prefix, inputs)?);
        }
        let inputs = match tensors.layers.first() {
            Some(prefix) => two_sizes(&source, &format!("{prefix}weight"), "[outputs, inputs]")?.1,
            None => 0,
        };
        source.expect(|name| tensors.others.contains(&name));
        source.finish()?;
        let layers: Vec<LinearWeights<'_>> = read.iter().map(ReadLinear::weights).collect();
        Self::new(&MlpWeights { inputs, layers: &layers }, activations, options)
    }

    /// Numbers in a row of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers in a row of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Rows of a step.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One step of all rows: `inputs` are `rows` rows of [`inputs`](Self::inputs) numbers,
    /// `outputs` as many rows of [`outputs`](Self::outputs). Allocates nothing.
    ///
    /// # Errors
    /// [`StepError`] for lengths and for numbers that are not finite.
    pub fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), StepError> {
        check_rows(("inputs", "input"), inputs, self.rows, self.inputs)?;
        let needed = self.rows * self.outputs;
        if outputs.len() != needed {
            let (found, rows) = (outputs.len(), self.rows);
            return Err(StepError::Length { what: "outputs", found, needed, rows });
        }
        let rows = self.input_rows.chunks_exact_mut(self.input_stride);
        for (row, inputs) in rows.zip(inputs.chunks_exact(self.inputs)) {
            row[..self.inputs].copy_from_slice(inputs);
        }
        let mut below = Rows { values: &self.input_rows, stride: self.input_stride };
        for (layer, results) in self.layers.iter().zip(&mut self.results) {
            layer.apply(below, results);
            below = Rows { values: results, stride: layer.stride() };
        }
        below.copy_to(outputs, self.outputs);
        check_rows(("outputs", "output"), outputs, self.rows, self.outputs)
    }
}
