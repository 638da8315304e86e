//! A run from configuration to summary: folders, folds, files.

use super::baselines::Baselines;
use super::checkpoint::CheckpointError;
use super::dataset::{DataError, Dataset};
use super::digest;
use super::evaluation::{self, Evaluation, EvaluationError, NETWORK};
use super::features::Features;
use super::folds::{self, Fold};
use super::network;
use super::pictures;
use super::progress::{Reporter, duration};
use super::run_folder::RunFolder;
use super::settings::{Settings, SettingsError};
use super::split_record::{SPLIT, SplitRecord};
use super::splits::{self, Windows};
use super::summary;
use super::training::{BEST, Training, TrainingError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sinew_models::actuators::{ActuatorFileError, Bundle};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Name of the effective configuration in a run's folder.
pub const CONFIG: &str = "config.toml";
/// What was trained on.
pub const DATA: &str = "data.json";

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}; the run was made by another version, or ended early: train again", path.display())]
    Content { path: PathBuf, reason: String },
    #[error("{}: the files are not those that the run was trained on (sha256 {found}, then {trained}); put them back (evaluate and report also take --changed-data)", path.display())]
    OtherData { path: PathBuf, found: String, trained: String },
    #[error("{}: the files have {found:.2} samples a second, the run was trained at {trained:.2}", path.display())]
    OtherRate { path: PathBuf, found: f64, trained: f64 },
    #[error("there is no fold {fold:?}; there are: {known}")]
    Fold { fold: String, known: String },
    #[error(
        "--set {key}: a run keeps what it was trained with; only data.directory may be set here. Train again to change {key}"
    )]
    Override { key: String },
    #[error(transparent)]
    Actuator(#[from] ActuatorFileError),
}

/// A run's folder with its recordings.
pub struct Run {
    pub trained: RunFolder,
    pub dataset: Dataset,
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> RunError + use<> {
    let path = path.to_owned();
    move |source| RunError::File { path, source }
}

pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), RunError> {
    std::fs::write(path, content).map_err(file(path))
}

pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Reads a JSON file of a run.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = std::fs::read_to_string(path).map_err(file(path))?;
    serde_json::from_str(&text)
        .map_err(|error| RunError::Content { path: path.to_owned(), reason: error.to_string() })
}

impl Run {
    /// Begins a run in a new dated folder.
    pub fn create(settings: Settings) -> Result<Self, RunError> {
        let dataset = Dataset::read(&settings.data, settings.windows.duration_s)?;
        folds::check(&settings, &dataset)?;
        let now = time::OffsetDateTime::now_utc();
        let (date, clock) = (now.date(), now.time());
        let stamp = format!("{:02}-{:02}-{:02}", clock.hour(), clock.minute(), clock.second());
        let day = settings.output.directory.join(date.to_string());
        std::fs::create_dir_all(&day).map_err(file(&day))?;
        let mut folder = day.join(format!("{stamp}-{}", settings.name));
        // Two runs in one second.
        for number in 2.. {
            match std::fs::create_dir(&folder) {
                Ok(()) => break,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    folder = day.join(format!("{stamp}-{}-{number}", settings.name));
                }
                Err(error) => return Err(file(&folder)(error)),
            }
        }
        let mut settings = settings;
        let directory = &settings.data.directory;
        settings.data.directory = directory.canonicalize().map_err(file(directory))?;
        let path = folder.join(CONFIG);
        let text = toml::to_string_pretty(&settings)
            .map_err(|error| RunError::Content { path: path.clone(), reason: error.to_string() })?;
        write(&path, text)?;
        let files: Vec<Value> = dataset
            .series
            .iter()
            .map(|series| {
                json!({
                    "file": series.path, "group": dataset.groups[series.group].id,
                    "samples": series.len(), "sha256": series.sha256,
                })
            })
            .collect();
        let data = json!({
            "sha256": dataset.sha256(), "rate_hz": dataset.rate_hz, "files": files,
            "warnings": dataset.warnings, "skipped": dataset.skipped,
        });
        write(&folder.join(DATA), pretty(&data))?;
        let (data_sha256, rate_hz) = (dataset.sha256(), dataset.rate_hz);
        Ok(Self { trained: RunFolder { folder, settings, data_sha256, rate_hz }, dataset })
    }

    /// Opens a run's folder; its data must be what it was, unless `changed` allows otherwise.
    pub fn open(folder: &Path, overrides: &[String], changed: bool) -> Result<Self, RunError> {
        let trained = RunFolder::open(folder, overrides)?;
        let settings = &trained.settings;
        let dataset = Dataset::read(&settings.data, settings.windows.duration_s)?;
        let (found, path) = (dataset.sha256(), folder.join(DATA));
        if !changed && found != trained.data_sha256 {
            return Err(RunError::OtherData { path, found, trained: trained.data_sha256 });
        }
        if (dataset.rate_hz / trained.rate_hz - 1.0).abs() > 5e-3 {
            let (found, trained) = (dataset.rate_hz, trained.rate_hz);
            return Err(RunError::OtherRate { path, found, trained });
        }
        Ok(Self { trained, dataset })
    }

    /// The windows that a fold was trained with, in the files of today, and these as its network sees them.
    pub fn windows(&self, fold: &Fold) -> Result<(Windows, Features), RunError> {
        let settings = &self.trained.settings;
        let split = self.trained.split(fold)?;
        let windows = split.windows(settings, &self.dataset, fold.left_out);
        let features = Features::new(&settings.model, &self.dataset, split.normalization);
        Ok((windows, features))
    }

    /// Trains every fold, from where it was, and evaluates it.
    pub fn train(&self, interrupt: &AtomicBool) -> Result<String, RunError> {
        let begun = Instant::now();
        let mut notes = String::new();
        for warning in &self.dataset.warnings {
            eprintln!("warning: {warning}");
        }
        for skipped in &self.dataset.skipped {
            eprintln!("skipped: {skipped}");
        }
        let settings = &self.trained.settings;
        for fold in self.trained.folds() {
            std::fs::create_dir_all(&fold.folder).map_err(file(&fold.folder))?;
            if !fold.folder.join(SPLIT).exists() {
                let windows = splits::split(settings, &self.dataset, fold.left_out);
                let split = SplitRecord::new(settings, &self.dataset, &windows);
                self.write_seed_files(&fold, &split)?;
                split.write(&fold.folder)?;
            }
            // Read back, so that a run that goes on has the same numbers as one that was never interrupted.
            let (windows, features) = self.windows(&fold)?;
            if let Some(leak) = &windows.leak {
                eprintln!("{leak}");
            }
            let mut reporter = Reporter::new(
                &fold.id.as_ref().map_or_else(String::new, |id| format!("without {id}")),
            );
            let training = Training {
                settings,
                dataset: &self.dataset,
                windows: &windows,
                features: &features,
                folder: &fold.folder,
                run: &self.trained.folder,
                interrupt,
            };
            let progress = training.run(&mut reporter);
            reporter.finish();
            let progress = progress?;
            Baselines::make(&fold.folder, settings, &self.dataset, &windows)?;
            let _ = writeln!(
                notes,
                "{}{} epochs, best {} with validation RMSE {:.5} N·m",
                fold.id.as_ref().map_or_else(String::new, |id| format!("without {id}: ")),
                progress.history.len(),
                progress.best_epoch + 1,
                progress.best_rmse.unwrap_or(f64::NAN)
            );
        }
        let evaluations = self.evaluate()?;
        let took = duration(begun.elapsed());
        let mut text = summary::summary(&evaluations, settings);
        if !self.dataset.skipped.is_empty() {
            let _ = writeln!(text, "{} files were skipped:", self.dataset.skipped.len());
            for skipped in &self.dataset.skipped {
                let _ = writeln!(text, "  {skipped}");
            }
        }
        let text = format!("{notes}\n{text}\n{took}");
        let folder = &self.trained.folder;
        write(&folder.join("summary.txt"), format!("{text}\n"))?;
        self.draw(&evaluations)?;
        Ok(format!("{text}; {}", folder.display()))
    }

    /// `normalization_stats.json` and `training_config_summary.json`, as the original leaves them.
    fn write_seed_files(&self, fold: &Fold, split: &SplitRecord) -> Result<(), RunError> {
        let settings = &self.trained.settings;
        let weights = network::first_weights(&network::sizes(&settings.model), settings.seed);
        let normalization = split.normalization.clone();
        let rate_hz = self.trained.rate_hz;
        let mut bundle = network::bundle(&settings.model, normalization, rate_hz, &weights);
        bundle.provenance.insert(Bundle::WINDOW_STEPS.to_owned(), split.steps.to_string());
        Ok(bundle.write_seed_files(&fold.folder)?)
    }

    /// Curves of the training, and predicted against measured torque, as PNG in `plots/`.
    fn draw(&self, evaluations: &[Evaluation]) -> Result<(), RunError> {
        let folder = self.trained.folder.join("plots");
        std::fs::create_dir_all(&folder).map_err(file(&folder))?;
        for (fold, evaluation) in self.trained.folds().iter().zip(evaluations) {
            let suffix = fold.suffix();
            for picture in [
                pictures::history(&self.trained, fold, &suffix)?,
                pictures::scatter(evaluation, &suffix),
            ] {
                let path = folder.join(format!("{}.png", picture.name));
                match picture.png {
                    Ok(png) => write(&path, png)?,
                    Err(error) => eprintln!("warning: {} was not drawn: {error}", path.display()),
                }
            }
        }
        Ok(())
    }

    /// Evaluates the best checkpoint of every fold and leaves `metrics.json`.
    pub fn evaluate(&self) -> Result<Vec<Evaluation>, RunError> {
        let mut evaluations = Vec::new();
        let RunFolder { folder, settings, .. } = &self.trained;
        for fold in self.trained.folds() {
            let (windows, features) = self.windows(&fold)?;
            if windows.test.is_empty() {
                return Err(DataError::NoWindows { fold: fold.name(), role: "test" }.into());
            }
            let best = self.trained.best(&fold)?;
            let baselines = Baselines::read(&fold.folder, settings)?;
            let mut evaluation = evaluation::evaluate(
                settings,
                &self.dataset,
                &windows,
                &features,
                &best.parameters,
                &baselines,
            )?;
            let best = fold.folder.join(BEST);
            evaluation.model_sha256 = digest::sha256(&std::fs::read(&best).map_err(file(&best))?);
            evaluation.fold = fold.id;
            evaluations.push(evaluation);
        }
        // What a training has left stays as it is.
        let changed = self.dataset.sha256() != self.trained.data_sha256;
        let suffix = if changed { "-changed-data" } else { "" };
        let path = folder.join(format!("metrics{suffix}.json"));
        let folds = serde_json::to_value(&evaluations)
            .map_err(|error| RunError::Content { path: path.clone(), reason: error.to_string() })?;
        let mut metrics = json!({
            "mode": settings.mode,
            "data_sha256": self.dataset.sha256(),
            "trained_data_sha256": self.trained.data_sha256,
            "folds": folds,
        });
        if evaluations.len() > 1 {
            metrics["averages"] = Value::Object(summary::averages(&evaluations));
        } else if let Some(model) = evaluations[0].model(NETWORK) {
            for (name, value) in summary::named(&model.all) {
                metrics[format!("test_{name}_epoch")] = json!(value);
            }
        }
        write(&path, pretty(&metrics))?;
        let comparison = folder.join(format!("comparison{suffix}.csv"));
        write(&comparison, summary::comparison(&evaluations))?;
        Ok(evaluations)
    }
}
