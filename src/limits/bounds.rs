//! Limits of a joint as configured, and as the gate counts them.

use std::ops::RangeInclusive;

pub use sinew_firmware_interfaces::VelocityBarrier;

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
    /// Limit of speed that depends on position, for robots that refuse what passes it.
    pub barrier: Option<VelocityBarrier>,
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
    /// The same limits with speed, acceleration and jerk scaled by `fraction`.
    pub fn slowed(self, fraction: f64) -> Self {
        Self {
            max_velocity: self.max_velocity * fraction,
            max_acceleration: self.max_acceleration * fraction,
            max_jerk: self.max_jerk * fraction,
            ..self
        }
    }

    /// Where a joint may stand when commands begin: inside the range, but for [`START_TOLERANCE`],
    /// and inside `taken`, the range in which the robot takes commands. A joint that may not be
    /// told to stay where it is would keep all others from moving.
    pub fn starts(&self, taken: &RangeInclusive<f64>) -> [f64; 2] {
        let [lower, upper] = self.position;
        let (lower, upper) = (lower - START_TOLERANCE, upper + START_TOLERANCE);
        [lower.max(*taken.start()), upper.min(*taken.end())]
    }
}

/// The limits of one joint, per cycle: speed in units per cycle, and so on. Counting in cycles
/// makes positions sums, without a division that could round a stop past its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub lower: f64,
    pub upper: f64,
    /// Largest |velocity|, per cycle.
    pub velocity: f64,
    /// Largest |acceleration|, per cycle².
    pub acceleration: f64,
    /// Largest |jerk|, per cycle³. More than twice the acceleration changes nothing.
    pub jerk: f64,
    /// 1 / acceleration and 1 / jerk: a stop is planned a dozen times a cycle, and waits for each
    /// division.
    pub inverse: [f64; 2],
    /// With speeds per cycle.
    pub barrier: Option<VelocityBarrier>,
}

impl Bounds {
    pub fn new(limits: &JointLimits, dt: f64) -> Self {
        let acceleration = limits.max_acceleration * dt * dt;
        let jerk = (limits.max_jerk * dt * dt * dt).min(2.0 * acceleration);
        Self {
            lower: limits.position[0],
            upper: limits.position[1],
            velocity: (limits.max_velocity * dt).min(limits.max_step),
            acceleration,
            jerk,
            inverse: [1.0 / acceleration, 1.0 / jerk],
            barrier: limits.barrier.map(|barrier| VelocityBarrier {
                offset: barrier.offset * dt,
                deceleration: barrier.deceleration * dt * dt,
                ..barrier
            }),
        }
    }

    /// `position` as near as the range allows after `before`: a joint outside its range may move
    /// inwards, never further out.
    pub fn inside(&self, position: f64, before: f64) -> f64 {
        position.clamp(self.lower.min(before), self.upper.max(before))
    }

    /// True where `position` is allowed after `before`.
    pub fn holds(&self, position: f64, before: f64) -> bool {
        position >= self.lower.min(before) && position <= self.upper.max(before)
    }

    /// True where `velocity` at `position` is below the barrier, if there is one.
    pub fn passes_barrier(&self, position: f64, velocity: f64) -> bool {
        self.barrier.is_none_or(|barrier| {
            let [least, most] = barrier.at(position, self.velocity);
            (least - SLACK * self.velocity..=most + SLACK * self.velocity).contains(&velocity)
        })
    }
}

/// Relative slack below which a difference is rounding.
pub(super) const SLACK: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: JointLimits = JointLimits {
        position: [-1.0, 2.0],
        max_velocity: 3.0,
        max_acceleration: 5.0,
        max_jerk: 70.0,
        max_step: 0.5,
        barrier: Some(VelocityBarrier { position: [-1.5, 2.5], offset: 0.5, deceleration: 4.0 }),
        effort: None,
    };

    #[test]
    fn slower_limits_are_a_fraction_of_every_rate_and_the_same_range() {
        let slowed =
            JointLimits { max_velocity: 1.5, max_acceleration: 2.5, max_jerk: 35.0, ..LIMITS };
        assert_eq!(LIMITS.slowed(0.5), slowed);
    }

    #[test]
    fn a_joint_may_begin_a_little_outside_its_range_where_the_robot_takes_that() {
        let [lower, upper] = LIMITS.starts(&(-9.0..=9.0));
        assert_eq!([lower, upper], [-1.02, 2.02]);
        assert_eq!(LIMITS.starts(&(-1.01..=2.01)), [-1.01, 2.01]);
        assert_eq!(LIMITS.starts(&(-1.01..=9.0)), [-1.01, 2.02]);
    }

    #[test]
    fn what_is_outside_the_range_may_come_back_and_go_no_further() {
        let bounds = Bounds::new(&LIMITS, 0.01);
        for (position, before, nearest) in [
            (-1.5, 0.0, -1.0),
            (-1.5, -1.2, -1.2),
            (-1.1, -1.2, -1.1),
            (0.5, 0.0, 0.5),
            (2.1, 2.2, 2.1),
            (2.5, 2.2, 2.2),
            (2.5, 0.0, 2.0),
        ] {
            assert_eq!(bounds.inside(position, before), nearest);
            assert_eq!(bounds.holds(position, before), position == nearest, "{position}");
            assert!(bounds.holds(nearest, before));
        }
    }

    #[test]
    fn a_barrier_is_passed_by_what_equals_it_but_for_rounding() {
        let bounds = Bounds::new(&LIMITS, 0.01);
        for position in [-0.9, 0.4, 1.9] {
            let [least, most] = bounds.barrier.unwrap().at(position, bounds.velocity);
            let slack = SLACK * bounds.velocity;
            for (velocity, passes) in [
                (least - 2.0 * slack, false),
                (least - 0.5 * slack, true),
                (least, true),
                (0.0, true),
                (most, true),
                (most + 0.5 * slack, true),
                (most + 2.0 * slack, false),
            ] {
                assert_eq!(bounds.passes_barrier(position, velocity), passes, "{velocity}");
            }
        }
    }
}
