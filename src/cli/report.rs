//! `sinew report`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use sinew_episodes::journal;

use super::{Format, fail};
use crate::report::{self, ReportError};
use crate::summary;

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// A run's folder (RECORDING/runs/NAME), or a journal
    episode: PathBuf,
    /// The file to write; without it, report.html beside the journal
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Text for people, or one JSON object as the last line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Makes the report of a run again, or that of a run which was killed before it could. What only a
/// summary knows is taken from `summary.json` beside the journal, or from the journal's own.
pub(super) fn report(arguments: &ReportArguments) -> u8 {
    let format = arguments.format;
    let journal = match journal::locate(&arguments.episode) {
        Ok(journal) => journal,
        Err(error) => return fail(&error, 2, format),
    };
    let summary = std::fs::read(journal.with_file_name(summary::FILE_NAME))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(Value::Null);
    let beside = || journal.with_file_name(report::FILE_NAME);
    let output = arguments.output.clone().unwrap_or_else(beside);
    match report::write(&journal, &summary, &output) {
        Ok(()) => {}
        Err(error @ ReportError::Journal(_)) => return fail(&error, 2, format),
        Err(error @ ReportError::Write { .. }) => return fail(&error, 13, format),
    }
    let shown = output.display().to_string();
    match format {
        Format::Text => say!("{shown}"),
        Format::Json => {
            say!("{}", json!({ "exit": { "cause": "ok", "code": 0 }, "report": shown }));
        }
    }
    0
}
