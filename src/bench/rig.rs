//! A mock arm in the real control loop, with a recorder behind it and targets before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sinew_episodes::journal::{self, Header, JointMeta};
use sinew_firmware_interfaces::mock::{Config, MockArm};
use sinew_firmware_interfaces::{
    Clock, MAX_JOINTS, MonotonicClock, Robot, SimulatedClock, State, Timestamp,
};
use sinew_models::actuators::Gains;

use super::BenchError;
use crate::actuation::Actuation;
use crate::config::{OverrunPolicy, RealtimeConfig};
use crate::control::{ControlLoop, LoopStatistics, OperatorSignal, PolicyLink};
use crate::cycle::{Cycle, CycleSettings, Thresholds};
use crate::limits::{EffortLimits, JointLimits};
use crate::pacing::{Grid, Overruns, Pacer, Tick, TimerPacer};
use crate::realtime::{self, Role};
use crate::recording::{Recorder, RecorderInbox, RecorderReport, SampleSink};
use crate::supervision::{Heartbeat, StopCause};
use crate::targets::{Blend, Chunk};

/// The loop's rate, in Hz, also where it does not wait.
const RATE_HZ: f64 = 1000.0;
/// The busy wait before a tick: the default of `run.spin_us`.
const SPIN: Duration = Duration::from_micros(50);
/// Samples that the ring holds: the default of `recording.ring_s`, 4 s.
const RING: usize = 4000;
/// Cycles between two chunks.
const CHUNK_EVERY: u64 = 500;
/// Actions of a chunk, and the time between two of them.
const ACTIONS: usize = 30;
const ACTION_STEP: Duration = Duration::from_nanos(33_333_333);

/// What becomes of targets and commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Targets go to the limits as they are, in straight lines; positions are commanded.
    Linear,
    /// Through the jerk-limited generator; positions are commanded.
    JerkLimited,
    /// Through the jerk-limited generator and PD gains; efforts are commanded.
    Effort,
}

/// When cycles happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One after the other. Robot and targets see a grid of 1 kHz: the same work with warm caches.
    FlatOut,
    /// At 1 kHz.
    Timer,
}

/// Whether cycles are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logging {
    /// Into a journal, through the ring and the recorder's thread.
    On,
    /// Not at all: neither ring nor thread.
    Off,
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Rig {
    /// Joints of the arm.
    pub joints: usize,
    /// Motion.
    pub motion: Motion,
    /// Pace.
    pub pace: Pace,
    /// Logging.
    pub logging: Logging,
}

/// What one turn gave.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Of the loop.
    pub statistics: LoopStatistics,
    /// Of the recorder.
    pub recorder: RecorderReport,
    /// Scheduling class of the control thread.
    pub class: String,
    /// Cycles that were read back from the journal.
    pub recorded: u64,
    /// Length of the journal, in bytes.
    pub journal_bytes: u64,
}

impl Rig {
    /// Runs `cycles` cycles on a thread of its own, prepared as the control thread of a run is.
    /// The journal is left in `folder`, which it makes.
    ///
    /// # Errors
    /// [`BenchError`]
    pub fn turn(
        &self,
        cycles: u64,
        folder: &Path,
        realtime: &RealtimeConfig,
    ) -> Result<Turn, BenchError> {
        let real = MonotonicClock::new();
        let simulated = SimulatedClock::new();
        let clock: Arc<dyn Clock> = match self.pace {
            Pace::FlatOut => Arc::new(simulated.clone()),
            Pace::Timer => Arc::new(real.clone()),
        };
        let mut robot =
            MockArm::new(Config { joints: self.joints, ..Config::default() }, Arc::clone(&clock));
        robot
            .arm(Duration::from_secs(1))
            .map_err(|error| BenchError::Ended { reason: error.to_string() })?;
        let operator = OperatorSignal::default();
        let again = operator.clone();
        let (link, feeder) = link(clock.now());
        let (sink, recorder) = match self.logging {
            Logging::Off => (SampleSink::off(), None),
            Logging::On => {
                let (sink, ring) = SampleSink::new(RING);
                let (_, messages) = RecorderInbox::new();
                (sink, Some(Recorder::create(folder, &self.header(), ring, messages)?))
            }
        };
        let cycle =
            Cycle::new(settings(self.joints, self.motion), actuation(self.joints, self.motion));
        let stop = AtomicBool::new(false);
        let (ended, recorder) = thread::scope(|scope| {
            let recording = recorder.map(|recorder| {
                let (clock, stop) = (&real, &stop);
                scope.spawn(move || record(recorder, clock, stop))
            });
            let control = thread::Builder::new().name("control".to_owned());
            let control = control.spawn_scoped(scope, || {
                realtime::prepare_thread(realtime, Role::Control);
                let class = realtime::current_class().map(|class| class.to_string());
                let heartbeat = Heartbeat::default();
                let mut control =
                    ControlLoop::new(&mut robot, cycle, link, sink, operator, heartbeat);
                // The grid begins when all is ready, as close to the first cycle as can be.
                let inner: Box<dyn Pacer> = match self.pace {
                    Pace::FlatOut => Box::new(AtOnce::new(simulated)),
                    Pace::Timer => Box::new(TimerPacer::new(real.clone(), RATE_HZ, SPIN)),
                };
                let mut pacer = Counted { inner, feeder, operator: again, left: cycles };
                let cause = control.run(&mut pacer);
                (cause, control.statistics().clone(), class.unwrap_or_default())
            });
            // A panic over there is one over here.
            let ended = control.map(|control| control.join());
            stop.store(true, Ordering::Relaxed);
            (ended, recording.map(|recording| recording.join()))
        });
        let unwind = std::panic::resume_unwind;
        let (cause, statistics, class) =
            ended.map_err(BenchError::Thread)?.unwrap_or_else(|panic| unwind(panic));
        let recorder =
            recorder.map(|report| report.unwrap_or_else(|panic| unwind(panic))).unwrap_or_default();
        if cause != Some(StopCause::OperatorTorqueOff) {
            let reason = cause.map_or("?", StopCause::message).to_owned();
            return Err(BenchError::Ended { reason });
        }
        let journal = folder.join(journal::FILE_NAME);
        let (mut recorded, mut journal_bytes) = (0, 0);
        if self.logging == Logging::On {
            let info = journal::describe(&journal)
                .map_err(|error| BenchError::Ended { reason: error.to_string() })?;
            (recorded, journal_bytes) = (info.cycles, info.bytes);
        }
        Ok(Turn { statistics, recorder, class, recorded, journal_bytes })
    }

    /// The journal's first record.
    pub(super) fn header(&self) -> Header {
        let name = |index: usize| JointMeta { name: format!("joint{index}"), unit: "rad".into() };
        Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: "bench".to_owned(),
            robot: "mock".to_owned(),
            joints: (1..=self.joints).map(name).collect(),
            rate_hz: RATE_HZ,
            dataset_rate_hz: RATE_HZ,
            ..Header::default()
        }
    }
}

/// What makes efforts, where the motion has such.
pub fn actuation(joints: usize, motion: Motion) -> Option<Actuation> {
    let gains = vec![Gains { stiffness: 200.0, damping: 20.0 }; joints];
    (motion == Motion::Effort).then(|| Actuation::pd(&gains).ok()).flatten()
}

/// The cycle's constants: limits as in `configs/robots/mock.toml`, thresholds that a noisy computer
/// does not reach.
pub fn settings(joints: usize, motion: Motion) -> CycleSettings {
    let patient = Duration::from_secs(600);
    let limits = JointLimits {
        position: [-2.7, 2.7],
        max_velocity: 2.0,
        max_acceleration: 10.0,
        max_jerk: 2000.0,
        max_step: 0.05,
        barrier: None,
        effort: Some(EffortLimits { max: 80.0, max_rate: 20_000.0 }),
    };
    let all = ((1_u64 << joints) - 1) as u32;
    CycleSettings {
        guards: Vec::new(),
        compensates_gravity: false,
        lockstep: false,
        period: Duration::from_secs_f64(1.0 / RATE_HZ),
        duration: patient,
        limits: vec![limits; joints],
        starts: vec![limits.position; joints],
        workspace: None,
        driven: all,
        judged: all,
        blend: Blend::Newest,
        crossfade: Duration::from_millis(100),
        generator: (motion != Motion::Linear).then_some(0.95),
        start_ramp: Duration::from_millis(100),
        rest: [0.0; MAX_JOINTS],
        rest_fraction: 0.2,
        overruns: Overruns {
            policy: OverrunPolicy::Report,
            allowed: 5,
            window: Duration::from_secs(1),
        },
        thresholds: Thresholds {
            policy_hold: patient,
            policy_ramp: patient,
            state_hold: patient,
            state_ramp: patient,
            tracking: [1.0; MAX_JOINTS],
            tracking_time: patient,
            clamp_time: patient,
            ramp_timeout: patient,
        },
    }
}

/// Fills a chunk that begins at `now` with slow sines, as a policy would: joined by straight lines,
/// so with a corner at each action.
pub fn chunk(chunk: &mut Chunk, sequence: u64, now: Timestamp) {
    chunk.sequence = sequence;
    chunk.observed = now;
    chunk.started = now;
    chunk.finished = now;
    chunk.actions.clear();
    for index in 0..ACTIONS {
        let at = now.after(ACTION_STEP * index as u32).as_seconds();
        chunk.actions.push(std::array::from_fn(|joint| 0.4 * (1.2 * at + joint as f64).sin()));
    }
}

/// The policy's side of the mailboxes.
struct Feeder {
    chunks: rtrb::Producer<Box<Chunk>>,
    spent: rtrb::Consumer<Box<Chunk>>,
    /// Boxed, because chunks travel between threads in the boxes they live in.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Chunk>>,
    cycle: u64,
    sequence: u64,
    now: Timestamp,
    _state: triple_buffer::Output<State>,
}

fn link(now: Timestamp) -> (PolicyLink, Feeder) {
    let (chunks_in, chunks) = rtrb::RingBuffer::new(Chunk::IN_TRANSIT);
    let (spent, spent_out) = rtrb::RingBuffer::new(Chunk::IN_TRANSIT + Chunk::IN_FLIGHT);
    let (state, state_out) = triple_buffer::triple_buffer(&State::default());
    let spare = (0..4).map(|_| Box::new(Chunk::with_capacity(ACTIONS, ACTION_STEP))).collect();
    let feeder = Feeder {
        chunks: chunks_in,
        spent: spent_out,
        spare,
        cycle: 0,
        sequence: 0,
        now,
        _state: state_out,
    };
    let (demand, restarted, finished) = (Arc::default(), Arc::default(), Arc::default());
    (PolicyLink { chunks, spent, state, demand, restarted, finished }, feeder)
}

impl Feeder {
    /// Between two cycles: another chunk, when it is time.
    fn feed(&mut self) {
        if self.cycle.is_multiple_of(CHUNK_EVERY) {
            while let Ok(chunk) = self.spent.pop() {
                self.spare.push(chunk);
            }
            if let Some(mut spare) = self.spare.pop() {
                self.sequence += 1;
                chunk(&mut spare, self.sequence, self.now);
                // Four boxes in a ring for eight.
                let _ = self.chunks.push(spare);
            }
        }
        self.cycle += 1;
    }
}

/// Feeds between cycles, and ends the run after so many.
struct Counted {
    inner: Box<dyn Pacer>,
    feeder: Feeder,
    operator: OperatorSignal,
    left: u64,
}

impl Pacer for Counted {
    fn wait(&mut self, robot: &mut dyn Robot) -> Tick {
        self.feeder.feed();
        if self.left == 0 {
            // Twice: torque off at once.
            self.operator.raise();
            self.operator.raise();
        }
        self.left = self.left.saturating_sub(1);
        let tick = self.inner.wait(robot);
        self.feeder.now = tick.scheduled;
        tick
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }
}

/// Ticks at once. Each cycle begins exactly at its place on the grid; within it time runs as it
/// does.
struct AtOnce {
    clock: SimulatedClock,
    grid: Grid,
    woke: Timestamp,
    began: Instant,
}

impl AtOnce {
    fn new(clock: SimulatedClock) -> Self {
        let grid = Grid::new(clock.now().after(Duration::from_millis(1)), RATE_HZ);
        Self { clock, grid, woke: Timestamp::ZERO, began: Instant::now() }
    }
}

impl Pacer for AtOnce {
    fn wait(&mut self, _robot: &mut dyn Robot) -> Tick {
        let (index, scheduled) = self.grid.advance();
        self.clock.advance_to(scheduled);
        self.woke = scheduled;
        self.began = Instant::now();
        Tick { index, scheduled, woke: scheduled, missed: 0 }
    }

    fn now(&self) -> Timestamp {
        self.woke.after(self.began.elapsed())
    }
}

fn record(mut recorder: Recorder, clock: &MonotonicClock, stop: &AtomicBool) -> RecorderReport {
    while !stop.load(Ordering::Relaxed) {
        let next = recorder.step(clock.now());
        thread::sleep(next.since(clock.now()));
    }
    recorder.finish("{}")
}

/// A folder for journals that goes when this does.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    runs: AtomicU64,
}

impl Folder {
    pub fn create(parent: &Path) -> Result<Self, BenchError> {
        let path = super::folder(parent);
        std::fs::create_dir_all(&path)
            .map_err(|source| BenchError::Folder { path: path.clone(), source })?;
        Ok(Self { path, runs: AtomicU64::new(0) })
    }

    /// A folder of its own for the next journal; not made yet.
    pub fn next(&self) -> PathBuf {
        self.path.join(self.runs.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is in a temporary folder.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
