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
    /// Of pieces with a Hann window that overlap by half, each without its mean.
    pub fn welch(values: &[f64], rate_hz: f64) -> Self {
        Self::of_parts(&[values], rate_hz)
    }

    /// Of several stretches of time: no piece reaches from one into another, and what is shorter than the
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

    /// What is there where nothing but noise should be: the median of the fastest quarter.
    pub fn floor(&self) -> f64 {
        let begin = self.density.len() * 3 / 4;
        super::csv::median(self.density[begin..].to_vec()).max(f64::MIN_POSITIVE)
    }

    /// Signal to noise in dB at each frequency.
    pub fn snr_db(&self) -> Vec<f64> {
        let floor = self.floor();
        self.density.iter().map(|it| 10.0 * (it / floor).max(1e-12).log10()).collect()
    }

    /// The highest frequency whose signal to noise is within 6 dB of the best (the original's rule), and
    /// the highest before the spectrum first stays below 10 dB.
    pub fn cutoffs(&self) -> (f64, f64) {
        let snr = self.snr_db();
        let best = snr.iter().skip(1).copied().fold(f64::NEG_INFINITY, f64::max);
        let highest = |limit: f64| {
            let last = snr.iter().rposition(|it| *it >= limit).unwrap_or(0);
            self.frequency.get(last).copied().unwrap_or(0.0)
        };
        (highest(best - 6.0), highest(10.0))
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

    #[test]
    fn the_area_is_the_variance_and_the_peak_is_where_the_wave_is() {
        let mut random = Random::new(3, 4);
        let values: Vec<f64> = (0..8192)
            .map(|i| (TAU * 12.5 * f64::from(i) / 200.0).sin() + 0.1 * random.normal())
            .collect();
        let spectrum = Spectrum::welch(&values, 200.0);
        let area: f64 = spectrum.density.iter().sum::<f64>() * spectrum.frequency[1];
        assert!((area - 0.51).abs() < 0.02, "{area}");
        let peak = (0..spectrum.density.len())
            .max_by(|a, b| spectrum.density[*a].total_cmp(&spectrum.density[*b]))
            .unwrap();
        assert!((spectrum.frequency[peak] - 12.5).abs() < 0.2);
        let (six, ten) = spectrum.cutoffs();
        assert!((12.0..13.5).contains(&six) && (12.0..14.0).contains(&ten), "{six} {ten}");
    }
}
