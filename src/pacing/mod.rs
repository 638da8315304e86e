//! When cycles happen: an absolute grid by tick index, so that no error adds up and a missed
//! period is a gap in the index, counted and visible.

mod bucket;
mod device;
mod distribution;
mod timer;

use std::time::Duration;

use sinew_firmware_interfaces::{Robot, Timestamp};

pub use bucket::{BucketLevel, OverrunBucket, Overruns, Verdict};
pub use device::DevicePacer;
pub use distribution::{Distribution, DistributionSummary};
pub use timer::TimerPacer;

/// One tick of the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Waits until the next tick is due, or until `robot` sends its next state where it sets the
    /// pace. Ticks whose whole period has passed are skipped, never caught up: a burst of cycles
    /// would be worse than a gap.
    fn wait(&mut self, robot: &mut dyn Robot) -> Tick;

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
    pub(crate) fn skip(&mut self, now: Timestamp) -> u64 {
        let behind = now.since(self.due(self.next)).as_secs_f64() * self.rate_hz;
        let missed = behind.max(0.0).floor() as u64;
        self.next += missed;
        missed
    }
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
        // Two grids at 30 Hz and 1 kHz meet every tenth of a second, for as long as they run.
        let (slow, fast) = (Grid::new(Timestamp::ZERO, 30.0), Grid::new(Timestamp::ZERO, 1000.0));
        for k in (0..30_000_000).step_by(2_999_997) {
            assert_eq!(slow.due(3 * k), fast.due(100 * k));
        }
    }

    #[test]
    fn whole_periods_that_have_passed_are_skipped_and_counted() {
        let mut grid = Grid::new(Timestamp::ZERO, 100.0);
        assert_eq!(grid.skip(Timestamp::from_nanos(9_999_999)), 0);
        assert_eq!(grid.skip(Timestamp::from_nanos(35_000_000)), 3);
        assert_eq!(grid.next(), 3);
        assert_eq!(grid.due(3).as_nanos(), 30_000_000);
    }
}
