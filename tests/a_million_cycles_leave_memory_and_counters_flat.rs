//! The soak: a million cycles of the mock arm at 1 kHz in virtual time, with policy, cameras and
//! recorder, in one process whose memory is looked at.
#![cfg(target_os = "linux")]
// Only functions marked as tests may unwrap without saying so.
#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sinew::cameras::CameraWorker;
use sinew::config;
use sinew::control::{ControlLoop, OperatorSignal};
use sinew::pacing::{Grid, Pacer, Tick};
use sinew::recording::{Recorder, RecorderInbox, SampleSink};
use sinew::run::TargetWorker;
use sinew::run::prepare;
use sinew::supervision::{Heartbeat, StopCause};
use sinew_episodes::journal::FILE_NAME;
use sinew_firmware_interfaces::{Clock, Robot, SimulatedClock, Timestamp};

/// Cycles in which the policy drives.
const CYCLES: u64 = 1_000_000;
const RATE: f64 = 1000.0;
/// Cycles after which the journal's file is emptied: half a gigabyte is no business of a test's.
const EMPTIED: u64 = 10_000;
/// How much the process may grow from a tenth of the run to its end, in KiB.
const GROWTH: u64 = 4096;

/// Everything that lives between two ticks, as in a run in virtual time.
struct World {
    clock: SimulatedClock,
    grid: Grid,
    cameras: Vec<CameraWorker>,
    policy: TargetWorker,
    recorder: Recorder,
    next: Vec<Timestamp>,
    journal: File,
    written: u64,
    /// Resident memory at a tenth of the run and at its end, in KiB.
    resident: [u64; 2],
}

impl Pacer for World {
    fn wait(&mut self, _robot: &mut dyn Robot) -> Tick {
        let (index, scheduled) = self.grid.advance();
        loop {
            let earliest = self.next.iter().copied().enumerate().min_by_key(|(_, at)| *at);
            let Some((worker, at)) = earliest.filter(|(_, at)| *at <= scheduled) else { break };
            self.clock.advance_to(at);
            let cameras = self.cameras.len();
            let next = match worker {
                camera if camera < cameras => self.cameras[camera].step(at),
                worker if worker == cameras => self.policy.step(at),
                _ => self.recorder.step(at),
            };
            self.next[worker] = next.max(Timestamp::from_nanos(at.as_nanos() + 1));
        }
        self.clock.advance_to(scheduled);
        if index.is_multiple_of(EMPTIED) {
            self.written += self.journal.metadata().unwrap().len();
            self.journal.set_len(0).unwrap();
        }
        if index == CYCLES / 10 {
            self.resident[0] = resident();
        }
        if index == CYCLES {
            self.resident[1] = resident();
        }
        Tick { index, scheduled, woke: scheduled, missed: 0 }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// This process's resident memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_million_cycles_drop_nothing_and_leave_memory_flat() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mock.toml");
    let sets =
        ["run.clock=simulated".to_owned(), format!("run.duration_s={}", CYCLES as f64 / RATE)];
    let loaded = config::load(&path, &sets).unwrap();
    let parts = prepare(&loaded, &OperatorSignal::default()).unwrap();
    let simulated = SimulatedClock::new();
    let clock: Arc<dyn Clock> = Arc::new(simulated.clone());
    let (inbox, messages) = RecorderInbox::new();
    let (sink, ring) = SampleSink::new(4000);
    let header = parts.header(&loaded, clock.as_ref());
    let recorder = Recorder::create(folder.path(), &header, ring, messages).unwrap();
    let journal = OpenOptions::new().write(true).open(folder.path().join(FILE_NAME)).unwrap();
    let mut robot = sinew::robots::stepped(&loaded.config, &simulated).unwrap();
    robot.arm(Duration::from_secs(5)).unwrap();
    let cycle = Cycle::new(parts.settings.clone(), None);
    let (cameras, policy, link) = parts.into_workers(&loaded.config, &clock, &inbox);
    let mut world = World {
        grid: Grid::new(simulated.now().after(cycle.settings().period), RATE),
        next: vec![simulated.now(); cameras.len() + 2],
        clock: simulated,
        cameras,
        policy,
        recorder,
        journal,
        written: 0,
        resident: [0; 2],
    };
    let operator = OperatorSignal::default();
    let heartbeat = Heartbeat::default();
    let mut control = ControlLoop::new(robot.as_mut(), cycle, link, sink, operator, heartbeat);
    let cause = control.run(&mut world);

    let statistics = control.statistics();
    assert_eq!(cause, Some(StopCause::Completed));
    assert!(statistics.cycles_in.iter().sum::<u64>() > CYCLES);
    assert!(statistics.chunks > 1000, "{} chunks", statistics.chunks);
    assert_eq!((statistics.missed, statistics.dropped_samples), (0, 0));
    assert_eq!(inbox.dropped(), (0, 0));
    assert_eq!((world.recorder.unwritten(), world.recorder.fault()), (0, None));
    assert!(world.written > CYCLES * 100, "{} bytes written", world.written);
    let [before, after] = world.resident;
    println!("resident {before} KiB at {}, {after} KiB at {CYCLES} cycles", CYCLES / 10);
    assert!(before > 0 && after < before + GROWTH, "grew from {before} to {after} KiB");
}
