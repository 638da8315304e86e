//! Two-dimensional convolution by gathering patches into the panels of a matrix product.

use super::matmul::{Destination, LANES, multiply};

/// Output pixels gathered at once.
const PIXELS: usize = 4 * LANES;

/// Height and width of a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl MapSize {
    /// Number of pixels.
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Size after a layer of stride 2 whose padding is half its kernel: half, rounded up.
    pub(crate) fn halved(self) -> Self {
        Self { height: self.height.div_ceil(2), width: self.width.div_ceil(2) }
    }
}

/// Convolution without bias, with an odd square kernel and padding `kernel / 2`.
pub(crate) struct Convolution {
    weight: Vec<f32>,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
}

impl Convolution {
    /// Takes `weight` as `[outputs, inputs, kernel, kernel]`; `stride` is 1 or 2.
    pub(crate) fn new(
        weight: Vec<f32>,
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
    ) -> Self {
        debug_assert_eq!(weight.len(), inputs * outputs * kernel * kernel);
        debug_assert!(kernel % 2 == 1 && (stride == 1 || stride == 2));
        Self { weight, inputs, outputs, kernel, stride }
    }

    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Size of the output map.
    pub(crate) fn output_size(&self, size: MapSize) -> MapSize {
        if self.stride == 2 { size.halved() } else { size }
    }

    /// Values that `patches` of [`Convolution::forward`] must hold.
    pub(crate) fn patches_len(&self) -> usize {
        self.depth() * PIXELS
    }

    fn depth(&self) -> usize {
        self.inputs * self.kernel * self.kernel
    }

    /// Convolves `input` (`[inputs, height, width]`) into `output` (`[outputs, height, width]` of
    /// the output size), using `patches` as scratch space.
    pub(crate) fn forward(
        &self,
        input: &[f32],
        size: MapSize,
        patches: &mut [f32],
        output: &mut [f32],
    ) {
        let output_size = self.output_size(size);
        let pixels = output_size.pixels();
        debug_assert_eq!(input.len(), self.inputs * size.pixels());
        debug_assert_eq!(output.len(), self.outputs * pixels);
        let panel_len = self.depth() * LANES;
        for first in (0..pixels).step_by(PIXELS) {
            let columns = PIXELS.min(pixels - first);
            let panels = &mut patches[..columns.div_ceil(LANES) * panel_len];
            for (index, panel) in panels.chunks_exact_mut(panel_len).enumerate() {
                self.gather(input, size, output_size, first + index * LANES, panel);
            }
            let destination = Destination { values: output, stride: pixels, first, columns };
            multiply(&self.weight, self.depth(), panels, destination);
        }
    }

    /// Writes the patches under the output pixels from `first` on into one panel.
    fn gather(
        &self,
        input: &[f32],
        size: MapSize,
        output_size: MapSize,
        first: usize,
        panel: &mut [f32],
    ) {
        let padding = self.kernel / 2;
        let width = output_size.width;
        let last = (first + LANES).min(output_size.pixels());
        let mut rows = panel.as_chunks_mut::<LANES>().0.iter_mut();
        for channel in input.chunks_exact(size.pixels()) {
            for kernel_y in 0..self.kernel {
                for kernel_x in 0..self.kernel {
                    let Some(lanes) = rows.next() else { return };
                    lanes.fill(0.0);
                    let mut pixel = first;
                    // Pixels of one output row lie in one input row.
                    while pixel < last {
                        let (y, x) = (pixel / width, pixel % width);
                        let count = (width - x).min(last - pixel);
                        let lanes = &mut lanes[pixel - first..][..count];
                        pixel += count;
                        // Coordinates are shifted by the padding, so that they stay unsigned.
                        let row = (y * self.stride + kernel_y).wrapping_sub(padding);
                        if row < size.height {
                            let row = &channel[row * size.width..][..size.width];
                            self.copy_row(row, x * self.stride + kernel_x, lanes);
                        }
                    }
                }
            }
        }
    }

    /// Writes the values of `row` from column `begin` (shifted by the padding) on to `lanes`, with
    /// the layer's stride; lanes outside the row are left as they are.
    fn copy_row(&self, row: &[f32], begin: usize, lanes: &mut [f32]) {
        let padding = self.kernel / 2;
        // Lanes before the row's first value.
        let skipped = padding.saturating_sub(begin).div_ceil(self.stride).min(lanes.len());
        let begin = begin + skipped * self.stride;
        let Some(values) = begin.checked_sub(padding).and_then(|begin| row.get(begin..)) else {
            return;
        };
        let lanes = &mut lanes[skipped..];
        if self.stride == 1 {
            let count = lanes.len().min(values.len());
            lanes[..count].copy_from_slice(&values[..count]);
        } else {
            for (lane, value) in lanes.iter_mut().zip(values.iter().step_by(self.stride)) {
                *lane = *value;
            }
        }
    }
}

/// Largest value of each 3x3 window at stride 2 with padding 1.
pub(crate) fn max_pool(input: &[f32], size: MapSize, output: &mut [f32]) {
    let output_size = size.halved();
    let maps = input.chunks_exact(size.pixels()).zip(output.chunks_exact_mut(output_size.pixels()));
    for (input, output) in maps {
        for (index, output) in output.iter_mut().enumerate() {
            let (y, x) = (index / output_size.width * 2, index % output_size.width * 2);
            let mut largest = f32::NEG_INFINITY;
            for y in y.saturating_sub(1)..(y + 2).min(size.height) {
                for x in x.saturating_sub(1)..(x + 2).min(size.width) {
                    let value = input[y * size.width + x];
                    // `f32::max` would drop not-a-number and hide it.
                    if value > largest || value.is_nan() {
                        largest = value;
                    }
                }
            }
            *output = largest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(
        layer: &Convolution,
        input: &[f32],
        size: MapSize,
        output_channel: usize,
        y: usize,
        x: usize,
    ) -> f64 {
        let (kernel, pad) = (layer.kernel as isize, (layer.kernel / 2) as isize);
        let mut sum = 0.0;
        for channel in 0..layer.inputs {
            for ky in 0..kernel {
                for kx in 0..kernel {
                    let iy = (y * layer.stride) as isize + ky - pad;
                    let ix = (x * layer.stride) as isize + kx - pad;
                    if iy < 0 || ix < 0 || iy >= size.height as isize || ix >= size.width as isize {
                        continue;
                    }
                    let weight = layer.weight[((output_channel * layer.inputs + channel) as isize
                        * kernel
                        * kernel
                        + ky * kernel
                        + kx) as usize];
                    let value =
                        input[channel * size.pixels() + iy as usize * size.width + ix as usize];
                    sum += f64::from(weight) * f64::from(value);
                }
            }
        }
        sum
    }

    #[test]
    fn convolution_equals_the_definition() {
        for (kernel, stride, height, width) in
            [(1, 1, 3, 5), (1, 2, 5, 4), (3, 1, 9, 10), (3, 2, 7, 8), (7, 2, 13, 11), (7, 2, 1, 2)]
        {
            let (inputs, outputs) = (3, 5);
            let size = MapSize { height, width };
            let weight =
                (0..inputs * outputs * kernel * kernel).map(|i| (i * 29 % 31) as f32 / 15.5 - 1.0);
            let layer = Convolution::new(weight.collect(), inputs, outputs, kernel, stride);
            let input: Vec<f32> =
                (0..inputs * size.pixels()).map(|i| (i * 17 % 23) as f32 / 11.5 - 1.0).collect();
            let out_size = layer.output_size(size);
            let mut output = vec![f32::NAN; outputs * out_size.pixels()];
            layer.forward(&input, size, &mut vec![f32::NAN; layer.patches_len()], &mut output);
            for channel in 0..outputs {
                for y in 0..out_size.height {
                    for x in 0..out_size.width {
                        let expected = reference(&layer, &input, size, channel, y, x);
                        let got = output[channel * out_size.pixels() + y * out_size.width + x];
                        assert!((f64::from(got) - expected).abs() < 1e-4, "{got} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn pooling_ignores_the_padding() {
        let size = MapSize { height: 3, width: 2 };
        let mut output = [0.0; 2];
        max_pool(&[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0], size, &mut output);
        assert_eq!(output, [-1.0, -3.0]);
    }
}
