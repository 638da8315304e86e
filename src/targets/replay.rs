//! A recorded motion as a source of targets: slowly to its first position, then the motion at its
//! own pace, as often as asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, Timestamp};

use super::Chunk;
use crate::limits::{JointLimits, START_TOLERANCE};
use crate::recording::RecorderInbox;

/// How far a chunk reaches ahead. A worker that is late by less goes unnoticed.
const HORIZON: Duration = Duration::from_secs(2);
/// How often one is handed over.
const REFRESH: Duration = Duration::from_secs(1);
/// How often to look for a measured state, before the start.
const RETRY: Duration = Duration::from_millis(2);
/// How long the arm stands before and after each repetition.
const SETTLE: Duration = Duration::from_millis(500);

/// A motion to be repeated.
#[derive(Debug)]
pub struct Repeated {
    /// Time between two positions.
    pub step: Duration,
    /// Positions of every joint in joint units, one per step; at least one.
    pub positions: Vec<[f64; MAX_JOINTS]>,
    /// How often it is made.
    pub times: u32,
    /// Limits of the ways to its first position, in joint order.
    pub slow: Vec<JointLimits>,
    /// When each repetition began, or was to begin, once the arm's position was known.
    pub began: Mutex<Vec<Timestamp>>,
}

impl Repeated {
    /// First position.
    fn first(&self) -> &[f64; MAX_JOINTS] {
        &self.positions[0]
    }

    fn last(&self) -> &[f64; MAX_JOINTS] {
        &self.positions[self.positions.len() - 1]
    }

    fn steps(&self, span: Duration) -> u64 {
        (span.as_nanos() as u64).div_ceil((self.step.as_nanos() as u64).max(1))
    }

    /// Steps of a slow way from `from` to `to`: a smooth motion whose speed, acceleration and jerk
    /// stay below the limits of every joint.
    fn way(&self, from: &[f64; MAX_JOINTS], to: &[f64; MAX_JOINTS]) -> u64 {
        // Largest speed, acceleration and jerk of 10x³ - 15x⁴ + 6x⁵ over [0, 1].
        const PEAKS: [f64; 3] = [1.875, 5.7735, 60.0];
        let mut seconds: f64 = 0.0;
        for (joint, limits) in self.slow.iter().enumerate() {
            let way = (to[joint] - from[joint]).abs();
            seconds = seconds
                .max(PEAKS[0] * way / limits.max_velocity)
                .max((PEAKS[1] * way / limits.max_acceleration).sqrt())
                .max((PEAKS[2] * way / limits.max_jerk).cbrt());
        }
        self.steps(Duration::from_secs_f64(seconds))
    }

    /// The longest that all of it can take, from anywhere inside the limits.
    pub fn longest(&self) -> Duration {
        let mut farthest = *self.first();
        for (end, limits) in farthest.iter_mut().zip(&self.slow) {
            let [low, high] = limits.position;
            let far = if *end - low > high - *end { low } else { high };
            *end = far + START_TOLERANCE.copysign(far - *end);
        }
        let there = self.way(&farthest, self.first());
        let times = u64::from(self.times);
        let once = self.positions.len() as u64 + 2 * self.steps(SETTLE);
        let back = self.way(self.last(), self.first());
        self.step.saturating_mul((there + times * (once + back)).try_into().unwrap_or(u32::MAX))
    }
}

/// The motion on the run's time axis.
#[derive(Debug)]
struct Plan {
    start: Timestamp,
    from: [f64; MAX_JOINTS],
    /// Steps to the first position, and back to it after each repetition.
    there: u64,
    back: u64,
    settle: u64,
    epoch: u32,
    /// The next chunk's number.
    next: u64,
}

impl Plan {
    /// Steps of one repetition with the way back to its beginning.
    fn round(&self, motion: &Repeated) -> u64 {
        motion.positions.len() as u64 + 2 * self.settle + self.back
    }

    /// Steps until all is over.
    fn total(&self, motion: &Repeated) -> u64 {
        self.there + u64::from(motion.times) * self.round(motion) - self.back
    }

    /// First step of repetition `index`'s motion, from 0.
    fn begins(&self, motion: &Repeated, index: u32) -> u64 {
        self.there + u64::from(index) * self.round(motion) + self.settle
    }

    /// Where the joints are to be at step `step`.
    fn position(&self, motion: &Repeated, step: u64) -> [f64; MAX_JOINTS] {
        if step < self.there {
            return between(&self.from, motion.first(), step, self.there);
        }
        let step = (step - self.there).min(self.total(motion) - self.there);
        let within = step % self.round(motion);
        let moving = motion.positions.len() as u64;
        if within < self.settle {
            // After the last repetition there is no way back to have come.
            let over = step / self.round(motion) >= u64::from(motion.times);
            return if over { *motion.last() } else { *motion.first() };
        }
        match within - self.settle {
            at if at < moving => motion.positions[at as usize],
            at if at < moving + self.settle => *motion.last(),
            at => between(motion.last(), motion.first(), at - moving - self.settle, self.back),
        }
    }
}

/// Step `step` of a smooth way of `steps`.
fn between(
    from: &[f64; MAX_JOINTS],
    to: &[f64; MAX_JOINTS],
    step: u64,
    steps: u64,
) -> [f64; MAX_JOINTS] {
    let x = step as f64 / steps.max(1) as f64;
    let eased = x * x * x * (10.0 + x * (6.0 * x - 15.0));
    std::array::from_fn(|joint| from[joint] + eased * (to[joint] - from[joint]))
}

/// A worker's ends of its mailboxes.
pub struct ReplayMailboxes {
    /// Latest measured state.
    pub state: triple_buffer::Output<State>,
    /// Chunks out.
    pub chunks: rtrb::Producer<Box<Chunk>>,
    /// Used chunks back.
    pub spent: rtrb::Consumer<Box<Chunk>>,
    /// Set when all has been said.
    pub finished: Arc<AtomicBool>,
}

/// Hands a motion to the control thread, chunk by chunk ahead of time.
pub struct ReplayWorker {
    motion: Arc<Repeated>,
    mailboxes: ReplayMailboxes,
    inbox: RecorderInbox,
    plan: Option<Plan>,
    /// The link broke in the middle: the rest is not played.
    abandoned: bool,
    sequence: u64,
}

impl ReplayWorker {
    /// A worker that begins with the first measured state.
    pub fn new(motion: Arc<Repeated>, mailboxes: ReplayMailboxes, inbox: RecorderInbox) -> Self {
        Self { motion, mailboxes, inbox, plan: None, abandoned: false, sequence: 0 }
    }

    /// Chunks handed over.
    pub const fn chunks(&self) -> u64 {
        self.sequence
    }

    /// Does what is due at `now` and returns when to be called again.
    pub fn step(&mut self, now: Timestamp) -> Timestamp {
        let state = *self.mailboxes.state.read();
        let up = state.sequence > 0 && state.link == LinkStatus::Up;
        let joints = self.motion.slow.len();
        let finite = state.position[..joints].iter().all(|position| position.is_finite());
        let Some(plan) = &self.plan else {
            if up && finite {
                self.begin(&state, now);
                return now;
            }
            return now.after(RETRY);
        };
        if state.epoch != plan.epoch && !self.abandoned {
            self.abandoned = true;
            let message = "the link broke in the middle of the motion: the rest is not played";
            self.inbox.event(now, "replay", message.to_owned());
        }
        let step = self.motion.step;
        let end = plan.start.after(times(step, plan.total(&self.motion)));
        if now >= end && !self.abandoned {
            self.mailboxes.finished.store(true, Ordering::Relaxed);
        }
        if self.abandoned {
            return now.after(REFRESH);
        }
        let due = plan.start.after(REFRESH * plan.next as u32);
        if now < due {
            return if now < end { due.min(end) } else { due };
        }
        self.hand_over(now);
        now
    }

    /// Lays the motion on the time axis, from where the arm stands.
    fn begin(&mut self, state: &State, now: Timestamp) {
        let motion = &self.motion;
        let plan = Plan {
            start: now,
            from: state.position,
            there: motion.way(&state.position, motion.first()),
            back: motion.way(motion.last(), motion.first()),
            settle: motion.steps(SETTLE),
            epoch: state.epoch,
            next: 0,
        };
        let began: Vec<Timestamp> = (0..motion.times)
            .map(|index| plan.start.after(times(motion.step, plan.begins(motion, index))))
            .collect();
        for (index, at) in began.iter().enumerate() {
            let message = format!(
                "repetition {} of {} begins at {:.3} s",
                index + 1,
                motion.times,
                at.as_nanos() as f64 * 1e-9
            );
            self.inbox.event(now, "replay", message);
        }
        *motion.began.lock().unwrap_or_else(PoisonError::into_inner) = began;
        self.plan = Some(plan);
    }

    fn hand_over(&mut self, now: Timestamp) {
        let Some(plan) = &mut self.plan else { return };
        // This is the only producer: a free slot stays free until the push.
        if self.mailboxes.chunks.slots() == 0 || self.mailboxes.chunks.is_abandoned() {
            plan.next += 1;
            return;
        }
        let motion = &self.motion;
        let reach = motion.steps(HORIZON).max(2);
        let mut chunk = match self.mailboxes.spent.pop() {
            Ok(chunk) => chunk,
            Err(_) => Box::new(Chunk::with_capacity(reach as usize, motion.step)),
        };
        // From the step that is now, so that the newest chunk speaks for the present.
        let step = (motion.step.as_nanos() as u64).max(1);
        let first = now.since(plan.start).as_nanos() as u64 / step;
        self.sequence += 1;
        chunk.sequence = self.sequence;
        chunk.observed = plan.start.after(times(motion.step, first));
        chunk.started = now;
        chunk.finished = now;
        chunk.step = motion.step;
        chunk.actions.clear();
        chunk.actions.extend((first..first + reach).map(|step| plan.position(motion, step)));
        plan.next = now.since(plan.start).as_nanos() as u64 / REFRESH.as_nanos() as u64 + 1;
        // First, so that the recorder has it when the control thread says that it took it.
        self.inbox.chunk(chunk.record(0..motion.slow.len()));
        let _ = self.mailboxes.chunks.push(chunk);
    }
}

fn times(step: Duration, count: u64) -> Duration {
    Duration::from_nanos((step.as_nanos() as u64).saturating_mul(count))
}
