//! Activation functions of the feed-forward layers.

/// Activation between the two linear layers of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`, the exact form, not the tanh approximation.
    Gelu,
    /// `a * sigmoid(b)`, `a` being the first and `b` the second half of a row.
    Glu,
}

impl Activation {
    /// Length of a row after the activation.
    pub(crate) fn outputs(self, inputs: usize) -> usize {
        match self {
            Self::Relu | Self::Gelu => inputs,
            Self::Glu => inputs / 2,
        }
    }

    /// Applies it to rows of `inputs` values in place and returns the results, which are shorter
    /// than the input for [`Activation::Glu`].
    pub(crate) fn apply(self, values: &mut [f32], inputs: usize) -> &[f32] {
        match self {
            Self::Relu => relu(values),
            Self::Gelu => values.iter_mut().for_each(|x| *x = gelu(*x)),
            Self::Glu => return glu(values, inputs),
        }
        values
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

/// Packs the shortened rows at the front: a row is read before anything is written over it.
fn glu(values: &mut [f32], inputs: usize) -> &[f32] {
    let half = inputs / 2;
    let rows = values.len() / inputs;
    for row in 0..rows {
        for index in 0..half {
            let gate = values[row * inputs + half + index];
            values[row * half + index] = values[row * inputs + index] / (1.0 + (-gate).exp());
        }
    }
    &values[..rows * half]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `torch.nn.functional.gelu` and `glu`, computed from their definitions in f64.
    #[test]
    fn activations_follow_their_definitions() {
        let mut values = [-2.0, 0.0, 0.5, 3.0];
        let gelu = Activation::Gelu.apply(&mut values, 4);
        for (got, expected) in gelu.iter().zip([-0.045_500_264, 0.0, 0.345_731_23, 2.995_950_3]) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
        let mut values = [1.0, 2.0, 0.0, 100.0, 3.0, 4.0, -100.0, 0.0];
        assert_eq!(
            Activation::Glu.apply(&mut values, 4),
            [0.5, 2.0, 3.0 / (1.0 + 100.0_f32.exp()), 2.0]
        );
        let mut values = [-1.0, f32::NAN, 2.0];
        let relu = Activation::Relu.apply(&mut values, 3);
        assert!(relu[0] == 0.0 && relu[1].is_nan() && relu[2] == 2.0);
    }
}
