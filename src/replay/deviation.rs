//! How near a replayed motion came to the recorded one, and its repetitions to each other.

use std::path::Path;

use serde::Serialize;
use sinew_firmware_interfaces::Timestamp;

use super::{Course, Episode, Incomplete, Motion, ReplayError};
use crate::supervision::ArmState;

/// How far one course of a joint is from another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Deviation {
    /// The joint.
    pub joint: String,
    /// Its unit.
    pub unit: String,
    /// Root of the mean square of the difference.
    pub rms: f64,
    /// Largest difference.
    pub largest: f64,
    /// When in the motion, in s.
    pub largest_at_s: f64,
    /// Measurements compared.
    pub measurements: u64,
}

/// One repetition.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Repetition {
    /// When it began, in s on the run's clock.
    pub began_s: f64,
    /// Measured against the recording's measurements, by joint.
    pub from_recording: Vec<Deviation>,
    /// Measured against the first repetition's measurements, by joint; none for the first.
    pub from_first: Vec<Deviation>,
}

/// The repetitions of a motion in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Repetitions {
    /// Those that the run came to.
    pub repetitions: Vec<Repetition>,
    /// What is missing in the run's own journal: what lies behind it was not compared.
    pub incomplete: Option<Incomplete>,
}

/// Compares the repetitions of `motion` in the run that left `folder`, which began at `began`.
/// Positions are compared at the same time since the first command, as of when each was measured.
/// Repetitions that the run did not come to are left out.
///
/// # Errors
/// [`ReplayError`] when the run's journal cannot be read.
pub fn repetitions(
    folder: &Path,
    motion: &Motion,
    began: &[Timestamp],
) -> Result<Repetitions, ReplayError> {
    let mut episode = Episode::open(folder)?;
    let joints = episode.header().joints.clone();
    let compare = |courses: &[Course], others: &[Course]| -> Vec<Deviation> {
        let pairs = joints.iter().zip(courses.iter().zip(others));
        pairs
            .map(|(joint, (course, other))| Deviation {
                joint: joint.name.clone(),
                unit: joint.unit.clone(),
                ..deviation(course, other, motion.seconds())
            })
            .collect()
    };
    let mut courses = vec![vec![Course::default(); joints.len()]; began.len()];
    let mut compared = Vec::new();
    // The first is what all others are compared with; of those only the present ones are kept.
    let mut compare_up_to = |courses: &mut [Vec<Course>], end: usize| {
        for index in compared.len()..end {
            let own = &courses[index];
            compared.push(Repetition {
                began_s: began[index].as_nanos() as f64 * 1e-9,
                from_recording: compare(own, &motion.measured),
                from_first: if index == 0 { Vec::new() } else { compare(own, &courses[0]) },
            });
            if index > 0 {
                courses[index] = Vec::new();
            }
        }
    };
    let mut last = 0;
    while let Some(recorded) = episode.next_cycle()? {
        let cycle = recorded.cycle;
        let begun = began.partition_point(|began| began.as_nanos() <= cycle.scheduled_ns);
        // A measurement is older than its cycle, by less than one repetition.
        for index in begun.saturating_sub(2)..(begun + 1).min(began.len()) {
            for (joint, course) in courses[index].iter_mut().enumerate() {
                course.add_within(&cycle, joint, began[index].as_nanos(), motion.seconds());
            }
        }
        compare_up_to(&mut courses, begun.saturating_sub(2));
        if cycle.state == ArmState::Running as u8 {
            last = cycle.scheduled_ns;
        }
    }
    let reached = began.partition_point(|began| began.as_nanos() < last);
    compare_up_to(&mut courses, reached);
    compared.truncate(reached);
    Ok(Repetitions { repetitions: compared, incomplete: episode.incomplete().cloned() })
}

fn deviation(course: &Course, other: &Course, seconds: f64) -> Deviation {
    let mut deviation = Deviation::default();
    let mut squares = 0.0;
    for (at, position) in course.within(seconds) {
        let Some(wanted) = other.at(at) else { continue };
        let difference = (position - wanted).abs();
        squares += difference * difference;
        deviation.measurements += 1;
        if difference > deviation.largest {
            deviation.largest = difference;
            deviation.largest_at_s = at;
        }
    }
    deviation.rms = (squares / deviation.measurements.max(1) as f64).sqrt();
    deviation
}
