//! Layer normalisation.

use crate::engine::Engine;
use crate::engine::isa::{Kernel, multiply_add};

/// PyTorch's default, which LeRobot keeps.
const EPSILON: f64 = 1e-5;
/// Rows of one task.
const TASK_ROWS: usize = 16;

/// Normalises rows to mean 0 and variance 1, then scales and shifts them.
pub(crate) struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl LayerNorm {
    /// Takes one scale and one shift per element of a row.
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>) -> Self {
        debug_assert_eq!(weight.len(), bias.len());
        Self { weight, bias }
    }

    /// Normalises every row of `values`.
    pub(crate) fn apply(&self, engine: &Engine, values: &mut [f32]) {
        let isa = engine.isa();
        let chunk = TASK_ROWS * self.weight.len();
        engine.workers().run_chunks(values, chunk, |_, rows| isa.run(Normalize(self, rows)));
    }
}

struct Normalize<'a>(&'a LayerNorm, &'a mut [f32]);

impl Kernel for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self(norm, rows) = self;
        for row in rows.chunks_exact_mut(norm.weight.len()) {
            let count = row.len() as f64;
            let mean = (total::<WIDTH>(row, |sum, x| sum + x) / count) as f32;
            let squares = |sum, x: f32| multiply_add::<FUSED>(x - mean, x - mean, sum);
            let scale = (total::<WIDTH>(row, squares) / count + EPSILON).sqrt().recip() as f32;
            for ((value, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
                *value = multiply_add::<FUSED>((*value - mean) * scale, *weight, *bias);
            }
        }
    }
}

/// Sums a row in `WIDTH` sums that do not wait for each other.
#[inline(always)]
fn total<const WIDTH: usize>(row: &[f32], add: impl Fn(f32, f32) -> f32) -> f64 {
    let (vectors, rest) = row.as_chunks::<WIDTH>();
    let mut sums = [0.0; WIDTH];
    for vector in vectors {
        sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum = add(*sum, *x));
    }
    let rest = rest.iter().fold(0.0, |sum, x| add(sum, *x));
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + f64::from(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_normalised_by_itself() {
        let norm = LayerNorm::new(vec![1.0, 1.0, 2.0], vec![0.0, 5.0, 0.0]);
        for engine in Engine::all() {
            let mut values = [1.0, 2.0, 3.0, 300.0, 200.0, 100.0];
            norm.apply(&engine, &mut values);
            let z = 1.5_f32.sqrt();
            for (got, expected) in values.iter().zip([-z, 5.0, 2.0 * z, z, 5.0, -2.0 * z]) {
                assert!((got - expected).abs() < 1e-4, "{got} {expected}");
            }
        }
    }

    #[test]
    fn long_rows_with_a_large_mean_keep_their_digits() {
        let row: Vec<f32> = (0..515).map(|i| 1000.0 + (i % 7) as f32).collect();
        let count = row.len() as f64;
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
        let norm = LayerNorm::new(vec![1.0; 515], vec![0.0; 515]);
        for engine in Engine::all() {
            let mut values = row.clone();
            norm.apply(&engine, &mut values);
            for (got, x) in values.iter().zip(&row) {
                let expected = (f64::from(*x) - mean) / (variance + 1e-5).sqrt();
                assert!((f64::from(*got) - expected).abs() < 1e-4, "{got} {expected}");
            }
        }
    }
}
