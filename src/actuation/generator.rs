//! The target generator: the fastest motion inside speed, acceleration and jerk that follows a
//! target, whatever the target does.
//!
//! It is the gate's own law ([`JointGate`]) inside slower limits, so that the gate behind it has
//! nothing left to change: a target that moves inside those limits is met exactly, any other is
//! caught up with without running past. (Measured against `rsruckig` 3.0.1's `Trackig`, which
//! follows a smooth target up to 67 mrad behind when it is not told its acceleration:
//! `docs/benchmarks.md`.)

use crate::limits::{Finite, JointGate, JointLimits, Motion};

/// Generators of all joints of a robot, each in its own time.
#[derive(Clone, Debug)]
pub struct TargetGenerator {
    joints: Vec<JointGate>,
}

/// How far from the ends of the range a generator for targets stays, in steps of its acceleration.
/// Stops are counted in whole cycles: where the generator finds one that just fits, the gate may
/// need a little more.
const INSET: f64 = 2.0;

impl TargetGenerator {
    /// Generators inside `limits` in cycles of `dt` seconds, standing at 0: for goals that may lie
    /// at the very end of the range. There the gate may have a last step to change.
    pub fn new(limits: &[JointLimits], dt: f64) -> Self {
        Self { joints: limits.iter().map(|limits| JointGate::new(limits, dt)).collect() }
    }

    /// Generators that keep a little off the ends of the range (two steps of acceleration, at most
    /// a hundredth of the range): for targets, whose motion the gate is to let through as it is.
    pub fn inset(limits: &[JointLimits], dt: f64) -> Self {
        let inset = |limits: &JointLimits| {
            let [lower, upper] = limits.position;
            let inset = (INSET * limits.max_acceleration * dt * dt).min(0.01 * (upper - lower));
            JointLimits { position: [lower + inset, upper - inset], ..*limits }
        };
        Self::new(&limits.iter().map(inset).collect::<Vec<_>>(), dt)
    }

    /// Joint `joint` goes on as `gate` does, whatever it did before.
    pub fn begin(&mut self, joint: usize, gate: &JointGate) {
        if let Some(track) = self.joints.get_mut(joint) {
            track.go_on_from(gate);
        }
    }

    /// The next position of joint `joint` on its way to `target`.
    pub fn step(&mut self, joint: usize, target: Finite) -> Option<Finite> {
        let track = self.joints.get_mut(joint)?;
        let proposal = track.follow(target);
        track.commit(&proposal);
        Finite::new(track.motion().position)
    }

    /// The present motion of joint `joint`.
    pub fn motion(&self, joint: usize) -> Motion {
        self.joints.get(joint).map(JointGate::motion).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits() -> JointLimits {
        JointLimits {
            position: [-2.0, 2.0],
            max_velocity: 1.0,
            max_acceleration: 2.5,
            max_jerk: 50.0,
            max_step: 1.0,
            barrier: None,
            effort: None,
        }
    }

    /// Positions of generator and gate behind it, and how many cycles the gate changed.
    fn follow(dt: f64, targets: impl IntoIterator<Item = f64>) -> (Vec<[f64; 3]>, usize) {
        let mut generator = TargetGenerator::inset(&[limits().slowed(0.95)], dt);
        let mut gate = JointGate::new(&limits(), dt);
        gate.reset(Finite::new(0.0).unwrap());
        let mut clamped = 0;
        let step = |target: f64| {
            let generated = generator.step(0, Finite::new(target).unwrap()).unwrap();
            let proposal = gate.propose(Some(generated));
            gate.commit(&proposal);
            clamped += usize::from(gate.motion().position != generated.get());
            [target, generated.get(), gate.motion().position]
        };
        (targets.into_iter().map(step).collect(), clamped)
    }

    #[test]
    fn a_smooth_target_is_followed_without_lag() {
        for dt in [0.02, 0.001] {
            let count = (8.0 / dt) as u32;
            let target = |k: u32| 0.4 * (1.0 - (1.2 * f64::from(k) * dt).cos());
            let (path, clamped) = follow(dt, (0..count).map(target));
            let worst = path[count as usize / 4..]
                .iter()
                .map(|[target, generated, _]| (target - generated).abs())
                .fold(0.0, f64::max);
            assert!(worst < 1e-12, "{worst} at {dt}");
            assert_eq!(clamped, 0, "at {dt}");
        }
    }

    #[test]
    fn corners_and_steps_become_motion_that_the_gate_lets_through() {
        for dt in [0.02, 0.001] {
            let second = (1.0 / dt) as usize;
            // Straight lines with corners at 10 Hz, then steps.
            let zigzag = (0..4 * second).map(|k| {
                let phase = k as f64 * dt * 10.0;
                let corner = |n: f64| 0.3 * (n * 1.7).sin();
                let (n, share) = (phase.floor(), phase.fract());
                corner(n) * (1.0 - share) + corner(n + 1.0) * share
            });
            let steps = (0..15 * second).map(|k| [1.0, -1.5, 5.0][k / (5 * second)]);
            let (path, clamped) = follow(dt, zigzag.chain(steps));
            let share = clamped as f64 / path.len() as f64;
            assert!(share < 0.001, "{clamped} of {} cycles at {dt}", path.len());
            let [_, generated, commanded] = path[path.len() - 1];
            assert!((1.998..=2.0).contains(&generated) && generated == commanded, "{generated}");
        }
    }

    #[test]
    fn a_goal_at_the_very_end_of_the_range_is_reached() {
        for (dt, fraction) in [(0.02, 0.2), (0.02, 0.99), (0.01, 0.5), (0.001, 0.2), (0.001, 0.99)]
        {
            let mut gate = JointGate::new(&limits(), dt);
            gate.reset(Finite::new(0.3).unwrap());
            let mut rest = TargetGenerator::new(&[limits().slowed(fraction)], dt);
            rest.begin(0, &gate);
            for goal in [2.0, -2.0, 0.1, 2.0] {
                let mut cycles = 0;
                while gate.motion() != Motion::at_rest(goal) {
                    let generated = rest.step(0, Finite::new(goal).unwrap()).unwrap();
                    let proposal = gate.propose(Some(generated));
                    gate.commit(&proposal);
                    if gate.motion().position != generated.get() {
                        rest.begin(0, &gate);
                    }
                    cycles += 1;
                    let motion = gate.motion();
                    assert!(f64::from(cycles) * dt < 30.0, "{motion:?} at {dt}, {fraction}");
                    if (motion.position - goal).abs() < 1e-6 && motion.velocity.abs() < 1e-6 {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_generator_goes_on_as_the_gate_does_even_from_faster_motion() {
        let dt = 0.01;
        let mut gate = JointGate::new(&limits(), dt);
        gate.reset(Finite::new(0.0).unwrap());
        let mut fast = TargetGenerator::new(&[limits()], dt);
        for _ in 0..100 {
            let proposal = gate.follow(fast.step(0, Finite::new(2.0).unwrap()).unwrap());
            gate.commit(&proposal);
        }
        assert!((gate.motion().velocity - 1.0).abs() < 1e-6);
        let mut generator = TargetGenerator::new(&[limits().slowed(0.5)], dt);
        generator.begin(0, &gate);
        for cycle in 0..400 {
            let generated = generator.step(0, Finite::new(-1.0).unwrap()).unwrap();
            let proposal = gate.follow(generated);
            gate.commit(&proposal);
            assert_eq!(gate.motion().position, generated.get(), "cycle {cycle}");
        }
        assert!((generator.motion(0).velocity + 0.5).abs() < 1e-6);
        assert!(generator.step(3, Finite::new(0.5).unwrap()).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn whatever_the_target_does_a_way_is_found(
            targets in prop::collection::vec((-10.0..10.0f64, 1..30usize), 1..30),
        ) {
            let targets: Vec<f64> = targets
                .into_iter()
                .flat_map(|(target, cycles)| std::iter::repeat_n(target, cycles))
                .collect();
            let (path, _) = follow(0.01, targets);
            for pair in path.windows(2) {
                prop_assert!((pair[1][1] - pair[0][1]).abs() <= 0.01 + 1e-9);
                prop_assert!(pair[1][1].abs() <= 2.0);
            }
        }
    }
}
