//! One inference at a time: gather an observation, predict, hand over a chunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sinew_firmware_interfaces::{Clock, Frame, LinkStatus, State, Timestamp};
use sinew_models::{Continuation, Observation, Policy, PredictError};

use super::Mapping;
use super::continuation::Latest;
use super::latencies::Recent;
use crate::config::Execution;
use crate::pacing::Distribution;
use crate::recording::RecorderInbox;
use crate::targets::Chunk;

/// How often to look for a fresh observation when one is due and none is there.
const RETRY: Duration = Duration::from_millis(2);

/// Constants of the inference side.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// How chunks are executed.
    pub execution: Execution,
    /// Time between two actions.
    pub step: Duration,
    /// Time between the starts of two inferences; `None`: the checkpoint's own `n_action_steps`,
    /// or earlier where a chunk would end before the next is ready.
    pub period: Option<Duration>,
    /// Joints whose measurements must be fresh, as a bit set.
    pub judged: u32,
    /// Measurements of such joints older than this are refused.
    pub state_max_age: Duration,
    /// Frames older than this are refused.
    pub frame_max_age: Duration,
    /// In virtual time an inference takes this long; `None` in real time.
    pub simulated_latency: Option<Duration>,
}

/// Counters of the inference side.
#[derive(Clone, Debug, Default)]
pub struct PolicyStatistics {
    /// Inferences finished.
    pub inferences: u64,
    /// Time of one inference.
    pub latency: Distribution,
    /// Inferences put off because a frame was missing or too old.
    pub stale_frames: u64,
    /// Inferences put off because the robot was not connected, or its measurements were too old.
    pub stale_states: u64,
    /// Inferences refused for numbers that are not finite or of a wrong size.
    pub refused: u64,
    /// Chunks for which the control thread had no room.
    pub dropped_chunks: u64,
}

/// The inference thread's ends of its mailboxes.
pub struct PolicyMailboxes {
    /// Latest measured state.
    pub state: triple_buffer::Output<State>,
    /// Latest frame of each camera that the policy sees.
    pub frames: Vec<triple_buffer::Output<Frame>>,
    /// Which of them feeds which image feature, in the order of [`Mapping::cameras`].
    pub views: Vec<usize>,
    /// Chunks out.
    pub chunks: rtrb::Producer<Box<Chunk>>,
    /// Used chunks back.
    pub spent: rtrb::Consumer<Box<Chunk>>,
    /// Number of chunks the queue has asked for.
    pub demand: Arc<AtomicU64>,
    /// When commands began anew last, in ns of the clock; 0: not since the arm was armed. What was
    /// seen and planned before does not continue, and chunks from what was seen before are refused.
    pub restarted: Arc<AtomicU64>,
}

impl PolicyMailboxes {
    fn restarted(&self) -> Timestamp {
        Timestamp::from_nanos(self.restarted.load(Ordering::Acquire))
    }
}

/// A policy with its mailboxes.
pub struct PolicyWorker {
    policy: Box<dyn Policy>,
    mapping: Mapping,
    settings: PolicySettings,
    mailboxes: PolicyMailboxes,
    clock: Arc<dyn Clock>,
    inbox: RecorderInbox,
    vector: Vec<f32>,
    actions: Vec<f32>,
    sequence: u64,
    next: Timestamp,
    latest_latencies: Recent,
    /// Observations that one inference sees.
    history: usize,
    /// When the next observation belongs into the history, where there is one.
    next_note: Timestamp,
    /// Observations noted at the policy's rate without a gap; `None` at the start, when the first
    /// stands for those before it.
    noted: Option<usize>,
    latest: Latest,
    /// In virtual time: a chunk that is finished later.
    pending: Option<Box<Chunk>>,
    complained: bool,
    /// An inference is due and an observation is not there.
    waits: bool,
    restarted: Timestamp,
    statistics: PolicyStatistics,
}

impl PolicyWorker {
    /// A worker that begins at once. `mailboxes.views` must be as long as `mapping.cameras()`, and
    /// hold indices of `mailboxes.frames`.
    pub fn new(
        policy: Box<dyn Policy>,
        mapping: Mapping,
        settings: PolicySettings,
        mailboxes: PolicyMailboxes,
        clock: Arc<dyn Clock>,
        inbox: RecorderInbox,
    ) -> Self {
        let description = policy.description();
        let actions = vec![0.0; description.chunk_size * description.action_size];
        let latest = Latest::new(description.chunk_size, description.action_size);
        let history = description.observation_steps;
        Self {
            policy,
            mapping,
            settings,
            mailboxes,
            clock,
            inbox,
            vector: Vec::new(),
            actions,
            sequence: 0,
            next: Timestamp::ZERO,
            latest_latencies: Recent::default(),
            history,
            next_note: Timestamp::ZERO,
            noted: None,
            latest,
            pending: None,
            complained: false,
            waits: false,
            restarted: Timestamp::ZERO,
            statistics: PolicyStatistics::default(),
        }
    }

    /// Counters so far.
    pub fn statistics(&self) -> &PolicyStatistics {
        &self.statistics
    }

    /// Does what is due at `now` and returns when to be called again.
    pub fn step(&mut self, now: Timestamp) -> Timestamp {
        if let Some(chunk) = self.pending.take_if(|chunk| chunk.finished <= now) {
            self.deliver(chunk);
        }
        if let Some(chunk) = &self.pending {
            return chunk.finished;
        }
        let queue = self.settings.execution == Execution::Queue;
        // With a history, inferences are at the times of its observations: at the nearest.
        let early = if self.history > 1 { self.settings.step / 2 } else { Duration::ZERO };
        let due = if queue {
            self.mailboxes.demand.load(Ordering::Relaxed) > self.sequence
        } else {
            now.after(early) >= self.next
        };
        if self.history > 1 {
            return self.step_with_history(now, due);
        }
        // An arm that was lost is due at once: its chunks are gone.
        let lost = !queue && self.mailboxes.restarted() != self.restarted;
        if !due && !lost {
            return if queue {
                now.after(RETRY)
            } else {
                self.next.min(now.after(self.settings.step))
            };
        }
        let Some(observed) = self.observe(now, true) else { return now.after(RETRY) };
        self.infer(now, observed);
        if let Some(chunk) = &self.pending {
            return chunk.finished;
        }
        if queue { now.after(RETRY) } else { self.next.min(now.after(self.settings.step)) }
    }

    /// A policy that sees several observations wants one per action, whether it infers or not. It
    /// is inferred with as many as were noted without a gap: after a long inference it first has
    /// to look again.
    fn step_with_history(&mut self, now: Timestamp, due: bool) -> Timestamp {
        if now < self.next_note {
            return self.next_note;
        }
        let Some(observed) = self.observe(now, due) else { return now.after(RETRY) };
        // An arm that was lost is due at once.
        let queue = self.settings.execution == Execution::Queue;
        let due = due || (!queue && now >= self.next);
        let step = self.settings.step;
        let late = now.since(self.next_note) > step / 2;
        self.next_note = if late { now } else { self.next_note }.after(step);
        if let Some(noted) = self.noted.as_mut().filter(|_| late) {
            *noted = 0;
        }
        let before = self.noted;
        let complete = before.is_none_or(|noted| noted + 1 >= self.history);
        // The first stands for all of its history.
        self.noted = Some(self.noted.map_or(self.history, |noted| noted + 1));
        if due && complete {
            self.infer(now, observed);
            return self.pending.as_ref().map_or(self.next_note, |chunk| chunk.finished);
        }
        let result = with_observation(&self.mailboxes, &self.vector, |observation| {
            self.policy.observe(observation)
        });
        if let Err(error) = result {
            self.noted = before.map(|_| 0);
            self.complain(now, &error);
        }
        self.next_note
    }

    /// Says once that an observation or an inference was refused, and counts it.
    fn complain(&mut self, now: Timestamp, error: &PredictError) {
        self.statistics.refused += 1;
        if !self.complained {
            self.inbox.event(now, "policy", format!("inference refused: {error}"));
            self.complained = true;
        }
    }

    /// Makes the freshest observation current. Returns the capture time of its oldest part, or
    /// `None` when a part is missing or too old.
    fn observe(&mut self, now: Timestamp, due: bool) -> Option<Timestamp> {
        let restarted = self.mailboxes.restarted();
        // After that: not a state from before a beginning that was seen.
        let state = *self.mailboxes.state.read();
        if restarted != self.restarted {
            self.restarted = restarted;
            self.next = now;
            // What was seen and planned before does not continue.
            self.policy.reset();
            self.noted = None;
            self.latest.clear();
        }
        // A gripper that is read rarely must not age the whole observation.
        let joints = self.settings.judged & self.mapping.observed();
        let measured = (0..u32::BITS as usize)
            .filter(|joint| joints & (1 << joint) != 0)
            .map(|joint| state.captured[joint])
            .min()
            .unwrap_or(now);
        let up = state.sequence > 0 && state.link == LinkStatus::Up;
        if !up || measured < restarted || now.since(measured) > self.settings.state_max_age {
            self.put_off(due, |statistics| &mut statistics.stale_states);
            return None;
        }
        let mut oldest = measured.min(now);
        for frame in &mut self.mailboxes.frames {
            let frame = frame.read();
            let old = frame.captured < restarted
                || now.since(frame.captured) > self.settings.frame_max_age;
            if frame.rgb.is_empty() || old {
                self.put_off(due, |statistics| &mut statistics.stale_frames);
                return None;
            }
            oldest = oldest.min(frame.captured);
        }
        self.waits = false;
        self.mapping.observe(&state, &mut self.vector);
        Some(oldest)
    }

    /// Counts an inference that has to wait, once however long it waits.
    fn put_off(&mut self, due: bool, counter: impl Fn(&mut PolicyStatistics) -> &mut u64) {
        if due && !self.waits {
            *counter(&mut self.statistics) += 1;
        }
        self.waits |= due;
    }

    fn infer(&mut self, now: Timestamp, observed: Timestamp) {
        let Self { policy, actions, latest, settings, mailboxes, vector, .. } = self;
        let continuation = match settings.execution {
            // Its chunks follow each other wherever they are in time.
            Execution::Queue => Continuation::default(),
            _ => {
                let latency = settings.simulated_latency.unwrap_or(self.latest_latencies.slowest());
                latest.continuation(observed, settings.step, now.after(latency))
            }
        };
        let result = with_observation(mailboxes, vector, |observation| {
            policy.predict_from(observation, continuation, actions)
        });
        let finished = match self.settings.simulated_latency {
            Some(latency) => now.after(latency),
            None => self.clock.now(),
        };
        if matches!(result, Err(PredictError::Cancelled { .. })) {
            // The run ends: nobody waits for a chunk.
            self.next = now.after(self.settings.step);
            return;
        }
        let description = self.policy.description();
        let mut chunk = match self.mailboxes.spent.pop() {
            Ok(chunk) => chunk,
            Err(_) => Box::new(Chunk::with_capacity(description.chunk_size, self.settings.step)),
        };
        chunk.observed = observed;
        chunk.started = now;
        chunk.finished = finished;
        chunk.step = self.settings.step;
        chunk.actions.clear();
        match result {
            Ok(()) => {
                let actions = self.actions.chunks_exact(description.action_size);
                chunk.actions.extend(actions.map(|action| self.mapping.act(action)));
                self.latest.set(observed, &self.actions);
            }
            // An empty chunk tells the control thread that the policy has failed.
            Err(error) => {
                self.latest.clear();
                self.complain(finished, &error);
            }
        }
        let latency = finished.since(now);
        self.statistics.inferences += 1;
        self.statistics.latency.record(latency);
        self.latest_latencies.push(latency);
        self.next = now.after(self.period());
        if self.settings.simulated_latency.is_some() {
            self.pending = Some(chunk);
        } else {
            self.deliver(chunk);
        }
    }

    /// Time from the start of one inference to the start of the next.
    fn period(&self) -> Duration {
        if let Some(period) = self.settings.period {
            return period;
        }
        let description = self.policy.description();
        let steps = match self.settings.execution {
            Execution::Ensemble => 1,
            _ => description.action_steps,
        };
        let span = self.settings.step.saturating_mul(description.chunk_size as u32);
        let wanted = self.settings.step.saturating_mul(steps as u32);
        wanted.min(latest_start(span, self.settings.step, self.latest_latencies.slowest()))
    }

    fn deliver(&mut self, mut chunk: Box<Chunk>) {
        // What was planned from before a new beginning would be refused, or worse, not be.
        if self.mailboxes.restarted() != self.restarted {
            return;
        }
        // This is the only producer: a free slot stays free until the push.
        if self.mailboxes.chunks.slots() == 0 || self.mailboxes.chunks.is_abandoned() {
            self.statistics.dropped_chunks += u64::from(!self.mailboxes.chunks.is_abandoned());
            return;
        }
        self.sequence += 1;
        chunk.sequence = self.sequence;
        let driven = self.mapping.driven();
        let driven = (0..u32::BITS as usize).filter(|joint| driven & (1 << joint) != 0);
        // First, so that the recorder has it when the control thread says that it took it.
        self.inbox.chunk(chunk.record(driven));
        let _ = self.mailboxes.chunks.push(chunk);
    }
}

/// How long after one inference the next may start, if a chunk is to last until the next one is
/// there: with time for two inferences and a step, or less than a step where the chunk is short.
fn latest_start(span: Duration, step: Duration, inference: Duration) -> Duration {
    span.saturating_sub(2 * inference + step.min(span / 4))
}

/// Calls `run` with the current frames and `vector`.
fn with_observation<R>(
    mailboxes: &PolicyMailboxes,
    vector: &[f32],
    run: impl FnOnce(&Observation<'_>) -> R,
) -> R {
    let frames = &mailboxes.frames;
    let images: Vec<&[u8]> =
        mailboxes.views.iter().map(|view| frames[*view].output_buffer().rgb.as_slice()).collect();
    let vectors: &[&[f32]] = if vector.is_empty() { &[] } else { &[vector] };
    run(&Observation { vectors, images: &images })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_last_until_the_next_one_is_there() {
        let millis = Duration::from_millis;
        let latest = |actions: u32, inference| {
            latest_start(actions * millis(100), millis(100), millis(inference)).as_millis()
        };
        assert_eq!(latest(8, 20), 660);
        // A single action: as often as it takes, not all the time.
        assert_eq!(latest(1, 1), 73);
        assert_eq!(latest(1, 60), 0);
    }
}
