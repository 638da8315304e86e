//! Linear layer.

use crate::engine::Engine;
use crate::engine::panels::{Panels, Precision};
use crate::engine::product::{Finish, Left, Rows};

/// `y = x W^T + b` for rows of values.
pub(crate) struct Linear {
    panels: Panels,
    bias: Vec<f32>,
}

impl Linear {
    /// Takes `weight` as `[outputs, inputs]`, the number of outputs from `bias`.
    pub(crate) fn new(weight: &[f32], bias: Vec<f32>, precision: Precision) -> Self {
        debug_assert_eq!(weight.len() % bias.len(), 0);
        let inputs = weight.len() / bias.len();
        Self { panels: Panels::transposed(weight, inputs, precision), bias }
    }

    /// Values of one input row.
    pub(crate) fn inputs(&self) -> usize {
        self.panels.depth()
    }

    /// Values of one output row.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// One value per output.
    pub(crate) fn bias_values(&self) -> &[f32] {
        &self.bias
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.bytes()
    }

    /// Multiply-adds for one row.
    pub(crate) fn products(&self) -> usize {
        self.panels.depth() * self.panels.columns()
    }

    /// Applies the layer to every row of `input`.
    pub(crate) fn forward(&self, engine: &Engine, input: &[f32], output: &mut [f32]) {
        self.finish(engine, input, self.bias(), output);
    }

    /// Applies the layer and adds the result to `output`.
    pub(crate) fn accumulate(&self, engine: &Engine, input: &[f32], output: &mut [f32]) {
        self.finish(engine, input, self.bias().and_accumulate(), output);
    }

    /// The layer's bias, as the end of a product.
    pub(crate) fn bias(&self) -> Finish<'_> {
        Finish::bias(&self.bias)
    }

    /// Like [`Linear::forward`] with `finish` in the place of the bias.
    pub(crate) fn finish(
        &self,
        engine: &Engine,
        input: &[f32],
        finish: Finish<'_>,
        output: &mut [f32],
    ) {
        let left = Left::matrix(input, self.panels.depth());
        debug_assert_eq!(left.count * self.outputs(), output.len());
        engine.multiply(left, &self.panels, finish, output, Rows::every(self.outputs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_the_bias_to_every_row() {
        let weight = [1.0, 2.0, 3.0, -1.0, 0.5, 0.0];
        let layer = Linear::new(&weight, vec![10.0, 20.0], Precision::F32);
        for engine in Engine::all() {
            let mut output = [0.0; 4];
            layer.forward(&engine, &[1.0, 1.0, 1.0, 2.0, 0.0, -1.0], &mut output);
            assert_eq!(output, [16.0, 19.5, 9.0, 18.0]);
        }
    }
}
