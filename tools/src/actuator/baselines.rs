//! What a network is compared with, made once with it and kept in its folder.

use super::dataset::Dataset;
use super::mlp;
use super::physics::{self, Physics};
use super::run::{RunError, pretty, read_json, write};
use super::settings::Settings;
use super::splits::Windows;
use serde::{Deserialize, Serialize};
use sinew_models::actuators::{Bundle, Network, PdPart};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the file; it is written last.
const BASELINES: &str = "baselines.json";
/// Folder of the dense network, as the runtime loads it.
const MLP: &str = "mlp";

/// Fitted PD control and the dense network.
pub struct Baselines {
    pub fitted: PdPart,
    pub mlp: Option<Bundle>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    fitted_pd: PdPart,
}

impl Baselines {
    /// Learns from the training windows and leaves the files, unless they are there.
    pub fn make(
        folder: &Path,
        settings: &Settings,
        dataset: &Dataset,
        windows: &Windows,
    ) -> Result<(), RunError> {
        let path = folder.join(BASELINES);
        if path.exists() {
            return Ok(());
        }
        if settings.baselines.mlp {
            let to = folder.join(MLP);
            if to.exists() {
                std::fs::remove_dir_all(&to)
                    .map_err(|source| RunError::File { path: to.clone(), source })?;
            }
            let (spec, parameters) = mlp::train(settings, dataset, windows);
            let program = format!("sinew-tools {}", env!("CARGO_PKG_VERSION"));
            let provenance = BTreeMap::from([
                ("program".to_owned(), program),
                ("data_sha256".to_owned(), dataset.sha256()),
            ]);
            Bundle { network: Network::Mlp(spec, parameters), provenance }.write(&to)?;
        }
        let last = |window: &super::splits::Window| window.begin + windows.steps - 1;
        let sample = |window: &super::splits::Window| {
            let (series, last) = (&dataset.series[window.series], last(window));
            (physics::input(series, last), series.torque[last])
        };
        let samples: Vec<_> = windows.train.iter().map(sample).collect();
        let kept = Kept { fitted_pd: Physics::of(&settings.model).fitted(&samples) };
        let value = serde_json::to_value(kept)
            .map_err(|error| RunError::Content { path: path.clone(), reason: error.to_string() })?;
        write(&path, pretty(&value))
    }

    pub fn read(folder: &Path, settings: &Settings) -> Result<Self, RunError> {
        let kept: Kept = read_json(&folder.join(BASELINES))?;
        let mlp = settings.baselines.mlp.then(|| Bundle::read(&folder.join(MLP))).transpose()?;
        Ok(Self { fitted: kept.fitted_pd, mlp })
    }
}
