//! From groups of files to what windows are cut from: angles, velocity and torque at one rate.

use super::csv::{CsvError, Recording, median};
use super::filter::{FilterError, low_pass};
use super::settings::{Data, Group};
use std::path::{Path, PathBuf};

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("group {id}: {}: {source}; data.groups.folder names a folder below data.directory", folder.display())]
    Folder { id: String, folder: PathBuf, source: std::io::Error },
    #[error("group {id}: {} holds no usable *.csv; put recordings there or remove the group", folder.display())]
    Empty { id: String, folder: PathBuf },
    #[error("{} has {rate_hz:.2} samples a second, {} has {other_hz:.2}; set data.target_sampling_frequency_hz to resample both", path.display(), other.display())]
    Rates { path: PathBuf, rate_hz: f64, other: PathBuf, other_hz: f64 },
    #[error("{}: {seconds} s are to be skipped and {have:.2} s are there; lower data.skip_start_s and data.skip_end_s", path.display())]
    Skipped { path: PathBuf, seconds: f64, have: f64 },
    #[error("{}: data.filter: {source}", path.display())]
    Filter { path: PathBuf, source: FilterError },
    #[error(
        "{fold}: no windows are left for {role}; record more, shorten windows.duration_s, change [split], or raise data.max_target_speed_rad_s where it is set"
    )]
    NoWindows { fold: String, role: &'static str },
}

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
}

impl Series {
    pub fn len(&self) -> usize {
        self.position.len()
    }

    /// The network's inputs in the fixed order: angle, target angle, velocity.
    pub fn features(&self, sample: usize) -> [f64; 3] {
        [self.position[sample], self.target[sample], self.velocity[sample]]
    }
}

/// All usable files.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    pub groups: Vec<Group>,
    pub series: Vec<Series>,
    pub rate_hz: f64,
    pub warnings: Vec<String>,
    /// Files that were left out, and why.
    pub skipped: Vec<String>,
}

impl Dataset {
    /// Reads all groups. `duration_s` is that of a window: a shorter file is of no use.
    pub fn read(data: &Data, duration_s: f64) -> Result<Self, DataError> {
        let mut dataset = Self { groups: data.groups.clone(), ..Self::default() };
        for (index, group) in data.groups.iter().enumerate() {
            let folder = data.directory.join(&group.folder);
            let files = csv_files(&folder).map_err(|source| DataError::Folder {
                id: group.id.clone(),
                folder: folder.clone(),
                source,
            })?;
            let before = dataset.series.len();
            for path in files {
                match dataset.add(data, index, &path, duration_s) {
                    Ok(()) => {}
                    Err(error) if data.skip_bad_files => dataset.skipped.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
            if dataset.series.len() == before {
                return Err(DataError::Empty { id: group.id.clone(), folder });
            }
        }
        Ok(dataset)
    }

    fn add(
        &mut self,
        data: &Data,
        group: usize,
        path: &Path,
        duration_s: f64,
    ) -> Result<(), DataError> {
        let recording = Recording::read(path, &data.acceleration_axis, &data.gyro_axis)?;
        let inertia = self.groups[group].inertia_kg_m2;
        let mut warnings = recording.warnings.clone();
        let series = series(data, recording, group, inertia, &mut warnings)?;
        if let Some(first) = self.series.first() {
            // Clocks that are read in milliseconds or as floating numbers differ a little.
            if (series.rate_hz / first.rate_hz - 1.0).abs() > 5e-3 {
                return Err(DataError::Rates {
                    path: path.to_owned(),
                    rate_hz: series.rate_hz,
                    other: first.path.clone(),
                    other_hz: first.rate_hz,
                });
            }
        } else {
            self.rate_hz = series.rate_hz;
        }
        let needed = window_steps(duration_s, self.rate_hz);
        if series.len() < needed {
            let (path, samples, what) = (path.to_owned(), series.len(), "one window");
            return Err(CsvError::Short { path, samples, needed, what }.into());
        }
        self.warnings.append(&mut warnings);
        self.series.push(series);
        Ok(())
    }

    /// One hash of all files in their order, for provenance.
    pub fn sha256(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        self.series.iter().for_each(|series| hash.update(series.sha256.as_bytes()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Steps of a window.
pub fn window_steps(duration_s: f64, rate_hz: f64) -> usize {
    ((duration_s * rate_hz).round() as usize).max(1)
}

/// All `*.csv` of a folder, sorted.
pub fn csv_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
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
    let mut rate_hz = recording.rate_hz();
    let mut time: Vec<f64> = recording.time_ms.iter().map(|time| time * 1e-3).collect();
    let mut columns: [Vec<f64>; 4] = [
        recording.encoder_deg.iter().map(|value| value.to_radians()).collect(),
        recording.commanded_deg.iter().map(|value| value.to_radians()).collect(),
        recording.gyro_deg_s.iter().map(|it| it.to_radians() - data.gyro_bias_rad_s).collect(),
        recording
            .acceleration
            .iter()
            .map(|it| (it - data.acceleration_bias_m_s2) / data.radius_m)
            .collect(),
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
    }
    if let Some(wanted) = data.target_sampling_frequency_hz {
        let count = ((time[time.len() - 1] - time[0]) * wanted).floor() as usize + 1;
        let grid: Vec<f64> = (0..count).map(|i| time[0] + i as f64 / wanted).collect();
        columns.iter_mut().for_each(|values| *values = interpolate(&time, values, &grid));
        (time, rate_hz) = (grid, wanted);
    }
    gaps(&path, &time, rate_hz, warnings);
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
    })
}

/// Says where samples are missing: filters and windows take them for neighbours.
fn gaps(path: &Path, time: &[f64], rate_hz: f64, warnings: &mut Vec<String>) {
    let large = time.windows(2).filter(|pair| pair[1] - pair[0] > 2.5 / rate_hz).count();
    if large > 0 {
        let most = time.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        warnings.push(format!(
            "{}: {large} gaps of more than two samples, the longest {:.1} ms",
            path.display(),
            1e3 * most
        ));
    }
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

/// Distances between samples: median, largest.
pub fn periods(time_ms: &[f64]) -> (f64, f64) {
    let distances: Vec<f64> = time_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let most = distances.iter().copied().fold(0.0, f64::max);
    (median(distances), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_follows_straight_lines() {
        let time = [0.0, 0.1, 0.25, 0.3];
        let values = [0.0, 1.0, -2.0, 0.0];
        let got = interpolate(&time, &values, &[0.0, 0.05, 0.1, 0.175, 0.3]);
        for (got, expected) in got.iter().zip([0.0, 0.5, 1.0, -0.5, 0.0]) {
            assert!((got - expected).abs() < 1e-12);
        }
    }

    fn data(folder: &Path) -> Data {
        let text = format!(
            "directory = {:?}\nradius_m = 0.1\nskip_bad_files = false\n[[groups]]\nid = 'a'\nfolder = 'a'\n\
             inertia_kg_m2 = 0.01\n",
            folder.display().to_string()
        );
        toml::from_str(&text).unwrap()
    }

    fn write(folder: &Path, name: &str, period_ms: f64, samples: usize) {
        let mut text = "Time_ms,Encoder_Angle,Commanded_Angle,Acc_Y,Gyro_Z\n".to_owned();
        for index in 0..samples {
            let time = index as f64 * period_ms;
            text += &format!("{time},90,180,{},{}\n", 0.5, 180.0);
        }
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(folder.join("a").join(name), text).unwrap();
    }

    #[test]
    fn units_become_si_and_torque_is_inertia_times_acceleration() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.csv", 4.0, 40);
        let dataset = Dataset::read(&data(folder.path()), 0.1).unwrap();
        let series = &dataset.series[0];
        assert_eq!(dataset.rate_hz, 250.0);
        let pi = std::f64::consts::PI;
        assert_eq!(series.features(3), [pi / 2.0, pi, pi]);
        assert!((series.torque[3] - 0.01 * 0.5 / 0.1).abs() < 1e-15);
    }

    #[test]
    fn bad_files_are_refused_or_skipped_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut data = data(folder.path());
        std::fs::create_dir_all(folder.path().join("a")).unwrap();
        let empty = Dataset::read(&data, 0.1).unwrap_err().to_string();
        assert!(empty.contains("group a") && empty.contains("no usable"), "{empty}");
        write(folder.path(), "a.csv", 4.0, 40);
        write(folder.path(), "b.csv", 5.0, 40);
        write(folder.path(), "c.csv", 4.0, 20);
        let mixed = Dataset::read(&data, 0.1).unwrap_err().to_string();
        assert!(mixed.contains("b.csv") && mixed.contains("resample"), "{mixed}");
        data.skip_bad_files = true;
        let dataset = Dataset::read(&data, 0.1).unwrap();
        assert_eq!((dataset.series.len(), dataset.skipped.len()), (1, 2));
        assert!(dataset.skipped[1].contains("20 samples"), "{:?}", dataset.skipped);
        data.target_sampling_frequency_hz = Some(100.0);
        let dataset = Dataset::read(&data, 0.05).unwrap();
        assert_eq!(dataset.series.len(), 3);
        assert_eq!(dataset.rate_hz, 100.0);
    }
}
