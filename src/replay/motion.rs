//! The motion in an episode: what the arm was told while it followed its target source, and where
//! it was.

use std::sync::Arc;
use std::time::Duration;

use sinew_episodes::journal::CycleRecord;
use sinew_firmware_interfaces::{JointDescription, MAX_JOINTS};

use super::{Episode, Incomplete, ReplayError};
use crate::limits::{JointLimits, Workspace};
use crate::supervision::ArmState;
use crate::targets::Positions;

/// A recorded motion: from the first cycle that followed the target source to the last.
#[derive(Clone, Debug)]
pub struct Motion {
    /// Time between two commands.
    pub step: Duration,
    /// Commands after limits, in joint units, one per cycle. Periods without a cycle are left out:
    /// the motion is made as if none had been missed.
    pub commands: Arc<Positions>,
    /// Where each joint was measured, by the time since the first command, without those periods.
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
        let mut collected = Collected::new(joints, episode.header().rate_hz);
        while let Some(recorded) = episode.next_cycle()? {
            collected.add(&recorded.cycle);
        }
        let Collected { step, mut commands, measured, sure, .. } = collected;
        if sure < 2 {
            return Err(ReplayError::NoMotion { path: episode.path().to_owned() });
        }
        commands.truncate(sure);
        let incomplete = episode.incomplete().cloned();
        Ok(Self { step, commands: Arc::new(commands), measured, incomplete })
    }

    /// How long it takes, in s.
    pub fn seconds(&self) -> f64 {
        self.step.as_secs_f64() * (self.commands.len() - 1) as f64
    }

    /// Holds the commands against `limits`, in joint order, of which a motion may use `fraction`.
    ///
    /// # Errors
    /// [`ReplayError::Beyond`] with the first joint and value that is outside.
    pub fn check(
        &self,
        joints: &[JointDescription],
        limits: &[JointLimits],
        fraction: f64,
        workspace: Option<&Workspace>,
    ) -> Result<(), ReplayError> {
        /// Rounding, as a fraction of the limit.
        const SLACK: f64 = 1e-6;
        let dt = self.step.as_secs_f64();
        let at = |index: usize| index as f64 * dt;
        for (joint, (description, limits)) in joints.iter().zip(limits).enumerate() {
            let unit = description.kind.unit();
            let limits = limits.slowed(fraction);
            let most = |limit: f64, unit: &str| match fraction {
                1.0 => format!("at most {limit} {unit}"),
                _ => format!("at most {limit} {unit}, target.fraction = {fraction} of the limit"),
            };
            let beyond = |index: usize, what, value: f64, unit: String, limit: String| {
                let joint = description.name.clone();
                ReplayError::Beyond { joint, what, value, unit, limit, seconds: at(index) }
            };
            let [low, high] = limits.position;
            let mut before: [Option<f64>; 2] = [None; 2];
            for (index, command) in self.commands.iter().enumerate() {
                let position = command[joint];
                if position < low - SLACK || position > high + SLACK {
                    let limit = format!("{low} to {high} {unit}");
                    return Err(beyond(index, "position", position, unit.to_owned(), limit));
                }
                let speed = before[0].map(|before| (position - before) / dt);
                if let Some(speed) = speed
                    && speed.abs() > limits.max_velocity * (1.0 + SLACK)
                {
                    let unit = format!("{unit}/s");
                    let limit = most(limits.max_velocity, &unit);
                    return Err(beyond(index, "speed", speed, unit, limit));
                }
                if let (Some(speed), Some(earlier)) = (speed, before[1])
                    && (speed - earlier).abs() / dt > limits.max_acceleration * (1.0 + 1e-3)
                {
                    let unit = format!("{unit}/s²");
                    let limit = most(limits.max_acceleration, &unit);
                    let value = (speed - earlier) / dt;
                    return Err(beyond(index, "acceleration", value, unit, limit));
                }
                before = [Some(position), speed];
            }
        }
        let outside = |command: [f64; MAX_JOINTS]| {
            workspace.is_some_and(|workspace| !workspace.holds(&command[..joints.len()], 0.0))
        };
        match self.commands.iter().position(outside) {
            Some(index) => Err(ReplayError::OutsideBox { seconds: at(index) }),
            None => Ok(()),
        }
    }
}

/// A motion being read.
struct Collected {
    step: Duration,
    commands: Positions,
    measured: Vec<Course>,
    /// How much of it is sure to be motion.
    sure: usize,
    /// Index and time of its first cycle.
    first: Option<(u64, u64)>,
}

impl Collected {
    fn new(joints: usize, rate_hz: f64) -> Self {
        Self {
            step: Duration::from_secs_f64(1.0 / rate_hz),
            commands: Positions::new(joints),
            measured: vec![Course::default(); joints],
            sure: 0,
            first: None,
        }
    }

    fn add(&mut self, cycle: &CycleRecord) {
        let running = cycle.state == ArmState::Running as u8;
        if !running && self.first.is_none() {
            return;
        }
        let (index, at) = *self.first.get_or_insert((cycle.index, cycle.scheduled_ns));
        // Periods without a cycle before this one: no time of the motion's. In them the arm was
        // told nothing, and what it was told next went on from where it had been.
        let missed = (cycle.index - index).saturating_sub(self.commands.len() as u64);
        let zero_ns = at + (missed as f64 * self.step.as_secs_f64() * 1e9).round() as u64;
        let mut command = [0.0; MAX_JOINTS];
        command.iter_mut().zip(&cycle.limited).for_each(|(here, value)| *here = *value);
        self.commands.push(&command);
        for (joint, course) in self.measured.iter_mut().enumerate() {
            course.add(cycle, joint, zero_ns);
        }
        if running {
            self.sure = self.commands.len();
        }
    }
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

    /// Like [`add`](Self::add), of what lies between 0 and `seconds` and one measurement on each
    /// side of that: all that is needed to read the course there.
    pub fn add_within(&mut self, cycle: &CycleRecord, joint: usize, zero_ns: u64, seconds: f64) {
        if self.points.last().is_some_and(|(last, _)| *last > seconds) {
            return;
        }
        self.add(cycle, joint, zero_ns);
        if let [_, (second, _)] = self.points[..]
            && second <= 0.0
        {
            self.points.remove(0);
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
    fn missed_periods_are_no_part_of_the_motion() {
        let mut collected = Collected::new(1, 100.0);
        for (count, index) in [7, 8, 9, 12, 13, 15_u64].into_iter().enumerate() {
            let at = index * 10_000_000;
            collected.add(&CycleRecord {
                index,
                scheduled_ns: at,
                state: ArmState::Running as u8,
                limited: vec![count as f64],
                measured: vec![count as f64 - 0.5],
                measured_ns: vec![at - 5_000_000],
                ..CycleRecord::default()
            });
        }
        let commands: Vec<f64> = collected.commands.iter().map(|command| command[0]).collect();
        assert_eq!(commands, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        for (at, position) in collected.measured[0].within(1.0) {
            assert!((at * 100.0 - position).abs() < 1e-9, "{at} {position}");
        }
        assert_eq!(collected.measured[0].within(1.0).count(), 5);
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

    #[test]
    fn a_course_within_a_time_keeps_one_measurement_on_each_side() {
        let mut course = Course::default();
        for tenth in 0..100_u64 {
            let cycle = CycleRecord {
                measured: vec![tenth as f64],
                measured_ns: vec![tenth * 100_000_000],
                ..CycleRecord::default()
            };
            course.add_within(&cycle, 0, 5_050_000_000, 1.0);
        }
        assert_eq!(course.points.len(), 12);
        let whole = |at: Option<f64>| at.map(f64::round);
        assert_eq!(whole(course.at(0.0)), Some(51.0));
        assert_eq!(whole(course.at(0.95)), Some(60.0));
        assert!(course.at(1.0).is_some() && course.at(1.2).is_none());
    }
}
