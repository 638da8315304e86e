//! Noise that depends on a seed, the number of the inference and the place of a number in it, and
//! on nothing else.
//!
//! Philox 4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a
//! counter and a key into four words; Box and Muller's transform (1958) turns two of them into two
//! normally distributed numbers. The key is the seed, the counter's halves are the number of the
//! inference and that of the block.

use std::f64::consts::TAU;

/// Rounds of the generator.
const ROUNDS: usize = 10;
/// Multipliers of the two halves.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What is added to the key after each round.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// Four words from a counter and a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let product = |half: usize| u64::from(MULTIPLIERS[half]) * u64::from(counter[2 * half]);
        let (first, second) = (product(0), product(1));
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// The noise of one inference, in the order in which it is drawn.
pub(crate) struct Noise {
    key: [u32; 2],
    inference: u64,
    block: u64,
}

impl Noise {
    /// From its beginning.
    pub(crate) fn new(seed: u64, inference: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], inference, block: 0 }
    }

    /// Fills `values` with independent normally distributed numbers of mean 0 and variance 1.
    pub(crate) fn fill(&mut self, values: &mut [f32]) {
        for values in values.chunks_mut(4) {
            let words = [self.block, self.inference].map(|word| [word as u32, (word >> 32) as u32]);
            let [[a, b], [c, d]] = words;
            self.block += 1;
            let bits = philox([a, b, c, d], self.key);
            let [first, second] = [[bits[0], bits[1]], [bits[2], bits[3]]].map(normal);
            let numbers = first.into_iter().chain(second);
            values.iter_mut().zip(numbers).for_each(|(value, number)| *value = number);
        }
    }
}

/// Two normally distributed numbers.
fn normal([radius, angle]: [u32; 2]) -> [f32; 2] {
    // Above 0, so that the logarithm is finite.
    let uniform = (f64::from(radius) + 0.5) / 4_294_967_296.0;
    let radius = libm::sqrt(-2.0 * libm::log(uniform));
    let (sine, cosine) = libm::sincos(TAU * f64::from(angle) / 4_294_967_296.0);
    [(radius * cosine) as f32, (radius * sine) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers that come with the authors' own implementation (Random123).
    #[test]
    fn philox_gives_the_published_words() {
        for (counter, key, words) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), words);
        }
    }

    fn drawn(seed: u64, inference: u64, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        Noise::new(seed, inference).fill(&mut values);
        values
    }

    #[test]
    fn seed_and_inference_decide() {
        assert_eq!(drawn(1, 2, 100), drawn(1, 2, 100));
        assert_ne!(drawn(1, 2, 100), drawn(1, 3, 100));
        assert_ne!(drawn(1, 2, 100), drawn(1 << 40, 2, 100));
    }

    #[test]
    fn the_distribution_is_normal() {
        let values = drawn(7, 0, 400_000);
        let count = values.len() as f64;
        let moment = |power: i32| {
            values.iter().map(|value| f64::from(*value).powi(power)).sum::<f64>() / count
        };
        // Standard errors: 0.0016, 0.0022, 0.006, 0.015.
        for (power, expected, allowed) in
            [(1, 0.0, 0.008), (2, 1.0, 0.011), (3, 0.0, 0.03), (4, 3.0, 0.08)]
        {
            let got = moment(power);
            assert!((got - expected).abs() < allowed, "moment {power}: {got}");
        }
        let beyond = values.iter().filter(|value| value.abs() > 1.959_964).count() as f64 / count;
        assert!((beyond - 0.05).abs() < 0.002, "{beyond}");
        let pairs = values.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1]));
        assert!((pairs.sum::<f64>() / count).abs() < 0.008, "neighbours are independent");
    }
}
