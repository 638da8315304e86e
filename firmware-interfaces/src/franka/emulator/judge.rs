//! Whether commanded motions and torques are such as the arm accepts.

use sinew_simulation::arms::franka::{FER_LIMITS, FR3_LIMITS, fr3_velocity_range};
use sinew_simulation::dynamics::{JointLimits, Joints};

use super::RobotModel;
use super::plant::{Desired, PERIOD};
use crate::franka::wire::Error;

/// What rounding may add. States of version 10 carry numbers in four bytes: a client that begins
/// where it is told the arm is begins up to 0.12 µrad beside it.
pub(super) const VELOCITY_SLACK: f64 = 1e-3;
pub(super) const ACCELERATION_SLACK: f64 = 0.5;
pub(super) const JERK_SLACK: f64 = 500.0;
const TORQUE_STEP_SLACK: f64 = 1e-3;
/// Farthest that a motion may begin from where the arm is, rad.
pub(super) const START: f64 = 1e-3;
/// How much faster than allowed a measured velocity has to be, rad/s.
const MEASURED_SLACK: f64 = 0.1;

/// The errors of one kind of motion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub start: Error,
    position: Error,
    velocity: Error,
    velocity_jump: Error,
    acceleration_jump: Error,
}

/// Motions of joints.
pub(super) const JOINT: Names = Names {
    start: Error::JOINT_START_POSE,
    position: Error::COMMANDED_POSITION,
    velocity: Error::COMMANDED_VELOCITY,
    velocity_jump: Error::VELOCITY_DISCONTINUITY,
    acceleration_jump: Error::ACCELERATION_DISCONTINUITY,
};

/// Motions of the end effector, as the joints make them.
pub(super) const CARTESIAN: Names = Names {
    start: Error::CARTESIAN_START_POSE,
    position: Error::CARTESIAN_JOINT_POSITION,
    velocity: Error::CARTESIAN_JOINT_VELOCITY,
    velocity_jump: Error::CARTESIAN_JOINT_VELOCITY_DISCONTINUITY,
    acceleration_jump: Error::CARTESIAN_JOINT_ACCELERATION_DISCONTINUITY,
};

/// Follows what is commanded, cycle by cycle. A difference of commands says nothing across a gap:
/// after lost commands, velocity, acceleration and jerk are judged again as soon as enough commands
/// in a row are there to know them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    model: RobotModel,
    /// Commands in a row, the present one included.
    row: u32,
    /// Cycles since the last command.
    gap: u32,
    /// Position of the last command that came.
    last: Joints<7>,
}

impl Judge {
    /// A motion that begins at rest at `positions`.
    pub fn new(model: RobotModel, positions: Joints<7>) -> Self {
        Self { model, row: 3, gap: 1, last: positions }
    }

    /// Whether a motion may begin there.
    pub fn start(&self, before: &Desired, positions: &Joints<7>, names: &Names) -> Option<Error> {
        ((positions - before.positions).amax() > START).then_some(names.start)
    }

    /// Commanded positions after `before`.
    pub fn positions(
        &mut self,
        before: &Desired,
        positions: Joints<7>,
        names: &Names,
    ) -> Result<Desired, Error> {
        let row = self.count();
        let velocities = if row >= 2 {
            (positions - before.positions) / PERIOD
        } else {
            (positions - self.last) / (PERIOD * f64::from(self.gap))
        };
        self.judge(before, positions, velocities, row, names)
    }

    /// Commanded velocities after `before`.
    pub fn velocities(
        &mut self,
        before: &Desired,
        velocities: Joints<7>,
        names: &Names,
    ) -> Result<Desired, Error> {
        let row = self.count();
        let positions = before.positions + velocities * PERIOD;
        self.judge(before, positions, velocities, row + 1, names)
    }

    /// A cycle without command: the arm goes on with constant acceleration, not beyond its
    /// largest velocity.
    pub fn extrapolate(&mut self, before: &Desired, names: &Names) -> Result<Desired, Error> {
        self.gap += 1;
        self.row = 0;
        let limits = limits(self.model);
        let mut velocities = before.velocities + before.accelerations * PERIOD;
        for (velocity, limits) in velocities.iter_mut().zip(limits) {
            *velocity = velocity.clamp(-limits.velocity, limits.velocity);
        }
        let positions = before.positions + velocities * PERIOD;
        within(limits, &positions).map_err(|()| names.position)?;
        Ok(Desired { positions, velocities, accelerations: before.accelerations })
    }

    fn count(&mut self) -> u32 {
        self.row = self.row.saturating_add(1);
        self.row
    }

    fn judge(
        &mut self,
        before: &Desired,
        positions: Joints<7>,
        velocities: Joints<7>,
        row: u32,
        names: &Names,
    ) -> Result<Desired, Error> {
        self.gap = 1;
        self.last = positions;
        let limits = limits(self.model);
        within(limits, &positions).map_err(|()| names.position)?;
        for (joint, velocity) in velocities.iter().enumerate() {
            let (least, most) = velocity_range(self.model, joint, positions[joint]);
            if !(least - VELOCITY_SLACK..=most + VELOCITY_SLACK).contains(velocity) {
                return Err(names.velocity);
            }
        }
        let mut accelerations = Joints::zeros();
        if row >= 3 {
            accelerations = (velocities - before.velocities) / PERIOD;
            for (acceleration, limits) in accelerations.iter().zip(limits) {
                if acceleration.abs() > limits.acceleration + ACCELERATION_SLACK {
                    return Err(names.velocity_jump);
                }
            }
        }
        if row >= 4 {
            let jerks = (accelerations - before.accelerations) / PERIOD;
            for (jerk, limits) in jerks.iter().zip(limits) {
                if jerk.abs() > limits.jerk + JERK_SLACK {
                    return Err(names.acceleration_jump);
                }
            }
        }
        Ok(Desired { positions, velocities, accelerations })
    }
}

/// Whether a motion may end at `desired`: slow enough to stand in one cycle.
pub(super) fn end(model: RobotModel, desired: &Desired, names: &Names) -> Result<(), Error> {
    for (velocity, limits) in desired.velocities.iter().zip(limits(model)) {
        if velocity.abs() > (limits.acceleration + ACCELERATION_SLACK) * PERIOD {
            return Err(names.velocity_jump);
        }
    }
    Ok(())
}

/// Whether the arm accepts `torques` after `before`, `cycles` cycles earlier.
pub(super) fn torques(
    model: RobotModel,
    before: &Joints<7>,
    torques: &Joints<7>,
    cycles: u32,
) -> Result<(), Error> {
    for (joint, limits) in limits(model).iter().enumerate() {
        if torques[joint].abs() > limits.effort {
            return Err(Error::TORQUE_RANGE);
        }
        let most = limits.effort_rate * PERIOD * f64::from(cycles) + TORQUE_STEP_SLACK;
        if (torques[joint] - before[joint]).abs() > most {
            return Err(Error::TORQUE_DISCONTINUITY);
        }
    }
    Ok(())
}

/// Whether the arm is where and as fast as it may be.
pub(super) fn measured(
    model: RobotModel,
    positions: &Joints<7>,
    velocities: &Joints<7>,
) -> Result<(), Error> {
    within(limits(model), positions).map_err(|()| Error::JOINT_POSITION_LIMITS)?;
    for (velocity, limits) in velocities.iter().zip(limits(model)) {
        if velocity.abs() > limits.velocity + MEASURED_SLACK {
            return Err(Error::JOINT_VELOCITY);
        }
    }
    Ok(())
}

/// The next cycle of a motion that ends as fast as the joints may.
pub(super) fn brake(model: RobotModel, before: &Desired) -> Desired {
    let mut velocities = before.velocities;
    for (velocity, limits) in velocities.iter_mut().zip(limits(model)) {
        let step = limits.acceleration * PERIOD;
        *velocity -= velocity.clamp(-step, step);
    }
    Desired {
        positions: before.positions + velocities * PERIOD,
        velocities,
        accelerations: (velocities - before.velocities) / PERIOD,
    }
}

pub(super) const fn limits(model: RobotModel) -> &'static [JointLimits; 7] {
    match model {
        RobotModel::Fer => &FER_LIMITS,
        RobotModel::Fr3 => &FR3_LIMITS,
    }
}

fn velocity_range(model: RobotModel, joint: usize, position: f64) -> (f64, f64) {
    let most = limits(model)[joint].velocity;
    let near_ends = match model {
        RobotModel::Fer => None,
        RobotModel::Fr3 => fr3_velocity_range(joint, position),
    };
    near_ends.unwrap_or((-most, most))
}

fn within(limits: &[JointLimits; 7], positions: &Joints<7>) -> Result<(), ()> {
    let inside = positions
        .iter()
        .zip(limits)
        .all(|(position, limits)| (limits.lower..=limits.upper).contains(position));
    if inside { Ok(()) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use sinew_simulation::arms::franka::READY;

    use super::*;

    const FR3: RobotModel = RobotModel::Fr3;

    fn rest() -> (Judge, Desired) {
        let ready = Joints::from(READY);
        (Judge::new(FR3, ready), Desired::at_rest(ready))
    }

    /// Positions of joint 1 along `position(s)` until the first error.
    fn play(position: impl Fn(f64) -> f64, lost: impl Fn(u32) -> bool) -> Result<(), Error> {
        let (mut judge, mut desired) = rest();
        for cycle in 1..2000 {
            let mut positions = Joints::from(READY);
            positions[0] += position(f64::from(cycle) * PERIOD);
            desired = if lost(cycle) {
                judge.extrapolate(&desired, &JOINT)?
            } else {
                judge.positions(&desired, positions, &JOINT)?
            };
        }
        Ok(())
    }

    #[test]
    fn smooth_motions_are_accepted_also_across_gaps_and_jumps_are_named() {
        let smooth = |t: f64| 0.3 * (1.0 - (1.5 * t).cos());
        assert_eq!(play(smooth, |_| false), Ok(()));
        assert_eq!(play(smooth, |cycle| cycle % 50 < 12), Ok(()));
        let step = |t: f64| if t < 0.5 { 0.0 } else { 1e-4 };
        assert_eq!(play(step, |_| false), Err(Error::VELOCITY_DISCONTINUITY));
        let kick = |t: f64| 4e-6 * ((t / PERIOD).round() % 2.0);
        assert_eq!(play(kick, |_| false), Err(Error::ACCELERATION_DISCONTINUITY));
        let fast = |t: f64| 0.9 * t * t;
        assert_eq!(play(fast, |_| false), Err(Error::COMMANDED_VELOCITY));
        let leap = |t: f64| if t < 0.5 { 0.0 } else { 0.1 };
        assert_eq!(play(leap, |_| false), Err(Error::COMMANDED_VELOCITY));
    }

    #[test]
    fn torques_have_limits_and_limits_of_their_rates() {
        let at = |torque: f64| Joints::from([torque, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(torques(FR3, &at(10.0), &at(11.0), 1), Ok(()));
        assert_eq!(torques(FR3, &at(10.0), &at(11.1), 1), Err(Error::TORQUE_DISCONTINUITY));
        assert_eq!(torques(FR3, &at(10.0), &at(12.9), 3), Ok(()));
        assert_eq!(torques(FR3, &at(86.5), &at(87.1), 1), Err(Error::TORQUE_RANGE));
    }

    #[test]
    fn braking_ends_at_rest_within_the_joints_accelerations() {
        let (_, mut desired) = rest();
        desired.velocities = Joints::repeat(1.0);
        for _ in 0..100 {
            let next = brake(FR3, &desired);
            assert!(next.accelerations.amax() <= 10.0 + 1e-9);
            desired = next;
        }
        assert!(desired.velocities.amax() < 1e-12);
        assert_eq!(end(FR3, &desired, &JOINT), Ok(()));
        desired.velocities = Joints::repeat(0.1);
        assert_eq!(end(FR3, &desired, &JOINT), Err(Error::VELOCITY_DISCONTINUITY));
    }
}
