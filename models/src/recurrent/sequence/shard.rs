//! Some sequences of a batch, forwards and backwards on one thread.
//!
//! Time is cut into blocks of a few steps: what a block computes in one layer is still in the cache
//! when the next layer reads it, and a weight's gradient is one product per block.

use super::gates::{Derivatives, Gates, Mask};
use super::product::{LeftSide, RightSide, Start, multiply};
use super::sizes::SequenceSizes;
use super::weights::PackedWeights;
use crate::engine::isa::Isa;
use std::ops::Range;

/// Rows of all steps of a block together.
const BLOCK_ROWS: usize = 128;

/// Between the rows of gates' derivatives: columns of them are read, and distances of a power of
/// two would fall into few lines of the cache.
const GATE_PADDING: usize = 16;

/// What all shards share.
pub(super) struct Shared<'a> {
    pub isa: Isa,
    pub sizes: SequenceSizes,
    pub steps: usize,
    pub parameters: &'a [f32],
    pub packed: &'a PackedWeights,
    /// Dropout between layers: probability and seed.
    pub dropout: Option<(f32, u64)>,
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Shard {
    rows: usize,
    /// `[steps, rows, inputs]`.
    inputs: Vec<f32>,
    layers: Vec<LayerMemory>,
    /// `[block, 3 hidden]`.
    of_input: Vec<f32>,
    /// `[rows, 3 hidden]`.
    of_state: Vec<f32>,
    /// Derivatives of gates: `[block, 4 hidden + padding]`.
    gates: Vec<f32>,
    /// Derivative of what a layer gives to the one above: `[block, hidden]`.
    above: Vec<f32>,
    below: Vec<f32>,
    right: RightSide,
}

#[derive(Default)]
struct LayerMemory {
    /// States, the first is zero: `[steps + 1, rows, hidden]`.
    states: Vec<f32>,
    /// As [`Gates::kept`]: `[steps, rows, 4 hidden]`.
    kept: Vec<f32>,
    /// What the next layer sees, where there is dropout: `[steps, rows, hidden]`.
    dropped: Vec<f32>,
    /// Derivative of the state: `[rows, hidden]`.
    derivative: Vec<f32>,
}

impl Shard {
    /// From `[rows, steps, inputs]` to `[rows, steps, outputs]`. `first` is the number of the first
    /// row in the batch.
    pub(super) fn forward(
        &mut self,
        shared: &Shared<'_>,
        first: usize,
        inputs: &[f32],
        outputs: &mut [f32],
    ) {
        let SequenceSizes { inputs: width, hidden, layers, .. } = shared.sizes;
        let steps = shared.steps;
        let rows = inputs.len() / (width * steps);
        self.rows = rows;
        self.inputs.resize(steps * rows * width, 0.0);
        for (row, inputs) in inputs.chunks_exact(steps * width).enumerate() {
            for (step, inputs) in inputs.chunks_exact(width).enumerate() {
                self.inputs[(step * rows + row) * width..][..width].copy_from_slice(inputs);
            }
        }
        self.layers.resize_with(layers, LayerMemory::default);
        for memory in &mut self.layers {
            memory.states.resize((steps + 1) * rows * hidden, 0.0);
            memory.states[..rows * hidden].fill(0.0);
            memory.kept.resize(steps * rows * 4 * hidden, 0.0);
        }
        let block = self.block();
        self.of_input.resize(block * rows * 3 * hidden, 0.0);
        self.of_state.resize(rows * 3 * hidden, 0.0);
        for begin in (0..steps).step_by(block) {
            let block = begin..steps.min(begin + block);
            for layer in 0..layers {
                self.layer_forward(shared, layer, first, block.clone());
            }
            self.head_forward(shared, block, outputs);
        }
    }

    /// Steps of a block.
    fn block(&self) -> usize {
        (BLOCK_ROWS / self.rows.max(1)).max(1)
    }

    /// What a layer sees in these steps.
    fn seen<'a>(
        (inputs, layers): (&'a [f32], &'a [LayerMemory]),
        shared: &Shared<'_>,
        rows: usize,
        block: &Range<usize>,
    ) -> &'a [f32] {
        let SequenceSizes { inputs: width, hidden, .. } = shared.sizes;
        match layers.last() {
            None => &inputs[block.start * rows * width..block.end * rows * width],
            Some(below) if shared.dropout.is_some() => {
                &below.dropped[block.start * rows * hidden..block.end * rows * hidden]
            }
            Some(below) => {
                &below.states[(block.start + 1) * rows * hidden..(block.end + 1) * rows * hidden]
            }
        }
    }

    fn layer_forward(
        &mut self,
        shared: &Shared<'_>,
        index: usize,
        first: usize,
        block: Range<usize>,
    ) {
        let (isa, hidden, rows) = (shared.isa, shared.sizes.hidden, self.rows);
        let (packed, ranges) = (&shared.packed.layers[index], shared.sizes.layer(index));
        let (below, rest) = self.layers.split_at_mut(index);
        let memory = &mut rest[0];
        let seen = Self::seen((&self.inputs, below), shared, rows, &block);
        let left = LeftSide::Rows { values: seen, step: ranges.inputs };
        let bias = Start::Bias(&shared.parameters[ranges.bias_ih]);
        let count = block.len() * rows;
        multiply(isa, (left, count), &packed.of_input, bias, (&mut self.of_input, 3 * hidden));
        let of_inputs = self.of_input.chunks_exact(rows * 3 * hidden);
        for (step, of_input) in block.clone().zip(of_inputs) {
            let (before, after) = memory.states.split_at_mut((step + 1) * rows * hidden);
            let before = &before[step * rows * hidden..];
            let left = LeftSide::Rows { values: before, step: hidden };
            let bias = Start::Bias(&shared.parameters[ranges.bias_hh.clone()]);
            let out = (self.of_state.as_mut_slice(), 3 * hidden);
            multiply(isa, (left, rows), &packed.of_state, bias, out);
            let kept = &mut memory.kept[step * rows * 4 * hidden..][..rows * 4 * hidden];
            let of_state = &self.of_state;
            let after = &mut after[..rows * hidden];
            Gates { hidden, of_input, of_state, before, kept, after }.run(isa);
        }
        if let Some((probability, seed)) = shared.dropout
            && index + 1 < shared.sizes.layers
        {
            let mask = Mask::new(probability, seed, index);
            memory.dropped.resize(shared.steps * rows * hidden, 0.0);
            for step in block {
                for row in 0..rows {
                    let at = (step * rows + row) * hidden;
                    let from = &memory.states[at + rows * hidden..][..hidden];
                    let place = ((first + row) * shared.steps + step) * hidden;
                    mask.apply(isa, place as u32, from, &mut memory.dropped[at..][..hidden]);
                }
            }
        }
    }

    fn head_forward(&self, shared: &Shared<'_>, block: Range<usize>, outputs: &mut [f32]) {
        let (SequenceSizes { hidden, outputs: width, .. }, rows) = (shared.sizes, self.rows);
        let (weight, bias) = shared.sizes.head();
        let (weight, bias) = (&shared.parameters[weight], &shared.parameters[bias]);
        let Some(top) = self.layers.last() else { return };
        for step in block {
            let states = top.states[(step + 1) * rows * hidden..].chunks_exact(hidden);
            for (row, state) in (0..rows).zip(states) {
                let outputs = &mut outputs[(row * shared.steps + step) * width..][..width];
                let lines = weight.chunks_exact(hidden).zip(bias);
                for (output, (line, bias)) in outputs.iter_mut().zip(lines) {
                    *output = bias + dot(line, state);
                }
            }
        }
    }

    /// Adds to `gradient`, from the derivative of the outputs: `[rows, steps, outputs]`. Must follow
    /// [`forward`](Self::forward).
    pub(super) fn backward(
        &mut self,
        shared: &Shared<'_>,
        first: usize,
        outputs: &[f32],
        gradient: &mut [f32],
    ) {
        let (SequenceSizes { hidden, layers, .. }, rows) = (shared.sizes, self.rows);
        for memory in &mut self.layers {
            memory.derivative.clear();
            memory.derivative.resize(rows * hidden, 0.0);
        }
        let (steps, block) = (shared.steps, self.block());
        self.gates.resize(block * rows * (4 * hidden + GATE_PADDING), 0.0);
        self.above.resize(block * rows * hidden, 0.0);
        self.below.resize(block * rows * hidden, 0.0);
        for begin in (0..steps).step_by(block).rev() {
            let block = begin..steps.min(begin + block);
            self.head_backward(shared, block.clone(), outputs, gradient);
            for layer in (0..layers).rev() {
                self.layer_backward(shared, layer, first, block.clone(), gradient);
                std::mem::swap(&mut self.above, &mut self.below);
            }
        }
    }

    fn head_backward(
        &mut self,
        shared: &Shared<'_>,
        block: Range<usize>,
        outputs: &[f32],
        gradient: &mut [f32],
    ) {
        let (SequenceSizes { hidden, outputs: width, .. }, rows) = (shared.sizes, self.rows);
        let (weight_range, bias_range) = shared.sizes.head();
        let weight = &shared.parameters[weight_range.clone()];
        let Some(top) = self.layers.last() else { return };
        let mut above = self.above.chunks_exact_mut(hidden);
        for step in block {
            let states = top.states[(step + 1) * rows * hidden..].chunks_exact(hidden);
            for ((row, state), above) in (0..rows).zip(states).zip(&mut above) {
                above.fill(0.0);
                let outputs = &outputs[(row * shared.steps + step) * width..][..width];
                for (index, derivative) in outputs.iter().enumerate() {
                    let line = index * hidden..(index + 1) * hidden;
                    add_scaled(above, *derivative, &weight[line.clone()]);
                    let of_weight = &mut gradient[weight_range.clone()][line];
                    add_scaled(of_weight, *derivative, state);
                    gradient[bias_range.start + index] += derivative;
                }
            }
        }
    }

    fn layer_backward(
        &mut self,
        shared: &Shared<'_>,
        index: usize,
        first: usize,
        block: Range<usize>,
        gradient: &mut [f32],
    ) {
        let (isa, hidden, rows) = (shared.isa, shared.sizes.hidden, self.rows);
        let (packed, ranges) = (&shared.packed.layers[index], shared.sizes.layer(index));
        let gate_step = 4 * hidden + GATE_PADDING;
        let (below, rest) = self.layers.split_at_mut(index);
        let memory = &mut rest[0];
        for step in block.clone().rev() {
            let at = (step - block.start) * rows;
            let gates = &mut self.gates[at * gate_step..][..rows * gate_step];
            Derivatives {
                hidden,
                kept: &memory.kept[step * rows * 4 * hidden..][..rows * 4 * hidden],
                before: &memory.states[step * rows * hidden..][..rows * hidden],
                above: &self.above[at * hidden..][..rows * hidden],
                state: &mut memory.derivative,
                gates,
                step: gate_step,
            }
            .run(isa);
            let left = LeftSide::Rows { values: &gates[hidden..], step: gate_step };
            let out = (memory.derivative.as_mut_slice(), hidden);
            multiply(isa, (left, rows), &packed.to_state, Start::Accumulate, out);
        }
        let count = block.len() * rows;
        let gates = &self.gates[..count * gate_step];
        for row in gates.chunks_exact(gate_step) {
            // New, reset, update, new's product.
            let (input, state) = (&row[..3 * hidden], &row[hidden..4 * hidden]);
            let bias = &mut gradient[ranges.bias_ih.clone()];
            add(&mut bias[2 * hidden..], &input[..hidden]);
            add(&mut bias[..2 * hidden], &input[hidden..]);
            add(&mut gradient[ranges.bias_hh.clone()], state);
        }
        let before = &memory.states[block.start * rows * hidden..block.end * rows * hidden];
        self.right.pack(isa, before, hidden, hidden);
        let left = LeftSide::Columns { values: &gates[hidden..], step: gate_step };
        let out = (&mut gradient[ranges.weight_hh.clone()], hidden);
        multiply(isa, (left, 3 * hidden), &self.right, Start::Accumulate, out);

        let seen = Self::seen((&self.inputs, below), shared, rows, &block);
        self.right.pack(isa, seen, ranges.inputs, ranges.inputs);
        let of_weight = &mut gradient[ranges.weight_ih.clone()];
        let (others, new) = of_weight.split_at_mut(2 * hidden * ranges.inputs);
        for (begin, out) in [(0, new), (hidden, others)] {
            let left = LeftSide::Columns { values: &gates[begin..], step: gate_step };
            let count = out.len() / ranges.inputs;
            let out = (out, ranges.inputs);
            multiply(isa, (left, count), &self.right, Start::Accumulate, out);
        }
        if index > 0 {
            let left = LeftSide::Rows { values: gates, step: gate_step };
            let out = (self.below.as_mut_slice(), hidden);
            multiply(isa, (left, count), &packed.to_input, Start::Zero, out);
            if let Some((probability, seed)) = shared.dropout {
                let mask = Mask::new(probability, seed, index - 1);
                // Here and in the swap, what was `above` is free.
                for (at, values) in self.below[..count * hidden].chunks_exact(hidden).enumerate() {
                    let (step, row) = (block.start + at / rows, at % rows);
                    let place = ((first + row) * shared.steps + step) * hidden;
                    mask.apply(isa, place as u32, values, &mut self.above[at * hidden..][..hidden]);
                }
                std::mem::swap(&mut self.above, &mut self.below);
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0_f32; 16];
    for (a, b) in a.0.iter().zip(b.0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn add(to: &mut [f32], values: &[f32]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
}

fn add_scaled(to: &mut [f32], scale: f32, values: &[f32]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += scale * value);
}
