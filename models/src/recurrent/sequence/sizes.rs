//! Which number of a network's parameters is which.

use std::ops::Range;

/// Sizes of GRU layers with a linear head, and where each of PyTorch's tensors lies in one flat
/// vector of parameters: `gru.weight_ih_lN`, `gru.weight_hh_lN`, `gru.bias_ih_lN`, `gru.bias_hh_lN`
/// of each layer, then `fc.weight` and `fc.bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceSizes {
    /// Numbers of each step.
    pub inputs: usize,
    /// Units of each layer.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Numbers that the head makes of each step.
    pub outputs: usize,
}

/// One tensor of the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceTensor {
    /// Name, as PyTorch has it.
    pub name: String,
    /// Shape; row-major.
    pub shape: Vec<usize>,
    /// Where it lies.
    pub range: Range<usize>,
}

/// The parts of one layer.
pub(super) struct LayerRanges {
    pub inputs: usize,
    pub weight_ih: Range<usize>,
    pub weight_hh: Range<usize>,
    pub bias_ih: Range<usize>,
    pub bias_hh: Range<usize>,
}

impl SequenceSizes {
    /// All parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.head().1.end
    }

    pub(super) fn layer(&self, layer: usize) -> LayerRanges {
        let gates = 3 * self.hidden;
        let length = |inputs: usize| gates * (inputs + self.hidden + 2);
        let (inputs, begin) = match layer {
            0 => (self.inputs, 0),
            _ => (self.hidden, length(self.inputs) + (layer - 1) * length(self.hidden)),
        };
        let mut end = begin;
        let mut next = |count: usize| {
            end += count;
            end - count..end
        };
        let (weight_ih, weight_hh) = (next(gates * inputs), next(gates * self.hidden));
        LayerRanges { inputs, weight_ih, weight_hh, bias_ih: next(gates), bias_hh: next(gates) }
    }

    /// Weight and bias of the head.
    pub(super) fn head(&self) -> (Range<usize>, Range<usize>) {
        let begin = self.layers.checked_sub(1).map_or(0, |last| self.layer(last).bias_hh.end);
        let middle = begin + self.outputs * self.hidden;
        (begin..middle, middle..middle + self.outputs)
    }

    /// Every tensor, in the order in which they lie.
    #[must_use]
    pub fn tensors(&self) -> Vec<SequenceTensor> {
        let gates = 3 * self.hidden;
        let mut tensors = Vec::with_capacity(4 * self.layers + 2);
        let mut push = |name: String, shape: Vec<usize>, range| {
            tensors.push(SequenceTensor { name, shape, range });
        };
        for index in 0..self.layers {
            let layer = self.layer(index);
            let name = |part: &str| format!("gru.{part}_l{index}");
            push(name("weight_ih"), vec![gates, layer.inputs], layer.weight_ih);
            push(name("weight_hh"), vec![gates, self.hidden], layer.weight_hh);
            push(name("bias_ih"), vec![gates], layer.bias_ih);
            push(name("bias_hh"), vec![gates], layer.bias_hh);
        }
        let (weight, bias) = self.head();
        push("fc.weight".to_owned(), vec![self.outputs, self.hidden], weight);
        push("fc.bias".to_owned(), vec![self.outputs], bias);
        tensors
    }
}
