//! GRU layers with a state, and a linear head.

use super::dense::{Dense, ROW_MULTIPLE};
use super::error::check_rows;
use super::gru_layer::{GruLayer, Rows};
use super::weights::MAX_LAYERS;
use super::weights_file::{MAX_FILE, ReadLinear, read_linear, take, take_optional, two_sizes};
use super::{GruLayerWeights, GruWeights, NetworkError, StepError, StepOptions};
use crate::bounded_file;
use crate::engine::isa::Isa;
use crate::tensor_file::TensorFile;
use std::path::Path;

/// `torch.nn.GRU` with any number of layers, and a linear head; see the [module](super).
pub struct GruNetwork {
    inputs: usize,
    hidden: usize,
    outputs: usize,
    rows: usize,
    layers: Vec<GruLayer>,
    head: Option<Dense>,
    /// Inputs of a step, each row filled up with zeros.
    input_rows: Vec<f32>,
    input_stride: usize,
    /// State of each layer, row after row of the layer's stride, and where the next one is made.
    states: Vec<(Vec<f32>, Vec<f32>)>,
    /// Results of the head, row after row.
    results: Vec<f32>,
}

/// Where the tensors of a [`GruNetwork`] are in a file.
#[derive(Clone, Copy, Debug)]
pub struct GruTensors<'a> {
    /// Prefix of `weight_ih_l0` and the others: `gru.` for a module called `gru`.
    pub gru: &'a str,
    /// Prefix of the head's `weight` and `bias`: `linear.`, `fc.`; without it there is no head.
    pub head: Option<&'a str>,
    /// Tensors that may be in the file and are not read, such as statistics that ride along.
    pub others: &'a [&'a str],
}

impl GruNetwork {
    /// Packs the weights and begins with a state of zeros.
    ///
    /// # Errors
    /// [`NetworkError`] naming the size or tensor.
    pub fn new(weights: &GruWeights<'_>, options: StepOptions) -> Result<Self, NetworkError> {
        Self::for_isa(weights, options, Isa::best())
    }

    pub(super) fn for_isa(
        weights: &GruWeights<'_>,
        options: StepOptions,
        isa: Isa,
    ) -> Result<Self, NetworkError> {
        weights.check(options)?;
        let GruWeights { inputs, hidden, layers, head } = *weights;
        let StepOptions { rows, precision } = options;
        let layers: Vec<GruLayer> = layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                let inputs = if index == 0 { inputs } else { hidden };
                GruLayer::new(layer, inputs, hidden, rows, precision, isa)
            })
            .collect();
        let head = head.map(|head| Dense::new(&head, hidden, None, rows, precision, isa));
        let zeros = |stride: usize| vec![0.0; rows * stride];
        let input_stride = inputs.next_multiple_of(ROW_MULTIPLE);
        Ok(Self {
            inputs,
            hidden,
            outputs: head.as_ref().map_or(hidden, Dense::outputs),
            rows,
            input_rows: zeros(input_stride),
            input_stride,
            states: layers.iter().map(|l| (zeros(l.stride()), zeros(l.stride()))).collect(),
            results: head.as_ref().map_or_else(Vec::new, |head| zeros(head.stride())),
            layers,
            head,
        })
    }

    /// Reads a safetensors file with PyTorch's names; sizes come from the tensors. Tensors that the
    /// network does not use are refused unless `tensors` names them.
    ///
    /// # Errors
    /// [`NetworkError`] naming the file and the tensor.
    pub fn from_safetensors(
        file: &Path,
        tensors: GruTensors<'_>,
        options: StepOptions,
    ) -> Result<Self, NetworkError> {
        let bytes = bounded_file::read(file, MAX_FILE)?;
        let mut source = TensorFile::parse(file, &bytes)?;
        let name = |tensor: &str, layer: usize| format!("{}{tensor}_l{layer}", tensors.gru);
        let count = (0..MAX_LAYERS + 1)
            .take_while(|layer| *layer == 0 || source.shape(&name("weight_ih", *layer)).is_some())
            .count();
        let hidden = two_sizes(&source, &name("weight_hh", 0), "[3 * hidden, hidden]")?.1;
        let inputs = two_sizes(&source, &name("weight_ih", 0), "[3 * hidden, inputs]")?.1;
        let mut read = Vec::with_capacity(count);
        for layer in 0..count {
            let inputs = if layer == 0 { inputs } else { hidden };
            let gates = hidden.saturating_mul(3);
            read.push((
                take(&mut source, &name("weight_ih", layer), &[gates, inputs])?,
                take(&mut source, &name("weight_hh", layer), &[gates, hidden])?,
                take_optional(&mut source, &name("bias_ih", layer), &[gates])?,
                take_optional(&mut source, &name("bias_hh", layer), &[gates])?,
            ));
        }
        let head = tensors
            .head
            .map(|prefix| read_linear(&mut source, prefix, Some(hidden)))
            .transpose()?;
        source.expect(|name| tensors.others.contains(&name));
        source.finish()?;
        let layers: Vec<GruLayerWeights<'_>> = read
            .iter()
            .map(|(weight_ih, weight_hh, bias_ih, bias_hh)| GruLayerWeights {
                weight_ih,
                weight_hh,
                bias_ih: bias_ih.as_deref(),
                bias_hh: bias_hh.as_deref(),
            })
            .collect();
        let head = head.as_ref().map(ReadLinear::weights);
        Self::new(&GruWeights { inputs, hidden, layers: &layers, head }, options)
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

    /// Numbers in one layer's state.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Rows of a step.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// State of a layer in a row.
    ///
    /// # Panics
    /// Where there is no such layer or row.
    #[must_use]
    pub fn state(&self, layer: usize, row: usize) -> &[f32] {
        &self.states[layer].0[row * self.layers[layer].stride()..][..self.hidden]
    }

    /// Continues from another state.
    ///
    /// # Errors
    /// [`StepError`] for another length or a number that is not finite.
    ///
    /// # Panics
    /// Where there is no such layer or row.
    pub fn set_state(&mut self, layer: usize, row: usize, state: &[f32]) -> Result<(), StepError> {
        check_rows(("state", "state"), state, 1, self.hidden)?;
        let start = row * self.layers[layer].stride();
        self.states[layer].0[start..][..self.hidden].copy_from_slice(state);
        Ok(())
    }

    /// Begins a row again with a state of zeros.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn reset(&mut self, row: usize) {
        for (layer, (state, _)) in self.layers.iter().zip(&mut self.states) {
            state[row * layer.stride()..][..layer.stride()].fill(0.0);
        }
    }

    /// Begins all rows again.
    pub fn reset_all(&mut self) {
        for (state, _) in &mut self.states {
            state.fill(0.0);
        }
    }

    /// One step of all rows: `inputs` are `rows` rows of [`inputs`](Self::inputs) numbers,
    /// `outputs` as many rows of [`outputs`](Self::outputs). Allocates nothing.
    ///
    /// # Errors
    /// [`StepError`] for lengths and for numbers that are not finite; the states are then those
    /// before the step.
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
        self.compute(outputs);
        check_rows(("outputs", "output"), outputs, self.rows, self.outputs)?;
        self.advance();
        Ok(())
    }

    /// One step of all rows, each of which goes its own way: where inputs or outputs are not finite,
    /// `usable` becomes false and the row's state stays as it was. Allocates nothing.
    ///
    /// # Panics
    /// For other lengths than `rows` rows of inputs and outputs, and one `usable` for each.
    pub(crate) fn step_rows(&mut self, inputs: &[f32], outputs: &mut [f32], usable: &mut [bool]) {
        assert_eq!(inputs.len(), self.rows * self.inputs);
        assert_eq!((outputs.len(), usable.len()), (self.rows * self.outputs, self.rows));
        let all_finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let rows = self.input_rows.chunks_exact_mut(self.input_stride);
        for ((row, inputs), usable) in
            rows.zip(inputs.chunks_exact(self.inputs)).zip(usable.iter_mut())
        {
            *usable = all_finite(inputs);
            if *usable {
                row[..self.inputs].copy_from_slice(inputs);
            } else {
                row.fill(0.0);
            }
        }
        self.compute(outputs);
        for (row, usable) in usable.iter_mut().enumerate() {
            *usable &= all_finite(&outputs[row * self.outputs..][..self.outputs]);
            if !*usable {
                for (layer, (state, next)) in self.layers.iter().zip(&mut self.states) {
                    let place = row * layer.stride()..(row + 1) * layer.stride();
                    next[place.clone()].copy_from_slice(&state[place]);
                }
            }
        }
        self.advance();
    }

    /// From `input_rows` to outputs and next states.
    fn compute(&mut self, outputs: &mut [f32]) {
        let mut below = Rows { values: &self.input_rows, stride: self.input_stride };
        for (layer, (state, next)) in self.layers.iter().zip(&mut self.states) {
            layer.step(below, state, next);
            below = Rows { values: next, stride: layer.stride() };
        }
        let results = match &self.head {
            Some(head) => {
                head.apply(below, &mut self.results);
                Rows { values: &self.results, stride: head.stride() }
            }
            None => below,
        };
        results.copy_to(outputs, self.outputs);
    }

    /// Next states become the present ones.
    fn advance(&mut self) {
        for (state, next) in &mut self.states {
            std::mem::swap(state, next);
        }
    }
}
