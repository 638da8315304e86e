//! Layer normalisation.

/// PyTorch's default, which LeRobot keeps.
const EPSILON: f64 = 1e-5;

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
    pub(crate) fn apply(&self, values: &mut [f32]) {
        for row in values.chunks_exact_mut(self.weight.len()) {
            let count = row.len() as f64;
            let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
            let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
            let scale = 1.0 / (variance + EPSILON).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *value = ((f64::from(*value) - mean) * scale) as f32 * weight + bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_normalised_by_itself() {
        let norm = LayerNorm::new(vec![1.0, 1.0, 2.0], vec![0.0, 5.0, 0.0]);
        let mut values = [1.0, 2.0, 3.0, 300.0, 200.0, 100.0];
        norm.apply(&mut values);
        let z = 1.5_f32.sqrt();
        for (got, expected) in values.iter().zip([-z, 5.0, 2.0 * z, z, 5.0, -2.0 * z]) {
            assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        }
    }
}
