//! Activation functions.

use crate::engine::Engine;
use crate::engine::exponential::exp;
use crate::engine::isa::Kernel;
pub(crate) use crate::engine::product::relu;

/// Values of one task.
const CHUNK: usize = 4096;

/// What follows a linear layer or a normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`, the exact form, not the tanh approximation.
    Gelu,
    /// `x * tanh(ln(1 + e^x))`.
    Mish,
}

impl Activation {
    /// LeRobot's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identity => "none",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Mish => "mish",
        }
    }

    /// Applies it in place.
    pub(crate) fn apply(self, engine: &Engine, values: &mut [f32]) {
        let isa = engine.isa();
        engine.workers().run_chunks(values, CHUNK, |_, values| isa.run(Apply(self, values)));
    }

    /// Applies it to values in registers; called from a kernel.
    #[inline(always)]
    pub(crate) fn apply_array<const WIDTH: usize, const FUSED: bool>(
        self,
        values: &mut [f32; WIDTH],
    ) {
        match self {
            Self::Identity => {}
            Self::Relu => values.iter_mut().for_each(|x| *x = relu(*x)),
            Self::Gelu => values.iter_mut().for_each(|x| *x = gelu(*x)),
            Self::Mish => values.iter_mut().for_each(|x| *x = mish::<FUSED>(*x)),
        }
    }
}

struct Apply<'a>(Activation, &'a mut [f32]);

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self(activation, values) = self;
        let (vectors, rest) = values.as_chunks_mut::<WIDTH>();
        vectors.iter_mut().for_each(|values| activation.apply_array::<WIDTH, FUSED>(values));
        for value in rest {
            let mut one = [*value];
            activation.apply_array::<1, FUSED>(&mut one);
            [*value] = one;
        }
    }
}

fn gelu(x: f32) -> f32 {
    x * 0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// With `n = e^x (e^x + 2)`, `tanh(ln(1 + e^x))` is `n / (n + 2)`.
#[inline(always)]
fn mish<const FUSED: bool>(x: f32) -> f32 {
    // Beyond it the quotient is 1, and the square would overflow.
    let e = exp::<FUSED>(if x > 20.0 { 20.0 } else { x });
    let n = e * (e + 2.0);
    x * (n / (n + 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(activation: Activation, definition: impl Fn(f64) -> f64) {
        let inputs: Vec<f32> = (-4000..4000).map(|i| i as f32 / 100.0).collect();
        for engine in Engine::all() {
            let mut values = inputs.clone();
            activation.apply(&engine, &mut values);
            for (input, value) in inputs.iter().zip(&values) {
                let expected = definition(f64::from(*input));
                let allowed = 1e-6 * expected.abs().max(0.1);
                assert!(
                    (f64::from(*value) - expected).abs() < allowed,
                    "{input} {value} {expected}"
                );
            }
            let mut odd = [f32::NAN, -1.0, 2.0];
            activation.apply(&engine, &mut odd);
            assert!(odd[0].is_nan());
        }
    }

    #[test]
    fn activations_follow_their_definitions() {
        check(Activation::Identity, |x| x);
        check(Activation::Relu, |x| x.max(0.0));
        check(Activation::Gelu, |x| x * 0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)));
        check(Activation::Mish, |x| x * x.exp().ln_1p().tanh());
    }
}
