//! One control cycle as a plain function: state, time and mailboxes in, command out.
//!
//! No I/O, no clock reads, no allocation, no locks. Whatever a cycle consumes is handed to it, so
//! the same inputs give the same command, bit for bit, on any machine and in any kind of time.

use std::time::Duration;

use sinew_firmware_interfaces::{
    Command, ControlMode, LinkStatus, MAX_JOINTS, State, StopRequest, Timestamp,
};

use crate::limits::{self, JointLimits, Limiter, Motion};
use crate::supervision::{ArmState, Event, HoldCause, Reaction, StopCause, Supervisor};
use crate::targets::{Blend, Chunk, Timeline};

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

/// Everything constant about a run's cycles.
#[derive(Clone, Debug)]
pub struct CycleSettings {
    /// Time of one cycle.
    pub period: Duration,
    /// How long the target source drives.
    pub duration: Duration,
    /// Limits, in joint order.
    pub limits: Vec<JointLimits>,
    /// Joints that the policy drives, as a bit set. The others hold.
    pub driven: u32,
    /// Joints whose measurements must be fresh, as a bit set. Grippers are read at a lower rate
    /// and left out; their age is recorded, not judged.
    pub judged: u32,
    /// How chunks become targets.
    pub blend: Blend,
    /// Fade of a chunk hand-over.
    pub crossfade: Duration,
    /// Fade from the measured position to the target source.
    pub start_ramp: Duration,
    /// Rest pose.
    pub rest: [f64; MAX_JOINTS],
    /// Speed of the motion to rest, as a fraction of the limits.
    pub rest_fraction: f64,
    /// Thresholds of the ladder.
    pub thresholds: Thresholds,
}

/// Thresholds of the stop ladder.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// No target for this long: hold.
    pub policy_hold: Duration,
    /// Holding for this long because of that: ramp.
    pub policy_ramp: Duration,
    /// Measurement older than this: hold.
    pub state_hold: Duration,
    /// Measurement older than this: ramp.
    pub state_ramp: Duration,
    /// Largest difference between measured and commanded position, per joint.
    pub tracking: [f64; MAX_JOINTS],
    /// How long it may last.
    pub tracking_time: Duration,
    /// How long a ramp may take.
    pub ramp_timeout: Duration,
}

/// What a cycle did, for the journal and the statistics.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// State after the cycle.
    pub state: ArmState,
    /// What to send, unless the arm is disarmed or faulted.
    pub command: Option<Command>,
    /// A stop to send first.
    pub request: Option<StopRequest>,
    /// State change of this cycle.
    pub changed: Option<(ArmState, ArmState)>,
    /// The first joint whose measured position was too far off, when that stopped the run.
    pub offender: Option<u8>,
    /// What the target source asked for.
    pub requested: [f64; MAX_JOINTS],
    /// What the limits let through.
    pub limited: [f64; MAX_JOINTS],
    /// Clamp causes per joint.
    pub clamps: [u16; MAX_JOINTS],
    /// Capture time of the observation behind the target.
    pub observed: Option<Timestamp>,
    /// True in the cycle in which the link came back and commands began again at the measurement.
    pub restarted: bool,
}

/// The cycle's memory from one tick to the next.
#[derive(Debug)]
pub struct Cycle {
    settings: CycleSettings,
    limiter: Limiter,
    timeline: Timeline,
    supervisor: Supervisor,
    /// Generates hold and rest motion inside slowed limits.
    ramp: [Motion; MAX_JOINTS],
    slowed: Vec<JointLimits>,
    epoch: Option<u32>,
    /// Start of the present hold, ramp-in or stop.
    since: Timestamp,
    /// Where the present ramp-in started.
    origin: [f64; MAX_JOINTS],
    /// First time the policy drove.
    began: Option<Timestamp>,
    strayed: [Option<Timestamp>; MAX_JOINTS],
    /// When the command of a stop came to a stand at its goal.
    arrived: Option<Timestamp>,
    policy_failed: bool,
    /// When the present connection began: nothing seen before is acted upon.
    connected: Timestamp,
    /// The first joint outside its limits when the link came back.
    outside: Option<u8>,
    /// How long the arm has held without a target, over all holds since a target last spoke, while
    /// the robot was there: a hold for another cause in between does not start it again.
    silent: Duration,
}

/// How long the arm may take to settle once its command stands at the goal of a stop.
const SETTLE: Duration = Duration::from_secs(1);
/// How near the measured arm must then be to count as arrived at once, in joint units.
const SETTLED: f64 = 0.02;

impl Cycle {
    /// A disarmed cycle.
    pub fn new(settings: CycleSettings) -> Self {
        let dt = settings.period.as_secs_f64();
        let crossfade = match settings.blend {
            // LeRobot's rules know no hand-over: its queue jumps, its ensemble blends by itself.
            Blend::Queue { .. } | Blend::Ensemble { .. } => Duration::ZERO,
            Blend::Newest => settings.crossfade,
        };
        let slowed =
            settings.limits.iter().map(|limits| limits.slowed(settings.rest_fraction)).collect();
        Self {
            limiter: Limiter::new(settings.limits.clone(), dt),
            timeline: Timeline::new(settings.blend, crossfade),
            supervisor: Supervisor::default(),
            ramp: [Motion::default(); MAX_JOINTS],
            slowed,
            epoch: None,
            since: Timestamp::ZERO,
            origin: [0.0; MAX_JOINTS],
            began: None,
            strayed: [None; MAX_JOINTS],
            arrived: None,
            policy_failed: false,
            connected: Timestamp::ZERO,
            outside: None,
            silent: Duration::ZERO,
            settings,
        }
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
        self.since = now;
        if is_finite(state, self.joints()) {
            self.restart(state, now);
        }
    }

    /// Commands begin at the measured position, standing.
    fn restart(&mut self, state: &State, now: Timestamp) {
        self.epoch = Some(state.epoch);
        self.limiter.reset(&state.position);
        self.ramp = state.position.map(Motion::at_rest);
        self.origin = state.position;
        self.strayed = [None; MAX_JOINTS];
        // A ramp has one time limit, however often the link comes back.
        if self.state() != ArmState::Stopping {
            self.since = now;
        }
    }

    /// Runs one cycle at `now`, the tick's time on the grid.
    pub fn step(&mut self, state: &State, operator: OperatorRequest, now: Timestamp) -> Outcome {
        let joints = self.joints();
        // Commands cannot begin at a number that is not finite; without a beginning none are sent.
        let restarted = state.link == LinkStatus::Up
            && self.epoch != Some(state.epoch)
            && is_finite(state, joints)
            && matches!(self.state(), ArmState::Holding | ArmState::Running | ArmState::Stopping);
        if restarted {
            self.restart(state, now);
            self.connected = now;
            self.outside = self.outside(state);
        }

        let mut target = [0.0; MAX_JOINTS];
        // A queue repeats its last action for ever; it speaks only until that is too old.
        let fresh =
            self.overdue(now).is_some_and(|late| late <= self.settings.thresholds.policy_hold);
        let speaks = fresh && self.timeline.sample(now, joints, &mut target);
        let mut offender = None;
        let before = self.state();
        let mut request = None;
        let first = self.judge(state, operator, now, speaks, &mut offender);
        if let Some(event) = first {
            let reaction = self.react(event, now);
            request = reaction.request;
        }

        let mut requested = self.requested(now, speaks.then_some(&target));
        let mut limited = [0.0; MAX_JOINTS];
        let mut clamps = [0; MAX_JOINTS];
        self.limiter.apply(&requested, &mut limited, &mut clamps);
        if self.state() == ArmState::Running
            && let Some(joint) = (0..joints).find(|joint| !requested[*joint].is_finite())
        {
            // The limiter has braked this cycle; from here on the stop ladder takes over.
            offender = Some(joint as u8);
            requested[joint] = limited[joint];
            self.react(Event::Ramp(StopCause::NonFinite), now);
        }
        if self.state() == ArmState::Stopping && self.has_settled(state, now) {
            request = self.react(Event::AtRest, now).request.or(request);
        }

        let after = self.state();
        let commands = matches!(after, ArmState::Holding | ArmState::Running | ArmState::Stopping)
            && state.link == LinkStatus::Up
            && self.epoch == Some(state.epoch);
        Outcome {
            state: after,
            command: commands.then_some(Command {
                mode: ControlMode::Position,
                position: limited,
                effort: [0.0; MAX_JOINTS],
                issued: now,
                epoch: state.epoch,
            }),
            request,
            changed: (before != after).then_some((before, after)),
            offender,
            requested,
            limited,
            clamps,
            observed: if after == ArmState::Running { self.timeline.observed() } else { None },
            restarted,
        }
    }

    /// The event of this cycle: the worst thing that is the case.
    fn judge(
        &mut self,
        state: &State,
        operator: OperatorRequest,
        now: Timestamp,
        speaks: bool,
        offender: &mut Option<u8>,
    ) -> Option<Event> {
        if operator == OperatorRequest::TorqueOff {
            return Some(Event::TorqueOff(StopCause::OperatorTorqueOff));
        }
        if state.link == LinkStatus::Lost {
            return Some(Event::TorqueOff(StopCause::LinkLost));
        }
        match self.state() {
            ArmState::Disarmed | ArmState::Faulted => return None,
            ArmState::Stopping => {
                if now.since(self.since) > self.settings.thresholds.ramp_timeout {
                    return Some(Event::TorqueOff(StopCause::RampTimeout));
                }
                // A ramp to a stand needs nothing more; one to the rest pose is motion like any.
                if self.cause().is_some_and(StopCause::stands_still) {
                    return None;
                }
            }
            ArmState::Holding | ArmState::Running => {}
        }
        if let Some(joint) = (0..self.joints()).find(|joint| !state.position[*joint].is_finite()) {
            *offender = Some(joint as u8);
            return Some(Event::Ramp(StopCause::NonFinite));
        }
        if let Some(joint) = self.outside {
            *offender = Some(joint);
            return Some(Event::Ramp(StopCause::OutsideLimits));
        }
        let stopping = self.state() == ArmState::Stopping;
        if self.policy_failed && !stopping {
            return Some(Event::Ramp(StopCause::NonFinite));
        }
        if operator == OperatorRequest::Stop && !stopping {
            return Some(Event::Ramp(StopCause::Operator));
        }
        if let Some(joint) = self.strayed(state, now) {
            *offender = Some(joint as u8);
            return Some(Event::Ramp(StopCause::TrackingError));
        }
        let thresholds = &self.settings.thresholds;
        if !stopping && self.began.is_some_and(|began| now.since(began) >= self.settings.duration) {
            return Some(Event::Ramp(StopCause::Completed));
        }
        let age = (0..self.joints())
            .filter(|joint| self.settings.judged & (1 << joint) != 0)
            .map(|joint| now.since(state.captured[joint]))
            .max()
            .unwrap_or_default();
        if age > thresholds.state_ramp && state.link == LinkStatus::Up {
            return Some(Event::Ramp(StopCause::StateStale));
        }
        if stopping {
            return None;
        }
        if state.link == LinkStatus::Down {
            return self.hold_for(HoldCause::LinkDown);
        }
        if age > thresholds.state_hold {
            return self.hold_for(HoldCause::StateStale);
        }
        if speaks {
            self.silent = Duration::ZERO;
            return (self.state() == ArmState::Holding).then_some(Event::Ready);
        }
        let holding_for_policy =
            matches!(self.hold(), Some(HoldCause::WaitingForPolicy | HoldCause::PolicyStale));
        if self.state() == ArmState::Holding {
            self.silent += self.settings.period;
            if self.silent > thresholds.policy_ramp {
                return Some(Event::Ramp(StopCause::PolicyStale));
            }
        }
        let overdue = self.overdue(now);
        if self.state() == ArmState::Running {
            return (overdue.is_none_or(|late| late > thresholds.policy_hold))
                .then_some(Event::Hold(HoldCause::PolicyStale));
        }
        if holding_for_policy { None } else { Some(Event::Hold(HoldCause::PolicyStale)) }
    }

    /// How long ago the newest chunk stopped speaking; `None` where there is none, or only one
    /// from before the last reconnect.
    fn overdue(&self, now: Timestamp) -> Option<Duration> {
        let current = self.timeline.observed()? >= self.connected;
        self.timeline.overdue(now).filter(|_| current)
    }

    /// The first joint that stands outside its limits by more than a servo at rest may.
    fn outside(&self, state: &State) -> Option<u8> {
        let mut limits = self.settings.limits.iter().zip(&state.position);
        let joint = limits.position(|(limits, position)| !limits.holds(*position));
        joint.map(|joint| joint as u8)
    }

    /// A hold, unless the arm holds for that cause already.
    fn hold_for(&self, cause: HoldCause) -> Option<Event> {
        (self.hold() != Some(cause)).then_some(Event::Hold(cause))
    }

    /// The first joint that has been too far from its command for too long. Substituted
    /// measurements prove nothing and do not count.
    fn strayed(&mut self, state: &State, now: Timestamp) -> Option<usize> {
        let thresholds = &self.settings.thresholds;
        let mut first = None;
        for joint in 0..self.settings.limits.len() {
            let error = (state.position[joint] - self.limiter.motion()[joint].position).abs();
            if error <= thresholds.tracking[joint] || state.is_substituted(joint) {
                self.strayed[joint] = None;
            } else {
                let since = *self.strayed[joint].get_or_insert(now);
                if now.since(since) > thresholds.tracking_time && first.is_none() {
                    first = Some(joint);
                }
            }
        }
        first
    }

    /// Passes an event to the supervisor and prepares what the new state begins with.
    fn react(&mut self, event: Event, now: Timestamp) -> Reaction {
        let before = (self.hold(), self.cause());
        let reaction = self.supervisor.handle(event);
        if reaction.changed.is_some() || (self.hold(), self.cause()) != before {
            self.since = now;
            self.ramp = *self.limiter.motion();
            self.origin = std::array::from_fn(|joint| self.ramp[joint].position);
            if self.state() == ArmState::Running && self.began.is_none() {
                self.began = Some(now);
            }
        }
        reaction
    }

    /// What the present state's target source asks for.
    fn requested(
        &mut self,
        now: Timestamp,
        target: Option<&[f64; MAX_JOINTS]>,
    ) -> [f64; MAX_JOINTS] {
        let mut requested = [0.0; MAX_JOINTS];
        let dt = self.settings.period.as_secs_f64();
        let fade = ease(now.since(self.since), self.settings.start_ramp);
        let stands_still = self.cause().is_some_and(StopCause::stands_still);
        for joint in 0..self.settings.limits.len() {
            let follows =
                self.state() == ArmState::Running && self.settings.driven & (1 << joint) != 0;
            // Without a target the joint brakes: that bridges a short gap between chunks.
            if let (true, Some(target)) = (follows, target) {
                let wanted = target[joint];
                requested[joint] = self.origin[joint] + fade * (wanted - self.origin[joint]);
                self.ramp[joint] = self.limiter.motion()[joint];
                continue;
            }
            let limits = &self.settings.limits[joint];
            let slowed = &self.slowed[joint];
            self.ramp[joint] = if self.state() == ArmState::Stopping && !stands_still {
                limits::limit(slowed, self.ramp[joint], self.settings.rest[joint], 0.0, dt).0
            } else {
                limits::brake(limits, self.ramp[joint], dt)
            };
            requested[joint] = self.ramp[joint].position;
        }
        requested
    }

    /// True when the command of a stop stands at its goal and the arm has followed it there, or
    /// has had time to. Never while the link is down: nothing is known then.
    fn has_settled(&mut self, state: &State, now: Timestamp) -> bool {
        let stands_still = self.cause().is_some_and(StopCause::stands_still);
        let joints = 0..self.settings.limits.len();
        let stands = joints.clone().all(|joint| {
            let motion = self.limiter.motion()[joint];
            let goal = self.settings.rest[joint];
            motion.velocity.abs() < 1e-6 && (stands_still || (motion.position - goal).abs() < 1e-4)
        });
        if !stands || state.link != LinkStatus::Up {
            self.arrived = None;
            return false;
        }
        let since = *self.arrived.get_or_insert(now);
        let near = joints.clone().all(|joint| {
            (state.position[joint] - self.limiter.motion()[joint].position).abs() < SETTLED
                || state.is_substituted(joint)
        });
        near || now.since(since) > SETTLE
    }
}

fn is_finite(state: &State, joints: usize) -> bool {
    state.position.iter().take(joints).all(|position| position.is_finite())
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
