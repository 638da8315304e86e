//! Bringing a recording directory back in order after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::convert::{self, ConvertError, EpisodeSummary, INFO_KEY, RUN_COLUMN, RUN_KEY, Watch};
use super::dataset::{self, Dataset, Marker, OpenError, State};
use super::info::{CHUNK_SIZE, Info, InfoError};
use super::statistics::{NAMES, Statistics};
use super::table::{Table, TableError};
use crate::files::{self, FileError, PART, failed};
use crate::journal::{self, Reader};

/// Why a directory could not be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read or written.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a repair found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RepairReport {
    /// Unfinished files that were removed.
    pub removed: Vec<PathBuf>,
    /// Episodes whose files were whole but not in `info.json` yet; now they are.
    pub completed: u64,
    /// Files of half-written episodes, removed because the run's journal is there.
    pub rolled_back: Vec<PathBuf>,
    /// Files of half-written episodes without a journal, moved to `orphans`.
    pub set_aside: Vec<PathBuf>,
    /// Whether tasks, statistics and `info.json` were made again from the episodes.
    pub rewritten: bool,
    /// Runs that had no episode.
    pub runs: Vec<RunRepair>,
}

/// A run that had no episode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRepair {
    /// The run's folder name.
    pub run: String,
    /// What became of it.
    pub outcome: RunOutcome,
}

/// What became of a run without an episode.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RunOutcome {
    /// It is an episode now.
    Converted {
        /// The episode.
        episode: EpisodeSummary,
    },
    /// It cannot become one. The journal is kept and not tried again.
    NotConvertible {
        /// Why.
        reason: String,
    },
    /// It failed this time. The next repair tries again.
    Failed {
        /// Why.
        reason: String,
    },
}

impl RepairReport {
    /// Whether everything was in order.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Largest time lost by a run that was recovered, in ms; see [`EpisodeSummary::lost_ms`].
    pub fn lost_ms(&self) -> Option<f64> {
        self.runs
            .iter()
            .filter_map(|run| match &run.outcome {
                RunOutcome::Converted { episode } => episode.lost_ms,
                _ => None,
            })
            .reduce(f64::max)
    }
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for path in &self.removed {
            lines.push(format!("removed the unfinished file {}", path.display()));
        }
        if self.completed > 0 {
            lines.push(format!(
                "completed {} episode(s) that were written but not counted",
                self.completed
            ));
        }
        for path in &self.rolled_back {
            lines.push(format!("removed {} of a half-written episode", path.display()));
        }
        for path in &self.set_aside {
            lines.push(format!("moved {}, which belongs to no run, to orphans", path.display()));
        }
        if self.rewritten {
            lines.push("made tasks, statistics and info.json again from the episodes".to_owned());
        }
        for RunRepair { run, outcome } in &self.runs {
            lines.push(match outcome {
                RunOutcome::Converted { episode } => {
                    let lost = episode.lost_ms.filter(|lost| *lost > 0.0);
                    let lost = lost.map_or(String::new(), |lost| {
                        format!(", about {lost:.0} ms at its journal's end unreadable")
                    });
                    format!(
                        "run {run} became episode {} with {} frames ({:.2} s{lost})",
                        episode.episode, episode.frames, episode.duration_s
                    )
                }
                RunOutcome::NotConvertible { reason } => {
                    format!("run {run} has no episode, its journal is kept: {reason}")
                }
                RunOutcome::Failed { reason } => {
                    format!("run {run} is still to be converted: {reason}")
                }
            });
        }
        if lines.is_empty() {
            lines.push("nothing to repair".to_owned());
        }
        f.write_str(&lines.join("\n"))
    }
}

/// Opens a recording directory and brings it in order; see [`Dataset::repair`].
pub fn repair(root: &Path) -> Result<RepairReport, RepairError> {
    Dataset::open(root)?.repair()
}

/// Converts one journal into the dataset at `root`; see [`Dataset::convert`].
pub fn convert(journal: &Path, root: &Path) -> Result<EpisodeSummary, RepairError> {
    Ok(Dataset::open(root)?.convert(journal)?)
}

impl Dataset {
    /// Completes or rolls back what a crash left, then converts every run that has no episode.
    /// Doing it again does nothing. Earlier episodes are never touched.
    pub fn repair(&mut self) -> Result<RepairReport, RepairError> {
        self.repair_watched(&mut |_| ControlFlow::Continue(()))
    }

    /// Like [`repair`](Self::repair), with somebody who hears how far each conversion is and may
    /// break it off. Nothing more is converted then.
    pub fn repair_watched(&mut self, watch: &mut Watch<'_>) -> Result<RepairReport, RepairError> {
        let mut report = self.recover()?;
        for folder in dataset::runs(&self.root)? {
            if dataset::read_marker(&folder)?.is_some() {
                continue;
            }
            let converted = self.convert_watched(&folder.join(journal::FILE_NAME), watch);
            let interrupted = matches!(converted, Err(ConvertError::Interrupted));
            let outcome = match converted {
                Ok(episode) => RunOutcome::Converted { episode },
                Err(error) if error.is_permanent() => {
                    let reason = error.to_string();
                    dataset::write_marker(
                        &folder,
                        &Marker::NotConvertible { reason: reason.clone() },
                    )?;
                    RunOutcome::NotConvertible { reason }
                }
                Err(error) => RunOutcome::Failed { reason: error.to_string() },
            };
            let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            report.runs.push(RunRepair { run, outcome });
            if interrupted {
                break;
            }
        }
        Ok(report)
    }

    /// Brings the dataset's own files in order, without converting anything.
    pub(super) fn recover(&mut self) -> Result<RepairReport, ConvertError> {
        let root = self.root.clone();
        let mut report = RepairReport::default();
        for folder in ["data", "meta"] {
            remove_parts(&root.join(folder), &mut report.removed)?;
        }
        let info = match Info::read(&root) {
            Ok(info) => Some(info),
            Err(InfoError::Missing { .. } | InfoError::Json { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let counted = info.as_ref().map_or(0, |info| info.total_episodes);
        let data = episodes_in(&root.join("data"))?;
        let meta = episodes_in(&root.join("meta").join("episodes"))?;
        let expected: BTreeSet<u64> = (0..counted).collect();
        let kept = if data == expected && meta == expected {
            read_state(&root, info.as_ref())?
        } else {
            None
        };
        let state = match kept {
            Some(state) => {
                unmark_missing(&root, counted)?;
                state
            }
            None => {
                let whole = count_whole(&root, &data, &meta, counted)?;
                // Before any file goes: a run whose episode is rolled back must be converted
                // again, also after a crash in between.
                unmark_missing(&root, whole)?;
                roll_back(&root, whole, &data, &meta, &mut report)?;
                report.completed = whole - counted.min(whole);
                let state = rebuild(&root, whole, info)?;
                if state.info.is_some() {
                    dataset::write_derived(&root, &state)?;
                    report.rewritten = true;
                }
                state
            }
        };
        mark_converted(&root, state.info.as_ref().map_or(0, |info| info.total_episodes))?;
        self.state = Some(state);
        Ok(report)
    }
}

fn remove_parts(folder: &Path, removed: &mut Vec<PathBuf>) -> Result<(), FileError> {
    for path in files::entries(folder)? {
        if path.is_dir() {
            remove_parts(&path, removed)?;
        } else if path.extension().is_some_and(|extension| extension == PART) {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            removed.push(path);
        }
    }
    Ok(())
}

/// Episodes that have a file in a `chunk-*/file-*.parquet` tree.
fn episodes_in(folder: &Path) -> Result<BTreeSet<u64>, FileError> {
    let number = |path: &Path, prefix: &str| -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_suffix(".parquet").unwrap_or(name).strip_prefix(prefix)?.parse().ok()
    };
    let mut found = BTreeSet::new();
    for chunk in files::entries(folder)? {
        let Some(chunk_index) = number(&chunk, "chunk-") else { continue };
        for file in files::entries(&chunk)? {
            if file.extension().is_some_and(|extension| extension == "parquet")
                && let Some(file_index) = number(&file, "file-").filter(|&index| index < CHUNK_SIZE)
            {
                found.insert(chunk_index.saturating_mul(CHUNK_SIZE).saturating_add(file_index));
            }
        }
    }
    Ok(found)
}

/// What `meta/` says, or `None` if a part is missing or does not belong to `info`.
fn read_state(root: &Path, info: Option<&Info>) -> Result<Option<State>, ConvertError> {
    let Some(info) = info else {
        // Nothing recorded yet.
        return Ok(Some(State::default()));
    };
    let Ok(table) = Table::open(&dataset::tasks_path(root)) else { return Ok(None) };
    let Ok(tasks) = table.texts("task") else { return Ok(None) };
    let tasks: Vec<String> = tasks.into_iter().flatten().collect();
    let Some(text) = files::read_if_there(&dataset::stats_path(root))? else { return Ok(None) };
    let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) else { return Ok(None) };
    let mut statistics = BTreeMap::new();
    for feature in &info.features {
        let width = if feature.dtype == "image" { 3 } else { feature.size() };
        let entry = json.get(&feature.name).and_then(|entry| Statistics::from_json(entry, width));
        let Some(entry) = entry else { return Ok(None) };
        if feature.dtype != "image" && entry.count != info.total_frames {
            return Ok(None);
        }
        statistics.insert(feature.name.clone(), entry);
    }
    if tasks.len() as u64 != info.total_tasks {
        return Ok(None);
    }
    Ok(Some(State { info: Some(info.clone()), tasks, statistics }))
}

/// How many episodes, from the first on, have both files whole. Fewer than `counted` is damage.
fn count_whole(
    root: &Path,
    data: &BTreeSet<u64>,
    meta: &BTreeSet<u64>,
    counted: u64,
) -> Result<u64, ConvertError> {
    let mut whole = 0;
    loop {
        let there = data.contains(&whole) && meta.contains(&whole);
        let result = if there { check_pair(root, whole) } else { Ok(false) };
        match result {
            Ok(true) => whole += 1,
            // An episode that counts must not vanish without a word.
            Err(error) if whole < counted => return Err(error.into()),
            Ok(false) if whole < counted => {
                let path = if data.contains(&whole) {
                    convert::meta_path(root, whole)
                } else {
                    convert::data_path(root, whole)
                };
                return Err(ConvertError::EpisodeMissing { episode: whole, counted, path });
            }
            Ok(false) | Err(_) => return Ok(whole),
        }
    }
}

/// Whether an episode's two files are whole and agree.
fn check_pair(root: &Path, episode: u64) -> Result<bool, TableError> {
    let meta = Table::open(&convert::meta_path(root, episode))?;
    let data = Table::open(&convert::data_path(root, episode))?;
    let index = meta.integers("episode_index")?;
    let length = meta.integers("length")?;
    Ok(index == [episode as i64] && length == [data.rows() as i64])
}

/// Removes the markers of runs whose episode is not among the first `episodes`.
fn unmark_missing(root: &Path, episodes: u64) -> Result<(), FileError> {
    for folder in dataset::runs(root)? {
        if let Some(Marker::Converted { episode }) = dataset::read_marker(&folder)?
            && episode >= episodes
        {
            dataset::remove_marker(&folder)?;
        }
    }
    Ok(())
}

/// Removes the files of episodes that are not whole. Data without a readable journal is moved, not
/// removed.
fn roll_back(
    root: &Path,
    whole: u64,
    data: &BTreeSet<u64>,
    meta: &BTreeSet<u64>,
    report: &mut RepairReport,
) -> Result<(), ConvertError> {
    let mut folders = BTreeMap::new();
    for folder in dataset::runs(root)? {
        if let Ok(reader) = Reader::open(&folder.join(journal::FILE_NAME)) {
            folders.insert(reader.header().run.clone(), folder);
        }
    }
    for &episode in data.range(whole..) {
        let path = convert::data_path(root, episode);
        let run =
            Table::open(&path).ok().and_then(|table| table.metadata(RUN_KEY).map(str::to_owned));
        if let Some(folder) = run.and_then(|run| folders.get(&run)) {
            // Whatever the marker says: only a run without one is converted again.
            dataset::remove_marker(folder)?;
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            report.rolled_back.push(path);
        } else {
            let orphans = root.join("orphans");
            fs::create_dir_all(&orphans).map_err(failed("create the folder", &orphans))?;
            let mut target = orphans.join(format!("episode-{episode:06}.parquet"));
            let mut count = 1;
            while target.exists() {
                count += 1;
                target = orphans.join(format!("episode-{episode:06}-{count}.parquet"));
            }
            fs::rename(&path, &target).map_err(failed("move to orphans", &path))?;
            report.set_aside.push(path);
        }
    }
    for &episode in meta.range(whole..) {
        let path = convert::meta_path(root, episode);
        fs::remove_file(&path).map_err(failed("remove", &path))?;
        report.rolled_back.push(path);
    }
    Ok(())
}

/// Makes the derived state from the episodes' own files.
fn rebuild(root: &Path, whole: u64, info: Option<Info>) -> Result<State, ConvertError> {
    if whole == 0 {
        return Ok(State { info, ..State::default() });
    }
    let mut info = match info {
        Some(info) => info,
        None => {
            let path = convert::data_path(root, 0);
            let table = Table::open(&path)?;
            let json = table
                .metadata(INFO_KEY)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            Info::from_json(&json, &path)?
        }
    };
    let mut state = State::default();
    let mut frames = 0;
    for episode in 0..whole {
        let meta = Table::open(&convert::meta_path(root, episode))?;
        frames +=
            meta.integers("length")?.iter().filter_map(|&l| u64::try_from(l).ok()).sum::<u64>();
        for task in meta.texts("tasks")?.into_iter().flatten() {
            if !state.tasks.contains(&task) {
                state.tasks.push(task);
            }
        }
        for feature in &info.features {
            let read = |name: &str| -> Result<Vec<f64>, TableError> {
                let column = format!("stats/{}/{name}", feature.name);
                Ok(meta.numbers(&column)?.into_iter().flatten().collect())
            };
            let mut values: [Vec<f64>; 9] = Default::default();
            for (name, list) in NAMES.iter().zip(&mut values) {
                *list = read(name)?;
            }
            let count = read("count")?.first().copied().unwrap_or(0.0) as u64;
            let statistics = Statistics { values, count };
            let whole = state.statistics.entry(feature.name.clone());
            whole.and_modify(|all| all.merge(&statistics)).or_insert(statistics);
        }
    }
    info.total_episodes = whole;
    info.total_frames = frames;
    info.total_tasks = state.tasks.len() as u64;
    state.info = Some(info);
    Ok(state)
}

/// Marks the runs that are episodes already but were not marked before the crash.
fn mark_converted(root: &Path, episodes: u64) -> Result<(), ConvertError> {
    let mut unmarked = Vec::new();
    for folder in dataset::runs(root)? {
        if dataset::read_marker(&folder)?.is_none() {
            unmarked.push(folder);
        }
    }
    if unmarked.is_empty() || episodes == 0 {
        return Ok(());
    }
    let mut converted = BTreeMap::new();
    for episode in 0..episodes {
        let meta = Table::open(&convert::meta_path(root, episode))?;
        for run in meta.texts(RUN_COLUMN)?.into_iter().flatten() {
            converted.insert(run, episode);
        }
    }
    for folder in unmarked {
        // Unreadable journals are named when their conversion is tried.
        let Ok(reader) = Reader::open(&folder.join(journal::FILE_NAME)) else { continue };
        if let Some(&episode) = converted.get(&reader.header().run) {
            dataset::write_marker(&folder, &Marker::Converted { episode })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lerobot::convert::Place;

    #[test]
    fn episodes_have_their_own_files() {
        assert_eq!(Place::indices(999), (0, 999));
        assert_eq!(Place::indices(1000), (1, 0));
        let path = convert::data_path(Path::new("r"), 1002);
        assert_eq!(path, Path::new("r/data/chunk-001/file-002.parquet"));
    }
}
