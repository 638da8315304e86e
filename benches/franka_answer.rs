//! How long after a state of the arm's its command is on its way: `cargo bench --bench franka_answer -- [CONFIG]`.
//!
//! A whole run of the configured law on the emulated arm, over its sockets, at 1 kHz. The arm's own thread
//! measures from the arrival of a state to the return from sending its answer: two threads, the bell between
//! them, the cycle with the arm's dynamics, limits and the journal's ring.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sinew::config;
use sinew::control::{ControlLoop, OperatorSignal};
use sinew::cycle::Cycle;
use sinew::pacing::{DevicePacer, Distribution, Pacer, Tick};
use sinew::recording::SampleSink;
use sinew::run::prepare;
use sinew::supervision::Heartbeat;
use sinew_firmware_interfaces::{BusStatistics, Clock, MonotonicClock, Robot, Timestamp};

/// Looks at the driver's counters before each cycle.
struct Watched {
    pacer: DevicePacer,
    last: BusStatistics,
    answers: Distribution,
}

impl Pacer for Watched {
    fn wait(&mut self, robot: &mut dyn Robot) -> Tick {
        let tick = self.pacer.wait(robot);
        let now = robot.statistics();
        // Two answers since the last look cannot be told apart.
        if now.reads == self.last.reads + 1 {
            let span = now.read_ns_sum - self.last.read_ns_sum;
            self.answers.record(Duration::from_nanos(span));
        }
        self.last = now;
        tick
    }

    fn now(&self) -> Timestamp {
        self.pacer.now()
    }
}

fn main() {
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let config = named.unwrap_or_else(|| "configs/franka-torque.toml".to_owned());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(config);
    let sets = ["run.duration_s=20", "excitation.times=9"].map(str::to_owned);
    let loaded = config::load(&path, &sets).unwrap();
    let mut parts = prepare(&loaded, &OperatorSignal::default()).unwrap();
    let clock = MonotonicClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (sink, _ring) = SampleSink::new(100_000);
    let (mut robot, _) = sinew::robots::open(&loaded.config, &clock).unwrap();
    let cycle = Cycle::new(parts.settings.clone(), parts.actuation.take());
    let (inbox, _messages) = sinew::recording::RecorderInbox::new();
    let (_cameras, mut policy, link) = parts.into_workers(&loaded.config, &shared, &inbox);
    robot.arm(Duration::from_secs(5)).unwrap();
    let pacer = DevicePacer::new(clock.clone(), 1000.0);
    let (answers, last) = (Distribution::new(), BusStatistics::default());
    let mut pacer = Watched { pacer, last, answers };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, clock) = (&done, &clock);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                policy.step(clock.now());
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let (operator, heartbeat) = (OperatorSignal::default(), Heartbeat::default());
        let mut control = ControlLoop::new(robot.as_mut(), cycle, link, sink, operator, heartbeat);
        let cause = control.run(&mut pacer);
        done.store(true, Ordering::Relaxed);
        println!("{cause:?}");
    });
    println!("{:?}", robot.statistics());
    println!("state in to command out: {:?}", pacer.answers.summary());
}
