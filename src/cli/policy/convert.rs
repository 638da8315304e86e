//! `sinew policy convert`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sinew_models::original::{self, Camera, Conversion, ConvertError};
use sinew_models::{Colors, LoadOptions};

use crate::cli::{Format, fail};

#[derive(Debug, Args)]
pub(crate) struct ConvertArguments {
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
    /// Actions in a chunk (chunk_size of the training), which no tensor of a Diffusion policy tells
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
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

pub(super) fn convert(arguments: &ConvertArguments) -> u8 {
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
        chunk: arguments.chunk,
    };
    let notes = match original::convert(&conversion, &arguments.out) {
        Ok(notes) => notes,
        Err(error) => return fail(&error, code_of(&error), arguments.format),
    };
    let policy = match sinew_models::load(&arguments.out, &LoadOptions::default()) {
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
        | ConvertError::NoPlace { .. }
        | ConvertError::NoChunk { .. }
        | ConvertError::Actions { .. }
        | ConvertError::Exists { .. } => 2,
        ConvertError::Write { .. } | ConvertError::Layout { .. } => 13,
        _ => 11,
    }
}
