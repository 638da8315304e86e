//! A recording directory: a dataset that grows by an episode per run, and the runs beside it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::convert::{self, ConvertError, EpisodeSummary, Place, Watch};
use super::features;
use super::info::{Info, InfoError};
use super::statistics::Statistics;
use super::table::{Field, Kind, TableError, TableWriter, Values};
use crate::files::{self, FileError, failed};
use crate::journal::{self, Header, Reader};

/// Held while a process writes to the directory. It also marks the directory as sinew's.
const LOCK: &str = ".sinew.lock";

/// What became of a run, in the run's folder.
const MARKER: &str = "episode.json";

/// Why a recording directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something else is in the directory.
    #[error(
        "{} is neither empty nor a recording directory (it contains {entry}): choose another directory",
        root.display()
    )]
    Foreign {
        /// The directory.
        root: PathBuf,
        /// One of its entries.
        entry: String,
    },
    /// A dataset of another program.
    #[error(
        "{} is a dataset that sinew did not record: choose another directory, so that it stays as it is",
        root.display()
    )]
    NotOurs {
        /// The directory.
        root: PathBuf,
    },
    /// Another run records here.
    #[error("{} is being recorded to by {holder}: wait for it, or choose another directory", root.display())]
    Locked {
        /// The directory.
        root: PathBuf,
        /// Who holds the lock.
        holder: String,
    },
}

/// A recording directory, locked for this process until dropped.
#[derive(Debug)]
pub struct Dataset {
    pub(super) root: PathBuf,
    pub(super) state: Option<State>,
    /// Unlocked by the system when the file is closed, however the process ends.
    _lock: File,
}

/// What `meta/` says, kept so that a conversion need not read it again.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// `None` before the first episode.
    pub info: Option<Info>,
    pub tasks: Vec<String>,
    pub statistics: BTreeMap<String, Statistics>,
}

/// Content of a run's marker file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Marker {
    Converted { episode: u64 },
    NotConvertible { reason: String },
}

impl Dataset {
    /// Opens a recording directory, or makes one of a missing or empty directory, and locks it.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(root).map_err(failed("create the directory", root))?;
        check_ownership(root)?;
        let path = root.join(LOCK);
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    text => text.to_owned(),
                };
                return Err(OpenError::Locked { root: root.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source).into()),
        }
        lock.set_len(0).map_err(failed("write", &path))?;
        lock.write_all(format!("process {}\n", std::process::id()).as_bytes())
            .map_err(failed("write", &path))?;
        Ok(Self { root: root.to_owned(), state: None, _lock: lock })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a run's folder `runs/NAME`, or `runs/NAME-2` and so on if it exists, and returns it.
    /// The run's journal belongs there as [`journal::FILE_NAME`].
    pub fn create_run(&self, name: &str) -> Result<PathBuf, FileError> {
        let runs = self.root.join("runs");
        fs::create_dir_all(&runs).map_err(failed("create the folder", &runs))?;
        let mut path = runs.join(name);
        let mut count = 1;
        loop {
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    count += 1;
                    path = runs.join(format!("{name}-{count}"));
                }
                Err(error) => return Err(failed("create the folder", &path)(error)),
            }
        }
    }

    /// Whether a run with this header could be appended. To be asked before the run. Repairs what
    /// needs it; [`check`] looks and touches nothing.
    pub fn check(&mut self, header: &Header) -> Result<(), ConvertError> {
        let new = features::info_of(header)?;
        self.compare(&new)
    }

    fn compare(&mut self, new: &Info) -> Result<(), ConvertError> {
        let root = self.root.clone();
        let state = self.recovered()?;
        state.info.as_ref().map_or(Ok(()), |existing| compare(&root, existing, new))
    }

    /// Appends the run in a journal as an episode.
    ///
    /// The order of writing makes a crash at any point harmless: data, metadata row, tasks,
    /// statistics, and last `info.json`, which makes the episode count.
    pub fn convert(&mut self, journal: &Path) -> Result<EpisodeSummary, ConvertError> {
        self.convert_watched(journal, &mut |_| ControlFlow::Continue(()))
    }

    /// Like [`convert`](Self::convert), with somebody who hears how far it is and may break it
    /// off. What is broken off is converted by a later [`repair`](Self::repair).
    pub fn convert_watched(
        &mut self,
        journal: &Path,
        watch: &mut Watch<'_>,
    ) -> Result<EpisodeSummary, ConvertError> {
        let header = Reader::open(journal)?.header().clone();
        let new = features::info_of(&header)?;
        let folder = self.run_folder(journal);
        // Removes markers of episodes that are gone, so that one that is left holds.
        self.recovered()?;
        if let Some(Marker::Converted { episode }) =
            folder.as_deref().map(read_marker).transpose()?.flatten()
        {
            let (root, run) = (self.root.clone(), header.run);
            return Err(ConvertError::Converted { root, run, episode });
        }
        self.compare(&new)?;
        let root = self.root.clone();
        let mut state = self.recovered()?.clone();
        let mut info = state.info.take().unwrap_or(new);
        let task = state.tasks.iter().position(|task| *task == header.task);
        let task_index = task.unwrap_or(state.tasks.len()) as u64;
        if task.is_none() {
            state.tasks.push(header.task.clone());
        }
        let place =
            Place { episode: info.total_episodes, first_frame: info.total_frames, task_index };
        // Until all is written, what the files say counts, not what is in memory.
        self.state = None;
        let written = convert::write_episode(&root, journal, &info, &place, watch)?;
        info.total_episodes += 1;
        info.total_frames += written.summary.frames;
        info.total_tasks = state.tasks.len() as u64;
        for (name, statistics) in &written.statistics {
            let whole = state.statistics.entry(name.clone());
            whole.and_modify(|all| all.merge(statistics)).or_insert_with(|| statistics.clone());
        }
        state.info = Some(info);
        write_derived(&root, &state)?;
        self.state = Some(state);
        if let Some(folder) = folder {
            write_marker(&folder, &Marker::Converted { episode: written.summary.episode })?;
        }
        Ok(written.summary)
    }

    /// The run's folder, if the journal is in this directory's `runs`.
    fn run_folder(&self, journal: &Path) -> Option<PathBuf> {
        let folder = journal.parent()?;
        let here = fs::canonicalize(folder.parent()?).ok()?;
        let runs = fs::canonicalize(self.root.join("runs")).ok()?;
        (here == runs).then(|| folder.to_owned())
    }

    pub(super) fn recovered(&mut self) -> Result<&State, ConvertError> {
        if self.state.is_none() {
            self.recover()?;
        }
        Ok(self.state.get_or_insert_default())
    }
}

/// Whether a run with this header could be appended to the dataset at `root`, as far as its
/// `info.json` tells. Writes, repairs and locks nothing; the folder need not exist.
///
/// # Errors
/// [`ConvertError`] when an episode cannot be made of such a run, or not in this dataset.
pub fn check(root: &Path, header: &Header) -> Result<(), ConvertError> {
    let new = features::info_of(header)?;
    match Info::read(root) {
        Ok(existing) => compare(root, &existing, &new),
        // No episode yet, or an info.json that the next run makes again.
        Err(InfoError::Missing { .. } | InfoError::Json { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn compare(root: &Path, existing: &Info, new: &Info) -> Result<(), ConvertError> {
    features::difference(existing, new).map_or(Ok(()), |difference| {
        Err(ConvertError::Mismatch { root: root.to_owned(), difference })
    })
}

/// Whether `root` is a recording directory, or may become one: missing, or empty but for runs.
/// Writes nothing.
///
/// # Errors
/// [`OpenError::Foreign`] or [`OpenError::NotOurs`] when it is something else.
pub fn check_ownership(root: &Path) -> Result<(), OpenError> {
    match Info::read(root) {
        Ok(info) if info.extra.is_some() => return Ok(()),
        Ok(_) | Err(InfoError::Version { .. } | InfoError::Field { .. }) => {
            return Err(OpenError::NotOurs { root: root.to_owned() });
        }
        Err(InfoError::File(error)) => return Err(error.into()),
        // Missing or damaged: the lock file tells whose directory it is.
        Err(InfoError::Missing { .. } | InfoError::Json { .. }) => {}
    }
    if root.join(LOCK).exists() {
        return Ok(());
    }
    for path in files::entries(root)? {
        let entry = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry != "runs" {
            return Err(OpenError::Foreign { root: root.to_owned(), entry });
        }
    }
    Ok(())
}

pub(super) fn read_marker(folder: &Path) -> Result<Option<Marker>, FileError> {
    let text = files::read_if_there(&folder.join(MARKER))?;
    // A marker that does not parse is as good as none: the files decide.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

pub(super) fn write_marker(folder: &Path, marker: &Marker) -> Result<(), FileError> {
    let text = serde_json::to_string_pretty(marker).unwrap_or_default();
    files::replace(&folder.join(MARKER), text.as_bytes())
}

pub(super) fn remove_marker(folder: &Path) -> Result<(), FileError> {
    files::remove_if_there(&folder.join(MARKER))
}

/// Runs that have a journal, in name order: their folders.
pub(super) fn runs(root: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut folders = files::entries(&root.join("runs"))?;
    folders.retain(|folder| folder.join(journal::FILE_NAME).is_file());
    Ok(folders)
}

pub(super) fn tasks_path(root: &Path) -> PathBuf {
    root.join("meta").join("tasks.parquet")
}

pub(super) fn stats_path(root: &Path) -> PathBuf {
    root.join("meta").join("stats.json")
}

/// Writes tasks, statistics and, last, `info.json`.
pub(super) fn write_derived(root: &Path, state: &State) -> Result<(), TableError> {
    let Some(info) = &state.info else { return Ok(()) };
    let fields =
        vec![Field::new("task_index", Kind::Int64, &[]), Field::new("task", Kind::Text, &[])];
    let metadata = vec![("pandas".to_owned(), pandas_metadata())];
    let mut tasks = TableWriter::create(&tasks_path(root), fields, metadata)?;
    tasks.write_group(&[
        Values::Int64((0..state.tasks.len() as i64).collect()),
        Values::Text(state.tasks.clone()),
    ])?;
    tasks.finish()?;
    let mut statistics = Map::new();
    for feature in &info.features {
        if let Some(found) = state.statistics.get(&feature.name) {
            statistics.insert(feature.name.clone(), found.to_json(feature.dtype == "image"));
        }
    }
    files::replace(&stats_path(root), pretty(&Value::Object(statistics)).as_bytes())?;
    files::replace(&Info::path_in(root), pretty(&info.to_json()).as_bytes())?;
    Ok(())
}

fn pretty(value: &Value) -> String {
    // Writing a value to memory cannot fail; `{value:#}` gives the same text.
    format!("{value:#}\n")
}

/// Tells pandas that `task` is the index of the table.
fn pandas_metadata() -> String {
    let column = |name: &str, kind: &str, numpy: &str| {
        json!({
            "name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy,
            "metadata": null,
        })
    };
    json!({
        "index_columns": ["task"],
        "column_indexes": [{
            "name": null, "field_name": null, "pandas_type": "unicode", "numpy_type": "object",
            "metadata": { "encoding": "UTF-8" },
        }],
        "columns": [
            column("task_index", "int64", "int64"),
            column("task", "unicode", "object"),
        ],
        "creator": { "library": "sinew", "version": env!("CARGO_PKG_VERSION") },
        "pandas_version": "2.3.3",
    })
    .to_string()
}
