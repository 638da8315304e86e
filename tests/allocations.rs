//! After arming, the control thread does not allocate.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sinew::config::{self, RobotModel};
use sinew::control::{ControlLoop, OperatorSignal};
use sinew::cycle::Cycle;
use sinew::pacing::{DevicePacer, Pacer, Tick, TimerPacer};
use sinew::recording::{Recorder, RecorderInbox, SampleSink};
use sinew::run::prepare;
use sinew::supervision::{Heartbeat, StopCause};
use sinew_firmware_interfaces::{Clock, MonotonicClock, Robot, Timestamp};

#[test]
fn ten_thousand_armed_cycles_with_policy_cameras_and_recorder_allocate_nothing() {
    let chunks = allocate_nothing("configs/demo.toml", &[]);
    assert!(chunks > 10, "{chunks} chunks");
}

#[test]
fn ten_thousand_cycles_in_torque_with_a_network_allocate_nothing() {
    allocate_nothing("configs/rig.toml", &["excitation.times=20"]);
}

#[test]
fn ten_thousand_cycles_with_a_law_of_a_whole_arm_allocate_nothing() {
    let chirp = "excitation={ signals = [{ kind = 'chirp', joint = 'joint1', duration_s = 3, \
                 amplitude_rad = 0.2, from_hz = 0.2, to_hz = 0.5 }], times = 30 }";
    let law = "actuation.model=operational_space";
    let more = [law, chirp, "supervision.tracking_error_rad=1.5"];
    allocate_nothing("configs/mock-guiding.toml", &more);
}

#[test]
fn ten_thousand_cycles_in_which_a_hand_leads_the_arm_allocate_nothing() {
    allocate_nothing("configs/mock-guiding.toml", &[]);
}

#[test]
fn ten_thousand_cycles_of_a_franka_in_torque_allocate_nothing() {
    allocate_nothing("configs/franka-torque.toml", &["excitation.times=20"]);
}

/// One loop at 1 kHz at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Cycles that a run must have, however long a busy machine takes for them.
const CYCLES: u64 = 10_000;

/// Ends a run as an operator would, after so many cycles.
struct Counted {
    pacer: Box<dyn Pacer>,
    left: u64,
    operator: OperatorSignal,
}

impl Pacer for Counted {
    fn wait(&mut self, robot: &mut dyn Robot) -> Tick {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 && self.operator.raised() == 0 {
            self.operator.raise();
        }
        self.pacer.wait(robot)
    }

    fn now(&self) -> Timestamp {
        self.pacer.now()
    }
}

/// Runs `config` at 1 kHz and returns how many chunks it took over.
fn allocate_nothing(config: &str, more: &[&str]) -> u64 {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(config);
    // Patient, because a shared machine may stop a whole process for a second.
    let sets = [
        "run.rate_hz=1000",
        "run.duration_s=120.0",
        "supervision.state_hold_after_ms=5000",
        "supervision.state_ramp_after_ms=20000",
        "supervision.tracking_error_ms=20000",
        "supervision.policy_ramp_after_ms=300000",
        "robot.reconnect_window_ms=30000",
        "overrun.policy=report",
    ]
    .into_iter()
    .chain(more.iter().copied())
    .map(str::to_owned)
    .collect::<Vec<_>>();
    let loaded = config::load(&path, &sets).unwrap();
    let mut parts = prepare(&loaded, &OperatorSignal::default()).unwrap();
    let clock = MonotonicClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (inbox, messages) = RecorderInbox::new();
    let (sink, ring) = SampleSink::new(4000);
    let mut recorder =
        Recorder::create(folder.path(), &parts.header(&loaded, &clock), ring, messages).unwrap();
    let (mut robot, _) = sinew::robots::open(&loaded.config, &clock).unwrap();
    let cycle = Cycle::new(parts.settings.clone(), parts.actuation.take());
    let (cameras, mut policy, link) = parts.into_workers(&loaded.config, &shared, &inbox);
    robot.arm(Duration::from_secs(5)).unwrap();

    let stop = AtomicBool::new(false);
    let (allocated, cause, cycles, chunks, late) = std::thread::scope(|scope| {
        for mut camera in cameras {
            let (clock, stop) = (&clock, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    camera.step(clock.now());
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
        let (clock, stop) = (&clock, &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                policy.step(clock.now());
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                recorder.step(clock.now());
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let operator = OperatorSignal::default();
        let heartbeat = Heartbeat::default();
        let timer = || TimerPacer::new(clock.clone(), 1000.0, Duration::from_micros(50));
        let pacer: Box<dyn Pacer> = match loaded.config.robot.model {
            RobotModel::Franka => Box::new(DevicePacer::new(clock.clone(), 1000.0)),
            _ => Box::new(timer()),
        };
        let mut pacer = Counted { pacer, left: CYCLES + 500, operator: operator.clone() };
        let mut control = ControlLoop::new(robot.as_mut(), cycle, link, sink, operator, heartbeat);
        let mut cause = None;
        let allocated = allocation_counter::measure(|| cause = control.run(&mut pacer));
        stop.store(true, Ordering::Relaxed);
        let statistics = control.statistics();
        let cycles: u64 = statistics.cycles_in.iter().sum();
        let late = (statistics.lateness.summary(), statistics.missed);
        (allocated, cause, cycles, statistics.chunks, late)
    });
    let seen = (robot.last_failure(), robot.statistics(), late);
    assert_eq!(cause, Some(StopCause::Operator), "{seen:?}");
    assert!(cycles >= CYCLES, "{cycles} cycles");
    assert_eq!(allocated.count_total, 0, "{} bytes", allocated.bytes_total);
    chunks
}
