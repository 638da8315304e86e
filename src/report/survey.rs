//! One pass over a journal: everything the page shows, in memory that does not grow with the run
//! (but for 16 bytes per frame and the events).

use std::path::Path;

use serde_json::Value;
use sinew_episodes::journal::{
    ChunkRecord, ClampCause, CycleRecord, EventRecord, Header, ReadError, Reader, Record, Tail,
    state_name,
};

use super::envelope::{Envelope, capacity};
use super::filmstrip::{self, Strip};
use super::spread::Spread;

/// More joints than any robot has.
const MAX_JOINTS: usize = 64;

/// Events kept of the beginning of a run, and of its end.
const MAX_EVENTS: usize = 500;

/// Changes of the arm's state, and missed periods, that are drawn.
const MAX_MARKS: usize = 4000;

/// Series of a cycle after the four of each joint.
pub const CYCLE_SERIES: usize = 4;

/// Series per joint: requested, limited, measured, limited less measured.
pub const JOINT_SERIES: usize = 4;

/// Bit of a joint's flags for a substituted measurement; the lower ones are clamp causes.
pub const SUBSTITUTED: u16 = 1 << 15;

/// A missed stretch of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the cycle after it woke, in ns.
    pub at_ns: u64,
    /// Periods without a cycle.
    pub periods: u64,
}

/// Distributions of the loop, in the order of the timing table.
#[derive(Clone, Debug, Default)]
pub struct LoopSpreads {
    /// Wake to wake.
    pub period: Spread,
    /// Wake after the tick was due.
    pub lateness: Spread,
    /// Reading the state.
    pub read: Spread,
    /// Taking over mailboxes.
    pub take: Spread,
    /// Deciding.
    pub decide: Spread,
    /// Handing over the command.
    pub write: Spread,
    /// Handing over the record.
    pub record: Spread,
    /// The five together.
    pub cycle: Spread,
}

/// What a journal holds, in the form of the page.
pub struct Survey {
    /// First record.
    pub header: Header,
    /// Length of the journal in bytes.
    pub bytes: u64,
    /// How it ends.
    pub tail: Tail,
    /// Records that could not be read.
    pub skipped: u64,
    /// Its summary record, or null.
    pub summary: Value,
    /// Control cycles.
    pub cycles: u64,
    /// When the first and the last cycle were due, in ns.
    pub range_ns: Option<(u64, u64)>,
    /// Periods between the first and the last cycle without a cycle.
    pub missed: u64,
    /// The first [`MAX_MARKS`] of them.
    pub gaps: Vec<Gap>,
    /// Arm states and when they began, in ns.
    pub states: Vec<(u64, u8)>,
    /// Cycles by state name, in order of first occurrence.
    pub state_counts: Vec<(&'static str, u64)>,
    /// Clamped cycles per joint and cause.
    pub clamps: Vec<[u64; ClampCause::ALL.len()]>,
    /// Cycles in which a joint was clamped for any cause, per joint.
    pub clamped: Vec<u64>,
    /// Cycles in which any joint was clamped.
    pub clamped_cycles: u64,
    /// Cycles with a substituted measurement, per joint.
    pub substituted: Vec<u64>,
    /// Cycles with any substituted measurement.
    pub substituted_cycles: u64,
    /// Largest distance between limited and measured position per joint, in its unit, outside
    /// substituted measurements and disarmed states.
    pub errors: Vec<f64>,
    /// Per joint [`JOINT_SERIES`], then period, cycle time, age of the state and age of the
    /// observation in µs. Flags per joint.
    pub series: Envelope,
    /// Distributions of the loop.
    pub timing: LoopSpreads,
    /// Age of the oldest measurement.
    pub state_age: Spread,
    /// Age of the observation behind the target.
    pub observation_age: Spread,
    /// Chunks taken over.
    pub chunks: u64,
    /// Per chunk, by the time it was finished: inference latency in µs.
    pub inference: Envelope,
    /// Inference latency.
    pub latency: Spread,
    /// Events; of very many the first and the last.
    pub events: Vec<EventRecord>,
    /// Events left out between them.
    pub events_left_out: u64,
    /// Frames of each camera.
    pub strips: Vec<Strip>,
    previous: Option<(u64, u64)>,
}

/// Reads a journal. Damage at its end is described in [`Survey::tail`], not an error.
pub fn survey(journal: &Path) -> Result<Survey, ReadError> {
    let mut reader = Reader::open(journal)?;
    let mut survey = Survey::new(reader.header().clone(), reader.length());
    let mut frames: Vec<Vec<(u64, u64)>> = vec![Vec::new(); survey.header.cameras.len()];
    while let Some(record) = reader.next() {
        match record? {
            Record::Header(_) => {}
            Record::Cycle(cycle) => survey.cycle(&cycle),
            Record::Chunk(chunk) => survey.chunk(&chunk),
            Record::Event(event) => survey.event(event),
            Record::Frame(frame) => {
                if let Some(times) = frames.get_mut(frame.camera as usize) {
                    times.push((frame.captured_ns, reader.last_offset()));
                }
            }
            Record::Summary(json) => {
                survey.summary = serde_json::from_str(&json).unwrap_or(Value::Null);
            }
        }
    }
    survey.tail = reader.tail();
    survey.skipped = reader.skipped();
    // A reader of its own: iteration may have ended in the middle of a record.
    survey.strips = filmstrip::strips(&mut Reader::open(journal)?, &frames)?;
    Ok(survey)
}

/// A saturating difference in µs.
fn micros(later: u64, earlier: u64) -> f32 {
    later.saturating_sub(earlier) as f32 / 1e3
}

impl Survey {
    fn new(mut header: Header, bytes: u64) -> Self {
        header.joints.truncate(MAX_JOINTS);
        let joints = header.joints.len();
        let columns = joints * JOINT_SERIES + CYCLE_SERIES;
        Self {
            header,
            bytes,
            tail: Tail::Unread,
            skipped: 0,
            summary: Value::Null,
            cycles: 0,
            range_ns: None,
            missed: 0,
            gaps: Vec::new(),
            states: Vec::new(),
            state_counts: Vec::new(),
            clamps: vec![[0; ClampCause::ALL.len()]; joints],
            clamped: vec![0; joints],
            clamped_cycles: 0,
            substituted: vec![0; joints],
            substituted_cycles: 0,
            errors: vec![0.0; joints],
            series: Envelope::new(columns, joints, capacity(columns)),
            timing: LoopSpreads::default(),
            state_age: Spread::default(),
            observation_age: Spread::default(),
            chunks: 0,
            inference: Envelope::new(1, 0, capacity(columns)),
            latency: Spread::default(),
            events: Vec::new(),
            events_left_out: 0,
            strips: Vec::new(),
            previous: None,
        }
    }

    /// From the first to the last cycle, in s.
    pub fn seconds(&self) -> f64 {
        self.range_ns.map_or(0.0, |(first, last)| last.saturating_sub(first) as f64 / 1e9)
    }

    fn cycle(&mut self, cycle: &CycleRecord) {
        self.cycles += 1;
        let first = self.range_ns.map_or(cycle.scheduled_ns, |(first, _)| first);
        self.range_ns = Some((first, cycle.scheduled_ns));
        let period = self.loop_timing(cycle);
        self.arm_state(cycle);
        let (mut values, flags) = self.joints(cycle);
        let duration: u64 = self.phases(cycle);
        values.push(period);
        values.push(duration as f32 / 1e3);
        values.push(self.ages(cycle));
        values.push(cycle.observation_ns.map_or(f32::NAN, |at| {
            self.observation_age.add(cycle.woke_ns.saturating_sub(at));
            micros(cycle.woke_ns, at)
        }));
        self.series.push(cycle.scheduled_ns, &values, &flags);
    }

    /// The period before this cycle in µs, NaN for the first.
    fn loop_timing(&mut self, cycle: &CycleRecord) -> f32 {
        self.timing.lateness.add(cycle.woke_ns.saturating_sub(cycle.scheduled_ns));
        let previous = self.previous.replace((cycle.index, cycle.woke_ns));
        let Some((index, woke_ns)) = previous else { return f32::NAN };
        let periods = cycle.index.saturating_sub(index).saturating_sub(1);
        if periods > 0 {
            self.missed = self.missed.saturating_add(periods);
            if self.gaps.len() < MAX_MARKS {
                self.gaps.push(Gap { at_ns: cycle.woke_ns, periods });
            }
        }
        self.timing.period.add(cycle.woke_ns.saturating_sub(woke_ns));
        micros(cycle.woke_ns, woke_ns)
    }

    fn phases(&mut self, cycle: &CycleRecord) -> u64 {
        let phases = &cycle.phases;
        let timing = &mut self.timing;
        let mut sum = 0;
        for (spread, nanos) in [
            (&mut timing.read, phases.read),
            (&mut timing.take, phases.take),
            (&mut timing.decide, phases.decide),
            (&mut timing.write, phases.write),
            (&mut timing.record, phases.record),
        ] {
            spread.add(u64::from(nanos));
            sum += u64::from(nanos);
        }
        timing.cycle.add(sum);
        sum
    }

    fn arm_state(&mut self, cycle: &CycleRecord) {
        let changed = self.states.last().is_none_or(|(_, state)| *state != cycle.state);
        if changed && self.states.len() < MAX_MARKS {
            self.states.push((cycle.scheduled_ns, cycle.state));
        }
        let name = state_name(cycle.state);
        match self.state_counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.state_counts.push((name, 1)),
        }
    }

    fn joints(&mut self, cycle: &CycleRecord) -> (Vec<f32>, Vec<u16>) {
        let joints = self.header.joints.len();
        let mut values = Vec::with_capacity(joints * JOINT_SERIES + CYCLE_SERIES);
        let mut flags = Vec::with_capacity(joints);
        // Without torque nothing follows anything.
        let powered = matches!(cycle.state, 1..=3);
        let (mut any_clamp, mut any_substitute) = (false, false);
        for joint in 0..joints {
            let of = |values: &[f64]| values.get(joint).copied().unwrap_or(f64::NAN);
            let (limited, measured) = (of(&cycle.limited), of(&cycle.measured));
            let clamps = cycle.clamps.get(joint).copied().unwrap_or(0);
            let substituted = joint < 32 && cycle.substituted >> joint & 1 == 1;
            let comparable = powered && !substituted;
            let error = if comparable { limited - measured } else { f64::NAN };
            values.extend([of(&cycle.requested), limited, measured, error].map(|v| v as f32));
            if error.abs() > self.errors[joint] {
                self.errors[joint] = error.abs();
            }
            let mut set = if substituted { SUBSTITUTED } else { 0 };
            for (cause, count) in ClampCause::ALL.iter().zip(&mut self.clamps[joint]) {
                if clamps & cause.bit() != 0 {
                    *count += 1;
                    set |= cause.bit();
                }
            }
            let clamped = set & !SUBSTITUTED != 0;
            self.clamped[joint] += u64::from(clamped);
            any_clamp |= clamped;
            self.substituted[joint] += u64::from(substituted);
            any_substitute |= substituted;
            flags.push(set);
        }
        self.clamped_cycles += u64::from(any_clamp);
        self.substituted_cycles += u64::from(any_substitute);
        (values, flags)
    }

    /// Age of the oldest real measurement in µs.
    fn ages(&mut self, cycle: &CycleRecord) -> f32 {
        let real = |joint: usize| joint >= 32 || cycle.substituted >> joint & 1 == 0;
        let oldest = cycle
            .measured_ns
            .iter()
            .enumerate()
            .filter(|(joint, at)| real(*joint) && **at > 0)
            .map(|(_, at)| *at)
            .min();
        oldest.map_or(f32::NAN, |at| {
            self.state_age.add(cycle.woke_ns.saturating_sub(at));
            micros(cycle.woke_ns, at)
        })
    }

    fn chunk(&mut self, chunk: &ChunkRecord) {
        self.chunks += 1;
        self.latency.add(chunk.finished_ns.saturating_sub(chunk.started_ns));
        let latency = micros(chunk.finished_ns, chunk.started_ns);
        self.inference.push(chunk.finished_ns, &[latency], &[]);
    }

    fn event(&mut self, event: EventRecord) {
        if self.events.len() >= 2 * MAX_EVENTS {
            // The latest ones matter as much as the first: they tell how the run ended.
            self.events.remove(MAX_EVENTS);
            self.events_left_out += 1;
        }
        self.events.push(event);
    }
}
