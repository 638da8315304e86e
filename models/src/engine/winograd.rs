//! Convolution of 3x3 at stride 1 by Winograd's F(4x4, 3x3): each tile of 4x4 results costs 36
//! products a channel instead of 144 (Lavin and Gray, "Fast algorithms for convolutional neural
//! networks", 2015).
#![allow(unsafe_code, reason = "tasks write different parts of one buffer")]

use super::Engine;
use super::isa::{Kernel, multiply_add};
use super::map::Layout;
use super::panels::{Panels, Precision, places, values_len};
use super::product::{Finish, Left, Rows, load, multiply_alone, relu, store};
use super::workers::Parts;

/// Results along one side of a tile.
const TILE: usize = 4;
/// Values along one side of what a tile reads.
const PATCH: usize = 6;
/// Products per tile and channel.
const POINTS: usize = PATCH * PATCH;
/// Values of transformed tiles that are in flight: they stay in the caches.
const IN_FLIGHT: usize = 1 << 20;
/// Values between the ends of one point's matrix and the next one's begin, so that the same place
/// in all of them does not fall into the same set of a cache.
const GAP: usize = 16;
/// Tiles of one task while tiles are transformed.
const TASK_TILES: usize = 8;

/// Weights of a kernel, one matrix for each of the 36 points.
pub(crate) struct Winograd {
    points: Vec<Panels>,
    inputs: usize,
    outputs: usize,
}

/// Tiles of a map, line by line.
#[derive(Clone, Copy)]
struct Tiles {
    across: usize,
    count: usize,
}

impl Tiles {
    fn of(layout: Layout) -> Self {
        let across = layout.size.width.div_ceil(TILE);
        Self { across, count: across * layout.size.height.div_ceil(TILE) }
    }

    /// Line and column of a tile's first pixel.
    fn corner(self, tile: usize) -> (usize, usize) {
        (tile / self.across * TILE, tile % self.across * TILE)
    }
}

/// Values from one point's matrix to the next one's.
fn step(tiles: usize, channels: usize) -> usize {
    tiles * channels + GAP
}

/// The kernel's share of every point: `G g G^T`. In f64, so that nothing is lost but by the last
/// rounding.
fn transform(kernel: &[f32; 9]) -> [f32; POINTS] {
    let along = |[a, b, c]: [f64; 3]| {
        let (even, odd) = ((a + c) / 6.0, b / 6.0);
        let (far, near) = (a / 24.0 + c / 6.0, b / 12.0);
        [a / 4.0, -even - odd, odd - even, far + near, far - near, c]
    };
    let g = kernel.map(f64::from);
    let rows = [along([g[0], g[1], g[2]]), along([g[3], g[4], g[5]]), along([g[6], g[7], g[8]])];
    let mut points = [0.0; POINTS];
    for column in 0..PATCH {
        let values = along([rows[0][column], rows[1][column], rows[2][column]]);
        for (row, value) in values.into_iter().enumerate() {
            points[row * PATCH + column] = value as f32;
        }
    }
    points
}

impl Winograd {
    /// Takes `weight` as `[outputs, inputs, 3, 3]`.
    pub(crate) fn new(weight: &[f32], inputs: usize, outputs: usize, precision: Precision) -> Self {
        let len = values_len(inputs, outputs);
        let mut points: Vec<_> = (0..POINTS).map(|_| Vec::with_capacity(len)).collect();
        for (input, output) in places(inputs, outputs) {
            let kernel = output.map(|output| (output * inputs + input) * 9);
            let kernel = kernel.and_then(|begin| weight[begin..].first_chunk::<9>());
            let values = kernel.map_or([0.0; POINTS], transform);
            points.iter_mut().zip(values).for_each(|(point, value)| point.push(value));
        }
        let panels = |values| Panels::packed(values, inputs, outputs, precision);
        Self { points: points.into_iter().map(panels).collect(), inputs, outputs }
    }

    /// Bytes of the weights.
    pub(crate) fn bytes(&self) -> usize {
        self.points.iter().map(Panels::bytes).sum()
    }

    /// Values that `scratch` of [`Winograd::forward`] must hold for a map of this size.
    pub(crate) fn scratch_len(&self, layout: Layout) -> usize {
        let tiles = self.tiles_at_once(layout);
        POINTS * (step(tiles, self.inputs) + step(tiles, self.outputs))
    }

    fn tiles_at_once(&self, layout: Layout) -> usize {
        let room = (IN_FLIGHT / (POINTS * (self.inputs + self.outputs))).max(1);
        let tiles = Tiles::of(layout).count;
        // Rounds of the same size.
        tiles.div_ceil(tiles.div_ceil(room))
    }

    /// Convolves `input`, which has a border of at least one pixel, into the inside of `out`.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        (input, from): (&[f32], Layout),
        finish: Finish<'_>,
        scratch: &mut [f32],
        (out, to): (&mut [f32], Layout),
    ) {
        debug_assert!(!finish.accumulate, "sums of tiles begin at zero");
        // Tiles write pixels of their own.
        assert!(
            to.channels == self.outputs && to.size == from.size && from.channels == self.inputs
        );
        let tiles = Tiles::of(from);
        let at_once = self.tiles_at_once(from);
        let (from_step, to_step) = (step(at_once, self.inputs), step(at_once, self.outputs));
        let (left, right) = scratch.split_at_mut(POINTS * from_step);
        let right = &mut right[..POINTS * to_step];
        let (isa, workers) = (engine.isa(), engine.workers());
        let out = Parts::new(out);
        for first in (0..tiles.count).step_by(at_once) {
            let count = at_once.min(tiles.count - first);
            let tasks = count.div_ceil(TASK_TILES);
            let range = |task: usize| task * TASK_TILES..count.min((task + 1) * TASK_TILES);
            let parts = Parts::new(left);
            workers.run(tasks, |_, task| {
                let out = &parts;
                let range = range(task);
                isa.run(Gather { input, from, tiles, first, range, step: from_step, out });
            });
            let (sources, parts) = (&*left, Parts::new(right));
            workers.run(POINTS, |_, point| {
                let source = &sources[point * from_step..][..count * self.inputs];
                let begin = point * to_step;
                // SAFETY: each point has a part of its own.
                let out = unsafe { parts.get(begin..begin + count * self.outputs) };
                let (left, rows) = (Left::matrix(source, self.inputs), Rows::every(self.outputs));
                multiply_alone(isa, left, &self.points[point], out, rows);
            });
            let sums = &*right;
            workers.run(tasks, |_, task| {
                let (outputs, out) = (self.outputs, &out);
                let range = range(task);
                let step = to_step;
                isa.run(Scatter { sums, outputs, step, tiles, first, range, finish, out, to });
            });
        }
    }
}

/// Transforms what tiles read.
struct Gather<'a> {
    input: &'a [f32],
    from: Layout,
    tiles: Tiles,
    first: usize,
    range: std::ops::Range<usize>,
    step: usize,
    out: &'a Parts<'a, f32>,
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Layout { size, channels, border } = self.from;
        for tile in self.range {
            let (line, column) = self.tiles.corner(self.first + tile);
            // From the padding of one pixel on.
            let (top, side) = (line + border - 1, column + border - 1);
            let lines = PATCH.min(size.height + 2 * border - top);
            let columns = PATCH.min(size.width + 2 * border - side);
            for channel in (0..channels).step_by(WIDTH) {
                let width = WIDTH.min(channels - channel);
                let mut patch = [[[0.0_f32; WIDTH]; PATCH]; PATCH];
                for (row, patch) in patch.iter_mut().enumerate().take(lines) {
                    for (index, values) in patch.iter_mut().enumerate().take(columns) {
                        let begin = self.from.at(top + row, side + index) + channel;
                        load(values, &self.input[begin..begin + width]);
                    }
                    *patch = spread::<WIDTH, FUSED>(*patch);
                }
                #[allow(clippy::needless_range_loop, reason = "a column of rows")]
                for column in 0..PATCH {
                    let values =
                        spread::<WIDTH, FUSED>(std::array::from_fn(|row| patch[row][column]));
                    for (row, values) in values.iter().enumerate() {
                        let point = row * PATCH + column;
                        let begin = point * self.step + tile * channels + channel;
                        // SAFETY: tasks have different tiles.
                        store(unsafe { self.out.get(begin..begin + width) }, values);
                    }
                }
            }
        }
    }
}

/// One dimension of the input transform.
#[inline(always)]
fn spread<const WIDTH: usize, const FUSED: bool>(
    d: [[f32; WIDTH]; PATCH],
) -> [[f32; WIDTH]; PATCH] {
    let mut out = [[0.0; WIDTH]; PATCH];
    for i in 0..WIDTH {
        let fma = multiply_add::<FUSED>;
        let (even, odd) = (fma(-4.0, d[2][i], d[4][i]), fma(-4.0, d[1][i], d[3][i]));
        let (small, twice) = (d[4][i] - d[2][i], 2.0 * (d[3][i] - d[1][i]));
        out[0][i] = fma(4.0, d[0][i], fma(-5.0, d[2][i], d[4][i]));
        out[1][i] = even + odd;
        out[2][i] = even - odd;
        out[3][i] = small + twice;
        out[4][i] = small - twice;
        out[5][i] = fma(4.0, d[1][i], fma(-5.0, d[3][i], d[5][i]));
    }
    out
}

/// Transforms sums back into results.
struct Scatter<'a> {
    sums: &'a [f32],
    outputs: usize,
    step: usize,
    tiles: Tiles,
    first: usize,
    range: std::ops::Range<usize>,
    finish: Finish<'a>,
    out: &'a Parts<'a, f32>,
    to: Layout,
}

impl Kernel for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Layout { size, border, .. } = self.to;
        for tile in self.range {
            let (line, column) = self.tiles.corner(self.first + tile);
            let lines = TILE.min(size.height - line);
            let columns = TILE.min(size.width - column);
            for channel in (0..self.outputs).step_by(WIDTH) {
                let width = WIDTH.min(self.outputs - channel);
                let mut bias = [0.0; WIDTH];
                if let Some(values) = self.finish.bias {
                    load(&mut bias, &values[channel..channel + width]);
                }
                let mut half = [[[0.0_f32; WIDTH]; PATCH]; TILE];
                for index in 0..PATCH {
                    let mut values = [[0.0; WIDTH]; PATCH];
                    for (row, values) in values.iter_mut().enumerate() {
                        let point = row * PATCH + index;
                        let begin = point * self.step + tile * self.outputs + channel;
                        load(values, &self.sums[begin..begin + width]);
                    }
                    let values = gather::<WIDTH, FUSED>(values);
                    for (half, values) in half.iter_mut().zip(values) {
                        half[index] = values;
                    }
                }
                for (row, half) in half.iter().enumerate().take(lines) {
                    let values = gather::<WIDTH, FUSED>(*half);
                    for (index, values) in values.iter().enumerate().take(columns) {
                        let mut values = *values;
                        values.iter_mut().zip(&bias).for_each(|(value, bias)| *value += bias);
                        if let Some((addend, rows)) = self.finish.addend {
                            let pixel = (line + row) * size.width + column + index;
                            let mut other = [0.0; WIDTH];
                            load(&mut other, &addend[rows.offset(pixel) + channel..][..width]);
                            values
                                .iter_mut()
                                .zip(&other)
                                .for_each(|(value, other)| *value += other);
                        }
                        if self.finish.relu {
                            values.iter_mut().for_each(|value| *value = relu(*value));
                        }
                        let begin =
                            self.to.at(line + row + border, column + index + border) + channel;
                        // SAFETY: tiles have different pixels.
                        store(unsafe { self.out.get(begin..begin + width) }, &values);
                    }
                }
            }
        }
    }
}

/// One dimension of the output transform.
#[inline(always)]
fn gather<const WIDTH: usize, const FUSED: bool>(m: [[f32; WIDTH]; PATCH]) -> [[f32; WIDTH]; TILE] {
    let mut out = [[0.0; WIDTH]; TILE];
    for i in 0..WIDTH {
        let fma = multiply_add::<FUSED>;
        let (sum, difference) = (m[1][i] + m[2][i], m[1][i] - m[2][i]);
        let (sum_2, difference_2) = (m[3][i] + m[4][i], m[3][i] - m[4][i]);
        out[0][i] = m[0][i] + sum + sum_2;
        out[1][i] = fma(2.0, difference_2, difference);
        out[2][i] = fma(4.0, sum_2, sum);
        out[3][i] = fma(8.0, difference_2, difference) + m[5][i];
    }
    out
}
