//! Ticks of this machine's clock.

use std::hint;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};
use sinew_firmware_interfaces::{Clock, MonotonicClock, Robot, Timestamp};

use super::{Grid, Pacer, Tick};

/// Ticks in real time: sleep to just before the deadline, then spin for at most `spin`.
///
/// The sleep is absolute: a thread that is taken off its CPU on the way into a relative one wakes
/// that much later.
pub struct TimerPacer {
    clock: MonotonicClock,
    rate_hz: f64,
    /// Begins with the first wait: what comes before it is nobody's lateness.
    grid: Option<Grid>,
    spin: Duration,
    /// The operating system's monotonic time when `clock` was at 0.
    epoch: Duration,
}

impl TimerPacer {
    /// A pacer whose first tick is due one period after the first wait begins.
    pub fn new(clock: MonotonicClock, rate_hz: f64, spin: Duration) -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let monotonic = Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32);
        let epoch = monotonic.saturating_sub(clock.now().since(Timestamp::ZERO));
        Self { clock, rate_hz, grid: None, spin, epoch }
    }
}

impl TimerPacer {
    /// Waits for the next tick.
    pub fn tick(&mut self) -> Tick {
        let (now, period) = (self.clock.now(), Duration::from_secs_f64(1.0 / self.rate_hz));
        let mut grid = self.grid.unwrap_or_else(|| Grid::new(now.after(period), self.rate_hz));
        let tick = self.next(&mut grid);
        self.grid = Some(grid);
        tick
    }

    fn next(&self, grid: &mut Grid) -> Tick {
        let mut missed = 0;
        loop {
            missed += grid.skip(self.clock.now());
            let (index, scheduled) = grid.advance();
            let woke = self.wait_until(scheduled);
            // Slept past the next tick as well (a stopped process): this one's time is over, and
            // ages judged at it would be too small.
            if woke < grid.due(grid.next()) {
                return Tick { index, scheduled, woke, missed };
            }
            missed += 1;
        }
    }

    /// Waits until `due`; returns the time it is then, never an earlier one.
    fn wait_until(&self, due: Timestamp) -> Timestamp {
        let wake = (self.epoch + due.since(Timestamp::ZERO)).saturating_sub(self.spin);
        let request =
            Timespec { tv_sec: wake.as_secs() as i64, tv_nsec: i64::from(wake.subsec_nanos()) };
        // A signal ends the sleep early. Any other refusal leaves the spinning, which ends.
        while clock_nanosleep_absolute(ClockId::Monotonic, &request) == Err(Errno::INTR) {}
        loop {
            let now = self.clock.now();
            if now >= due {
                return now;
            }
            hint::spin_loop();
        }
    }
}

impl Pacer for TimerPacer {
    fn wait(&mut self, _robot: &mut dyn Robot) -> Tick {
        self.tick()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_ticks_in_order_and_never_early() {
        let clock = MonotonicClock::new();
        let mut pacer = TimerPacer::new(clock, 500.0, Duration::from_micros(50));
        let ticks: Vec<Tick> = (0..50).map(|_| pacer.tick()).collect();
        assert!(ticks.iter().all(|tick| tick.woke >= tick.scheduled));
        assert!(ticks.windows(2).all(|pair| pair[1].index == pair[0].index + 1 + pair[1].missed));
    }

    #[test]
    fn a_clock_that_has_run_for_a_while_and_no_spinning_change_nothing_about_that() {
        let clock = MonotonicClock::new();
        std::thread::sleep(Duration::from_millis(30));
        let mut pacer = TimerPacer::new(clock.clone(), 500.0, Duration::ZERO);
        let began = clock.now();
        let ticks: Vec<Tick> = (0..20).map(|_| pacer.tick()).collect();
        assert!(ticks.iter().all(|tick| tick.woke >= tick.scheduled));
        assert!(ticks[0].scheduled > began && clock.now() >= ticks[19].woke);
        let span = ticks[19].scheduled.since(ticks[0].scheduled);
        assert_eq!(span, Duration::from_millis(2 * (ticks[19].index - ticks[0].index)));
    }
}
