use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ::mcap::records::Metadata;
use tempfile::TempDir;

use super::*;
use crate::journal::{
    CameraMeta, ChunkRecord, CycleRecord, EventRecord, FrameRecord, Header, JointMeta, Phases,
    PolicyMeta, Record, SensorMeta, Tail, Writer,
};

const UNIX_NS: u64 = 1_790_000_000_000_000_123;
const PERIOD_NS: u64 = 20_000_000;
const CAUSES: StopCauses<'static> =
    StopCauses { names: &["completed", "tracking_error"], intended: &["completed"] };

/// Reads what [`super::cdr::Cdr`] writes.
struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        assert_eq!(bytes[..4], [0, 1, 0, 0]);
        Self { bytes: &bytes[4..], at: 0 }
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        taken
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        self.at = self.at.next_multiple_of(N);
        self.take(N).try_into().unwrap()
    }

    fn u8(&mut self) -> u8 {
        self.number::<1>()[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.number())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.number())
    }

    fn f64(&mut self) -> f64 {
        f64::from_le_bytes(self.number())
    }

    fn time(&mut self) -> u64 {
        u64::from(self.u32()) * 1_000_000_000 + u64::from(self.u32())
    }

    fn string(&mut self) -> String {
        let length = self.u32() as usize;
        let (zero, text) = self.take(length).split_last().unwrap();
        assert_eq!(*zero, 0);
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn strings(&mut self) -> Vec<String> {
        (0..self.u32()).map(|_| self.string()).collect()
    }

    fn f64s(&mut self) -> Vec<f64> {
        (0..self.u32()).map(|_| self.f64()).collect()
    }

    fn u16s(&mut self) -> Vec<u16> {
        (0..self.u32()).map(|_| u16::from_le_bytes(self.number())).collect()
    }

    fn end(self) {
        assert_eq!(self.at, self.bytes.len());
    }
}

fn header(joints: usize, cameras: &[&str]) -> Header {
    Header {
        version: "0.1.0".into(),
        run: "20260101-000000-test".into(),
        unix_ns: UNIX_NS,
        robot: "bench".into(),
        joints: (1..=joints)
            .map(|number| JointMeta { name: format!("joint{number}"), unit: "rad".into() })
            .collect(),
        cameras: cameras
            .iter()
            .map(|name| CameraMeta { name: (*name).into(), width: 4, height: 2, rate_hz: 25.0 })
            .collect(),
        rate_hz: 50.0,
        dataset_rate_hz: 25.0,
        task: "wave".into(),
        sensors: vec![SensorMeta { name: "temperature".into(), unit: "°C".into() }],
        policy: Some(PolicyMeta {
            kind: "act".into(),
            path: "p".into(),
            sha256: "ab12".into(),
            action_steps: 3,
        }),
        actuator: None,
        config: "[run]\nname = \"test\"\n".into(),
    }
}

fn cycle(index: u64, joints: usize) -> CycleRecord {
    let value = |offset: f64| -> Vec<f64> {
        (0..joints).map(|joint| index as f64 + offset + joint as f64 / 64.0).collect()
    };
    let scheduled_ns = index * PERIOD_NS;
    CycleRecord {
        index,
        scheduled_ns,
        woke_ns: scheduled_ns + 1_000 * index + 17,
        misses: index % 3,
        phases: Phases { read: 1, take: 2, decide: 3, write: 4, record: 5, previous: 1_500 },
        link: 1,
        epoch: 1,
        sample: index / 2,
        state: 2,
        measured: value(0.0),
        measured_velocity: value(0.1),
        measured_effort: value(0.2),
        sensors: vec![20.0 + index as f64],
        measured_ns: (0..joints).map(|joint| scheduled_ns + joint as u64).collect(),
        requested: value(0.3),
        generated: value(0.4),
        limited: value(0.5),
        effort: value(0.6),
        commanded: true,
        clamps: (0..joints).map(|joint| joint as u16).collect(),
        observation_ns: (index > 0).then(|| scheduled_ns.saturating_sub(5_000_000)),
        ..CycleRecord::default()
    }
}

struct Exported {
    summary: ExportSummary,
    bytes: Vec<u8>,
}

impl Exported {
    fn of(header: &Header, records: &[Record]) -> Self {
        Self::cut(header, records, 0)
    }

    /// Exports a journal that lacks its last bytes.
    fn cut(header: &Header, records: &[Record], missing: usize) -> Self {
        let (folder, journal) = journal(header, records);
        let bytes = fs::read(&journal).unwrap();
        fs::write(&journal, &bytes[..bytes.len() - missing]).unwrap();
        let output = folder.path().join("a.mcap");
        let options = ExportOptions { replace: false, causes: CAUSES };
        let summary = export(&journal, &output, &options, |_, _| {}).unwrap();
        let bytes = fs::read(&output).unwrap();
        assert_eq!(summary.bytes, bytes.len() as u64);
        Self { summary, bytes }
    }

    /// Log time, publish time, sequence and data of a topic's messages.
    fn messages(&self, topic: &str) -> Vec<(u64, u64, u32, Vec<u8>)> {
        let mut found = Vec::new();
        for message in checked(&self.bytes) {
            let message = message.unwrap();
            if message.channel.topic == topic {
                let (log, publish) = (message.log_time, message.publish_time);
                found.push((log, publish, message.sequence, message.data.into_owned()));
            }
        }
        found
    }

    fn joints(&self, topic: &str) -> Vec<[Vec<f64>; 3]> {
        let joints = |(_, publish, _, data): (u64, u64, u32, Vec<u8>)| {
            let mut message = Message::new(&data);
            assert_eq!(message.time(), publish);
            assert_eq!(message.string(), "");
            let names = message.strings();
            let numbered = |(i, name): (usize, &String)| *name == format!("joint{}", i + 1);
            assert!(topic == "/sensors" || names.iter().enumerate().all(numbered), "{names:?}");
            let values = [message.f64s(), message.f64s(), message.f64s()];
            message.end();
            values
        };
        self.messages(topic).into_iter().map(joints).collect()
    }

    /// Level, name and text of the log.
    fn events(&self) -> Vec<(u8, String, String)> {
        let event = |(log, _, _, data): (u64, u64, u32, Vec<u8>)| {
            let mut message = Message::new(&data);
            assert_eq!(message.time(), log);
            let event = (message.u8(), message.string(), message.string());
            assert_eq!((message.string(), message.string(), message.u32()), Default::default());
            message.end();
            event
        };
        self.messages("/events").into_iter().map(event).collect()
    }

    fn index(&self) -> ::mcap::Summary {
        ::mcap::Summary::read(&self.bytes).unwrap().unwrap()
    }

    fn attachments(&self) -> BTreeMap<String, String> {
        let read = |index| ::mcap::read::attachment(&self.bytes, index).unwrap();
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        let attachments = self.index().attachment_indexes;
        attachments.iter().map(read).map(|it| (it.name.clone(), text(&it.data))).collect()
    }

    fn metadata(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let read = |index| ::mcap::read::metadata(&self.bytes, index).unwrap();
        let entry = |Metadata { name, metadata }| (name, metadata);
        self.index().metadata_indexes.iter().map(read).map(entry).collect()
    }
}

/// A file's messages, with the checksums of their chunks compared.
fn checked(bytes: &[u8]) -> ::mcap::MessageStream<'_> {
    let options = ::mcap::read::Options::ValidateChunkCrcs.into();
    ::mcap::MessageStream::new_with_options(bytes, options).unwrap()
}

fn journal(header: &Header, records: &[Record]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sinew");
    let mut writer = Writer::create(&path, header).unwrap();
    for record in records {
        writer.append(record).unwrap();
    }
    drop(writer);
    (folder, path)
}

fn files(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

fn event(at_ns: u64, kind: &str, message: &str) -> Record {
    Record::Event(EventRecord { at_ns, kind: kind.into(), message: message.into() })
}

#[test]
fn every_record_of_a_journal_is_in_the_file() {
    let png: Vec<u8> = (0..200).collect();
    let frame = FrameRecord { camera: 1, sequence: 7, captured_ns: 9, png: png.clone() };
    let chunk = ChunkRecord {
        cycle: 3,
        sequence: 1,
        observation_ns: 1_000_000,
        started_ns: 2_000_000,
        finished_ns: 5_500_000,
        step_ns: 100_000_000,
        action_size: 2,
        actions: vec![0.25, -1.0, 0.5, f64::MAX],
    };
    let mut records = vec![Record::Frame(frame), Record::Chunk(chunk)];
    let cycles: Vec<_> = [0, 1, 2, 5].map(|index| cycle(index, 3)).into();
    records.extend(cycles.iter().cloned().map(Record::Cycle));
    records.push(event(5 * PERIOD_NS, "overrun", "2 periods before cycle 5"));
    let summary = r#"{"exit":{"cause":"completed","message":"over","code":0}}"#;
    records.push(Record::Summary(summary.into()));
    let found = Exported::of(&header(3, &["front", "wrist"]), &records);

    let woke: Vec<_> = cycles.iter().map(|it| UNIX_NS + it.woke_ns).collect();
    for topic in
        ["/joint_states", "/joint_commands/requested", "/joint_commands/generated", "/cycle"]
    {
        let messages = found.messages(topic);
        assert_eq!(messages.iter().map(|it| it.0).collect::<Vec<_>>(), woke, "{topic}");
        assert_eq!(messages.iter().map(|it| it.2).collect::<Vec<_>>(), [0, 1, 2, 5], "{topic}");
    }
    let none = Vec::new();
    for (index, it) in cycles.iter().enumerate() {
        let at = |topic| found.joints(topic)[index].clone();
        let (position, velocity, effort) =
            (&it.measured, &it.measured_velocity, &it.measured_effort);
        assert_eq!(at("/joint_states"), [position.clone(), velocity.clone(), effort.clone()]);
        let requested = [it.requested.clone(), none.clone(), none.clone()];
        assert_eq!(at("/joint_commands/requested"), requested);
        let generated = [it.generated.clone(), none.clone(), none.clone()];
        assert_eq!(at("/joint_commands/generated"), generated);
        let limited = [it.limited.clone(), none.clone(), it.effort.clone()];
        assert_eq!(at("/joint_commands/limited"), limited);
        assert_eq!(at("/sensors"), [it.sensors.clone(), none.clone(), none.clone()]);
        // The newest measurement is the last joint's.
        let publish = found.messages("/joint_states")[index].1;
        assert_eq!(publish, UNIX_NS + it.scheduled_ns + 2);
        check_cycle(&found.messages("/cycle")[index].3, it, index.checked_sub(1).map(|i| woke[i]));
    }

    let [(log, publish, sequence, data)] = &found.messages("/cameras/wrist/compressed")[..] else {
        panic!("one image expected");
    };
    assert_eq!((*log, *publish, *sequence), (UNIX_NS + 9, UNIX_NS + 9, 7));
    let mut message = Message::new(data);
    assert_eq!(message.time(), UNIX_NS + 9);
    assert_eq!((message.string().as_str(), message.string().as_str()), ("wrist", "png"));
    assert_eq!(message.u32() as usize, png.len());
    assert_eq!(message.take(png.len()), png);

    let data = &found.messages("/policy/chunks")[0].3;
    let mut message = Message::new(data);
    let times = [message.time(), message.time(), message.time()].map(|at| at - UNIX_NS);
    assert_eq!(times, [2_000_000, 5_500_000, 1_000_000]);
    assert_eq!((message.u64(), message.u64()), (1, 3));
    assert_eq!([message.f64(), message.f64(), message.f64()], [3.5, 4.5, 100.0]);
    assert_eq!((message.u32(), message.f64s()), (2, vec![0.25, -1.0, 0.5, f64::MAX]));

    let lines = found.events();
    assert_eq!(lines[0], (30, "overrun".into(), "2 periods before cycle 5".into()));
    assert_eq!(lines[1], (20, "summary".into(), "completed: over (exit code 0)".into()));
    let attachments = found.attachments();
    assert_eq!(attachments["config.toml"], "[run]\nname = \"test\"\n");
    assert_eq!(attachments["summary.json"], summary);
    let metadata = found.metadata();
    assert_eq!(metadata["sinew.run"]["policy.sha256"], "ab12");
    assert_eq!(metadata["sinew.run"]["unix_ns"], UNIX_NS.to_string());
    assert_eq!(metadata["sinew.journal"]["ended_in_order"], "true");
    assert!(found.summary.complete && found.summary.tail == Tail::Complete);

    let statistics = found.index().stats.unwrap();
    let counted: u64 = found.summary.channels.iter().map(|channel| channel.messages).sum();
    assert_eq!((statistics.message_count, statistics.channel_count), (counted, 9));
    assert_eq!(counted, 6 * 4 + 2 + 2);
}

fn check_cycle(data: &[u8], it: &CycleRecord, before: Option<u64>) {
    let mut message = Message::new(data);
    let woke = message.time();
    assert_eq!(woke, UNIX_NS + it.woke_ns);
    assert_eq!(message.u64(), it.index);
    assert_eq!(message.f64(), (it.woke_ns - it.scheduled_ns) as f64 / 1e3);
    let period = message.f64();
    match before {
        Some(before) => assert_eq!(period, (woke - before) as f64 / 1e3),
        None => assert!(period.is_nan()),
    }
    assert_eq!(message.u64(), it.misses);
    let phases: Vec<_> = (0..6).map(|_| message.f64()).collect();
    assert_eq!(phases, [0.001, 0.002, 0.003, 0.004, 0.005, 1.5]);
    let numbers: Vec<_> = (0..5).map(|_| message.u8()).collect();
    assert_eq!(numbers, [it.state, it.hold, it.cause, it.operator, it.link]);
    assert_eq!((message.u32(), message.u64()), (it.epoch, it.sample));
    assert_eq!((message.u8(), message.u8(), message.u32()), (1, 0, 0));
    let age = message.f64();
    match it.observation_ns {
        Some(at) => assert_eq!(age, (it.woke_ns - at) as f64 / 1e6),
        None => assert!(age.is_nan()),
    }
    let ages = message.f64s();
    for (age, &at) in ages.iter().zip(&it.measured_ns) {
        let expected = (it.woke_ns as i64 - at as i64) as f64 / 1e6;
        assert!(if at == 0 { age.is_nan() } else { *age == expected }, "{age} {expected}");
    }
    assert_eq!((ages.len(), message.u16s()), (it.measured_ns.len(), it.clamps.clone()));
    message.end();
}

#[test]
fn a_torn_journal_gives_what_it_has_and_says_so() {
    let mut records: Vec<_> = (0..10).map(|index| Record::Cycle(cycle(index, 2))).collect();
    records.push(Record::Summary("{}".into()));
    // The summary is 12 bytes; the last cycle loses its end.
    let found = Exported::cut(&header(2, &[]), &records, 20);
    assert_eq!(found.joints("/joint_states").len(), 9);
    assert!(!found.summary.complete);
    assert!(matches!(found.summary.tail, Tail::Torn { .. }), "{:?}", found.summary.tail);
    let metadata = &found.metadata()["sinew.journal"];
    assert_eq!((metadata["tail"].as_str(), metadata["cycles"].as_str()), ("torn", "9"));
    assert_eq!(metadata["ended_in_order"], "false");
    let text = found.summary.to_string();
    assert!(text.contains("cut short") && text.contains("ends inside a record"), "{text}");
    assert!(!found.attachments().contains_key("summary.json"));
}

#[test]
fn a_journal_with_only_a_header_gives_a_file_without_channels() {
    let found = Exported::of(&header(2, &["front"]), &[]);
    assert_eq!(found.summary.channels, []);
    assert_eq!(found.index().stats.unwrap().message_count, 0);
    assert_eq!(found.attachments().len(), 1);
    assert!(found.summary.to_string().starts_with("no messages"));
}

#[test]
fn what_is_not_a_number_stays_what_it_is() {
    let mut first = cycle(0, 2);
    first.requested = vec![f64::NAN, f64::INFINITY];
    first.measured_ns = vec![0, 0];
    let found = Exported::of(&header(2, &[]), &[Record::Cycle(first.clone())]);
    let [requested, ..] = &found.joints("/joint_commands/requested")[0];
    assert_eq!(requested[0].to_bits(), f64::NAN.to_bits());
    assert_eq!(requested[1], f64::INFINITY);
    // Nothing was measured yet: the message carries the time of the cycle.
    let (log, publish, ..) = found.messages("/joint_states")[0];
    assert_eq!(log, publish);
    check_cycle(&found.messages("/cycle")[0].3, &first, None);
}

#[test]
fn thirty_two_joints_without_cameras_and_efforts_fit() {
    let mut one = cycle(4, 32);
    one.measured_velocity.clear();
    one.measured_effort.clear();
    one.generated.clear();
    one.effort.clear();
    one.sensors.clear();
    let found = Exported::of(&header(32, &[]), &[Record::Cycle(one.clone())]);
    assert_eq!(found.joints("/joint_states"), [[one.measured.clone(), vec![], vec![]]]);
    let topics: Vec<_> = found.summary.channels.iter().map(|it| it.topic.as_str()).collect();
    let expected =
        ["/joint_states", "/joint_commands/requested", "/joint_commands/limited", "/cycle"];
    assert_eq!(topics, expected);
    check_cycle(&found.messages("/cycle")[0].3, &one, None);
}

#[test]
fn stops_carry_the_level_of_their_cause() {
    let stop = CycleRecord { state: 3, cause: 2, ..cycle(1, 1) };
    let summary = r#"{"exit":{"cause":"tracking_error","message":"stuck","code":32}}"#;
    let records = [
        Record::Cycle(cycle(0, 1)),
        Record::Cycle(stop),
        event(PERIOD_NS, "state", "running → stopping: stuck\0"),
        Record::Summary(summary.into()),
    ];
    let found = Exported::of(&header(1, &[]), &records);
    let events = found.events();
    assert_eq!(events[0], (40, "state".into(), "running → stopping: stuck ".into()));
    assert_eq!(events[1].0, 40);
    assert_eq!(events[1].2, "tracking_error: stuck (exit code 32)");
}

#[test]
fn a_long_journal_is_written_in_chunks_with_indexes_and_checksums() {
    let records: Vec<_> = (0..3_000).map(|index| Record::Cycle(cycle(index, 8))).collect();
    let found = Exported::of(&header(8, &[]), &records);
    let index = found.index();
    assert!(index.chunk_indexes.len() > 2, "{}", index.chunk_indexes.len());
    assert!(index.chunk_indexes.iter().all(|chunk| !chunk.message_index_offsets.is_empty()));
    // One changed bit of a message is found.
    assert_eq!(found.messages("/cycle").len(), 3_000);
    let mut damaged = found.bytes.clone();
    let chunk = &index.chunk_indexes[1];
    damaged[(chunk.chunk_start_offset + chunk.chunk_length / 2) as usize] ^= 1;
    assert!(!checked(&damaged).all(|message| message.is_ok()));
}

#[test]
fn a_file_in_the_way_is_kept_unless_it_may_be_replaced() {
    let (folder, journal) = journal(&header(1, &[]), &[Record::Cycle(cycle(0, 1))]);
    let output = folder.path().join("a.mcap");
    fs::write(&output, b"mine").unwrap();
    let mut options = ExportOptions::default();
    let error = export(&journal, &output, &options, |_, _| {}).unwrap_err();
    assert!(matches!(error, ExportError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&output).unwrap(), b"mine");
    options.replace = true;
    export(&journal, &output, &options, |_, _| {}).unwrap();
    assert!(fs::read(&output).unwrap().starts_with(::mcap::MAGIC));

    let error = export(&journal, &journal, &options, |_, _| {}).unwrap_err();
    assert!(matches!(error, ExportError::Journal { .. }), "{error}");
    let error = export(&journal, folder.path(), &options, |_, _| {}).unwrap_err();
    assert!(matches!(error, ExportError::Folder { .. }), "{error}");
    assert_eq!(files(folder.path()), ["a.mcap", "journal.sinew"]);
}

#[test]
fn an_export_that_fails_leaves_nothing_behind() {
    let mut records: Vec<_> = (0..5).map(|index| Record::Cycle(cycle(index, 2))).collect();
    records.push(Record::Cycle(CycleRecord { limited: vec![1.0], ..cycle(5, 2) }));
    let (folder, journal) = journal(&header(2, &[]), &records);
    let output = folder.path().join("a.mcap");
    let error = export(&journal, &output, &ExportOptions::default(), |_, _| {}).unwrap_err();
    let text = "cycle 5 of the journal has 1 values of `limited`, not 2";
    assert_eq!(error.to_string(), text);
    assert_eq!(files(folder.path()), ["journal.sinew"]);
}

#[test]
fn progress_ends_near_the_journals_end() {
    let records: Vec<_> = (0..50).map(|index| Record::Cycle(cycle(index, 2))).collect();
    let (folder, journal) = journal(&header(2, &[]), &records);
    let mut seen = Vec::new();
    let output = folder.path().join("new/folder/a.mcap");
    export(&journal, &output, &ExportOptions::default(), |done, of| seen.push((done, of))).unwrap();
    assert_eq!(seen.len(), 50);
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let length = fs::metadata(&journal).unwrap().len();
    assert!(seen.iter().all(|&(done, of)| done < of && of == length));
}
