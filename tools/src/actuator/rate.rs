//! Samples per second, from the times that were written down.

use super::csv::median;
use std::collections::BTreeSet;

/// Different distances that rounding makes of one: a clock that is read in steps.
const FEW: usize = 3;

/// The rate of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    pub hz: f64,
    /// Part of the distances that are farther from the typical one than half of it.
    pub unlike: f64,
    /// Whether the clock was read in steps that are not small beside the distances.
    pub coarse: bool,
}

/// One over the median distance, in Hz from ms.
///
/// A clock that is read in steps, such as whole milliseconds, has few distances, and their median is one
/// of them: 4 ms of the 4, 4, 4, 4, 4, 5 of 240 Hz. There it is one over the mean of those distances that
/// are within half of the median; a lost sample is farther.
pub fn rate(time_ms: &[f64]) -> Rate {
    let distances: Vec<f64> = time_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let typical = median(distances.clone());
    let near = |distance: &&f64| (**distance - typical).abs() <= 0.5 * typical;
    let (mut sum, mut count, mut different) = (0.0, 0_usize, BTreeSet::new());
    for distance in distances.iter().filter(near) {
        sum += distance;
        count += 1;
        if different.len() <= FEW {
            different.insert((distance * 1e6).round() as i64);
        }
    }
    let whole = time_ms.iter().all(|time| time.fract() == 0.0);
    let in_steps = whole || different.len() <= FEW;
    let period = if in_steps && count > 0 { sum / count as f64 } else { typical };
    let unlike = 1.0 - count as f64 / distances.len().max(1) as f64;
    Rate { hz: 1e3 / period, unlike, coarse: whole && typical < 10.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(hz: f64, count: usize, step_ms: f64) -> Vec<f64> {
        (0..count)
            .map(|index| 1e3 * index as f64 / hz)
            .map(|time| if step_ms > 0.0 { (time / step_ms).round() * step_ms } else { time })
            .collect()
    }

    #[test]
    fn clocks_that_are_read_in_steps_have_the_rate_of_the_device() {
        for hz in [100.0, 200.0, 240.0, 250.0, 333.0, 400.0, 480.0, 600.0, 1000.0] {
            for step_ms in [0.0, 1e-4, 0.1, 1.0] {
                let found = rate(&times(hz, 4001, step_ms)).hz;
                assert!((found / hz - 1.0).abs() < 1e-3, "{hz} Hz in {step_ms} ms: {found}");
            }
        }
    }

    #[test]
    fn lost_samples_do_not_change_the_rate() {
        for hz in [240.0, 250.0, 500.0, 1000.0] {
            let kept = times(hz, 4001, 1.0).into_iter().enumerate();
            let kept = kept.filter(|(index, _)| index % 50 != 7);
            let rate = rate(&kept.map(|(_, time)| time).collect::<Vec<_>>());
            assert!((rate.hz / hz - 1.0).abs() < 2e-3, "{hz} Hz: {rate:?}");
            assert!((rate.unlike - 0.02).abs() < 2e-3);
        }
    }

    #[test]
    fn without_steps_it_is_the_median() {
        // Jitter that only delays: the mean of its distances would be longer than their median.
        let mut random = crate::actuator::random::Random::new(1, 2);
        let mut time = 0.0;
        let times: Vec<f64> = (0..999)
            .map(|_| {
                time += 4.0 + random.unit().powi(4);
                time
            })
            .collect();
        let distances = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(rate(&times).hz, 1e3 / median(distances));
    }
}
