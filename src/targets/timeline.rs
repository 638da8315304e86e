//! The chunk timeline: chunks in, one target for each instant out.

use std::time::Duration;

use sinew_firmware_interfaces::{MAX_JOINTS, Timestamp};

use super::Chunk;

/// How chunks that speak for the same instant become one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Blend {
    /// The newest chunk speaks.
    Newest,
    /// All speak, weighted by `exp(-coefficient * i)`, where `i = 0` is the oldest (LeRobot's and
    /// ALOHA's rule: a positive coefficient favours old chunks).
    Ensemble {
        /// The coefficient.
        coefficient: f64,
    },
    /// LeRobot's queue: the first `steps` actions of a chunk, one after the other from the moment
    /// it arrived, each held for one step; the last is held until the next chunk arrives.
    Queue {
        /// `n_action_steps`.
        steps: usize,
    },
}

/// Chunks addressed by absolute time, newest last. It neither allocates nor frees: chunks come in
/// boxes and go out in the same boxes.
#[derive(Debug)]
pub struct Timeline {
    blend: Blend,
    crossfade: Duration,
    /// Boxed, because chunks travel between threads in the boxes they live in.
    #[allow(clippy::vec_box)]
    chunks: Vec<Box<Chunk>>,
    arrived: Timestamp,
    /// Difference between the old and the new target at the last hand-over, which fades out.
    seam: [f64; MAX_JOINTS],
}

impl Timeline {
    /// An empty timeline whose hand-overs fade over `crossfade`.
    pub fn new(blend: Blend, crossfade: Duration) -> Self {
        Self {
            blend,
            crossfade,
            chunks: Vec::with_capacity(Chunk::IN_FLIGHT + Chunk::IN_TRANSIT),
            arrived: Timestamp::ZERO,
            seam: [0.0; MAX_JOINTS],
        }
    }

    /// Takes over a chunk at `now`. The target is continuous through the hand-over: the
    /// difference between old and new fades out over the cross-fade time.
    pub fn insert(&mut self, chunk: Box<Chunk>, now: Timestamp, joints: usize) {
        let mut before = [f64::NAN; MAX_JOINTS];
        let had_target = self.sample(now, joints, &mut before);
        self.chunks.push(chunk);
        self.arrived = now;
        self.seam = [0.0; MAX_JOINTS];
        let mut after = [f64::NAN; MAX_JOINTS];
        if had_target && !self.crossfade.is_zero() && self.sample(now, joints, &mut after) {
            self.seam = std::array::from_fn(|joint| {
                let seam = before[joint] - after[joint];
                if seam.is_finite() { seam } else { 0.0 }
            });
        }
    }

    /// Removes one chunk that no longer matters at `now`, to be filled again by its maker.
    pub fn retire(&mut self, now: Timestamp) -> Option<Box<Chunk>> {
        let newest = self.chunks.len().checked_sub(1)?;
        let index = match self.blend {
            Blend::Newest | Blend::Queue { .. } => (newest > 0).then_some(0),
            Blend::Ensemble { .. } if newest >= Chunk::IN_FLIGHT => Some(0),
            Blend::Ensemble { .. } => {
                self.chunks.iter().take(newest).position(|chunk| chunk.end() <= now)
            }
        }?;
        Some(self.chunks.remove(index))
    }

    /// Removes every chunk at once, one per call: after a reconnect nothing old is executed.
    pub fn clear(&mut self) -> Option<Box<Chunk>> {
        self.chunks.pop()
    }

    /// Writes the target of each joint at `time`; false when no chunk speaks for that time.
    pub fn sample(&self, time: Timestamp, joints: usize, target: &mut [f64; MAX_JOINTS]) -> bool {
        let fade = 1.0 - time.since(self.arrived).as_secs_f64() / self.crossfade.as_secs_f64();
        let fade = if self.crossfade.is_zero() { 0.0 } else { fade.clamp(0.0, 1.0) };
        let newest = self.chunks.last().filter(|_| self.blend == Blend::Newest);
        let place = newest.and_then(|chunk| Some((chunk, chunk.place(time)?)));
        for (joint, target) in target.iter_mut().enumerate().take(joints) {
            let value = match place {
                Some((chunk, place)) => chunk.at(joint, place),
                None => self.joint(joint, time),
            };
            let Some(value) = value else { return false };
            *target = value + fade * self.seam[joint];
        }
        !self.chunks.is_empty()
    }

    fn joint(&self, joint: usize, time: Timestamp) -> Option<f64> {
        match self.blend {
            Blend::Newest => self.chunks.last()?.sample(joint, time),
            Blend::Queue { steps } => {
                let chunk = self.chunks.last()?;
                let step = (chunk.step.as_nanos() as u64).max(1);
                let index = (time.since(self.arrived).as_nanos() as u64 / step) as usize;
                let last = steps.min(chunk.actions.len()).checked_sub(1)?;
                Some(chunk.actions.get(index.min(last))?[joint])
            }
            Blend::Ensemble { coefficient } => {
                let (mut sum, mut weights, mut votes) = (0.0, 0.0, 0);
                for chunk in &self.chunks {
                    if let Some(value) = chunk.sample(joint, time) {
                        let weight = (-coefficient * f64::from(votes)).exp();
                        sum += weight * value;
                        weights += weight;
                        votes += 1;
                    }
                }
                (votes > 0).then(|| sum / weights)
            }
        }
    }

    /// True when a queue has used up its actions at `time` and waits for the next chunk.
    pub fn is_used_up(&self, time: Timestamp) -> bool {
        match (self.blend, self.chunks.last()) {
            (Blend::Queue { steps }, Some(chunk)) => {
                time.since(self.arrived) >= chunk.step.saturating_mul(steps as u32)
            }
            (_, Some(chunk)) => time >= chunk.end(),
            (_, None) => true,
        }
    }

    /// How long ago the newest chunk stopped speaking, at `time`; zero while it still does. `None`
    /// without a chunk.
    pub fn overdue(&self, time: Timestamp) -> Option<Duration> {
        let chunk = self.chunks.last()?;
        Some(match self.blend {
            Blend::Queue { steps } => {
                time.since(self.arrived.after(chunk.step.saturating_mul(steps as u32)))
            }
            _ => time.since(chunk.end()),
        })
    }

    /// Capture time of the newest chunk's observation.
    pub fn observed(&self) -> Option<Timestamp> {
        self.chunks.last().map(|chunk| chunk.observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn chunk(observed: u64, values: &[f64]) -> Box<Chunk> {
        let mut chunk = Chunk::with_capacity(values.len(), STEP);
        chunk.observed = at(observed);
        chunk.actions.extend(values.iter().map(|value| [*value; MAX_JOINTS]));
        Box::new(chunk)
    }

    fn target(timeline: &Timeline, millis: u64) -> Option<f64> {
        let mut target = [f64::NAN; MAX_JOINTS];
        timeline.sample(at(millis), 2, &mut target).then_some(target[1])
    }

    #[test]
    fn actions_are_addressed_by_time_and_joined_by_straight_lines() {
        let mut timeline = Timeline::new(Blend::Newest, Duration::ZERO);
        assert_eq!(target(&timeline, 0), None);
        timeline.insert(chunk(1000, &[0.0, 1.0, 3.0]), at(1150), 2);
        assert_eq!(target(&timeline, 1150), Some(2.0));
        assert_eq!(target(&timeline, 1200), Some(3.0));
        assert_eq!(target(&timeline, 1299), Some(3.0));
        assert_eq!(target(&timeline, 1300), None);
        assert_eq!(timeline.overdue(at(1350)), Some(Duration::from_millis(50)));
    }

    #[test]
    fn a_hand_over_is_continuous_and_ends_at_the_new_chunk() {
        let mut timeline = Timeline::new(Blend::Newest, Duration::from_millis(200));
        timeline.insert(chunk(0, &[1.0; 10]), at(0), 2);
        timeline.insert(chunk(100, &[2.0; 10]), at(300), 2);
        assert_eq!(target(&timeline, 300), Some(1.0));
        assert_eq!(target(&timeline, 400), Some(1.5));
        assert_eq!(target(&timeline, 500), Some(2.0));
        assert!(timeline.retire(at(500)).is_some());
        assert!(timeline.retire(at(500)).is_none());
    }

    #[test]
    fn an_ensemble_weighs_old_chunks_most_for_a_positive_coefficient() {
        let mut timeline = Timeline::new(Blend::Ensemble { coefficient: 0.5 }, Duration::ZERO);
        timeline.insert(chunk(0, &[0.0, 0.0, 0.0]), at(0), 2);
        timeline.insert(chunk(100, &[1.0, 1.0, 1.0]), at(100), 2);
        let young = (-0.5f64).exp();
        let expected = young / (1.0 + young);
        assert!((target(&timeline, 200).unwrap() - expected).abs() < 1e-12);
        assert_eq!(target(&timeline, 300), Some(1.0));
    }

    #[test]
    fn a_queue_plays_its_steps_from_arrival_and_then_waits() {
        let mut timeline = Timeline::new(Blend::Queue { steps: 2 }, Duration::ZERO);
        timeline.insert(chunk(0, &[1.0, 2.0, 3.0]), at(50), 2);
        assert_eq!(target(&timeline, 50), Some(1.0));
        assert_eq!(target(&timeline, 149), Some(1.0));
        assert_eq!(target(&timeline, 150), Some(2.0));
        assert!(!timeline.is_used_up(at(249)));
        assert!(timeline.is_used_up(at(250)));
        assert_eq!(target(&timeline, 900), Some(2.0));
    }
}
