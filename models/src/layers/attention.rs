//! Multi-head scaled dot-product attention.
#![allow(unsafe_code, reason = "tasks write different heads and rows of one matrix")]

use crate::engine::Engine;
use crate::engine::exponential::exp;
use crate::engine::isa::{Isa, Kernel};
use crate::engine::panels::{lanes, values_len};
use crate::engine::product::{Left, Rows, multiply_packed};
use crate::engine::workers::Parts;

/// Queries of one task.
const TASK_QUERIES: usize = 48;

/// Rows of a matrix whose first value may be in the middle of a wider one.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// Values of the wider matrix.
    pub values: &'a [f32],
    /// Its width.
    pub stride: usize,
    /// First column.
    pub first: usize,
}

impl<'a> Columns<'a> {
    fn row(self, row: usize, column: usize, count: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.first + column..][..count]
    }
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Values of one head.
    pub width: usize,
}

/// Room for the intermediate values of [`attend`].
pub(crate) struct AttentionBuffers {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
    max_keys: usize,
}

impl AttentionBuffers {
    /// Buffers for up to `keys` keys.
    pub(crate) fn new(heads: Heads, keys: usize, threads: usize) -> Self {
        Self {
            keys: vec![0.0; heads.count * values_len(heads.width, keys)],
            values: vec![0.0; heads.count * values_len(keys, heads.width)],
            scores: vec![0.0; threads * TASK_QUERIES * keys],
            mixed: vec![0.0; threads * TASK_QUERIES * heads.width],
            max_keys: keys,
        }
    }

    /// Number of values in them.
    pub(crate) fn len(heads: Heads, keys: usize, threads: usize) -> usize {
        let panels = values_len(heads.width, keys) + values_len(keys, heads.width);
        heads
            .count
            .saturating_mul(panels)
            .saturating_add(threads * TASK_QUERIES * (keys + heads.width))
    }
}

/// Attends from each of `queries` rows to all of `keys` rows and writes the mixed values, head by
/// head, to the rows of `out`, which is `heads.count * heads.width` wide.
pub(crate) fn attend(
    engine: &Engine,
    heads: Heads,
    (query, queries): (Columns<'_>, usize),
    (key, value, keys): (Columns<'_>, Columns<'_>, usize),
    buffers: &mut AttentionBuffers,
    out: &mut [f32],
) {
    debug_assert!(keys <= buffers.max_keys);
    let (isa, workers, width) = (engine.isa(), engine.workers(), heads.width);
    let key_len = values_len(width, keys);
    let value_len = values_len(keys, width);
    let packed_keys = &mut buffers.keys[..heads.count * key_len];
    workers.run_chunks(packed_keys, key_len, |head, packed| {
        pack_transposed(key, keys, head * width, width, packed);
    });
    let packed_values = &mut buffers.values[..heads.count * value_len];
    workers.run_chunks(packed_values, value_len, |head, packed| {
        pack(value, head * width, width, packed);
    });
    let (packed_keys, packed_values) = (&*packed_keys, &*packed_values);
    let scores = Parts::new(&mut buffers.scores);
    let mixed = Parts::new(&mut buffers.mixed);
    let model_width = heads.count * width;
    let out = Parts::new(out);
    let blocks = queries.div_ceil(TASK_QUERIES);
    let scale = (width as f32).sqrt().recip();
    workers.run(heads.count * blocks, |thread, task| {
        let (head, first) = (task / blocks, task % blocks * TASK_QUERIES);
        let count = TASK_QUERIES.min(queries - first);
        let begin = thread * TASK_QUERIES * keys;
        // SAFETY: each thread has a part of its own.
        let scores = unsafe { scores.get(begin..begin + count * keys) };
        let rows =
            Rows::every(query.stride).from(first * query.stride + query.first + head * width);
        let left = Left { values: query.values, count, rows, segments: 1, segment_step: 0 };
        let panels = &packed_keys[head * key_len..][..key_len];
        multiply_packed(isa, left, (panels, width, keys), scores, Rows::every(keys));
        softmax(isa, scores, keys, scale);
        let panels = &packed_values[head * value_len..][..value_len];
        let left = Left::matrix(scores, keys);
        let begin = thread * TASK_QUERIES * width;
        // SAFETY: as above.
        let mixed = unsafe { mixed.get(begin..begin + count * width) };
        multiply_packed(isa, left, (panels, keys, width), mixed, Rows::every(width));
        for (row, mixed) in mixed.chunks_exact(width).enumerate() {
            let begin = (first + row) * model_width + head * width;
            // SAFETY: tasks have different rows or different heads.
            unsafe { out.get(begin..begin + width) }.copy_from_slice(mixed);
        }
    });
}

/// Panels of the transpose of a head's keys: a key is a column.
fn pack_transposed(from: Columns<'_>, rows: usize, column: usize, width: usize, to: &mut [f32]) {
    let lanes = lanes();
    for (panel, to) in to.chunks_exact_mut(lanes * width).enumerate() {
        let keys = lanes.min(rows - panel * lanes);
        for lane in 0..keys {
            let key = from.row(panel * lanes + lane, column, width);
            for (value, to) in key.iter().zip(to[lane..].iter_mut().step_by(lanes)) {
                *to = *value;
            }
        }
    }
}

/// Panels of a head's values: a key is a row.
fn pack(from: Columns<'_>, column: usize, width: usize, to: &mut [f32]) {
    let rows = to.len() / values_len(1, width);
    let lanes = lanes();
    for (panel, to) in to.chunks_exact_mut(lanes * rows).enumerate() {
        let count = lanes.min(width - panel * lanes);
        for (row, to) in to.chunks_exact_mut(lanes).enumerate() {
            to[..count].copy_from_slice(from.row(row, column + panel * lanes, count));
        }
    }
}

/// Turns each row of scores, times `scale`, into weights that sum to 1.
fn softmax(isa: Isa, scores: &mut [f32], width: usize, scale: f32) {
    isa.run(Softmax { scores, width, scale });
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    width: usize,
    scale: f32,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self { scores, width, scale } = self;
        for row in scores.chunks_exact_mut(width) {
            let (vectors, rest) = row.as_chunks_mut::<WIDTH>();
            let mut largest = [f32::NEG_INFINITY; WIDTH];
            for vector in &*vectors {
                largest
                    .iter_mut()
                    .zip(vector)
                    .for_each(|(l, x)| *l = if *x > *l { *x } else { *l });
            }
            let rests = rest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let largest = largest.into_iter().fold(rests, f32::max);
            let weight = |x: f32| exp::<FUSED>((x - largest) * scale);
            let mut sums = [0.0; WIDTH];
            for vector in &mut *vectors {
                for (x, sum) in vector.iter_mut().zip(&mut sums) {
                    *x = weight(*x);
                    *sum += *x;
                }
            }
            let mut sum: f64 = sums.iter().map(|sum| f64::from(*sum)).sum();
            for x in &mut *rest {
                *x = weight(*x);
                sum += f64::from(*x);
            }
            let scale = (1.0 / sum) as f32;
            row.iter_mut().for_each(|x| *x *= scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numbers;

    #[test]
    fn attention_equals_the_definition() {
        for (heads, queries, keys) in [
            (Heads { count: 1, width: 1 }, 1, 1),
            (Heads { count: 3, width: 5 }, 7, 4),
            (Heads { count: 2, width: 40 }, 100, 67),
        ] {
            let width = heads.count * heads.width;
            // Keys and values side by side in one matrix, as they come from one product.
            let (stride, both) = (width + 3, 2 * width);
            let query = numbers(queries * stride, 1);
            let key_value = numbers(keys * both, 2);
            for engine in Engine::all() {
                let threads = engine.workers().threads();
                let mut buffers = AttentionBuffers::new(heads, keys + 9, threads);
                let mut out = vec![f32::NAN; queries * width];
                let query = Columns { values: &query, stride, first: 3 };
                let key = Columns { values: &key_value, stride: both, first: 0 };
                let value = Columns { values: &key_value, stride: both, first: width };
                attend(
                    &engine,
                    heads,
                    (query, queries),
                    (key, value, keys),
                    &mut buffers,
                    &mut out,
                );
                for row in 0..queries {
                    for head in 0..heads.count {
                        let first = head * heads.width;
                        let of = |columns: Columns<'_>, row: usize| -> Vec<f64> {
                            let values = columns.row(row, first, heads.width);
                            values.iter().map(|x| f64::from(*x)).collect()
                        };
                        let wanted = of(query, row);
                        let score = |k: usize| -> f64 {
                            let products = of(key, k).into_iter().zip(&wanted).map(|(a, b)| a * b);
                            products.sum::<f64>() / (heads.width as f64).sqrt()
                        };
                        let weights: Vec<f64> = (0..keys).map(|k| score(k).exp()).collect();
                        let sum: f64 = weights.iter().sum();
                        for column in 0..heads.width {
                            let mixed: f64 =
                                (0..keys).map(|k| weights[k] / sum * of(value, k)[column]).sum();
                            let got = f64::from(out[row * width + first + column]);
                            assert!((got - mixed).abs() < 2e-6, "{got} {mixed}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn softmax_survives_huge_scores_and_shows_not_a_number() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let mut scores = [1e30, -1e30, 1e30, 0.0, f32::NAN, 0.0];
            softmax(isa, &mut scores, 3, 1.0);
            assert_eq!(scores[..3], [0.5, 0.0, 0.5]);
            assert!(scores[3..].iter().all(|x| x.is_nan()));
        }
    }
}
