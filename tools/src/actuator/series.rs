//! One recording as windows are cut from it: angles, velocity and torque at one rate.

use super::csv::{CsvError, Recording};
use super::dataset::DataError;
use super::filter::{FilterError, low_pass};
use super::settings::Data;
use std::ops::Range;
use std::path::PathBuf;

/// m/s².
const STANDARD_GRAVITY: f64 = 9.806_65;

/// One file at the common rate, in rad, rad/s and N·m.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Of its group.
    pub group: usize,
    pub path: PathBuf,
    pub sha256: String,
    pub rate_hz: f64,
    pub position: Vec<f64>,
    pub target: Vec<f64>,
    pub velocity: Vec<f64>,
    /// Inertia times measured angular acceleration.
    pub torque: Vec<f64>,
    /// Samples, in order, between which and the ones before nothing was measured for a while.
    pub gaps: Vec<usize>,
}

impl Series {
    pub fn len(&self) -> usize {
        self.position.len()
    }

    /// Samples between gaps.
    pub fn stretches(&self) -> Vec<Range<usize>> {
        let begins = std::iter::once(0).chain(self.gaps.iter().copied());
        let ends = self.gaps.iter().copied().chain([self.len()]);
        begins.zip(ends).map(|(begin, end)| begin..end).collect()
    }

    /// Whether a stretch of samples reaches over a gap.
    pub fn has_gap(&self, range: &Range<usize>) -> bool {
        let after = self.gaps.partition_point(|gap| *gap <= range.start);
        self.gaps.get(after).is_some_and(|gap| *gap < range.end)
    }

    /// The network's inputs in the fixed order: angle, target angle, velocity.
    pub fn features(&self, sample: usize) -> [f64; 3] {
        [self.position[sample], self.target[sample], self.velocity[sample]]
    }
}

/// A file at its rate, or at the one that is wanted, with its torque.
pub fn series(
    data: &Data,
    recording: Recording,
    group: usize,
    inertia: f64,
    warnings: &mut Vec<String>,
) -> Result<Series, DataError> {
    let path = recording.path.clone();
    let mut rate_hz = recording.rate.hz;
    let mut kept = 0..recording.time_ms.len();
    let mut time: Vec<f64> = recording.time_ms.iter().map(|time| time * 1e-3).collect();
    let mut columns: [Vec<f64>; 4] = [
        recording.encoder_deg.iter().map(|value| value.to_radians()).collect(),
        recording.commanded_deg.iter().map(|value| value.to_radians()).collect(),
        recording.gyro_deg_s.iter().map(|it| it.to_radians() - data.gyro_bias_rad_s).collect(),
        angular_acceleration(data, &recording),
    ];
    let have = time[time.len() - 1] - time[0];
    let seconds = data.skip_start_s + data.skip_end_s;
    if seconds > 0.0 {
        let (first, last) = (time[0] + data.skip_start_s, time[time.len() - 1] - data.skip_end_s);
        let range =
            time.partition_point(|time| *time < first)..time.partition_point(|time| *time <= last);
        if range.len() < 2 {
            return Err(DataError::Skipped { path, seconds, have });
        }
        time = time[range.clone()].to_vec();
        columns.iter_mut().for_each(|values| *values = values[range.clone()].to_vec());
        kept = range;
    }
    jump(&recording, kept, rate_hz, data.max_encoder_jump_deg)?;
    // Resampling would hide them.
    let gaps = gaps(&time, rate_hz);
    if !gaps.is_empty() {
        let longest = gaps.iter().map(|(before, after)| after - before).fold(0.0, f64::max);
        warnings.push(format!(
            "{}: {} gaps of more than two samples, the longest {:.1} ms; nothing is learned or judged in them",
            path.display(),
            gaps.len(),
            1e3 * longest
        ));
    }
    if let Some(wanted) = data.target_sampling_frequency_hz {
        let count = ((time[time.len() - 1] - time[0]) * wanted).floor() as usize + 1;
        let grid: Vec<f64> = (0..count).map(|i| time[0] + i as f64 / wanted).collect();
        columns.iter_mut().for_each(|values| *values = interpolate(&time, values, &grid));
        (time, rate_hz) = (grid, wanted);
    }
    let gaps = behind(&gaps, &time);
    let [position, target, velocity, acceleration] = columns;
    let mut filtered = |values: Vec<f64>, cutoff: Option<f64>| match cutoff {
        None => Ok(values),
        Some(cutoff) => match low_pass(&values, rate_hz, cutoff, data.filter.order) {
            Ok(filtered) => Ok(filtered),
            Err(source @ FilterError::Design { .. }) => {
                Err(DataError::Filter { path: path.clone(), source })
            }
            // As the original: unfiltered, and said.
            Err(error) => {
                warnings.push(format!("{}: not filtered: {error}", path.display()));
                Ok(values)
            }
        },
    };
    let acceleration = filtered(acceleration, data.filter.acceleration_hz)?;
    let torque = acceleration.iter().map(|acceleration| inertia * acceleration).collect();
    let mut torque = filtered(torque, data.filter.torque_hz)?;
    if let Some(limit) = data.torque_limit_nm {
        torque.iter_mut().for_each(|torque| *torque = torque.clamp(-limit, limit));
    }
    Ok(Series {
        group,
        position: filtered(position, data.filter.position_hz)?,
        velocity: filtered(velocity, data.filter.velocity_hz)?,
        target,
        torque,
        path,
        sha256: recording.sha256,
        rate_hz,
        gaps,
    })
}

/// What the accelerometer on the load says, in rad/s². It measures acceleration less gravity.
fn angular_acceleration(data: &Data, recording: &Recording) -> Vec<f64> {
    let gravity = |angle_deg: f64| {
        data.gravity.map_or(0.0, |it| {
            STANDARD_GRAVITY * it.tilt_rad.sin() * (angle_deg.to_radians() - it.hangs_at_rad).sin()
        })
    };
    let samples = recording.acceleration.iter().zip(&recording.encoder_deg);
    samples
        .map(|(it, angle)| (it - data.acceleration_bias_m_s2 - gravity(*angle)) / data.radius_m)
        .collect()
}

/// Distances of more than two and a half samples, as times before and after.
fn gaps(time: &[f64], rate_hz: f64) -> Vec<(f64, f64)> {
    let pairs = time.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.filter(|(before, after)| after - before > 2.5 / rate_hz).collect()
}

/// The samples that lie in gaps, and the first ones behind them.
fn behind(gaps: &[(f64, f64)], time: &[f64]) -> Vec<usize> {
    let of_gap = |(before, after): &(f64, f64)| {
        let first = time.partition_point(|time| time <= before);
        first..time.partition_point(|time| time < after) + 1
    };
    gaps.iter().flat_map(of_gap).filter(|sample| *sample < time.len()).collect()
}

/// Refuses an angle that moves between two samples as the gyroscope knows nothing of.
fn jump(
    recording: &Recording,
    samples: Range<usize>,
    rate_hz: f64,
    limit_deg: f64,
) -> Result<(), CsvError> {
    let Recording { time_ms, encoder_deg, gyro_deg_s, .. } = recording;
    for sample in samples.skip(1) {
        let seconds = 1e-3 * (time_ms[sample] - time_ms[sample - 1]);
        let turned = 0.5 * (gyro_deg_s[sample] + gyro_deg_s[sample - 1]) * seconds;
        let (before, after) = (encoder_deg[sample - 1], encoder_deg[sample]);
        // Over a gap the gyroscope says too little.
        if seconds <= 2.5 / rate_hz && (after - before - turned).abs() > limit_deg {
            let (path, time_ms) = (recording.path.clone(), time_ms[sample]);
            return Err(CsvError::Jump { path, time_ms, before, after, turned, limit_deg });
        }
    }
    Ok(())
}

/// Straight lines between samples.
pub fn interpolate(time: &[f64], values: &[f64], grid: &[f64]) -> Vec<f64> {
    let mut after = 1;
    let at = |time_now: &f64| {
        while after + 1 < time.len() && time[after] < *time_now {
            after += 1;
        }
        let (before, span) = (after - 1, time[after] - time[after - 1]);
        let share = ((time_now - time[before]) / span).clamp(0.0, 1.0);
        values[before] + share * (values[after] - values[before])
    };
    grid.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::rate::Rate;

    fn data(more: &str) -> Data {
        let text = format!(
            "directory = 'd'\nradius_m = 0.1\n{more}\n[[groups]]\nid = 'a'\nfolder = 'a'\ninertia_kg_m2 = 0.01\n"
        );
        toml::from_str(&text).unwrap()
    }

    /// A turn of 100 deg/s at 100 Hz.
    fn recording(seconds: impl Iterator<Item = f64>) -> Recording {
        let time_ms: Vec<f64> = seconds.map(|time| 1e3 * time).collect();
        let count = time_ms.len();
        Recording {
            encoder_deg: time_ms.iter().map(|time| 0.1 * time).collect(),
            commanded_deg: vec![0.0; count],
            acceleration: vec![0.0; count],
            gyro_deg_s: vec![100.0; count],
            rate: Rate { hz: 100.0, unlike: 0.0, coarse: false },
            time_ms,
            ..Recording::default()
        }
    }

    #[test]
    fn gaps_are_found_before_resampling_hides_them() {
        // 200 samples, of which those from 0.5 s to 0.9 s are missing.
        let kept = || (0..200).filter(|it| !(50..90).contains(it)).map(|it| f64::from(it) / 100.0);
        let mut warnings = Vec::new();
        let plain = series(&data(""), recording(kept()), 0, 0.01, &mut warnings).unwrap();
        assert_eq!(plain.gaps, [50]);
        assert!(plain.has_gap(&(40..60)) && plain.has_gap(&(49..51)));
        assert!(!plain.has_gap(&(30..50)) && !plain.has_gap(&(50..70)));
        assert_eq!(plain.stretches(), [0..50, 50..160]);
        assert!(warnings[0].contains("1 gaps") && warnings[0].contains("410.0 ms"), "{warnings:?}");

        let finer = data("target_sampling_frequency_hz = 200.0");
        let mut warnings = Vec::new();
        let resampled = series(&finer, recording(kept()), 0, 0.01, &mut warnings).unwrap();
        assert!(warnings[0].contains("1 gaps"), "{warnings:?}");
        // From 0.49 s to 0.9 s at 200 Hz: the samples 99 to 180.
        assert_eq!(resampled.gaps, (99..=180).collect::<Vec<_>>());
        assert!(!resampled.has_gap(&(79..99)) && !resampled.has_gap(&(180..200)));
        assert!(resampled.has_gap(&(80..100)) && resampled.has_gap(&(120..140)));
    }

    #[test]
    fn an_angle_that_jumps_as_the_gyroscope_does_not_is_named() {
        let whole = || recording((0..200).map(|it| f64::from(it) / 100.0));
        let mut warnings = Vec::new();
        assert!(series(&data(""), whole(), 0, 0.01, &mut warnings).is_ok());
        let mut wrapped = whole();
        wrapped.encoder_deg[120..].iter_mut().for_each(|angle| *angle -= 360.0);
        let mut glitch = whole();
        glitch.encoder_deg[77] += 40.0;
        for (recording, time) in [(wrapped, "Time_ms 1200"), (glitch, "Time_ms 770")] {
            let error = series(&data(""), recording, 0, 0.01, &mut warnings).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(time) && message.contains("Encoder_Angle"), "{message}");
            assert!(message.contains("max_encoder_jump_deg"), "{message}");
        }
        // 41 degrees over a gap are what the gyroscope says.
        let kept = (0..200).filter(|it| !(50..90).contains(it)).map(|it| f64::from(it) / 100.0);
        assert!(series(&data(""), recording(kept), 0, 0.01, &mut warnings).is_ok());
    }

    #[test]
    fn resampling_follows_straight_lines() {
        let time = [0.0, 0.1, 0.25, 0.3];
        let values = [0.0, 1.0, -2.0, 0.0];
        let got = interpolate(&time, &values, &[0.0, 0.05, 0.1, 0.175, 0.3]);
        for (got, expected) in got.iter().zip([0.0, 0.5, 1.0, -0.5, 0.0]) {
            assert!((got - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn gravity_of_a_tilted_axis_is_taken_off() {
        use sinew_simulation::actuator::{ActuatorConfig, ActuatorPlant, Drive};
        let config = ActuatorConfig { tilt: 0.4, inertia: 0.01, ..ActuatorConfig::default() };
        let mut plant = ActuatorPlant::new(config, 3).unwrap();
        let (mut recording, mut truth) = (recording(std::iter::empty()), Vec::new());
        for sample in 0..1000 {
            let time = f64::from(sample) / 200.0;
            let (sensed, target) = (plant.sense(), 0.8 * (3.0 * time).sin());
            truth.push(plant.truth().net_torque);
            recording.time_ms.push(1e3 * time);
            recording.encoder_deg.push(sensed.encoder.to_degrees());
            recording.commanded_deg.push(target.to_degrees());
            recording.acceleration.push(sensed.acceleration[1]);
            recording.gyro_deg_s.push(sensed.gyro[2].to_degrees());
            plant.step(std::time::Duration::from_millis(5), Drive::Position(target));
        }
        recording.rate.hz = 200.0;
        let rms = |more: &str| {
            let series = series(&data(more), recording.clone(), 0, 0.01, &mut Vec::new()).unwrap();
            let errors = series.torque.iter().zip(&truth).map(|(a, b)| (a - b).powi(2));
            (errors.sum::<f64>() / 1000.0).sqrt()
        };
        let (seen, taken) = (rms(""), rms("gravity = { tilt_rad = 0.4, hangs_at_rad = 0.0 }"));
        assert!(taken < 0.1 * seen, "{taken} {seen}");
    }
}
