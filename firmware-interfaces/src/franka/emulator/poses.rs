//! Poses between the wire's sixteen numbers, column by column, and the arm's kinematics.

use sinew_simulation::kinematics::Transform;

/// How far a commanded pose may be from a rigid one.
const RIGID: f64 = 1e-3;

/// Sixteen numbers of a pose.
pub(super) fn to_wire(pose: &Transform) -> [f64; 16] {
    let (r, t) = (&pose.rotation, &pose.translation);
    std::array::from_fn(|index| {
        let (row, column) = (index % 4, index / 4);
        match (row, column) {
            (3, 3) => 1.0,
            (3, _) => 0.0,
            (_, 3) => t[row],
            _ => r[row][column],
        }
    })
}

/// The pose of sixteen numbers, if that is what they are.
pub(super) fn from_wire(numbers: &[f64; 16]) -> Option<Transform> {
    let column = |index: usize| -> [f64; 3] { std::array::from_fn(|row| numbers[4 * index + row]) };
    let [x, y, z] = [column(0), column(1), column(2)];
    let crossed = cross(&x, &y);
    let rigid = (dot(&x, &x) - 1.0).abs() < RIGID
        && (dot(&y, &y) - 1.0).abs() < RIGID
        && dot(&x, &y).abs() < RIGID
        && (0..3).all(|row| (crossed[row] - z[row]).abs() < RIGID);
    let last_row = [numbers[3], numbers[7], numbers[11], numbers[15] - 1.0];
    if !rigid || last_row.iter().any(|number| number.abs() > RIGID) {
        return None;
    }
    let rotation = std::array::from_fn(|row| [x[row], y[row], z[row]]);
    Some(Transform { rotation, translation: column(3) })
}

/// `pose` after `seconds` of `twist`: m/s and rad/s in the axes of the base.
pub(super) fn moved(pose: &Transform, twist: &[f64; 6], seconds: f64) -> Transform {
    let [vx, vy, vz, wx, wy, wz] = twist.map(|component| component * seconds);
    let turned = Transform { rotation: rotation([wx, wy, wz]), translation: [0.0; 3] }
        .then(&Transform { translation: [0.0; 3], ..*pose });
    let [x, y, z] = pose.translation;
    Transform { rotation: turned.rotation, translation: [x + vx, y + vy, z + vz] }
}

/// The rotation of a rotation vector (Rodrigues).
fn rotation(vector: [f64; 3]) -> [[f64; 3]; 3] {
    let angle = dot(&vector, &vector).sqrt();
    let (a, b) = if angle < 1e-6 {
        (1.0, 0.5)
    } else {
        (angle.sin() / angle, (1.0 - angle.cos()) / (angle * angle))
    };
    let [x, y, z] = vector;
    let cross = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let square: f64 = (0..3).map(|k| cross[row][k] * cross[k][column]).sum();
            f64::from(u8::from(row == column)) + a * cross[row][column] + b * square
        })
    })
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn cross(a: &[f64; 3], b: &[f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poses_come_back_from_the_wire_and_what_is_no_pose_does_not() {
        let pose = Transform::from_xyz_rpy([0.1, 0.2, 0.3], [0.4, -0.5, 0.6]);
        let numbers = to_wire(&pose);
        assert_eq!(numbers[12..15], [0.1, 0.2, 0.3]);
        assert_eq!(numbers[1], pose.rotation[1][0]);
        assert_eq!(from_wire(&numbers), Some(pose));
        assert_eq!(from_wire(&[0.0; 16]), None);
        let mut mirrored = numbers;
        (8..11).for_each(|index| mirrored[index] = -mirrored[index]);
        assert_eq!(from_wire(&mirrored), None);
    }

    #[test]
    fn a_second_of_turning_about_z_turns_about_z() {
        let pose = moved(&Transform::IDENTITY, &[0.1, 0.0, 0.0, 0.0, 0.0, 0.5], 1.0);
        let expected = Transform::from_xyz_rpy([0.1, 0.0, 0.0], [0.0, 0.0, 0.5]);
        for (row, other) in pose.rotation.iter().zip(&expected.rotation) {
            assert!(row.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-12));
        }
        assert_eq!(pose.translation, expected.translation);
    }
}
