//! What a link weighs.

use nalgebra::{Matrix3, Vector3};
use thiserror::Error;

use super::spatial::RigidBody;
use crate::kinematics::Transform;

/// Mass and inertia of a link, in the frame of its joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// kg.
    pub mass: f64,
    /// Centre of mass, m.
    pub center: [f64; 3],
    /// About the centre of mass, kg·m²: xx, xy, xz, yy, yz, zz.
    pub inertia: [f64; 6],
}

/// A link that cannot exist.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("link {} of the arm: {problem}", .index + 1)]
pub struct LinkError {
    /// Counted from 0; one past the last link is the payload.
    pub index: usize,
    /// What is wrong with it.
    pub problem: LinkProblem,
}

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LinkProblem {
    /// A mass that no link has.
    #[error("its mass is {found} kg, needed is a number above 0")]
    Mass {
        /// What was given.
        found: f64,
    },
    /// A centre that is not finite.
    #[error("its centre of mass is not finite")]
    Center,
    /// An inertia that no body has.
    #[error(
        "its inertia has the principal value {least:e} kg·m², needed are finite numbers, none below 0. Are products of inertia given with the wrong sign?"
    )]
    Inertia {
        /// Least eigenvalue.
        least: f64,
    },
}

impl Link {
    /// All its mass in one point.
    pub const fn point(mass: f64, center: [f64; 3]) -> Self {
        Self { mass, center, inertia: [0.0; 6] }
    }

    pub(crate) fn check(&self) -> Result<(), LinkProblem> {
        if !(self.mass > 0.0 && self.mass.is_finite()) {
            return Err(LinkProblem::Mass { found: self.mass });
        }
        if !self.center.iter().all(|value| value.is_finite()) {
            return Err(LinkProblem::Center);
        }
        if !self.inertia.iter().all(|value| value.is_finite()) {
            return Err(LinkProblem::Inertia { least: f64::NAN });
        }
        let values = symmetric(&self.inertia).symmetric_eigenvalues();
        let (least, most) = (values.min(), values.max());
        // Rounding of a body without extent, a rod for instance.
        if least < -1e-9 * most.max(0.0) || most < 0.0 {
            return Err(LinkProblem::Inertia { least });
        }
        Ok(())
    }

    /// The same body in the frame that `frame` is from the link's.
    pub(crate) fn seen_from(&self, frame: &Transform) -> Body {
        let back = frame.inverse();
        let rotation = Matrix3::from(back.rotation).transpose();
        let center = rotation * Vector3::from(self.center) + Vector3::from(back.translation);
        let inertia = rotation * symmetric(&self.inertia) * rotation.transpose();
        Body { mass: self.mass, center, inertia }
    }
}

/// A link in a frame that is not its joint's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Body {
    pub mass: f64,
    pub center: Vector3<f64>,
    /// About the centre.
    pub inertia: Matrix3<f64>,
}

impl Body {
    pub const ZERO: Self = Self {
        mass: 0.0,
        center: Vector3::new(0.0, 0.0, 0.0),
        inertia: Matrix3::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    };

    /// Fixes `other`, in the same frame, to this body.
    pub fn add(&mut self, other: &Self) {
        let mass = self.mass + other.mass;
        if mass <= 0.0 {
            return;
        }
        let center = (self.center * self.mass + other.center * other.mass) / mass;
        let about = |body: &Self| body.inertia + steiner(body.mass, &(body.center - center));
        *self = Self { mass, center, inertia: about(self) + about(other) };
    }

    pub fn link(&self) -> Link {
        let i = &self.inertia;
        Link {
            mass: self.mass,
            center: self.center.into(),
            inertia: [i.m11, i.m12, i.m13, i.m22, i.m23, i.m33],
        }
    }

    /// The body where its frame has this rotation and origin.
    pub fn placed(&self, rotation: &Matrix3<f64>, origin: &Vector3<f64>) -> RigidBody {
        let center = rotation * self.center + origin;
        let turned = rotation * self.inertia * rotation.transpose();
        RigidBody {
            mass: self.mass,
            moment: center * self.mass,
            inertia: turned + steiner(self.mass, &center),
        }
    }
}

/// What an offset of the centre adds to an inertia.
fn steiner(mass: f64, offset: &Vector3<f64>) -> Matrix3<f64> {
    let moved = offset * mass;
    Matrix3::from_diagonal_element(moved.dot(offset)) - moved * offset.transpose()
}

fn symmetric(&[xx, xy, xz, yy, yz, zz]: &[f64; 6]) -> Matrix3<f64> {
    Matrix3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz)
}
