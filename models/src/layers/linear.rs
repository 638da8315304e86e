//! Linear layer.

use super::matmul::{Destination, multiply, panels_of_transpose};

/// `y = x W^T + b` for rows of `inputs` values.
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// Takes `weight` as `[outputs, inputs]`, the number of outputs from `bias`.
    pub(crate) fn new(weight: &[f32], bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        debug_assert_eq!(weight.len() % outputs, 0);
        let inputs = weight.len() / outputs;
        Self { inputs, outputs, panels: panels_of_transpose(weight, inputs), bias }
    }

    /// Applies the layer to every row of `input`.
    pub(crate) fn forward(&self, input: &[f32], output: &mut [f32]) {
        debug_assert_eq!(input.len() / self.inputs * self.outputs, output.len());
        let destination =
            Destination { values: output, stride: self.outputs, first: 0, columns: self.outputs };
        multiply(input, self.inputs, &self.panels, destination);
        for row in output.chunks_exact_mut(self.outputs) {
            super::add_in_place(row, &self.bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_the_bias_to_every_row() {
        let layer = Linear::new(&[1.0, 2.0, 3.0, -1.0, 0.5, 0.0], vec![10.0, 20.0]);
        let mut output = [0.0; 4];
        layer.forward(&[1.0, 1.0, 1.0, 2.0, 0.0, -1.0], &mut output);
        assert_eq!(output, [16.0, 19.5, 9.0, 18.0]);
    }
}
