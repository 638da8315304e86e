//! What a network learned with, as it stays in its folder: the windows of each file by the file's hash,
//! and the statistics of the training windows. Whatever lies in the data's folder later, a trained
//! network keeps both.

use super::dataset::Dataset;
use super::features;
use super::run::{RunError, pretty, read_json, write};
use super::settings::Settings;
use super::splits::{self, Role, Window, Windows};
use serde::{Deserialize, Serialize};
use sinew_models::actuators::Normalization;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Name of the file.
pub const SPLIT: &str = "split.json";

/// The windows and statistics of one training.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    pub method: String,
    pub leak: Option<String>,
    /// Samples of a window.
    pub steps: usize,
    /// Samples between the beginnings of two windows.
    pub stride: usize,
    pub normalization: Normalization,
    pub files: Vec<FileRecord>,
}

/// The windows of one file: first samples of the first ones, and how many follow, `stride` apart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    pub file: PathBuf,
    pub group: String,
    pub sha256: String,
    pub train: Vec<(usize, usize)>,
    pub validation: Vec<(usize, usize)>,
    pub test: Vec<(usize, usize)>,
}

impl FileRecord {
    fn of(&self, role: Role) -> &[(usize, usize)] {
        match role {
            Role::Train => &self.train,
            Role::Validation => &self.validation,
            Role::Test => &self.test,
        }
    }
}

impl SplitRecord {
    pub fn new(settings: &Settings, dataset: &Dataset, windows: &Windows) -> Self {
        let stride = settings.windows.stride;
        let runs = |windows: &[Window], series: usize| {
            let mut runs: Vec<(usize, usize)> = Vec::new();
            for window in windows.iter().filter(|window| window.series == series) {
                match runs.last_mut() {
                    Some((begin, count)) if *begin + *count * stride == window.begin => *count += 1,
                    _ => runs.push((window.begin, 1)),
                }
            }
            runs
        };
        let files = dataset.series.iter().enumerate().map(|(index, series)| FileRecord {
            file: series.path.clone(),
            group: dataset.groups[series.group].id.clone(),
            sha256: series.sha256.clone(),
            train: runs(&windows.train, index),
            validation: runs(&windows.validation, index),
            test: runs(&windows.test, index),
        });
        Self {
            method: windows.method.clone(),
            leak: windows.leak.clone(),
            steps: windows.steps,
            stride,
            normalization: features::statistics(dataset, &windows.train, windows.steps),
            files: files.collect(),
        }
    }

    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        let path = folder.join(SPLIT);
        let value = serde_json::to_value(self)
            .map_err(|error| RunError::Content { path: path.clone(), reason: error.to_string() })?;
        // There is always a whole one, or none.
        let new = path.with_extension("new");
        write(&new, pretty(&value))?;
        std::fs::rename(&new, &path).map_err(|source| RunError::File { path, source })
    }

    pub fn read(folder: &Path) -> Result<Self, RunError> {
        read_json(&folder.join(SPLIT))
    }

    /// The windows in files of today. Files that were not there when the network learned are for
    /// testing alone; of a fold, those of the group left out.
    pub fn windows(
        &self,
        settings: &Settings,
        dataset: &Dataset,
        left_out: Option<usize>,
    ) -> Windows {
        let mut of_hash: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
        for (index, series) in dataset.series.iter().enumerate() {
            of_hash.entry(&series.sha256).or_default().push_back(index);
        }
        let mut windows = Windows {
            steps: self.steps,
            method: self.method.clone(),
            leak: self.leak.clone(),
            ..Windows::default()
        };
        let mut missing = 0;
        for file in &self.files {
            let present = of_hash.get_mut(file.sha256.as_str()).and_then(VecDeque::pop_front);
            let Some(series) = present else {
                missing += 1;
                continue;
            };
            for role in [Role::Train, Role::Validation, Role::Test] {
                for &(first, count) in file.of(role) {
                    let begins = (0..count).map(|index| first + index * self.stride);
                    windows.of(role).extend(begins.map(|begin| Window { series, begin }));
                }
            }
        }
        let mut unseen = 0;
        for series in of_hash.into_values().flatten() {
            if left_out.is_none_or(|group| dataset.series[series].group == group) {
                windows.test.extend(splits::of_file(settings, dataset, self.steps, series));
                unseen += 1;
            }
        }
        if unseen + missing > 0 {
            windows.method += &format!(
                "; {unseen} files that were not there in training are all test, {missing} of then are not here"
            );
        }
        windows.sort();
        windows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::series::Series;
    use crate::actuator::settings::Group;

    fn dataset(hashes: &[&str]) -> Dataset {
        let series = |hash: &&str| Series {
            sha256: (*hash).to_owned(),
            rate_hz: 100.0,
            position: (0..500).map(|sample| (f64::from(sample) * 0.1).sin()).collect(),
            target: vec![0.0; 500],
            velocity: vec![1.0; 500],
            torque: vec![2.0; 500],
            ..Series::default()
        };
        let group = Group { id: "a".to_owned(), folder: PathBuf::new(), inertia_kg_m2: 0.01 };
        Dataset {
            groups: vec![group],
            series: hashes.iter().map(series).collect(),
            rate_hz: 100.0,
            ..Dataset::default()
        }
    }

    fn settings(method: &str) -> Settings {
        let text = format!(
            "[data]\ndirectory='d'\nradius_m=0.2\n[[data.groups]]\nid='a'\nfolder='a'\n\
             inertia_kg_m2=0.01\n[model]\ntarget='full'\n[windows]\nduration_s=0.2\nstride=3\n\
             [split]\nmethod='{method}'\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_files_keep_their_parts_wherever_they_lie() {
        for method in ["blocks", "random_windows"] {
            let settings = settings(method);
            let then = dataset(&["one", "two", "three"]);
            let windows = splits::split(&settings, &then, None);
            let folder = tempfile::tempdir().unwrap();
            SplitRecord::new(&settings, &then, &windows).write(folder.path()).unwrap();
            let record = SplitRecord::read(folder.path()).unwrap();
            let again = record.windows(&settings, &then, None);
            assert_eq!(again.method, windows.method);
            for (again, windows) in [
                (&again.train, &windows.train),
                (&again.validation, &windows.validation),
                (&again.test, &windows.test),
            ] {
                assert_eq!(again, windows);
            }
            // Other names sort otherwise, one file is gone, and one was never seen.
            let now = dataset(&["three", "new", "one"]);
            let moved = record.windows(&settings, &now, None);
            let of = |windows: &[Window], series: usize| -> Vec<usize> {
                let those = windows.iter().filter(|window| window.series == series);
                those.map(|window| window.begin).collect()
            };
            assert_eq!(of(&moved.train, 2), of(&windows.train, 0));
            assert_eq!(of(&moved.test, 0), of(&windows.test, 2));
            assert!(of(&moved.train, 1).is_empty() && of(&moved.validation, 1).is_empty());
            assert_eq!(of(&moved.test, 1).len(), 481_usize.div_ceil(3));
            assert!(moved.method.contains("1 files that were not there"), "{}", moved.method);
            let of_fold = record.windows(&settings, &now, Some(7));
            assert!(of(&of_fold.test, 1).is_empty());
        }
    }
}
