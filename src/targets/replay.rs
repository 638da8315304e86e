//! A recorded motion as a source of targets: slowly to its first position, then the motion at its
//! own pace, as often as asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, Timestamp};

use super::Chunk;
use super::way::{self, between};
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

/// Positions of a robot's joints one after the other, in joint units.
#[derive(Clone, Debug, PartialEq)]
pub struct Positions {
    joints: usize,
    values: Vec<f64>,
}

impl Positions {
    /// None yet, of `joints` joints, at most [`MAX_JOINTS`].
    pub const fn new(joints: usize) -> Self {
        Self { joints, values: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.joints.max(1)
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Position `index`; zero for joints that the robot does not have, and for a position that is
    /// not there.
    pub fn at(&self, index: usize) -> [f64; MAX_JOINTS] {
        let mut joints = [0.0; MAX_JOINTS];
        let values = self.values.chunks_exact(self.joints.max(1)).nth(index).unwrap_or_default();
        joints.iter_mut().zip(values).for_each(|(joint, value)| *joint = *value);
        joints
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = [f64; MAX_JOINTS]> + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Adds one at the end.
    pub fn push(&mut self, position: &[f64; MAX_JOINTS]) {
        self.values.extend_from_slice(&position[..self.joints]);
    }

    /// Keeps the first `length`.
    pub fn truncate(&mut self, length: usize) {
        self.values.truncate(length * self.joints);
        self.values.shrink_to_fit();
    }
}

/// A motion to be repeated.
#[derive(Debug)]
pub struct Repeated {
    /// Time between two positions.
    pub step: Duration,
    /// One position per step; at least one.
    pub positions: Arc<Positions>,
    /// How often it is made.
    pub times: u32,
    /// Limits of the ways to its first position, in joint order.
    pub slow: Vec<JointLimits>,
    /// How long the arm fades in to a target whenever it begins to follow one: it does not set out
    /// for the first position before.
    pub ramp: Duration,
    /// When each repetition began, of those that did.
    pub began: Mutex<Vec<Timestamp>>,
}

impl Repeated {
    /// First position.
    fn first(&self) -> [f64; MAX_JOINTS] {
        self.positions.at(0)
    }

    fn last(&self) -> [f64; MAX_JOINTS] {
        self.positions.at(self.positions.len().saturating_sub(1))
    }

    fn steps(&self, span: Duration) -> u64 {
        way::steps(span, self.step)
    }

    /// Steps of a slow way from `from` to `to`, inside the limits of every joint.
    fn way(&self, from: &[f64; MAX_JOINTS], to: &[f64; MAX_JOINTS]) -> u64 {
        let of = |(joint, limits)| way::duration(to[joint] - from[joint], limits);
        self.steps(self.slow.iter().enumerate().map(of).max().unwrap_or_default())
    }

    /// The longest that all of it can take, from anywhere inside the limits.
    pub fn longest(&self) -> Duration {
        self.longest_of(self.times)
    }

    /// The most repetitions that are sure to be over within `time`.
    pub fn most_within(&self, time: Duration) -> u32 {
        let fit = |times: &u32| self.longest_of(*times) <= time;
        (1..=self.times).take_while(fit).last().unwrap_or_default()
    }

    fn longest_of(&self, times: u32) -> Duration {
        let mut farthest = self.first();
        for (end, limits) in farthest.iter_mut().zip(&self.slow) {
            let [low, high] = limits.position;
            let far = if *end - low > high - *end { low } else { high };
            *end = far + START_TOLERANCE.copysign(far - *end);
        }
        let there = self.steps(self.ramp) + self.way(&farthest, &self.first());
        let times = u64::from(times);
        let once = self.positions.len() as u64 + 2 * self.steps(SETTLE);
        let back = self.way(&self.last(), &self.first());
        self.step.saturating_mul((there + times * (once + back)).try_into().unwrap_or(u32::MAX))
    }
}

/// The motion on the run's time axis.
#[derive(Debug)]
struct Plan {
    start: Timestamp,
    from: [f64; MAX_JOINTS],
    /// Steps before the arm sets out.
    ramp: u64,
    /// Steps until it is at the first position, and back to it after each repetition.
    there: u64,
    back: u64,
    settle: u64,
    epoch: u32,
    /// The next chunk's number.
    next: u64,
    /// Repetitions that have begun.
    begun: u32,
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
            let step = step.saturating_sub(self.ramp);
            return between(&self.from, &motion.first(), step, self.there - self.ramp);
        }
        let step = (step - self.there).min(self.total(motion) - self.there);
        let within = step % self.round(motion);
        let moving = motion.positions.len() as u64;
        if within < self.settle {
            // After the last repetition there is no way back to have come.
            let over = step / self.round(motion) >= u64::from(motion.times);
            return if over { motion.last() } else { motion.first() };
        }
        match within - self.settle {
            at if at < moving => motion.positions.at(at as usize),
            at if at < moving + self.settle => motion.last(),
            at => between(&motion.last(), &motion.first(), at - moving - self.settle, self.back),
        }
    }
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
            self.inbox.event(now, "link", message.to_owned());
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
        let begins = self.begin_repetitions(now);
        if now < due {
            let next = begins.map_or(due, |begins| due.min(begins));
            return if now < end { next.min(end) } else { next };
        }
        self.hand_over(now);
        now
    }

    /// Says of each repetition that has begun by `now` that it has, and returns when the next one
    /// will.
    fn begin_repetitions(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (motion, plan) = (&self.motion, self.plan.as_mut()?);
        while plan.begun < motion.times {
            let at = plan.start.after(times(motion.step, plan.begins(motion, plan.begun)));
            if at > now {
                return Some(at);
            }
            plan.begun += 1;
            let seconds = at.as_nanos() as f64 * 1e-9;
            let message =
                format!("repetition {} of {} begins at {seconds:.3} s", plan.begun, motion.times);
            self.inbox.event(at, "replay", message);
            motion.began.lock().unwrap_or_else(PoisonError::into_inner).push(at);
        }
        None
    }

    /// Lays the motion on the time axis, from where the arm stands.
    fn begin(&mut self, state: &State, now: Timestamp) {
        let motion = &self.motion;
        let ramp = motion.steps(motion.ramp);
        self.plan = Some(Plan {
            start: now,
            from: state.position,
            ramp,
            there: ramp + motion.way(&state.position, &motion.first()),
            back: motion.way(&motion.last(), &motion.first()),
            settle: motion.steps(SETTLE),
            epoch: state.epoch,
            next: 0,
            begun: 0,
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    fn motion(times: u32) -> Arc<Repeated> {
        let mut positions = Positions::new(1);
        for position in [0.5, 0.6, 0.7] {
            let mut joints = [0.0; MAX_JOINTS];
            joints[0] = position;
            positions.push(&joints);
        }
        let slow = JointLimits {
            position: [-1.0, 1.0],
            max_velocity: 1.0,
            max_acceleration: 5.0,
            max_jerk: 50.0,
            max_step: 0.1,
            barrier: None,
            effort: None,
        };
        Arc::new(Repeated {
            step: STEP,
            positions: Arc::new(positions),
            times,
            slow: vec![slow],
            ramp: Duration::from_millis(1500),
            began: Mutex::default(),
        })
    }

    fn began(motion: &Repeated) -> Vec<Timestamp> {
        motion.began.lock().unwrap().clone()
    }

    /// A worker before its first step, with the control thread's ends of its mailboxes.
    fn worker(
        motion: &Arc<Repeated>,
        inbox: RecorderInbox,
    ) -> (ReplayWorker, triple_buffer::Input<State>, rtrb::Consumer<Box<Chunk>>, Arc<AtomicBool>)
    {
        let (states, state) = triple_buffer::triple_buffer(&State::default());
        let (chunks, taken) = rtrb::RingBuffer::new(4);
        let (_, spent) = rtrb::RingBuffer::new(4);
        let finished = Arc::<AtomicBool>::default();
        let mailboxes = ReplayMailboxes { state, chunks, spent, finished: Arc::clone(&finished) };
        (ReplayWorker::new(Arc::clone(motion), mailboxes, inbox), states, taken, finished)
    }

    #[test]
    fn each_repetition_is_told_when_it_begins_and_not_before() {
        let motion = motion(10_000);
        let (inbox, _messages) = RecorderInbox::new();
        let (mut worker, mut states, mut taken, finished) = worker(&motion, inbox.clone());
        let up = State { sequence: 1, link: LinkStatus::Up, ..State::default() };
        states.write(up);
        let mut now = Timestamp::ZERO;
        while began(&motion).len() < 20 {
            now = worker.step(now).max(Timestamp::from_nanos(now.as_nanos() + 1));
            while taken.pop().is_ok() {}
            assert!(began(&motion).iter().all(|at| *at <= now));
            assert!(now.as_nanos() < 100_000_000_000, "{now:?}");
        }
        // Nobody empties this inbox, and there is room all the same.
        assert_eq!(inbox.dropped(), (0, 0));
        assert!(!finished.load(Ordering::Relaxed));
        let began = began(&motion);
        assert!(began.windows(2).all(|pair| pair[1].since(pair[0]) > 2 * SETTLE));
    }

    #[test]
    fn the_arm_sets_out_when_its_fade_in_is_over() {
        let motion = motion(1);
        let (inbox, _messages) = RecorderInbox::new();
        let (mut worker, mut states, mut taken, _) = worker(&motion, inbox);
        states.write(State { sequence: 1, link: LinkStatus::Up, ..State::default() });
        let mut asked = Vec::new();
        let mut now = Timestamp::ZERO;
        while now.as_nanos() < 5_000_000_000 {
            now = worker.step(now).max(Timestamp::from_nanos(now.as_nanos() + 1));
            while let Ok(chunk) = taken.pop() {
                let first = (chunk.observed.as_nanos() / STEP.as_nanos() as u64) as usize;
                asked.truncate(first);
                asked.extend(chunk.actions.iter().map(|action| action[0]));
            }
        }
        assert!(asked[..150].iter().all(|position| *position == 0.0));
        assert!(asked[160] > 0.0 && asked[160] < 0.01, "{}", asked[160]);
        assert_eq!(asked.last(), Some(&0.7));
    }

    #[test]
    fn as_many_repetitions_fit_as_the_time_allows() {
        let motion = motion(100);
        let most = motion.most_within(Duration::from_secs(60));
        assert!(most > 10 && most < 60, "{most}");
        assert!(motion.longest_of(most) <= Duration::from_secs(60));
        assert!(motion.longest_of(most + 1) > Duration::from_secs(60));
        assert_eq!(motion.most_within(motion.longest()), 100);
        assert_eq!(motion.most_within(Duration::ZERO), 0);
    }
}
