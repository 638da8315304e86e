//! Tasks and episodes: the parts of a dataset's metadata that are tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::convert::RUN_COLUMN;
use super::info::Info;
use super::reader::ReaderError;
use super::table::Table;
use crate::files;

/// One episode of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// Its index.
    pub index: u64,
    /// Frames.
    pub length: u64,
    /// Index of its first frame in the dataset.
    pub from_index: u64,
    /// Its tasks.
    pub tasks: Vec<String>,
    /// The run it was made of, if sinew recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip)]
    pub(super) data_file: PathBuf,
    #[serde(skip)]
    pub(super) videos: BTreeMap<String, VideoPlace>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct VideoPlace {
    pub file: PathBuf,
    pub from_timestamp_s: f64,
}

pub(super) fn read_tasks(root: &Path) -> Result<Vec<String>, ReaderError> {
    let table = Table::open(&super::dataset::tasks_path(root))?;
    // pandas calls an index without a name so.
    let column = if table.has("task") { "task" } else { "__index_level_0__" };
    let texts: Vec<String> = table.texts(column)?.into_iter().flatten().collect();
    let mut pairs: Vec<(i64, String)> =
        table.integers("task_index")?.into_iter().zip(texts).collect();
    pairs.sort_by_key(|(index, _)| *index);
    for (expected, (found, _)) in pairs.iter().enumerate() {
        if *found != expected as i64 {
            return Err(ReaderError::Contradiction {
                root: root.to_owned(),
                what: format!("task_index of row {expected} in tasks.parquet"),
                found: found.to_string(),
                expected: expected.to_string(),
            });
        }
    }
    Ok(pairs.into_iter().map(|(_, task)| task).collect())
}

pub(super) fn read_episodes(root: &Path, info: &Info) -> Result<Vec<Episode>, ReaderError> {
    let mut episodes: Vec<Episode> = Vec::new();
    for chunk in files::entries(&root.join("meta").join("episodes"))? {
        for path in files::entries(&chunk)? {
            if path.extension().is_some_and(|extension| extension == "parquet") {
                read_episode_file(root, info, &path, &mut episodes)?;
            }
        }
    }
    Ok(episodes)
}

fn read_episode_file(
    root: &Path,
    info: &Info,
    path: &Path,
    episodes: &mut Vec<Episode>,
) -> Result<(), ReaderError> {
    let table = Table::open(path)?;
    let integers = |column: &str| -> Result<Vec<u64>, ReaderError> {
        let list = table.integers(column)?;
        list.into_iter()
            .map(|value| {
                u64::try_from(value).map_err(|_| ReaderError::Contradiction {
                    root: root.to_owned(),
                    what: format!("{column} in {}", path.display()),
                    found: value.to_string(),
                    expected: "a number from 0".to_owned(),
                })
            })
            .collect()
    };
    let template = |template: &str| ReaderError::Template {
        root: root.to_owned(),
        template: template.to_owned(),
    };
    let indices = integers("episode_index")?;
    let lengths = integers("length")?;
    let from = integers("dataset_from_index")?;
    let to = integers("dataset_to_index")?;
    let chunks = integers("data/chunk_index")?;
    let files = integers("data/file_index")?;
    let tasks = table.texts("tasks")?;
    let runs = if table.has(RUN_COLUMN) { Some(table.texts(RUN_COLUMN)?) } else { None };
    let mut videos: Vec<BTreeMap<String, VideoPlace>> = vec![BTreeMap::new(); indices.len()];
    for feature in info.features.iter().filter(|feature| feature.dtype == "video") {
        let key = &feature.name;
        let video_chunks = integers(&format!("videos/{key}/chunk_index"))?;
        let video_files = integers(&format!("videos/{key}/file_index"))?;
        let starts = table.numbers(&format!("videos/{key}/from_timestamp"))?;
        let rows = video_chunks.into_iter().zip(video_files).zip(starts).zip(&mut videos);
        for (((chunk, file), start), places) in rows {
            let file = info
                .video_file(key, chunk, file)
                .ok_or_else(|| template(info.video_path.as_deref().unwrap_or("null")))?;
            let from_timestamp_s = start.first().copied().unwrap_or(0.0);
            places.insert(key.clone(), VideoPlace { file, from_timestamp_s });
        }
    }
    let rows = indices.into_iter().zip(lengths).zip(from).zip(to).zip(chunks).zip(files);
    for (row, (((((index, length), from), to), chunk), file)) in rows.enumerate() {
        let before = episodes.last().map_or(0, |last| last.from_index + last.length);
        let checks = [
            ("episode_index", index, episodes.len() as u64),
            ("dataset_from_index", from, before),
            ("dataset_to_index", to, before.saturating_add(length)),
        ];
        for (column, found, expected) in checks {
            if found != expected {
                return Err(ReaderError::Contradiction {
                    root: root.to_owned(),
                    what: format!("{column} of row {} in meta/episodes", episodes.len()),
                    found: found.to_string(),
                    expected: expected.to_string(),
                });
            }
        }
        episodes.push(Episode {
            index,
            length,
            from_index: from,
            tasks: tasks.get(row).cloned().unwrap_or_default(),
            run: runs.as_ref().and_then(|runs| runs.get(row)?.first().cloned()),
            data_file: info.data_file(chunk, file).ok_or_else(|| template(&info.data_path))?,
            videos: videos.get_mut(row).map(std::mem::take).unwrap_or_default(),
        });
    }
    Ok(())
}
