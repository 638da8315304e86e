//! Ticks of a robot that owns the clock.

use std::time::Duration;

use sinew_firmware_interfaces::{Clock, MonotonicClock, Robot, Timestamp};

use super::{Pacer, Tick};

/// Periods without a state after which a cycle runs all the same, so that supervision sees what is
/// late.
const PATIENCE: u32 = 3;

/// A cycle for each state that the robot sends. Its count of periods is the tick's index: a gap is
/// a period that was lost, on either side.
pub struct DevicePacer {
    clock: MonotonicClock,
    period: Duration,
    /// The device's count at the first beat, and its tick.
    first: Option<u64>,
    next: u64,
    /// When the last cycle was due.
    last: Timestamp,
}

impl DevicePacer {
    /// A pacer for a device that beats at `rate_hz`.
    pub fn new(clock: MonotonicClock, rate_hz: f64) -> Self {
        let last = clock.now();
        let period = Duration::from_secs_f64(1.0 / rate_hz);
        Self { clock, period, first: None, next: 0, last }
    }
}

impl Pacer for DevicePacer {
    fn wait(&mut self, robot: &mut dyn Robot) -> Tick {
        let beat = robot.wait(self.period * PATIENCE);
        let woke = self.clock.now();
        let (index, scheduled) = match beat {
            Some(beat) => {
                let first = *self.first.get_or_insert_with(|| beat.index.wrapping_sub(self.next));
                // A device that began to count again has no gap to show.
                let index = beat.index.checked_sub(first).filter(|index| *index >= self.next);
                if index.is_none() {
                    self.first = Some(beat.index.wrapping_sub(self.next));
                }
                (index.unwrap_or(self.next), beat.arrived.max(self.last))
            }
            None => {
                // Silence: time goes on without the device, and its periods are lost.
                let periods = woke.since(self.last).as_nanos() / self.period.as_nanos().max(1);
                let index = self.next + (periods as u64).saturating_sub(1);
                (index, self.last.after(self.period * (periods as u32).max(1)))
            }
        };
        let missed = index - self.next;
        self.next = index + 1;
        self.last = scheduled;
        Tick { index, scheduled, woke, missed }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinew_firmware_interfaces::{
        BusStatistics, Command, DeviceTick, RobotDescription, RobotError, State, StopRequest,
        mock::Config,
    };

    /// A device that sends what it is told to.
    struct Script {
        clock: MonotonicClock,
        description: RobotDescription,
        beats: Vec<Option<u64>>,
    }

    impl Robot for Script {
        fn description(&self) -> &RobotDescription {
            &self.description
        }
        fn arm(&mut self, _timeout: Duration) -> Result<(), RobotError> {
            Ok(())
        }
        fn read(&mut self, _now: Timestamp, _state: &mut State) {}
        fn wait(&mut self, timeout: Duration) -> Option<DeviceTick> {
            let beat = self.beats.remove(0);
            if beat.is_none() {
                std::thread::sleep(timeout);
            }
            beat.map(|index| DeviceTick { index, arrived: self.clock.now() })
        }
        fn write(&mut self, _now: Timestamp, _command: &Command) {}
        fn stop(&mut self, _now: Timestamp, _request: StopRequest) {}
        fn disarm(&mut self, _timeout: Duration) -> Result<(), RobotError> {
            Ok(())
        }
        fn statistics(&self) -> BusStatistics {
            BusStatistics::default()
        }
        fn last_failure(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn the_devices_count_is_the_index_and_its_gaps_are_missed_periods() {
        let clock = MonotonicClock::new();
        let beats = [7000, 7001, 7004, 7005].map(Some).to_vec();
        let mut robot =
            Script { clock: clock.clone(), description: Config::default().description(), beats };
        let mut pacer = DevicePacer::new(clock, 1000.0);
        let ticks: Vec<_> = (0..4).map(|_| pacer.wait(&mut robot)).collect();
        assert_eq!(ticks.iter().map(|tick| tick.index).collect::<Vec<_>>(), [0, 1, 4, 5]);
        assert_eq!(ticks.iter().map(|tick| tick.missed).collect::<Vec<_>>(), [0, 0, 2, 0]);
        assert!(ticks.windows(2).all(|pair| pair[0].scheduled <= pair[1].scheduled));
    }

    #[test]
    fn a_silent_device_gets_cycles_all_the_same_and_may_count_again_from_anywhere() {
        let clock = MonotonicClock::new();
        let beats = vec![Some(10), None, None, Some(3), Some(4)];
        let mut robot =
            Script { clock: clock.clone(), description: Config::default().description(), beats };
        let mut pacer = DevicePacer::new(clock, 100.0);
        let ticks: Vec<_> = (0..5).map(|_| pacer.wait(&mut robot)).collect();
        assert!(ticks[1].missed >= 2 && ticks[2].missed >= 1, "{ticks:?}");
        assert!(ticks.windows(2).all(|pair| {
            pair[1].index == pair[0].index + 1 + pair[1].missed
                && pair[0].scheduled <= pair[1].scheduled
        }));
        assert_eq!(ticks[4].missed, 0);
    }
}
