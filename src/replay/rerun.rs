//! The cycle, fed from a journal.

use std::time::Duration;

use sinew_episodes::journal::{ChunkRecord, CycleRecord};
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, MAX_SENSORS, State, Timestamp};

use super::Recorded;
use crate::actuation::Actuation;
use crate::cycle::{Cycle, CycleInputs, CycleSettings, OperatorRequest};
use crate::pacing::Tick;
use crate::recording::CycleSample;
use crate::supervision::ArmState;
use crate::targets::Chunk;

/// The cycle, fed from a journal instead of a robot.
#[derive(Debug)]
pub struct Rerun {
    cycle: Cycle,
    driven: Vec<usize>,
    armed: bool,
    /// Index of the last cycle.
    last: Option<u64>,
}

impl Rerun {
    /// A disarmed cycle.
    pub fn new(settings: CycleSettings, actuation: Option<Actuation>) -> Self {
        let driven = settings.driven;
        let driven = (0..MAX_JOINTS).filter(|joint| driven & (1 << joint) != 0).collect();
        Self { cycle: Cycle::new(settings, actuation), driven, armed: false, last: None }
    }

    /// Does what the control loop does in one cycle, with what it consumed, and returns what the
    /// recorder would have written.
    pub fn step(&mut self, recorded: &Recorded) -> CycleRecord {
        let record = &recorded.cycle;
        let state = state(record);
        let now = Timestamp::from_nanos(record.scheduled_ns);
        if !self.armed {
            self.cycle.arm(&state, now);
            self.armed = true;
        }
        for chunk in &recorded.chunks {
            drop(self.cycle.insert(Box::new(self.chunk(chunk)), now));
        }
        while self.cycle.retire(now).is_some() {}
        let next = self.last.replace(record.index).map_or(record.index, |last| last + 1);
        let missed = record.index.saturating_sub(next);
        let inputs = CycleInputs {
            operator: match record.operator {
                0 => OperatorRequest::None,
                1 => OperatorRequest::Stop,
                _ => OperatorRequest::TorqueOff,
            },
            misses: record.misses,
            missed,
            watchdog: record.watchdog,
            finished: record.finished,
        };
        let outcome = self.cycle.step(&state, inputs, now);
        let sample = CycleSample {
            tick: Tick {
                index: record.index,
                scheduled: now,
                woke: Timestamp::from_nanos(record.woke_ns),
                missed: 0,
            },
            phases: record.phases,
            inputs,
            state,
            outcome,
            hold: self.cycle.hold(),
            cause: self.cycle.cause(),
            chunk: record.chunk,
        };
        sample.record(record.measured.len(), record.sensors.len())
    }

    /// True once no more commands come out of it.
    pub fn has_ended(&self) -> bool {
        self.armed && matches!(self.cycle.state(), ArmState::Disarmed | ArmState::Faulted)
    }

    fn chunk(&self, record: &ChunkRecord) -> Chunk {
        let step = Duration::from_nanos(record.step_ns);
        let size = record.action_size as usize;
        let mut chunk = Chunk::with_capacity(record.actions.len() / size.max(1), step);
        chunk.sequence = record.sequence;
        chunk.observed = Timestamp::from_nanos(record.observation_ns);
        chunk.started = Timestamp::from_nanos(record.started_ns);
        chunk.finished = Timestamp::from_nanos(record.finished_ns);
        // A policy's chunks have the joints that it drives; those of a motion have all.
        let all = size == self.cycle.joints();
        chunk.actions.extend(record.actions.chunks_exact(size.max(1)).map(|values| {
            let mut action = [f64::NAN; MAX_JOINTS];
            for (index, value) in values.iter().enumerate() {
                let joint = if all { Some(index) } else { self.driven.get(index).copied() };
                if let Some(action) = joint.and_then(|joint| action.get_mut(joint)) {
                    *action = *value;
                }
            }
            action
        }));
        chunk
    }
}

/// What the robot had reported.
fn state(record: &CycleRecord) -> State {
    let filled = |values: &[f64]| {
        let mut out = [0.0; MAX_JOINTS];
        out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
        out
    };
    let mut sensors = [0.0; MAX_SENSORS];
    sensors.iter_mut().zip(&record.sensors).for_each(|(out, value)| *out = *value);
    let mut captured = [Timestamp::ZERO; MAX_JOINTS];
    for (captured, at) in captured.iter_mut().zip(&record.measured_ns) {
        *captured = Timestamp::from_nanos(*at);
    }
    State {
        position: filled(&record.measured),
        velocity: filled(&record.measured_velocity),
        effort: filled(&record.measured_effort),
        sensors,
        captured,
        substituted: record.substituted,
        sequence: record.sample,
        epoch: record.epoch,
        link: match record.link {
            0 => LinkStatus::Down,
            1 => LinkStatus::Up,
            _ => LinkStatus::Lost,
        },
    }
}
