//! Batch normalisation with fixed statistics.

/// torchvision's `FrozenBatchNorm2d`.
const EPSILON: f32 = 1e-5;

/// Scales and shifts each channel of a feature map.
pub(crate) struct FrozenBatchNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl FrozenBatchNorm {
    /// Takes one value per channel of each; variances must not be negative.
    pub(crate) fn new(weight: &[f32], bias: &[f32], mean: &[f32], variance: &[f32]) -> Self {
        let scale: Vec<f32> =
            weight.iter().zip(variance).map(|(w, v)| w * (v + EPSILON).sqrt().recip()).collect();
        let shift = bias.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self { scale, shift }
    }

    /// Applies it to a map of `[channels, pixels]`.
    pub(crate) fn apply(&self, map: &mut [f32]) {
        let pixels = map.len() / self.scale.len();
        let channels = map.chunks_exact_mut(pixels);
        for ((channel, scale), shift) in channels.zip(&self.scale).zip(&self.shift) {
            channel.iter_mut().for_each(|x| *x = *x * scale + shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_each_channel_with_its_own_statistics() {
        let norm = FrozenBatchNorm::new(&[2.0, 1.0], &[1.0, 0.0], &[3.0, -1.0], &[4.0, 0.25]);
        let mut map = [3.0, 5.0, -1.0, 0.0];
        norm.apply(&mut map);
        for (got, expected) in map.iter().zip([1.0, 3.0, 0.0, 2.0]) {
            assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        }
    }
}
