//! When cycles happen: an absolute grid by tick index, so that no error adds up and a missed
//! period is a gap in the index, counted and visible.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use sinew_firmware_interfaces::{Clock, MonotonicClock, Timestamp};
use spin_sleep::SpinSleeper;

/// One tick of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Index on the grid, from 0.
    pub index: u64,
    /// When it was due.
    pub scheduled: Timestamp,
    /// When the thread woke for it.
    pub woke: Timestamp,
    /// Periods between the previous tick and this one that had no cycle.
    pub missed: u64,
}

/// Something that waits for the next tick.
pub trait Pacer {
    /// Waits until the next tick is due. Ticks whose whole period has passed are skipped, never
    /// caught up: a burst of cycles would be worse than a gap.
    fn wait(&mut self) -> Tick;

    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The grid: tick `k` is due at `origin + k / rate`, for any rate.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    origin: Timestamp,
    rate_hz: f64,
    next: u64,
}

impl Grid {
    /// A grid whose tick 0 is at `origin`.
    pub const fn new(origin: Timestamp, rate_hz: f64) -> Self {
        Self { origin, rate_hz, next: 0 }
    }

    /// When tick `index` is due. Computed from the index each time, so a period that is no whole
    /// number of nanoseconds keeps its phase.
    pub fn due(&self, index: u64) -> Timestamp {
        self.origin.after(Duration::from_nanos((index as f64 * 1e9 / self.rate_hz).round() as u64))
    }

    /// The next tick's index.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next tick: its index and when it is due.
    pub fn advance(&mut self) -> (u64, Timestamp) {
        let index = self.next;
        self.next += 1;
        (index, self.due(index))
    }

    /// Skips ticks whose whole period lies before `now`; returns how many.
    fn skip(&mut self, now: Timestamp) -> u64 {
        let behind = now.since(self.due(self.next)).as_secs_f64() * self.rate_hz;
        let missed = behind.max(0.0).floor() as u64;
        self.next += missed;
        missed
    }
}

/// Ticks in real time: sleep to just before the deadline, then spin for at most `spin`.
pub struct TimerPacer {
    clock: MonotonicClock,
    grid: Grid,
    sleeper: SpinSleeper,
}

impl TimerPacer {
    /// A pacer whose first tick is due one period from now.
    pub fn new(clock: MonotonicClock, rate_hz: f64, spin: Duration) -> Self {
        let first = clock.now().after(Duration::from_secs_f64(1.0 / rate_hz));
        let sleeper = SpinSleeper::new(spin.as_nanos() as u32);
        Self { grid: Grid::new(first, rate_hz), clock, sleeper }
    }
}

impl Pacer for TimerPacer {
    fn wait(&mut self) -> Tick {
        let mut missed = 0;
        loop {
            missed += self.grid.skip(self.clock.now());
            let (index, scheduled) = self.grid.advance();
            self.sleeper.sleep(scheduled.since(self.clock.now()));
            let woke = self.clock.now();
            // Slept past the next tick as well (a stopped process): this one's time is over, and
            // ages judged at it would be too small.
            if woke < self.grid.due(self.grid.next()) {
                return Tick { index, scheduled, woke, missed };
            }
            missed += 1;
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

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
    fn the_grid_keeps_its_phase_at_rates_that_do_not_divide_a_second() {
        let grid = Grid::new(Timestamp::from_nanos(7), 3.0);
        assert_eq!(grid.due(3_000_000).as_nanos(), 7 + 1_000_000_000_000_000);
        let steps: Vec<u64> =
            (0..4).map(|k| grid.due(k + 1).as_nanos() - grid.due(k).as_nanos()).collect();
        assert_eq!(steps, [333_333_333, 333_333_334, 333_333_333, 333_333_333]);
    }

    #[test]
    fn whole_periods_that_have_passed_are_skipped_and_counted() {
        let mut grid = Grid::new(Timestamp::ZERO, 100.0);
        assert_eq!(grid.skip(Timestamp::from_nanos(9_999_999)), 0);
        assert_eq!(grid.skip(Timestamp::from_nanos(35_000_000)), 3);
        assert_eq!(grid.next(), 3);
        assert_eq!(grid.due(3).as_nanos(), 30_000_000);
    }

    #[test]
    fn a_timer_ticks_in_order_and_never_early() {
        let mut pacer = TimerPacer::new(MonotonicClock::new(), 500.0, Duration::from_micros(50));
        let ticks: Vec<Tick> = (0..50).map(|_| pacer.wait()).collect();
        assert!(ticks.iter().all(|tick| tick.woke >= tick.scheduled));
        assert!(ticks.windows(2).all(|pair| pair[1].index == pair[0].index + 1 + pair[1].missed));
    }

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
