//! The emulated arm itself: masses under torques, and the arm's own impedance controller.

use nalgebra::SMatrix;
use sinew_simulation::arms::franka;
use sinew_simulation::dynamics::{Arm, Chain, Dynamics, JointFriction, Joints, Link, LinkError};

use super::RobotModel;
use crate::franka::wire::Load;

/// Time of one cycle, s.
pub(super) const PERIOD: f64 = 1e-3;
/// Steps of a cycle in which the client commands torques.
const STEPS: usize = 4;
/// What a drive's finite bandwidth feels like at its joint, kg·m²: the figure of MuJoCo Menagerie's
/// models. Without it the last joint weighs 1e-4 kg·m², and no client's damping is stable.
const ROTOR_INERTIA: f64 = 0.1;
/// Friction does not jump at standstill, as it would in the FR3's description, rad/s.
const TRANSITION: f64 = 0.01;
/// How far a joint goes beyond its range before it stands at a stop, rad.
const STOP: f64 = 0.05;
/// Of a joint that is guided by hand, N·m·s/rad.
const GUIDING_DAMPING: f64 = 2.0;
/// Stiffness of joints whose motion does not move the end effector, N·m/rad.
const NULL_SPACE: f64 = 10.0;
/// The hand as its maker describes it, in the frame of the flange.
pub(super) const HAND: Link = Link {
    mass: 0.73,
    center: [-0.01, 0.0, 0.03],
    inertia: [0.001, 0.0, 0.0, 0.0025, 0.0, 0.0017],
};

/// N·m/rad between joints.
pub(super) type Stiffness = SMatrix<f64, 7, 7>;

/// Joints that are stiff each for itself, N·m/rad.
pub(super) fn joint_stiffness(stiffness: &[f64; 7]) -> Stiffness {
    Stiffness::from_diagonal(&Joints::from(*stiffness))
}

/// What an end effector that is stiff along and about its axes (N/m, N·m/rad) is in the joints.
pub(super) fn cartesian_stiffness(
    stiffness: &[f64; 6],
    chain: &Chain<7>,
    positions: &Joints<7>,
) -> Stiffness {
    let kinematics = chain.at(positions);
    let jacobian = kinematics.jacobian();
    let axes = kinematics.tool().rotation.matrix().transpose();
    let parts = [axes * jacobian.fixed_rows::<3>(0), axes * jacobian.fixed_rows::<3>(3)];
    let mut joints = Stiffness::from_diagonal_element(NULL_SPACE);
    for (part, stiffness) in parts.iter().zip(stiffness.as_chunks::<3>().0) {
        for (row, stiffness) in part.row_iter().zip(stiffness) {
            joints += row.transpose() * row * *stiffness;
        }
    }
    joints
}

/// The damping under which no mode of masses and springs swings: `2 L sqrt(L⁻¹ K L⁻ᵀ) Lᵀ` with
/// `M = L Lᵀ`. None where the masses are none.
fn critical_damping(mass: &Stiffness, stiffness: &Stiffness) -> Stiffness {
    let Some(factors) = mass.cholesky() else { return Stiffness::zeros() };
    let lower = factors.l();
    let Some(half) = lower.solve_lower_triangular(stiffness) else { return Stiffness::zeros() };
    let Some(modes) = lower.solve_lower_triangular(&half.transpose()) else {
        return Stiffness::zeros();
    };
    let mut modes = modes.symmetric_eigen();
    modes.eigenvalues.apply(|value| *value = value.max(0.0).sqrt());
    lower * modes.recompose() * lower.transpose() * 2.0
}

/// What the arm's own controller is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Desired {
    pub positions: Joints<7>,
    pub velocities: Joints<7>,
    pub accelerations: Joints<7>,
}

impl Desired {
    pub fn at_rest(positions: Joints<7>) -> Self {
        Self { positions, velocities: Joints::zeros(), accelerations: Joints::zeros() }
    }
}

/// The arm with its hand and what it carries. Friction is compensated but for a share of it,
/// gravity as far as the arm knows its load.
#[derive(Clone, Debug)]
pub(super) struct Plant {
    arm: Arm<7>,
    /// The arm as its controller believes it to be, where that is another one.
    believed: Option<Arm<7>>,
    /// With the hand alone.
    bare: Arm<7>,
    pub positions: Joints<7>,
    pub velocities: Joints<7>,
    /// What the drives were told, without gravity and friction, N·m.
    pub desired_torques: Joints<7>,
    /// What the sensors at the joints read, N·m.
    pub torques: Joints<7>,
    /// What the arm's own model does not explain of them, N·m.
    pub external: Joints<7>,
    /// Share of the friction that is not compensated.
    friction: f64,
}

impl Plant {
    /// An arm at rest. `payload`, in the frame of the flange, is what it carries without knowing,
    /// `friction` the share of its friction that is not compensated.
    pub fn new(
        model: RobotModel,
        positions: [f64; 7],
        payload: Option<&Link>,
        friction: f64,
    ) -> Result<Self, LinkError> {
        let arm = match model {
            RobotModel::Fer => franka::panda_identified(),
            RobotModel::Fr3 => franka::fr3(),
        }?;
        let mut bare = arm.with_payload(&HAND)?;
        bare.rotor_inertia = Joints::repeat(ROTOR_INERTIA);
        for friction in &mut bare.friction {
            if let JointFriction::Linear { transition, .. } = friction {
                *transition = TRANSITION;
            }
        }
        let (arm, believed) = match payload {
            Some(payload) => (bare.clone().with_payload(payload)?, Some(bare.clone())),
            None => (bare.clone(), None),
        };
        let positions = Joints::from(positions);
        let torques = arm.at(&positions).gravity();
        Ok(Self {
            arm,
            believed,
            bare,
            positions,
            velocities: Joints::zeros(),
            desired_torques: Joints::zeros(),
            torques,
            external: Joints::zeros(),
            friction: friction.clamp(0.0, 1.0),
        })
    }

    /// Tells the arm's controller what the arm carries.
    pub fn declare(&mut self, load: &Load) -> Result<(), LinkError> {
        let i = &load.inertia;
        let inertia = [i[0], i[3], i[6], i[4], i[7], i[8]];
        let believed = if load.mass == 0.0 {
            self.bare.clone()
        } else {
            let link = Link { mass: load.mass, center: load.center, inertia };
            self.bare.clone().with_payload(&link)?
        };
        self.believed = (believed != self.arm).then_some(believed);
        Ok(())
    }

    /// One cycle in which the arm's controller follows `desired`, where the joints shall be at the
    /// end of it. Implicit in the spring and the damper, so that no stiffness is too high for it.
    /// `push` is what comes from outside, N·m.
    pub fn follow(&mut self, desired: &Desired, stiffness: &Stiffness, push: &Joints<7>) {
        let state = self.arm.at(&self.positions);
        let mass = state.mass_matrix();
        let damping = critical_damping(&mass, stiffness);
        let resistance = mass + damping * PERIOD + stiffness * (PERIOD * PERIOD);
        let pull = match &self.believed {
            Some(believed) => believed.at(&self.positions).gravity() - state.gravity(),
            None => Joints::zeros(),
        };
        let ahead = desired.positions - self.positions - self.velocities * PERIOD;
        let friction = self.friction();
        let drive: Joints<7> = stiffness * ahead
            + damping * (desired.velocities - self.velocities)
            + mass * desired.accelerations
            + pull
            + push
            - friction;
        // Mass matrices are positive definite, and so is this one.
        let change = match resistance.cholesky() {
            Some(factors) => factors.solve(&(drive * PERIOD)),
            None => Joints::zeros(),
        };
        let acceleration = change / PERIOD;
        let coriolis = state.coriolis(&self.velocities);
        self.desired_torques = mass * acceleration + coriolis - pull - push + friction;
        self.torques = state.inverse(&self.velocities, &acceleration)
            - self.arm.rotor_inertia.component_mul(&acceleration)
            - push;
        self.external = push + self.unexplained(&state, &acceleration);
        self.velocities += change;
        self.positions += self.velocities * PERIOD;
        self.stop();
    }

    /// One cycle under the client's torques; gravity is compensated.
    pub fn drive(&mut self, torques: &Joints<7>, push: &Joints<7>) {
        let step = PERIOD / STEPS as f64;
        self.desired_torques = *torques;
        for _ in 0..STEPS {
            let state = self.arm.at(&self.positions);
            let gravity = match &self.believed {
                Some(believed) => believed.at(&self.positions).gravity(),
                None => state.gravity(),
            };
            let motors = torques + gravity;
            let friction = self.friction();
            let acceleration = state.forward(&self.velocities, &(motors + push - friction));
            self.torques = motors - friction - self.arm.rotor_inertia.component_mul(&acceleration);
            self.external = push + self.unexplained(&state, &acceleration);
            self.velocities += acceleration * step;
            self.positions += self.velocities * step;
            self.stop();
        }
    }

    /// One cycle in which a person guides the arm: it floats, a little damped.
    pub fn float(&mut self, push: &Joints<7>) {
        let damping = self.velocities * -GUIDING_DAMPING;
        self.drive(&damping, push);
    }

    /// Friction that nobody compensates, N·m.
    fn friction(&self) -> Joints<7> {
        self.arm.friction_torque(&self.velocities) * self.friction
    }

    /// What the arm's model misses of its own masses, N·m.
    fn unexplained(&self, state: &Dynamics<7>, acceleration: &Joints<7>) -> Joints<7> {
        match &self.believed {
            Some(believed) => {
                believed.at(&self.positions).inverse(&self.velocities, acceleration)
                    - state.inverse(&self.velocities, acceleration)
            }
            None => Joints::zeros(),
        }
    }

    /// Brakes closed.
    pub fn brake(&mut self) {
        self.velocities = Joints::zeros();
        self.desired_torques = Joints::zeros();
        self.torques = self.arm.at(&self.positions).gravity();
        self.external = Joints::zeros();
    }

    /// Mechanical stops.
    fn stop(&mut self) {
        for (i, limits) in self.arm.chain.limits().iter().enumerate() {
            let held = self.positions[i].clamp(limits.lower - STOP, limits.upper + STOP);
            if held != self.positions[i] {
                self.positions[i] = held;
                self.velocities[i] = 0.0;
            }
        }
    }

    /// The arm with its hand, as its maker knows it.
    pub const fn bare(&self) -> &Arm<7> {
        &self.bare
    }
}
