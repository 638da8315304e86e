//! Weights that follow a formula: every tensor is a function of its name and shape.
//!
//! Values are uniform in [-1, 1), drawn by SplitMix64 (Steele, Lea and Flood, 2014) from the CRC-32
//! of the tensor's name, and scaled by what the tensor is, so that activations stay near 1
//! throughout the network.

/// Uniform numbers in [-1, 1): the upper 24 bits of SplitMix64.
pub(crate) fn uniform(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        ((bits >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    })
}

/// What the values of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fill {
    /// `offset + scale * uniform`.
    Uniform {
        /// Middle of the range.
        offset: f32,
        /// Half the width of the range.
        scale: f32,
    },
    /// Sinusoidal position table of rows of `width` values.
    Positions {
        /// Length of a row.
        width: usize,
    },
}

impl Fill {
    /// Chooses by name and shape; `None` for a tensor that is no parameter of a known layer.
    pub(crate) fn for_tensor(name: &str, shape: &[usize]) -> Option<Self> {
        let uniform = |offset, scale| Some(Self::Uniform { offset, scale });
        if name.ends_with(".vae_encoder_pos_enc") {
            return shape.last().map(|&width| Self::Positions { width });
        }
        if name.ends_with(".running_var") {
            return uniform(1.0, 0.5);
        }
        if name.ends_with(".running_mean") || name.ends_with("bias") {
            return uniform(0.0, 0.05);
        }
        match shape {
            _ if name.ends_with("embed.weight") => uniform(0.0, 1.0),
            [_] if name.ends_with(".weight") => uniform(1.0, 0.1),
            [_, inputs @ ..] if !inputs.is_empty() && name.ends_with("weight") => {
                let inputs: usize = inputs.iter().product();
                // Variance 1 / inputs: a uniform number has variance 1/3.
                uniform(0.0, (3.0 / inputs as f64).sqrt() as f32)
            }
            _ => None,
        }
    }

    /// Values of a tensor of `count` elements.
    pub(crate) fn values(self, name: &str, count: usize) -> Vec<f32> {
        match self {
            Self::Uniform { offset, scale } => uniform(u64::from(crc32fast::hash(name.as_bytes())))
                .take(count)
                .map(|value| offset + value * scale)
                .collect(),
            Self::Positions { width } => (0..count)
                .map(|index| position_value(index / width, index % width, width))
                .collect(),
        }
    }
}

/// Sine on even and cosine on odd channels, as in the table of ACT's variational encoder.
fn position_value(position: usize, channel: usize, channels: usize) -> f32 {
    let exponent = (2 * (channel / 2)) as f64 / channels as f64;
    let angle = position as f64 / 10_000_f64.powf(exponent);
    (if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First numbers for seed 43, as the generator of the reference data drew them.
    #[test]
    fn uniform_numbers_are_the_reference_ones() {
        let expected = [0.456_357_48, 0.225_543_02, -0.134_578_23, 0.661_132_6, -0.996_583];
        for (got, expected) in uniform(43).zip(expected) {
            assert!((got - expected).abs() < 1e-7, "{got} {expected}");
        }
    }

    #[test]
    fn tensors_are_filled_by_what_they_are() {
        let uniform = |offset, scale| Some(Fill::Uniform { offset, scale });
        let cases = [
            ("model.backbone.bn1.weight", vec![64], uniform(1.0, 0.1)),
            ("model.backbone.bn1.running_var", vec![64], uniform(1.0, 0.5)),
            ("model.encoder.layers.0.self_attn.in_proj_bias", vec![96], uniform(0.0, 0.05)),
            ("model.encoder.layers.0.self_attn.in_proj_weight", vec![96, 12], uniform(0.0, 0.5)),
            ("model.backbone.conv1.weight", vec![8, 3, 2, 2], uniform(0.0, 0.5)),
            ("model.decoder_pos_embed.weight", vec![8, 32], uniform(0.0, 1.0)),
            ("model.vae_encoder_pos_enc", vec![1, 10, 32], Some(Fill::Positions { width: 32 })),
            ("model.bn.num_batches_tracked", vec![], None),
        ];
        for (name, shape, expected) in cases {
            assert_eq!(Fill::for_tensor(name, &shape), expected, "{name}");
        }
    }
}
