//! Activation functions of the feed-forward layers.

/// Activation between the two linear layers of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`, the exact form, not the tanh approximation.
    Gelu,
}

impl Activation {
    /// Applies it in place.
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Relu => relu(values),
            Self::Gelu => values.iter_mut().for_each(|x| *x = gelu(*x)),
        }
    }
}

/// `max(x, 0)` for every value; not-a-number stays what it is.
pub(crate) fn relu(values: &mut [f32]) {
    for value in values {
        // `f32::max` would turn not-a-number into 0 and hide it.
        if *value < 0.0 {
            *value = 0.0;
        }
    }
}

fn gelu(x: f32) -> f32 {
    x * 0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `torch.nn.functional.gelu`, computed from its definition in f64.
    #[test]
    fn activations_follow_their_definitions() {
        let mut gelu = [-2.0, 0.0, 0.5, 3.0];
        Activation::Gelu.apply(&mut gelu);
        for (got, expected) in gelu.iter().zip([-0.045_500_264, 0.0, 0.345_731_23, 2.995_950_3]) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
        let mut relu = [-1.0, f32::NAN, 2.0];
        Activation::Relu.apply(&mut relu);
        assert!(relu[0] == 0.0 && relu[1].is_nan() && relu[2] == 2.0);
    }
}
