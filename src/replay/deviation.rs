//! How near a replayed motion came to the recorded one, and its repetitions to each other.

use std::path::Path;

use serde::Serialize;
use sinew_firmware_interfaces::Timestamp;

use super::{Course, Episode, Motion, ReplayError};

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
) -> Result<Vec<Repetition>, ReplayError> {
    let mut episode = Episode::open(folder)?;
    let joints = episode.header().joints.clone();
    let mut courses = vec![vec![Course::default(); joints.len()]; began.len()];
    let mut last = 0;
    while let Some(recorded) = episode.next_cycle()? {
        last = recorded.cycle.scheduled_ns;
        for (courses, began) in courses.iter_mut().zip(began) {
            for (joint, course) in courses.iter_mut().enumerate() {
                course.add(&recorded.cycle, joint, began.as_nanos());
            }
        }
    }
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
    let mut repetitions = Vec::new();
    for (index, (began, own)) in began.iter().zip(&courses).enumerate() {
        if began.as_nanos() >= last {
            break;
        }
        repetitions.push(Repetition {
            began_s: began.as_nanos() as f64 * 1e-9,
            from_recording: compare(own, &motion.measured),
            from_first: if index == 0 { Vec::new() } else { compare(own, &courses[0]) },
        });
    }
    Ok(repetitions)
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
