//! The report of a run: one HTML file that needs nothing beside it.
//!
//! Everything is made from the run's journal and, where there is one, its summary. Series are
//! reduced to the least and the greatest value of equal stretches, so that the file of an hour
//! stays small and no spike is lost; tables are from every cycle.

mod data;
mod envelope;
mod figures;
mod filmstrip;
mod histogram;
mod page;
mod spread;
mod survey;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sinew_episodes::journal::ReadError;

/// Name of the report in a run's folder.
pub const FILE_NAME: &str = "report.html";

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The journal cannot be read.
    #[error("cannot make a report: {0}")]
    Journal(#[from] ReadError),
    /// The file cannot be written.
    #[error("cannot write the report {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Writes the report of a run to `out`, whole or not at all.
///
/// `summary` is the JSON of the run's summary. With [`serde_json::Value::Null`] the journal's
/// own summary record is used; where it has none (a killed run), what only the summary knows is
/// shown as unknown. A journal that ends in the middle of a record, or has no cycles, has a
/// report too.
pub fn write(journal: &Path, summary: &serde_json::Value, out: &Path) -> Result<(), ReportError> {
    let survey = survey::survey(journal)?;
    let summary = if summary.is_null() { &survey.summary } else { summary };
    let html = page::html(&survey, summary);
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = out.with_file_name(name);
    let result = replace(&part, out, html.as_bytes());
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    result.map_err(|source| ReportError::Write { path: out.to_owned(), source })
}

fn replace(part: &Path, out: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(part, out)
}
