//! The control loop: wait, read, decide, write, record. It runs on a thread of its own, or in
//! virtual time under a [`Pacer`] that moves the world along between ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use sinew_episodes::journal::{ClampCause, Phases};
use sinew_firmware_interfaces::{MAX_JOINTS, Robot, State, StopRequest, Timestamp};

use crate::cycle::{Cycle, CycleInputs, OperatorRequest};
use crate::pacing::{Distribution, Pacer};
use crate::recording::{CycleSample, FlightRecorder, SampleSink};
use crate::supervision::{ArmState, Heartbeat, StopCause};
use crate::targets::Chunk;

/// Most missed ticks of one gap that enter the distribution of lateness: a second at 1 kHz. All are
/// counted as missed.
const MOST_MISSED: u64 = 1000;

/// How often the operator asked for a stop. Shared with the signal handler.
#[derive(Clone, Debug, Default)]
pub struct OperatorSignal {
    raised: Arc<AtomicU32>,
    /// A stop for a reason of its own: another robot's end.
    stopped: Arc<AtomicBool>,
    /// Arms that listen.
    arms: Arc<AtomicU32>,
}

/// As long as this is there, what the operator asks is meant for an arm.
#[derive(Debug)]
#[must_use = "the arm counts as gone when this is dropped"]
pub struct ListeningArm(Arc<AtomicU32>);

impl Drop for ListeningArm {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl OperatorSignal {
    /// Once more: the first time ramps to rest, the second takes torque off.
    pub fn raise(&self) {
        self.raised.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the operator has asked, without the stops that came of another robot's end.
    pub fn raised(&self) -> u32 {
        self.raised.load(Ordering::Relaxed)
    }

    /// Asks for a ramp to rest, unless a stop was asked for already. It does not count as asked by
    /// the operator, whose first request after it takes no torque off either.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// An arm begins to listen.
    pub fn listening_arm(&self) -> ListeningArm {
        self.arms.fetch_add(1, Ordering::AcqRel);
        ListeningArm(Arc::clone(&self.arms))
    }

    /// True while an arm listens, this process's or another run's in it.
    pub fn has_arms(&self) -> bool {
        self.arms.load(Ordering::Acquire) > 0
    }

    /// What has been asked for so far.
    pub fn request(&self) -> OperatorRequest {
        match self.raised.load(Ordering::Relaxed) {
            0 if !self.stopped.load(Ordering::Relaxed) => OperatorRequest::None,
            0 | 1 => OperatorRequest::Stop,
            _ => OperatorRequest::TorqueOff,
        }
    }
}

/// The measured state as the inference side sees it.
pub type StateMailbox = triple_buffer::Input<State>;

/// The control thread's ends of the mailboxes to the inference thread.
pub struct PolicyLink {
    /// Finished chunks come in.
    pub chunks: rtrb::Consumer<Box<Chunk>>,
    /// Used chunks go back, so that nothing is freed here.
    pub spent: rtrb::Producer<Box<Chunk>>,
    /// The latest state goes out.
    pub state: StateMailbox,
    /// Number of chunks that a queue has asked for.
    pub demand: Arc<AtomicU64>,
    /// When commands began anew last, in ns of the clock; 0: not since the arm was armed.
    pub restarted: Arc<AtomicU64>,
    /// True once the target source has said its last.
    pub finished: Arc<AtomicBool>,
}

/// Counters and distributions of a run's cycles.
#[derive(Clone, Debug)]
pub struct LoopStatistics {
    /// Wake to wake.
    pub period: Distribution,
    /// Wake after the tick was due.
    pub lateness: Distribution,
    /// Reading the latest state.
    pub read: Distribution,
    /// Taking over mailboxes.
    pub take: Distribution,
    /// Target, generator, limits, supervision.
    pub decide: Distribution,
    /// Handing over the command.
    pub write: Distribution,
    /// Handing over the previous record.
    pub record: Distribution,
    /// Wake to the command handed over: all of the above but recording.
    pub response: Distribution,
    /// Wake to the end of the cycle.
    pub cycle: Distribution,
    /// Age of the oldest judged measurement, at each cycle.
    pub state_age: Distribution,
    /// Age of the observation behind the target, at each running cycle.
    pub observation_age: Distribution,
    /// Periods without a cycle.
    pub missed: u64,
    /// Cycles that ended after the next tick was due, lateness included.
    pub overruns: u64,
    /// The longest of all cycles, from when it was due to its end, in ns.
    pub longest_ns: u64,
    /// Clamps by joint and cause.
    pub clamps: [[u64; ClampCause::ALL.len()]; MAX_JOINTS],
    /// Cycles in each arm state.
    pub cycles_in: [u64; ArmState::ALL.len()],
    /// Chunks taken over.
    pub chunks: u64,
    /// Actions that were in the past when their chunk was finished.
    pub expired_actions: u64,
    /// Cycles with a substituted measurement.
    pub substituted: u64,
    /// Samples the ring had no room for.
    pub dropped_samples: u64,
}

impl LoopStatistics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let empty = Distribution::new;
        Self {
            period: empty(),
            lateness: empty(),
            read: empty(),
            take: empty(),
            decide: empty(),
            write: empty(),
            record: empty(),
            response: empty(),
            cycle: empty(),
            state_age: empty(),
            observation_age: empty(),
            missed: 0,
            overruns: 0,
            longest_ns: 0,
            clamps: Default::default(),
            cycles_in: Default::default(),
            chunks: 0,
            expired_actions: 0,
            substituted: 0,
            dropped_samples: 0,
        }
    }
}

/// The loop with everything it owns. Construct it anywhere, then call [`run`](Self::run) on the
/// thread that is to be the control thread.
pub struct ControlLoop<'a> {
    robot: &'a mut dyn Robot,
    cycle: Cycle,
    link: PolicyLink,
    sink: SampleSink,
    operator: OperatorSignal,
    heartbeat: Heartbeat,
    flight: FlightRecorder,
    period: Duration,
    judged: u32,
    statistics: LoopStatistics,
}

impl<'a> ControlLoop<'a> {
    /// A loop around an armed robot.
    pub fn new(
        robot: &'a mut dyn Robot,
        cycle: Cycle,
        link: PolicyLink,
        sink: SampleSink,
        operator: OperatorSignal,
        heartbeat: Heartbeat,
    ) -> Self {
        Self {
            robot,
            link,
            sink,
            operator,
            heartbeat,
            flight: FlightRecorder::new(cycle.settings().period),
            period: cycle.settings().period,
            judged: cycle.settings().judged,
            cycle,
            statistics: LoopStatistics::new(),
        }
    }

    /// Cycles until the arm is disarmed or faulted. After the first tick it neither allocates,
    /// locks, logs nor waits for anything but the next tick.
    pub fn run(&mut self, pacer: &mut dyn Pacer) -> Option<StopCause> {
        // One sample for all cycles, filled in place: it is 3 KB.
        let mut sample = CycleSample::default();
        let mut previous = Previous::default();
        loop {
            let tick = pacer.wait(self.robot);
            self.heartbeat.beat();
            sample.tick = tick;
            self.robot.read(tick.woke, &mut sample.state);
            let read = pacer.now();
            if previous.woke.is_none() {
                self.cycle.arm(&sample.state, tick.scheduled);
            }
            sample.chunk = self.exchange(&sample.state, tick.scheduled);
            let taken = pacer.now();
            sample.inputs = CycleInputs {
                operator: self.operator.request(),
                misses: tick.missed + u64::from(previous.overran),
                missed: tick.missed,
                watchdog: self.heartbeat.has_fired(),
                finished: self.link.finished.load(Ordering::Relaxed),
            };
            sample.outcome = self.cycle.step(&sample.state, sample.inputs, tick.scheduled);
            let outcome = &sample.outcome;
            if outcome.restarted {
                self.link.restarted.store(tick.scheduled.as_nanos(), Ordering::Release);
            }
            self.ask(tick.scheduled);
            let decided = pacer.now();
            if let Some(request) = outcome.request {
                self.robot.stop(decided, request);
            }
            if let Some(command) = &outcome.command {
                self.robot.write(decided, command);
            }
            let written = pacer.now();

            sample.phases = Phases {
                read: nanos(tick.woke, read),
                take: nanos(read, taken),
                decide: nanos(taken, decided),
                write: nanos(decided, written),
                record: previous.record,
                previous: previous.total,
            };
            sample.hold = self.cycle.hold();
            sample.cause = self.cycle.cause();
            self.sink.push(&sample);
            self.flight.push(&sample);
            self.count(&sample, previous.woke);
            let recorded = pacer.now();
            let took = recorded.since(tick.scheduled).as_nanos() as u64;
            let total = nanos(tick.scheduled, recorded);
            let overran = recorded > tick.scheduled.after(self.period);
            self.statistics.response.record(written.since(tick.woke));
            self.statistics.record.record(recorded.since(written));
            self.statistics.cycle.record(recorded.since(tick.woke));
            self.statistics.overruns += u64::from(overran);
            self.statistics.longest_ns = self.statistics.longest_ns.max(took);
            previous = Previous {
                woke: Some(tick.woke),
                record: nanos(written, recorded),
                total,
                overran,
            };
            if matches!(sample.outcome.state, ArmState::Disarmed | ArmState::Faulted) {
                self.heartbeat.end();
                self.statistics.dropped_samples = self.sink.dropped();
                return self.cycle.cause();
            }
        }
    }

    /// The last cycles before the end, for when the recorder has lost them.
    pub fn flight(&self) -> &FlightRecorder {
        &self.flight
    }

    /// What the cycles added up to.
    pub fn statistics(&self) -> &LoopStatistics {
        &self.statistics
    }

    /// Publishes the state, takes over new chunks and returns old ones. Returns the sequence
    /// number of the last chunk taken over, 0 for none.
    fn exchange(&mut self, state: &State, now: Timestamp) -> u64 {
        *self.link.state.input_buffer_mut() = *state;
        self.link.state.publish();
        let mut sequence = 0;
        // No more than the ring holds, or the timeline would have to grow. Within that bound there
        // is always room for what goes back ([`Chunk::BOXES`]): what becomes of a chunk depends on
        // nothing that a replay could not know.
        for _ in 0..Chunk::IN_TRANSIT {
            let Ok(chunk) = self.link.chunks.pop() else { break };
            sequence = chunk.sequence;
            self.statistics.chunks += 1;
            self.statistics.expired_actions += self.cycle.expired(&chunk) as u64;
            if let Some(refused) = self.cycle.insert(chunk, now) {
                let _ = self.link.spent.push(refused);
            }
        }
        while let Some(chunk) = self.cycle.retire(now) {
            let _ = self.link.spent.push(chunk);
        }
        sequence
    }

    /// Tells a queue-driven inference thread that the next chunk is wanted.
    fn ask(&mut self, now: Timestamp) {
        if self.cycle.wants_chunk(now) {
            self.link.demand.store(self.statistics.chunks + 1, Ordering::Relaxed);
        }
    }

    fn count(&mut self, sample: &CycleSample, previous_wake: Option<Timestamp>) {
        let statistics = &mut self.statistics;
        let tick = sample.tick;
        if let Some(previous) = previous_wake {
            statistics.period.record(tick.woke.since(previous));
        }
        let lateness = tick.woke.since(tick.scheduled);
        statistics.lateness.record(lateness);
        // A tick without a cycle was late as well, up to the one that was served in its place.
        for period in 1..=tick.missed.min(MOST_MISSED) as u32 {
            statistics.lateness.record(lateness + self.period * period);
        }
        statistics.read.record(Duration::from_nanos(sample.phases.read.into()));
        statistics.take.record(Duration::from_nanos(sample.phases.take.into()));
        statistics.decide.record(Duration::from_nanos(sample.phases.decide.into()));
        statistics.write.record(Duration::from_nanos(sample.phases.write.into()));
        statistics.missed += tick.missed;
        statistics.cycles_in[sample.outcome.state as usize] += 1;
        statistics.substituted += u64::from(sample.state.substituted != 0);
        let mut oldest = tick.woke;
        for joint in 0..self.cycle.joints() {
            if self.judged & (1 << joint) != 0 {
                oldest = oldest.min(sample.state.captured[joint]);
            }
            if sample.outcome.clamps[joint] == 0 {
                continue;
            }
            for (index, cause) in ClampCause::ALL.iter().enumerate() {
                if sample.outcome.clamps[joint] & cause.bit() != 0 {
                    statistics.clamps[joint][index] += 1;
                }
            }
        }
        statistics.state_age.record(tick.woke.since(oldest));
        if let Some(observed) = sample.outcome.observed {
            statistics.observation_age.record(tick.woke.since(observed));
        }
    }
}

/// What a cycle knows of the one before.
#[derive(Default)]
struct Previous {
    woke: Option<Timestamp>,
    record: u32,
    total: u32,
    overran: bool,
}

impl Default for LoopStatistics {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ControlLoop<'_> {
    fn drop(&mut self) {
        self.heartbeat.end();
        // Whoever joins this thread may have to wait for others first; the arm must not.
        if std::thread::panicking() {
            self.robot.stop(Timestamp::ZERO, StopRequest::Hold);
        }
    }
}

fn nanos(from: Timestamp, to: Timestamp) -> u32 {
    to.since(from).as_nanos().min(u32::MAX as u128) as u32
}
