//! Sequences of rows of channels, and convolutions along them.
//!
//! A sequence has a border of rows of zeros at both ends, so that the patch under a kernel is a
//! run of whole rows and every convolution is one product.

use crate::engine::Engine;
use crate::engine::map::{Layout, MapSize};
use crate::engine::panels::{Panels, Precision};
use crate::engine::product::{Finish, Left, Rows};

/// Rows of values, `[border + length + border, channels]`; the border stays zero.
pub(crate) struct Sequence {
    values: Vec<f32>,
    length: usize,
    channels: usize,
    border: usize,
}

impl Sequence {
    /// Zeros.
    pub(crate) fn new(length: usize, channels: usize, border: usize) -> Self {
        let values = vec![0.0; Self::values_len(length, channels, border)];
        Self { values, length, channels, border }
    }

    /// Number of values, the border's included.
    pub(crate) fn values_len(length: usize, channels: usize, border: usize) -> usize {
        (length + 2 * border) * channels
    }

    /// The rows without the border.
    pub(crate) fn rows(&self) -> &[f32] {
        let edge = self.border * self.channels;
        &self.values[edge..edge + self.length * self.channels]
    }

    /// The rows without the border.
    pub(crate) fn rows_mut(&mut self) -> &mut [f32] {
        let edge = self.border * self.channels;
        &mut self.values[edge..edge + self.length * self.channels]
    }

    /// The rows without the border as a map of one column.
    pub(crate) fn layout(&self) -> Layout {
        let size = MapSize { height: self.length, width: 1 };
        Layout { size, channels: self.channels, border: 0 }
    }

    /// Writes rows side by side: those of `first`, then those of `second`.
    pub(crate) fn join(&mut self, first: &Self, second: &Self) {
        debug_assert_eq!(self.channels, first.channels + second.channels);
        let (first_width, second_width) = (first.channels, second.channels);
        let rows = first.rows().chunks_exact(first_width);
        let rows = rows.zip(second.rows().chunks_exact(second_width));
        let width = self.channels;
        for (out, (first, second)) in self.rows_mut().chunks_exact_mut(width).zip(rows) {
            let (left, right) = out.split_at_mut(first_width);
            left.copy_from_slice(first);
            right.copy_from_slice(second);
        }
    }

    /// Patches of `kernel` rows, the first of which begins `before` rows before the first row.
    fn patches(&self, before: usize, kernel: usize, stride: usize) -> Left<'_> {
        debug_assert!(before <= self.border && kernel <= before + 1 + self.border);
        Left {
            values: &self.values,
            count: self.length / stride,
            rows: Rows::every(stride * self.channels).from((self.border - before) * self.channels),
            segments: 1,
            segment_step: kernel * self.channels,
        }
    }
}

/// Convolution with an odd kernel and padding `kernel / 2`, at stride 1 or 2.
pub(crate) struct Convolution1d {
    panels: Panels,
    bias: Vec<f32>,
    kernel: usize,
    stride: usize,
}

impl Convolution1d {
    /// Takes `weight` as `[outputs, inputs, kernel]`, the number of outputs from `bias`.
    pub(crate) fn new(
        weight: &[f32],
        bias: Vec<f32>,
        (kernel, stride): (usize, usize),
        precision: Precision,
    ) -> Self {
        let inputs = weight.len() / bias.len() / kernel;
        debug_assert!(weight.len() == bias.len() * inputs * kernel && kernel % 2 == 1);
        let at = |row: usize, output: usize| {
            weight[(output * inputs + row % inputs) * kernel + row / inputs]
        };
        let panels = Panels::new(kernel * inputs, bias.len(), precision, at);
        Self { panels, bias, kernel, stride }
    }

    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.bytes()
    }

    /// Multiply-adds for one output row.
    pub(crate) fn products(&self) -> usize {
        self.panels.depth() * self.panels.columns()
    }

    /// Convolves `input`, at stride 2 every second row.
    pub(crate) fn forward(&self, engine: &Engine, input: &Sequence, output: &mut Sequence) {
        self.finish(engine, input, Finish::bias(&self.bias), output);
    }

    /// Convolves `input` and adds the result to `output`.
    pub(crate) fn accumulate(&self, engine: &Engine, input: &Sequence, output: &mut Sequence) {
        self.finish(engine, input, Finish::bias(&self.bias).and_accumulate(), output);
    }

    fn finish(&self, engine: &Engine, input: &Sequence, finish: Finish<'_>, output: &mut Sequence) {
        debug_assert_eq!(self.outputs(), output.channels);
        debug_assert_eq!(input.length / self.stride, output.length);
        let left = input.patches(self.kernel / 2, self.kernel, self.stride);
        let rows = Rows::every(output.channels);
        engine.multiply(left, &self.panels, finish, output.rows_mut(), rows);
    }
}

/// Transposed convolution of kernel 4, stride 2 and padding 1, which doubles the length.
///
/// Output row `2 i` is made of input rows `i - 1` and `i`, row `2 i + 1` of rows `i` and `i + 1`:
/// two products whose rows alternate.
pub(crate) struct Upsampling {
    even: Panels,
    odd: Panels,
    bias: Vec<f32>,
}

impl Upsampling {
    /// Kernel of the transposed convolution.
    pub(crate) const KERNEL: usize = 4;

    /// Takes `weight` as `[inputs, outputs, 4]`, the number of outputs from `bias`.
    pub(crate) fn new(weight: &[f32], bias: Vec<f32>, precision: Precision) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs / Self::KERNEL;
        let panels = |taps: [usize; 2]| {
            let at = |row: usize, output: usize| {
                let (tap, input) = (taps[row / inputs], row % inputs);
                weight[(input * outputs + output) * Self::KERNEL + tap]
            };
            Panels::new(2 * inputs, outputs, precision, at)
        };
        Self { even: panels([3, 1]), odd: panels([2, 0]), bias }
    }

    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> usize {
        self.even.bytes() + self.odd.bytes()
    }

    /// Multiply-adds for one input row.
    pub(crate) fn products(&self) -> usize {
        2 * self.even.depth() * self.even.columns()
    }

    /// Writes twice as many rows.
    pub(crate) fn forward(&self, engine: &Engine, input: &Sequence, output: &mut Sequence) {
        let width = output.channels;
        debug_assert!(width == self.outputs() && output.length == 2 * input.length);
        let finish = Finish::bias(&self.bias);
        for (panels, before) in [(&self.even, 1), (&self.odd, 0)] {
            let rows = Rows::every(2 * width).from((1 - before) * width);
            let left = input.patches(before, 2, 1);
            engine.multiply(left, panels, finish, output.rows_mut(), rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numbers;

    fn sequence(length: usize, channels: usize, border: usize) -> Sequence {
        let mut sequence = Sequence::new(length, channels, border);
        sequence.rows_mut().copy_from_slice(&numbers(length * channels, 1));
        sequence
    }

    /// Value of a row that may be outside.
    fn at(sequence: &Sequence, row: isize, channel: usize) -> f64 {
        let row = usize::try_from(row).ok().filter(|row| *row < sequence.length);
        row.map_or(0.0, |row| f64::from(sequence.rows()[row * sequence.channels + channel]))
    }

    fn assert_close(got: &[f32], expected: impl Fn(usize) -> f64) {
        for (index, got) in got.iter().enumerate() {
            let expected = expected(index);
            assert!((f64::from(*got) - expected).abs() < 1e-5, "{index}: {got} {expected}");
        }
    }

    #[test]
    fn convolution_equals_the_definition() {
        for (kernel, stride, length, inputs, outputs) in
            [(5, 1, 8, 3, 40), (5, 1, 2, 33, 7), (3, 2, 8, 5, 6), (1, 1, 4, 9, 3), (7, 1, 4, 2, 2)]
        {
            let input = sequence(length, inputs, 3);
            let weight = numbers(outputs * inputs * kernel, 2);
            let bias = numbers(outputs, 3);
            let layer = Convolution1d::new(&weight, bias.clone(), (kernel, stride), Precision::F32);
            let expected = |index: usize| {
                let (row, output) = (index / outputs, index % outputs);
                let mut sum = f64::from(bias[output]);
                for tap in 0..kernel {
                    let place = (row * stride + tap) as isize - (kernel / 2) as isize;
                    for channel in 0..inputs {
                        let weight = weight[(output * inputs + channel) * kernel + tap];
                        sum += f64::from(weight) * at(&input, place, channel);
                    }
                }
                sum
            };
            for engine in Engine::all() {
                let mut output = Sequence::new(length / stride, outputs, 2);
                layer.forward(&engine, &input, &mut output);
                assert_close(output.rows(), expected);
                layer.accumulate(&engine, &input, &mut output);
                assert_close(output.rows(), |index| 2.0 * expected(index));
                let edges = output.values.len() - output.rows().len();
                let zeros = output.values.iter().filter(|value| **value == 0.0).count();
                assert_eq!(zeros, edges, "the border is zero");
            }
        }
    }

    #[test]
    fn upsampling_equals_the_transposed_convolution() {
        let (length, inputs, outputs) = (5, 7, 35);
        let input = sequence(length, inputs, 2);
        let weight = numbers(inputs * outputs * 4, 2);
        let bias = numbers(outputs, 3);
        let layer = Upsampling::new(&weight, bias.clone(), Precision::F32);
        for engine in Engine::all() {
            let mut output = Sequence::new(2 * length, outputs, 2);
            layer.forward(&engine, &input, &mut output);
            assert_close(output.rows(), |index| {
                let (row, output) = (index / outputs, index % outputs);
                let mut sum = f64::from(bias[output]);
                // Input row i adds to output rows 2 i - 1 to 2 i + 2.
                for i in 0..length {
                    let Ok(tap) = usize::try_from(row as isize + 1 - 2 * i as isize) else {
                        continue;
                    };
                    for channel in (0..inputs).filter(|_| tap < 4) {
                        let weight = weight[(channel * outputs + output) * 4 + tap];
                        sum += f64::from(weight) * at(&input, i as isize, channel);
                    }
                }
                sum
            });
        }
    }

    #[test]
    fn rows_are_joined_side_by_side() {
        let (a, b) = (sequence(2, 2, 1), sequence(2, 1, 0));
        let mut joined = Sequence::new(2, 3, 1);
        joined.join(&a, &b);
        let (a, b) = (a.rows(), b.rows());
        assert_eq!(joined.rows(), [a[0], a[1], b[0], a[2], a[3], b[1]]);
    }
}
