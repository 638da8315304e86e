//! Inverse kinematics: damped least squares inside joint limits, with a posture to prefer.

use nalgebra::{Matrix6, Vector6};
use thiserror::Error;

use super::{Chain, Jacobian, Joints, Pose};
use crate::kinematics::{Transform, twist_between};

/// What is asked of [`Chain::inverse`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IkSettings<const N: usize> {
    /// Largest distance to the target, m.
    pub position_tolerance: f64,
    /// Largest angle to the target, rad.
    pub rotation_tolerance: f64,
    /// Most steps from one seed.
    pub iterations: usize,
    /// How many other seeds are tried, spread over the joints' ranges, when the way from the given
    /// one ends before the target. What is found from there may be far from the seed: none where
    /// an arm in motion follows.
    pub restarts: usize,
    /// Where joints go as far as the target leaves them free (null space).
    pub posture: Option<Joints<N>>,
}

impl<const N: usize> Default for IkSettings<N> {
    /// 1 µm, 1 µrad, 200 steps, no restarts, no posture.
    fn default() -> Self {
        Self {
            position_tolerance: 1e-6,
            rotation_tolerance: 1e-6,
            iterations: 200,
            restarts: 0,
            posture: None,
        }
    }
}

/// No positions were found: the target is out of reach, or the way to it from the seed is closed
/// by limits.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error(
    "no joint positions found for the target: {distance:.3e} m and {angle:.3e} rad are left after {iterations} steps. Is it within reach? Another seed may do, or `restarts`"
)]
pub struct IkError<const N: usize> {
    /// Distance that is left, m.
    pub distance: f64,
    /// Angle that is left, rad.
    pub angle: f64,
    /// Steps that were made.
    pub iterations: usize,
    /// The last positions, inside the limits.
    pub closest: Joints<N>,
}

/// Damping near singular poses, in m (angles are weighted alike).
const DAMPING: f64 = 0.02;
/// What is left of it at the target, squared.
const LEAST_DAMPING: f64 = 1e-12;
/// Largest change of one joint in one step, rad or m.
const LARGEST_STEP: f64 = 0.3;
/// Share of the way to the posture that one step may go.
const POSTURE_GAIN: f64 = 0.2;
/// The posture is reached, as far as it can be, when a step changes no joint by more, rad or m.
const SETTLED: f64 = 1e-5;

impl<const N: usize> Chain<N> {
    /// Positions inside the limits that bring the tool to `target`, next to `seed`.
    ///
    /// Each step solves for the twist that is left, with damping that fades with it. A joint that
    /// would leave its range goes to its end, and the others make up for it (after F. Flacco, A. De
    /// Luca and O. Khatib, Motion control of redundant robots under joint constraints: saturation
    /// in the null space, ICRA 2012). The search is local: a stretched elbow or an end of a range
    /// can close the way. Does not allocate.
    ///
    /// # Errors
    /// [`IkError`] with what is left from the given seed, and the last positions.
    pub fn inverse(
        &self,
        target: &Pose,
        seed: &Joints<N>,
        settings: &IkSettings<N>,
    ) -> Result<Joints<N>, IkError<N>> {
        let target = (*target).into();
        let first = self.search(&target, seed, settings);
        if first.is_ok() {
            return first;
        }
        let others = (1..=settings.restarts)
            .find_map(|index| self.search(&target, &self.other(index, seed), settings).ok());
        others.map_or(first, Ok)
    }

    /// The seed of a restart: the joints' ranges are gone through with steps of different lengths.
    fn other(&self, index: usize, seed: &Joints<N>) -> Joints<N> {
        const STEP: f64 = 0.618_033_988_749_894_9;
        Joints::from_fn(|i, _| {
            let limits = &self.limits()[i];
            let range = limits.upper - limits.lower;
            let share = (index as f64 * STEP * (i as f64 + 1.0).sqrt()).fract();
            if range.is_finite() {
                limits.lower + share * range
            } else {
                seed[i] + (share - 0.5) * std::f64::consts::TAU
            }
        })
    }

    /// The way from one seed.
    fn search(
        &self,
        target: &Transform,
        seed: &Joints<N>,
        settings: &IkSettings<N>,
    ) -> Result<Joints<N>, IkError<N>> {
        let mut positions = Joints::from_fn(|i, _| self.inside(i, seed[i]));
        let mut left = (f64::INFINITY, f64::INFINITY);
        let mut found = None;
        for _ in 0..settings.iterations {
            let kinematics = self.at(&positions);
            let error = Vector6::from(twist_between(&kinematics.tool().into(), target));
            left = (error.fixed_rows::<3>(0).norm(), error.fixed_rows::<3>(3).norm());
            let arrived =
                left.0 <= settings.position_tolerance && left.1 <= settings.rotation_tolerance;
            if arrived {
                found = Some(positions);
                if settings.posture.is_none() {
                    break;
                }
            }
            let wish = match &settings.posture {
                Some(posture) => (posture - positions) * POSTURE_GAIN,
                None => Joints::zeros(),
            };
            let step = self.step(&positions, &kinematics.jacobian(), &error, &wish);
            if arrived && step.amax() <= SETTLED {
                break;
            }
            positions = Joints::from_fn(|i, _| self.inside(i, positions[i] + step[i]));
        }
        found.ok_or(IkError {
            distance: left.0,
            angle: left.1,
            iterations: settings.iterations,
            closest: positions,
        })
    }

    /// One step towards `error`, and as far as that leaves it free along `wish`.
    fn step(
        &self,
        positions: &Joints<N>,
        jacobian: &Jacobian<N>,
        error: &Vector6<f64>,
        wish: &Joints<N>,
    ) -> Joints<N> {
        let damping = DAMPING * error.norm().min(1.0);
        let damping = damping * damping + LEAST_DAMPING;
        let (mut free, mut wish, mut error) = (*jacobian, *wish, *error);
        let mut step = Joints::zeros();
        // Steps of joints that are held at an end of their range.
        let mut held: [Option<f64>; N] = [None; N];
        for _ in 0..=N {
            let square = free * free.transpose() + Matrix6::from_diagonal_element(damping);
            // Damped, the matrix is positive definite: no factors come of numbers that are not.
            let Some(factors) = square.cholesky() else { return Joints::zeros() };
            step = wish + free.tr_mul(&factors.solve(&(error - free * wish)));
            let scale = (LARGEST_STEP / step.amax()).min(1.0);
            step *= scale;
            let mut complete = true;
            for i in 0..N {
                if let Some(fixed) = held[i] {
                    step[i] = fixed;
                    continue;
                }
                let end = self.inside(i, positions[i] + step[i]);
                if end != positions[i] + step[i] {
                    let fixed = end - positions[i];
                    held[i] = Some(fixed);
                    error -= jacobian.column(i) * fixed;
                    free.column_mut(i).fill(0.0);
                    wish[i] = 0.0;
                    step[i] = fixed;
                    complete = false;
                }
            }
            if complete {
                break;
            }
        }
        step
    }

    /// The position next to `position` in joint `joint`'s range. Where that is empty its lower end.
    fn inside(&self, joint: usize, position: f64) -> f64 {
        let limits = &self.limits()[joint];
        position.min(limits.upper).max(limits.lower)
    }
}
