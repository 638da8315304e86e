//! The arm as its tool feels it: inertia in task space, and what does not move the tool.

use nalgebra::{Matrix6, SMatrix, Vector6};
use sinew_simulation::dynamics::{Dynamics, Jacobian, Joints};

/// A turn counts as the way of a point so far from its axis, m, where turns and ways are compared.
const LEVER_M: f64 = 0.2;

/// The sum of masses that the tool may seem to have along its axes before it counts as singular, kg.
/// A Franka at its usual pose has 20 to 40.
pub const HEAVIEST_KG: f64 = 250.0;

/// Jacobian, task-space inertia and null space of an arm's tool (O. Khatib, A unified approach for
/// motion and force control of robot manipulators: the operational space formulation, 1987).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskSpace<const N: usize> {
    /// m and rad per rad, in the axes of the base.
    pub jacobian: Jacobian<N>,
    /// `M^-1 J'`.
    spread: SMatrix<f64, N, 6>,
    /// `Lambda = (J M^-1 J')^-1`: kg, kg·m and kg·m². Damped near singularities.
    pub inertia: Matrix6<f64>,
    /// What was added to `J M^-1 J'` along the axes, 1/kg: 0 away from singularities.
    pub softening: f64,
}

impl<const N: usize> TaskSpace<N> {
    /// The tool of an arm. `heaviest` is the mass, in kg, from which its inertia is damped: the
    /// nearer to a singularity, the heavier seems what it cannot move. `None` where the mass matrix
    /// is none.
    pub fn new(dynamics: &Dynamics<N>, heaviest: f64) -> Option<Self> {
        let jacobian = dynamics.kinematics.jacobian();
        let spread = dynamics.mass_matrix().cholesky()?.solve(&jacobian.transpose());
        let mut mobility = jacobian * spread;
        // Rounding leaves it a little less than symmetric.
        mobility = (mobility + mobility.transpose()) * 0.5;
        let exact = mobility.cholesky().map(|factors| factors.inverse());
        let turn = 1.0 / (LEVER_M * LEVER_M);
        let mass = |inertia: &Matrix6<f64>| {
            let axes = inertia.diagonal();
            axes.fixed_rows::<3>(0).sum() + turn * axes.fixed_rows::<3>(3).sum()
        };
        if let Some(inertia) = exact
            && mass(&inertia) <= heaviest
        {
            return Some(Self { jacobian, spread, inertia, softening: 0.0 });
        }
        // Of one that is not even invertible: as much as there is.
        let light = exact.map_or(0.0, |inertia| (heaviest / mass(&inertia)).clamp(0.0, 1.0));
        let softening = (1.0 - light).powi(2) / heaviest;
        for axis in 0..6 {
            mobility[(axis, axis)] += if axis < 3 { softening } else { softening * turn };
        }
        let inertia = mobility.cholesky()?.inverse();
        Some(Self { jacobian, spread, inertia, softening })
    }

    /// Torques of a force and a torque at the tool (N, N·m): `J' F`.
    pub fn torque(&self, force: &Vector6<f64>) -> Joints<N> {
        self.jacobian.tr_mul(force)
    }

    /// What of `torque` does not accelerate the tool: `(I - J' Lambda J M^-1) torque`, which is
    /// `(I - J' Jbar') torque` with the dynamically consistent inverse `Jbar = M^-1 J' Lambda`.
    pub fn null(&self, torque: &Joints<N>) -> Joints<N> {
        torque - self.torque(&(self.inertia * self.acceleration(torque)))
    }

    /// How the tool accelerates under `torque`, m/s² and rad/s²: `J M^-1 torque`.
    pub fn acceleration(&self, torque: &Joints<N>) -> Vector6<f64> {
        self.spread.tr_mul(torque)
    }

    /// Damping that brings each axis to `ratio` of critical: `2 ratio sqrt(K Lambda)` on the
    /// diagonal, N·s/m and N·m·s/rad.
    pub fn damping(&self, stiffness: &Vector6<f64>, ratio: f64) -> Vector6<f64> {
        let axes = self.inertia.diagonal();
        Vector6::from_fn(|axis, _| 2.0 * ratio * (stiffness[axis] * axes[axis].max(0.0)).sqrt())
    }
}
