//! `sinew policy`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sinew_models::original::{self, Camera, Conversion, ConvertError};
use sinew_models::{ActPolicy, Colors, golden};

use super::{Format, fail};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyVerb {
    /// Print what a checkpoint is and needs
    Info(InfoArguments),
    /// Run a checkpoint on recorded inputs and compare its outputs, tensor by tensor
    Check(CheckArguments),
    /// Convert a checkpoint of the original ACT programs (policy_best.ckpt) to LeRobot's layout
    Convert(ConvertArguments),
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
    /// Also print intermediate tensors (mid.*); they do not decide
    #[arg(long)]
    verbose: bool,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ConvertArguments {
    /// The checkpoint of act, act-plus-plus or a fork, or the folder with its policy_best.ckpt
    from: PathBuf,
    /// The new folder; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The statistics, if not dataset_stats.pkl beside the checkpoint
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
    /// A camera and its image size, for example top=480x640; once for each, in the order of the
    /// training
    #[arg(long = "camera", value_name = "NAME=HxW", required = true)]
    cameras: Vec<Camera>,
    /// Attention heads, which no tensor tells; 8 in every published training
    #[arg(long)]
    heads: Option<usize>,
    /// Order of the colours that it was trained with; recordings of real robots are mostly bgr
    #[arg(long, value_enum, default_value_t)]
    colors: ColorsArgument,
    /// Name under which joint positions are delivered, if not observation.state
    #[arg(long, value_name = "NAME")]
    qpos: Option<String>,
    /// Actions to keep, from the front, where the last ones are a base's or padding
    #[arg(long, value_name = "N")]
    actions: Option<usize>,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Order of colours on the command line.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ColorsArgument {
    /// Red first, as in simulation
    #[default]
    Rgb,
    /// Blue first, as OpenCV delivers
    Bgr,
}

pub(super) fn policy(verb: &PolicyVerb) -> u8 {
    match verb {
        PolicyVerb::Info(arguments) => info(arguments),
        PolicyVerb::Check(arguments) => check(arguments),
        PolicyVerb::Convert(arguments) => convert(arguments),
    }
}

fn info(arguments: &InfoArguments) -> u8 {
    let policy = match ActPolicy::load(&arguments.folder) {
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
    let mut policy = match sinew_models::load(&arguments.folder) {
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

fn convert(arguments: &ConvertArguments) -> u8 {
    let conversion = Conversion {
        from: arguments.from.clone(),
        statistics: arguments.stats.clone(),
        cameras: arguments.cameras.clone(),
        heads: arguments.heads,
        colors: match arguments.colors {
            ColorsArgument::Rgb => Colors::Rgb,
            ColorsArgument::Bgr => Colors::Bgr,
        },
        qpos: arguments.qpos.clone(),
        actions: arguments.actions,
    };
    let notes = match original::convert(&conversion, &arguments.out) {
        Ok(notes) => notes,
        Err(error) => return fail(&error, code_of(&error), arguments.format),
    };
    let policy = match ActPolicy::load(&arguments.out) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, 11, arguments.format),
    };
    match arguments.format {
        Format::Text => {
            notes.iter().for_each(|note| say!("note          {note}"));
            say!("{}", policy.info());
        }
        Format::Json => {
            say!("{}", serde_json::json!({ "notes": notes, "policy": policy.info() }));
        }
    }
    0
}

/// What was asked for is wrong, the output cannot be written, or the checkpoint cannot be read.
fn code_of(error: &ConvertError) -> u8 {
    match error {
        ConvertError::Camera { .. }
        | ConvertError::CameraTwice { .. }
        | ConvertError::Cameras { .. }
        | ConvertError::Heads { .. }
        | ConvertError::Actions { .. }
        | ConvertError::Exists { .. } => 2,
        ConvertError::Write { .. } | ConvertError::Layout { .. } => 13,
        _ => 11,
    }
}
