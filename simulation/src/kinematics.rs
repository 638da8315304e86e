//! Kinematics of a serial chain of revolute joints: forward, and inverse by damped least squares.
//!
//! Rotations are given as roll, pitch, yaw about the *fixed* axes x, y, z in that order, which is
//! URDF's convention: `R = Rz(yaw) Ry(pitch) Rx(roll)`.

use std::ops::RangeInclusive;

/// A 3-vector, in m for positions.
pub type Vector = [f64; 3];

/// A rigid transform: rotation matrix (rows) and translation in m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Rotation, row by row.
    pub rotation: [Vector; 3],
    /// Translation in m.
    pub translation: Vector,
}

impl Transform {
    /// No rotation, no translation.
    pub const IDENTITY: Self = Self {
        rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        translation: [0.0; 3],
    };

    /// From a translation in m and roll, pitch, yaw in rad (see the module's convention).
    pub fn from_xyz_rpy(translation: Vector, [roll, pitch, yaw]: Vector) -> Self {
        let (sr, cr) = roll.sin_cos();
        let (sp, cp) = pitch.sin_cos();
        let (sy, cy) = yaw.sin_cos();
        Self {
            rotation: [
                [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
                [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
                [-sp, cp * sr, cp * cr],
            ],
            translation,
        }
    }

    /// Roll, pitch, yaw in rad. At a pitch of ±90° only the sum or difference of roll and yaw is
    /// defined; roll is then 0.
    pub fn rpy(&self) -> Vector {
        let r = &self.rotation;
        let pitch = (-r[2][0]).atan2(r[0][0].hypot(r[1][0]));
        if r[0][0].hypot(r[1][0]) < 1e-9 {
            return [0.0, pitch, (-r[0][1]).atan2(r[1][1])];
        }
        [r[2][1].atan2(r[2][2]), pitch, r[1][0].atan2(r[0][0])]
    }

    /// `self` followed by `next`, seen from `self`'s parent.
    pub fn then(&self, next: &Self) -> Self {
        let mut rotation = [[0.0; 3]; 3];
        for (row, out) in self.rotation.iter().zip(&mut rotation) {
            for (column, value) in out.iter_mut().enumerate() {
                *value = (0..3).map(|k| row[k] * next.rotation[k][column]).sum();
            }
        }
        let moved = self.rotate(next.translation);
        Self { rotation, translation: add(self.translation, moved) }
    }

    /// The transform that undoes this one.
    pub fn inverse(&self) -> Self {
        let mut rotation = [[0.0; 3]; 3];
        for (row, out) in rotation.iter_mut().enumerate() {
            for (column, value) in out.iter_mut().enumerate() {
                *value = self.rotation[column][row];
            }
        }
        let turned = Self { rotation, translation: [0.0; 3] };
        let back = turned.rotate(self.translation);
        Self { rotation, translation: [-back[0], -back[1], -back[2]] }
    }

    /// Turns a vector by the rotation.
    pub fn rotate(&self, vector: Vector) -> Vector {
        self.rotation.map(|row| dot(row, vector))
    }

    fn about_z(angle: f64) -> Self {
        Self::from_xyz_rpy([0.0; 3], [0.0, 0.0, angle])
    }
}

/// A chain of `N` revolute joints, each turning about the z axis of its own frame.
#[derive(Clone, Debug, PartialEq)]
pub struct SerialChain<const N: usize> {
    /// Each joint's frame seen from the one before, at angle 0.
    pub origins: [Transform; N],
    /// Each joint's range in rad.
    pub limits: [RangeInclusive<f64>; N],
}

/// Damping of the inverse near singular poses, in m (rotation errors are weighted alike).
const DAMPING: f64 = 0.02;
/// Largest step of one joint in one iteration, in rad.
const LARGEST_STEP: f64 = 0.3;
const ITERATIONS: usize = 200;

impl<const N: usize> SerialChain<N> {
    /// The last joint's frame seen from the base. `angles` in rad.
    pub fn forward(&self, angles: &[f64; N]) -> Transform {
        let mut pose = Transform::IDENTITY;
        for (origin, angle) in self.origins.iter().zip(angles) {
            pose = pose.then(origin).then(&Transform::about_z(*angle));
        }
        pose
    }

    /// Joint angles in rad, inside the limits, that bring the last frame to `target`: to within
    /// `position_tolerance` m and `rotation_tolerance` rad. The search starts at `seed` and finds
    /// the solution next to it; `None` when it finds none.
    pub fn inverse(
        &self,
        target: &Transform,
        seed: &[f64; N],
        position_tolerance: f64,
        rotation_tolerance: f64,
    ) -> Option<[f64; N]> {
        let mut angles = *seed;
        for (angle, limits) in angles.iter_mut().zip(&self.limits) {
            *angle = inside(*angle, limits);
        }
        for _ in 0..ITERATIONS {
            let (pose, jacobian) = self.forward_with_jacobian(&angles);
            let error = twist_between(&pose, target);
            let distance = norm([error[0], error[1], error[2]]);
            let turn = norm([error[3], error[4], error[5]]);
            if distance <= position_tolerance && turn <= rotation_tolerance {
                return Some(angles);
            }
            // Damping fades with the error, so that the last steps converge fully.
            let damping = DAMPING * (distance + turn).min(1.0);
            let weights = solve_damped(&jacobian, &error, damping * damping + 1e-12)?;
            for ((angle, column), limits) in angles.iter_mut().zip(&jacobian).zip(&self.limits) {
                let step: f64 = column.iter().zip(&weights).map(|(j, w)| j * w).sum();
                let step = step.clamp(-LARGEST_STEP, LARGEST_STEP);
                *angle = inside(*angle + step, limits);
            }
        }
        None
    }

    /// The pose, and for each joint the twist (m/rad and rad/rad) that turning it gives the end.
    fn forward_with_jacobian(&self, angles: &[f64; N]) -> (Transform, [[f64; 6]; N]) {
        let end = self.forward(angles);
        let mut pose = Transform::IDENTITY;
        let mut jacobian = [[0.0; 6]; N];
        for ((origin, angle), column) in self.origins.iter().zip(angles).zip(&mut jacobian) {
            pose = pose.then(origin);
            let axis = pose.rotate([0.0, 0.0, 1.0]);
            let lever = subtract(end.translation, pose.translation);
            let linear = cross(axis, lever);
            *column = [linear[0], linear[1], linear[2], axis[0], axis[1], axis[2]];
            pose = pose.then(&Transform::about_z(*angle));
        }
        (end, jacobian)
    }
}

/// Like `clamp`, but an empty range does not panic: its start wins.
fn inside(angle: f64, limits: &RangeInclusive<f64>) -> f64 {
    angle.min(*limits.end()).max(*limits.start())
}

/// Translation (m) and rotation vector (rad) from `from` to `to`, in the base frame.
pub fn twist_between(from: &Transform, to: &Transform) -> [f64; 6] {
    let linear = subtract(to.translation, from.translation);
    let turned = Transform { rotation: to.rotation, translation: [0.0; 3] }
        .then(&Transform { rotation: from.rotation, translation: [0.0; 3] }.inverse());
    let r = &turned.rotation;
    let axis = [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]];
    let sine = 0.5 * norm(axis);
    let cosine = 0.5 * (r[0][0] + r[1][1] + r[2][2] - 1.0);
    let angle = sine.atan2(cosine);
    let scale = if sine > 1e-9 {
        0.5 * angle / sine
    } else if cosine > 0.0 {
        0.5
    } else {
        // Half a turn: the axis is the column of R + I with the largest diagonal.
        let k = (0..3).fold(0, |best, i| if r[i][i] > r[best][best] { i } else { best });
        let mut column = [r[0][k], r[1][k], r[2][k]];
        column[k] += 1.0;
        let length = norm(column).max(f64::MIN_POSITIVE);
        let turn = column.map(|c| c / length * angle);
        return [linear[0], linear[1], linear[2], turn[0], turn[1], turn[2]];
    };
    [linear[0], linear[1], linear[2], axis[0] * scale, axis[1] * scale, axis[2] * scale]
}

/// Solves `(J Jᵀ + damping I) y = error` by Gaussian elimination; `None` if singular.
fn solve_damped<const N: usize>(
    jacobian: &[[f64; 6]; N],
    error: &[f64; 6],
    damping: f64,
) -> Option<[f64; 6]> {
    let mut rows = [[0.0; 7]; 6];
    for i in 0..6 {
        for j in 0..6 {
            rows[i][j] = jacobian.iter().map(|column| column[i] * column[j]).sum();
        }
        rows[i][i] += damping;
        rows[i][6] = error[i];
    }
    for pivot in 0..6 {
        let best = (pivot..6).fold(pivot, |best, i| {
            if rows[i][pivot].abs() > rows[best][pivot].abs() { i } else { best }
        });
        rows.swap(pivot, best);
        let head = rows[pivot];
        if head[pivot].abs() < 1e-300 {
            return None;
        }
        for row in rows.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / head[pivot];
            for (value, above) in row.iter_mut().zip(&head).skip(pivot) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = [0.0; 6];
    for i in (0..6).rev() {
        let known: f64 = (i + 1..6).map(|j| rows[i][j] * solution[j]).sum();
        solution[i] = (rows[i][6] - known) / rows[i][i];
    }
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn subtract(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::{FRAC_PI_2, PI};

    /// Two 1 m links in the plane, and a third joint 0 m further: enough for a closed form.
    fn planar() -> SerialChain<3> {
        let link = |x| Transform::from_xyz_rpy([x, 0.0, 0.0], [0.0; 3]);
        SerialChain { origins: [link(0.0), link(1.0), link(1.0)], limits: [const { -PI..=PI }; 3] }
    }

    fn elbow() -> SerialChain<6> {
        let joint = Transform::from_xyz_rpy;
        SerialChain {
            origins: [
                joint([0.0, 0.0, 0.2], [0.0; 3]),
                joint([0.0, 0.0, 0.1], [-FRAC_PI_2, 0.0, 0.0]),
                joint([0.3, 0.0, 0.0], [0.0; 3]),
                joint([0.0, 0.1, 0.0], [FRAC_PI_2, 0.0, 0.0]),
                joint([0.0, 0.0, 0.2], [-FRAC_PI_2, 0.0, 0.0]),
                joint([0.0, 0.1, 0.0], [FRAC_PI_2, 0.0, 0.0]),
            ],
            limits: [const { -2.8..=2.8 }; 6],
        }
    }

    #[test]
    fn a_planar_chain_follows_the_textbook() {
        let (a, b, c) = (0.3_f64, -0.7_f64, 0.2_f64);
        let pose = planar().forward(&[a, b, c]);
        assert!((pose.translation[0] - (a.cos() + (a + b).cos())).abs() < 1e-12);
        assert!((pose.translation[1] - (a.sin() + (a + b).sin())).abs() < 1e-12);
        assert!((pose.rpy()[2] - (a + b + c)).abs() < 1e-12);
    }

    #[test]
    fn a_pose_out_of_reach_has_no_solution() {
        let target = Transform::from_xyz_rpy([5.0, 0.0, 0.0], [0.0; 3]);
        assert_eq!(elbow().inverse(&target, &[0.1; 6], 1e-6, 1e-6), None);
    }

    #[test]
    fn half_a_turn_has_its_axis() {
        for (axis, rpy) in [(3, [PI, 0.0, 0.0]), (4, [0.0, PI, 0.0]), (5, [0.0, 0.0, PI])] {
            let to = Transform::from_xyz_rpy([0.0; 3], rpy);
            let twist = twist_between(&Transform::IDENTITY, &to);
            assert!((twist[axis].abs() - PI).abs() < 1e-9, "{twist:?}");
        }
    }

    proptest! {
        #[test]
        fn rpy_round_trips(r in -3.1..3.1f64, p in -1.5..1.5f64, y in -3.1..3.1f64) {
            let [r2, p2, y2] = Transform::from_xyz_rpy([0.0; 3], [r, p, y]).rpy();
            prop_assert!((r - r2).abs() + (p - p2).abs() + (y - y2).abs() < 1e-9);
        }

        #[test]
        fn a_transform_and_its_inverse_cancel(
            xyz in prop::array::uniform3(-2.0..2.0f64), rpy in prop::array::uniform3(-3.0..3.0f64),
        ) {
            let pose = Transform::from_xyz_rpy(xyz, rpy);
            let twist = twist_between(&Transform::IDENTITY, &pose.then(&pose.inverse()));
            prop_assert!(twist.iter().all(|v| v.abs() < 1e-9));
        }

        #[test]
        fn the_inverse_reaches_what_forward_reached(
            angles in prop::array::uniform6(-1.2..1.2f64),
            shift in prop::array::uniform6(-0.15..0.15f64),
        ) {
            // Keep away from the straight wrist and elbow, where the chain is singular.
            let mut angles = angles;
            angles[2] = 1.0 + 0.3 * angles[2];
            angles[4] = 1.0 + 0.3 * angles[4];
            let chain = elbow();
            let target = chain.forward(&angles);
            let mut seed = angles;
            for (s, d) in seed.iter_mut().zip(shift) { *s += d; }
            let found = chain.inverse(&target, &seed, 1e-7, 1e-7);
            prop_assert!(found.is_some());
            let twist = twist_between(&chain.forward(&found.unwrap()), &target);
            prop_assert!(twist.iter().all(|v| v.abs() < 1e-6), "{twist:?}");
        }
    }
}
