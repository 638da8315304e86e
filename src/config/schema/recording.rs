//! Where and how episodes are kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[recording]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingConfig {
    /// The dataset's folder: it grows by one episode a run.
    pub directory: PathBuf,
    /// Rate of dataset frames, in Hz; at most the loop's rate. Default: the policy's rate.
    #[serde(default)]
    pub rate_hz: Option<f64>,
    /// Where the samples of an actuator on a test rig are written as CSV.
    #[serde(default)]
    pub csv: Option<PathBuf>,
    /// How many seconds of cycles the ring between loop and recorder holds.
    #[serde(default = "ring_s")]
    pub ring_s: f64,
}

fn ring_s() -> f64 {
    4.0
}
