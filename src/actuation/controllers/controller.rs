//! What all laws have in common: the arm's state, and what is added to their pull.

use sinew_simulation::dynamics::{Arm, Dynamics, JointFriction, Joints};

use super::super::law::{ArmLaw, LawError, LawInput};
use super::{LowPass, SoftLimits};

/// What a law acts upon in one cycle.
#[derive(Clone, Copy, Debug)]
pub struct Situation<const N: usize> {
    /// The arm at the measured positions.
    pub dynamics: Dynamics<N>,
    /// Measured positions, rad.
    pub position: Joints<N>,
    /// Measured velocities, rad/s.
    pub velocity: Joints<N>,
    /// Commanded positions, rad.
    pub wanted_position: Joints<N>,
    /// Commanded velocities, rad/s.
    pub wanted_velocity: Joints<N>,
    /// Commanded accelerations, rad/s².
    pub wanted_acceleration: Joints<N>,
    /// True while a hand leads the arm.
    pub free: bool,
    /// Time since the last step, s.
    pub dt: f64,
}

impl<const N: usize> Situation<N> {
    fn new(arm: &Arm<N>, input: &LawInput<'_>) -> Result<Self, LawError> {
        let lengths = [input.positions.len(), input.velocities.len(), input.wanted.len()];
        if let Some(found) = lengths.into_iter().find(|length| *length != N) {
            return Err(LawError::Size { needed: N, found });
        }
        let column = |quantity, value: &dyn Fn(usize) -> f64| {
            let column = Joints::<N>::from_fn(|joint, _| value(joint));
            match column.iter().position(|value| !value.is_finite()) {
                Some(joint) => Err(LawError::NotFinite { joint, quantity, value: column[joint] }),
                None => Ok(column),
            }
        };
        let LawInput { positions, velocities, wanted, .. } = input;
        let position = column("position", &|joint| positions[joint])?;
        Ok(Self {
            velocity: column("velocity", &|joint| velocities[joint])?,
            wanted_position: column("commanded position", &|joint| wanted[joint].position)?,
            wanted_velocity: column("commanded velocity", &|joint| wanted[joint].velocity)?,
            wanted_acceleration: column("commanded acceleration", &|joint| {
                wanted[joint].acceleration
            })?,
            dynamics: arm.at(&position),
            position,
            free: input.free,
            dt: input.dt,
        })
    }
}

/// What a law wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drive<const N: usize> {
    /// Its pull, N·m.
    pub torque: Joints<N>,
    /// Accelerations for which the arm's inertia is to be paid on top, rad/s².
    pub acceleration: Joints<N>,
}

impl<const N: usize> Drive<N> {
    /// A pull alone.
    pub fn pull(torque: Joints<N>) -> Self {
        Self { torque, acceleration: Joints::zeros() }
    }
}

/// What pulls an arm towards its commanded motion.
pub trait Feedback<const N: usize>: Send {
    /// Its name in configurations and recordings.
    fn kind(&self) -> &'static str;

    /// Whether it lets a hand lead the arm ([`Situation::free`]).
    fn guides(&self) -> bool {
        false
    }

    /// Forgets the past.
    fn reset(&mut self) {}

    /// The pull of one cycle.
    fn drive(&mut self, arm: &Arm<N>, now: &Situation<N>) -> Drive<N>;
}

/// What is added to a law's pull.
#[derive(Clone, Debug, Default)]
pub struct Options<const N: usize> {
    /// Bear the arm's weight. Off where the robot does that itself.
    pub gravity: bool,
    /// The part of the arm's friction that is compensated: 0 to less than 1.
    pub friction: f64,
    /// Repulsion near the ends of the range.
    pub soft_limits: Option<SoftLimits<N>>,
    /// Cut-off of a first-order low-pass filter of the pull, Hz. What compensates is not filtered.
    pub filter_hz: Option<f64>,
}

/// Below this speed Coulomb friction is compensated in part only, so that the compensation does not
/// jump at standstill, rad/s.
const TRANSITION: f64 = 0.05;

/// A law with all that is added to it.
#[derive(Debug)]
pub struct Controller<const N: usize, F> {
    arm: Arm<N>,
    feedback: F,
    options: Options<N>,
    filter: Option<LowPass<N>>,
}

impl<const N: usize, F: Feedback<N>> Controller<N, F> {
    /// `feedback` for `arm`, with the payload in its last link.
    pub fn new(mut arm: Arm<N>, feedback: F, options: Options<N>) -> Self {
        for friction in &mut arm.friction {
            if let JointFriction::Linear { transition, .. } = friction {
                *transition = transition.max(TRANSITION);
            }
        }
        let filter = options.filter_hz.map(LowPass::new);
        Self { arm, feedback, options, filter }
    }

    fn torque(&mut self, now: &Situation<N>) -> Joints<N> {
        let Drive { torque, acceleration } = self.feedback.drive(&self.arm, now);
        let mut torque = match &mut self.filter {
            Some(filter) => filter.step(torque, now.dt),
            None => torque,
        };
        // A hand that leads the arm feels its inertia as it is: what cancelled Coriolis torques
        // could feed energy into the motion.
        let carried = if now.free { Joints::zeros() } else { now.velocity };
        torque += now.dynamics.inverse(&carried, &acceleration);
        if !self.options.gravity {
            torque -= now.dynamics.gravity();
        }
        // Of the commanded motion where there is one: friction compensated by what is measured
        // drives itself where it is too much.
        let moving = if now.free { &now.velocity } else { &now.wanted_velocity };
        if self.options.friction > 0.0 {
            torque += self.arm.friction_torque(moving) * self.options.friction;
        }
        if let Some(limits) = &self.options.soft_limits {
            torque += limits.torque(&now.position, &now.velocity);
        }
        torque
    }
}

impl<const N: usize, F: Feedback<N>> ArmLaw for Controller<N, F> {
    fn kind(&self) -> &'static str {
        self.feedback.kind()
    }

    fn joints(&self) -> usize {
        N
    }

    fn guides(&self) -> bool {
        self.feedback.guides()
    }

    fn reset(&mut self) {
        self.feedback.reset();
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }

    fn step(&mut self, input: &LawInput<'_>, efforts: &mut [f64]) -> Result<(), LawError> {
        let now = Situation::new(&self.arm, input)?;
        let (needed, found) = (N, efforts.len());
        if needed != found {
            return Err(LawError::Size { needed, found });
        }
        let torque = self.torque(&now);
        if let Some(joint) = torque.iter().position(|value| !value.is_finite()) {
            // Its memory may be spoilt too.
            self.reset();
            return Err(LawError::NoEffort { joint, value: torque[joint] });
        }
        efforts.copy_from_slice(torque.as_slice());
        Ok(())
    }
}
