//! `meta/info.json`: what a dataset contains.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::files::{self, FileError};

/// Version of the layout that is read and written.
pub(super) const CODEBASE_VERSION: &str = "v3.0";

/// Files per chunk folder.
pub(super) const CHUNK_SIZE: u64 = 1000;

/// Extra key of `info.json` under which sinew keeps what LeRobot has no place for.
pub(super) const EXTRA: &str = "sinew";

const DATA_PATH: &str = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet";

/// Why `info.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none.
    #[error("{} is not a LeRobot dataset: it has no meta/info.json", root.display())]
    Missing {
        /// The folder.
        root: PathBuf,
    },
    /// Not JSON.
    #[error("{} is not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version of the layout.
    #[error(
        "{} is a dataset of version {found}; version {CODEBASE_VERSION} is read: convert it with LeRobot's own converter",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// A field is missing or has an impossible value.
    #[error("{}: field {field:?} must be {expected}, found {found}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// One feature: a column or a video.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feature {
    /// Name, for example `observation.state`.
    pub name: String,
    /// Type of its values: `float32`, `int64`, `image`, `video`, ...
    pub dtype: String,
    /// Shape of one frame's value; images are height, width, channels.
    pub shape: Vec<usize>,
    /// Names of the axes or values, as the file has them.
    pub names: Value,
    /// More about a video, as the file has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
}

impl Feature {
    pub(super) fn new(name: impl Into<String>, dtype: &str, shape: &[usize], names: Value) -> Self {
        Self {
            name: name.into(),
            dtype: dtype.to_owned(),
            shape: shape.to_vec(),
            names,
            info: None,
        }
    }

    /// Values of one frame.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Names of a vector's values, if the file names each.
    pub fn value_names(&self) -> Option<Vec<&str>> {
        let list = match &self.names {
            Value::Array(list) => list,
            // Older writers: {"motors": [...]}.
            Value::Object(map) if map.len() == 1 => map.values().next()?.as_array()?,
            _ => return None,
        };
        list.iter().map(Value::as_str).collect()
    }

    /// Whether frames are images in the data files or in videos.
    pub fn is_visual(&self) -> bool {
        self.dtype == "image" || self.dtype == "video"
    }

    fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert("dtype".into(), json!(self.dtype));
        map.insert("shape".into(), json!(self.shape));
        map.insert("names".into(), self.names.clone());
        if let Some(info) = &self.info {
            map.insert("info".into(), info.clone());
        }
        Value::Object(map)
    }
}

/// The content of `meta/info.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Frames per second.
    pub fps: f64,
    /// Robot, if the dataset says so.
    pub robot_type: Option<String>,
    /// Features in file order.
    pub features: Vec<Feature>,
    /// Episodes.
    pub total_episodes: u64,
    /// Frames of all episodes.
    pub total_frames: u64,
    /// Tasks.
    pub total_tasks: u64,
    pub(super) chunks_size: u64,
    pub(super) data_path: String,
    pub(super) video_path: Option<String>,
    /// What sinew adds: units and joints. `None` if another program wrote the dataset.
    pub extra: Option<Value>,
}

impl Info {
    pub(super) fn new(fps: f64, robot_type: String, features: Vec<Feature>, extra: Value) -> Self {
        Self {
            fps,
            robot_type: Some(robot_type),
            features,
            total_episodes: 0,
            total_frames: 0,
            total_tasks: 0,
            chunks_size: CHUNK_SIZE,
            data_path: DATA_PATH.to_owned(),
            video_path: None,
            extra: Some(extra),
        }
    }

    /// Where the file is in a dataset.
    pub(super) fn path_in(root: &Path) -> PathBuf {
        root.join("meta").join("info.json")
    }

    /// Reads a dataset's `info.json`.
    pub fn read(root: &Path) -> Result<Self, InfoError> {
        let path = Self::path_in(root);
        let text = files::read_if_there(&path)?
            .ok_or_else(|| InfoError::Missing { root: root.to_owned() })?;
        let value = serde_json::from_str(&text)
            .map_err(|source| InfoError::Json { path: path.clone(), source })?;
        Self::from_json(&value, &path)
    }

    /// Takes a parsed file apart. `path` is for messages.
    pub(super) fn from_json(value: &Value, path: &Path) -> Result<Self, InfoError> {
        let wrong = |field: &str, expected: &'static str, found: Option<&Value>| InfoError::Field {
            path: path.to_owned(),
            field: field.to_owned(),
            expected,
            found: found.map_or_else(|| "nothing".to_owned(), short),
        };
        let get = |field: &str| value.get(field).filter(|value| !value.is_null());
        let text = |field: &str| {
            let found = get(field);
            found.and_then(Value::as_str).ok_or_else(|| wrong(field, "a text", found))
        };
        let count = |field: &str| {
            let found = get(field);
            found.and_then(Value::as_u64).ok_or_else(|| wrong(field, "a whole number", found))
        };
        let version = text("codebase_version")?;
        if version != CODEBASE_VERSION {
            return Err(InfoError::Version { path: path.to_owned(), found: version.to_owned() });
        }
        let fps = get("fps")
            .and_then(Value::as_f64)
            .filter(|fps| *fps > 0.0)
            .ok_or_else(|| wrong("fps", "a number above 0", get("fps")))?;
        let listed = get("features");
        let map = listed
            .and_then(Value::as_object)
            .ok_or_else(|| wrong("features", "a table of features", listed))?;
        let mut features = Vec::with_capacity(map.len());
        for (name, entry) in map {
            let field = |part: &str| format!("features.{name}.{part}");
            let dtype = entry
                .get("dtype")
                .and_then(Value::as_str)
                .ok_or_else(|| wrong(&field("dtype"), "a text", entry.get("dtype")))?;
            let shape = entry
                .get("shape")
                .and_then(Value::as_array)
                .and_then(|list| {
                    list.iter()
                        .map(|length| length.as_u64().and_then(|l| usize::try_from(l).ok()))
                        .collect::<Option<Vec<usize>>>()
                })
                .filter(|shape| {
                    let size = shape.iter().try_fold(1_usize, |size, &l| size.checked_mul(l));
                    size.is_some_and(|size| size > 0 && size < 1 << 30)
                })
                .ok_or_else(|| {
                    wrong(&field("shape"), "a list of lengths above 0", entry.get("shape"))
                })?;
            if matches!(dtype, "image" | "video") && shape.len() != 3 {
                return Err(wrong(&field("shape"), "height, width, channels", entry.get("shape")));
            }
            features.push(Feature {
                name: name.clone(),
                dtype: dtype.to_owned(),
                shape,
                names: entry.get("names").cloned().unwrap_or(Value::Null),
                info: entry.get("info").filter(|info| !info.is_null()).cloned(),
            });
        }
        let chunks_size = match get("chunks_size") {
            None => CHUNK_SIZE,
            found => found
                .and_then(Value::as_u64)
                .filter(|&size| size > 0)
                .ok_or_else(|| wrong("chunks_size", "a whole number above 0", found))?,
        };
        Ok(Self {
            fps,
            robot_type: get("robot_type").and_then(Value::as_str).map(str::to_owned),
            features,
            total_episodes: count("total_episodes")?,
            total_frames: count("total_frames")?,
            total_tasks: count("total_tasks")?,
            chunks_size,
            data_path: get("data_path").map_or(Ok(DATA_PATH), |_| text("data_path"))?.to_owned(),
            video_path: get("video_path").and_then(Value::as_str).map(str::to_owned),
            extra: get(EXTRA).cloned(),
        })
    }

    /// The whole file as JSON.
    pub(super) fn to_json(&self) -> Value {
        // LeRobot's own type is a whole number; only ours are ever written, and they are whole.
        let fps = if self.fps.fract() == 0.0 { json!(self.fps as u64) } else { json!(self.fps) };
        let features: Map<String, Value> =
            self.features.iter().map(|f| (f.name.clone(), f.to_json())).collect();
        let mut map = Map::new();
        map.insert("codebase_version".into(), json!(CODEBASE_VERSION));
        map.insert("fps".into(), fps);
        map.insert("features".into(), Value::Object(features));
        map.insert("total_episodes".into(), json!(self.total_episodes));
        map.insert("total_frames".into(), json!(self.total_frames));
        map.insert("total_tasks".into(), json!(self.total_tasks));
        map.insert("chunks_size".into(), json!(self.chunks_size));
        map.insert("data_files_size_in_mb".into(), json!(100));
        map.insert("video_files_size_in_mb".into(), json!(200));
        map.insert("data_path".into(), json!(self.data_path));
        map.insert("video_path".into(), json!(self.video_path));
        map.insert("robot_type".into(), json!(self.robot_type));
        map.insert("splits".into(), json!({ "train": format!("0:{}", self.total_episodes) }));
        if let Some(extra) = &self.extra {
            map.insert(EXTRA.into(), extra.clone());
        }
        Value::Object(map)
    }

    /// A feature by name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name == name)
    }

    pub(super) fn data_file(&self, chunk: u64, file: u64) -> Option<PathBuf> {
        fill(&self.data_path, "", chunk, file)
    }

    pub(super) fn video_file(&self, key: &str, chunk: u64, file: u64) -> Option<PathBuf> {
        fill(self.video_path.as_deref()?, key, chunk, file)
    }
}

/// Fills a path template. `None` for a template with unknown fields, or one that leaves the
/// dataset's folder.
fn fill(template: &str, video_key: &str, chunk: u64, file: u64) -> Option<PathBuf> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (field, tail) = after.split_once('}')?;
        match field {
            "video_key" => filled.push_str(video_key),
            "chunk_index:03d" => filled.push_str(&format!("{chunk:03}")),
            "file_index:03d" => filled.push_str(&format!("{file:03}")),
            "chunk_index" => filled.push_str(&chunk.to_string()),
            "file_index" => filled.push_str(&file.to_string()),
            _ => return None,
        }
        rest = tail;
    }
    filled.push_str(rest);
    let path = PathBuf::from(filled);
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

/// A JSON value for a message, cut to a readable length.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        json!({
            "codebase_version": "v3.0", "fps": 10, "total_episodes": 1, "total_frames": 3,
            "total_tasks": 1, "robot_type": "x", "video_path": null,
            "features": {"action": {"dtype": "float32", "shape": [2], "names": ["a", "b"]}},
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let info = Info::from_json(&example(), Path::new("i")).unwrap();
        assert_eq!(info.feature("action").unwrap().value_names(), Some(vec!["a", "b"]));
        assert_eq!(Info::from_json(&info.to_json(), Path::new("i")).unwrap(), info);
    }

    #[test]
    fn wrong_fields_are_named() {
        let cases = [
            ("fps", json!(0), "\"fps\" must be a number above 0, found 0"),
            ("total_frames", json!(-1), "\"total_frames\" must be a whole number, found -1"),
            ("features", json!({"a": {"dtype": "f", "shape": [0]}}), "features.a.shape"),
            ("features", json!({"a": {"dtype": "image", "shape": [3]}}), "height, width"),
            ("features", json!({"a": {"dtype": "f", "shape": [1u64 << 40, 1u64 << 40]}}), "shape"),
            ("features", json!(null), "found nothing"),
            ("chunks_size", json!(0), "chunks_size"),
        ];
        for (field, value, expected) in cases {
            let mut json = example();
            json[field] = value;
            let error = Info::from_json(&json, Path::new("i")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let mut old = example();
        old["codebase_version"] = json!("v2.1");
        assert!(matches!(Info::from_json(&old, Path::new("i")), Err(InfoError::Version { .. })));
    }

    #[test]
    fn path_templates_stay_inside_the_dataset() {
        let path = fill(DATA_PATH, "", 1, 22).unwrap();
        assert_eq!(path, Path::new("data/chunk-001/file-022.parquet"));
        assert_eq!(
            fill("v/{video_key}/{chunk_index:03d}", "k", 0, 0).unwrap(),
            Path::new("v/k/000")
        );
        for template in ["/etc/passwd", "../x", "a/{other}", "a/{open"] {
            assert_eq!(fill(template, "", 0, 0), None, "{template}");
        }
    }
}
