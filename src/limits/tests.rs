//! What the gate promises, against histories nobody would think of.

use std::sync::Arc;

use proptest::prelude::*;
use sinew_episodes::journal::ClampCause;
use sinew_firmware_interfaces::MAX_JOINTS;

use super::judge::Judge;
use super::*;

const DT: f64 = 0.02;

fn limits() -> JointLimits {
    JointLimits {
        position: [-1.0, 1.0],
        max_velocity: 0.8,
        max_acceleration: 2.0,
        max_jerk: 40.0,
        max_step: 0.02,
        barrier: None,
        effort: None,
    }
}

/// Positions and clamps of one joint that is asked for `targets`; what is not finite brakes.
fn follow(
    limits: JointLimits,
    dt: f64,
    start: f64,
    targets: impl IntoIterator<Item = f64>,
) -> Vec<(f64, u16)> {
    let mut gate = JointGate::new(&limits, dt);
    gate.reset(Finite::new(start).unwrap());
    let step = |target: f64| {
        let proposal = gate.propose(Finite::new(target));
        gate.commit(&proposal);
        (gate.motion().position, proposal.clamps)
    };
    targets.into_iter().map(step).collect()
}

#[test]
fn when_the_target_moves_inside_the_limits_it_is_followed_exactly() {
    let targets: Vec<f64> =
        (0..400).map(|k| 0.2 * (1.0 - (1.5 * f64::from(k) * DT).cos()).powi(2)).collect();
    let path = follow(limits(), DT, 0.0, targets.iter().copied());
    for (target, (limited, clamps)) in targets.iter().zip(path) {
        assert_eq!((*target, 0), (limited, clamps));
    }
}

#[test]
fn when_the_target_steps_it_is_reached_without_running_past_it() {
    let path = follow(limits(), DT, 0.0, std::iter::repeat_n(0.5, 200));
    assert!(path.iter().all(|(position, _)| *position <= 0.5 + 1e-12));
    let arrival = path.iter().position(|(position, _)| (position - 0.5).abs() < 1e-9).unwrap();
    // 0.5 at 0.8/s, with 0.4 s and 0.05 s of speeding up and slowing down: 1.1 s at best.
    assert!((50..70).contains(&arrival), "arrived after {arrival} cycles");
    for cause in
        [ClampCause::Velocity, ClampCause::Step, ClampCause::Acceleration, ClampCause::Jerk]
    {
        assert_ne!(path[0].1 & cause.bit(), 0, "{cause:?}");
    }
    assert_eq!(path[199].1, 0);
}

#[test]
fn a_target_that_moves_is_caught_up_with_and_then_met_exactly() {
    let target = |k: u32| 0.3 + 0.2 * f64::from(k) * DT;
    let path = follow(limits(), DT, 0.0, (0..150).map(target));
    let met = path.iter().position(|(_, clamps)| *clamps == 0).unwrap();
    assert!(met < 80, "met after {met} cycles");
    for (k, (position, clamps)) in (0..150).zip(&path) {
        assert!(*position <= target(k) + 1e-12, "ran past at cycle {k}");
        if k as usize > met {
            assert_eq!((*position, *clamps), (target(k), 0));
        }
    }
}

#[test]
fn when_the_target_leaves_the_range_the_joint_stops_at_its_end_and_says_position() {
    let path = follow(limits(), DT, 0.0, std::iter::repeat_n(5.0, 300));
    assert_eq!(path[299], (1.0, ClampCause::Position.bit()));
}

#[test]
fn when_nothing_is_asked_the_joint_takes_the_stop_that_was_proven() {
    let targets = (0..20).map(|k| f64::from(k) * 0.01).chain(std::iter::repeat_n(f64::NAN, 60));
    let path = follow(limits(), DT, 0.0, targets);
    assert!(path.iter().all(|(position, _)| position.is_finite()));
    assert_eq!(path[78], path[79]);
    assert_eq!(path[79].1, 0);
}

#[test]
fn when_the_joint_starts_outside_its_range_it_only_moves_inwards() {
    for asked in [1.5, f64::NAN, 0.9] {
        let path = follow(limits(), DT, 1.2, std::iter::repeat_n(asked, 100));
        assert!(path.windows(2).all(|pair| pair[1].0 <= pair[0].0), "{asked}");
        assert!(path[0].0 <= 1.2);
        if asked == 1.5 {
            assert_eq!(path[99].0, 1.0);
        }
    }
}

#[test]
fn each_cause_stands_for_the_limit_that_the_request_breaks() {
    let wide = JointLimits { max_jerk: 1e9, max_step: 1.0, ..limits() };
    // From a stand a step of 0.0005 is 0.025/s and 1.25/s².
    let first = |limits: JointLimits, target: f64| follow(limits, DT, 0.0, [target])[0].1;
    assert_eq!(first(wide, 0.0005), 0);
    assert_eq!(first(wide, 0.001), ClampCause::Acceleration.bit());
    assert_eq!(first(limits(), 0.0005), ClampCause::Jerk.bit());
    let quick = JointLimits { max_acceleration: 1e6, max_jerk: 1e12, ..limits() };
    assert_eq!(first(JointLimits { max_step: 1.0, ..quick }, 0.018), ClampCause::Velocity.bit());
    assert_eq!(first(JointLimits { max_step: 0.01, ..quick }, 0.012), ClampCause::Step.bit());
    assert_eq!(first(quick, 0.012), 0);
}

#[test]
fn a_speed_that_leaves_no_stop_before_the_end_of_the_range_is_a_matter_of_position() {
    let limits = JointLimits { max_jerk: 1e4, ..limits() };
    let (mut target, mut speed) = (0.0, 0.0f64);
    let targets = (0..200).map(|_| {
        speed = (speed + 1.5 * DT).min(0.7);
        target = (target + speed * DT).min(0.999);
        target
    });
    let path = follow(limits, DT, 0.0, targets);
    let position_only = path.iter().any(|(_, clamps)| *clamps == ClampCause::Position.bit());
    assert!(position_only);
    assert!(path.iter().all(|(position, _)| *position <= 1.0));
    assert!((path[199].0 - 0.999).abs() < 1e-9);
}

#[test]
fn a_barrier_bounds_the_speed_by_the_position() {
    // FR3 joint 1: libfranka's constants.
    let barrier = VelocityBarrier { position: [-2.7437, 2.7437], offset: 0.30, deceleration: 6.0 };
    let limits = JointLimits {
        position: [-2.7, 2.7],
        max_velocity: 2.62,
        max_acceleration: 10.0,
        max_jerk: 5000.0,
        max_step: 1.0,
        barrier: Some(barrier),
        effort: None,
    };
    for target in [2.7, -2.7] {
        let mut judge = Judge::new(limits, 0.001, 0.0);
        let path = follow(limits, 0.001, 0.0, std::iter::repeat_n(target, 6000));
        for (position, _) in &path {
            judge.next(*position).unwrap();
        }
        assert!((path[5999].0 - target).abs() < 1e-9);
    }
}

#[test]
fn limits_may_be_as_good_as_absent() {
    let open = JointLimits {
        position: [-1e6, 1e6],
        max_velocity: 1e6,
        max_acceleration: 1e9,
        max_jerk: 1e12,
        max_step: 1e6,
        ..limits()
    };
    for (target, (position, clamps)) in
        [3.0, -70.0, 1e3, 2.5].iter().zip(follow(open, DT, 0.0, [3.0, -70.0, 1e3, 2.5]))
    {
        assert_eq!((*target, 0), (position, clamps));
    }
}

/// A small generator of its own: a million histories in a test need one that costs nothing.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform in 0 to 1.
    fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Over orders of magnitude.
    fn scale(&mut self, low: f64, high: f64) -> f64 {
        (self.between(low.ln(), high.ln())).exp()
    }

    fn limits(&mut self, dt: f64) -> JointLimits {
        let width = self.scale(1e-3, 10.0);
        let lower = self.between(-3.0, 3.0);
        let max_velocity = self.scale(1e-2, 30.0);
        let max_acceleration = self.scale(1e-1, 1e3);
        let barrier = self.roll().is_multiple_of(8).then(|| VelocityBarrier {
            position: [lower - 0.01, lower + width + 0.01],
            offset: self.between(0.0, 0.5),
            deceleration: max_acceleration * self.between(0.1, 1.0),
        });
        JointLimits {
            position: [lower, lower + width],
            max_velocity,
            max_acceleration,
            max_jerk: max_acceleration * self.scale(1.0, 1e4),
            max_step: max_velocity * dt * self.between(1.0, 2.0),
            barrier,
            effort: None,
        }
    }

    /// What a source might ask for after `last`, or never should.
    fn target(&mut self, limits: &JointLimits, last: f64, dt: f64) -> f64 {
        let [lower, upper] = limits.position;
        match self.roll() % 16 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -1e300,
            3 => f64::MIN_POSITIVE,
            4 => lower,
            5 => upper,
            6 | 7 => self.between(lower - 1.0, upper + 1.0),
            8 | 9 => last,
            _ => last + limits.max_velocity * dt * self.between(-1.5, 1.5),
        }
    }
}

/// One history: random limits, a random start, targets of every kind, then a stop.
fn history(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let dt = dice.scale(2e-4, 0.1);
    let limits = dice.limits(dt);
    let [lower, upper] = limits.position;
    let start = match dice.roll() % 8 {
        0 => lower,
        1 => upper + 0.02 * dice.share(),
        _ => dice.between(lower, upper),
    };
    let mut gate = JointGate::new(&limits, dt);
    gate.reset(Finite::new(start).unwrap());
    let mut judge = Judge::new(limits, dt, start);
    let mut target = start;
    let mut held = 0;
    for _ in 0..dice.roll() % 48 {
        // Sources repeat themselves: a target that stays lets speed build up.
        if held == 0 {
            target = dice.target(&limits, target, dt);
            held = dice.roll() % 12;
        }
        held -= u64::from(held > 0);
        let proposal = gate.propose(Finite::new(target));
        gate.commit(&proposal);
        judge.next(gate.motion().position)?;
        if !target.is_finite() {
            target = gate.motion().position;
        }
    }
    // A stop is always within reach, and ends.
    let cycles = gate.stopping_cycles().min(2000);
    for _ in 0..cycles {
        let proposal = gate.propose(None);
        gate.commit(&proposal);
        judge.next(gate.motion().position)?;
    }
    if gate.stopping_cycles() == 0 {
        let rest = gate.motion().position;
        let proposal = gate.propose(None);
        gate.commit(&proposal);
        if gate.motion() != Motion::at_rest(rest) {
            return Err(format!("a stop that is over still moves: {:?}", gate.motion()));
        }
    } else if cycles < 2000 {
        return Err("a stop that does not end".to_owned());
    }
    Ok(())
}

/// A million histories; `SINEW_HISTORIES` asks for another number, or for seeds FROM..TO.
#[test]
fn whatever_is_asked_no_command_is_outside_the_limits_and_a_stop_is_within_reach() {
    let asked = std::env::var("SINEW_HISTORIES").unwrap_or_else(|_| "1000000".to_owned());
    let (from, to) = asked.split_once("..").unwrap_or(("0", &asked));
    let seed = |text: &str| text.parse::<u64>().expect("a number of histories");
    for seed in seed(from)..seed(to) {
        if let Err(error) = history(seed) {
            panic!("history {seed}: {error}");
        }
    }
}

#[derive(Debug)]
struct Elbow;

/// Two links of 0.4 m and 0.3 m in a plane.
impl Tool for Elbow {
    fn tip(&self, q: &[f64]) -> [f64; 3] {
        let (first, second) = (q[0], q[0] + q[1]);
        [0.4 * first.cos() + 0.3 * second.cos(), 0.4 * first.sin() + 0.3 * second.sin(), 0.0]
    }

    fn reach(&self, joint: usize) -> f64 {
        [0.7, 0.3].get(joint).copied().unwrap_or(0.0)
    }
}

fn boxed() -> Workspace {
    Workspace::new(Arc::new(Elbow), [-0.2, -0.5, -1.0], [0.68, 0.5, 1.0])
}

fn requests(values: &[f64]) -> [Option<Finite>; MAX_JOINTS] {
    std::array::from_fn(|joint| values.get(joint).copied().and_then(Finite::new))
}

#[test]
fn a_tool_that_would_leave_its_box_stops_inside_and_may_turn_back() {
    let limits = [JointLimits { position: [-3.0, 3.0], ..limits() }; 2];
    let mut gate = Gate::new(&limits, Some(boxed()), DT);
    let start = [0.4, 0.9].map(|value| Finite::new(value).unwrap());
    start.iter().enumerate().for_each(|(joint, start)| gate.reset(joint, *start));
    let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
    let mut stopped = 0;
    for _ in 0..300 {
        // Straight out: the tool would reach x = 0.7.
        gate.apply(&requests(&[0.0, 0.0]), &mut limited, &mut clamps);
        assert!(boxed().holds(&limited[..2], 0.0), "{:?}", Elbow.tip(&limited[..2]));
        stopped += u32::from(clamps[0] & ClampCause::Workspace.bit() != 0);
    }
    assert!(stopped > 50);
    assert!(Elbow.tip(&limited[..2])[0] > 0.62, "it stops close to the wall");
    for _ in 0..200 {
        gate.apply(&requests(&[0.4, 0.9]), &mut limited, &mut clamps);
        assert!(boxed().holds(&limited[..2], 0.0));
    }
    assert!((limited[0] - 0.4).abs() < 1e-9 && (limited[1] - 0.9).abs() < 1e-9);
}

#[test]
fn a_tool_nearer_to_a_wall_than_it_may_go_can_leave_it_and_never_comes_nearer() {
    let limits = [JointLimits { position: [-3.0, 3.0], ..limits() }; 2];
    for targets in [[[0.4, 0.9]; 2], [[0.0, 0.0], [0.4, 0.9]], [[0.3, 0.4], [0.3, 0.9]]] {
        let mut gate = Gate::new(&limits, Some(boxed()), DT);
        // 3 mm from the wall at x = 0.68 m, as after a sag.
        let start = [0.0, 0.394].map(|value| Finite::new(value).unwrap());
        start.iter().enumerate().for_each(|(joint, start)| gate.reset(joint, *start));
        let nearest = Elbow.tip(&[0.0, 0.394])[0];
        assert!((0.676..0.678).contains(&nearest));
        let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
        for target in targets {
            for _ in 0..300 {
                gate.apply(&requests(&target), &mut limited, &mut clamps);
                let tip = Elbow.tip(&limited[..2]);
                assert!(tip[0] <= nearest, "{tip:?}");
            }
        }
        let [.., goal] = targets;
        let missed = (limited[0] - goal[0]).abs() + (limited[1] - goal[1]).abs();
        assert!(missed < 1e-9, "{limited:?} for {goal:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn whatever_is_asked_the_tool_stays_in_its_box(
        targets in prop::collection::vec((-3.2..3.2f64, -3.2..3.2f64, 1..40usize), 1..8),
    ) {
        let quick = JointLimits {
            position: [-3.0, 3.0],
            max_velocity: 2.5,
            max_acceleration: 15.0,
            max_jerk: 300.0,
            max_step: 0.1,
            ..limits()
        };
        let mut gate = Gate::new(&[quick; 2], Some(boxed()), 0.005);
        let start = [0.4, 0.9].map(|value| Finite::new(value).unwrap());
        start.iter().enumerate().for_each(|(joint, start)| gate.reset(joint, *start));
        let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
        for (first, second, cycles) in targets {
            for _ in 0..cycles {
                gate.apply(&requests(&[first, second]), &mut limited, &mut clamps);
                prop_assert!(boxed().holds(&limited[..2], 0.0));
            }
        }
    }

    /// The same promise in proptest's hands, which shrinks what breaks it.
    #[test]
    fn whatever_is_asked_the_command_stays_inside_the_limits(
        start in -1.0..1.0f64,
        targets in prop::collection::vec(
            prop_oneof![
                8 => -3.0..3.0f64,
                1 => Just(f64::NAN),
                1 => Just(f64::INFINITY),
                1 => Just(-1e300),
            ],
            0..60,
        ),
    ) {
        let mut judge = Judge::new(limits(), DT, start);
        for (position, _) in follow(limits(), DT, start, targets) {
            prop_assert_eq!(judge.next(position), Ok(()));
        }
    }
}
