//! Reading datasets: ours and LeRobot's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::catalog::{self, Episode};
use super::info::{Feature, Info, InfoError};
use super::table::{Column, Leaf, Table, TableError};
#[cfg(feature = "video")]
use super::video::Video;
use super::video::VideoError;
use crate::files::FileError;
use crate::image::{self, Image, ImageError};

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// `info.json` cannot be used.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// A parquet file cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two files disagree.
    #[error("the dataset {} contradicts itself: {what} is {found}, expected {expected}", root.display())]
    Contradiction {
        /// The dataset.
        root: PathBuf,
        /// What does not fit.
        what: String,
        /// The value found.
        found: String,
        /// The value expected.
        expected: String,
    },
    /// A path template with unknown fields, or one that leaves the dataset.
    #[error("info.json of {}: the path template {template:?} cannot be used", root.display())]
    Template {
        /// The dataset.
        root: PathBuf,
        /// The template.
        template: String,
    },
    /// No such frame.
    #[error("frame {index} was asked for, the dataset {} has {frames}", root.display())]
    NoFrame {
        /// The dataset.
        root: PathBuf,
        /// The frame.
        index: u64,
        /// Frames it has.
        frames: u64,
    },
    /// No such episode.
    #[error("episode {episode} was asked for, the dataset {} has {episodes}", root.display())]
    NoEpisode {
        /// The dataset.
        root: PathBuf,
        /// The episode.
        episode: u64,
        /// Episodes it has.
        episodes: u64,
    },
    /// No such feature.
    #[error("the dataset has no feature {feature:?}; it has {known}")]
    NoFeature {
        /// The feature.
        feature: String,
        /// Those it has.
        known: String,
    },
    /// A feature of another kind.
    #[error("feature {feature} is {dtype}, not {expected}")]
    Kind {
        /// The feature.
        feature: String,
        /// Its type.
        dtype: String,
        /// What was asked for.
        expected: &'static str,
    },
    /// An image that does not decode, or has another size than declared.
    #[error("frame {index} of {feature}: {source}")]
    Image {
        /// The feature.
        feature: String,
        /// The frame.
        index: u64,
        /// What is wrong.
        source: ImageError,
    },
    /// A video frame could not be had.
    #[error("frame {index} of {feature}: {source}")]
    Video {
        /// The feature.
        feature: String,
        /// The frame.
        index: u64,
        /// What is wrong.
        source: VideoError,
    },
}

/// One frame's value of one feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `float32`, in the order of the feature's shape.
    Float32(Vec<f32>),
    /// `float64`.
    Float64(Vec<f64>),
    /// Any integer type.
    Int(Vec<i64>),
    /// `bool`.
    Bool(Vec<bool>),
    /// `string`.
    Text(Vec<String>),
    /// `image` or `video`.
    Image(Image),
}

impl Value {
    /// Numbers as 64-bit floats; `None` for text and images.
    pub fn to_numbers(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::Float32(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Self::Float64(values) => values.clone(),
            Self::Int(values) => values.iter().map(|&value| value as f64).collect(),
            Self::Bool(values) => values.iter().map(|&value| f64::from(u8::from(value))).collect(),
            Self::Text(_) | Self::Image(_) => return None,
        })
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Index in the dataset.
    pub index: u64,
    /// Its episode.
    pub episode: u64,
    /// Its task.
    pub task: String,
    /// Values by feature.
    pub values: BTreeMap<String, Value>,
}

/// An open dataset of version 3.0.
///
/// Reading forwards is fast: the row group last used stays in memory, and so do the video file last
/// used of each feature and the position in it.
#[derive(Debug)]
pub struct Reader {
    root: PathBuf,
    info: Info,
    tasks: Vec<String>,
    episodes: Vec<Episode>,
    loaded: Option<Loaded>,
    /// The file last used, by feature.
    #[cfg(feature = "video")]
    videos: BTreeMap<String, Video>,
}

/// One row group of a data file.
#[derive(Debug)]
struct Loaded {
    table: Table,
    group: usize,
    /// Rows of the file before this group, and in it.
    before: usize,
    rows: usize,
    columns: BTreeMap<String, Column>,
}

impl Reader {
    /// Opens a dataset and checks that its metadata agrees with itself.
    pub fn open(root: &Path) -> Result<Self, ReaderError> {
        let info = Info::read(root)?;
        let tasks = catalog::read_tasks(root)?;
        let episodes = catalog::read_episodes(root, &info)?;
        let contradiction = |what: &str, found: String, expected: String| {
            Err(ReaderError::Contradiction {
                root: root.to_owned(),
                what: what.to_owned(),
                found,
                expected,
            })
        };
        if episodes.len() as u64 != info.total_episodes {
            let found = episodes.len().to_string();
            return contradiction(
                "the number of rows in meta/episodes",
                found,
                format!("total_episodes {}", info.total_episodes),
            );
        }
        let frames: u64 = episodes.iter().fold(0, |sum, it| it.length.saturating_add(sum));
        if frames != info.total_frames {
            return contradiction(
                "the sum of the episodes' lengths",
                frames.to_string(),
                format!("total_frames {}", info.total_frames),
            );
        }
        Ok(Self {
            root: root.to_owned(),
            info,
            tasks,
            episodes,
            loaded: None,
            #[cfg(feature = "video")]
            videos: BTreeMap::new(),
        })
    }

    /// `info.json`.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The dataset's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tasks by index.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Episodes by index.
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    /// Number of frames.
    pub fn frames(&self) -> u64 {
        self.info.total_frames
    }

    /// A frame with everything in it. A dataset with videos needs the feature `video`.
    pub fn frame(&mut self, index: u64) -> Result<Frame, ReaderError> {
        let mut frame = self.row(index)?;
        let visual: Vec<String> = self
            .info
            .features
            .iter()
            .filter(|feature| feature.is_visual())
            .map(|feature| feature.name.clone())
            .collect();
        for name in visual {
            let image = self.image(index, &name)?;
            frame.values.insert(name, Value::Image(image));
        }
        Ok(frame)
    }

    /// A frame without images and videos.
    pub fn row(&mut self, index: u64) -> Result<Frame, ReaderError> {
        let episode = self.episode_of(index)?.clone();
        let row = self.load(&episode, index)?;
        let mut values = BTreeMap::new();
        let features: Vec<Feature> =
            self.info.features.iter().filter(|feature| !feature.is_visual()).cloned().collect();
        for feature in &features {
            values.insert(feature.name.clone(), self.value(feature, row)?);
        }
        let task_index = match values.get("task_index") {
            Some(Value::Int(list)) => list.first().copied(),
            _ => None,
        };
        let task = task_index
            .and_then(|task| self.tasks.get(usize::try_from(task).ok()?))
            .ok_or_else(|| ReaderError::Contradiction {
                root: self.root.clone(),
                what: format!("the task_index of frame {index}"),
                found: task_index.map_or_else(|| "missing".to_owned(), |task| task.to_string()),
                expected: format!("below {}", self.tasks.len()),
            })?
            .clone();
        Ok(Frame { index, episode: episode.index, task, values })
    }

    /// The image of one camera feature, from the data file or from a video.
    pub fn image(&mut self, index: u64, feature: &str) -> Result<Image, ReaderError> {
        let feature = self.feature(feature)?.clone();
        let episode = self.episode_of(index)?.clone();
        let row = self.load(&episode, index)?;
        let wrong = |source| ReaderError::Image { feature: feature.name.clone(), index, source };
        let found = match feature.dtype.as_str() {
            "image" => {
                let bytes = self.png(&feature, row)?;
                image::decode_png(&bytes).map_err(wrong)?
            }
            "video" => self.video_frame(&feature, &episode, index, row)?,
            dtype => {
                return Err(ReaderError::Kind {
                    feature: feature.name.clone(),
                    dtype: dtype.to_owned(),
                    expected: "images",
                });
            }
        };
        let size = feature.shape.first().copied().zip(feature.shape.get(1).copied());
        if size != Some((found.height as usize, found.width as usize)) {
            let (height, width) = size.unwrap_or_default();
            return Err(wrong(ImageError::Size {
                width: u32::try_from(width).unwrap_or(u32::MAX),
                height: u32::try_from(height).unwrap_or(u32::MAX),
                found_width: found.width,
                found_height: found.height,
            }));
        }
        Ok(found)
    }

    /// A numeric feature over one episode: one list per frame.
    pub fn vectors(&mut self, episode: u64, feature: &str) -> Result<Vec<Vec<f64>>, ReaderError> {
        let feature = self.feature(feature)?.clone();
        let known = usize::try_from(episode).ok().and_then(|index| self.episodes.get(index));
        let episode = known.cloned().ok_or_else(|| ReaderError::NoEpisode {
            root: self.root.clone(),
            episode,
            episodes: self.episodes.len() as u64,
        })?;
        let mut all = Vec::new();
        for index in episode.from_index..episode.from_index + episode.length {
            let row = self.load(&episode, index)?;
            let numbers = (!feature.is_visual()).then(|| self.value(&feature, row)).transpose()?;
            let numbers = numbers.and_then(|value| value.to_numbers());
            all.push(numbers.ok_or_else(|| ReaderError::Kind {
                feature: feature.name.clone(),
                dtype: feature.dtype.clone(),
                expected: "numbers",
            })?);
        }
        Ok(all)
    }

    fn feature(&self, name: &str) -> Result<&Feature, ReaderError> {
        self.info.feature(name).ok_or_else(|| {
            let known: Vec<&str> = self.info.features.iter().map(|f| f.name.as_str()).collect();
            ReaderError::NoFeature { feature: name.to_owned(), known: known.join(", ") }
        })
    }

    fn episode_of(&self, index: u64) -> Result<&Episode, ReaderError> {
        let after = self.episodes.partition_point(|episode| episode.from_index <= index);
        after
            .checked_sub(1)
            .and_then(|at| self.episodes.get(at))
            .filter(|episode| index < episode.from_index + episode.length)
            .ok_or_else(|| ReaderError::NoFrame {
                root: self.root.clone(),
                index,
                frames: self.info.total_frames,
            })
    }

    /// Makes the row group of a frame current and returns its row in there.
    fn load(&mut self, episode: &Episode, index: u64) -> Result<usize, ReaderError> {
        let path = self.root.join(&episode.data_file);
        let first = self
            .episodes
            .iter()
            .find(|other| other.data_file == episode.data_file)
            .map_or(0, |other| other.from_index);
        let row = usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
        let current = self.loaded.as_ref().is_some_and(|loaded| {
            loaded.table.path() == path
                && (loaded.before..loaded.before + loaded.rows).contains(&row)
        });
        if !current {
            let table = match self.loaded.take() {
                Some(loaded) if loaded.table.path() == path => loaded.table,
                _ => Table::open(&path)?,
            };
            let mut before = 0usize;
            let mut place = None;
            for (group, rows) in table.groups().into_iter().enumerate() {
                if row < before.saturating_add(rows) {
                    place = Some((group, rows));
                    break;
                }
                // A footer may claim anything; what it lied about is refused when it is read.
                before = before.saturating_add(rows);
            }
            let (group, rows) =
                place.ok_or_else(|| TableError::NoRow { path, row, found: table.rows() })?;
            let mut columns = BTreeMap::new();
            for feature in self.info.features.iter().filter(|feature| !feature.is_visual()) {
                columns.insert(feature.name.clone(), table.group(group, &feature.name, None)?);
            }
            self.loaded = Some(Loaded { table, group, before, rows, columns });
        }
        let row = row - self.loaded.as_ref().map_or(0, |loaded| loaded.before);
        let checks = [
            ("index", index),
            ("episode_index", episode.index),
            ("frame_index", index - episode.from_index),
        ];
        for (name, expected) in checks {
            let feature = Feature::new(name, "int64", &[1], serde_json::Value::Null);
            let found = self.value(&feature, row)?;
            if found != Value::Int(vec![expected as i64]) {
                return Err(ReaderError::Contradiction {
                    root: self.root.clone(),
                    what: format!("{name} of frame {index}"),
                    found: format!("{found:?}"),
                    expected: expected.to_string(),
                });
            }
        }
        Ok(row)
    }

    /// A value of the current row group.
    fn value(&self, feature: &Feature, row: usize) -> Result<Value, ReaderError> {
        let name = feature.name.as_str();
        let no_column =
            || TableError::NoColumn { path: self.root.clone(), column: name.to_owned() };
        let loaded = self.loaded.as_ref().ok_or_else(no_column)?;
        let column = loaded.columns.get(name).ok_or_else(no_column)?;
        let range = column.range(row).ok_or_else(no_column)?;
        if range.len() != feature.size() {
            return Err(TableError::RowLength {
                path: loaded.table.path().to_owned(),
                column: name.to_owned(),
                row: loaded.before + row,
                expected: feature.size(),
                found: range.len(),
            }
            .into());
        }
        let mistyped = |expected| TableError::ColumnType {
            path: loaded.table.path().to_owned(),
            column: name.to_owned(),
            expected,
            found: column.values.type_name(),
        };
        let value = match (&column.values, feature.dtype.as_str()) {
            (Leaf::Float(values), "float32") => {
                values.get(range).map(|v| Value::Float32(v.to_vec()))
            }
            (Leaf::Double(values), "float64") => {
                values.get(range).map(|v| Value::Float64(v.to_vec()))
            }
            (Leaf::Bool(values), "bool") => values.get(range).map(|v| Value::Bool(v.to_vec())),
            (Leaf::Int(values), dtype) if dtype.contains("int") => {
                values.get(range).map(|v| Value::Int(v.to_vec()))
            }
            (Leaf::Bytes(values), "string") => {
                let texts: Option<Result<Vec<String>, _>> = values.get(range).map(|list| {
                    list.iter().map(|text| text.as_utf8().map(str::to_owned)).collect()
                });
                texts.transpose().map_err(|_| mistyped("UTF-8 text"))?.map(Value::Text)
            }
            _ => return Err(mistyped("values of the type that info.json declares").into()),
        };
        Ok(value.ok_or_else(no_column)?)
    }

    /// The PNG file of a row of the current row group.
    fn png(&mut self, feature: &Feature, row: usize) -> Result<Vec<u8>, ReaderError> {
        let name = feature.name.as_str();
        let no_column =
            || TableError::NoColumn { path: self.root.clone(), column: name.to_owned() };
        let loaded = self.loaded.as_mut().ok_or_else(no_column)?;
        if !loaded.columns.contains_key(name) {
            let column = loaded.table.group(loaded.group, name, Some("bytes"))?;
            loaded.columns.insert(name.to_owned(), column);
        }
        let column = loaded.columns.get(name).ok_or_else(no_column)?;
        let range = column.range(row).ok_or_else(no_column)?;
        match &column.values {
            Leaf::Bytes(values) => match values.get(range).unwrap_or_default() {
                [png] => Ok(png.data().to_vec()),
                other => Err(TableError::RowLength {
                    path: loaded.table.path().to_owned(),
                    column: format!("{name}.bytes"),
                    row: loaded.before + row,
                    expected: 1,
                    found: other.len(),
                }
                .into()),
            },
            other => Err(TableError::ColumnType {
                path: loaded.table.path().to_owned(),
                column: format!("{name}.bytes"),
                expected: "bytes",
                found: other.type_name(),
            }
            .into()),
        }
    }

    #[cfg(feature = "video")]
    fn video_frame(
        &mut self,
        feature: &Feature,
        episode: &Episode,
        index: u64,
        row: usize,
    ) -> Result<Image, ReaderError> {
        let wrong = |source| ReaderError::Video { feature: feature.name.clone(), index, source };
        let timestamp = Feature::new("timestamp", "float32", &[1], serde_json::Value::Null);
        let timestamp_s = self.value(&timestamp, row)?.to_numbers().unwrap_or_default();
        let place = episode.videos.get(&feature.name).ok_or_else(|| wrong(VideoError::NoPlace))?;
        let at_s = place.from_timestamp_s + timestamp_s.first().copied().unwrap_or(0.0);
        let path = self.root.join(&place.file);
        let mut video = match self.videos.remove(&feature.name) {
            Some(video) if video.path() == path => video,
            _ => Video::open(&path).map_err(wrong)?,
        };
        let image = video.frame_at(at_s).map_err(wrong);
        self.videos.insert(feature.name.clone(), video);
        image
    }

    #[cfg(not(feature = "video"))]
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
    fn video_frame(
        &mut self,
        feature: &Feature,
        _episode: &Episode,
        index: u64,
        _row: usize,
    ) -> Result<Image, ReaderError> {
        let source = VideoError::Disabled;
        Err(ReaderError::Video { feature: feature.name.clone(), index, source })
    }
}

#[cfg(all(test, feature = "video"))]
mod tests {
    use super::*;

    #[test]
    fn one_video_per_feature_is_kept() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/dataset_v3_h264");
        let folder = tempfile::tempdir().unwrap();
        let name = "observation.images.front";
        let mut reader = Reader::open(&root).unwrap();
        let index = reader.episodes[1].from_index;
        let before = [reader.image(0, name).unwrap(), reader.image(index, name).unwrap()];
        // As if the second episode had a file of its own.
        let place = reader.episodes[1].videos.get_mut(name).unwrap();
        let copy = folder.path().join("file-001.mp4");
        std::fs::copy(root.join(&place.file), &copy).unwrap();
        place.file.clone_from(&copy);
        for _ in 0..2 {
            let after = [reader.image(0, name).unwrap(), reader.image(index, name).unwrap()];
            assert!(before == after);
            assert_eq!(reader.videos.len(), 1);
            assert_eq!(reader.videos[name].path(), copy);
        }
    }
}
