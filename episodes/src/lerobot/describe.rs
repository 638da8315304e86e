//! What is in a dataset, in numbers.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalog::Episode;
use super::dataset::{self, Marker};
use super::info::Feature;
use super::reader::{Reader, ReaderError};

/// Description of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetInfo {
    /// The folder.
    pub path: PathBuf,
    /// Whether sinew recorded it.
    pub recorded_by_sinew: bool,
    /// Robot, if the dataset says so.
    pub robot_type: Option<String>,
    /// Frames per second.
    pub fps: f64,
    /// Frames of all episodes.
    pub frames: u64,
    /// `frames / fps`, in seconds.
    pub duration_s: f64,
    /// Tasks.
    pub tasks: Vec<String>,
    /// Features in file order.
    pub features: Vec<Feature>,
    /// Unit of each joint, if sinew recorded it.
    pub units: Option<serde_json::Value>,
    /// Episodes.
    pub episodes: Vec<Episode>,
    /// Runs beside the dataset that are no episode, with the reason if it is known.
    pub other_runs: Vec<OtherRun>,
}

/// A run without an episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherRun {
    /// Its folder's name.
    pub run: String,
    /// Why it cannot become one; `None` if it was not tried yet.
    pub reason: Option<String>,
}

/// Reads a dataset's metadata.
pub fn describe(root: &Path) -> Result<DatasetInfo, ReaderError> {
    let reader = Reader::open(root)?;
    let info = reader.info();
    let mut other_runs = Vec::new();
    for folder in dataset::runs(root)? {
        let reason = match dataset::read_marker(&folder)? {
            Some(Marker::Converted { .. }) => continue,
            Some(Marker::NotConvertible { reason }) => Some(reason),
            None => None,
        };
        let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        other_runs.push(OtherRun { run, reason });
    }
    Ok(DatasetInfo {
        path: root.to_owned(),
        recorded_by_sinew: info.extra.is_some(),
        robot_type: info.robot_type.clone(),
        fps: info.fps,
        frames: info.total_frames,
        duration_s: info.total_frames as f64 / info.fps,
        tasks: reader.tasks().to_vec(),
        features: info.features.clone(),
        units: info.extra.as_ref().and_then(|extra| extra.get("units").cloned()),
        episodes: reader.episodes().to_vec(),
        other_runs,
    })
}

impl fmt::Display for DatasetInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "dataset    {} (LeRobotDataset v3.0)", self.path.display())?;
        writeln!(f, "robot      {}", self.robot_type.as_deref().unwrap_or("not named"))?;
        writeln!(
            f,
            "length     {} episodes, {} frames at {} fps, {:.2} s",
            self.episodes.len(),
            self.frames,
            self.fps,
            self.duration_s
        )?;
        let width = self.features.iter().map(|feature| feature.name.len()).max().unwrap_or(0);
        for feature in &self.features {
            write!(f, "feature    {:width$}  {} {:?}", feature.name, feature.dtype, feature.shape)?;
            match feature.value_names() {
                Some(names) if !feature.is_visual() => writeln!(f, "  {}", names.join(", "))?,
                _ => writeln!(f)?,
            }
        }
        if let Some(serde_json::Value::Object(units)) = &self.units {
            let units: Vec<String> = units
                .iter()
                .map(|(joint, unit)| format!("{joint} [{}]", unit.as_str().unwrap_or("?")))
                .collect();
            writeln!(f, "units      {}", units.join(", "))?;
        }
        for episode in &self.episodes {
            write!(
                f,
                "episode    {:>4}  {} frames, {:.2} s, {}",
                episode.index,
                episode.length,
                episode.length as f64 / self.fps,
                episode.tasks.join("; ")
            )?;
            match &episode.run {
                Some(run) => writeln!(f, " (run {run})")?,
                None => writeln!(f)?,
            }
        }
        for run in &self.other_runs {
            let reason = run.reason.as_deref().unwrap_or("not converted yet");
            writeln!(f, "run        {} is no episode: {reason}", run.run)?;
        }
        write!(f, "written by {}", if self.recorded_by_sinew { "sinew" } else { "another program" })
    }
}
