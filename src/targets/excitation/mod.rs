//! Motions that show what an actuator or an arm does, as positions one after the other.

mod paths;
mod several;

use std::f64::consts::TAU;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sinew_firmware_interfaces::{MAX_JOINTS, Random, RobotDescription};

use super::{Positions, Repeated, way};
use crate::config::{ExcitationConfig, SignalConfig, Sweep};
use crate::cycle::CycleSettings;
use crate::limits::JointLimits;
pub use paths::PathError;

/// How long a signal takes to begin and to end, at most; a tenth of it where it is short.
const FADE_S: f64 = 0.5;

/// How nearly the amplitude is the least of its bounds: where two are equal, it is 0.92 of them.
const SHARPNESS: i32 = 8;

/// A signal that cannot be played: which of them, counted from 0, and why.
#[derive(Debug, thiserror::Error)]
#[error("signal {}: {problem}", .index + 1)]
pub struct ExciteError {
    /// Which of `excitation.signals`.
    pub index: usize,
    /// Why.
    pub problem: PathError,
}

/// The motion that `said` describes, one position per cycle. Amplitudes fall where speed,
/// acceleration or jerk would exceed what the target generator may use; paths of the tool are followed as
/// they are, or not at all.
///
/// # Errors
/// [`ExciteError`] for a path of the tool that the arm cannot follow.
pub fn excite(
    said: &ExcitationConfig,
    robot: &RobotDescription,
    settings: &CycleSettings,
) -> Result<Repeated, ExciteError> {
    let dt = settings.period.as_secs_f64();
    let fraction = settings.generator.unwrap_or(1.0);
    let slowed: Vec<JointLimits> =
        settings.limits.iter().map(|limits| limits.slowed(fraction)).collect();
    let index_of = |name: &str| robot.joints.iter().position(|it| it.name == name);
    let mut random = Random::new(said.seed);
    // A joint stands at the centre of its first signal before that.
    let mut position = settings.rest;
    for (joint, position) in robot.joints.iter().zip(&mut position) {
        let first = said.signals.iter().find(|signal| signal.moves(&joint.name));
        if let Some(centre) = first.and_then(|first| centre(first, &joint.name)) {
            *position = centre;
        }
    }
    let mut positions = Positions::new(robot.joints.len().min(MAX_JOINTS));
    for (index, signal) in said.signals.iter().enumerate() {
        if signal.is_cartesian() {
            let path = paths::positions(signal, said, robot, settings, &position)
                .map_err(|problem| ExciteError { index, problem })?;
            let (Some(first), Some(last)) = (path.first(), path.last()) else { continue };
            if !positions.is_empty() {
                approach(&mut positions, &mut position, first, &slowed, settings.period);
            }
            path.iter().for_each(|position| positions.push(position));
            position = *last;
        } else if let Some(names) = signal.joints() {
            let joints: Vec<usize> = names.iter().filter_map(|name| index_of(name)).collect();
            let limits: Vec<&JointLimits> =
                joints.iter().filter_map(|joint| slowed.get(*joint)).collect();
            let mut to = position;
            for (joint, name) in joints.iter().zip(names) {
                to[*joint] = centre(signal, name).unwrap_or(to[*joint]);
            }
            approach(&mut positions, &mut position, &to, &slowed, settings.period);
            let waves = several::waves(signal, &limits, dt);
            for step in 0..waves.first().map_or(0, Vec::len) {
                for (joint, wave) in joints.iter().zip(&waves) {
                    position[*joint] = to[*joint] + wave[step];
                }
                positions.push(&position);
            }
            // A level may be left as it is reached; all else has faded out.
            if matches!(
                signal,
                SignalConfig::JointMultiSine { .. } | SignalConfig::JointChirp { .. }
            ) {
                position = to;
            }
        } else {
            let Some(joint) = signal.joint().and_then(index_of) else { continue };
            let Some(limits) = slowed.get(joint) else { continue };
            let mut to = position;
            to[joint] = centre(signal, &robot.joints[joint].name).unwrap_or(to[joint]);
            let centre = to[joint];
            approach(&mut positions, &mut position, &to, &slowed, settings.period);
            let mut wave = Wave::new(signal, limits, &mut random);
            let steps = (signal.duration_s() / dt).round() as u64;
            for step in 0..steps {
                position[joint] = centre + wave.at(step as f64 * dt);
                positions.push(&position);
            }
            // A level may be left as it is reached; all else has faded out.
            if !matches!(signal, SignalConfig::Steps { .. }) {
                position[joint] = centre;
            }
        }
    }
    positions.push(&position);
    Ok(Repeated {
        step: settings.period,
        positions: Arc::new(positions),
        times: said.times,
        slow: settings.limits.iter().map(|limits| limits.slowed(settings.rest_fraction)).collect(),
        ramp: settings.start_ramp,
        began: Mutex::default(),
    })
}

/// Around which position `signal` moves `joint`; `None` for a path of the tool.
fn centre(signal: &SignalConfig, joint: &str) -> Option<f64> {
    let at = match signal.joints() {
        Some(joints) => joints.iter().position(|it| it == joint)?,
        None => 0,
    };
    signal.reaches_rad().get(at).map(|[centre, _]| *centre)
}

/// The way from where the joints were left to where the next signal begins.
fn approach(
    positions: &mut Positions,
    position: &mut [f64; MAX_JOINTS],
    to: &[f64; MAX_JOINTS],
    limits: &[JointLimits],
    period: Duration,
) {
    let from = *position;
    let ways = from.iter().zip(to).zip(limits);
    let longest = ways.map(|((from, to), limits)| way::duration(to - from, limits)).max();
    let steps = way::steps(longest.unwrap_or_default(), period);
    (0..steps).for_each(|step| positions.push(&way::between(&from, to, step, steps)));
    *position = *to;
}

/// How much of a signal is played at `time` of it: it begins and ends softly.
fn faded(time: f64, duration: f64) -> f64 {
    let fade_s = FADE_S.min(duration / 10.0);
    let fade = |elapsed: f64| way::eased((elapsed / fade_s).clamp(0.0, 1.0));
    fade(time) * fade(duration - time)
}

/// One signal, around zero.
struct Wave<'a> {
    signal: &'a SignalConfig,
    /// Largest speed, acceleration and jerk.
    most: [f64; 3],
    /// Phases of the sines, or levels.
    random: Vec<f64>,
    /// What brings the sum of the sines to the amplitude.
    scale: f64,
}

impl<'a> Wave<'a> {
    fn new(signal: &'a SignalConfig, limits: &JointLimits, random: &mut Random) -> Self {
        let most = [limits.max_velocity, limits.max_acceleration, limits.max_jerk];
        let count = match signal {
            SignalConfig::MultiSine { frequencies_hz, .. } => frequencies_hz.len(),
            SignalConfig::Steps { duration_s, dwell_s, .. } => {
                (duration_s / dwell_s).ceil() as usize
            }
            _ => 0,
        };
        let random = (0..count).map(|_| random.fraction()).collect();
        let mut wave = Self { signal, most, random, scale: 1.0 };
        if let SignalConfig::MultiSine { frequencies_hz, duration_s, amplitude_rad, .. } = signal {
            wave.scale = wave.scale_of(frequencies_hz, *duration_s, *amplitude_rad);
        }
        wave
    }

    /// How far a sine of `frequency` Hz may go inside speed, acceleration and jerk. From one bound to
    /// the next it goes without a corner, which would be a jump in speed: somewhat below the least.
    fn feasible(&self, amplitude: f64, frequency: f64) -> f64 {
        let omega = TAU * frequency;
        let [velocity, acceleration, jerk] = self.most;
        let bounds = [
            amplitude,
            velocity / omega,
            acceleration / (omega * omega),
            jerk / (omega * omega * omega),
        ];
        let sum: f64 = bounds.iter().map(|bound| bound.powi(-SHARPNESS)).sum();
        sum.powf(-1.0 / f64::from(SHARPNESS))
    }

    /// The factor with which the sum of sines stays within amplitude and all limits.
    fn scale_of(&self, frequencies: &[f64], duration: f64, amplitude: f64) -> f64 {
        let highest = frequencies.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let samples = (duration * highest * 20.0).clamp(100.0, 1e6) as usize;
        let mut peaks = [f64::MIN_POSITIVE; 4];
        for sample in 0..samples {
            let time = duration * sample as f64 / samples as f64;
            let mut sums = [0.0; 4];
            for (frequency, phase) in frequencies.iter().zip(&self.random) {
                let omega = TAU * frequency;
                let (sine, cosine) = (omega * time + TAU * phase).sin_cos();
                sums[0] += sine;
                sums[1] += omega * cosine;
                sums[2] += omega * omega * sine;
                sums[3] += omega * omega * omega * cosine;
            }
            for (peak, sum) in peaks.iter_mut().zip(sums) {
                *peak = peak.max(f64::abs(sum));
            }
        }
        let [position, rates @ ..] = peaks;
        let within = self.most.iter().zip(rates).map(|(most, peak)| most / peak);
        within.fold(amplitude / position, f64::min)
    }

    fn at(&mut self, time: f64) -> f64 {
        let duration = self.signal.duration_s();
        let value = match self.signal {
            SignalConfig::Chirp { amplitude_rad, from_hz, to_hz, sweep, .. } => {
                let [phase, frequency] = swept(*from_hz, *to_hz, duration, *sweep, time);
                self.feasible(*amplitude_rad, frequency) * (TAU * phase).sin()
            }
            SignalConfig::ModulatedChirp {
                amplitude_rad,
                from_hz,
                to_hz,
                modulation_hz,
                least_fraction,
                ..
            } => {
                let [phase, frequency] = swept(*from_hz, *to_hz, duration, Sweep::Linear, time);
                let swing = 0.5 * (1.0 + (TAU * modulation_hz * time).sin());
                let part = least_fraction + (1.0 - least_fraction) * swing;
                self.feasible(part * amplitude_rad, frequency) * (TAU * phase).sin()
            }
            SignalConfig::MultiSine { frequencies_hz, .. } => {
                let sines = frequencies_hz.iter().zip(&self.random);
                let sum: f64 =
                    sines.map(|(frequency, phase)| (TAU * (frequency * time + phase)).sin()).sum();
                self.scale * sum
            }
            // A level is meant to be a jump: the target generator makes the fastest motion of it.
            SignalConfig::Steps { amplitude_rad, dwell_s, .. } => {
                let level = self.random.get((time / dwell_s) as usize).copied().unwrap_or(0.5);
                return amplitude_rad * (2.0 * level - 1.0);
            }
            // Signals of several joints are made elsewhere.
            _ => 0.0,
        };
        value * faded(time, duration)
    }
}

/// Phase (in turns) and frequency of a sweep at `time`.
fn swept(from: f64, to: f64, duration: f64, sweep: Sweep, time: f64) -> [f64; 2] {
    let part = time / duration;
    match sweep {
        Sweep::Logarithmic if from != to => {
            let growth = (to / from).ln();
            let frequency = from * (growth * part).exp();
            [(frequency - from) * duration / growth, frequency]
        }
        _ => [from * time + 0.5 * (to - from) * part * time, from + (to - from) * part],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config, robots, run::settings};

    /// The motion of `signals` on the rig, and the limits of its joint.
    fn excited(signals: &str) -> (Vec<f64>, f64, JointLimits) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/rig-collect.toml");
        let set = format!("excitation.signals={signals}");
        let loaded = config::load(&path, &[set]).unwrap();
        let robot = robots::description(&loaded.config.robot);
        let limits = loaded.validate(&robot).unwrap();
        let settings = settings::settings(&loaded.config, &robot, limits, None, 0);
        let said = loaded.config.excitation.as_ref().unwrap();
        let motion = excite(said, &robot, &settings).unwrap();
        let positions = motion.positions.iter().map(|position| position[0]).collect();
        let limits = settings.limits[0].slowed(settings.generator.unwrap());
        (positions, settings.period.as_secs_f64(), limits)
    }

    fn derived(values: &[f64], dt: f64) -> Vec<f64> {
        values.windows(2).map(|pair| (pair[1] - pair[0]) / dt).collect()
    }

    fn peak(values: &[f64]) -> f64 {
        values.iter().fold(0.0, |peak: f64, value| peak.max(value.abs()))
    }

    #[test]
    fn signals_join_smoothly_inside_speed_acceleration_and_jerk() {
        // At 20 Hz, 0.3 rad would need six times the acceleration and fifteen times the jerk.
        let (positions, dt, limits) = excited(
            "[{kind='chirp', joint='joint1', duration_s=4, centre_rad=0.9, amplitude_rad=0.3, \
             from_hz=0.5, to_hz=20}, {kind='multi_sine', joint='joint1', duration_s=4, \
             centre_rad=-0.9, amplitude_rad=0.5, frequencies_hz=[1, 7, 13]}, {kind='modulated_chirp', \
             joint='joint1', duration_s=4, centre_rad=0.4, amplitude_rad=0.3, from_hz=15, to_hz=1, \
             modulation_hz=0.5, least_fraction=0.3}]",
        );
        let velocity = derived(&positions, dt);
        let acceleration = derived(&velocity, dt);
        let jerk = derived(&acceleration, dt);
        let used = [
            peak(&velocity) / limits.max_velocity,
            peak(&acceleration) / limits.max_acceleration,
            peak(&jerk) / limits.max_jerk,
        ];
        // A fade adds a little to what a sine of its own may use.
        assert!(used.iter().all(|used| *used < 1.1), "{used:?}");
        assert!(used.iter().any(|used| *used > 0.8), "{used:?}");
        // 1.8 rad and 1.3 rad between the centres take their time.
        assert!(positions.len() > 12_000 + 300, "{}", positions.len());
    }

    #[test]
    fn what_is_drawn_for_joints_stays_inside_range_speed_acceleration_and_jerk() {
        for seed in 0..5 {
            // Half the range at 3 Hz is far more than the limits allow.
            let (positions, dt, limits) = excited(&format!(
                "[{{kind='joint_multi_sine', duration_s=4, frequency_hz=3, fraction=0.5}}, \
                  {{kind='joint_chirp', duration_s=4, frequency_hz={}, fraction=0.5}}]",
                2.0 + f64::from(seed)
            ));
            let [low, high] = limits.position;
            assert!(positions.iter().all(|position| (low..=high).contains(position)));
            let most = [limits.max_velocity, limits.max_acceleration, limits.max_jerk];
            let peaks = several::peaks(&positions, dt);
            let used: Vec<f64> = peaks.iter().zip(most).map(|(peak, most)| peak / most).collect();
            assert!(used.iter().all(|used| *used < 1.0 + 1e-6), "{used:?}");
            assert!(used.iter().any(|used| *used > 0.9), "{used:?}");
        }
    }

    #[test]
    fn impulses_and_trapezoids_are_the_lists_that_were_said() {
        let (positions, dt, _) = excited(
            "[{kind='joint_impulse', joints=['joint1'], duration_s=2, centres_rad=[0.1], \
             rests_s=[0.5, 0.5], plateaus_s=[0.25, 0.5], levels_rad=[0.3, -0.2]}, \
             {kind='joint_trapezoid', duration_s=1.6, centres_rad=[0.1], rests_s=[0.2], \
             ramps_s=[0.4], plateaus_s=[0.2], levels_rad=[0.4]}]",
        );
        let at = |time: f64| positions[(time / dt).round() as usize];
        for (time, expected) in [(0.2, 0.1), (0.6, 0.4), (0.9, 0.1), (1.5, -0.1), (1.9, 0.1)] {
            assert!((at(time) - expected).abs() < 1e-12, "{time}: {}", at(time));
        }
        // No way between them: both have their centre in the same place.
        for (time, expected) in [(2.1, 0.1), (2.4, 0.3), (2.7, 0.5), (3.1, 0.2), (3.5, 0.1)] {
            assert!((at(time) - expected).abs() < 1e-9, "{time}: {}", at(time));
        }
    }

    #[test]
    fn a_level_is_left_as_smoothly_as_a_centre() {
        let (positions, dt, limits) = excited(
            "[{kind='steps', joint='joint1', duration_s=2, amplitude_rad=0.8, dwell_s=0.5}, \
             {kind='chirp', joint='joint1', duration_s=1, amplitude_rad=0.1, from_hz=1, to_hz=2}]",
        );
        // The last level, and the way from it: two seconds of levels are 2000 positions.
        assert!(positions[1999].abs() > 0.05, "{}", positions[1999]);
        let velocity = derived(&positions[1999..], dt);
        assert!(peak(&velocity) < limits.max_velocity, "{}", peak(&velocity));
        let end = *positions.last().unwrap();
        assert!(end.abs() < 1e-12, "{end}");
    }
}
