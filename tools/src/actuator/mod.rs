//! `sinew-tools actuator`: from recordings of the rig to an actuator model and its report.

mod baselines;
mod checkpoint;
pub mod csv;
pub mod dataset;
mod digest;
pub mod evaluation;
mod export;
mod features;
pub mod filter;
mod folds;
pub mod html;
mod inspection;
pub mod metrics;
mod mlp;
mod network;
mod optimizer;
mod physics;
mod pictures;
pub mod plots;
mod progress;
mod random;
pub mod rate;
mod report;
pub mod run;
mod run_folder;
pub mod series;
pub mod settings;
mod spectrum;
mod split_record;
mod splits;
mod summary;
mod synthesis;
mod tensorboard;
mod training;

use clap::Subcommand;
use run::Run;
use run_folder::RunFolder;
use settings::Settings;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Subcommand)]
pub enum Verb {
    /// Make recordings whose truth is known.
    Synthesize(synthesis::Arguments),
    /// Train a GRU from recordings, and compare it with other models.
    Train(TrainArguments),
    /// Look at the recordings that a configuration names: rates, gaps, saturation, spectra.
    Inspect(InspectArguments),
    /// Evaluate a run again.
    Evaluate(RunArguments),
    /// Write the trained network as a folder that the runtime loads.
    Export(ExportArguments),
    /// Write a report with pictures.
    Report(ReportArguments),
}

#[derive(clap::Args)]
pub struct TrainArguments {
    /// Configuration, such as configs/actuator/train-rig.toml.
    #[arg(required_unless_present = "resume")]
    config: Option<PathBuf>,
    /// Puts a value over the configuration; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume")]
    overrides: Vec<String>,
    /// Go on with the run in this folder.
    #[arg(long, value_name = "RUN", conflicts_with = "config")]
    resume: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct RunArguments {
    /// Folder of a run.
    run: PathBuf,
    /// Puts a value over the run's configuration: data.directory only.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Other files than those of the training are meant: those that were not there then are all for testing.
    #[arg(long)]
    changed_data: bool,
}

#[derive(clap::Args)]
pub struct InspectArguments {
    /// Configuration of a training.
    config: PathBuf,
    /// Puts a value over the configuration; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Folder for inspection.html and its pictures.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct ExportArguments {
    /// Folder of a run. Its recordings need not be there any more.
    run: PathBuf,
    /// New folder to write.
    #[arg(long)]
    out: PathBuf,
    /// Of a leave-one-out run: the group that was left out. The first without it.
    #[arg(long)]
    fold: Option<String>,
}

#[derive(clap::Args)]
pub struct ReportArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Folder to write; RUN/report without it.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs a verb and returns what to print.
pub fn run(verb: Verb) -> Result<String, Box<dyn std::error::Error>> {
    match verb {
        Verb::Synthesize(arguments) => Ok(synthesis::run(&arguments)?),
        Verb::Train(arguments) => train(&arguments),
        Verb::Inspect(InspectArguments { config, overrides, out }) => {
            let settings = Settings::load(&config, &overrides)?;
            Ok(inspection::inspect(&settings, out.as_deref())?)
        }
        Verb::Export(ExportArguments { run, out, fold }) => {
            Ok(export::export(&RunFolder::open(&run, &[])?, fold.as_deref(), &out)?)
        }
        Verb::Report(ReportArguments { run: arguments, out }) => {
            let run = arguments.open()?;
            let out = out.unwrap_or_else(|| run.trained.folder.join("report"));
            Ok(report::report(&run, &out)?.display().to_string())
        }
        Verb::Evaluate(arguments) => {
            let run = arguments.open()?;
            Ok(summary::summary(&run.evaluate()?, &run.trained.settings))
        }
    }
}

impl RunArguments {
    fn open(&self) -> Result<Run, run::RunError> {
        Run::open(&self.run, &self.overrides, self.changed_data)
    }
}

fn train(arguments: &TrainArguments) -> Result<String, Box<dyn std::error::Error>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupt);
    // A second one ends the program.
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("saving; once more to leave at once");
    })?;
    let run = match (&arguments.resume, &arguments.config) {
        (Some(folder), _) => Run::open(folder, &[], false)?,
        (None, Some(config)) => Run::create(Settings::load(config, &arguments.overrides)?)?,
        (None, None) => return Err("give a configuration, or --resume RUN".into()),
    };
    Ok(run.train(&interrupt)?)
}
