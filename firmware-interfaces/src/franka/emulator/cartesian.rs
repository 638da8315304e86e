//! Whether commanded motions of the end effector are such as the arm accepts.

use sinew_simulation::dynamics::Joints;
use sinew_simulation::kinematics::{Transform, twist_between};

use super::RobotModel;
use super::judge::{ACCELERATION_SLACK, JERK_SLACK, VELOCITY_SLACK};
use super::plant::PERIOD;
use crate::franka::wire::Error;

/// Most of a velocity, an acceleration and a jerk.
type Most = [f64; 3];

/// Translation (m), rotation (rad) and elbow (rad), of Franka's FCI documentation.
const FER: [Most; 3] = [[1.7, 13.0, 6500.0], [2.5, 25.0, 12_500.0], [2.175, 10.0, 5000.0]];
const FR3: [Most; 3] = [[3.0, 9.0, 4500.0], [2.5, 17.0, 8500.0], [2.62, 10.0, 5000.0]];

/// Velocities of translation, rotation and elbow, one after the other.
type Velocities = Joints<7>;

/// Follows what is commanded, cycle by cycle; across a gap as [`Judge`](super::judge::Judge) does.
#[derive(Clone, Copy, Debug)]
pub(super) struct CartesianJudge {
    most: &'static [Most; 3],
    /// Commands in a row, the present one included.
    row: u32,
    velocities: Velocities,
    accelerations: Velocities,
}

impl CartesianJudge {
    /// A motion that begins at rest.
    pub fn new(model: RobotModel) -> Self {
        let most = match model {
            RobotModel::Fer => &FER,
            RobotModel::Fr3 => &FR3,
        };
        Self { most, row: 3, velocities: Velocities::zeros(), accelerations: Velocities::zeros() }
    }

    /// A command has been lost.
    pub const fn lose(&mut self) {
        self.row = 0;
    }

    /// A commanded pose after `before`, with the elbow `elbow` rad further.
    pub fn pose(&mut self, before: &Transform, pose: &Transform, elbow: f64) -> Result<(), Error> {
        self.row = self.row.saturating_add(1);
        if self.row < 2 {
            return Ok(());
        }
        let twist = twist_between(before, pose).map(|way| way / PERIOD);
        self.judge(&twist, elbow / PERIOD, self.row)
    }

    /// A commanded twist, with the elbow `elbow` rad further.
    pub fn twist(&mut self, twist: &[f64; 6], elbow: f64) -> Result<(), Error> {
        self.row = self.row.saturating_add(1);
        self.judge(twist, elbow / PERIOD, self.row.saturating_add(1))
    }

    fn judge(&mut self, twist: &[f64; 6], elbow: f64, row: u32) -> Result<(), Error> {
        let [x, y, z, a, b, c] = *twist;
        let velocities = Velocities::from([x, y, z, a, b, c, elbow]);
        self.within(&velocities, 0, VELOCITY_SLACK, Error::CARTESIAN_COMMANDED_VELOCITY)?;
        let mut accelerations = Velocities::zeros();
        if row >= 3 {
            accelerations = (velocities - self.velocities) / PERIOD;
            let error = Error::CARTESIAN_VELOCITY_DISCONTINUITY;
            self.within(&accelerations, 1, ACCELERATION_SLACK, error)?;
        }
        if row >= 4 {
            let jerks = (accelerations - self.accelerations) / PERIOD;
            let error = Error::CARTESIAN_ACCELERATION_DISCONTINUITY;
            self.within(&jerks, 2, JERK_SLACK, error)?;
        }
        (self.velocities, self.accelerations) = (velocities, accelerations);
        Ok(())
    }

    fn within(
        &self,
        rates: &Velocities,
        order: usize,
        slack: f64,
        error: Error,
    ) -> Result<(), Error> {
        let parts =
            [rates.fixed_rows::<3>(0).norm(), rates.fixed_rows::<3>(3).norm(), rates[6].abs()];
        let inside = parts.iter().zip(self.most).all(|(part, most)| *part <= most[order] + slack);
        if inside { Ok(()) } else { Err(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions along x until the first error.
    fn play(x: impl Fn(f64) -> f64, lost: impl Fn(u32) -> bool) -> Result<(), Error> {
        let mut judge = CartesianJudge::new(RobotModel::Fr3);
        let mut before = Transform::IDENTITY;
        for cycle in 1..1500 {
            let place = x(f64::from(cycle) * PERIOD);
            let pose = Transform { translation: [place, 0.0, 0.0], ..Transform::IDENTITY };
            if lost(cycle) {
                judge.lose();
            } else {
                judge.pose(&before, &pose, 0.0)?;
            }
            before = pose;
        }
        Ok(())
    }

    #[test]
    fn smooth_motions_are_accepted_and_jumps_of_the_end_effector_are_named() {
        let smooth = |t: f64| 0.2 * (1.0 - (3.0 * t).cos());
        assert_eq!(play(smooth, |_| false), Ok(()));
        assert_eq!(play(smooth, |cycle| cycle % 40 < 10), Ok(()));
        let fast = |t: f64| 2.2 * t * t;
        assert_eq!(play(fast, |_| false), Err(Error::CARTESIAN_COMMANDED_VELOCITY));
        let quick = |t: f64| 5.0 * t * t * t;
        assert_eq!(play(quick, |_| false), Err(Error::CARTESIAN_VELOCITY_DISCONTINUITY));
        let kick = |t: f64| 4e-6 * ((t / PERIOD).round() % 2.0);
        assert_eq!(play(kick, |_| false), Err(Error::CARTESIAN_ACCELERATION_DISCONTINUITY));
    }

    #[test]
    fn turning_and_the_elbow_have_limits_of_their_own() {
        let mut judge = CartesianJudge::new(RobotModel::Fer);
        let turn = |speed| [0.0, 0.0, 0.0, 0.0, 0.0, speed];
        assert_eq!(judge.twist(&turn(0.01), 0.0), Ok(()));
        assert_eq!(judge.twist(&turn(0.03), 0.0), Ok(()));
        assert_eq!(
            judge.twist(&turn(0.06), 0.0),
            Err(Error::CARTESIAN_VELOCITY_DISCONTINUITY),
            "30 rad/s²"
        );
        // Nothing but velocities is known after a gap.
        judge.lose();
        assert_eq!(judge.twist(&turn(0.0), 2e-3), Ok(()));
        assert_eq!(judge.twist(&turn(0.0), 3e-3), Err(Error::CARTESIAN_COMMANDED_VELOCITY));
    }
}
