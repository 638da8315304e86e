//! A run from configuration to summary: folders, folds, files.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::dataset::{DataError, Dataset};
use super::evaluation::{self, Evaluation, EvaluationError, NETWORK};
use super::features::Features;
use super::folds::{self, Fold};
use super::metrics::Metrics;
use super::mlp;
use super::network;
use super::progress::{Reporter, duration};
use super::settings::{Mode, Settings, SettingsError};
use super::splits::{self, Windows};
use super::training::{BEST, Training, TrainingError};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Name of the effective configuration in a run's folder.
const CONFIG: &str = "config.toml";

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
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
    #[error("{}: the files are not those that the run was trained on (sha256 {found}, then {trained}); add --changed-data to go on all the same", path.display())]
    OtherData { path: PathBuf, found: String, trained: String },
    #[error("there is no fold {fold:?}; there are: {known}")]
    Fold { fold: String, known: String },
}

/// A run's folder with what it was made from.
pub struct Run {
    pub folder: PathBuf,
    pub settings: Settings,
    pub dataset: Dataset,
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> RunError + use<> {
    let path = path.to_owned();
    move |source| RunError::File { path, source }
}

pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), RunError> {
    std::fs::write(path, content).map_err(file(path))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
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
        write(&folder.join("data.json"), pretty(&data))?;
        Ok(Self { folder, settings, dataset })
    }

    /// Opens a run's folder; its data must be what it was, unless `changed` allows otherwise.
    pub fn open(folder: &Path, overrides: &[String], changed: bool) -> Result<Self, RunError> {
        let settings = Settings::load(&folder.join(CONFIG), overrides)?;
        let dataset = Dataset::read(&settings.data, settings.windows.duration_s)?;
        let path = folder.join("data.json");
        let text = std::fs::read_to_string(&path).map_err(file(&path))?;
        let data: Value = serde_json::from_str(&text)
            .map_err(|error| RunError::Content { path: path.clone(), reason: error.to_string() })?;
        let (found, trained) = (dataset.sha256(), data["sha256"].as_str().unwrap_or_default());
        if !changed && found != trained {
            return Err(RunError::OtherData { path, found, trained: trained.to_owned() });
        }
        Ok(Self { folder: folder.to_owned(), settings, dataset })
    }

    /// The trainings of this run.
    pub fn folds(&self) -> Vec<Fold> {
        Fold::all(&self.settings, &self.folder)
    }

    pub fn fold(&self, wanted: Option<&str>) -> Result<Fold, RunError> {
        let folds = self.folds();
        let known: Vec<String> = folds.iter().filter_map(|fold| fold.id.clone()).collect();
        let fold = folds.into_iter().find(|fold| wanted.is_none() || fold.id.as_deref() == wanted);
        fold.ok_or_else(|| RunError::Fold {
            fold: wanted.unwrap_or_default().to_owned(),
            known: known.join(", "),
        })
    }

    pub fn windows(&self, fold: &Fold) -> (Windows, Features) {
        let windows = splits::split(&self.settings, &self.dataset, fold.left_out);
        let features = Features::new(&self.settings.model, &self.dataset, &windows);
        (windows, features)
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
        for fold in self.folds() {
            std::fs::create_dir_all(&fold.folder).map_err(file(&fold.folder))?;
            let (windows, features) = self.windows(&fold);
            if let Some(leak) = windows.leak {
                eprintln!("{leak}");
            }
            let mut reporter = Reporter::new(
                &fold.id.as_ref().map_or_else(String::new, |id| format!("without {id}")),
            );
            let training = Training {
                settings: &self.settings,
                dataset: &self.dataset,
                windows: &windows,
                features: &features,
                folder: &fold.folder,
                run: &self.folder,
                interrupt,
            };
            let progress = training.run(&mut reporter);
            reporter.finish();
            let progress = progress?;
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
        let mut text = summary(&evaluations, &self.settings);
        if !self.dataset.skipped.is_empty() {
            let _ = writeln!(text, "{} files were skipped:", self.dataset.skipped.len());
            for skipped in &self.dataset.skipped {
                let _ = writeln!(text, "  {skipped}");
            }
        }
        Ok(format!("{notes}\n{text}\n{took}; {}", self.folder.display()))
    }

    /// Evaluates the best checkpoint of every fold and leaves `metrics.json`.
    pub fn evaluate(&self) -> Result<Vec<Evaluation>, RunError> {
        let mut evaluations = Vec::new();
        for fold in self.folds() {
            let (windows, features) = self.windows(&fold);
            if windows.test.is_empty() {
                return Err(DataError::NoWindows { fold: fold.name(), role: "test" }.into());
            }
            let best = self.best(&fold)?;
            let mlp = self.settings.baselines.mlp;
            let mlp = mlp.then(|| mlp::train(&self.settings, &self.dataset, &windows));
            let mut evaluation = evaluation::evaluate(
                &self.settings,
                &self.dataset,
                &windows,
                &features,
                &best.parameters,
                mlp.as_ref(),
            )?;
            evaluation.fold = fold.id;
            evaluations.push(evaluation);
        }
        let path = self.folder.join("metrics.json");
        let folds = serde_json::to_value(&evaluations)
            .map_err(|error| RunError::Content { path: path.clone(), reason: error.to_string() })?;
        let mut metrics = json!({ "mode": self.settings.mode, "folds": folds });
        if evaluations.len() > 1 {
            metrics["averages"] = Value::Object(averages(&evaluations));
        } else if let Some(model) = evaluations[0].model(NETWORK) {
            for (name, value) in named(&model.all) {
                metrics[format!("test_{name}_epoch")] = json!(value);
            }
        }
        write(&path, pretty(&metrics))?;
        write(&self.folder.join("comparison.csv"), comparison(&evaluations))?;
        Ok(evaluations)
    }

    pub fn best(&self, fold: &Fold) -> Result<Checkpoint, RunError> {
        let sizes = network::sizes(&self.settings.model);
        Ok(Checkpoint::read(&fold.folder.join(BEST), &sizes)?)
    }
}

fn named(metrics: &Metrics) -> [(&'static str, f64); 4] {
    [("mse", metrics.mse), ("rmse", metrics.rmse), ("mae", metrics.mae), ("r2", metrics.r2)]
}

/// Averages over folds, of every model.
fn averages(evaluations: &[Evaluation]) -> serde_json::Map<String, Value> {
    let mut averages = serde_json::Map::new();
    for model in &evaluations[0].models {
        let average = average(evaluations, &model.name);
        let values = named(&average).into_iter();
        let values = values.map(|(name, value)| (format!("avg_{name}"), json!(value)));
        averages.insert(model.name.clone(), Value::Object(values.collect()));
    }
    averages
}

pub fn average(evaluations: &[Evaluation], name: &str) -> Metrics {
    let all: Vec<Metrics> =
        evaluations.iter().filter_map(|it| it.model(name)).map(|model| model.all).collect();
    Metrics::average(&all)
}

fn comparison(evaluations: &[Evaluation]) -> String {
    let mut text = "fold,model,group,samples,mse,rmse,mae,r2,step_us\n".to_owned();
    for evaluation in evaluations {
        let fold = evaluation.fold.as_deref().unwrap_or("all");
        for model in &evaluation.models {
            let all = std::iter::once(("all", &model.all));
            let groups = model.groups.iter().map(|(id, metrics)| (id.as_str(), metrics));
            for (group, it) in all.chain(groups) {
                let step = model.step_us.map_or_else(String::new, |step| step.to_string());
                let _ = writeln!(
                    text,
                    "{fold},\"{}\",{group},{},{},{},{},{},{step}",
                    model.name, it.samples, it.mse, it.rmse, it.mae, it.r2
                );
            }
        }
    }
    text
}

/// The tables that people read.
pub fn summary(evaluations: &[Evaluation], settings: &Settings) -> String {
    let mut text = String::new();
    for evaluation in evaluations {
        let what = match &evaluation.fold {
            Some(id) => format!("tested on {id}, which was left out"),
            None => format!("tested on {} windows", evaluation.test_windows),
        };
        let _ = writeln!(text, "{what} (split: {})", evaluation.split);
        if let Some(leak) = &evaluation.leak {
            let _ = writeln!(text, "{leak}");
        }
        text += &evaluation.table();
        text.push('\n');
    }
    if settings.mode == Mode::Lomo {
        let average = average(evaluations, NETWORK);
        let _ = writeln!(
            text,
            "average over folds: avg_rmse {:.5} N·m, avg_mae {:.5} N·m, avg_r2 {:.4}",
            average.rmse, average.mae, average.r2
        );
    }
    text
}
