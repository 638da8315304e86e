//! One run's journal becomes one episode.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use parquet::data_type::ByteArray;
use serde::Serialize;

use super::features::{self, HeaderError};
use super::info::{CHUNK_SIZE, Info, InfoError};
use super::statistics::{self, Histograms, NAMES, Statistics};
use super::table::{Field, Kind, Table, TableError, TableWriter, Values};
use super::timeline::{CameraFrames, Moment, Timeline};
use crate::files::FileError;
use crate::image::{self, ImageError};
use crate::journal::{CycleRecord, Header, ReadError, Reader, Record, Tail};

/// Image bytes per row group: what a conversion holds in memory.
const GROUP_BYTES: usize = 32 << 20;

/// Frames per row group.
const GROUP_FRAMES: usize = 4096;

/// Key of the data files' metadata under which sinew keeps `info.json` without its totals, so that
/// a lost one can be made again.
pub(super) const INFO_KEY: &str = "sinew.info";

/// Key under which the data files name their run.
pub(super) const RUN_KEY: &str = "sinew.run";

/// Column of the episodes' metadata that names the run an episode was made of.
pub(super) const RUN_COLUMN: &str = "sinew/run";

/// Why a journal was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The header has no place in a dataset.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The arm never held nor ran.
    #[error(
        "the run has no cycle in which the arm was holding or running: there is nothing to keep"
    )]
    Empty,
    /// A camera that never delivered.
    #[error("camera {camera} delivered no image of its declared size ({rejected} were rejected)")]
    NoImages {
        /// The camera.
        camera: String,
        /// Images that were not PNG files of the declared size.
        rejected: u64,
    },
    /// A cycle that does not fit the header.
    #[error("cycle {index} has values for {found} {what}, the header names {expected}")]
    Count {
        /// The cycle's index.
        index: u64,
        /// `joints` or `sensors`.
        what: &'static str,
        /// How many the header names.
        expected: usize,
        /// Values of the cycle.
        found: usize,
    },
    /// Longer than any run.
    #[error(
        "the run spans more than {limit} dataset frames, which no run is let to record: its times \
         are damaged"
    )]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// An image that does not decode.
    #[error("camera {camera}: {source}")]
    Image {
        /// The camera.
        camera: String,
        /// What is wrong.
        source: ImageError,
    },
    /// The dataset holds something else.
    #[error(
        "{} cannot take this run: {difference}; record into another directory",
        root.display()
    )]
    Mismatch {
        /// The dataset.
        root: PathBuf,
        /// The first difference.
        difference: String,
    },
    /// The run is an episode already.
    #[error("run {run} is episode {episode} of {} already", root.display())]
    Converted {
        /// The dataset.
        root: PathBuf,
        /// The run.
        run: String,
        /// Its episode.
        episode: u64,
    },
    /// A file of an episode that `info.json` counts is not there.
    #[error(
        "{} is not there, and info.json counts {counted} episodes: episode {episode} was deleted or \
         not copied. Put the file back, from a copy of the dataset; or record into another \
         directory. To make the dataset again from its journals, move data and meta out of the \
         directory: the next run makes an episode of every journal in runs",
        path.display()
    )]
    EpisodeMissing {
        /// The episode.
        episode: u64,
        /// Episodes that count.
        counted: u64,
        /// The file.
        path: PathBuf,
    },
    /// Whoever watched broke it off. Nothing of the episode is left.
    #[error("interrupted; the next run into this directory makes the episode")]
    Interrupted,
    /// A parquet file cannot be written or read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// `info.json` cannot be used.
    #[error(transparent)]
    Info(#[from] InfoError),
}

impl ConvertError {
    /// Whether the journal is at fault, so that trying again cannot help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Journal(error) => {
                error.is_permanent() && !matches!(error, ReadError::Version { .. })
            }
            Self::Header(_)
            | Self::Empty
            | Self::NoImages { .. }
            | Self::Count { .. }
            | Self::TooLong { .. }
            | Self::Image { .. }
            | Self::Mismatch { .. } => true,
            Self::Converted { .. }
            | Self::EpisodeMissing { .. }
            | Self::Interrupted
            | Self::Table(_)
            | Self::File(_)
            | Self::Info(_) => false,
        }
    }
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpisodeSummary {
    /// The run.
    pub run: String,
    /// Index in the dataset.
    pub episode: u64,
    /// Frames.
    pub frames: u64,
    /// Frames per second.
    pub fps: f64,
    /// `frames / fps`, in seconds.
    pub duration_s: f64,
    /// Task.
    pub task: String,
    /// Images per camera.
    pub cameras: Vec<CameraFrames>,
    /// Whether the run ended in order; `false` after a kill.
    pub complete: bool,
    /// How the journal ends.
    pub tail: Tail,
    /// Damaged or unknown records that were skipped.
    pub skipped: u64,
    /// For a run that was cut short: how much time the unreadable end of its journal covers, in ms,
    /// at the journal's mean rate of bytes: no clock that was set meanwhile can spoil it. What a
    /// killed process had not flushed is not in it.
    pub lost_ms: Option<f64>,
    /// The episode's data file, relative to the dataset.
    pub data_file: PathBuf,
}

/// How far a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted<'a> {
    /// The run.
    pub run: &'a str,
    /// Frames written.
    pub frames: usize,
    /// Frames of the episode.
    pub of: usize,
}

/// Hears how far a conversion is before each of its row groups, and may break it off.
pub type Watch<'a> = dyn FnMut(&Converted<'_>) -> ControlFlow<()> + 'a;

/// Where an episode goes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub episode: u64,
    /// Index of its first frame in the dataset.
    pub first_frame: u64,
    pub task_index: u64,
}

impl Place {
    /// Chunk and file index: every episode has its own files.
    pub fn indices(episode: u64) -> (u64, u64) {
        (episode / CHUNK_SIZE, episode % CHUNK_SIZE)
    }
}

/// An episode whose two files are in place.
#[derive(Debug)]
pub(super) struct Written {
    pub summary: EpisodeSummary,
    pub statistics: BTreeMap<String, Statistics>,
}

pub(super) fn data_path(root: &Path, episode: u64) -> PathBuf {
    let (chunk, file) = Place::indices(episode);
    root.join("data").join(format!("chunk-{chunk:03}")).join(format!("file-{file:03}.parquet"))
}

pub(super) fn meta_path(root: &Path, episode: u64) -> PathBuf {
    let (chunk, file) = Place::indices(episode);
    let folder = root.join("meta").join("episodes").join(format!("chunk-{chunk:03}"));
    folder.join(format!("file-{file:03}.parquet"))
}

/// Writes an episode's data file, then its metadata file. Neither counts before `info.json` says
/// so.
pub(super) fn write_episode(
    root: &Path,
    journal: &Path,
    info: &Info,
    place: &Place,
    watch: &mut Watch<'_>,
) -> Result<Written, ConvertError> {
    let mut reader = Reader::open(journal)?;
    let header = reader.header().clone();
    let timeline = Timeline::of(&mut reader)?;
    let path = data_path(root, place.episode);
    let mut template = info.clone();
    (template.total_episodes, template.total_frames, template.total_tasks) = (0, 0, 0);
    let metadata = vec![
        ("huggingface".to_owned(), features::huggingface(info)),
        (INFO_KEY.to_owned(), template.to_json().to_string()),
        (RUN_KEY.to_owned(), header.run.clone()),
    ];
    let mut writer = TableWriter::create(&path, features::fields_of(info), metadata)?;
    let mut tally = Tally::new(&header, timeline.moments.len());
    let mut frame = 0;
    let mut rest = timeline.moments.as_slice();
    while !rest.is_empty() {
        let converted = Converted { run: &header.run, frames: frame, of: timeline.moments.len() };
        if watch(&converted).is_break() {
            return Err(ConvertError::Interrupted);
        }
        let (group, after) = rest.split_at(group_length(rest));
        let columns = Columns::read(&mut reader, &header, group, frame, place, &mut tally)?;
        writer.write_group(&columns.in_order(info))?;
        frame += group.len();
        rest = after;
    }
    writer.finish()?;
    let statistics = tally.statistics(info, &path)?;
    let frames = timeline.moments.len() as u64;
    write_meta(root, &header, place, frames, info, &statistics)?;
    let lost_ms = if timeline.complete { None } else { lost_ms(&timeline) };
    let summary = EpisodeSummary {
        run: header.run.clone(),
        episode: place.episode,
        frames,
        fps: info.fps,
        duration_s: frames as f64 / info.fps,
        task: header.task.clone(),
        cameras: timeline.cameras,
        complete: timeline.complete,
        tail: timeline.tail,
        skipped: timeline.skipped,
        lost_ms,
        data_file: path.strip_prefix(root).unwrap_or(&path).to_owned(),
    };
    Ok(Written { summary, statistics })
}

fn lost_ms(timeline: &Timeline) -> Option<f64> {
    match timeline.tail {
        Tail::Unread => None,
        Tail::Complete => Some(0.0),
        Tail::Torn { offset, dropped_bytes } | Tail::Corrupt { offset, dropped_bytes } => {
            let span_ms = timeline.last_ns.saturating_sub(timeline.first_ns) as f64 * 1e-6;
            Some(span_ms * dropped_bytes as f64 / offset.max(1) as f64)
        }
    }
}

fn group_length(moments: &[Moment]) -> usize {
    let mut bytes = 0;
    let mut length = 0;
    for moment in moments.iter().take(GROUP_FRAMES) {
        bytes += moment.shots.iter().map(|shot| shot.bytes).sum::<usize>();
        if length > 0 && bytes > GROUP_BYTES {
            break;
        }
        length += 1;
    }
    length
}

/// What the statistics need of an episode's images. Those of its numbers are taken from the file
/// that was written, one feature after the other: all values of a long episode do not fit in memory.
struct Tally {
    images: Vec<Histograms>,
    sampled: Vec<usize>,
    next_sample: usize,
}

impl Tally {
    fn new(header: &Header, frames: usize) -> Self {
        let images = header.cameras.iter().map(|_| Histograms::new()).collect();
        let sampled = statistics::sampled(frames);
        Self { images, sampled, next_sample: 0 }
    }

    fn statistics(
        &self,
        info: &Info,
        data: &Path,
    ) -> Result<BTreeMap<String, Statistics>, TableError> {
        let mut all = BTreeMap::new();
        let table = Table::open(data)?;
        for feature in info.features.iter().filter(|feature| feature.dtype != "image") {
            let rows = table.numbers(&feature.name)?;
            all.insert(feature.name.clone(), Statistics::of_rows(&rows, feature.size()));
        }
        let images = info.features.iter().filter(|feature| feature.dtype == "image");
        for (feature, histograms) in images.zip(&self.images) {
            all.insert(feature.name.clone(), histograms.statistics());
        }
        Ok(all)
    }
}

/// One row group, by feature name.
struct Columns(BTreeMap<String, Values>);

impl Columns {
    fn read(
        reader: &mut Reader,
        header: &Header,
        moments: &[Moment],
        first: usize,
        place: &Place,
        tally: &mut Tally,
    ) -> Result<Self, ConvertError> {
        let mut columns = Self(BTreeMap::new());
        let mut images: Vec<Vec<(ByteArray, String)>> =
            header.cameras.iter().map(|_| Vec::with_capacity(moments.len())).collect();
        for (index, moment) in moments.iter().enumerate() {
            let frame = first + index;
            let cycle = cycle_at(reader, moment.cycle)?;
            columns.add_cycle(&cycle);
            let sample = tally.sampled.get(tally.next_sample) == Some(&frame);
            tally.next_sample += usize::from(sample);
            let cameras = header.cameras.iter().zip(&moment.shots).zip(&mut images).enumerate();
            for (camera, ((meta, shot), list)) in cameras {
                // A repeated image shares its bytes with the frame before.
                let repeated = index
                    .checked_sub(1)
                    .and_then(|before| moments.get(before)?.shots.get(camera))
                    .filter(|before| before.offset == shot.offset)
                    .and_then(|_| list.last())
                    .map(|(png, _)| png.clone());
                let png = match repeated {
                    Some(png) => png,
                    None => ByteArray::from(png_at(reader, shot.offset)?),
                };
                if sample {
                    let wrong = |source| ConvertError::Image { camera: meta.name.clone(), source };
                    let decoded = image::decode_png(png.data()).map_err(wrong)?;
                    if let Some(histograms) = tally.images.get_mut(camera) {
                        histograms.add(&decoded);
                    }
                }
                list.push((png, format!("frame-{frame:06}.png")));
                columns.add_integers(
                    &features::frame_ns(&meta.name),
                    [i64::try_from(shot.captured_ns).unwrap_or(i64::MAX)],
                );
            }
            // The same rounding as LeRobot's: a 64-bit quotient, kept in 32.
            columns.add_floats("timestamp", [frame as f64 / header.dataset_rate_hz]);
            columns.add_integers("frame_index", [frame as i64]);
            columns.add_integers("episode_index", [place.episode as i64]);
            columns.add_integers("index", [place.first_frame as i64 + frame as i64]);
            columns.add_integers("task_index", [place.task_index as i64]);
        }
        for (meta, list) in header.cameras.iter().zip(images) {
            columns.0.insert(features::image(&meta.name), Values::Image(list));
        }
        Ok(columns)
    }

    fn add_cycle(&mut self, cycle: &CycleRecord) {
        self.add_floats(features::STATE, cycle.measured.iter().copied());
        self.add_floats(features::ACTION, cycle.limited.iter().copied());
        self.add_floats(features::REQUESTED, cycle.requested.iter().copied());
        self.add_floats(features::LIMITED, cycle.limited.iter().copied());
        self.add_floats(features::MEASURED, cycle.measured.iter().copied());
        if !cycle.sensors.is_empty() {
            self.add_floats(features::SENSORS, cycle.sensors.iter().copied());
        }
        let whole = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        self.add_integers(features::TIME, [whole(cycle.woke_ns)]);
        self.add_integers(features::MEASURED_NS, cycle.measured_ns.iter().map(|&ns| whole(ns)));
        self.add_integers(features::CLAMPS, cycle.clamps.iter().map(|&set| i64::from(set)));
        self.add_integers(features::ARM_STATE, [i64::from(cycle.state)]);
    }

    fn add_floats(&mut self, name: &str, values: impl IntoIterator<Item = f64>) {
        let column = self.0.entry(name.to_owned()).or_insert(Values::Float32(Vec::new()));
        if let Values::Float32(list) = column {
            list.extend(values.into_iter().map(|value| value as f32));
        }
    }

    fn add_integers(&mut self, name: &str, values: impl IntoIterator<Item = i64>) {
        let column = self.0.entry(name.to_owned()).or_insert(Values::Int64(Vec::new()));
        if let Values::Int64(list) = column {
            list.extend(values);
        }
    }

    fn in_order(mut self, info: &Info) -> Vec<Values> {
        info.features.iter().filter_map(|feature| self.0.remove(&feature.name)).collect()
    }
}

fn cycle_at(reader: &mut Reader, offset: u64) -> Result<CycleRecord, ReadError> {
    match reader.read_at(offset)? {
        Record::Cycle(cycle) => Ok(cycle),
        _ => Err(ReadError::NoRecord { path: reader.path().to_owned(), offset }),
    }
}

fn png_at(reader: &mut Reader, offset: u64) -> Result<Vec<u8>, ReadError> {
    match reader.read_at(offset)? {
        Record::Frame(frame) => Ok(frame.png),
        _ => Err(ReadError::NoRecord { path: reader.path().to_owned(), offset }),
    }
}

fn write_meta(
    root: &Path,
    header: &Header,
    place: &Place,
    frames: u64,
    info: &Info,
    statistics: &BTreeMap<String, Statistics>,
) -> Result<(), ConvertError> {
    let (chunk, file) = Place::indices(place.episode);
    let mut fields = Vec::new();
    let mut values = Vec::new();
    let mut add = |field: Field, value: Values| {
        fields.push(field);
        values.push(value);
    };
    let integer = |name: &str| Field::new(name, Kind::Int64, &[]);
    let number = |value: u64| Values::Int64(vec![value as i64]);
    add(integer("episode_index"), number(place.episode));
    add(Field::new("tasks", Kind::Text, &[1]), Values::Text(vec![header.task.clone()]));
    add(integer("length"), number(frames));
    add(integer("data/chunk_index"), number(chunk));
    add(integer("data/file_index"), number(file));
    add(integer("dataset_from_index"), number(place.first_frame));
    add(integer("dataset_to_index"), number(place.first_frame + frames));
    for feature in &info.features {
        let Some(found) = statistics.get(&feature.name) else { continue };
        let shape: &[usize] = if feature.dtype == "image" { &[3, 1, 1] } else { &[feature.size()] };
        for (name, list) in NAMES.iter().zip(&found.values) {
            let column = format!("stats/{}/{name}", feature.name);
            add(Field::new(column, Kind::Float64, shape), Values::Float64(list.clone()));
        }
        let column = format!("stats/{}/count", feature.name);
        add(Field::new(column, Kind::Int64, &[1]), number(found.count));
    }
    add(integer("meta/episodes/chunk_index"), number(chunk));
    add(integer("meta/episodes/file_index"), number(file));
    add(Field::new(RUN_COLUMN, Kind::Text, &[]), Values::Text(vec![header.run.clone()]));
    let mut writer = TableWriter::create(&meta_path(root, place.episode), fields, Vec::new())?;
    writer.write_group(&values)?;
    writer.finish()?;
    Ok(())
}
