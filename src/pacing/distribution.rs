//! Distributions of durations.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Distribution of one duration. Recording neither allocates nor fails.
#[derive(Clone, Debug)]
pub struct Distribution {
    histogram: Histogram<u64>,
}

impl Distribution {
    /// An empty distribution for durations up to one minute, to three digits.
    pub fn new() -> Self {
        // These bounds are constant and valid; the fallback can only be reached by changing them.
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3)
            .unwrap_or_else(|_| unreachable!("constant bounds"));
        Self { histogram }
    }

    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        self.histogram.saturating_record(duration.as_nanos().clamp(1, u64::MAX as u128) as u64);
    }

    /// Adds all that `other` has counted.
    pub fn add(&mut self, other: &Self) {
        // Bounds are alike, so every value has its place.
        let _ = self.histogram.add(&other.histogram);
    }

    /// Count, percentiles and largest value.
    pub fn summary(&self) -> DistributionSummary {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let at = |quantile| micros(self.histogram.value_at_quantile(quantile));
        DistributionSummary {
            n: self.histogram.len(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(if self.histogram.is_empty() { 0 } else { self.histogram.max() }),
        }
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

/// One line of the timing table, in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DistributionSummary {
    /// Samples.
    pub n: u64,
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
    /// Largest.
    pub max_us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_reports_what_it_was_given() {
        let mut distribution = Distribution::new();
        for micros in 1..=1000 {
            distribution.record(Duration::from_micros(micros));
        }
        let summary = distribution.summary();
        assert_eq!(summary.n, 1000);
        assert!((summary.p50_us - 500.0).abs() < 1.0 && (summary.p99_us - 990.0).abs() < 1.5);
        assert!((summary.max_us - 1000.0).abs() < 1.0);
    }
}
