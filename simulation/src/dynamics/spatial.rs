//! Six-vectors and rigid bodies, all seen from the base: axes of the base, reference point its
//! origin. So bodies, forces and motions of different links add up without being transformed.

use std::ops::{Add, AddAssign, Mul, Sub};

use nalgebra::{Matrix3, Matrix6, Vector3, Vector6};

/// A motion (`linear` is the velocity of the body's point at the base's origin, m/s, `angular` in
/// rad/s) or a force (`linear` in N, `angular` its moment about the base's origin in N·m).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Screw {
    pub linear: Vector3<f64>,
    pub angular: Vector3<f64>,
}

impl Screw {
    pub const ZERO: Self = Self { linear: ZERO, angular: ZERO };

    pub fn new(linear: Vector3<f64>, angular: Vector3<f64>) -> Self {
        Self { linear, angular }
    }

    /// A motion's power under a force.
    pub fn dot(&self, other: &Self) -> f64 {
        self.linear.dot(&other.linear) + self.angular.dot(&other.angular)
    }

    /// How the motion `other` changes when it is carried along by `self`.
    pub fn carry(&self, other: &Self) -> Self {
        let linear = self.angular.cross(&other.linear) + self.linear.cross(&other.angular);
        Self { linear, angular: self.angular.cross(&other.angular) }
    }

    /// How the force `force` changes when it is carried along by the motion `self`.
    pub fn carry_force(&self, force: &Self) -> Self {
        let angular = self.angular.cross(&force.angular) + self.linear.cross(&force.linear);
        Self { linear: self.angular.cross(&force.linear), angular }
    }

    /// Linear above angular.
    pub fn vector(&self) -> Vector6<f64> {
        let (l, a) = (&self.linear, &self.angular);
        Vector6::new(l.x, l.y, l.z, a.x, a.y, a.z)
    }

    pub fn from_vector(v: &Vector6<f64>) -> Self {
        Self { linear: Vector3::new(v[0], v[1], v[2]), angular: Vector3::new(v[3], v[4], v[5]) }
    }

    /// The matrix of [`Self::carry`].
    pub fn carrying(&self) -> Matrix6<f64> {
        let (linear, angular) = (self.linear.cross_matrix(), self.angular.cross_matrix());
        blocks(&angular, &linear, &Matrix3::zeros(), &angular)
    }
}

impl Add for Screw {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { linear: self.linear + other.linear, angular: self.angular + other.angular }
    }
}

impl AddAssign for Screw {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Screw {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { linear: self.linear - other.linear, angular: self.angular - other.angular }
    }
}

impl Mul<f64> for Screw {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self { linear: self.linear * factor, angular: self.angular * factor }
    }
}

/// Mass, first moment and inertia of a body or of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RigidBody {
    /// kg.
    pub mass: f64,
    /// Mass times centre, kg·m.
    pub moment: Vector3<f64>,
    /// About the base's origin, kg·m².
    pub inertia: Matrix3<f64>,
}

impl RigidBody {
    pub const ZERO: Self = Self {
        mass: 0.0,
        moment: ZERO,
        inertia: Matrix3::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    };

    /// Momentum of a velocity, or the force behind an acceleration.
    pub fn times(&self, motion: &Screw) -> Screw {
        let (linear, angular) = (&motion.linear, &motion.angular);
        Screw {
            linear: linear * self.mass + angular.cross(&self.moment),
            angular: self.inertia * angular + self.moment.cross(linear),
        }
    }

    pub fn matrix(&self) -> Matrix6<f64> {
        let moment = self.moment.cross_matrix();
        let mass = Matrix3::from_diagonal_element(self.mass);
        blocks(&mass, &-moment, &moment, &self.inertia)
    }
}

impl AddAssign for RigidBody {
    fn add_assign(&mut self, other: Self) {
        self.mass += other.mass;
        self.moment += other.moment;
        self.inertia += other.inertia;
    }
}

const ZERO: Vector3<f64> = Vector3::new(0.0, 0.0, 0.0);

/// A matrix of four blocks, row by row.
pub(crate) fn blocks(
    a: &Matrix3<f64>,
    b: &Matrix3<f64>,
    c: &Matrix3<f64>,
    d: &Matrix3<f64>,
) -> Matrix6<f64> {
    let mut matrix = Matrix6::zeros();
    matrix.fixed_view_mut::<3, 3>(0, 0).copy_from(a);
    matrix.fixed_view_mut::<3, 3>(0, 3).copy_from(b);
    matrix.fixed_view_mut::<3, 3>(3, 0).copy_from(c);
    matrix.fixed_view_mut::<3, 3>(3, 3).copy_from(d);
    matrix
}
