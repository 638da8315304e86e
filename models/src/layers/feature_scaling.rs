//! Scaling between a checkpoint's own units and the values that the network sees.

/// How one feature is scaled. Vectors hold one value per element, or per channel of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FeatureScaling {
    /// Unchanged.
    Identity,
    /// `(x - mean) / (std + epsilon)`.
    MeanStd {
        /// Mean in the checkpoint's own units.
        mean: Vec<f32>,
        /// Standard deviation in the checkpoint's own units.
        std: Vec<f32>,
        /// Added to the standard deviation.
        epsilon: f32,
    },
    /// `low..high` to `-1..1`.
    Range {
        /// Value that becomes -1.
        low: Vec<f32>,
        /// Value that becomes 1.
        high: Vec<f32>,
        /// What the range is divided by, one per element.
        divisor: Vec<f32>,
    },
}

impl FeatureScaling {
    /// Normalises one value of element (or channel) `index`.
    pub(crate) fn normalize(&self, index: usize, value: f32) -> f32 {
        match self {
            Self::Identity => value,
            Self::MeanStd { mean, std, epsilon } => (value - mean[index]) / (std[index] + epsilon),
            Self::Range { low, divisor, .. } => 2.0 * (value - low[index]) / divisor[index] - 1.0,
        }
    }

    /// Normalises the values of all elements.
    pub(crate) fn normalize_all(&self, values: &[f32], out: &mut [f32]) {
        for (index, (out, value)) in out.iter_mut().zip(values).enumerate() {
            *out = self.normalize(index, *value);
        }
    }

    /// Turns a normalised value of element `index` back into the checkpoint's own units.
    pub(crate) fn restore(&self, index: usize, value: f32) -> f32 {
        match self {
            Self::Identity => value,
            Self::MeanStd { mean, std, .. } => value * std[index] + mean[index],
            Self::Range { low, high, .. } => {
                (value + 1.0) / 2.0 * (high[index] - low[index]) + low[index]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restoring_undoes_normalising() {
        let mean_std = FeatureScaling::MeanStd { mean: vec![3.0], std: vec![2.0], epsilon: 0.0 };
        let range = FeatureScaling::Range { low: vec![-1.0], high: vec![4.0], divisor: vec![5.0] };
        assert_eq!(mean_std.normalize(0, 7.0), 2.0);
        assert_eq!(range.normalize(0, -1.0), -1.0);
        assert_eq!(range.normalize(0, 4.0), 1.0);
        for scaling in [FeatureScaling::Identity, mean_std, range] {
            assert_eq!(scaling.restore(0, scaling.normalize(0, 1.5)), 1.5);
        }
    }
}
