//! One control cycle as a plain function: state, time and mailboxes in, command out.
//!
//! No I/O, no clock reads, no allocation, no locks. Whatever a cycle consumes is handed to it, so
//! the same inputs give the same command, bit for bit, on any machine and in any kind of time.

mod judgement;
mod motions;
mod settings;

use std::time::Duration;

use sinew_firmware_interfaces::{
    Command, ControlMode, LinkStatus, MAX_JOINTS, State, StopRequest, Timestamp,
};

pub use settings::{CycleSettings, Thresholds};

use crate::actuation::Actuation;
use crate::pacing::{BucketLevel, OverrunBucket};
use crate::supervision::{ArmState, Event, Guards, HoldCause, Reaction, StopCause, Supervisor};
use crate::targets::{Blend, Chunk, Timeline};
use judgement::Context;
use motions::{Motions, Moved, Wanted};

/// What the operator asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OperatorRequest {
    /// Nothing.
    #[default]
    None = 0,
    /// Ramp to rest (first Ctrl-C).
    Stop = 1,
    /// Torque off (second Ctrl-C).
    TorqueOff = 2,
}

/// What a cycle consumes beside the robot's state and the mailboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CycleInputs {
    /// What the operator has asked for so far.
    pub operator: OperatorRequest,
    /// Deadlines missed since the last cycle: its own, and every period without a cycle.
    pub misses: u64,
    /// Periods without a cycle since the last one.
    pub missed: u64,
    /// True once the watchdog has stopped the robot.
    pub watchdog: bool,
    /// True once the target source has said its last: the run is complete before its duration is
    /// over.
    pub finished: bool,
}

/// What a cycle did, for the journal and the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// State after the cycle.
    pub state: ArmState,
    /// What to send, unless the arm is disarmed or faulted.
    pub command: Option<Command>,
    /// A stop to send first.
    pub request: Option<StopRequest>,
    /// State change of this cycle.
    pub changed: Option<(ArmState, ArmState)>,
    /// What stopped the run: a joint, or for [`StopCause::Guard`] one of
    /// [`CycleSettings::guards`].
    pub offender: Option<u8>,
    /// What the target source asked for.
    pub requested: [f64; MAX_JOINTS],
    /// What the target generator made of it.
    pub generated: [f64; MAX_JOINTS],
    /// What the limits let through.
    pub limited: [f64; MAX_JOINTS],
    /// Efforts, where efforts are commanded.
    pub effort: Option<[f64; MAX_JOINTS]>,
    /// Clamp causes per joint.
    pub clamps: [u16; MAX_JOINTS],
    /// Capture time of the observation behind the target.
    pub observed: Option<Timestamp>,
    /// True while a stop in torque is left to the robot: nothing is sent.
    pub left: bool,
    /// True in the cycle in which commands began again at the measurement: the link came back, or
    /// an arm that is commanded by efforts was seen again.
    pub restarted: bool,
    /// The bucket of overruns.
    pub overruns: BucketLevel,
}

/// The cycle's memory from one tick to the next.
#[derive(Debug)]
pub struct Cycle {
    settings: CycleSettings,
    motions: Motions,
    timeline: Timeline,
    supervisor: Supervisor,
    bucket: OverrunBucket,
    epoch: Option<u32>,
    /// The last tick.
    last: Option<Timestamp>,
    /// The time in which the arm was looked after, on a clock of its own: it does not go on while
    /// the process is stopped. `since`, `strayed`, `clamped` and `arrived` are times of it.
    cared: Timestamp,
    /// Start of the present hold, ramp-in or stop.
    since: Timestamp,
    /// Where the present ramp-in started.
    origin: [f64; MAX_JOINTS],
    /// First time the policy drove.
    began: Option<Timestamp>,
    strayed: [Option<Timestamp>; MAX_JOINTS],
    /// Since when the limits have changed each joint's target in every cycle.
    clamped: [Option<Timestamp>; MAX_JOINTS],
    /// When the command of a stop came to a stand at its goal.
    arrived: Option<Timestamp>,
    guards: Guards,
    policy_failed: bool,
    /// When the present connection began: nothing seen before is acted upon.
    connected: Timestamp,
    /// The first joint outside its limits when the link came back; the tool's box counts as one
    /// behind the last.
    outside: Option<u8>,
    /// How long the arm has held without a target, over all holds since a target last spoke, while
    /// the robot was there: a hold for another cause in between does not start it again.
    silent: Duration,
    /// The robot's count of states in the last cycle.
    sequence: Option<u64>,
}

/// Most periods that a commanded motion goes on by in one cycle: a robot that has had no command for
/// so long has stopped by itself.
const MOST_STEPS: u64 = 20;

/// Most periods of a gap between two cycles that count as time in which the arm was looked after.
const MOST_PERIODS: u32 = 10;
/// Oldest measurement that an effort may answer to; where cycles are long, so many of them.
const MOST_BLIND: Duration = Duration::from_millis(20);
const MOST_BLIND_PERIODS: u32 = 4;
/// How long the arm may take to settle once its command stands at the goal of a stop.
const SETTLE: Duration = Duration::from_secs(1);
/// How near the measured arm must then be to count as arrived at once, in joint units.
const SETTLED: f64 = 0.02;

impl Cycle {
    /// A disarmed cycle. `actuation` makes efforts of positions; `None` commands positions.
    pub fn new(settings: CycleSettings, actuation: Option<Actuation>) -> Self {
        let crossfade = match settings.blend {
            // LeRobot's rules know no hand-over: its queue jumps, its ensemble blends by itself.
            Blend::Queue { .. } | Blend::Ensemble { .. } => Duration::ZERO,
            Blend::Newest => settings.crossfade,
        };
        Self {
            motions: Motions::new(&settings, actuation),
            timeline: Timeline::new(settings.blend, crossfade),
            supervisor: Supervisor::default(),
            bucket: OverrunBucket::new(settings.overruns),
            epoch: None,
            last: None,
            cared: Timestamp::ZERO,
            since: Timestamp::ZERO,
            origin: [0.0; MAX_JOINTS],
            began: None,
            strayed: [None; MAX_JOINTS],
            clamped: [None; MAX_JOINTS],
            arrived: None,
            guards: Guards::new(settings.guards.clone()),
            policy_failed: false,
            connected: Timestamp::ZERO,
            outside: None,
            silent: Duration::ZERO,
            sequence: None,
            settings,
        }
    }

    /// Its constants.
    pub const fn settings(&self) -> &CycleSettings {
        &self.settings
    }

    /// Number of joints.
    pub fn joints(&self) -> usize {
        self.settings.limits.len()
    }

    /// The arm's state.
    pub fn state(&self) -> ArmState {
        self.supervisor.state()
    }

    /// Why the arm holds.
    pub fn hold(&self) -> Option<HoldCause> {
        self.supervisor.hold()
    }

    /// Why the run ends, once it does.
    pub fn cause(&self) -> Option<StopCause> {
        self.supervisor.cause()
    }

    /// True when a queue has played its actions and the arm is to go on: the time to infer again.
    pub fn wants_chunk(&self, now: Timestamp) -> bool {
        matches!(self.state(), ArmState::Holding | ArmState::Running)
            && self.timeline.is_used_up(now)
    }

    /// Takes over a chunk. A chunk without actions is the policy's admission of failure: it is
    /// given back, and the next step starts a ramp stop. A chunk whose observation is from before
    /// the last reconnect is given back too: what it saw is no longer so.
    pub fn insert(&mut self, chunk: Box<Chunk>, now: Timestamp) -> Option<Box<Chunk>> {
        if chunk.actions.is_empty() {
            self.policy_failed = true;
            return Some(chunk);
        }
        if chunk.observed < self.connected {
            return Some(chunk);
        }
        let joints = self.joints();
        self.timeline.insert(chunk, now, joints);
        None
    }

    /// How many actions of `chunk` are never executed because their time has passed.
    pub fn expired(&self, chunk: &Chunk) -> usize {
        if matches!(self.settings.blend, Blend::Queue { .. }) { 0 } else { chunk.expired() }
    }

    /// Gives back one chunk that is no longer needed; call until `None`.
    pub fn retire(&mut self, now: Timestamp) -> Option<Box<Chunk>> {
        if self.timeline.observed().is_some_and(|observed| observed < self.connected) {
            return self.timeline.clear();
        }
        match self.supervisor.state() {
            ArmState::Holding | ArmState::Running => self.timeline.retire(now),
            _ => self.timeline.clear(),
        }
    }

    /// Starts from `state`, the first full measurement after the robot was armed.
    pub fn arm(&mut self, state: &State, now: Timestamp) {
        self.supervisor.handle(Event::Armed);
        self.last = Some(now);
        self.since = self.cared;
        if is_finite(state, self.joints()) {
            self.restart(state);
        }
    }

    /// Commands begin at the measured position, standing.
    fn restart(&mut self, state: &State) {
        self.epoch = Some(state.epoch);
        self.motions.restart(state);
        self.origin = std::array::from_fn(|joint| self.motions.motion(joint).position);
        self.strayed = [None; MAX_JOINTS];
        self.clamped = [None; MAX_JOINTS];
        // A ramp has one time limit, however often the link comes back.
        if self.state() != ArmState::Stopping {
            self.since = self.cared;
        }
    }

    /// Runs one cycle at `now`, the tick's time on the grid.
    pub fn step(&mut self, state: &State, inputs: CycleInputs, now: Timestamp) -> Outcome {
        let joints = self.joints();
        let gap = self.last.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        let cared = gap.min(self.settings.period * MOST_PERIODS);
        self.cared = self.cared.after(cared);
        if cared < gap {
            self.motions.forget();
        }
        let left_before = self.is_left_to_robot();
        // What was not sent, the robot has not done: where it stands when the link comes back has
        // to be measured, even if the driver does not count a new connection.
        let blind = self.motions.commands_effort() && self.is_blind(state, now);
        let reached = state.link == LinkStatus::Up && !blind;
        let mut request = None;
        if !reached && self.epoch.take().is_some() && blind {
            request = Some(StopRequest::Hold);
        }
        // Commands cannot begin at a number that is not finite; without a beginning none are sent.
        let restarted = reached
            && self.epoch != Some(state.epoch)
            && is_finite(state, joints)
            && matches!(self.state(), ArmState::Holding | ArmState::Running | ArmState::Stopping);
        if restarted {
            self.restart(state);
            self.connected = now;
            self.outside = self.outside(state);
        }

        let mut target = [0.0; MAX_JOINTS];
        // A queue repeats its last action for ever; it speaks only until that is too old.
        let fresh =
            self.overdue(now).is_some_and(|late| late <= self.settings.thresholds.policy_hold);
        // A hand that leads the arm always does.
        let guided = self.motions.guided() != 0;
        let speaks = guided || fresh && self.timeline.sample(now, joints, &mut target);
        let verdict = self.bucket.judge(inputs.misses, now);
        let mut offender = None;
        let before = self.state();
        let context = Context { now, cared, speaks, verdict };
        let first = self.judge(state, inputs, context, &mut offender);
        if let Some(event) = first {
            let reaction = self.react(event, now);
            request = reaction.request.or(request);
        }

        let wanted = self.wanted(speaks.then_some(&target));
        let by_effort = self.motions.commands_effort();
        let known = reached && self.epoch == Some(state.epoch) && !self.is_left_to_robot();
        // What has forgotten everything has nothing to catch up with.
        let missed = if cared < gap { 0 } else { inputs.missed };
        let elapsed = missed.saturating_add(1).min(MOST_PERIODS.into()) as u32;
        let steps = self.steps(state);
        let Moved { requested, generated, limited, effort, actuated, clamps } =
            self.motions.advance(&wanted, known.then_some(state), elapsed, steps);
        if let Err(failed) = actuated {
            offender = failed.map(|joint| joint as u8).or(offender);
            self.react(Event::Ramp(StopCause::NonFinite), now);
        }
        if self.state() == ArmState::Running {
            let not_finite = |joint: &usize| !requested[*joint].is_finite();
            if let Some(joint) = (0..joints).find(not_finite) {
                // The joint has braked this cycle; from here on the stop ladder takes over.
                offender = Some(joint as u8);
                self.react(Event::Ramp(StopCause::NonFinite), now);
            } else if let Some(joint) = self.clamped(&clamps) {
                offender = Some(joint as u8);
                self.react(Event::Ramp(StopCause::PersistentClamp), now);
            }
        } else {
            self.clamped = [None; MAX_JOINTS];
        }
        if self.state() == ArmState::Stopping && self.has_settled(state) {
            request = self.react(Event::AtRest, now).request.or(request);
        }

        let after = self.state();
        let left = self.is_left_to_robot();
        if left && (restarted || !left_before) {
            request = request.or(Some(StopRequest::Hold));
        }
        let commands = matches!(after, ArmState::Holding | ArmState::Running | ArmState::Stopping)
            && known
            && actuated.is_ok()
            && !left;
        let mode = if by_effort { ControlMode::Effort } else { ControlMode::Position };
        let command = Command { mode, position: limited, effort, issued: now, epoch: state.epoch };
        Outcome {
            state: after,
            command: commands.then_some(command),
            request,
            changed: (before != after).then_some((before, after)),
            offender,
            requested,
            generated,
            limited,
            effort: by_effort.then_some(effort),
            clamps,
            observed: if after == ArmState::Running { self.timeline.observed() } else { None },
            left,
            restarted,
            overruns: self.bucket.level(),
        }
    }

    /// By how many periods the commanded motion goes on: one a cycle, or those of the robot's own
    /// time where each of its states wants a command. A state that was lost, on either side, has
    /// been lived through by the robot.
    fn steps(&mut self, state: &State) -> u32 {
        let before = self.sequence.replace(state.sequence);
        if !self.settings.lockstep {
            return 1;
        }
        let passed = before.map_or(1, |before| state.sequence.saturating_sub(before));
        passed.min(MOST_STEPS) as u32
    }

    /// True where an effort would answer to a measurement that is no number or too old to be one of
    /// the present: what the arm does since, no feedback would notice. It is told to hold by itself
    /// then, and commands begin anew when it is seen again.
    fn is_blind(&self, state: &State, now: Timestamp) -> bool {
        let longest = MOST_BLIND.max(self.settings.period * MOST_BLIND_PERIODS);
        (0..self.joints()).any(|joint| {
            let judged = self.settings.judged & (1 << joint) != 0;
            let old = judged && now.since(state.captured[joint]) > longest;
            old || !is_finite_at(state, joint)
        })
    }

    /// True while a stop ends where the arm stands, instead of at the rest pose. An arm that a hand
    /// leads does not set out by itself.
    fn ends_in_a_stand(&self) -> bool {
        self.must_stand() || self.motions.guided() != 0 && self.cause().is_some()
    }

    /// True while the way to the rest pose is not safe. Where efforts are commanded and had to be
    /// clamped for too long, it is not either.
    fn must_stand(&self) -> bool {
        let by_effort = self.motions.commands_effort();
        self.cause().is_some_and(|cause| {
            cause.stands_still() || by_effort && cause == StopCause::PersistentClamp
        })
    }

    /// True while no effort is sent because the efforts themselves are in doubt: the arm was told to
    /// hold by itself, and what made the efforts has no say in the stop.
    fn is_left_to_robot(&self) -> bool {
        let by_effort = self.motions.commands_effort();
        by_effort && self.state() == ArmState::Stopping && self.must_stand()
    }

    /// Passes an event to the supervisor and prepares what the new state begins with. A state that
    /// goes on for another cause does not begin again, but for a way to rest that becomes a stand:
    /// once in a stop, and with as much time as the way had.
    fn react(&mut self, event: Event, now: Timestamp) -> Reaction {
        let cause = self.cause();
        let reaction = self.supervisor.handle(event);
        if self.state() == ArmState::Stopping && self.cause() != cause {
            self.since = self.cared;
        }
        if reaction.changed.is_some() {
            self.since = self.cared;
            self.origin = std::array::from_fn(|joint| self.motions.motion(joint).position);
            if self.state() == ArmState::Running && self.began.is_none() {
                self.began = Some(now);
            }
        }
        reaction
    }

    /// What the present state wants of each joint.
    fn wanted(&self, target: Option<&[f64; MAX_JOINTS]>) -> [Wanted; MAX_JOINTS] {
        let mut wanted = [Wanted::Stand; MAX_JOINTS];
        let guided = self.motions.guided();
        let stands_still = self.ends_in_a_stand();
        let fade = ease(self.cared.since(self.since), self.settings.start_ramp);
        for (joint, wanted) in wanted.iter_mut().enumerate().take(self.joints()) {
            match (self.state(), target) {
                (ArmState::Running, _) if guided & (1 << joint) != 0 => *wanted = Wanted::Led,
                // Without a target the joint brakes: that bridges a short gap between chunks.
                (ArmState::Running, Some(target)) if self.settings.driven & (1 << joint) != 0 => {
                    let origin = self.origin[joint];
                    *wanted = Wanted::Follow(origin + fade * (target[joint] - origin));
                }
                (ArmState::Stopping, _) if !stands_still => {
                    *wanted = Wanted::Rest(self.settings.rest[joint]);
                }
                _ => {}
            }
        }
        wanted
    }

    /// True when the command of a stop stands at its goal and the arm has followed it there, or
    /// has had time to. Never while the link is down: nothing is known then.
    fn has_settled(&mut self, state: &State) -> bool {
        let stands_still = self.ends_in_a_stand();
        let joints = 0..self.settings.limits.len();
        let stands = joints.clone().all(|joint| {
            let motion = self.motions.motion(joint);
            let goal = self.settings.rest[joint];
            motion.velocity.abs() < 1e-6 && (stands_still || (motion.position - goal).abs() < 1e-4)
        });
        if !stands || state.link != LinkStatus::Up {
            self.arrived = None;
            return false;
        }
        let since = *self.arrived.get_or_insert(self.cared);
        let near = joints.clone().all(|joint| {
            (state.position[joint] - self.motions.motion(joint).position).abs() < SETTLED
                || state.is_substituted(joint)
        });
        near || self.cared.since(since) > SETTLE
    }
}

/// True if everything that is measured is a number.
fn is_finite(state: &State, joints: usize) -> bool {
    (0..joints).all(|joint| is_finite_at(state, joint))
}

fn is_finite_at(state: &State, joint: usize) -> bool {
    state.position[joint].is_finite()
        && state.velocity[joint].is_finite()
        && state.effort[joint].is_finite()
}

/// A smooth fade from 0 to 1 over `span`, without a kink in velocity at either end.
fn ease(elapsed: Duration, span: Duration) -> f64 {
    if elapsed >= span {
        return 1.0;
    }
    let x = elapsed.as_secs_f64() / span.as_secs_f64();
    x * x * (3.0 - 2.0 * x)
}

#[cfg(test)]
mod tests;
