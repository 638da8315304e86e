//! What the control thread leaves behind each cycle, as plain data without heap.

use sinew_episodes::journal::{CycleRecord, Phases};
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State};

use crate::cycle::{OperatorRequest, Outcome};
use crate::pacing::Tick;
use crate::supervision::{HoldCause, StopCause};

/// One cycle.
#[derive(Clone, Copy, Debug)]
pub struct CycleSample {
    /// Grid tick.
    pub tick: Tick,
    /// Durations of the parts.
    pub phases: Phases,
    /// What the operator had asked for.
    pub operator: OperatorRequest,
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
    /// The journal's form, for the first `joints` joints.
    pub fn record(&self, joints: usize) -> CycleRecord {
        let joints = joints.min(MAX_JOINTS);
        CycleRecord {
            index: self.tick.index,
            scheduled_ns: self.tick.scheduled.as_nanos(),
            woke_ns: self.tick.woke.as_nanos(),
            phases: self.phases,
            operator: self.operator as u8,
            link: match self.state.link {
                LinkStatus::Down => 0,
                LinkStatus::Up => 1,
                LinkStatus::Lost => 2,
            },
            epoch: self.state.epoch,
            sample: self.state.sequence,
            state: self.outcome.state as u8,
            measured: self.state.position[..joints].to_vec(),
            measured_ns: self.state.captured[..joints].iter().map(|at| at.as_nanos()).collect(),
            substituted: self.state.substituted,
            requested: self.outcome.requested[..joints].to_vec(),
            limited: self.outcome.limited[..joints].to_vec(),
            clamps: self.outcome.clamps[..joints].to_vec(),
            observation_ns: self.outcome.observed.map(|at| at.as_nanos()),
            ..CycleRecord::default()
        }
    }
}

/// The control thread's end of the ring. A full ring drops the sample and counts it.
pub struct SampleSink {
    ring: rtrb::Producer<CycleSample>,
    dropped: u64,
}

impl SampleSink {
    /// A ring for `capacity` samples, and its reading end.
    pub fn new(capacity: usize) -> (Self, rtrb::Consumer<CycleSample>) {
        let (ring, reader) = rtrb::RingBuffer::new(capacity.max(1));
        (Self { ring, dropped: 0 }, reader)
    }

    /// Leaves a sample behind, or counts it as dropped. Never blocks.
    pub fn push(&mut self, sample: CycleSample) {
        if self.ring.push(sample).is_err() {
            self.dropped += 1;
        }
    }

    /// Samples dropped so far.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}
