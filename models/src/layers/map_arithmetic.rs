//! What happens to maps between convolutions, pixel by pixel.

use crate::engine::Engine;
use crate::engine::exponential::exp;
use crate::engine::isa::{Kernel, multiply_add};
use crate::engine::map::{Layout, MapSize};
use crate::engine::product::{load, relu, store};

/// Values of one task.
const CHUNK: usize = 4096;

/// Batch normalisation with fixed statistics: `x * scale + shift`, channel by channel.
pub(crate) struct ScaleShift {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl ScaleShift {
    /// Takes one scale and one shift per channel.
    pub(crate) fn new(scale: Vec<f32>, shift: Vec<f32>) -> Self {
        debug_assert_eq!(scale.len(), shift.len());
        Self { scale, shift }
    }

    /// Channels.
    pub(crate) fn channels(&self) -> usize {
        self.scale.len()
    }

    /// Writes the normalised map to `out`, without what is negative if `cut`; its border is zero.
    pub(crate) fn apply(
        &self,
        engine: &Engine,
        (map, layout): (&[f32], Layout),
        cut: bool,
        out: &mut [f32],
    ) {
        debug_assert_eq!(layout.channels, self.channels());
        let isa = engine.isa();
        for_each_line(engine, layout, out, |begin, out| {
            let map = &map[begin..][..out.len()];
            isa.run(Normalize { norm: self, map, cut, out });
        });
    }
}

/// One line of pixels.
struct Normalize<'a> {
    norm: &'a ScaleShift,
    map: &'a [f32],
    cut: bool,
    out: &'a mut [f32],
}

impl Kernel for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self { norm, map, cut, out } = self;
        let channels = norm.channels();
        for (out, map) in out.chunks_exact_mut(channels).zip(map.chunks_exact(channels)) {
            let parts = out.chunks_mut(WIDTH).zip(map.chunks(WIDTH));
            let norms = norm.scale.chunks(WIDTH).zip(norm.shift.chunks(WIDTH));
            for ((out, map), (scale, shift)) in parts.zip(norms) {
                let [mut values, mut scales, mut shifts] = [[0.0; WIDTH]; 3];
                load(&mut values, map);
                load(&mut scales, scale);
                load(&mut shifts, shift);
                for ((value, scale), shift) in values.iter_mut().zip(scales).zip(shifts) {
                    *value = multiply_add::<FUSED>(*value, scale, shift);
                    *value = if cut { relu(*value) } else { *value };
                }
                store(out, &values);
            }
        }
    }
}

/// Calls `work` with the inside of each line of a map, and where it begins; the border becomes
/// zero.
fn for_each_line(
    engine: &Engine,
    layout: Layout,
    out: &mut [f32],
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let out = &mut out[..layout.len()];
    layout.clear_border(out);
    let first = layout.at(layout.border, 0);
    let lines = &mut out[first..][..layout.size.height * layout.line()];
    let inside = layout.border * layout.channels;
    engine.workers().run_chunks(lines, layout.line(), |line, out| {
        let end = out.len() - inside;
        work(first + line * layout.line() + inside, &mut out[inside..end]);
    });
}

/// Writes `map`, brought to the size of `to` by bilinear interpolation between its corners
/// (PyTorch's `align_corners`), plus each of `addends`, which have the layout `to`.
pub(crate) fn add_upsampled(
    engine: &Engine,
    (map, from): (&[f32], Layout),
    addends: [Option<&[f32]>; 2],
    (out, to): (&mut [f32], Layout),
) {
    debug_assert_eq!(from.channels, to.channels);
    let isa = engine.isa();
    let inside = to.at(to.border, to.border);
    for_each_line(engine, to, out, |begin, out| {
        let row = (begin - inside) / to.line();
        isa.run(Upsample { map, from, to: to.size, row, begin, addends, out });
    });
}

/// One line of an upsampled map.
struct Upsample<'a> {
    map: &'a [f32],
    from: Layout,
    to: MapSize,
    row: usize,
    begin: usize,
    addends: [Option<&'a [f32]>; 2],
    out: &'a mut [f32],
}

/// The position and its successor that make up a target position, and the share of the latter.
#[inline(always)]
fn between(position: usize, source: usize, target: usize) -> (usize, usize, f32) {
    // As PyTorch computes it, in f32.
    let scale = if target > 1 { (source - 1) as f32 / (target - 1) as f32 } else { 0.0 };
    let place = scale * position as f32;
    let first = (place as usize).min(source - 1);
    (first, (first + 1).min(source - 1), place - first as f32)
}

impl Kernel for Upsample<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self { map, from, to, row, begin, addends, out } = self;
        let (channels, border) = (from.channels, from.border);
        let (top, bottom, down) = between(row, from.size.height, to.height);
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            let (left, right, across) = between(column, from.size.width, to.width);
            let corners = [(top, left), (top, right), (bottom, left), (bottom, right)];
            let corners = corners.map(|(row, column)| from.at(row + border, column + border));
            let shares = [
                (1.0 - down) * (1.0 - across),
                (1.0 - down) * across,
                down * (1.0 - across),
                down * across,
            ];
            let pixel = begin + column * channels;
            for (index, out) in out.chunks_mut(WIDTH).enumerate() {
                let at = index * WIDTH;
                let mut sums = [0.0; WIDTH];
                let mut values = [0.0; WIDTH];
                for (corner, share) in corners.into_iter().zip(shares) {
                    load(&mut values, &map[corner + at..][..out.len()]);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = multiply_add::<FUSED>(value, share, *sum);
                    }
                }
                for addend in addends.into_iter().flatten() {
                    load(&mut values, &addend[pixel + at..][..out.len()]);
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
                store(out, &sums);
            }
        }
    }
}

/// Multiplies `values` by `1 + sigmoid(logits)`.
pub(crate) fn weigh_by_sigmoid(engine: &Engine, logits: &[f32], values: &mut [f32]) {
    debug_assert_eq!(logits.len(), values.len());
    let isa = engine.isa();
    engine.workers().run_chunks(values, CHUNK, |index, values| {
        let logits = &logits[index * CHUNK..][..values.len()];
        isa.run(Weigh { logits, values });
    });
}

struct Weigh<'a> {
    logits: &'a [f32],
    values: &'a mut [f32],
}

impl Kernel for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        for (values, logits) in self.values.chunks_mut(WIDTH).zip(self.logits.chunks(WIDTH)) {
            let [mut value, mut logit] = [[0.0; WIDTH]; 2];
            load(&mut value, values);
            load(&mut logit, logits);
            for (value, logit) in value.iter_mut().zip(logit) {
                *value *= 1.0 + 1.0 / (1.0 + exp::<FUSED>(-logit));
            }
            store(values, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numbers;

    fn layout(height: usize, width: usize) -> Layout {
        Layout { size: MapSize { height, width }, channels: 37, border: 1 }
    }

    fn map(layout: Layout, seed: u64) -> Vec<f32> {
        let mut values = numbers(layout.len(), seed);
        layout.clear_border(&mut values);
        values
    }

    #[test]
    fn normalising_scales_shifts_and_clears_the_border() {
        let layout = layout(3, 4);
        let input = map(layout, 1);
        let (scale, shift) = (numbers(37, 2), numbers(37, 3));
        let norm = ScaleShift::new(scale.clone(), shift.clone());
        for engine in Engine::all() {
            for cut in [false, true] {
                let mut out = vec![9.0; layout.len() + 2];
                norm.apply(&engine, (&input, layout), cut, &mut out);
                let (inputs, values) = (layout.channels_first(&input), layout.channels_first(&out));
                for (index, (value, input)) in values.iter().zip(inputs).enumerate() {
                    let c = index / 12;
                    let expected = f64::from(input) * f64::from(scale[c]) + f64::from(shift[c]);
                    let expected = if cut { expected.max(0.0) } else { expected };
                    assert!((f64::from(*value) - expected).abs() < 1e-6);
                }
                let mut bordered = out.clone();
                layout.clear_border(&mut bordered[..layout.len()]);
                assert_eq!(out, bordered);
            }
        }
    }

    #[test]
    fn upsampling_goes_from_corner_to_corner() {
        for ((height, width), (rows, columns)) in [
            ((2, 3), (5, 7)),
            ((1, 1), (3, 2)),
            ((4, 5), (8, 10)),
            ((3, 4), (3, 4)),
            ((2, 2), (1, 1)),
        ] {
            let (from, to) = (layout(height, width), layout(rows, columns));
            let (input, first, second) = (map(from, 1), map(to, 2), map(to, 3));
            for engine in Engine::all() {
                let mut out = vec![9.0; to.len()];
                let addends = [Some(first.as_slice()), Some(second.as_slice())];
                add_upsampled(&engine, (&input, from), addends, (&mut out, to));
                for row in 0..rows {
                    for column in 0..columns {
                        let place = |position: usize, source: usize, target: usize| {
                            let step = (source - 1) as f64 / target.saturating_sub(1).max(1) as f64;
                            step * position as f64
                        };
                        let y = place(row, height, rows);
                        let x = place(column, width, columns);
                        for channel in 0..37 {
                            let at = |row: f64, column: f64| {
                                let row = (row as usize).min(height - 1);
                                let column = (column as usize).min(width - 1);
                                f64::from(input[from.at(row + 1, column + 1) + channel])
                            };
                            let (dy, dx) = (y - y.floor(), x - x.floor());
                            let upper = at(y, x) * (1.0 - dx) + at(y, x + 1.0) * dx;
                            let lower = at(y + 1.0, x) * (1.0 - dx) + at(y + 1.0, x + 1.0) * dx;
                            let place = to.at(row + 1, column + 1) + channel;
                            let expected = upper * (1.0 - dy)
                                + lower * dy
                                + f64::from(first[place])
                                + f64::from(second[place]);
                            assert!((f64::from(out[place]) - expected).abs() < 2e-6);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn weights_lie_between_one_and_two() {
        let logits = [-200.0, -1.0, 0.0, 3.0, 200.0];
        for engine in Engine::all() {
            let mut values = [2.0; 5];
            weigh_by_sigmoid(&engine, &logits, &mut values);
            for (value, logit) in values.iter().zip(logits) {
                let expected = 2.0 * (1.0 + 1.0 / (1.0 + f64::from(-logit).exp()));
                assert!((f64::from(*value) - expected).abs() < 1e-6, "{value} {expected}");
            }
        }
    }
}
