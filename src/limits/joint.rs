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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A power of two, so that sums of what follows are exact.
    const DT: f64 = 1.0 / 64.0;
    /// The largest jerk in one cycle. The largest acceleration is 4 of it, the largest speed 64.
    const UNIT: f64 = 1.0 / 4096.0;

    fn limits() -> JointLimits {
        JointLimits {
            position: [-16.0, 16.0],
            max_velocity: 1.0,
            max_acceleration: 4.0,
            max_jerk: 64.0,
            max_step: 1.0,
            barrier: None,
            effort: None,
        }
    }

    /// Asks `gate` for these accelerations, in units; it must grant each.
    fn accelerate(gate: &mut JointGate, units: impl IntoIterator<Item = f64>) {
        for unit in units {
            let to = gate.step.next(unit * UNIT);
            let proposal = gate.propose(Finite::new(to.position));
            assert_eq!((proposal.step, proposal.clamps), (to, 0));
            gate.commit(&proposal);
        }
    }

    /// A gate at 20 units of speed.
    fn moving() -> JointGate {
        let mut gate = JointGate::new(&limits(), DT);
        accelerate(&mut gate, [1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        gate
    }

    fn brake(gate: &mut JointGate) {
        let proposal = gate.propose(None);
        gate.commit(&proposal);
    }

    #[test]
    fn what_uses_a_limit_to_the_full_is_granted() {
        // Acceleration and jerk.
        moving();
        // Speed, and step.
        let stride = JointLimits { max_velocity: 2.0, max_step: DT, ..limits() };
        for limits in [limits(), stride] {
            let mut gate = JointGate::new(&limits, DT);
            accelerate(&mut gate, std::iter::repeat_n(1.0 / 16.0, 1024));
            accelerate(&mut gate, std::iter::repeat_n(0.0, 100));
            assert_eq!(gate.motion().velocity, 1.0);
        }
    }

    #[test]
    fn a_motion_is_told_in_seconds() {
        let mut gate = JointGate::new(&limits(), DT);
        accelerate(&mut gate, [1.0, 2.0]);
        let motion = Motion { position: 4.0 * UNIT, velocity: 3.0 / 64.0, acceleration: 2.0 };
        assert_eq!(gate.motion(), motion);
    }

    #[test]
    fn every_cycle_of_a_stop_is_one_less_to_go() {
        let mut gate = moving();
        let cycles = gate.stopping_cycles();
        assert!(cycles > 8);
        for left in (0..cycles).rev() {
            assert_ne!(gate.motion(), Motion::at_rest(gate.motion().position));
            brake(&mut gate);
            assert_eq!(gate.stopping_cycles(), left);
        }
        brake(&mut gate);
        assert_eq!(gate.motion(), Motion::at_rest(gate.motion().position));
    }

    #[test]
    fn a_gate_that_takes_over_goes_on_with_the_motion_and_stops_within_its_own_limits() {
        let fast = moving();
        let mut slow = JointGate::new(&JointLimits { max_acceleration: 2.0, ..limits() }, DT);
        slow.go_on_from(&fast);
        assert_eq!(slow.motion(), fast.motion());
        assert!(slow.stopping_cycles() > fast.stopping_cycles());
        for _ in 0..20 {
            let proposal = slow.propose(Finite::new(10.0));
            slow.commit(&proposal);
            assert!(slow.motion().acceleration <= 2.0 + 1e-9, "{:?}", slow.motion());
        }
        while slow.stopping_cycles() > 0 {
            brake(&mut slow);
            assert!(slow.motion().acceleration >= -2.0 - 1e-9, "{:?}", slow.motion());
        }
    }

    #[test]
    fn a_gate_that_takes_over_what_is_too_fast_for_it_stops_as_was_proven_and_says_what_bounds() {
        let fast = moving();
        let next = Finite::new(fast.step.next(0.0).position);
        let speed = JointLimits { max_velocity: 0.25, ..limits() };
        let stride = JointLimits { max_step: 16.0 * UNIT, ..limits() };
        for (limits, cause) in [(speed, ClampCause::Velocity), (stride, ClampCause::Step)] {
            let mut slow = JointGate::new(&limits, DT);
            slow.go_on_from(&fast);
            assert_eq!(slow.motion(), fast.motion());
            assert_eq!(slow.stopping_cycles(), fast.stopping_cycles());
            assert_eq!(slow.propose(next).clamps, cause.bit());
        }
    }

    #[test]
    fn whatever_rounding_makes_of_a_stop_it_does_not_leave_the_range() {
        let mut gate = JointGate::new(&limits(), DT);
        gate.step = Step { position: 16.0, velocity: 4.0 * UNIT, acceleration: 0.0 };
        gate.plan = StopPlan::find(gate.step, &gate.bounds).unwrap();
        assert_eq!(gate.brake().step.position, 16.0);
    }

    #[test]
    fn a_target_that_jumps_is_not_taken_for_one_that_moves() {
        let mut gate = moving();
        for target in [10.0, 10.0, 1.0] {
            let before = gate.motion();
            let proposal = gate.propose(Finite::new(target));
            gate.commit(&proposal);
            // All of them are far ahead.
            assert!(gate.motion().acceleration > before.acceleration, "{target}");
        }
    }

    #[test]
    fn a_target_can_be_stayed_with_where_one_cycle_is_enough_to_take_on_its_velocity() {
        let gate = moving();
        for (acceleration, drift, stays) in [
            (0.0, 20.0, true),
            (0.0, 21.0, true),
            (0.0, 19.0, true),
            (0.0, 21.5, false),
            (1.0, 21.0, true),
            (-1.0, 20.5, false),
            (2.0, 20.5, false),
            (1.5, 21.5, false),
        ] {
            let (velocity, acceleration) = (20.0 * UNIT, acceleration * UNIT);
            let to = Step { position: 0.0, velocity, acceleration };
            assert_eq!(gate.can_stay(to, drift * UNIT), stays, "{acceleration} {drift}");
        }
    }

    #[test]
    fn what_is_too_fast_is_not_granted_although_its_stop_turns_round_and_is_slow_enough() {
        let limits = JointLimits { max_acceleration: 40.0, ..limits() };
        let gate = JointGate::new(&limits, DT);
        let step = |velocity: f64| Step {
            velocity: velocity * UNIT,
            acceleration: 16.0 * UNIT,
            ..Step::default()
        };
        assert!(gate.prove(step(-60.0)).is_some());
        let plan = StopPlan::find(step(-80.0), &gate.bounds).unwrap();
        assert!(plan.stays_inside(step(-80.0), &gate.bounds));
        assert!(gate.prove(step(-80.0)).is_none());
    }

    #[test]
    fn where_the_range_ends_a_thousandth_more_would_leave_no_stop() {
        let mut gate = JointGate::new(&limits(), DT);
        let (mut looked, mut bounded) = (0, 0);
        // From the last place where the joint can stop at all on.
        let way = moving().plan.end(Step { position: 0.0, ..moving().step });
        for ahead in 0..100 {
            let position = 16.0 - way - 0.25 * f64::from(ahead) * UNIT;
            gate.step = Step { position, ..moving().step };
            gate.plan = gate.prove(gate.step).unwrap();
            let (wanted, braked) = (UNIT, gate.brake().step.acceleration);
            let (step, plan) = gate.nearest(wanted);
            assert_eq!(gate.prove(step), Some(plan));
            if step.acceleration != wanted {
                let more = step.acceleration + 2e-3 * (wanted - braked);
                looked += 1;
                bounded += u32::from(gate.prove(gate.step.next(more)).is_none());
            }
        }
        assert!(looked > 50 && bounded == looked, "{bounded} of {looked}");
    }

    #[test]
    fn an_approach_whose_utmost_would_end_a_hair_past_the_target_takes_less() {
        for side in [-1.0, 1.0] {
            let mut gate = moving();
            gate.step = Step { position: 0.0, velocity: side * gate.step.velocity, ..gate.step };
            let end = |acceleration: f64| {
                let step = gate.step.next(acceleration);
                StopPlan::find(step, &gate.bounds).unwrap().end(step)
            };
            let (utmost, least) = (side * UNIT, -side * UNIT);
            let hair = 0.1 * (end(utmost) - end(least)) / FINE;
            let target = end(utmost) - hair;
            assert!(side * (end(gate.approach(target, 0.0)) - target) <= 0.0);
            assert_eq!(gate.approach(target + 100.0 * hair, 0.0), utmost);
        }
    }

    proptest! {
        /// Whatever the joint does, the approach to a target ends on it or a little short of it.
        #[test]
        fn an_approach_ends_short_of_its_target_and_hardly_so(
            units in prop::collection::vec((-1.0..1.0f64, 1..20u32), 1..6),
            aims in prop::collection::vec((-200.0..200.0f64, -30.0..30.0f64), 200),
        ) {
            let mut gate = JointGate::new(&limits(), DT);
            let mut close = 0;
            for (change, cycles) in units {
                for _ in 0..cycles {
                    let to = gate.step.next(gate.step.acceleration + change * UNIT);
                    let Some(plan) = gate.prove(to) else { break };
                    if gate.broken(to) == 0 {
                        (gate.step, gate.plan) = (to, plan);
                    }
                }
            }
            for (ahead, drift) in &aims {
                let drift = drift * UNIT;
                let target = gate.step.position + ahead * UNIT;
                let end = |acceleration: f64| {
                    let step = gate.step.next(acceleration);
                    let relative = Step { velocity: step.velocity - drift, ..step };
                    let plan = StopPlan::find(relative, &gate.bounds).unwrap_or_default();
                    plan.end(relative) - target
                };
                let least = (gate.step.acceleration - UNIT).max(-4.0 * UNIT);
                let most = (gate.step.acceleration + UNIT).min(4.0 * UNIT);
                let taken = gate.approach(target, drift);
                prop_assert!((least..=most).contains(&taken));
                let short = -end(taken) * ahead.signum();
                let fine = (end(most) - end(least)) / FINE;
                let utmost = if *ahead > 0.0 { [least, most] } else { [most, least] };
                prop_assert!(taken == utmost[0] || short >= -1e-12, "past it by {short}");
                close += u32::from(utmost.contains(&taken) || short <= fine * 1.01);
            }
            // The end of a stop jumps where it gains a cycle: nothing ends near a target there.
            prop_assert!(close >= 165, "{close} of {} end on their target", aims.len());
        }
    }
}
