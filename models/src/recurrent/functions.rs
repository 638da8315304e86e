//! The functions inside gates and activations, a vector at a time.
//!
//! Coefficients are least-maximum fits made for this file (Lawson's reweighted least squares on
//! Chebyshev points in 64-bit numbers). Errors over the whole range are asserted below. All keep
//! not-a-number.
#![allow(unsafe_code, reason = "called from kernels only, which know the instruction set")]

use super::Activation;
use super::lanes::{Lanes, ROUNDER};

/// `(exp(r) - 1 - r) / r^2` for `|r| <= ln(2) / 2`, lowest power first; relative error of
/// `exp(r) - 1` below `2^-26`.
const EXP: [f32; 5] = [0.499_999_97, 0.166_665_4, 0.041_667_21, 0.008_366_846_5, 0.001_388_245_7];

/// ln(2) in two parts; products of the first with exponents are exact.
const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// `P(X < -a) * exp(a^2 / 2)` of the normal distribution, as a polynomial in `1 / (1 + a / 4)`,
/// for `0 <= a <= NORMAL_RANGE`; relative error below `2^-25`.
const NORMAL_TAIL: [f32; 10] = [
    -2.088_094_5e-5,
    0.100_215_19,
    0.094_934_19,
    0.121_037_59,
    -0.018_848_13,
    0.301_613_84,
    -0.329_993_37,
    0.392_374_75,
    -0.195_050_43,
    0.033_737_26,
];

/// Beyond it the tail of the normal distribution is below the smallest `f32`.
const NORMAL_RANGE: f32 = 14.2;

/// A polynomial, lowest power first.
#[inline(always)]
unsafe fn polynomial<L: Lanes>(coefficients: &[f32], x: L) -> L {
    // SAFETY: the caller has the instructions of `L`; so everywhere in this file.
    unsafe {
        let mut sum = L::splat(coefficients[coefficients.len() - 1]);
        for &coefficient in coefficients.iter().rev().skip(1) {
            sum = sum.mul_add(x, L::splat(coefficient));
        }
        sum
    }
}

/// `exp(r) - 1` and `2^n`, where `x = r + n ln(2)`. For `-88 <= x <= 88.8`.
#[inline(always)]
unsafe fn exp_parts<L: Lanes>(x: L) -> (L, L) {
    // SAFETY: as above.
    unsafe {
        let shifted = x.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(ROUNDER));
        let n = shifted.sub(L::splat(ROUNDER));
        let r = n.mul_add(L::splat(-LN2.0), x);
        let r = n.mul_add(L::splat(-LN2.1), r);
        let fraction = polynomial(&EXP, r).mul_add(r.mul(r), r);
        (fraction, shifted.power_of_two())
    }
}

/// `exp(x)`; 0 below -87.7, infinite above 88.4.
#[inline(always)]
unsafe fn exp<L: Lanes>(x: L) -> L {
    // SAFETY: as above.
    unsafe {
        let (fraction, power) = exp_parts(x.at_least(L::splat(-88.0)).at_most(L::splat(88.8)));
        fraction.add(L::splat(1.0)).mul(power)
    }
}

/// `exp(x) - 1` for `-20 <= x <= 20`; what is outside counts as the limit.
#[inline(always)]
unsafe fn exp_minus_one<L: Lanes>(x: L) -> L {
    // SAFETY: as above.
    unsafe {
        let (fraction, power) = exp_parts(x.at_least(L::splat(-20.0)).at_most(L::splat(20.0)));
        fraction.mul_add(power, power.sub(L::splat(1.0)))
    }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) unsafe fn sigmoid<L: Lanes>(x: L) -> L {
    // SAFETY: as above.
    unsafe {
        let one = L::splat(1.0);
        one.div(exp(L::splat(0.0).sub(x)).add(one))
    }
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) unsafe fn tanh<L: Lanes>(x: L) -> L {
    // SAFETY: as above.
    unsafe {
        let e = exp_minus_one(x.add(x));
        e.div(e.add(L::splat(2.0)))
    }
}

/// `x * P(X < x)` of the normal distribution. The tail is computed for itself, so that it has
/// significant digits.
#[inline(always)]
unsafe fn gelu<L: Lanes>(x: L) -> L {
    // SAFETY: as above.
    unsafe {
        let (one, half) = (L::splat(1.0), L::splat(0.5));
        let a = x.at_least(L::splat(0.0).sub(x)).at_most(L::splat(NORMAL_RANGE));
        let square = a.mul(a);
        // What rounding took from the square; zero where nothing fuses.
        let rest = a.mul_add(a, L::splat(0.0).sub(square));
        let bell = exp(square.mul(L::splat(-0.5)));
        let bell = bell.sub(bell.mul(rest.mul(half)));
        let tail = bell.mul(polynomial(&NORMAL_TAIL, one.div(a.mul_add(L::splat(0.25), one))));
        x.mul(x.if_negative(tail, one.sub(tail)))
    }
}

/// An activation of dense layers.
#[inline(always)]
pub(super) unsafe fn activate<L: Lanes>(activation: Activation, x: L) -> L {
    // SAFETY: as above.
    unsafe {
        let zero = L::splat(0.0);
        match activation {
            Activation::Relu => x.if_negative(zero, x),
            Activation::Tanh => tanh(x),
            Activation::Softsign => x.div(x.at_least(zero.sub(x)).add(L::splat(1.0))),
            Activation::Elu => x.if_negative(exp_minus_one(x), x),
            Activation::Silu => x.mul(sigmoid(x)),
            Activation::Gelu => gelu(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Portable;
    #[cfg(target_arch = "x86_64")]
    use super::super::lanes::{Avx2, Avx512};
    use super::super::tests::isas;
    use super::super::twin;
    use super::*;
    use crate::engine::isa::Isa;

    /// What is tested.
    #[derive(Clone, Copy, Debug)]
    enum Function {
        Sigmoid,
        Activation(Activation),
    }

    impl Function {
        fn defined(self, x: f64) -> f64 {
            match self {
                Self::Sigmoid => twin::sigmoid(x),
                Self::Activation(activation) => twin::activation(activation, x),
            }
        }

        fn computed(self, isa: Isa, values: [f32; 16]) -> [f32; 16] {
            let mut results = values;
            match isa {
                // SAFETY: only those of this computer are tested.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512(self, &mut results) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2(self, &mut results) },
                // SAFETY: as above.
                _ => unsafe { apply::<Portable>(self, &mut results) },
            }
            results
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512(function: Function, values: &mut [f32; 16]) {
        // SAFETY: enabled.
        unsafe { apply::<Avx512>(function, values) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(function: Function, values: &mut [f32; 16]) {
        // SAFETY: enabled.
        unsafe { apply::<Avx2>(function, values) }
    }

    #[inline(always)]
    unsafe fn apply<L: Lanes>(function: Function, values: &mut [f32; 16]) {
        for values in values.chunks_exact_mut(L::WIDTH) {
            // SAFETY: a chunk is one vector, and the caller has the instructions.
            unsafe {
                let x = L::load(values.as_ptr());
                let result = match function {
                    Function::Sigmoid => sigmoid(x),
                    Function::Activation(activation) => activate(activation, x),
                };
                result.store(values.as_mut_ptr());
            }
        }
    }

    /// Tails may become zero below it.
    const NOTHING: f64 = 1e-36;

    /// Distance in units of the last place of the expected number.
    fn ulps(got: f32, expected: f64) -> f64 {
        if expected.abs() < NOTHING && f64::from(got).abs() < NOTHING {
            return 0.0;
        }
        let exponent = expected.abs().log2().floor();
        (f64::from(got) - expected).abs() / (exponent - 23.0).exp2()
    }

    /// 2.1 million numbers of every sign and size, and some that matter.
    fn everything() -> impl Iterator<Item = [f32; 16]> {
        let spread = (0..=u32::MAX / 2039).map(|index| f32::from_bits(index * 2039));
        let near = (-1_600_000..1_600_000).step_by(7).map(|index| index as f32 * 1e-5);
        let mut all = spread.chain(near).filter(|x| x.is_finite());
        std::iter::from_fn(move || {
            let first = all.next()?;
            Some(std::array::from_fn(|lane| {
                if lane == 0 { Some(first) } else { all.next() }.unwrap_or(0.0)
            }))
        })
    }

    #[test]
    fn functions_are_near_their_definitions_over_the_whole_range() {
        use Activation::{Elu, Gelu, Relu, Silu, Softsign, Tanh};
        let functions = [
            (Function::Sigmoid, 2.5),
            (Function::Activation(Tanh), 2.5),
            (Function::Activation(Relu), 0.0),
            (Function::Activation(Softsign), 1.5),
            (Function::Activation(Elu), 1.5),
            (Function::Activation(Silu), 3.5),
            (Function::Activation(Gelu), 8.0),
        ];
        for isa in isas() {
            let mut worst = [(0.0_f64, 0.0_f32); 7];
            for values in everything() {
                for ((function, _), worst) in functions.iter().zip(&mut worst) {
                    for (x, got) in values.iter().zip(function.computed(isa, values)) {
                        let ulps = ulps(got, function.defined(f64::from(*x)));
                        if ulps.is_nan() || ulps > worst.0 {
                            *worst = (ulps, *x);
                        }
                    }
                }
            }
            for ((function, _), (ulps, x)) in functions.iter().zip(worst) {
                println!(
                    "{isa:?} {function:?}: at most {ulps:.2} units of the last place, at {x:e}"
                );
            }
            for ((function, limit), (ulps, x)) in functions.iter().zip(worst) {
                // The far tail of the bell needs more digits of the square than it has there.
                let unfused = isa == Isa::Portable && cfg!(not(target_arch = "aarch64"));
                let gelu = matches!(function, Function::Activation(Gelu));
                let limit = if unfused && gelu { 70.0 } else { *limit };
                assert!(ulps <= limit, "{isa:?} {function:?}: {ulps} at {x:e}");
            }
        }
    }

    #[test]
    fn functions_saturate_and_keep_what_is_not_a_number() {
        let (big, inf) = (f32::MAX, f32::INFINITY);
        for isa in isas() {
            let sigmoid = Function::Sigmoid.computed(
                isa,
                [
                    f32::NAN,
                    big,
                    inf,
                    -big,
                    -inf,
                    0.0,
                    17.5,
                    -89.0,
                    0.,
                    0.,
                    0.,
                    0.,
                    0.,
                    0.,
                    0.,
                    -f32::NAN,
                ],
            );
            assert!(sigmoid[0].is_nan() && sigmoid[15].is_nan(), "{isa:?}");
            assert_eq!(sigmoid[1..8], [1.0, 1.0, 0.0, 0.0, 0.5, 1.0, 0.0], "{isa:?}");
            let tanh = Function::Activation(Activation::Tanh);
            let tanh = tanh.computed(
                isa,
                [f32::NAN, big, inf, -big, -inf, 0.0, 9.1, -9.1, 0., 0., 0., 0., 0., 0., 0., 0.],
            );
            assert!(tanh[0].is_nan(), "{isa:?}");
            assert_eq!(tanh[1..8], [1.0, 1.0, -1.0, -1.0, 0.0, 1.0, -1.0], "{isa:?}");
            for activation in [
                Activation::Relu,
                Activation::Softsign,
                Activation::Elu,
                Activation::Silu,
                Activation::Gelu,
            ] {
                let results = Function::Activation(activation).computed(isa, [f32::NAN; 16]);
                assert!(results.iter().all(|x| x.is_nan()), "{isa:?} {activation:?}");
                // What fills up a panel must stay zero.
                let zeros = Function::Activation(activation).computed(isa, [0.0; 16]);
                assert_eq!(zeros, [0.0; 16], "{isa:?} {activation:?}");
            }
        }
    }
}
