//! From a journal to a file.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use ::mcap::records::Metadata;
use ::mcap::{Attachment, McapError, WriteOptions};
use serde::Serialize;
use serde_json::json;

use super::cdr::Cdr;
use super::channels::{ChannelSummary, Channels, Times, Topic};
use super::messages::{self, Clock, JointValues};
use super::severity::{self, CycleMark, Severity, StopCauses};
use crate::files::{FileError, Part, failed};
use crate::journal::{
    ChunkRecord, CycleRecord, EventRecord, FrameRecord, Header, ReadError, Reader, Record, Tail,
};

/// Messages collect to about this many bytes before they are written: what a viewer reads at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Why a journal could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of that name exists.
    #[error("{} exists: name another file, or allow it to be replaced (--force)", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The output is a folder.
    #[error("{} is a folder: name a file in it", path.display())]
    Folder {
        /// The output.
        path: PathBuf,
    },
    /// The output is the journal.
    #[error("{} is the journal itself: name another file", path.display())]
    Journal {
        /// The output.
        path: PathBuf,
    },
    /// The output cannot be created or completed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The output cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// Why.
        source: McapError,
    },
    /// A cycle does not have a value for every joint or sensor.
    #[error("cycle {index} of the journal has {found} values of `{field}`, not {expected}")]
    Count {
        /// The cycle.
        index: u64,
        /// Field of the record.
        field: &'static str,
        /// Joints, or sensors, of the header.
        expected: usize,
        /// Values found.
        found: usize,
    },
}

impl ExportError {
    /// Whether the output is at fault: its disk or folder, not what was asked for.
    pub const fn is_output(&self) -> bool {
        matches!(self, Self::File(_) | Self::Write { .. })
    }
}

/// How to export.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions<'a> {
    /// Replace the output if it exists.
    pub replace: bool,
    /// What the journal's stop causes mean.
    pub causes: StopCauses<'a>,
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportSummary {
    /// The file.
    pub output: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Time between its first and last message, in s.
    pub seconds: f64,
    /// Its channels.
    pub channels: Vec<ChannelSummary>,
    /// Whether the run ended in order, with a summary.
    pub complete: bool,
    /// How the journal ends.
    pub tail: Tail,
    /// Records that were damaged or unknown and are left out.
    pub skipped: u64,
}

/// Writes a journal's content to `output`, which appears whole or not at all. Memory does not
/// grow with the journal but for 100 bytes or so per MiB. `progress` hears after every record how
/// many of the journal's bytes are done, and of how many.
pub fn export(
    journal: &Path,
    output: &Path,
    options: &ExportOptions<'_>,
    mut progress: impl FnMut(u64, u64),
) -> Result<ExportSummary, ExportError> {
    let mut reader = Reader::open(journal)?;
    let path = || output.to_owned();
    if output.is_dir() {
        return Err(ExportError::Folder { path: path() });
    }
    if let (Ok(one), Ok(other)) = (journal.canonicalize(), output.canonicalize())
        && one == other
    {
        return Err(ExportError::Journal { path: path() });
    }
    if output.exists() && !options.replace {
        return Err(ExportError::Exists { path: path() });
    }
    let write = |source| ExportError::Write { path: path(), source };
    let part = BufWriter::with_capacity(1 << 16, Part::create(output)?);
    let header = reader.header().clone();
    let mut file = File::begin(part, header, options.causes).map_err(write)?;
    let length = reader.length();
    while let Some(record) = reader.next() {
        let record = record?;
        if let Record::Cycle(cycle) = &record {
            check_lists(cycle, &file.header)?;
        }
        file.record(&record).map_err(write)?;
        progress(reader.last_offset(), length);
    }
    let (tail, skipped) = (reader.tail(), reader.skipped());
    file.end(length, tail, skipped).map_err(write)?;
    let bounds = file.writer.finish().map_err(write)?.stats;
    let seconds = bounds.map_or(0.0, |stats| {
        stats.message_end_time.saturating_sub(stats.message_start_time) as f64 / 1e9
    });
    let part = file.writer.into_inner().into_inner();
    part.map_err(|error| failed("write", output)(error.into_error()))?.finish()?;
    let bytes = std::fs::metadata(output).map_err(failed("look at", output))?.len();
    let (channels, complete) = (file.channels.summary(), file.complete);
    Ok(ExportSummary { output: path(), bytes, seconds, channels, complete, tail, skipped })
}

/// A value per joint, or none at all, in every list of a cycle, and one per sensor.
fn check_lists(cycle: &CycleRecord, header: &Header) -> Result<(), ExportError> {
    let lists = [
        ("measured", cycle.measured.len()),
        ("measured_velocity", cycle.measured_velocity.len()),
        ("measured_effort", cycle.measured_effort.len()),
        ("measured_ns", cycle.measured_ns.len()),
        ("requested", cycle.requested.len()),
        ("generated", cycle.generated.len()),
        ("limited", cycle.limited.len()),
        ("effort", cycle.effort.len()),
        ("clamps", cycle.clamps.len()),
    ];
    let lists = lists.map(|(field, found)| (field, found, header.joints.len()));
    let sensors = ("sensors", cycle.sensors.len(), header.sensors.len());
    let wrong = |&(_, found, expected): &(_, usize, usize)| found != 0 && found != expected;
    match lists.into_iter().chain([sensors]).find(wrong) {
        Some((field, found, expected)) => {
            Err(ExportError::Count { index: cycle.index, field, expected, found })
        }
        None => Ok(()),
    }
}

/// The file being written.
struct File<'a> {
    writer: ::mcap::Writer<BufWriter<Part>>,
    channels: Channels,
    header: Header,
    clock: Clock,
    causes: StopCauses<'a>,
    cdr: Cdr,
    /// The last two cycles, the latest first.
    marks: [Option<CycleMark>; 2],
    cycles: u64,
    /// Latest time of a record.
    last_ns: u64,
    complete: bool,
}

impl<'a> File<'a> {
    fn begin(
        output: BufWriter<Part>,
        header: Header,
        causes: StopCauses<'a>,
    ) -> Result<Self, McapError> {
        let library = concat!("sinew/", env!("CARGO_PKG_VERSION"), " ").to_owned()
            + ::mcap::LIBRARY_IDENTIFIER;
        let writer = WriteOptions::new()
            .profile("ros2")
            .library(library)
            .chunk_size(Some(CHUNK_BYTES))
            // Whole chunks are put together in memory instead of going back to their beginning.
            .disable_seeking(true)
            .create(output)?;
        let mut file = Self {
            writer,
            channels: Channels::default(),
            clock: Clock { unix_ns: header.unix_ns },
            header,
            causes,
            cdr: Cdr::default(),
            marks: [None; 2],
            cycles: 0,
            last_ns: 0,
            complete: false,
        };
        file.writer.write_metadata(&Metadata {
            name: "sinew.run".to_owned(),
            metadata: run_metadata(&file.header),
        })?;
        let config = std::mem::take(&mut file.header.config);
        file.attach("config.toml", "application/toml", config.as_bytes())?;
        Ok(file)
    }

    fn attach(&mut self, name: &str, media_type: &str, data: &[u8]) -> Result<(), McapError> {
        self.writer.attach(&Attachment {
            log_time: self.clock.unix(self.last_ns),
            create_time: self.clock.unix(self.last_ns),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            data: data.into(),
        })
    }

    fn record(&mut self, record: &Record) -> Result<(), McapError> {
        match record {
            // Only the first one is a journal's header.
            Record::Header(_) => Ok(()),
            Record::Cycle(cycle) => self.cycle(cycle),
            Record::Frame(frame) => self.frame(frame),
            Record::Chunk(chunk) => self.chunk(chunk),
            Record::Event(event) => self.event(event),
            Record::Summary(json) => self.summary(json),
        }
    }

    /// Writes the message in `self.cdr`.
    fn put(&mut self, topic: Topic, times: Times, sequence: Option<u64>) -> Result<(), McapError> {
        let Self { writer, channels, header, cdr, .. } = self;
        channels.write(writer, header, topic, times, sequence, cdr.bytes())
    }

    fn cycle(&mut self, cycle: &CycleRecord) -> Result<(), McapError> {
        self.cycles += 1;
        self.last_ns = self.last_ns.max(cycle.woke_ns);
        let before = self.marks[0].replace(CycleMark::from(cycle));
        self.marks[1] = before;
        let woke = self.clock.unix(cycle.woke_ns);
        let newest = cycle.measured_ns.iter().copied().max().filter(|at| *at > 0);
        let measured = newest.map_or(woke, |at| self.clock.unix(at));
        let sent = |position| JointValues { position, ..JointValues::default() };
        let states = [
            (
                Topic::Measured,
                measured,
                JointValues {
                    position: &cycle.measured,
                    velocity: &cycle.measured_velocity,
                    effort: &cycle.measured_effort,
                },
            ),
            (Topic::Requested, woke, sent(&cycle.requested)),
            (Topic::Generated, woke, sent(&cycle.generated)),
            (
                Topic::Limited,
                woke,
                JointValues { position: &cycle.limited, velocity: &[], effort: &cycle.effort },
            ),
        ];
        for (topic, stamp, values) in states {
            if values.position.is_empty() && values.velocity.is_empty() && values.effort.is_empty()
            {
                continue;
            }
            let names = self.header.joints.iter().map(|joint| joint.name.as_str());
            messages::joint_state(&mut self.cdr, stamp, names, &values);
            self.put(topic, Times { log: woke, publish: stamp }, Some(cycle.index))?;
        }
        if !cycle.sensors.is_empty() {
            let names = self.header.sensors.iter().map(|sensor| sensor.name.as_str());
            messages::joint_state(&mut self.cdr, measured, names, &sent(&cycle.sensors));
            let times = Times { log: woke, publish: measured };
            self.put(Topic::Sensors, times, Some(cycle.index))?;
        }
        messages::cycle(&mut self.cdr, self.clock, cycle, before.map(|before| before.woke_ns));
        self.put(Topic::Cycle, Times::at(woke), Some(cycle.index))
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), McapError> {
        self.last_ns = self.last_ns.max(frame.captured_ns);
        let name = self.header.cameras.get(frame.camera as usize).map(|it| it.name.as_str());
        messages::image(&mut self.cdr, self.clock, name.unwrap_or_default(), frame);
        let times = Times::at(self.clock.unix(frame.captured_ns));
        self.put(Topic::Camera(frame.camera), times, Some(frame.sequence))
    }

    fn chunk(&mut self, chunk: &ChunkRecord) -> Result<(), McapError> {
        self.last_ns = self.last_ns.max(chunk.finished_ns);
        messages::chunk(&mut self.cdr, self.clock, chunk);
        let times = Times::at(self.clock.unix(chunk.finished_ns));
        self.put(Topic::Chunks, times, Some(chunk.sequence))
    }

    fn event(&mut self, event: &EventRecord) -> Result<(), McapError> {
        self.last_ns = self.last_ns.max(event.at_ns);
        let [last, before] = &self.marks;
        let severity = severity::of_event(event, before.as_ref(), last.as_ref(), &self.causes);
        self.log(event.at_ns, severity, &event.kind, &event.message)
    }

    fn log(
        &mut self,
        at_ns: u64,
        severity: Severity,
        name: &str,
        text: &str,
    ) -> Result<(), McapError> {
        let at = self.clock.unix(at_ns);
        messages::log(&mut self.cdr, at, severity, name, text);
        self.put(Topic::Events, Times::at(at), None)
    }

    /// The summary whole as an attachment, and why the run ended as a line.
    fn summary(&mut self, json: &str) -> Result<(), McapError> {
        self.complete = true;
        let summary: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let exit = &summary["exit"];
        if let (Some(cause), Some(message)) = (exit["cause"].as_str(), exit["message"].as_str()) {
            let severity = self.causes.name(cause);
            let text = format!("{cause}: {message} (exit code {})", exit["code"]);
            self.log(self.last_ns, severity, "summary", &text)?;
        }
        self.attach("summary.json", "application/json", json.as_bytes())
    }

    fn end(&mut self, bytes: u64, tail: Tail, skipped: u64) -> Result<(), McapError> {
        let (kind, dropped) = match tail {
            Tail::Unread | Tail::Complete => ("complete", 0),
            Tail::Torn { dropped_bytes, .. } => ("torn", dropped_bytes),
            Tail::Corrupt { dropped_bytes, .. } => ("corrupt", dropped_bytes),
        };
        let entries = [
            ("bytes", bytes.to_string()),
            ("cycles", self.cycles.to_string()),
            ("ended_in_order", self.complete.to_string()),
            ("tail", kind.to_owned()),
            ("dropped_bytes", dropped.to_string()),
            ("skipped_records", skipped.to_string()),
        ];
        self.writer.write_metadata(&Metadata {
            name: "sinew.journal".to_owned(),
            metadata: owned(entries),
        })
    }
}

fn owned<const N: usize>(entries: [(&str, String); N]) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The journal's header as text; lists as JSON.
fn run_metadata(header: &Header) -> BTreeMap<String, String> {
    let joints: Vec<_> =
        header.joints.iter().map(|it| json!({ "name": it.name, "unit": it.unit })).collect();
    let sensors: Vec<_> =
        header.sensors.iter().map(|it| json!({ "name": it.name, "unit": it.unit })).collect();
    let mut metadata = owned([
        ("version", header.version.clone()),
        ("run", header.run.clone()),
        ("robot", header.robot.clone()),
        ("task", header.task.clone()),
        ("unix_ns", header.unix_ns.to_string()),
        ("rate_hz", header.rate_hz.to_string()),
        ("dataset_rate_hz", header.dataset_rate_hz.to_string()),
        ("joints", json!(joints).to_string()),
        ("sensors", json!(sensors).to_string()),
        ("cameras", json!(header.cameras).to_string()),
    ]);
    if let Some(policy) = &header.policy {
        metadata.extend(owned([
            ("policy.kind", policy.kind.clone()),
            ("policy.path", policy.path.clone()),
            ("policy.sha256", policy.sha256.clone()),
            ("policy.action_steps", policy.action_steps.to_string()),
        ]));
    }
    if let Some(actuator) = &header.actuator {
        metadata.extend(owned([
            ("actuator.kind", actuator.kind.clone()),
            ("actuator.path", actuator.path.clone()),
            ("actuator.sha256", actuator.sha256.clone()),
        ]));
    }
    metadata
}

impl fmt::Display for ExportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for channel in &self.channels {
            writeln!(f, "{:>9}  {:<32} {}", channel.messages, channel.topic, channel.schema)?;
        }
        if self.channels.is_empty() {
            writeln!(f, "no messages: the journal holds nothing but its header")?;
        }
        if !self.complete {
            writeln!(f, "the run was cut short: its journal has no summary")?;
        }
        match self.tail {
            Tail::Torn { dropped_bytes, .. } => {
                writeln!(f, "the journal ends inside a record: {dropped_bytes} bytes left out")?;
            }
            Tail::Corrupt { offset, dropped_bytes } => writeln!(
                f,
                "the journal is damaged from byte {offset} on: {dropped_bytes} bytes left out"
            )?,
            Tail::Unread | Tail::Complete => {}
        }
        if self.skipped > 0 {
            writeln!(f, "{} damaged or unknown records left out", self.skipped)?;
        }
        let messages: u64 = self.channels.iter().map(|channel| channel.messages).sum();
        write!(
            f,
            "{}: {messages} messages, {:.3} s, {} bytes",
            self.output.display(),
            self.seconds,
            self.bytes
        )
    }
}
