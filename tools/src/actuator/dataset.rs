//! From groups of files to what windows are cut from.

use super::csv::{CsvError, Recording};
use super::digest;
use super::filter::FilterError;
use super::series::{Series, series};
use super::settings::{Data, Group};
use std::path::{Path, PathBuf};

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("group {id}: {}: {source}; data.groups.folder names a folder below data.directory", folder.display())]
    Folder { id: String, folder: PathBuf, source: std::io::Error },
    #[error("group {id}: {} holds no usable *.csv; put recordings there or remove the group{reasons}", folder.display())]
    Empty { id: String, folder: PathBuf, reasons: String },
    #[error("{} has {rate_hz:.2} samples a second, {} has {other_hz:.2}; set data.target_sampling_frequency_hz to resample both", path.display(), other.display())]
    Rates { path: PathBuf, rate_hz: f64, other: PathBuf, other_hz: f64 },
    #[error("{} is the same recording as {}, byte for byte: what is tested would have been learned; remove one", path.display(), other.display())]
    Twice { path: PathBuf, other: PathBuf },
    #[error("{}: {seconds} s are to be skipped and {have:.2} s are there; lower data.skip_start_s and data.skip_end_s", path.display())]
    Skipped { path: PathBuf, seconds: f64, have: f64 },
    #[error("{}: data.filter: {source}", path.display())]
    Filter { path: PathBuf, source: FilterError },
    #[error(
        "{fold}: no windows are left for {role}; record more, shorten windows.duration_s, change [split], or raise data.max_target_speed_rad_s where it is set"
    )]
    NoWindows { fold: String, role: &'static str },
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
            let (before, skipped) = (dataset.series.len(), dataset.skipped.len());
            for path in files {
                match dataset.add(data, index, &path, duration_s) {
                    Ok(()) => {}
                    Err(error) if data.skip_bad_files => dataset.skipped.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
            if dataset.series.len() == before {
                let reasons = dataset.skipped[skipped..].iter();
                let reasons = reasons.map(|reason| format!("\nleft out: {reason}")).collect();
                return Err(DataError::Empty { id: group.id.clone(), folder, reasons });
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
        if let Some(same) = self.series.iter().find(|it| it.sha256 == recording.sha256) {
            let (path, other) = (path.to_owned(), same.path.clone());
            return Err(DataError::Twice { path, other });
        }
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

    /// One hash of all files in their order, with group and inertia of each.
    pub fn sha256(&self) -> String {
        let of = |series: &Series| {
            let Group { id, inertia_kg_m2, .. } = &self.groups[series.group];
            format!("{id} {inertia_kg_m2} {}\n", series.sha256)
        };
        digest::sha256(self.series.iter().map(of).collect::<String>().as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_recording_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.csv", 4.0, 40);
        write(folder.path(), "b.csv", 4.0, 40);
        let mut data = data(folder.path());
        let error = Dataset::read(&data, 0.1).unwrap_err().to_string();
        assert!(error.contains("b.csv is the same recording as"), "{error}");
        data.skip_bad_files = true;
        let dataset = Dataset::read(&data, 0.1).unwrap();
        assert_eq!((dataset.series.len(), dataset.skipped.len()), (1, 1));
    }

    #[test]
    fn bad_files_are_refused_or_skipped_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut data = data(folder.path());
        std::fs::create_dir_all(folder.path().join("a")).unwrap();
        let empty = Dataset::read(&data, 0.1).unwrap_err().to_string();
        assert!(empty.contains("group a") && empty.contains("no usable"), "{empty}");
        // Why each file of an empty group was left out.
        data.skip_bad_files = true;
        write(folder.path(), "a.csv", 4.0, 5);
        write(folder.path(), "b.csv", 4.0, 9);
        let reasons = Dataset::read(&data, 0.1).unwrap_err().to_string();
        assert!(
            reasons.contains("a.csv: 5 samples") && reasons.contains("b.csv: 9 samples"),
            "{reasons}"
        );
        data.skip_bad_files = false;
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
