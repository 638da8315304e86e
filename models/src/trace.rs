//! Intermediate results of an inference, by name.

use crate::engine::map::{Layout, MapSize};

/// One recorded tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceTensor {
    /// Name, for example `mid.encoder_out`.
    pub name: String,
    /// Shape as the original program stores it, including its batch axis of 1.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// Collects what passes through a network, for comparison with recorded runs of the original.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    tensors: Vec<TraceTensor>,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything recorded, in the order of computation.
    #[must_use]
    pub fn tensors(&self) -> &[TraceTensor] {
        &self.tensors
    }

    /// The tensor of this name, if it was recorded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TraceTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Appends each tensor of `other` to the tensor of its name, along the first axis.
    pub(crate) fn stack(&mut self, other: Self) {
        for tensor in other.tensors {
            match self.tensors.iter_mut().find(|own| own.name == tensor.name) {
                Some(own) => {
                    own.shape[0] += tensor.shape[0];
                    own.values.extend(tensor.values);
                }
                None => self.tensors.push(tensor),
            }
        }
    }

    /// Records a copy of a map as PyTorch orders it.
    pub(crate) fn record_map(&mut self, name: impl Into<String>, map: &[f32], layout: Layout) {
        let MapSize { height, width } = layout.size;
        let shape = [1, layout.channels, height, width];
        self.record(name, &shape, &layout.channels_first(map));
    }

    /// Records a copy of `values`.
    pub fn record(&mut self, name: impl Into<String>, shape: &[usize], values: &[f32]) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        let (name, shape, values) = (name.into(), shape.to_vec(), values.to_vec());
        self.tensors.push(TraceTensor { name, shape, values });
    }
}
