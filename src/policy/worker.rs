//! One inference at a time: gather an observation, predict, hand over a chunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sinew_episodes::journal::ChunkRecord;
use sinew_firmware_interfaces::{Clock, Frame, LinkStatus, State, Timestamp};
use sinew_models::{FeatureKind, Observation, Policy, PredictError};

use super::Mapping;
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
    /// Times an inference was due and a frame was missing or too old.
    pub stale_frames: u64,
    /// Times an inference was due and the robot was not connected.
    pub no_state: u64,
    /// Inferences refused for numbers that are not finite or of a wrong size.
    pub refused: u64,
    /// Chunks for which the control thread had no room.
    pub dropped_chunks: u64,
}

/// Why the first inference failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the checkpoint's first inference failed: {0}")]
pub struct WarmUpError(#[from] PredictError);

/// One inference on a neutral observation, so that the first real one is not the slow one (cold
/// caches and page faults), and a broken checkpoint shows before the arm is powered.
///
/// # Errors
/// [`WarmUpError`] when the checkpoint cannot infer.
pub fn warm_up(policy: &mut dyn Policy, mapping: &Mapping) -> Result<(), WarmUpError> {
    let description = policy.description();
    let mut actions = vec![0.0; description.chunk_size * description.action_size];
    let images: Vec<Vec<u8>> = description
        .inputs
        .iter()
        .filter(|feature| feature.kind == FeatureKind::Visual)
        .map(|feature| vec![128; feature.shape.iter().product()])
        .collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let mut vector = Vec::new();
    mapping.observe(&State::default(), &mut vector);
    let vectors: &[&[f32]] = if vector.is_empty() { &[] } else { &[&vector] };
    policy.predict(&Observation { vectors, images: &images }, &mut actions)?;
    Ok(())
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
    slowest: Duration,
    /// In virtual time: a chunk that is finished later.
    pending: Option<Box<Chunk>>,
    complained: bool,
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
            slowest: Duration::ZERO,
            pending: None,
            complained: false,
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
        if self.settings.execution == Execution::Queue {
            if self.mailboxes.demand.load(Ordering::Relaxed) <= self.sequence {
                return now.after(RETRY);
            }
        } else if now < self.next {
            return self.next;
        }
        let Some(observed) = self.observe(now) else { return now.after(RETRY) };
        self.infer(now, observed);
        if let Some(chunk) = &self.pending {
            return chunk.finished;
        }
        if self.settings.execution == Execution::Queue { now.after(RETRY) } else { self.next }
    }

    /// Makes the freshest observation current. Returns the capture time of its oldest part, or
    /// `None` when a part is missing or too old.
    fn observe(&mut self, now: Timestamp) -> Option<Timestamp> {
        let state = *self.mailboxes.state.read();
        if state.sequence == 0 || state.link != LinkStatus::Up {
            self.statistics.no_state += 1;
            return None;
        }
        let mut oldest = now;
        for joint in 0..u32::BITS as usize {
            // Substituted values carry the time of the command they repeat.
            if self.mapping.observed() & (1 << joint) != 0 && !state.is_substituted(joint) {
                oldest = oldest.min(state.captured[joint]);
            }
        }
        let image_limit = self.settings.frame_max_age;
        let mut frames_oldest = now;
        for frame in &mut self.mailboxes.frames {
            let frame = frame.read();
            if frame.rgb.is_empty() || now.since(frame.captured) > image_limit {
                self.statistics.stale_frames += 1;
                return None;
            }
            frames_oldest = frames_oldest.min(frame.captured);
        }
        self.mapping.observe(&state, &mut self.vector);
        // A slow gripper read must not age the whole observation: frames speak when there are any.
        Some(if self.mailboxes.frames.is_empty() { oldest } else { frames_oldest })
    }

    fn infer(&mut self, now: Timestamp, observed: Timestamp) {
        let frames = &self.mailboxes.frames;
        let images: Vec<&[u8]> = self
            .mailboxes
            .views
            .iter()
            .map(|view| frames[*view].output_buffer().rgb.as_slice())
            .collect();
        let vectors: &[&[f32]] = if self.vector.is_empty() { &[] } else { &[&self.vector] };
        let observation = Observation { vectors, images: &images };
        let result = self.policy.predict(&observation, &mut self.actions);
        let finished = match self.settings.simulated_latency {
            Some(latency) => now.after(latency),
            None => self.clock.now(),
        };
        let description = self.policy.description();
        let mut chunk = match self.mailboxes.spent.pop() {
            Ok(chunk) => chunk,
            Err(_) => Box::new(Chunk::with_capacity(description.chunk_size, self.settings.step)),
        };
        self.sequence += 1;
        chunk.sequence = self.sequence;
        chunk.observed = observed;
        chunk.started = now;
        chunk.finished = finished;
        chunk.step = self.settings.step;
        chunk.actions.clear();
        match result {
            Ok(()) => {
                let actions = self.actions.chunks_exact(description.action_size);
                chunk.actions.extend(actions.map(|action| self.mapping.act(action)));
            }
            // An empty chunk tells the control thread that the policy has failed.
            Err(error) => {
                self.statistics.refused += 1;
                if !self.complained {
                    self.inbox.event(finished, "policy", format!("inference refused: {error}"));
                    self.complained = true;
                }
            }
        }
        let latency = finished.since(now);
        self.statistics.inferences += 1;
        self.statistics.latency.record(latency);
        self.slowest = self.slowest.max(latency);
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
        // A chunk must last until the next one is there: twice the slowest inference, and a step.
        let span = self.settings.step.saturating_mul(description.chunk_size as u32);
        let last_moment = span.saturating_sub(2 * self.slowest + self.settings.step);
        self.settings.step.saturating_mul(steps as u32).min(last_moment)
    }

    fn deliver(&mut self, chunk: Box<Chunk>) {
        let driven: Vec<usize> = (0..u32::BITS as usize)
            .filter(|joint| self.mapping.driven() & (1 << joint) != 0)
            .collect();
        self.inbox.chunk(ChunkRecord {
            cycle: 0,
            sequence: chunk.sequence,
            observation_ns: chunk.observed.as_nanos(),
            started_ns: chunk.started.as_nanos(),
            finished_ns: chunk.finished.as_nanos(),
            step_ns: chunk.step.as_nanos() as u64,
            action_size: driven.len() as u32,
            actions: chunk
                .actions
                .iter()
                .flat_map(|action| driven.iter().map(|joint| action[*joint] as f32))
                .collect(),
        });
        if self.mailboxes.chunks.push(chunk).is_err() {
            self.statistics.dropped_chunks += 1;
        }
    }
}
