//! The motion in an episode: what the arm was told while it followed its target source, and where
//! it was.

use std::time::Duration;

use sinew_episodes::journal::CycleRecord;
use sinew_firmware_interfaces::{JointDescription, MAX_JOINTS};

use super::{Episode, Incomplete, ReplayError};
use crate::limits::{JointLimits, Workspace};
use crate::supervision::ArmState;

/// A recorded motion: from the first cycle that followed the target source to the last.
#[derive(Clone, Debug)]
pub struct Motion {
    /// Time between two commands.
    pub step: Duration,
    /// Commands after limits, in joint units, one per cycle of the recording's grid. Cycles that
    /// were missed are filled in on straight lines.
    pub commands: Vec<[f64; MAX_JOINTS]>,
    /// Where each joint was measured, by the time since the first command.
    pub measured: Vec<Course>,
    /// What is missing behind it, if something is.
    pub incomplete: Option<Incomplete>,
}

impl Motion {
    /// Reads `episode` to its end.
    ///
    /// # Errors
    /// [`ReplayError`] when it cannot be read, or nothing was followed in it.
    pub fn read(episode: &mut Episode) -> Result<Self, ReplayError> {
        let joints = episode.header().joints.len();
        let step = Duration::from_secs_f64(1.0 / episode.header().rate_hz);
        let mut commands: Vec<[f64; MAX_JOINTS]> = Vec::new();
        let mut measured = vec![Course::default(); joints];
        // How much of it is sure to be motion.
        let mut sure = 0;
        let mut first: Option<(u64, u64)> = None;
        while let Some(recorded) = episode.next_cycle()? {
            let cycle = recorded.cycle;
            let running = cycle.state == ArmState::Running as u8;
            if !running && first.is_none() {
                continue;
            }
            let (index, at) = *first.get_or_insert((cycle.index, cycle.scheduled_ns));
            fill(&mut commands, (cycle.index - index) as usize, &cycle.limited);
            for (joint, course) in measured.iter_mut().enumerate() {
                course.add(&cycle, joint, at);
            }
            if running {
                sure = commands.len();
            }
        }
        if sure < 2 {
            return Err(ReplayError::NoMotion { path: episode.path().to_owned() });
        }
        commands.truncate(sure);
        let incomplete = episode.incomplete().cloned();
        Ok(Self { step, commands, measured, incomplete })
    }

    /// How long it takes, in s.
    pub fn seconds(&self) -> f64 {
        self.step.as_secs_f64() * (self.commands.len() - 1) as f64
    }

    /// Holds the commands against `limits`, in joint order.
    ///
    /// # Errors
    /// [`ReplayError::Beyond`] with the first joint and value that is outside.
    pub fn check(
        &self,
        joints: &[JointDescription],
        limits: &[JointLimits],
        workspace: Option<&Workspace>,
    ) -> Result<(), ReplayError> {
        /// Rounding, as a fraction of the limit.
        const SLACK: f64 = 1e-6;
        let dt = self.step.as_secs_f64();
        let at = |index: usize| index as f64 * dt;
        for (joint, (description, limits)) in joints.iter().zip(limits).enumerate() {
            let unit = description.kind.unit();
            let beyond = |index: usize, what, value: f64, unit: String, limit: String| {
                let joint = description.name.clone();
                ReplayError::Beyond { joint, what, value, unit, limit, seconds: at(index) }
            };
            let [low, high] = limits.position;
            let mut before: [Option<f64>; 2] = [None; 2];
            for (index, command) in self.commands.iter().enumerate() {
                let position = command[joint];
                if position < low - SLACK || position > high + SLACK {
                    let limit = format!("{low} to {high}");
                    return Err(beyond(index, "position", position, unit.to_owned(), limit));
                }
                let speed = before[0].map(|before| (position - before) / dt);
                if let Some(speed) = speed
                    && speed.abs() > limits.max_velocity * (1.0 + SLACK)
                {
                    let limit = format!("at most {}", limits.max_velocity);
                    return Err(beyond(index, "speed", speed, format!("{unit}/s"), limit));
                }
                if let (Some(speed), Some(earlier)) = (speed, before[1])
                    && (speed - earlier).abs() / dt > limits.max_acceleration * (1.0 + 1e-3)
                {
                    let limit = format!("at most {}", limits.max_acceleration);
                    let value = (speed - earlier) / dt;
                    return Err(beyond(index, "acceleration", value, format!("{unit}/s²"), limit));
                }
                before = [Some(position), speed];
            }
        }
        let outside = |command: &[f64; MAX_JOINTS]| {
            workspace.is_some_and(|workspace| !workspace.holds(&command[..joints.len()], 0.0))
        };
        match self.commands.iter().position(outside) {
            Some(index) => Err(ReplayError::OutsideBox { seconds: at(index) }),
            None => Ok(()),
        }
    }
}

/// Puts `command` at `index`; what lies between the end and there is filled on a straight line.
fn fill(commands: &mut Vec<[f64; MAX_JOINTS]>, index: usize, command: &[f64]) {
    let mut here = [0.0; MAX_JOINTS];
    here.iter_mut().zip(command).for_each(|(here, value)| *here = *value);
    if let Some(last) = commands.last().copied() {
        let from = commands.len() - 1;
        while commands.len() < index {
            let x = (commands.len() - from) as f64 / (index - from) as f64;
            commands
                .push(std::array::from_fn(|joint| last[joint] + x * (here[joint] - last[joint])));
        }
    }
    commands.push(here);
}

/// Where one joint was, over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Time in s and position, in the order of time.
    points: Vec<(f64, f64)>,
}

impl Course {
    /// Adds the measurement of `cycle`, unless it is none or has been seen. Times count from
    /// `zero_ns`.
    pub fn add(&mut self, cycle: &CycleRecord, joint: usize, zero_ns: u64) {
        let (at, position) = (cycle.measured_ns[joint], cycle.measured[joint]);
        let seconds = (i128::from(at) - i128::from(zero_ns)) as f64 * 1e-9;
        let news = self.points.last().is_none_or(|(last, _)| *last < seconds);
        if news && position.is_finite() && cycle.substituted & (1 << joint) == 0 {
            self.points.push((seconds, position));
        }
    }

    /// Position at `seconds`, on a straight line between two measurements; `None` outside them.
    pub fn at(&self, seconds: f64) -> Option<f64> {
        let next = self.points.partition_point(|(at, _)| *at < seconds);
        let (after, there) = *self.points.get(next)?;
        let (before, here) = match next.checked_sub(1) {
            Some(index) => self.points[index],
            None if after == seconds => return Some(there),
            None => return None,
        };
        Some(here + (there - here) * (seconds - before) / (after - before))
    }

    /// The measurements from 0 to `seconds`.
    pub fn within(&self, seconds: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(move |(at, _)| (0.0..=seconds).contains(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_cycles_are_filled_on_a_straight_line() {
        let mut commands = Vec::new();
        fill(&mut commands, 0, &[1.0]);
        fill(&mut commands, 1, &[2.0]);
        fill(&mut commands, 4, &[5.0]);
        let first: Vec<f64> = commands.iter().map(|command| command[0]).collect();
        assert_eq!(first, [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_course_is_read_between_its_measurements_and_nowhere_else() {
        let course = Course { points: vec![(0.0, 1.0), (0.5, 2.0), (1.0, 0.0)] };
        assert_eq!(course.at(0.0), Some(1.0));
        assert_eq!(course.at(0.25), Some(1.5));
        assert_eq!(course.at(0.75), Some(1.0));
        assert_eq!((course.at(-0.1), course.at(1.1)), (None, None));
        assert_eq!(course.within(0.5).count(), 2);
    }
}
