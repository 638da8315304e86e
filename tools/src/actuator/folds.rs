//! The trainings of a run: one of all groups, or for each group one of the others.

use super::dataset::{DataError, Dataset};
use super::mlp;
use super::settings::{Mode, Settings};
use super::splits;
use std::path::{Path, PathBuf};

/// One network of a run: the only one, or that of a fold.
pub struct Fold {
    /// The group left out.
    pub left_out: Option<usize>,
    pub id: Option<String>,
    pub folder: PathBuf,
}

impl Fold {
    /// The trainings of a run in this folder.
    pub fn all(settings: &Settings, run: &Path) -> Vec<Self> {
        match settings.mode {
            Mode::Global => vec![Self { left_out: None, id: None, folder: run.to_owned() }],
            Mode::Lomo => settings
                .data
                .groups
                .iter()
                .enumerate()
                .map(|(index, group)| Self {
                    left_out: Some(index),
                    id: Some(group.id.clone()),
                    folder: run.join(format!("fold_{index}")),
                })
                .collect(),
        }
    }

    /// What names of its pictures end with.
    pub fn suffix(&self) -> String {
        self.id.as_ref().map_or_else(String::new, |id| format!("-{id}"))
    }

    /// How people call it.
    pub fn name(&self) -> String {
        self.id.as_ref().map_or_else(|| "the training".to_owned(), |id| format!("without {id}"))
    }
}

/// Cuts the windows of every fold, so that a part without any is found before hours of training.
pub fn check(settings: &Settings, dataset: &Dataset) -> Result<(), DataError> {
    for fold in Fold::all(settings, Path::new("")) {
        let windows = splits::split(settings, dataset, fold.left_out);
        let of_mlp = settings.baselines.mlp.then(|| mlp::samples(dataset, &windows).len());
        for (role, count) in [
            ("training", windows.train.len()),
            ("validation", windows.validation.len()),
            ("test", windows.test.len()),
            ("the dense network, which looks 20 ms back", of_mlp.unwrap_or(1)),
        ] {
            if count == 0 {
                return Err(DataError::NoWindows { fold: fold.name(), role });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::series::Series;

    fn settings() -> Settings {
        let group =
            |id: &str| format!("[[data.groups]]\nid='{id}'\nfolder=''\ninertia_kg_m2=0.01\n");
        let text = format!(
            "mode='lomo'\n[data]\ndirectory='d'\nradius_m=0.2\n{}{}[model]\ntarget='full'\n\
             [windows]\nduration_s=0.2\n",
            group("a"),
            group("b")
        );
        toml::from_str(&text).unwrap()
    }

    fn dataset(settings: &Settings, lengths: [usize; 2]) -> Dataset {
        let series = |(group, length): (usize, &usize)| Series {
            group,
            rate_hz: 100.0,
            position: vec![0.0; *length],
            target: (0..*length).map(|sample| sample as f64 * group as f64).collect(),
            velocity: vec![0.0; *length],
            torque: vec![0.0; *length],
            ..Series::default()
        };
        Dataset {
            groups: settings.data.groups.clone(),
            series: lengths.iter().enumerate().map(series).collect(),
            rate_hz: 100.0,
            ..Dataset::default()
        }
    }

    #[test]
    fn a_fold_without_windows_is_found_before_any_is_trained() {
        let enough = settings();
        assert!(check(&enough, &dataset(&enough, [1000, 1000])).is_ok());
        // The second fold learns from the first group alone, and that has one window.
        let message = check(&enough, &dataset(&enough, [20, 1000])).unwrap_err().to_string();
        assert!(message.contains("without b") && message.contains("validation"), "{message}");
        // The targets of the second group all move too fast: there is nothing to learn without the first.
        let mut slow = settings();
        slow.data.max_target_speed_rad_s = Some(1.0);
        let message = check(&slow, &dataset(&slow, [1000, 1000])).unwrap_err().to_string();
        assert!(message.contains("without a") && message.contains("training"), "{message}");
        assert!(message.contains("max_target_speed_rad_s"), "{message}");
        // Windows of one sample in files of 7, at 400 Hz: nothing lies 20 ms back.
        let mut short = settings();
        short.windows.duration_s = 0.001;
        let mut dataset = dataset(&short, [7, 7]);
        dataset.rate_hz = 400.0;
        let message = check(&short, &dataset).unwrap_err().to_string();
        assert!(message.contains("dense network"), "{message}");
        short.baselines.mlp = false;
        assert!(check(&short, &dataset).is_ok());
    }
}
