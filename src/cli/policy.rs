//! `sinew policy`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sinew_models::{DiffusionOptions, LoadOptions, Scheduler, golden};

use super::{Format, fail};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyVerb {
    /// Print what a checkpoint is and needs
    Info(InfoArguments),
    /// Run a checkpoint on recorded inputs and compare its outputs, tensor by tensor
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct InfoArguments {
    /// The checkpoint folder (LeRobot's pretrained_model)
    folder: PathBuf,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The checkpoint folder
    folder: PathBuf,
    /// Safetensors file with in.raw.* and out.* tensors
    #[arg(long, value_name = "FILE")]
    golden: PathBuf,
    /// Sample in this way instead of the checkpoint's own (Diffusion Policy)
    #[arg(long, value_enum)]
    scheduler: Option<SchedulerName>,
    /// Sample in this many steps instead of the checkpoint's own number (Diffusion Policy)
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Also print intermediate tensors (mid.*); they do not decide
    #[arg(long)]
    verbose: bool,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchedulerName {
    Ddpm,
    Ddim,
}

impl From<SchedulerName> for Scheduler {
    fn from(name: SchedulerName) -> Self {
        match name {
            SchedulerName::Ddpm => Self::Ddpm,
            SchedulerName::Ddim => Self::Ddim,
        }
    }
}

pub(super) fn policy(verb: &PolicyVerb) -> u8 {
    match verb {
        PolicyVerb::Info(arguments) => info(arguments),
        PolicyVerb::Check(arguments) => check(arguments),
    }
}

fn info(arguments: &InfoArguments) -> u8 {
    let policy = match sinew_models::load(&arguments.folder, &LoadOptions::default()) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, 11, arguments.format),
    };
    match arguments.format {
        Format::Text => say!("{}", policy.info()),
        // Plain numbers and strings: serialising cannot fail.
        Format::Json => say!("{}", serde_json::to_string(policy.info()).unwrap_or_default()),
    }
    0
}

fn check(arguments: &CheckArguments) -> u8 {
    let diffusion = DiffusionOptions {
        scheduler: arguments.scheduler.map(Scheduler::from),
        steps: arguments.steps,
        ..DiffusionOptions::default()
    };
    let options = LoadOptions { diffusion, ..LoadOptions::default() };
    let mut policy = match sinew_models::load(&arguments.folder, &options) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, 11, arguments.format),
    };
    let report = match golden::check(policy.as_mut(), &arguments.golden) {
        Ok(report) => report,
        Err(error) => return fail(&error, 2, arguments.format),
    };
    let shown =
        report.comparisons.iter().filter(|comparison| comparison.decides || arguments.verbose);
    match arguments.format {
        Format::Text => {
            shown.for_each(|comparison| say!("{comparison}"));
            let verdict = if report.passed() { "every output is" } else { "NOT every output is" };
            say!("{verdict} within tolerance ({} observations)", report.steps);
        }
        Format::Json => say!("{}", serde_json::to_string(&report).unwrap_or_default()),
    }
    u8::from(!report.passed())
}
