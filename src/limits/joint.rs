//! The gate of one joint.

use sinew_episodes::journal::ClampCause;

use super::bounds::{Bounds, JointLimits, SLACK};
use super::finite::Finite;
use super::stop::{Step, StopPlan};

/// Motion of a joint's command.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Position.
    pub position: f64,
    /// Velocity over the last cycle.
    pub velocity: f64,
    /// Change of that velocity over the last cycle, per second.
    pub acceleration: f64,
}

impl Motion {
    /// Standing still at `position`.
    pub const fn at_rest(position: f64) -> Self {
        Self { position, velocity: 0.0, acceleration: 0.0 }
    }
}

/// Halvings in the search for the nearest command that leaves a stop: to a thousandth of what one
/// cycle can change.
const HALVINGS: u32 = 10;
/// How near the approach to a target has to come to it, as a part of what one cycle can change.
const FINE: f64 = 1000.0;
/// Most tries to come so near.
const TRIES: u32 = 10;

/// The gate of one joint: its limits, its last command and the stop that was proven with it.
#[derive(Clone, Copy, Debug)]
pub struct JointGate {
    bounds: Bounds,
    /// Speed and step as configured, per cycle: their smaller one bounds.
    speed: f64,
    stride: f64,
    dt: f64,
    step: Step,
    plan: StopPlan,
    /// The last target, for its velocity.
    target: f64,
    /// Whether the last command met it.
    met: bool,
}

/// What a joint would do in this cycle. It counts once it is [committed](JointGate::commit).
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    pub(super) step: Step,
    pub(super) plan: StopPlan,
    target: f64,
    met: bool,
    /// Why it is not what was asked for.
    pub(super) clamps: u16,
}

impl JointGate {
    /// A gate for cycles of `dt` seconds, standing at 0.
    pub fn new(limits: &JointLimits, dt: f64) -> Self {
        Self {
            bounds: Bounds::new(limits, dt),
            speed: limits.max_velocity * dt,
            stride: limits.max_step,
            dt,
            step: Step::default(),
            plan: StopPlan::default(),
            target: 0.0,
            met: true,
        }
    }

    /// Starts again from a standstill at `measured`: after arming and after every reconnect.
    pub fn reset(&mut self, measured: Finite) {
        let position = measured.get();
        self.step = Step { position, ..Step::default() };
        self.plan = StopPlan::default();
        self.target = position;
        self.met = true;
    }

    /// Goes on from the last command of `other`, a gate of the same joint with other limits. What
    /// is faster than this one's limits comes down as fast as `other` proved it can.
    pub fn go_on_from(&mut self, other: &Self) {
        let plan = StopPlan::find(other.step, &self.bounds)
            .filter(|plan| plan.stays_inside(other.step, &self.bounds));
        *self = Self {
            bounds: self.bounds,
            speed: self.speed,
            stride: self.stride,
            plan: plan.unwrap_or(other.plan),
            ..*other
        };
    }

    /// The motion of the last command.
    pub fn motion(&self) -> Motion {
        let Step { position, velocity, acceleration } = self.step;
        Motion {
            position,
            velocity: velocity / self.dt,
            acceleration: acceleration / (self.dt * self.dt),
        }
    }

    /// The joint is led by a hand: its motion is the measured one, so that a stop begins there. What
    /// leaves no stop inside the limits is cut, with its causes: a position outside the range is one
    /// at its end, and of a velocity remains what can be braked.
    pub fn led(&self, position: Finite, velocity: Finite) -> Proposal {
        let (measured, speed) = (position.get(), velocity.get() * self.dt);
        let position = measured.clamp(self.bounds.lower, self.bounds.upper);
        let mut clamps = if position == measured { 0 } else { ClampCause::Position.bit() };
        let mut velocity = speed.clamp(-self.bounds.velocity, self.bounds.velocity);
        if velocity != speed {
            clamps |= ClampCause::Velocity.bit();
        }
        for _ in 0..=HALVINGS {
            let step = Step { position, velocity, acceleration: 0.0 };
            if let Some(plan) = self.prove(step) {
                return Proposal { step, plan, target: position, met: true, clamps };
            }
            // No stop from there ends inside.
            clamps |= ClampCause::Position.bit();
            velocity *= 0.5;
        }
        let step = Step { position, ..Step::default() };
        Proposal { step, plan: StopPlan::default(), target: position, met: true, clamps }
    }

    /// Cycles until the joint stands, should it be stopped now.
    pub fn stopping_cycles(&self) -> u32 {
        self.plan.length()
    }

    /// What becomes of a request: `None` brakes.
    pub fn propose(&self, request: Option<Finite>) -> Proposal {
        match request {
            Some(target) => self.follow(target),
            None => self.brake(),
        }
    }

    /// Takes the next step of the stop.
    pub fn brake(&self) -> Proposal {
        let (step, plan) = self.plan.advance(self.step);
        // Rounding must not leave the range.
        let position = self.bounds.inside(step.position, self.step.position);
        // A joint that brakes has no target that moves.
        Proposal { step: Step { position, ..step }, plan, target: position, met: true, clamps: 0 }
    }

    /// The step nearest to `target` that the limits allow, with the set of [`ClampCause`] bits of
    /// the limits that the step to `target` itself would break. [`ClampCause::Position`] also
    /// stands for a stop that would have ended outside.
    ///
    /// A target that moves inside the limits is met exactly. Any other is approached as fast as the
    /// limits allow, without running past it.
    pub fn follow(&self, target: Finite) -> Proposal {
        let target = target.get();
        let allowed = target.clamp(self.bounds.lower, self.bounds.upper);
        let mut clamps = if allowed == target { 0 } else { ClampCause::Position.bit() };

        let velocity = allowed - self.step.position;
        let exact =
            Step { position: allowed, velocity, acceleration: velocity - self.step.velocity };
        let broken = self.broken(exact);
        // A target that jumps, or one outside the range, has no velocity that would mean anything.
        let drift = target - self.target;
        let drifts = allowed == target && drift.abs() <= self.bounds.velocity;
        let drift = if drifts { drift } else { 0.0 };
        clamps |= if broken != 0 {
            broken
        } else if !self.met && !self.can_stay(exact, drift) {
            ClampCause::Acceleration.bit()
        } else if let Some(plan) = self.prove(exact) {
            return Proposal { step: exact, plan, target, met: true, clamps };
        } else {
            ClampCause::Position.bit()
        };
        let wanted = self.approach(allowed, drift);
        let (step, plan) = self.nearest(wanted);
        Proposal { step, plan, target, met: false, clamps }
    }

    /// Makes a proposal the joint's command.
    pub fn commit(&mut self, proposal: &Proposal) {
        self.step = proposal.step;
        self.plan = proposal.plan;
        self.target = proposal.target;
        self.met = proposal.met;
    }

    /// True if a joint that arrives at its target with `to` can go on with it: a target that was
    /// caught up with is to be met, not run past.
    fn can_stay(&self, to: Step, drift: f64) -> bool {
        let change = drift - to.velocity;
        let most = self.bounds.jerk.min(self.bounds.acceleration);
        change.abs() <= most && (change - to.acceleration).abs() <= self.bounds.jerk
    }

    /// The limits that a step would break, other than of position.
    fn broken(&self, to: Step) -> u16 {
        let bounds = &self.bounds;
        let beyond = |value: f64, most: f64| value.abs() > most * (1.0 + SLACK);
        let mut causes = 0;
        if beyond(to.velocity, self.speed) {
            causes |= ClampCause::Velocity.bit();
        }
        if beyond(to.velocity, self.stride) {
            causes |= ClampCause::Step.bit();
        }
        if beyond(to.acceleration, bounds.acceleration) {
            causes |= ClampCause::Acceleration.bit();
        }
        if beyond(to.acceleration - self.step.acceleration, bounds.jerk) {
            causes |= ClampCause::Jerk.bit();
        }
        causes
    }

    /// A stop after `to` that stays inside, if `to` itself does.
    fn prove(&self, to: Step) -> Option<StopPlan> {
        let bounds = &self.bounds;
        if to.velocity.abs() > bounds.velocity * (1.0 + SLACK)
            || !bounds.holds(to.position, self.step.position)
            || !bounds.passes_barrier(to.position, to.velocity)
        {
            return None;
        }
        StopPlan::find(to, bounds).filter(|plan| plan.stays_inside(to, bounds))
    }

    /// The acceleration, within what one cycle can change, whose stop relative to the moving target
    /// ends on it: the fastest approach that does not run past.
    fn approach(&self, allowed: f64, drift: f64) -> f64 {
        let bounds = &self.bounds;
        // A generator may have taken over from faster motion: then it comes down first.
        let [slower, faster] =
            [self.step.acceleration - bounds.jerk, self.step.acceleration + bounds.jerk];
        let least = slower.max(-bounds.acceleration).min(faster);
        let most = faster.min(bounds.acceleration).max(slower);
        let overshoot = |acceleration: f64| {
            let step = self.step.next(acceleration);
            let relative = Step { velocity: step.velocity - drift, ..step };
            let end = StopPlan::find(relative, bounds).map_or(step.position, |it| it.end(relative));
            end - allowed
        };
        let (low, high) = (overshoot(least), overshoot(most));
        // On this side of the target, whichever that is: the search aims a little short of it.
        let short = if self.step.position > allowed { -0.5 } else { 0.5 } * (high - low) / FINE;
        let (mut below, mut above) = ((least, low + short), (most, high + short));
        if above.1 <= 0.0 {
            return most;
        }
        if below.1 >= 0.0 {
            return least;
        }
        // Where the end jumps (a stop gains a cycle) nothing comes near: then the tries end between
        // two accelerations that hardly differ.
        let narrow = (most - least) / FINE;
        // Regula falsi. A side that stays counts half the next time, so that both close in.
        let mut stayed = 0;
        for _ in 0..TRIES {
            let share = below.1 / (below.1 - above.1);
            let between = below.0 + share * (above.0 - below.0);
            let missed = overshoot(between) + short;
            if missed.abs() <= short.abs() {
                return between;
            }
            if above.0 - below.0 <= narrow {
                break;
            }
            if missed < 0.0 {
                below = (between, missed);
                above.1 *= if stayed > 0 { 0.5 } else { 1.0 };
                stayed = 1;
            } else {
                above = (between, missed);
                below.1 *= if stayed < 0 { 0.5 } else { 1.0 };
                stayed = -1;
            }
        }
        if short < 0.0 { above.0 } else { below.0 }
    }

    /// The step nearest to acceleration `wanted` that leaves a stop. The proven stop's own next
    /// step always does.
    fn nearest(&self, wanted: f64) -> (Step, StopPlan) {
        let proven = self.brake();
        let mut best = (proven.step, proven.plan);
        let braked = best.0.acceleration;
        let (mut good, mut bad) = (0.0, 1.0);
        let mut share = 1.0;
        for _ in 0..=HALVINGS {
            let step = self.step.next(braked + share * (wanted - braked));
            match self.prove(step) {
                Some(plan) => {
                    best = (step, plan);
                    good = share;
                }
                None => bad = share,
            }
            if good == 1.0 {
                break;
            }
            share = 0.5 * (good + bad);
        }
        best
    }
}

#[cfg(test)]
mod tests;
