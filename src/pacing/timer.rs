//! Ticks of this machine's clock.

use std::time::Duration;

use sinew_firmware_interfaces::{Clock, MonotonicClock, Robot, Timestamp};
use spin_sleep::SpinSleeper;

use super::{Grid, Pacer, Tick};

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

impl TimerPacer {
    /// Waits for the next tick.
    pub fn tick(&mut self) -> Tick {
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
}
