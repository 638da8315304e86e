//! Power over frequency: Welch's method.

use std::f64::consts::{PI, TAU};

/// Longest piece, in samples.
const LONGEST: usize = 1024;

/// Power spectral density.
#[derive(Clone, Debug, Default)]
pub struct Spectrum {
    /// Hz.
    pub frequency: Vec<f64>,
    /// Unit² / Hz.
    pub density: Vec<f64>,
}

impl Spectrum {
    /// Welch's method, with a Hann window over pieces that overlap by half, each without its mean. Of
    /// several stretches of time: no piece reaches from one into another, and what is shorter than the
    /// pieces, which fit into the longest, is left out.
    pub fn of_parts(parts: &[&[f64]], rate_hz: f64) -> Self {
        let longest = parts.iter().map(|part| part.len()).max().unwrap_or(0);
        let mut length = LONGEST;
        while length > longest && length > 8 {
            length /= 2;
        }
        if longest < length {
            return Self::default();
        }
        let window: Vec<f64> =
            (0..length).map(|i| 0.5 - 0.5 * (TAU * i as f64 / length as f64).cos()).collect();
        let power: f64 = window.iter().map(|w| w * w).sum();
        let mut density = vec![0.0; length / 2 + 1];
        let pieces: Vec<&[f64]> =
            parts.iter().flat_map(|part| part.windows(length).step_by(length / 2)).collect();
        for piece in &pieces {
            let mean = piece.iter().sum::<f64>() / length as f64;
            let mut real: Vec<f64> =
                piece.iter().zip(&window).map(|(v, w)| (v - mean) * w).collect();
            let mut imaginary = vec![0.0; length];
            transform(&mut real, &mut imaginary);
            for (index, density) in density.iter_mut().enumerate() {
                let twice = if index == 0 || index == length / 2 { 1.0 } else { 2.0 };
                let square = real[index] * real[index] + imaginary[index] * imaginary[index];
                *density += twice * square / (rate_hz * power * pieces.len() as f64);
            }
        }
        let frequency = (0..density.len()).map(|i| i as f64 * rate_hz / length as f64).collect();
        Self { frequency, density }
    }

    /// Each density as the median of its neighbourhood: neither a lone tone nor the scatter of few pieces
    /// is left.
    fn smooth(&self) -> Vec<f64> {
        let half = (self.density.len() / 64).max(3);
        let around = |index: usize| {
            let end = (index + half + 1).min(self.density.len());
            super::csv::median(self.density[index.saturating_sub(half)..end].to_vec())
        };
        (0..self.density.len()).map(around).collect()
    }

    /// What is there where nothing but noise should be: the median of the fastest quarter, and no less than
    /// 100 dB below the largest, where the window leaks.
    pub fn floor(&self) -> f64 {
        let begin = self.density.len() * 3 / 4;
        let most = self.density.iter().copied().fold(0.0, f64::max);
        let floor = super::csv::median(self.density[begin..].to_vec());
        floor.max(1e-10 * most).max(f64::MIN_POSITIVE)
    }

    /// The original's rule: the highest frequency whose signal to noise is within 6 dB of the best.
    pub fn original_cutoff(&self) -> f64 {
        let best = self.density.iter().skip(1).copied().fold(0.0, f64::max);
        let last = self.density.iter().rposition(|it| *it >= best * 10_f64.powf(-0.6));
        last.and_then(|last| self.frequency.get(last)).copied().unwrap_or(0.0)
    }

    /// Floor and cut-offs for people.
    pub fn describe(&self) -> String {
        let original = self.original_cutoff();
        match self.cutoff() {
            Some(hz) => format!(
                "suggested cut-off {hz:.1} Hz, where it sinks below 10 dB above a noise floor of {:.2e} unit²/Hz; \
                 by the original's 6 dB rule {original:.1} Hz",
                self.floor()
            ),
            None => format!(
                "no cut-off to suggest: no flat noise floor to rise from; by the original's 6 dB rule \
                 {original:.1} Hz"
            ),
        }
    }

    /// Above which frequency the smoothed spectrum stays less than 10 dB above the noise. `None` where
    /// nothing rises above it, and where the fastest quarter is no flat floor: there nothing tells signal
    /// from noise.
    pub fn cutoff(&self) -> Option<f64> {
        let smooth = self.smooth();
        let floor = self.floor();
        let quarter = smooth.get(smooth.len() * 3 / 4..)?;
        let (slow, fast) = quarter.split_at(quarter.len() / 2);
        let halves = [slow, fast].map(|half| super::csv::median(half.to_vec()).max(floor));
        if halves[0] > 2.0 * halves[1] || halves[1] > 2.0 * halves[0] {
            return None;
        }
        let last = smooth.iter().rposition(|it| *it >= 10.0 * floor)?;
        if last >= smooth.len() * 3 / 4 {
            return None;
        }
        self.frequency.get(last).copied()
    }
}

/// The discrete Fourier transform in place, of a power of two (Cooley and Tukey 1965).
fn transform(real: &mut [f64], imaginary: &mut [f64]) {
    let count = real.len();
    let bits = count.trailing_zeros();
    for index in 0..count {
        let other = index.reverse_bits() >> (usize::BITS - bits);
        if index < other {
            real.swap(index, other);
            imaginary.swap(index, other);
        }
    }
    let mut half = 1;
    while half < count {
        for begin in (0..count).step_by(2 * half) {
            for offset in 0..half {
                let (sin, cos) = (-PI * offset as f64 / half as f64).sin_cos();
                let (low, high) = (begin + offset, begin + offset + half);
                let (a, b) = (
                    real[high] * cos - imaginary[high] * sin,
                    real[high] * sin + imaginary[high] * cos,
                );
                (real[high], imaginary[high]) = (real[low] - a, imaginary[low] - b);
                (real[low], imaginary[low]) = (real[low] + a, imaginary[low] + b);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::random::Random;

    fn welch(values: &[f64], rate_hz: f64) -> Spectrum {
        Spectrum::of_parts(&[values], rate_hz)
    }

    #[test]
    fn the_area_is_the_variance_and_the_peak_is_where_the_wave_is() {
        let mut random = Random::new(3, 4);
        let values: Vec<f64> = (0..8192)
            .map(|i| (TAU * 12.5 * f64::from(i) / 200.0).sin() + 0.1 * random.normal())
            .collect();
        let spectrum = welch(&values, 200.0);
        let area: f64 = spectrum.density.iter().sum::<f64>() * spectrum.frequency[1];
        assert!((area - 0.51).abs() < 0.02, "{area}");
        let peak = (0..spectrum.density.len())
            .max_by(|a, b| spectrum.density[*a].total_cmp(&spectrum.density[*b]))
            .unwrap();
        assert!((spectrum.frequency[peak] - 12.5).abs() < 0.2);
        let six = spectrum.original_cutoff();
        assert!((12.0..13.5).contains(&six), "{six}");
    }

    /// What a low-pass of one pole at `corner_hz` lets through of noise, with a white floor under it.
    fn coloured(seed: u64, corner_hz: f64, floor: f64, samples: usize) -> Vec<f64> {
        let mut random = Random::new(seed, 4);
        let keep = (-TAU * corner_hz / 1000.0).exp();
        let mut state = [0.0; 2];
        (0..samples)
            .map(|_| {
                state[0] = keep * state[0] + (1.0 - keep) * random.normal();
                state[1] = keep * state[1] + (1.0 - keep) * state[0];
                state[1] + floor * random.normal()
            })
            .collect()
    }

    #[test]
    fn the_cut_off_is_where_the_signal_sinks_into_the_noise() {
        // 40 dB a decade from 5 Hz on, 30 dB above the floor at first: 9 floors are left at 5 Hz times
        // sqrt(sqrt(1000 / 9) - 1).
        let expected = 5.0 * ((1000.0_f64 / 9.0).sqrt() - 1.0).sqrt();
        let floor = 1000_f64.sqrt().recip();
        for (seed, samples) in [(1, 40_000), (2, 40_000), (3, 4_000), (4, 1_100)] {
            let mut values = coloured(seed, 5.0, floor, samples);
            let quiet = welch(&values, 1000.0).cutoff().unwrap();
            assert!((0.6..1.5).contains(&(quiet / expected)), "{quiet} {expected}");
            // A lone tone far above, such as that of the mains, moves nothing.
            for (index, value) in values.iter_mut().enumerate() {
                *value += 0.3 * floor * (TAU * 310.0 * index as f64 / 1000.0).sin();
            }
            let hum = welch(&values, 1000.0).cutoff().unwrap();
            assert!((0.6..1.5).contains(&(hum / expected)), "{hum} {expected}");
        }
    }

    #[test]
    fn without_a_floor_there_is_no_cut_off() {
        // Noise alone; and a spectrum that falls to its end.
        assert_eq!(welch(&coloured(1, 5.0, 1e3, 20_000), 1000.0).cutoff(), None);
        let white = coloured(1, 5.0, 1.0, 20_000);
        let smoothed = |it: &[f64]| it[0] + 4.0 * it[1] + 6.0 * it[2] + 4.0 * it[3] + it[4];
        let falling: Vec<f64> = white.windows(5).map(smoothed).collect();
        assert_eq!(welch(&falling, 1000.0).cutoff(), None);
        assert_eq!(welch(&[0.5; 3000], 1000.0).cutoff(), None);
        assert_eq!(Spectrum::default().cutoff(), None);
    }
}
