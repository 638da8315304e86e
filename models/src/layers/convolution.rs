//! Two-dimensional convolution, and what surrounds it in a residual network.

use crate::engine::Engine;
use crate::engine::isa::Kernel;
pub(crate) use crate::engine::map::{Layout, MapSize};
use crate::engine::panels::{Panels, Precision};
use crate::engine::product::{Finish, Left, load, store};
use crate::engine::winograd::Winograd;

/// Channels from which Winograd's transforms are worth their cost.
const MIN_CHANNELS: usize = 32;
/// Rows below which a product waits for its weights instead of computing.
const MIN_ROWS: usize = 11;

/// Convolution with an odd square kernel and padding `kernel / 2`.
pub(crate) struct Convolution {
    weights: Weights,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
}

enum Weights {
    /// `[kernel, kernel, inputs]` by outputs: rows are patches of the map itself.
    Direct(Panels),
    /// For tiles.
    Winograd(Winograd),
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
}

impl Convolution {
    /// Takes `weight` as `[outputs, inputs, kernel, kernel]`. `size` is that of the largest input
    /// map to come; it decides how the weights are stored.
    pub(crate) fn new(
        weight: &[f32],
        bias: Option<Vec<f32>>,
        shape: Shape,
        size: MapSize,
        precision: Precision,
    ) -> Self {
        let Shape { inputs, outputs, kernel, stride } = shape;
        debug_assert_eq!(weight.len(), inputs * outputs * kernel * kernel);
        debug_assert!(kernel % 2 == 1 && (stride == 1 || stride == 2));
        // Winograd's sums magnify what rounding takes from a weight, and its weights are four times
        // as many: nothing that somebody who wants short weights wants.
        let exact = precision == Precision::F32;
        let weights = if exact && Self::prefers_winograd(shape, size) {
            Weights::Winograd(Winograd::new(weight, inputs, outputs, precision))
        } else {
            let area = kernel * kernel;
            let at = |row: usize, output: usize| {
                weight[(output * inputs + row % inputs) * area + row / inputs]
            };
            Weights::Direct(Panels::new(area * inputs, outputs, precision, at))
        };
        Self { weights, bias, inputs, outputs, kernel, stride }
    }

    fn prefers_winograd(shape: Shape, size: MapSize) -> bool {
        let Shape { inputs, outputs, kernel, stride } = shape;
        if (kernel, stride) != (3, 1) || inputs.min(outputs) < MIN_CHANNELS {
            return false;
        }
        let tiles = size.height.div_ceil(4) * size.width.div_ceil(4);
        // Products, and a third for the transforms.
        48 * tiles.max(MIN_ROWS) < 9 * size.pixels().max(MIN_ROWS)
    }

    /// Input channels.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Height and width of the kernel.
    pub(crate) fn kernel(&self) -> usize {
        self.kernel
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Direct(panels) => panels.bytes(),
            Weights::Winograd(winograd) => winograd.bytes(),
        }
    }

    /// Multiply-adds that the definition takes for an input of this size.
    pub(crate) fn products(&self, size: MapSize) -> usize {
        let depth = self.inputs * self.kernel * self.kernel;
        self.output_size(size).pixels() * depth * self.outputs
    }

    /// Size of the output map.
    pub(crate) fn output_size(&self, size: MapSize) -> MapSize {
        if self.stride == 2 { size.halved() } else { size }
    }

    /// Layout of the output map for an input of this size.
    pub(crate) fn output(&self, size: MapSize) -> Layout {
        Layout { size: self.output_size(size), channels: self.outputs, border: 1 }
    }

    /// Values that `scratch` of [`Convolution::forward`] must hold.
    pub(crate) fn scratch_len(&self, input: Layout) -> usize {
        match &self.weights {
            Weights::Direct(_) => 0,
            Weights::Winograd(winograd) => winograd.scratch_len(input),
        }
    }

    /// Convolves `input` into `output`, whose layout is [`Convolution::output`], adds the bias
    /// and `addend` (a map of the output's layout), and cuts off what is negative if `relu`.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        (input, from): (&[f32], Layout),
        (addend, relu): (Option<&[f32]>, bool),
        scratch: &mut [f32],
        output: &mut [f32],
    ) {
        debug_assert_eq!(from.channels, self.inputs);
        let to = self.output(from.size);
        let output = &mut output[..to.len()];
        to.clear_border(output);
        let bias = self.bias.as_deref();
        let addend = addend.map(|values| (values, to.pixels()));
        let finish = Finish { bias, addend, relu, accumulate: false };
        match &self.weights {
            Weights::Direct(panels) => {
                let left = Left {
                    values: input,
                    count: to.size.pixels(),
                    rows: from.patches(self.kernel / 2, self.stride),
                    segments: self.kernel,
                    segment_step: from.line(),
                };
                engine.multiply(left, panels, finish, output, to.pixels());
            }
            Weights::Winograd(winograd) => {
                winograd.forward(engine, (input, from), finish, scratch, (output, to));
            }
        }
    }
}

/// Largest value of each 3x3 window at stride 2; the border is not looked at.
pub(crate) fn max_pool(engine: &Engine, input: &[f32], from: Layout, output: &mut [f32]) -> Layout {
    debug_assert!(from.border >= 1);
    let to = Layout { size: from.size.halved(), ..from };
    let output = &mut output[..to.len()];
    to.clear_border(output);
    let lines = &mut output[to.at(to.border, 0)..][..to.size.height * to.line()];
    let isa = engine.isa();
    engine.workers().run_chunks(lines, to.line(), |line, out| {
        isa.run(Pool { input, from, line, out: &mut out[to.border * to.channels..] });
    });
    to
}

/// Positions of a window of three around every second of `count`.
#[inline(always)]
fn window(index: usize, count: usize) -> std::ops::Range<usize> {
    (2 * index).saturating_sub(1)..(2 * index + 2).min(count)
}

/// One line of a pooled map.
struct Pool<'a> {
    input: &'a [f32],
    from: Layout,
    line: usize,
    out: &'a mut [f32],
}

impl Kernel for Pool<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self { input, from, line, out } = self;
        let (channels, border) = (from.channels, from.border);
        let pixels = from.size.width.div_ceil(2);
        let rows = window(line, from.size.height);
        for (column, out) in out.chunks_exact_mut(channels).take(pixels).enumerate() {
            for (index, out) in out.chunks_mut(WIDTH).enumerate() {
                let mut largest = [f32::NEG_INFINITY; WIDTH];
                for row in rows.clone() {
                    for column in window(column, from.size.width) {
                        let pixel = from.at(row + border, column + border);
                        let mut values = [f32::NEG_INFINITY; WIDTH];
                        load(&mut values, &input[pixel + index * WIDTH..][..out.len()]);
                        for (largest, value) in largest.iter_mut().zip(values) {
                            // `f32::max` would drop not-a-number and hide it.
                            let wins = value > *largest || value.is_nan();
                            *largest = if wins { value } else { *largest };
                        }
                    }
                }
                store(out, &largest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Isa, numbers};

    /// A map of random pixels within a border of zeros.
    fn map(layout: Layout, seed: u64) -> Vec<f32> {
        let mut values = numbers(layout.len(), seed);
        layout.clear_border(&mut values);
        values
    }

    /// One result, from the definition.
    fn reference(
        weight: &[f32],
        shape: Shape,
        input: &[f32],
        from: Layout,
        place: [usize; 3],
    ) -> f64 {
        let Shape { inputs, kernel, stride, .. } = shape;
        let [output, y, x] = place;
        let shift = from.border - kernel / 2;
        let mut sum = 0.0;
        for channel in 0..inputs {
            for row in 0..kernel {
                for column in 0..kernel {
                    let weight =
                        weight[((output * inputs + channel) * kernel + row) * kernel + column];
                    let pixel = from.at(y * stride + row + shift, x * stride + column + shift);
                    sum += f64::from(weight) * f64::from(input[pixel + channel]);
                }
            }
        }
        sum
    }

    fn check(shape: Shape, size: MapSize, border: usize) {
        let Shape { inputs, outputs, kernel, .. } = shape;
        let weight = numbers(outputs * inputs * kernel * kernel, 1);
        let bias = numbers(outputs, 2);
        let from = Layout { size, channels: inputs, border };
        let input = map(from, 3);
        let convolution =
            Convolution::new(&weight, Some(bias.clone()), shape, size, Precision::F32);
        let to = convolution.output(size);
        let addend = map(to, 4);
        // Results are about a third of the root of their number of products; Winograd's
        // transforms cost two decimal digits of f32.
        let allowed = 1e-5 * ((inputs * kernel * kernel) as f64).sqrt().max(4.0);
        let mut first: Option<Vec<f32>> = None;
        for engine in Engine::all() {
            for (addend, relu) in [(None, false), (Some(addend.as_slice()), true)] {
                let mut output = vec![9.0; to.len() + 3];
                let mut scratch = vec![f32::NAN; convolution.scratch_len(from)];
                convolution.forward(
                    &engine,
                    (&input, from),
                    (addend, relu),
                    &mut scratch,
                    &mut output,
                );
                for y in 0..to.size.height {
                    for x in 0..to.size.width {
                        for (channel, bias) in bias.iter().enumerate() {
                            let place = to.at(y + 1, x + 1) + channel;
                            let mut expected =
                                reference(&weight, shape, &input, from, [channel, y, x]);
                            expected += f64::from(*bias);
                            expected += addend.map_or(0.0, |addend| f64::from(addend[place]));
                            let expected = if relu { expected.max(0.0) } else { expected };
                            let got = f64::from(output[place]);
                            assert!((got - expected).abs() < allowed, "{shape:?} {got} {expected}");
                        }
                    }
                }
                assert_eq!(output[to.len()..], [9.0; 3]);
                let mut bordered = output.clone();
                to.clear_border(&mut bordered);
                assert_eq!(output, bordered, "the border is zero");
                if addend.is_none() {
                    let first = first.get_or_insert_with(|| output.clone());
                    let close = |(a, b): (&f32, &f32)| f64::from((a - b).abs()) < 2.0 * allowed;
                    assert!(first.iter().zip(&output).all(close));
                }
            }
        }
    }

    #[test]
    fn convolution_equals_the_definition() {
        for (kernel, stride, height, width) in
            [(1, 1, 3, 5), (1, 2, 5, 4), (3, 1, 9, 10), (3, 2, 7, 8), (7, 2, 13, 11), (7, 2, 1, 2)]
        {
            let shape = Shape { inputs: 3, outputs: 5, kernel, stride };
            check(shape, MapSize { height, width }, 3);
        }
    }

    #[test]
    fn winograd_equals_the_definition_also_at_the_edges() {
        for (height, width, inputs, outputs) in
            [(16, 12, 32, 64), (15, 20, 64, 32), (13, 9, 40, 34), (30, 41, 32, 32)]
        {
            let shape = Shape { inputs, outputs, kernel: 3, stride: 1 };
            let size = MapSize { height, width };
            assert!(Convolution::prefers_winograd(shape, size));
            check(shape, size, 1);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let shape = Shape { inputs: 32, outputs: 48, kernel: 3, stride: 1 };
        let size = MapSize { height: 22, width: 30 };
        let from = Layout { size, channels: 32, border: 1 };
        let weight = numbers(48 * 32 * 9, 1);
        let convolution = Convolution::new(&weight, None, shape, size, Precision::F32);
        let input = map(from, 3);
        let run = |engine: &Engine| {
            let mut output = vec![0.0; convolution.output(size).len()];
            let mut scratch = vec![0.0; convolution.scratch_len(from)];
            convolution.forward(engine, (&input, from), (None, false), &mut scratch, &mut output);
            output
        };
        let one = run(&Engine::new(Isa::best(), 1, &[]).unwrap());
        let four = run(&Engine::new(Isa::best(), 4, &[]).unwrap());
        assert_eq!(one, four);
    }

    #[test]
    fn pooling_takes_the_largest_and_keeps_not_a_number() {
        let size = MapSize { height: 3, width: 2 };
        let from = Layout { size, channels: 1, border: 1 };
        for engine in Engine::all() {
            let mut input = vec![0.0; from.len()];
            for (value, place) in [(1.0, (1, 1)), (2.0, (1, 2)), (5.0, (3, 1)), (4.0, (3, 2))] {
                input[from.at(place.0, place.1)] = value;
            }
            let mut output = vec![7.0; 20];
            let to = max_pool(&engine, &input, from, &mut output);
            let mut inside = [0.0; 2];
            to.copy_inside(&output, &mut inside);
            assert_eq!(inside, [2.0, 5.0]);
            // Nothing around the map is larger than what is in it.
            let negative: Vec<f32> = input.iter().map(|value| -10.0 + value).collect();
            max_pool(&engine, &negative, from, &mut output);
            to.copy_inside(&output, &mut inside);
            assert_eq!(inside, [-8.0, -5.0]);
            input[from.at(2, 2)] = f32::NAN;
            max_pool(&engine, &input, from, &mut output);
            to.copy_inside(&output, &mut inside);
            assert!(inside.iter().all(|value| value.is_nan()));
        }
    }
}
