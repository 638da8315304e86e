//! `sinew policy`

mod bench;
mod convert;
mod features;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sinew_models::{
    Device, DiffusionOptions, Isa, LoadError, LoadOptions, Policy, Precision, Scheduler, golden,
};

use super::{Format, fail};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyVerb {
    /// Print what a checkpoint is and needs
    Info(InfoArguments),
    /// Measure what an inference costs on this computer
    Bench(bench::BenchArguments),
    /// Run a checkpoint on recorded inputs and compare its outputs, tensor by tensor
    Check(CheckArguments),
    /// Convert a checkpoint of the original ACT programs (policy_best.ckpt) to LeRobot's layout
    Convert(convert::ConvertArguments),
    /// Draw what the image backbone answers to, over an image
    Features(features::FeaturesArguments),
}

#[derive(Debug, Args)]
pub(super) struct InfoArguments {
    /// The checkpoint folder (LeRobot's pretrained_model)
    folder: PathBuf,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How to compute.
#[derive(Debug, Args)]
struct EngineArguments {
    /// What computes the network: the engine; Burn on a graphics card (needs a build with --features
    /// wgpu); Burn's ndarray backend (--features ndarray)
    #[arg(long, value_enum, default_value_t)]
    device: DeviceName,
    /// Threads that an inference runs on; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Bytes of a stored weight: four, or two (a little less exact, and faster for large networks)
    #[arg(long, value_enum, default_value_t)]
    precision: PrecisionName,
    /// Compute with these instructions instead of the best of this computer
    #[arg(long, value_enum)]
    instructions: Option<IsaName>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DeviceName {
    #[default]
    Cpu,
    Gpu,
    Ndarray,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PrecisionName {
    #[default]
    F32,
    Bf16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IsaName {
    Avx512,
    Avx2,
    Portable,
}

/// Why options do not go together.
#[derive(Debug, thiserror::Error)]
enum OptionError {
    #[error(
        "--instructions choose kernels of the engine: with --device gpu or ndarray they have no effect. \
         Leave them out"
    )]
    Instructions,
    #[error(
        "--scheduler and --steps are for a Diffusion Policy, the checkpoint is of type {kind}. Leave \
         them out"
    )]
    Sampling { kind: &'static str },
}

impl EngineArguments {
    fn check(&self) -> Result<(), OptionError> {
        match (self.device, self.instructions) {
            (DeviceName::Gpu | DeviceName::Ndarray, Some(_)) => Err(OptionError::Instructions),
            _ => Ok(()),
        }
    }

    fn options(&self) -> LoadOptions {
        LoadOptions {
            device: match self.device {
                DeviceName::Cpu => Device::Cpu,
                DeviceName::Gpu => Device::Gpu,
                DeviceName::Ndarray => Device::Ndarray,
            },
            threads: self.threads.into(),
            precision: match self.precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Bf16 => Precision::Bf16,
            },
            isa: match self.instructions {
                None => Isa::best(),
                Some(IsaName::Avx512) => Isa::Avx512,
                Some(IsaName::Avx2) => Isa::Avx2,
                Some(IsaName::Portable) => Isa::Portable,
            },
            ..LoadOptions::default()
        }
    }
}

/// How a Diffusion Policy samples.
#[derive(Debug, Args)]
struct SamplingArguments {
    /// Sample in this way instead of the checkpoint's own (Diffusion Policy)
    #[arg(long, value_enum)]
    scheduler: Option<SchedulerName>,
    /// Sample in this many steps instead of the checkpoint's own number (Diffusion Policy)
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
}

impl SamplingArguments {
    fn check(&self, policy: &mut dyn Policy) -> Result<(), OptionError> {
        let said = self.scheduler.is_some() || self.steps.is_some();
        if said && policy.as_diffusion().is_none() {
            return Err(OptionError::Sampling { kind: policy.description().kind });
        }
        Ok(())
    }

    fn options(&self) -> DiffusionOptions {
        DiffusionOptions {
            scheduler: self.scheduler.map(Scheduler::from),
            steps: self.steps,
            ..DiffusionOptions::default()
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The checkpoint folder
    folder: PathBuf,
    #[command(flatten)]
    engine: EngineArguments,
    /// Safetensors file with in.raw.* and out.* tensors
    #[arg(long, value_name = "FILE")]
    golden: PathBuf,
    #[command(flatten)]
    sampling: SamplingArguments,
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
        PolicyVerb::Bench(arguments) => bench::bench(arguments),
        PolicyVerb::Check(arguments) => check(arguments),
        PolicyVerb::Convert(arguments) => convert::convert(arguments),
        PolicyVerb::Features(arguments) => features::features(arguments),
    }
}

fn info(arguments: &InfoArguments) -> u8 {
    let policy = match sinew_models::load(&arguments.folder, &LoadOptions::default()) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, code_of(&error), arguments.format),
    };
    match arguments.format {
        Format::Text => say!("{}", policy.info()),
        // Plain numbers and strings: serialising cannot fail.
        Format::Json => say!("{}", serde_json::to_string(policy.info()).unwrap_or_default()),
    }
    0
}

fn check(arguments: &CheckArguments) -> u8 {
    if let Err(error) = arguments.engine.check() {
        return fail(&error, 2, arguments.format);
    }
    let diffusion = arguments.sampling.options();
    let options = LoadOptions { diffusion, ..arguments.engine.options() };
    let mut policy = match sinew_models::load(&arguments.folder, &options) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, code_of(&error), arguments.format),
    };
    if let Err(error) = arguments.sampling.check(policy.as_mut()) {
        return fail(&error, 2, arguments.format);
    }
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

/// A wrong option, a thread that is not to be had, or a checkpoint that is refused.
fn code_of(error: &LoadError) -> u8 {
    match error {
        LoadError::Instructions { .. } | LoadError::Device { .. } => 2,
        LoadError::Threads { .. } => 14,
        _ => 11,
    }
}
