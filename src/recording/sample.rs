//! What the control thread leaves behind each cycle, as plain data without heap.

use sinew_episodes::journal::{CycleRecord, Phases};
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, MAX_SENSORS, State};

use crate::cycle::{CycleInputs, Outcome};
use crate::pacing::Tick;
use crate::supervision::{HoldCause, StopCause};

/// One cycle.
#[derive(Clone, Copy, Debug, Default)]
pub struct CycleSample {
    /// Grid tick.
    pub tick: Tick,
    /// Durations of the parts.
    pub phases: Phases,
    /// What the cycle consumed beside the state and the mailboxes.
    pub inputs: CycleInputs,
    /// What the robot reported.
    pub state: State,
    /// What the cycle decided.
    pub outcome: Outcome,
    /// Why the arm holds, while it does.
    pub hold: Option<HoldCause>,
    /// Why the run ends, once it does.
    pub cause: Option<StopCause>,
    /// Sequence number of the chunk taken over in this cycle, 0 for none.
    pub chunk: u64,
}

impl CycleSample {
    /// The journal's form, for the first `joints` joints and `sensors` sensors.
    pub fn record(&self, joints: usize, sensors: usize) -> CycleRecord {
        let joints = joints.min(MAX_JOINTS);
        let outcome = &self.outcome;
        let measured = |values: &[f64; MAX_JOINTS]| values[..joints].to_vec();
        // Whoever measures none has zeros only: not worth their bytes.
        let present = |values: &[f64; MAX_JOINTS]| {
            let values = measured(values);
            if values.iter().all(|value| value.to_bits() == 0) { Vec::new() } else { values }
        };
        CycleRecord {
            index: self.tick.index,
            scheduled_ns: self.tick.scheduled.as_nanos(),
            woke_ns: self.tick.woke.as_nanos(),
            misses: self.inputs.misses,
            watchdog: self.inputs.watchdog,
            finished: self.inputs.finished,
            chunk: self.chunk,
            phases: self.phases,
            operator: self.inputs.operator as u8,
            link: match self.state.link {
                LinkStatus::Down => 0,
                LinkStatus::Up => 1,
                LinkStatus::Lost => 2,
            },
            epoch: self.state.epoch,
            sample: self.state.sequence,
            state: outcome.state as u8,
            hold: self.hold.map_or(0, HoldCause::number),
            cause: self.cause.map_or(0, StopCause::number),
            measured: measured(&self.state.position),
            measured_velocity: present(&self.state.velocity),
            measured_effort: present(&self.state.effort),
            sensors: self.state.sensors[..sensors.min(MAX_SENSORS)].to_vec(),
            measured_ns: self.state.captured[..joints].iter().map(|at| at.as_nanos()).collect(),
            substituted: self.state.substituted,
            requested: measured(&outcome.requested),
            generated: measured(&outcome.generated),
            limited: measured(&outcome.limited),
            effort: outcome.effort.as_ref().map(measured).unwrap_or_default(),
            commanded: outcome.command.is_some(),
            clamps: outcome.clamps[..joints].to_vec(),
            observation_ns: outcome.observed.map(|at| at.as_nanos()),
        }
    }
}

/// The control thread's end of the ring. A full ring drops the sample and counts it.
pub struct SampleSink {
    /// `None` records nothing.
    ring: Option<rtrb::Producer<CycleSample>>,
    dropped: u64,
}

impl SampleSink {
    /// A ring for `capacity` samples, and its reading end.
    pub fn new(capacity: usize) -> (Self, rtrb::Consumer<CycleSample>) {
        let (mut ring, mut reader) = rtrb::RingBuffer::new(capacity.max(1));
        // Touched once, so that no page has to be found while cycles run.
        while ring.push(CycleSample::default()).is_ok() {}
        while reader.pop().is_ok() {}
        (Self { ring: Some(ring), dropped: 0 }, reader)
    }

    /// A sink that keeps nothing and counts nothing: what recording costs is measured against it.
    pub const fn off() -> Self {
        Self { ring: None, dropped: 0 }
    }

    /// Leaves a sample behind, or counts it as dropped. Never blocks.
    pub fn push(&mut self, sample: &CycleSample) {
        if let Some(ring) = &mut self.ring
            && ring.push(*sample).is_err()
        {
            self.dropped += 1;
        }
    }

    /// Samples dropped so far.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}
