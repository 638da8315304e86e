//! Kinematics and dynamics of arms: chains of `N` joints with links, allocation-free.
//!
//! Forward kinematics, geometric [Jacobian](Kinematics::jacobian) and its [rate](Kinematics::jacobian_rate);
//! [inverse](Dynamics::inverse) dynamics (RNEA), [mass matrix](Dynamics::mass_matrix) (CRBA),
//! [forward](Dynamics::forward) dynamics (ABA), [gravity](Dynamics::gravity), Coriolis
//! [vector](Dynamics::coriolis) and [matrix](Dynamics::coriolis_matrix), [friction](JointFriction);
//! [inverse kinematics](Chain::inverse) inside limits.
//!
//! Everything is expressed in the axes of the base and about its origin, so what joints share is
//! computed once: [`Chain::at`] and [`Arm::at`] are the state of the arm at some positions, and all
//! else is asked of them. The recursions are those of R. Featherstone, Rigid Body Dynamics
//! Algorithms (2008): RNEA in table 5.1, CRBA in 6.2, ABA in 7.1.
//!
//! `M(q) a + C(q, v) v + g(q) + rotor · a = effort - friction(v)`, with the effort of the drives.
//!
//! ```
//! use sinew_simulation::arms::franka;
//! use sinew_simulation::dynamics::{IkSettings, Joints};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let arm = franka::panda_identified()?;
//! let (q, v, a) = (Joints::from(franka::READY), Joints::repeat(0.1), Joints::zeros());
//! let state = arm.at(&q); // poses and inertias, once per cycle
//! let torques = state.inverse(&v, &a) + arm.friction_torque(&v);
//! let (jacobian, rate) = (state.kinematics.jacobian(), state.kinematics.jacobian_rate(&v));
//! let mass = state.mass_matrix();
//! let accelerations = state.forward(&v, &(torques - arm.friction_torque(&v)));
//! let target = state.kinematics.tool();
//! let positions = arm.chain.inverse(&target, &q, &IkSettings::default())?;
//! assert!(accelerations.amax() < 1e-9 && positions == q);
//! # let _ = (jacobian, rate, mass);
//! # Ok(())
//! # }
//! ```

mod chain;
mod forward;
mod friction;
mod inverse;
mod inverse_kinematics;
mod link;
mod mass;
mod spatial;

use nalgebra::Vector3;

pub use chain::{Chain, Jacobian, Joint, JointKind, JointLimits, Joints, Kinematics, Pose};
pub use friction::JointFriction;
pub use inverse_kinematics::{IkError, IkSettings};
pub use link::{Link, LinkError, LinkProblem};

use crate::kinematics::Transform;
pub(crate) use link::Body;
use spatial::RigidBody;

/// Earth's pull on an arm that stands upright, m/s².
pub const GRAVITY: Vector3<f64> = Vector3::new(0.0, 0.0, -9.81);

/// A chain of `N` joints with a link behind each.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm<const N: usize> {
    /// Joints and tool.
    pub chain: Chain<N>,
    /// In the joints' turned frames.
    bodies: [Body; N],
    /// Acceleration of free fall in the frame of the base, m/s²: other than [`GRAVITY`] where the
    /// base is tilted.
    pub gravity: Vector3<f64>,
    /// Inertia of each drive's rotor as its joint feels it (gear ratio squared times the rotor's),
    /// kg·m² (prismatic: kg). Added to the diagonal of the mass matrix.
    pub rotor_inertia: Joints<N>,
    /// Friction of each joint. Not part of [`Dynamics`]: see [`Arm::friction_torque`].
    pub friction: [JointFriction; N],
}

impl<const N: usize> Arm<N> {
    /// An arm of `joints`, each carrying the link of the same index, in the joint's frame; `tool`
    /// in the frame of the last link. Gravity is [`GRAVITY`]; there is no friction and no rotor
    /// inertia.
    ///
    /// # Errors
    /// [`LinkError`] names the first link that cannot exist.
    pub fn new(joints: &[Joint; N], links: &[Link; N], tool: Transform) -> Result<Self, LinkError> {
        let chain = Chain::new(joints, tool);
        let mut bodies = [Body::ZERO; N];
        for (index, (body, link)) in bodies.iter_mut().zip(links).enumerate() {
            link.check().map_err(|problem| LinkError { index, problem })?;
            *body = link.seen_from(&chain.turned()[index]);
        }
        Ok(Self {
            chain,
            bodies,
            gravity: GRAVITY,
            rotor_inertia: Joints::zeros(),
            friction: [JointFriction::None; N],
        })
    }

    /// The same arm with friction.
    pub fn with_friction(mut self, friction: [JointFriction; N]) -> Self {
        self.friction = friction;
        self
    }

    /// The same arm with `payload` fixed to its last link: `payload` is given in the frame of the
    /// tool.
    ///
    /// # Errors
    /// [`LinkError`] with index `N` when the payload cannot exist.
    pub fn with_payload(mut self, payload: &Link) -> Result<Self, LinkError> {
        payload.check().map_err(|problem| LinkError { index: N, problem })?;
        if let (Some(body), Some(turned)) = (self.bodies.last_mut(), self.chain.turned().last()) {
            let tool = turned.inverse().then(&self.chain.tool().into());
            body.add(&payload.seen_from(&tool.inverse()));
        }
        Ok(self)
    }

    /// The links in the frames whose z axes are those of the joints; a payload is in the last.
    pub fn links(&self) -> [Link; N] {
        self.bodies.map(|body| body.link())
    }

    /// Mass of all links, kg.
    pub fn mass(&self) -> f64 {
        self.bodies.iter().map(|body| body.mass).sum()
    }

    /// Torque that each drive spends on friction at `velocities`, N·m (N).
    pub fn friction_torque(&self, velocities: &Joints<N>) -> Joints<N> {
        Joints::from_fn(|i, _| self.friction[i].torque(velocities[i]))
    }

    /// The arm at `positions`.
    pub fn at(&self, positions: &Joints<N>) -> Dynamics<N> {
        let kinematics = self.chain.at(positions);
        let mut bodies = [RigidBody::ZERO; N];
        for (i, (body, out)) in self.bodies.iter().zip(&mut bodies).enumerate() {
            *out = body.placed(&kinematics.rotations[i], &kinematics.origins[i]);
        }
        Dynamics { kinematics, bodies, gravity: self.gravity, rotor: self.rotor_inertia }
    }
}

/// An arm at some positions: the result of [`Arm::at`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamics<const N: usize> {
    /// Where its parts are.
    pub kinematics: Kinematics<N>,
    bodies: [RigidBody; N],
    gravity: Vector3<f64>,
    rotor: Joints<N>,
}

#[cfg(test)]
mod tests;
