//! A second pair of eyes: stops the robot when the control thread begins no more cycles.
//!
//! It runs on a thread of its own, above the control thread's priority where that is granted, and
//! holds its own handle to the robot. It needs nothing from the control thread but its heartbeat.
//! Once it has stopped the robot, it is also who serves the operator's wish for torque off: the
//! cycle, which does otherwise, may never come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sinew_firmware_interfaces::{StopHandle, StopRequest, Timestamp};

/// What control thread and watchdog share.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    beats: AtomicU64,
    /// True while cycles are to be expected.
    watched: AtomicBool,
    fired: AtomicBool,
}

impl Heartbeat {
    /// One more cycle has begun; the first one begins the watch.
    pub fn beat(&self) {
        let beats = self.shared.beats.load(Ordering::Relaxed);
        // The only writer: no read-modify-write is needed.
        self.shared.beats.store(beats + 1, Ordering::Relaxed);
        if beats == 0 {
            self.shared.watched.store(true, Ordering::Release);
        }
    }

    /// No more cycles follow.
    pub fn end(&self) {
        self.shared.watched.store(false, Ordering::Release);
    }

    /// True once the watchdog has stopped the robot.
    pub fn has_fired(&self) -> bool {
        self.shared.fired.load(Ordering::Acquire)
    }
}

/// Watches a heartbeat. Pure but for the stop: time is an argument.
pub struct Watchdog {
    heartbeat: Heartbeat,
    handle: Box<dyn StopHandle>,
    timeout: Duration,
    /// Whether torque was taken off as well.
    off: bool,
    beats: u64,
    /// When the last beat was seen to be new.
    heard: Timestamp,
    looked: Timestamp,
}

impl Watchdog {
    /// A watchdog that stops the robot through `handle` when no beat came for `timeout`.
    pub fn new(heartbeat: Heartbeat, handle: Box<dyn StopHandle>, timeout: Duration) -> Self {
        let (heard, looked) = (Timestamp::ZERO, Timestamp::ZERO);
        Self { heartbeat, handle, timeout, off: false, beats: 0, heard, looked }
    }

    /// Looks once, and returns when to look again. Stops the robot at most once; after that takes
    /// its torque off, at most once, when the operator wants it `off`.
    pub fn look(&mut self, now: Timestamp, off: bool) -> Timestamp {
        let shared = &self.heartbeat.shared;
        let beats = shared.beats.load(Ordering::Relaxed);
        // Who has slept too long itself was stopped with the whole process, and cannot tell who
        // is stuck: the control thread gets its time to go on.
        let overslept = now.since(self.looked) > self.timeout / 2;
        self.looked = now;
        if beats != self.beats || overslept || !shared.watched.load(Ordering::Acquire) {
            self.beats = beats;
            self.heard = now;
        } else if now.since(self.heard) > self.timeout && !self.heartbeat.has_fired() {
            self.handle.stop(StopRequest::Hold);
            shared.fired.store(true, Ordering::Release);
        }
        if off && !self.off && self.heartbeat.has_fired() {
            self.handle.stop(StopRequest::TorqueOff);
            self.off = true;
        }
        now.after(self.timeout / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Stops(Arc<Mutex<Vec<StopRequest>>>);

    impl StopHandle for Stops {
        fn stop(&self, request: StopRequest) {
            self.0.lock().unwrap().push(request);
        }
    }

    struct Bench {
        heartbeat: Heartbeat,
        watchdog: Watchdog,
        stops: Stops,
        now: Timestamp,
        off: bool,
    }

    impl Bench {
        fn new() -> Self {
            let (heartbeat, stops) = (Heartbeat::default(), Stops::default());
            let timeout = Duration::from_millis(100);
            let watchdog = Watchdog::new(heartbeat.clone(), Box::new(stops.clone()), timeout);
            Self { heartbeat, watchdog, stops, now: Timestamp::ZERO, off: false }
        }

        /// Looks every 10 ms, as asked, with a beat before each look if `beats`.
        fn pass(&mut self, millis: u64, beats: bool) -> usize {
            for _ in 0..millis / 10 {
                if beats {
                    self.heartbeat.beat();
                }
                self.now = self.now.after(Duration::from_millis(10));
                let next = self.watchdog.look(self.now, self.off);
                assert_eq!(next.since(self.now), Duration::from_millis(10));
            }
            self.stops.0.lock().unwrap().len()
        }
    }

    #[test]
    fn it_waits_for_the_first_beat_and_stops_watching_at_the_end() {
        let mut bench = Bench::new();
        assert_eq!(bench.pass(1000, false), 0);
        assert_eq!(bench.pass(1000, true), 0);
        bench.heartbeat.end();
        assert_eq!(bench.pass(1000, false), 0);
        assert!(!bench.heartbeat.has_fired());
    }

    #[test]
    fn a_heart_that_stands_still_stops_the_robot_once() {
        let mut bench = Bench::new();
        bench.pass(50, true);
        assert_eq!(bench.pass(100, false), 0, "not before its time");
        assert!(!bench.heartbeat.has_fired());
        assert_eq!(bench.pass(20, false), 1);
        assert!(bench.heartbeat.has_fired());
        assert_eq!(bench.stops.0.lock().unwrap()[0], StopRequest::Hold);
        assert_eq!(bench.pass(1000, false), 1);
        bench.pass(50, true);
        assert_eq!(bench.pass(1000, false), 1, "a fault latches");
    }

    #[test]
    fn torque_goes_off_on_request_once_nobody_else_can_serve_it() {
        let mut bench = Bench::new();
        bench.off = true;
        assert_eq!(bench.pass(500, true), 0, "the cycle serves it");
        assert_eq!(bench.pass(200, false), 2);
        assert_eq!(*bench.stops.0.lock().unwrap(), [StopRequest::Hold, StopRequest::TorqueOff]);
        assert_eq!(bench.pass(1000, false), 2);
    }

    #[test]
    fn one_beat_is_enough_to_be_watched() {
        let mut bench = Bench::new();
        bench.heartbeat.beat();
        assert_eq!(bench.pass(150, false), 1);
    }

    #[test]
    fn who_looks_at_half_the_timeout_has_not_overslept() {
        let mut bench = Bench::new();
        bench.heartbeat.beat();
        for looks in 1..=5 {
            bench.watchdog.look(Timestamp::ZERO.after(Duration::from_millis(50 * looks)), false);
        }
        assert!(bench.heartbeat.has_fired());
    }

    #[test]
    fn a_watchdog_that_was_asleep_itself_gives_the_control_thread_time() {
        // The whole process was stopped for a minute, or for a little more than half the timeout.
        for millis in [60_000, 60] {
            let asleep = Duration::from_millis(millis);
            let mut bench = Bench::new();
            bench.pass(50, true);
            bench.now = bench.now.after(asleep);
            assert_eq!(bench.pass(100, false), 0, "{asleep:?}");
            assert_eq!(bench.pass(50, false), 1, "but not for ever");
            let mut bench = Bench::new();
            bench.pass(50, true);
            bench.now = bench.now.after(asleep);
            bench.pass(20, false);
            assert_eq!(bench.pass(500, true), 0);
        }
    }
}
