//! The journal's records as messages. Times are ns since the Unix epoch here.

use super::cdr::Cdr;
use super::severity::Severity;
use crate::journal::{ChunkRecord, CycleRecord, FrameRecord};

/// From the run's monotonic clock to the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Wall-clock time of the monotonic zero.
    pub unix_ns: u64,
}

impl Clock {
    pub fn unix(self, monotonic_ns: u64) -> u64 {
        self.unix_ns.saturating_add(monotonic_ns)
    }
}

/// `later - earlier` in units of `unit` ns; negative where the names are wrong.
fn elapsed(later: u64, earlier: u64, unit: f64) -> f64 {
    (i128::from(later) - i128::from(earlier)) as f64 / unit
}

const MICRO: f64 = 1e3;
const MILLI: f64 = 1e6;

/// Values of all joints; each slice is empty or one per joint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JointValues<'a> {
    pub position: &'a [f64],
    pub velocity: &'a [f64],
    pub effort: &'a [f64],
}

pub(super) fn joint_state<'n>(
    cdr: &mut Cdr,
    stamp_ns: u64,
    names: impl ExactSizeIterator<Item = &'n str>,
    values: &JointValues<'_>,
) {
    cdr.begin().time(stamp_ns).string("").strings(names);
    for sequence in [values.position, values.velocity, values.effort] {
        cdr.f64s(sequence.iter().copied());
    }
}

pub(super) fn cycle(
    cdr: &mut Cdr,
    clock: Clock,
    cycle: &CycleRecord,
    previous_woke_ns: Option<u64>,
) {
    let woke = cycle.woke_ns;
    let micros = |ns: u32| f64::from(ns) / MICRO;
    let phases = &cycle.phases;
    cdr.begin()
        .time(clock.unix(woke))
        .u64(cycle.index)
        .f64(elapsed(woke, cycle.scheduled_ns, MICRO))
        .f64(previous_woke_ns.map_or(f64::NAN, |before| elapsed(woke, before, MICRO)))
        .u64(cycle.misses)
        .f64(micros(phases.read))
        .f64(micros(phases.take))
        .f64(micros(phases.decide))
        .f64(micros(phases.write))
        .f64(micros(phases.record))
        .f64(micros(phases.previous))
        .u8(cycle.state)
        .u8(cycle.hold)
        .u8(cycle.cause)
        .u8(cycle.operator)
        .u8(cycle.link)
        .u32(cycle.epoch)
        .u64(cycle.sample)
        .bool(cycle.commanded)
        .bool(cycle.watchdog)
        .u32(cycle.substituted)
        .f64(cycle.observation_ns.map_or(f64::NAN, |at| elapsed(woke, at, MILLI)))
        .f64s(cycle.measured_ns.iter().map(|&at| match at {
            0 => f64::NAN,
            at => elapsed(woke, at, MILLI),
        }))
        .u16s(&cycle.clamps);
}

pub(super) fn image(cdr: &mut Cdr, clock: Clock, camera: &str, frame: &FrameRecord) {
    cdr.begin().time(clock.unix(frame.captured_ns)).string(camera).string("png").octets(&frame.png);
}

pub(super) fn log(cdr: &mut Cdr, stamp_ns: u64, severity: Severity, name: &str, text: &str) {
    // A string in CDR ends at its first zero.
    let text = text.replace('\0', " ");
    cdr.begin()
        .time(stamp_ns)
        .u8(severity as u8)
        .string(name)
        .string(&text)
        .string("")
        .string("")
        .u32(0);
}

pub(super) fn chunk(cdr: &mut Cdr, clock: Clock, chunk: &ChunkRecord) {
    let ChunkRecord { started_ns, finished_ns, observation_ns, .. } = *chunk;
    cdr.begin()
        .time(clock.unix(started_ns))
        .time(clock.unix(finished_ns))
        .time(clock.unix(observation_ns))
        .u64(chunk.sequence)
        .u64(chunk.cycle)
        .f64(elapsed(finished_ns, started_ns, MILLI))
        .f64(elapsed(finished_ns, observation_ns, MILLI))
        .f64(chunk.step_ns as f64 / MILLI)
        .u32(chunk.action_size)
        .f64s(chunk.actions.iter().copied());
}
