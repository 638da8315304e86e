//! Signals of several joints at once, around their centres, one value per cycle and joint.

use std::f64::consts::TAU;

use super::faded;
use crate::config::SignalConfig;
use crate::limits::JointLimits;

/// What each of `joints` joints does, step by step, faded in and out; a multi-sine or chirp of a joint
/// is made smaller until its speed, acceleration and jerk are inside `limits`.
pub(super) fn waves(signal: &SignalConfig, limits: &[&JointLimits], dt: f64) -> Vec<Vec<f64>> {
    let duration = signal.duration_s();
    let steps = (duration / dt).round() as usize;
    let at = |joint: usize, time: f64| match signal {
        SignalConfig::JointMultiSine { frequencies_hz, amplitudes_rad, .. } => {
            let angle = TAU * frequencies_hz.get(joint).copied().unwrap_or_default() * time;
            let parts =
                [angle.sin(), (1.5 * angle).cos(), (2.0 * angle).sin(), (3.0 * angle).cos()];
            let own = amplitudes_rad.iter().skip(4 * joint);
            own.zip(parts).map(|(amplitude, part)| amplitude * part).sum()
        }
        SignalConfig::JointChirp {
            frequencies_hz, swings_hz, phases_rad, amplitudes_rad, ..
        } => {
            let of = |values: &[f64]| values.get(joint).copied().unwrap_or_default();
            let swing = 1.0 + 0.25 * (TAU * of(swings_hz) * time).cos();
            let phase = TAU * of(frequencies_hz) * swing * time + of(phases_rad);
            of(amplitudes_rad) * phase.cos()
        }
        SignalConfig::JointImpulse { rests_s, plateaus_s, levels_rad, .. } => {
            let parts =
                rests_s.iter().zip(plateaus_s).map(|(rest, plateau)| [*rest, 0.0, *plateau]);
            level(parts, levels_rad, limits.len(), joint, time)
        }
        SignalConfig::JointTrapezoid { rests_s, ramps_s, plateaus_s, levels_rad, .. } => {
            let parts = rests_s.iter().zip(ramps_s).zip(plateaus_s);
            let parts = parts.map(|((rest, ramp), plateau)| [*rest, *ramp, *plateau]);
            level(parts, levels_rad, limits.len(), joint, time)
        }
        _ => 0.0,
    };
    // Levels are meant to jump or bend: the target generator makes the fastest motion of them.
    let smooth =
        matches!(signal, SignalConfig::JointMultiSine { .. } | SignalConfig::JointChirp { .. });
    let wave = |(joint, limits): (usize, &&JointLimits)| -> Vec<f64> {
        let times = (0..steps).map(|step| step as f64 * dt);
        if !smooth {
            return times.map(|time| at(joint, time)).collect();
        }
        let mut wave: Vec<f64> =
            times.map(|time| at(joint, time) * faded(time, duration)).collect();
        let most = [limits.max_velocity, limits.max_acceleration, limits.max_jerk];
        let scale = inside(&wave, dt, most);
        wave.iter_mut().for_each(|value| *value *= scale);
        wave
    };
    limits.iter().enumerate().map(wave).collect()
}

/// Value at `time` of rests, ramps and plateaus one after the other.
fn level(
    parts: impl Iterator<Item = [f64; 3]>,
    levels: &[f64],
    joints: usize,
    joint: usize,
    time: f64,
) -> f64 {
    let mut left = time;
    for ([rest, ramp, plateau], levels) in parts.zip(levels.chunks_exact(joints.max(1))) {
        let level = levels[joint];
        if left < rest {
            return 0.0;
        }
        left -= rest;
        if left < ramp {
            return level * left / ramp;
        }
        left -= ramp;
        if left < plateau {
            return level;
        }
        left -= plateau;
        if left < ramp {
            return level * (1.0 - left / ramp);
        }
        left -= ramp;
    }
    0.0
}

/// The largest factor up to 1 with which the derivatives of `values` stay inside `most`.
fn inside(values: &[f64], dt: f64, most: [f64; 3]) -> f64 {
    peaks(values, dt).iter().zip(most).fold(1.0, |scale: f64, (peak, most)| {
        if *peak > most { scale.min(most / peak) } else { scale }
    })
}

/// Largest speed, acceleration and jerk of values that are `dt` apart.
pub(super) fn peaks(values: &[f64], dt: f64) -> [f64; 3] {
    let mut derived = values.to_vec();
    [(); 3].map(|()| {
        derived = derived.windows(2).map(|pair| (pair[1] - pair[0]) / dt).collect();
        derived.iter().fold(0.0, |peak: f64, value| peak.max(value.abs()))
    })
}
