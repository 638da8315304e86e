//! A trained network as a folder that the runtime loads.

use super::network;
use super::run::{Run, RunError};
use sinew_models::actuators::ActuatorFileError;
use std::path::Path;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    File(#[from] ActuatorFileError),
}

/// Writes the best network of a run, or of a fold by the group that it left out.
pub fn export(run: &Run, fold: Option<&str>, out: &Path) -> Result<String, ExportError> {
    let fold = run.fold(fold)?;
    let (windows, features) = run.windows(&fold);
    let best = run.best(&fold)?;
    let rate_hz = run.dataset.rate_hz;
    let mut bundle =
        network::bundle(&run.settings.model, features.normalization, rate_hz, &best.parameters);
    let mut say = |key: &str, value: String| bundle.provenance.insert(key.to_owned(), value);
    say("program", format!("sinew-tools {}", env!("CARGO_PKG_VERSION")));
    say("run", run.folder.display().to_string());
    say("data_sha256", run.dataset.sha256());
    say("date", time::OffsetDateTime::now_utc().date().to_string());
    say("window_steps", windows.steps.to_string());
    say("epoch", (best.progress.best_epoch + 1).to_string());
    say("split", windows.method.to_owned());
    if let Some(rmse) = best.progress.best_rmse {
        say("validation_rmse_nm", rmse.to_string());
    }
    if let Some(id) = &fold.id {
        say("left_out", id.clone());
    }
    if let Some(leak) = windows.leak {
        say("leak", leak.to_owned());
    }
    let sha256 = bundle.write(out)?;
    Ok(format!("{}: {rate_hz} Hz, weights sha256 {sha256}", out.display()))
}
