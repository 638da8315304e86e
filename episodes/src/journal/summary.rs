//! What is in a journal, in numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arm_state::state_name;
use super::{ClampCause, CycleRecord, EventRecord, Header, ReadError, Reader, Record, Tail};

/// Description of one run's journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalInfo {
    /// The file.
    pub path: PathBuf,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// First record.
    pub header: Header,
    /// Control cycles.
    pub cycles: u64,
    /// Tick indices between the first and the last cycle that have no cycle.
    pub missed: u64,
    /// Cycles in each arm state that occurred, by state number.
    pub states: Vec<StateCount>,
    /// From the first to the last cycle, in seconds.
    pub duration_s: f64,
    /// Clamps that occurred, by joint and cause.
    pub clamps: Vec<ClampSummary>,
    /// Cycles in which a joint's measurement was a substitute, per joint.
    pub substituted: Vec<u64>,
    /// Chunks taken over.
    pub chunks: u64,
    /// Per camera of the header.
    pub cameras: Vec<CameraSummary>,
    /// Events in order.
    pub events: Vec<EventRecord>,
    /// The run's own summary; `None` if the run did not end in order.
    pub summary: Option<serde_json::Value>,
    /// Records that could not be read and were skipped.
    pub skipped: u64,
    /// How the file ends.
    pub tail: Tail,
}

/// Cycles in one arm state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateCount {
    /// Name of the state.
    pub state: &'static str,
    /// Cycles.
    pub cycles: u64,
}

/// Clamps of one joint for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClampSummary {
    /// Joint.
    pub joint: String,
    /// Cause.
    pub cause: &'static str,
    /// Cycles in which it happened.
    pub cycles: u64,
}

/// Frames of one camera.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CameraSummary {
    /// Name.
    pub name: String,
    /// Frames.
    pub frames: u64,
    /// Frames per second between the first and the last; `None` below two frames.
    pub rate_hz: Option<f64>,
    /// Longest time between two frames, in ms; `None` below two frames.
    pub longest_gap_ms: Option<f64>,
}

#[derive(Default)]
struct FrameTimes {
    frames: u64,
    first_ns: u64,
    last_ns: u64,
    longest_ns: u64,
}

#[derive(Default)]
struct Counts {
    cycles: u64,
    first: (u64, u64),
    last: (u64, u64),
    states: BTreeMap<&'static str, (u8, u64)>,
    clamps: BTreeMap<(usize, ClampCause), u64>,
    substituted: Vec<u64>,
}

impl Counts {
    fn add(&mut self, cycle: &CycleRecord) {
        if self.cycles == 0 {
            self.first = (cycle.index, cycle.scheduled_ns);
        }
        self.last = (cycle.index, cycle.scheduled_ns);
        self.cycles += 1;
        self.states.entry(state_name(cycle.state)).or_insert((cycle.state, 0)).1 += 1;
        for (joint, set) in cycle.clamps.iter().enumerate() {
            for cause in ClampCause::ALL {
                if set & cause.bit() != 0 {
                    *self.clamps.entry((joint, cause)).or_default() += 1;
                }
            }
        }
        for (joint, count) in self.substituted.iter_mut().enumerate().take(32) {
            *count += u64::from(cycle.substituted >> joint & 1);
        }
    }
}

/// Reads a journal through and describes it. Damage at the end is described, not an error.
pub fn describe(path: &Path) -> Result<JournalInfo, ReadError> {
    let mut reader = Reader::open(path)?;
    let header = reader.header().clone();
    let mut counts = Counts { substituted: vec![0; header.joints.len()], ..Counts::default() };
    let mut cameras: Vec<FrameTimes> =
        header.cameras.iter().map(|_| FrameTimes::default()).collect();
    let (mut chunks, mut events, mut summary) = (0, Vec::new(), None);
    for record in &mut reader {
        match record? {
            Record::Header(_) => {}
            Record::Cycle(cycle) => counts.add(&cycle),
            Record::Frame(frame) => {
                if let Some(times) = cameras.get_mut(frame.camera as usize) {
                    if times.frames == 0 {
                        times.first_ns = frame.captured_ns;
                    } else {
                        let gap = frame.captured_ns.saturating_sub(times.last_ns);
                        times.longest_ns = times.longest_ns.max(gap);
                    }
                    times.last_ns = frame.captured_ns;
                    times.frames += 1;
                }
            }
            Record::Chunk(_) => chunks += 1,
            Record::Event(event) => events.push(event),
            Record::Summary(json) => {
                summary =
                    Some(serde_json::from_str(&json).unwrap_or(serde_json::Value::String(json)));
            }
        }
    }
    let joint_name = |joint: usize| {
        header.joints.get(joint).map_or_else(|| format!("joint {joint}"), |meta| meta.name.clone())
    };
    let clamps = counts
        .clamps
        .iter()
        .map(|(&(joint, cause), &cycles)| ClampSummary {
            joint: joint_name(joint),
            cause: cause.name(),
            cycles,
        })
        .collect();
    let cameras = cameras
        .iter()
        .zip(&header.cameras)
        .map(|(times, meta)| {
            let span_s = times.last_ns.saturating_sub(times.first_ns) as f64 * 1e-9;
            let several = times.frames > 1 && span_s > 0.0;
            CameraSummary {
                name: meta.name.clone(),
                frames: times.frames,
                rate_hz: several.then(|| (times.frames - 1) as f64 / span_s),
                longest_gap_ms: several.then_some(times.longest_ns as f64 * 1e-6),
            }
        })
        .collect();
    let mut states: Vec<(u8, StateCount)> = counts
        .states
        .iter()
        .map(|(&state, &(number, cycles))| (number, StateCount { state, cycles }))
        .collect();
    states.sort_by_key(|(number, _)| *number);
    let ticks = match counts.cycles {
        0 => 0,
        _ => counts.last.0.saturating_sub(counts.first.0).saturating_add(1),
    };
    Ok(JournalInfo {
        path: path.to_owned(),
        bytes: reader.length(),
        cycles: counts.cycles,
        missed: ticks.saturating_sub(counts.cycles),
        states: states.into_iter().map(|(_, count)| count).collect(),
        duration_s: counts.last.1.saturating_sub(counts.first.1) as f64 / 1e9,
        clamps,
        substituted: counts.substituted,
        chunks,
        cameras,
        events,
        summary,
        skipped: reader.skipped(),
        tail: reader.tail(),
        header,
    })
}

impl fmt::Display for JournalInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.header;
        writeln!(f, "run        {} ({}), {} bytes", header.run, self.path.display(), self.bytes)?;
        let joints: Vec<_> =
            header.joints.iter().map(|joint| format!("{} [{}]", joint.name, joint.unit)).collect();
        writeln!(f, "robot      {}: {}", header.robot, joints.join(", "))?;
        if !header.task.is_empty() {
            writeln!(f, "task       {}", header.task)?;
        }
        if let Some(policy) = &header.policy {
            writeln!(f, "policy     {} from {}", policy.kind, policy.path)?;
        }
        let states: Vec<_> =
            self.states.iter().map(|count| format!("{} {}", count.cycles, count.state)).collect();
        writeln!(
            f,
            "cycles     {} at {} Hz in {:.3} s, {} missed ({})",
            self.cycles,
            header.rate_hz,
            self.duration_s,
            self.missed,
            if states.is_empty() { "none".to_owned() } else { states.join(", ") }
        )?;
        for clamp in &self.clamps {
            writeln!(
                f,
                "clamped    {} by {} in {} cycles",
                clamp.joint, clamp.cause, clamp.cycles
            )?;
        }
        for (meta, &count) in header.joints.iter().zip(&self.substituted) {
            if count > 0 {
                writeln!(f, "substitute {} in {count} cycles", meta.name)?;
            }
        }
        writeln!(f, "chunks     {}", self.chunks)?;
        for camera in &self.cameras {
            write!(f, "camera     {}: {} frames", camera.name, camera.frames)?;
            if let (Some(rate), Some(gap)) = (camera.rate_hz, camera.longest_gap_ms) {
                write!(f, ", {rate:.2} Hz, longest gap {gap:.1} ms")?;
            }
            writeln!(f)?;
        }
        for event in &self.events {
            let at = event.at_ns as f64 * 1e-9;
            writeln!(f, "event      {at:.3} s {}: {}", event.kind, event.message)?;
        }
        let end = match (self.tail, self.summary.is_some()) {
            (Tail::Complete | Tail::Unread, true) => "in order".to_owned(),
            (Tail::Complete | Tail::Unread, false) => {
                "without a summary: the run was cut short".to_owned()
            }
            (Tail::Torn { dropped_bytes, .. }, _) => {
                format!("inside a record: {dropped_bytes} bytes dropped")
            }
            (Tail::Corrupt { offset, dropped_bytes }, _) => {
                format!("damaged from byte {offset} on: {dropped_bytes} bytes dropped")
            }
        };
        write!(f, "end        {end}")?;
        if self.skipped > 0 {
            write!(f, "; {} damaged or unknown records skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::journal::{CameraMeta, FrameRecord, JointMeta, Writer};

    pub(in crate::journal) fn header() -> Header {
        Header {
            version: "0.1.0".into(),
            run: "a".into(),
            robot: "bench".into(),
            joints: vec![
                JointMeta { name: "joint1".into(), unit: "rad".into() },
                JointMeta { name: "gripper".into(), unit: "1".into() },
            ],
            cameras: vec![CameraMeta { name: "front".into(), width: 4, height: 2, rate_hz: 10.0 }],
            rate_hz: 100.0,
            dataset_rate_hz: 10.0,
            task: "wave".into(),
            ..Header::default()
        }
    }

    #[test]
    fn counts_are_those_of_the_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sinew");
        let mut writer = Writer::create(&path, &header()).unwrap();
        for index in [0_u64, 1, 2, 5, 6] {
            let cycle = CycleRecord {
                index,
                scheduled_ns: index * 10_000_000,
                state: if index < 2 { 1 } else { 2 },
                clamps: vec![0, if index == 5 { 0b101 } else { 0 }],
                substituted: if index == 6 { 0b10 } else { 0 },
                ..CycleRecord::default()
            };
            writer.append_cycle(&cycle).unwrap();
        }
        for (sequence, captured_ns) in [(0, 0), (1, 100_000_000), (2, 400_000_000)] {
            let frame = FrameRecord { camera: 0, sequence, captured_ns, png: vec![] };
            writer.append_frame(&frame).unwrap();
        }
        let event = EventRecord { at_ns: 5, kind: "stop".into(), message: "Ctrl-C".into() };
        writer.append_event(&event).unwrap();
        drop(writer);
        let info = describe(&path).unwrap();
        assert_eq!((info.cycles, info.missed, info.duration_s), (5, 2, 0.06));
        let states: Vec<_> = info.states.iter().map(|s| (s.state, s.cycles)).collect();
        assert_eq!(states, [("holding", 2), ("running", 3)]);
        let clamps: Vec<_> = info.clamps.iter().map(|c| (c.joint.as_str(), c.cause)).collect();
        assert_eq!(clamps, [("gripper", "position"), ("gripper", "acceleration")]);
        assert_eq!(info.substituted, [0, 1]);
        assert_eq!(info.cameras[0].frames, 3);
        assert_eq!(info.cameras[0].rate_hz, Some(5.0));
        assert_eq!(info.cameras[0].longest_gap_ms, Some(300.0));
        assert_eq!(info.events, [event]);
        assert_eq!((info.summary.clone(), info.tail), (None, Tail::Complete));
        let text = info.to_string();
        assert!(text.contains("clamped    gripper by acceleration in 1 cycles"), "{text}");
        assert!(text.ends_with("the run was cut short"), "{text}");
        assert!(serde_json::to_string(&info).unwrap().contains("\"tail\":{\"kind\":\"complete\"}"));
    }

    #[test]
    fn the_whole_range_of_ticks_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sinew");
        let mut writer = Writer::create(&path, &header()).unwrap();
        for index in [0, u64::MAX] {
            let cycle = CycleRecord { index, ..CycleRecord::default() };
            writer.append_cycle(&cycle).unwrap();
        }
        drop(writer);
        let info = describe(&path).unwrap();
        assert_eq!((info.cycles, info.missed), (2, u64::MAX - 2));
    }
}
