//! What one joint's gate grants, approaches and takes over.

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

#[test]
fn a_led_joint_moves_as_measured_and_brakes_from_there() {
    let mut gate = JointGate::new(&limits(), DT);
    let led = gate.led(Finite::new(3.0).unwrap(), Finite::new(0.5).unwrap());
    assert_eq!((led.step.position, led.step.velocity, led.clamps), (3.0, 0.5 * DT, 0));
    gate.commit(&led);
    brake(&mut gate);
    // The first cycle of a stop changes the speed by one step of jerk.
    assert!((gate.motion().velocity - (0.5 - UNIT / DT)).abs() < 1e-9, "{:?}", gate.motion());
    while gate.stopping_cycles() > 0 {
        brake(&mut gate);
    }
    assert_eq!(gate.motion().velocity, 0.0);
    assert!(gate.motion().position > 3.02);
    // Faster than its limit, and outside its range.
    let fast = gate.led(Finite::new(0.0).unwrap(), Finite::new(-7.0).unwrap());
    assert_eq!((fast.step.velocity, fast.clamps), (-DT, ClampCause::Velocity.bit()));
    let outside = gate.led(Finite::new(17.0).unwrap(), Finite::new(0.2).unwrap());
    assert_eq!((outside.step.position, outside.clamps), (16.0, ClampCause::Position.bit()));
}

proptest! {
    #[test]
    fn wherever_a_hand_takes_a_joint_it_can_be_stopped_inside_its_limits(
        path in prop::collection::vec((-20.0..20.0f64, -3.0..3.0f64), 1..40),
    ) {
        let mut gate = JointGate::new(&limits(), DT);
        for (position, velocity) in path {
            let led = gate.led(Finite::new(position).unwrap(), Finite::new(velocity).unwrap());
            gate.commit(&led);
            prop_assert!((-16.0..=16.0).contains(&gate.motion().position));
            prop_assert!(gate.motion().velocity.abs() <= 1.0 + 1e-12);
            prop_assert!(led.clamps != 0 || gate.motion().position == position);
            let mut stopping = gate;
            let mut before = stopping.motion();
            while stopping.stopping_cycles() > 0 {
                brake(&mut stopping);
                let motion = stopping.motion();
                prop_assert!((-16.0..=16.0).contains(&motion.position));
                prop_assert!(motion.acceleration.abs() <= 4.0 + 1e-9);
                prop_assert!((motion.acceleration - before.acceleration).abs() <= 64.0 * DT + 1e-9);
                before = motion;
            }
            // But for rounding, which the next cycle takes away.
            prop_assert!(stopping.motion().velocity.abs() < 1e-12);
        }
    }
}
