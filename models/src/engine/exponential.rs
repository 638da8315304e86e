//! The exponential function as plain arithmetic, so that it is computed for a whole vector at
//! once, and the same on every computer that fuses.

use super::isa::multiply_add;

/// Below it results are zero (no denormal numbers), above it infinite.
const LEAST: f32 = -87.336_54;
const MOST: f32 = 88.722_83;
/// Adding it rounds to a whole number, which then is in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// `ln 2` in two parts: the first has few digits, so that its multiples are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `e^x` with a relative error of at most 2e-7; not-a-number stays what it is.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    let fma = multiply_add::<FUSED>;
    // Comparisons that not-a-number fails.
    let bounded = if x < LEAST { LEAST } else { x };
    let bounded = if bounded > MOST { MOST } else { bounded };
    let shifted = fma(bounded, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = fma(whole, -LN_2[1], fma(whole, -LN_2[0], bounded));
    // Taylor's series over half of ln 2 to both sides.
    let mut sum = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = fma(sum, rest, coefficient);
    }
    // 2^whole in two factors: the exponent of one would overflow at both ends.
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = power >> 1;
    let two_to = |power: i32| f32::from_bits((power.wrapping_add(127) as u32) << 23);
    let value = sum * two_to(half) * two_to(power - half);
    let value = if x < LEAST { 0.0 } else { value };
    if x > MOST { f32::INFINITY } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::isa::{Isa, Kernel};
    use super::*;

    struct Exp<'a>(&'a mut [f32]);

    impl Kernel for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
            self.0.iter_mut().for_each(|value| *value = exp::<FUSED>(*value));
        }
    }

    #[test]
    fn the_relative_error_is_small_everywhere() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let mut worst = 0.0_f64;
            for begin in -880..890 {
                let inputs: Vec<f32> =
                    (0..1000).map(|i| begin as f32 / 10.0 + i as f32 * 1e-4).collect();
                let mut values = inputs.clone();
                isa.run(Exp(&mut values));
                for (input, value) in inputs.iter().zip(&values) {
                    if !(LEAST..=MOST).contains(input) {
                        continue;
                    }
                    let expected = f64::from(*input).exp();
                    worst = worst.max((f64::from(*value) - expected).abs() / expected);
                }
            }
            assert!(worst < 2e-7, "{isa:?}: {worst}");
        }
    }

    #[test]
    fn the_ends_are_exact_and_not_a_number_stays() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let mut values = [0.0, -1000.0, 1000.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
            isa.run(Exp(&mut values));
            assert_eq!(values[..5], [1.0, 0.0, f32::INFINITY, 0.0, f32::INFINITY]);
            assert!(values[5].is_nan());
        }
    }
}
