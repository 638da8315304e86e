//! A trained network as a folder that the runtime loads.

use super::network;
use super::run::RunError;
use super::run_folder::RunFolder;
use sinew_models::actuators::Bundle;
use std::path::Path;

/// Writes the best network of a run, or of a fold by the group that it left out. Everything is taken
/// from the run's folder: the recordings may be elsewhere by now.
pub fn export(run: &RunFolder, fold: Option<&str>, out: &Path) -> Result<String, RunError> {
    let fold = run.fold(fold)?;
    let split = run.split(&fold)?;
    let best = run.best(&fold)?;
    let (model, rate_hz) = (&run.settings.model, run.rate_hz);
    let mut bundle = network::bundle(model, split.normalization, rate_hz, &best.parameters);
    let mut say = |key: &str, value: String| bundle.provenance.insert(key.to_owned(), value);
    say("program", format!("sinew-tools {}", env!("CARGO_PKG_VERSION")));
    say("run", run.folder.display().to_string());
    say("data_sha256", run.data_sha256.clone());
    say("date", time::OffsetDateTime::now_utc().date().to_string());
    say(Bundle::WINDOW_STEPS, split.steps.to_string());
    say("epoch", (best.progress.best_epoch + 1).to_string());
    say("split", split.method);
    if let Some(rmse) = best.progress.best_rmse {
        say("validation_rmse_nm", rmse.to_string());
    }
    if let Some(id) = &fold.id {
        say("left_out", id.clone());
    }
    if let Some(leak) = split.leak {
        say("leak", leak);
    }
    let sha256 = bundle.write(out)?;
    Ok(format!("{}: {rate_hz} Hz, weights sha256 {sha256}", out.display()))
}
