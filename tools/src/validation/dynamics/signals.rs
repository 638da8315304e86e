//! Signals of a recording on one grid of time, filtered alike.

use super::model::Model;
use super::recording::Recording;
use crate::actuator::filter::{FilterError, low_pass};
use crate::actuator::rate::rate;
use crate::actuator::series::interpolate;

/// How the signals are made.
#[derive(Clone, Copy, Debug)]
pub struct Filtering {
    /// Cut-off of the zero-phase Butterworth low-pass, Hz.
    pub cutoff_hz: f64,
    pub order: usize,
}

/// What is left out at both ends and around gaps, s: the filter knows too little there.
const EDGE_S: f64 = 0.5;
/// A distance of more than two samples is a gap, where it is longer than this part of the shortest
/// period that the filter lets through: a line across a shorter one is as good as what was not measured.
const GAP_PERIODS: f64 = 0.2;

/// Why there are no signals.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    #[error("--cutoff-hz and --order: {0}")]
    Filter(#[from] FilterError),
    #[error(
        "{kept} samples are left after {EDGE_S} s at both ends and around {gaps} gaps were taken off: record longer, without gaps"
    )]
    Short { kept: usize, gaps: usize },
}

/// Signals of an arm: per joint, one value for each time.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    pub rate_hz: f64,
    /// s from the beginning of the recording.
    pub time: Vec<f64>,
    pub position: Vec<Vec<f64>>,
    pub velocity: Vec<Vec<f64>>,
    pub acceleration: Vec<Vec<f64>>,
    /// Measured.
    pub effort: Vec<Vec<f64>>,
    /// Derivative in time of the measured effort.
    pub effort_rate: Vec<Vec<f64>>,
    /// Efforts that the model has for the motion.
    pub model: Vec<Vec<f64>>,
    pub gravity: Vec<Vec<f64>>,
    /// First samples behind a gap: what lies before is far away.
    pub breaks: Vec<usize>,
    /// Gaps in the recording.
    pub gaps: usize,
}

impl Signals {
    pub fn new(
        recording: &Recording,
        filtering: Filtering,
        model: &dyn Model,
    ) -> Result<Self, SignalError> {
        let times = &recording.time;
        let (first, last) = (times[0], times[times.len() - 1]);
        let milliseconds: Vec<f64> = times.iter().map(|time| 1e3 * (time - first)).collect();
        let rate_hz = rate(&milliseconds).hz;
        let dt = 1.0 / rate_hz;
        let count = ((last - first) * rate_hz).ceil() as usize;
        let grid: Vec<f64> = (0..count).map(|index| first + index as f64 * dt).collect();
        let resampled = |columns: &[Vec<f64>]| -> Result<Vec<Vec<f64>>, FilterError> {
            let one = |values: &Vec<f64>| {
                let values = interpolate(times, values, &grid);
                low_pass(&values, rate_hz, filtering.cutoff_hz, filtering.order)
            };
            columns.iter().map(one).collect()
        };
        let position = resampled(&recording.position)?;
        let effort = resampled(&recording.effort)?;
        let velocity = match &recording.velocity {
            none if none.is_empty() => derivatives(&position, rate_hz),
            measured => resampled(measured)?,
        };
        let acceleration = derivatives(&velocity, rate_hz);
        let effort_rate = derivatives(&effort, rate_hz);

        let gap_s = (2.5 * dt).max(GAP_PERIODS / filtering.cutoff_hz);
        let pairs = times.windows(2).map(|pair| (pair[0], pair[1]));
        let mut holes: Vec<(f64, f64)> =
            pairs.filter(|(before, after)| after - before > gap_s).collect();
        let gaps = holes.len();
        holes.extend([(first, first), (last, last)]);
        let kept: Vec<usize> = (0..count)
            .filter(|index| {
                let near = |(from, to): &(f64, f64)| {
                    grid[*index] > from - EDGE_S && grid[*index] < to + EDGE_S
                };
                !holes.iter().any(near)
            })
            .collect();
        if kept.len() < super::FEWEST_KEPT {
            return Err(SignalError::Short { kept: kept.len(), gaps });
        }
        let breaks = (1..kept.len()).filter(|index| kept[*index] != kept[*index - 1] + 1).collect();
        let cut = |columns: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let of = |values: Vec<f64>| kept.iter().map(|index| values[*index]).collect();
            columns.into_iter().map(of).collect()
        };
        let mut signals = Self {
            rate_hz,
            time: kept.iter().map(|index| *index as f64 * dt).collect(),
            position: cut(position),
            velocity: cut(velocity),
            acceleration: cut(acceleration),
            effort: cut(effort),
            effort_rate: cut(effort_rate),
            breaks,
            gaps,
            ..Self::default()
        };
        let states = (0..signals.len()).map(|sample| signals.state(sample));
        let predicted = states.map(|[q, v, a]| [model.efforts(&q, &v, &a), model.gravity(&q)]);
        let [mut efforts, mut gravity] = [(); 2].map(|()| vec![Vec::new(); recording.joints.len()]);
        for [now, weight] in predicted {
            efforts.iter_mut().zip(now).for_each(|(column, value)| column.push(value));
            gravity.iter_mut().zip(weight).for_each(|(column, value)| column.push(value));
        }
        (signals.model, signals.gravity) = (efforts, gravity);
        Ok(signals)
    }

    pub fn len(&self) -> usize {
        self.time.len()
    }

    pub fn joints(&self) -> usize {
        self.position.len()
    }

    /// Position, velocity and acceleration of all joints.
    pub fn state(&self, sample: usize) -> [Vec<f64>; 3] {
        [&self.position, &self.velocity, &self.acceleration].map(|columns| at(columns, sample))
    }

    /// Measured less predicted.
    pub fn residual(&self, joint: usize) -> Vec<f64> {
        let pairs = self.effort[joint].iter().zip(&self.model[joint]);
        pairs.map(|(measured, model)| measured - model).collect()
    }

    /// Samples between gaps.
    pub fn stretches(&self) -> Vec<std::ops::Range<usize>> {
        let begins = std::iter::once(0).chain(self.breaks.iter().copied());
        let ends = self.breaks.iter().copied().chain([self.len()]);
        begins.zip(ends).map(|(begin, end)| begin..end).collect()
    }
}

/// One sample of every column.
pub fn at(columns: &[Vec<f64>], sample: usize) -> Vec<f64> {
    columns.iter().map(|values| values[sample]).collect()
}

fn derivatives(columns: &[Vec<f64>], rate_hz: f64) -> Vec<Vec<f64>> {
    columns.iter().map(|values| derivative(values, rate_hz)).collect()
}

/// Central differences; one-sided at both ends.
fn derivative(values: &[f64], rate_hz: f64) -> Vec<f64> {
    let last = values.len() - 1;
    let at = |index: usize| {
        let (before, after) = (index.saturating_sub(1), (index + 1).min(last));
        (values[after] - values[before]) * rate_hz / (after - before).max(1) as f64
    };
    (0..values.len()).map(at).collect()
}
