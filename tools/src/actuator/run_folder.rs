//! The folder of a run, without its recordings: what was trained, and how.

use super::checkpoint::Checkpoint;
use super::folds::Fold;
use super::network;
use super::run::{CONFIG, DATA, RunError, read_json};
use super::settings::Settings;
use super::split_record::SplitRecord;
use super::training::BEST;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What was trained.
pub struct RunFolder {
    pub folder: PathBuf,
    pub settings: Settings,
    /// Of the recordings that were trained on.
    pub data_sha256: String,
    /// Of the training.
    pub rate_hz: f64,
}

/// What `data.json` begins with.
#[derive(Deserialize)]
struct DataRecord {
    sha256: String,
    rate_hz: f64,
}

impl RunFolder {
    /// Reads the configuration. What a trained network is cannot be set any more: only where the
    /// recordings are.
    pub fn open(folder: &Path, overrides: &[String]) -> Result<Self, RunError> {
        for text in overrides {
            let key = text.split('=').next().unwrap_or_default().trim();
            if key != "data.directory" {
                return Err(RunError::Override { key: key.to_owned() });
            }
        }
        let settings = Settings::load(&folder.join(CONFIG), overrides)?;
        let DataRecord { sha256, rate_hz } = read_json(&folder.join(DATA))?;
        Ok(Self { folder: folder.to_owned(), settings, data_sha256: sha256, rate_hz })
    }

    /// The trainings of this run.
    pub fn folds(&self) -> Vec<Fold> {
        Fold::all(&self.settings, &self.folder)
    }

    /// The training without a group, or the first one.
    pub fn fold(&self, wanted: Option<&str>) -> Result<Fold, RunError> {
        let folds = self.folds();
        let known: Vec<String> = folds.iter().filter_map(|fold| fold.id.clone()).collect();
        let fold = folds.into_iter().find(|fold| wanted.is_none() || fold.id.as_deref() == wanted);
        fold.ok_or_else(|| RunError::Fold {
            fold: wanted.unwrap_or_default().to_owned(),
            known: known.join(", "),
        })
    }

    /// Windows and statistics that a fold was trained with.
    pub fn split(&self, fold: &Fold) -> Result<SplitRecord, RunError> {
        SplitRecord::read(&fold.folder)
    }

    pub fn best(&self, fold: &Fold) -> Result<Checkpoint, RunError> {
        let sizes = network::sizes(&self.settings.model);
        Ok(Checkpoint::read(&fold.folder.join(BEST), &sizes)?)
    }
}
