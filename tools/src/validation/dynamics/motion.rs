//! How an arm would have moved: the model under the measured torques, for short times.

use super::model::Model;
use super::signals::{Signals, at};

/// Longest step of the integration, s.
const STEP_S: f64 = 5e-4;

/// How far the model was from where the arm was, at the end of each window.
#[derive(Clone, Debug, Default)]
pub struct Motion {
    /// When each window ended, s.
    pub time: Vec<f64>,
    /// Per joint, model less arm, rad (m).
    pub error: Vec<Vec<f64>>,
    /// Per joint, the same of a motion at constant velocity: what is known without a model.
    pub coasting: Vec<Vec<f64>>,
}

/// Lets the arm move through windows of `window_s`, from where it was measured at the beginning of each.
pub fn motion(model: &dyn Model, signals: &Signals, window_s: f64) -> Motion {
    let samples = (window_s * signals.rate_hz).round().max(1.0) as usize;
    let dt = 1.0 / signals.rate_hz;
    let substeps = (dt / STEP_S).ceil().max(1.0);
    let columns = vec![Vec::new(); signals.joints()];
    let mut motion = Motion { time: Vec::new(), error: columns.clone(), coasting: columns };
    for stretch in signals.stretches() {
        let mut begin = stretch.start;
        while begin + samples < stretch.end {
            let end = begin + samples;
            let [mut q, mut v, _] = signals.state(begin);
            let (from, speed) = (q.clone(), v.clone());
            for sample in begin..end {
                let (one, other) = (at(&signals.effort, sample), at(&signals.effort, sample + 1));
                for substep in 0..substeps as usize {
                    let part = (substep as f64 + 0.5) / substeps;
                    let efforts: Vec<f64> = one
                        .iter()
                        .zip(&other)
                        .map(|(one, other)| one + part * (other - one))
                        .collect();
                    model.advance(&mut q, &mut v, &efforts, dt / substeps);
                }
            }
            motion.time.push(signals.time[end]);
            let span = samples as f64 * dt;
            for joint in 0..signals.joints() {
                let arrived = signals.position[joint][end];
                motion.error[joint].push(q[joint] - arrived);
                motion.coasting[joint].push(from[joint] + span * speed[joint] - arrived);
            }
            begin = end;
        }
    }
    motion
}
