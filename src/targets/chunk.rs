//! One chunk of actions on the run's time axis.

use std::time::Duration;

use sinew_episodes::journal::ChunkRecord;
use sinew_firmware_interfaces::{MAX_JOINTS, Timestamp};

/// What a policy wants from the capture of its observation onwards: action `i` belongs to
/// `observed + i * step`. Values are joint positions in joint units, in the robot's joint order;
/// joints that the policy does not drive are not finite here and never read. A chunk without
/// actions says that the policy has failed: its output was refused as not finite.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Counts the chunks handed over, from 1 and without a gap.
    pub sequence: u64,
    /// Capture time of the observation: the oldest of its parts.
    pub observed: Timestamp,
    /// When inference began.
    pub started: Timestamp,
    /// When inference ended.
    pub finished: Timestamp,
    /// Time between two actions.
    pub step: Duration,
    /// The actions; at most the capacity it was made with.
    pub actions: Vec<[f64; MAX_JOINTS]>,
}

impl Chunk {
    /// Most chunks that a timeline keeps: room for every vote of an ensemble.
    pub const IN_FLIGHT: usize = 128;
    /// Most chunks on their way between inference and control thread.
    pub const IN_TRANSIT: usize = 8;
    /// Most chunks of a run at any time, and so the size of the ring that brings them back: a new
    /// one is made only when none has come back, when all others are in the timeline or on their
    /// way to it; and the timeline holds, in the middle of a take-over, both.
    pub const BOXES: usize = Self::IN_FLIGHT + 2 * Self::IN_TRANSIT + 1;

    /// An empty chunk with room for `capacity` actions.
    pub fn with_capacity(capacity: usize, step: Duration) -> Self {
        Self {
            sequence: 0,
            observed: Timestamp::ZERO,
            started: Timestamp::ZERO,
            finished: Timestamp::ZERO,
            step,
            actions: Vec::with_capacity(capacity),
        }
    }

    /// The end of the time it speaks for: one step after its last action.
    pub fn end(&self) -> Timestamp {
        self.observed.after(self.step.saturating_mul(self.actions.len() as u32))
    }

    /// True where it says something about `time`.
    pub fn covers(&self, time: Timestamp) -> bool {
        time >= self.observed && time < self.end()
    }

    /// Whole steps and the fraction of the next one from the observation to `time`.
    fn phase(&self, time: Timestamp) -> (usize, f64) {
        let elapsed = time.since(self.observed).as_nanos() as u64;
        let step = (self.step.as_nanos() as u64).max(1);
        ((elapsed / step) as usize, (elapsed % step) as f64 / step as f64)
    }

    /// Joint `joint` at `time`, on a straight line between its actions; the last action is held
    /// for one step. `None` outside the time it covers.
    pub fn sample(&self, joint: usize, time: Timestamp) -> Option<f64> {
        self.at(joint, self.place(time)?)
    }

    /// Where `time` lies between its actions, for all joints alike; `None` outside the time it
    /// covers.
    pub(super) fn place(&self, time: Timestamp) -> Option<(usize, f64)> {
        self.covers(time).then(|| self.phase(time))
    }

    /// Joint `joint` at a place between the actions.
    pub(super) fn at(&self, joint: usize, (index, fraction): (usize, f64)) -> Option<f64> {
        let here = self.actions.get(index)?[joint];
        let next = self.actions.get(index + 1).map_or(here, |action| action[joint]);
        Some(here + (next - here) * fraction)
    }

    /// The journal's form, with the actions of the joints `driven`. The cycle that takes it over is
    /// not known yet.
    pub fn record(&self, driven: impl Iterator<Item = usize> + Clone) -> ChunkRecord {
        ChunkRecord {
            cycle: 0,
            sequence: self.sequence,
            observation_ns: self.observed.as_nanos(),
            started_ns: self.started.as_nanos(),
            finished_ns: self.finished.as_nanos(),
            step_ns: self.step.as_nanos() as u64,
            action_size: driven.clone().count() as u32,
            actions: self
                .actions
                .iter()
                .flat_map(|action| driven.clone().map(|joint| action[joint]))
                .collect(),
        }
    }

    /// How many of its actions lay in the past when it was finished. The last one is held for a
    /// step.
    pub fn expired(&self) -> usize {
        let (index, fraction) = self.phase(self.finished);
        let held = usize::from(self.finished < self.end());
        (index + usize::from(fraction > 0.0)).min(self.actions.len().saturating_sub(held))
    }
}
