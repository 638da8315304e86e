//! The last gate before the robot: pure functions over plain numbers, one joint at a time.
//!
//! All quantities are in the joint's unit (rad, m, or openings of a gripper), per second where
//! they are rates. The gate works on commands, not on measurements: a joint's motion state is the
//! position and velocity of the previous command.
//!
//! Where limits conflict, this order decides: finite, position, acceleration, velocity and step.
//! Position can always be kept, because velocity is bounded at every cycle by what the
//! acceleration limit can still brake before the end of the range. A velocity above its limit
//! (possible only when limits were narrowed during motion) is reduced as fast as the acceleration
//! limit allows, never by a jump.

use sinew_episodes::journal::ClampCause;
use sinew_firmware_interfaces::MAX_JOINTS;

/// Relative slack below which a difference is rounding, not a clamp.
const ROUNDING: f64 = 1e-9;

/// How far outside its range a joint may be measured when a run or a connection begins, in the
/// joint's unit: a servo at rest on its limit reads a little to either side.
pub const START_TOLERANCE: f64 = 0.02;

/// Limits of one joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointLimits {
    /// Allowed positions: lower, upper, margins taken off already.
    pub position: [f64; 2],
    /// Largest speed.
    pub max_velocity: f64,
    /// Largest acceleration.
    pub max_acceleration: f64,
    /// Largest jerk.
    pub max_jerk: f64,
    /// Largest change of the command in one cycle.
    pub max_step: f64,
    /// Limits of effort, where efforts are commanded.
    pub effort: Option<EffortLimits>,
}

/// Limits of a joint's effort, in N·m (N).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffortLimits {
    /// Largest effort.
    pub max: f64,
    /// Largest change of effort per second.
    pub max_rate: f64,
}

impl JointLimits {
    /// The same limits with speed and acceleration scaled by `fraction`.
    pub fn slowed(self, fraction: f64) -> Self {
        Self {
            max_velocity: self.max_velocity * fraction,
            max_acceleration: self.max_acceleration * fraction,
            ..self
        }
    }

    /// True where a joint measured at `position` may take part in a run: inside the range, but for
    /// [`START_TOLERANCE`].
    pub fn holds(&self, position: f64) -> bool {
        let [lower, upper] = self.position;
        (lower - START_TOLERANCE..=upper + START_TOLERANCE).contains(&position)
    }

    /// Largest speed when a cycle lasts `dt` seconds.
    fn speed(&self, dt: f64) -> f64 {
        self.max_velocity.min(self.max_step / dt)
    }
}

/// Position and velocity of a joint's command.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Position.
    pub position: f64,
    /// Velocity over the last cycle.
    pub velocity: f64,
}

impl Motion {
    /// Standing still at `position`.
    pub const fn at_rest(position: f64) -> Self {
        Self { position, velocity: 0.0 }
    }
}

/// The largest speed from which a joint that moves in cycles of `dt` seconds and slows down by
/// `acceleration * dt` per cycle still stops within `distance`.
///
/// This is the exact inverse of the discrete braking distance: with speed `(n + f) * a * dt`, `n`
/// whole and `0 <= f < 1`, the joint covers `(n + 1) * (n + 2 f) / 2 * a * dt²` until it stands.
pub fn braking_speed(distance: f64, acceleration: f64, dt: f64) -> f64 {
    let unit = acceleration * dt * dt;
    let cycles = distance.max(0.0) / unit;
    let whole = (((1.0 + 8.0 * cycles).sqrt() - 1.0) / 2.0).floor();
    let fraction = ((2.0 * cycles / (whole + 1.0) - whole) / 2.0).clamp(0.0, 1.0);
    (whole + fraction) * acceleration * dt
}

/// Moves one joint towards `target`, which itself moves with `target_velocity`, as far as the
/// limits allow in one cycle of `dt` seconds. Returns the new motion and the set of
/// [`ClampCause`] bits that say why it is not at `target`.
///
/// A target whose motion is inside the limits is followed exactly. Any other is approached as
/// fast as the limits allow without running past it.
pub fn limit(
    limits: &JointLimits,
    previous: Motion,
    target: f64,
    target_velocity: f64,
    dt: f64,
) -> (Motion, u16) {
    if !target.is_finite() || !target_velocity.is_finite() {
        return (brake(limits, previous, dt), ClampCause::NonFinite.bit());
    }
    let Motion { position, velocity } = previous;
    let [lower, upper] = limits.position;
    let mut clamps = 0;

    let allowed = target.clamp(lower, upper);
    let mut allowed_velocity = target_velocity;
    if allowed != target {
        clamps |= ClampCause::Position.bit();
        allowed_velocity = 0.0;
    }

    let direct = (allowed - position) / dt;
    let slack = ROUNDING * (limits.max_velocity + direct.abs());
    if direct.abs() > limits.max_velocity + slack {
        clamps |= ClampCause::Velocity.bit();
    }
    if direct.abs() * dt > limits.max_step + slack * dt {
        clamps |= ClampCause::Step.bit();
    }

    // Close in on where the target was, on top of the target's own motion: exact tracking when
    // that is feasible, a braked approach when it is not.
    let speed = limits.speed(dt);
    let error = allowed - allowed_velocity * dt - position;
    let closing = braking_speed(error.abs(), limits.max_acceleration, dt).copysign(error);
    let wanted = (allowed_velocity + closing).clamp(-speed, speed);
    let next = advance(limits, previous, wanted, dt);
    let gap = (next.velocity - direct.clamp(-speed, speed)).abs();
    if gap > slack {
        let blocked_by_range = next.position == lower || next.position == upper;
        if !(blocked_by_range && clamps & ClampCause::Position.bit() != 0) {
            let change = (direct.clamp(-speed, speed) - velocity).abs();
            if change > limits.max_acceleration * dt + slack || closing.abs() < error.abs() / dt {
                clamps |= ClampCause::Acceleration.bit();
            } else {
                clamps |= ClampCause::Position.bit();
            }
        }
    }
    (next, clamps)
}

/// Slows one joint down to a stand as fast as its limits allow.
pub fn brake(limits: &JointLimits, previous: Motion, dt: f64) -> Motion {
    advance(limits, previous, 0.0, dt)
}

/// One cycle at the velocity nearest to `wanted` that acceleration and range allow.
fn advance(limits: &JointLimits, previous: Motion, wanted: f64, dt: f64) -> Motion {
    let Motion { position, velocity } = previous;
    // A joint that starts outside its range may move inwards, never further out.
    let lower = limits.position[0].min(position);
    let upper = limits.position[1].max(position);
    let change = limits.max_acceleration * dt;
    let up = braking_speed(limits.position[1] - position, limits.max_acceleration, dt);
    let down = braking_speed(position - limits.position[0], limits.max_acceleration, dt);
    let reachable = wanted.clamp(velocity - change, velocity + change);
    let next = (position + reachable.clamp(-down, up) * dt).clamp(lower, upper);
    Motion { position: next, velocity: (next - position) / dt }
}

/// The gate for a whole robot. Its state is the previous command.
#[derive(Clone, Debug)]
pub struct Limiter {
    limits: Vec<JointLimits>,
    motion: [Motion; MAX_JOINTS],
    target: [f64; MAX_JOINTS],
    dt: f64,
}

impl Limiter {
    /// A gate for `limits.len()` joints (at most [`MAX_JOINTS`]) and cycles of `dt` seconds.
    pub fn new(mut limits: Vec<JointLimits>, dt: f64) -> Self {
        limits.truncate(MAX_JOINTS);
        Self { limits, motion: [Motion::default(); MAX_JOINTS], target: [0.0; MAX_JOINTS], dt }
    }

    /// The joints' limits.
    pub fn limits(&self) -> &[JointLimits] {
        &self.limits
    }

    /// Starts again from a standstill at `measured`: after arming and after every reconnect.
    pub fn reset(&mut self, measured: &[f64; MAX_JOINTS]) {
        self.motion = measured.map(Motion::at_rest);
        self.target = *measured;
    }

    /// The motion of the previous command.
    pub fn motion(&self) -> &[Motion; MAX_JOINTS] {
        &self.motion
    }

    /// Passes `target` through the gate, writes what may be commanded to `limited` and the causes
    /// of every change to `clamps`.
    pub fn apply(
        &mut self,
        target: &[f64; MAX_JOINTS],
        limited: &mut [f64; MAX_JOINTS],
        clamps: &mut [u16; MAX_JOINTS],
    ) {
        for (joint, limits) in self.limits.iter().enumerate() {
            let velocity = (target[joint] - self.target[joint]) / self.dt;
            // A target that jumps has no meaningful velocity.
            let velocity = if velocity.abs() > limits.max_velocity { 0.0 } else { velocity };
            let (motion, causes) =
                limit(limits, self.motion[joint], target[joint], velocity, self.dt);
            self.motion[joint] = motion;
            self.target[joint] =
                if target[joint].is_finite() { target[joint] } else { motion.position };
            limited[joint] = motion.position;
            clamps[joint] = causes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DT: f64 = 0.02;

    fn limits() -> JointLimits {
        JointLimits {
            position: [-1.0, 1.0],
            max_velocity: 0.8,
            max_acceleration: 2.0,
            max_jerk: 40.0,
            max_step: 0.02,
            effort: None,
        }
    }

    fn follow(targets: impl IntoIterator<Item = f64>, start: f64) -> Vec<(f64, u16)> {
        let mut gate = Limiter::new(vec![limits()], DT);
        let mut measured = [0.0; MAX_JOINTS];
        measured[0] = start;
        gate.reset(&measured);
        let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
        targets
            .into_iter()
            .map(|target| {
                let mut wanted = measured;
                wanted[0] = target;
                gate.apply(&wanted, &mut limited, &mut clamps);
                (limited[0], clamps[0])
            })
            .collect()
    }

    #[test]
    fn when_the_target_moves_inside_the_limits_it_is_followed_exactly() {
        let targets: Vec<f64> = (0..200).map(|k| 0.3 * (1.0 - (k as f64 * DT).cos())).collect();
        for (target, (limited, clamps)) in targets.iter().zip(follow(targets.clone(), 0.0)) {
            assert!((target - limited).abs() < 1e-12, "{target} {limited}");
            assert_eq!(clamps, 0);
        }
    }

    #[test]
    fn when_the_target_steps_it_is_reached_without_running_past_it() {
        let path = follow(std::iter::repeat_n(0.5, 200), 0.0);
        assert!(path.iter().all(|(position, _)| *position <= 0.5 + 1e-12));
        assert!((path[199].0 - 0.5).abs() < 1e-9);
        assert_ne!(path[0].1 & ClampCause::Velocity.bit(), 0);
        assert_ne!(path[0].1 & ClampCause::Step.bit(), 0);
        assert_ne!(path[0].1 & ClampCause::Acceleration.bit(), 0);
        assert_eq!(path[199].1, 0);
    }

    #[test]
    fn when_the_target_leaves_the_range_the_joint_stops_at_its_end_and_says_position() {
        let path = follow(std::iter::repeat_n(5.0, 300), 0.0);
        assert_eq!(path[299].0, 1.0);
        assert_eq!(path[299].1, ClampCause::Position.bit());
    }

    #[test]
    fn when_the_target_is_not_finite_the_joint_brakes_and_says_so() {
        let targets = (0..20).map(|k| k as f64 * 0.01).chain(std::iter::repeat_n(f64::NAN, 60));
        let path = follow(targets, 0.0);
        assert!(path.iter().all(|(position, _)| position.is_finite()));
        assert_eq!(path[79].1, ClampCause::NonFinite.bit());
        assert_eq!(path[78].0, path[79].0);
    }

    #[test]
    fn when_the_joint_starts_outside_its_range_it_only_moves_inwards() {
        let path = follow(std::iter::repeat_n(1.5, 50), 1.2);
        assert!(path.windows(2).all(|pair| pair[1].0 <= pair[0].0 + 1e-12));
        assert!(path.iter().all(|(position, _)| *position <= 1.2));
    }

    #[test]
    fn braking_speed_is_the_inverse_of_the_braking_distance() {
        for k in 0..500 {
            let speed = k as f64 * 0.013;
            let (mut left, mut distance) = (speed, 0.0);
            while left > 0.0 {
                distance += left * DT;
                left -= 2.0 * DT;
            }
            assert!((braking_speed(distance, 2.0, DT) - speed).abs() < 1e-9, "{speed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
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
                1..60,
            ),
        ) {
            let limits = limits();
            let (mut before, mut speed) = (start, 0.0);
            for (position, _) in follow(targets, start) {
                let velocity = (position - before) / DT;
                prop_assert!((-1.0..=1.0).contains(&position));
                prop_assert!(velocity.abs() <= limits.max_velocity + 1e-9);
                prop_assert!((position - before).abs() <= limits.max_step + 1e-12);
                prop_assert!((velocity - speed).abs() <= limits.max_acceleration * DT + 1e-7,
                    "{velocity} after {speed}");
                (before, speed) = (position, velocity);
            }
        }
    }
}
