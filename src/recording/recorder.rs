//! The recorder: empties the ring and the inbox into the journal. It may be slow, its disk may be
//! full: the loop does not notice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sinew_episodes::journal::{
    ChunkRecord, EventRecord, FILE_NAME, FrameRecord, Header, WriteError, Writer,
};
use sinew_firmware_interfaces::{LinkStatus, StopRequest, Timestamp};

use super::overrun;
use super::sample::CycleSample;
use crate::supervision::{ArmState, Guard, HoldCause, StopCause};

/// Frames the inbox holds before it drops. They are large: this bounds memory.
const FRAMES: usize = 256;
/// Chunks and events the inbox holds before it drops. They are small, and without a chunk a run
/// cannot be replayed: two minutes of a policy that infers for every frame of a camera.
const RECORDS: usize = 4096;
/// What a killed process may lose: records not yet handed to the operating system.
const FLUSH: Duration = Duration::from_millis(200);
/// What a power cut may lose.
const SYNC: Duration = Duration::from_secs(1);
/// How often the recorder looks for work.
const POLL: Duration = Duration::from_millis(10);

/// Why a journal could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The run's folder cannot be made.
    #[error("cannot make the run's folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The journal cannot be begun.
    #[error(transparent)]
    Journal(#[from] WriteError),
}

/// What is no frame.
#[derive(Debug)]
enum Note {
    /// A chunk that inference has finished.
    Chunk(ChunkRecord),
    /// Something worth a line.
    Event(EventRecord),
}

/// The receiving end of the recorder's inbox.
#[derive(Debug)]
pub struct RecorderMessages {
    frames: Receiver<FrameRecord>,
    notes: Receiver<Note>,
}

/// The sending end of the recorder's inbox, for every thread but the control thread. It never
/// blocks: what finds no room is counted. Frames have room of their own, so that cameras never
/// crowd out a chunk.
#[derive(Clone, Debug)]
pub struct RecorderInbox {
    frames: SyncSender<FrameRecord>,
    notes: SyncSender<Note>,
    dropped_frames: Arc<AtomicU64>,
    dropped_records: Arc<AtomicU64>,
}

impl RecorderInbox {
    /// An inbox and its receiving end.
    pub fn new() -> (Self, RecorderMessages) {
        let (frames, received_frames) = sync_channel(FRAMES);
        let (notes, received_notes) = sync_channel(RECORDS);
        let messages = RecorderMessages { frames: received_frames, notes: received_notes };
        let (dropped_frames, dropped_records) = Default::default();
        (Self { frames, notes, dropped_frames, dropped_records }, messages)
    }

    /// Leaves an image.
    pub fn frame(&self, frame: FrameRecord) {
        if self.frames.try_send(frame).is_err() {
            self.dropped_frames.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Leaves a chunk.
    pub fn chunk(&self, chunk: ChunkRecord) {
        self.leave(Note::Chunk(chunk));
    }

    /// Leaves an event.
    pub fn event(&self, at: Timestamp, kind: &str, message: String) {
        let kind = kind.to_owned();
        self.leave(Note::Event(EventRecord { at_ns: at.as_nanos(), kind, message }));
    }

    fn leave(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.dropped_records.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Frames and other records dropped so far.
    pub fn dropped(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.dropped_frames), count(&self.dropped_records))
    }
}

/// How a recording went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderReport {
    /// Records the disk did not take.
    pub unwritten: u64,
    /// The last write error, if records are missing. Records that were only late are all there.
    pub fault: Option<String>,
}

/// Someone who looks on, on the recorder's thread: for a screen. What it does must be cheap.
pub trait Observer: Send {
    /// A cycle was recorded.
    fn sample(&mut self, sample: &CycleSample);
    /// An event was recorded.
    fn event(&mut self, event: &EventRecord);
    /// How the recording goes: the last write error, and records the disk did not take.
    fn recording(&mut self, fault: Option<&str>, unwritten: u64);
}

/// The recorder with its journal.
pub struct Recorder {
    header: Header,
    writer: Writer,
    period: Duration,
    ring: rtrb::Consumer<CycleSample>,
    inbox: RecorderMessages,
    /// Chunks that the control thread has not taken over yet.
    chunks: Vec<ChunkRecord>,
    previous: Option<CycleSample>,
    flushed: Timestamp,
    synced: Timestamp,
    unsynced: bool,
    fault: Option<String>,
    /// The disk could not keep what it had taken. It says so once; what came later may be durable,
    /// what came before is not known to be.
    sync_failed: Option<String>,
    /// The disk takes nothing at present.
    refused: bool,
    observers: Vec<Box<dyn Observer>>,
    /// What a guard that stops the run says.
    guards: Vec<Guard>,
}

impl Recorder {
    /// Makes the folder, if need be, and begins the journal in it.
    ///
    /// # Errors
    /// [`RecorderError`] when folder or file cannot be made.
    pub fn create(
        folder: &std::path::Path,
        header: &Header,
        ring: rtrb::Consumer<CycleSample>,
        inbox: RecorderMessages,
    ) -> Result<Self, RecorderError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| RecorderError::Folder { path: folder.to_owned(), source })?;
        let writer = Writer::create(&folder.join(FILE_NAME), header)?;
        Ok(Self {
            header: header.clone(),
            writer,
            period: Duration::from_secs_f64(1.0 / header.rate_hz.max(1e-3)),
            ring,
            inbox,
            chunks: Vec::new(),
            previous: None,
            flushed: Timestamp::ZERO,
            synced: Timestamp::ZERO,
            unsynced: false,
            fault: None,
            sync_failed: None,
            refused: false,
            observers: Vec::new(),
            guards: Vec::new(),
        })
    }

    /// Says of each guard of the cycle what it saw, when it stops the run.
    pub fn explain(&mut self, guards: &[Guard]) {
        self.guards = guards.to_vec();
    }

    /// Lets `observer` look on from now on.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }

    /// Empties ring and inbox, flushes when due, and returns when to be called again.
    pub fn step(&mut self, now: Timestamp) -> Timestamp {
        self.drain();
        if now.since(self.flushed) >= FLUSH {
            self.flushed = now;
            let result = self.writer.flush();
            self.tell(now, result.as_ref().err());
            self.check(result);
        }
        if self.unsynced && now.since(self.synced) >= SYNC {
            self.synced = now;
            let result = self.writer.sync();
            self.unsynced = result.is_err();
            self.check_sync(now, result);
        }
        let unwritten = self.unwritten();
        for observer in &mut self.observers {
            observer.recording(self.fault.as_deref(), unwritten);
        }
        now.after(POLL)
    }

    /// The journal's header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The latest cycle, for a status line.
    pub fn latest(&self) -> Option<&CycleSample> {
        self.previous.as_ref()
    }

    /// Empties everything once more, makes it durable, and says how the recording went so far: all
    /// that the run's summary in the journal can know of it.
    pub fn settle(&mut self) -> RecorderReport {
        self.drain();
        let at = self.previous.as_ref().map_or(self.synced, |sample| sample.tick.woke);
        let synced = self.writer.sync();
        let complete = synced.is_ok();
        self.check_sync(at, synced);
        let unwritten = self.writer.dropped() + self.writer.pending();
        let fault = self.fault.clone().filter(|_| unwritten > 0 || !complete);
        RecorderReport { unwritten, fault: self.sync_failed.clone().or(fault) }
    }

    /// Empties everything once more, appends the run's summary and makes it durable.
    pub fn finish(mut self, summary: &str) -> RecorderReport {
        self.drain();
        let result = self.writer.append_summary(summary);
        self.check(result);
        self.settle()
    }

    /// Says once that the disk takes nothing, and once that it does again.
    fn tell(&mut self, now: Timestamp, error: Option<&WriteError>) {
        if self.refused == error.is_some() {
            return;
        }
        self.refused = error.is_some();
        let message = match error {
            Some(error) => error.to_string(),
            None => format!(
                "the disk takes records again; {} were dropped meanwhile",
                self.writer.dropped()
            ),
        };
        self.event(EventRecord { at_ns: now.as_nanos(), kind: "recording".to_owned(), message });
    }

    /// Why records may be missing, so far.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Records the disk did not take, so far.
    pub fn unwritten(&self) -> u64 {
        self.writer.dropped()
    }

    fn drain(&mut self) {
        self.drain_inbox();
        while let Ok(sample) = self.ring.pop() {
            self.unsynced = true;
            if sample.chunk > self.chunks.last().map_or(0, |chunk| chunk.sequence) {
                // Its record is on its way, or arrived since the inbox was emptied.
                self.drain_inbox();
            }
            self.sample(&sample);
        }
    }

    fn drain_inbox(&mut self) {
        while let Ok(note) = self.inbox.notes.try_recv() {
            self.unsynced = true;
            match note {
                Note::Chunk(chunk) => self.chunks.push(chunk),
                Note::Event(event) => self.event(event),
            }
        }
        while let Ok(frame) = self.inbox.frames.try_recv() {
            self.unsynced = true;
            let result = self.writer.append_frame(&frame);
            self.check(result);
        }
    }

    fn sample(&mut self, sample: &CycleSample) {
        if sample.chunk != 0 {
            // Chunks are taken over in order; a cycle may take several.
            let mut taken = std::mem::take(&mut self.chunks);
            self.chunks = taken.split_off(taken.partition_point(|it| it.sequence <= sample.chunk));
            for mut chunk in taken {
                chunk.cycle = sample.tick.index;
                let result = self.writer.append_chunk(&chunk);
                self.check(result);
            }
        }
        let record = sample.record(self.header.joints.len(), self.header.sensors.len());
        let result = self.writer.append_cycle(&record);
        self.check(result);
        for (kind, message) in
            events(self.previous.as_ref(), sample, &self.header, &self.guards, self.period)
        {
            let at_ns = sample.tick.scheduled.as_nanos();
            self.event(EventRecord { at_ns, kind: kind.to_owned(), message });
        }
        self.previous = Some(*sample);
        for observer in &mut self.observers {
            observer.sample(sample);
        }
    }

    fn event(&mut self, event: EventRecord) {
        for observer in &mut self.observers {
            observer.event(&event);
        }
        let result = self.writer.append_event(&event);
        self.check(result);
    }

    /// Keeps what the disk said about durability, and says the first of it.
    fn check_sync(&mut self, now: Timestamp, result: Result<(), WriteError>) {
        if let Err(error @ WriteError::Sync { .. }) = &result
            && self.sync_failed.is_none()
        {
            let message = error.to_string();
            self.sync_failed = Some(message.clone());
            let (at_ns, kind) = (now.as_nanos(), "recording".to_owned());
            self.event(EventRecord { at_ns, kind, message });
        }
        self.check(result);
    }

    fn check(&mut self, result: Result<(), WriteError>) {
        if let Err(error) = result {
            self.fault = Some(error.to_string());
        }
    }
}

/// What changed between two cycles, in words.
fn events(
    previous: Option<&CycleSample>,
    sample: &CycleSample,
    header: &Header,
    guards: &[Guard],
    period: Duration,
) -> Vec<(&'static str, String)> {
    let joints = &header.joints;
    let mut events = Vec::new();
    let joint = |index: u8| joints.get(index as usize).map_or("?", |joint| joint.name.as_str());
    if let Some((from, to)) = sample.outcome.changed {
        let why = match (sample.cause, sample.hold) {
            (Some(cause), _) => cause.message(),
            (None, Some(hold)) => hold.message(),
            (None, None) => "a target speaks for the present",
        };
        events.push(("state", format!("{} → {}: {why}", from.name(), to.name())));
    }
    let before = previous.and_then(|previous| previous.hold);
    if sample.outcome.changed.is_none()
        && let (Some(hold), true) = (sample.hold, before != sample.hold && previous.is_some())
    {
        events.push(("hold", hold.message().to_owned()));
    }
    if let (Some(offender), Some(cause)) = (sample.outcome.offender, sample.cause) {
        let name = joint(offender);
        events.push(match cause {
            StopCause::Guard => {
                let guard = guards.get(usize::from(offender));
                ("guard", guard.map_or_else(String::new, |guard| guard.message(&sample.state)))
            }
            StopCause::TrackingError => {
                let of = |values: &[f64]| values.get(usize::from(offender)).copied();
                let measured = of(&sample.state.position).unwrap_or_default();
                let commanded = of(&sample.outcome.limited).unwrap_or_default();
                ("tracking", format!("{name}: measured {measured:.4}, commanded {commanded:.4}"))
            }
            _ => ("fault", format!("{name}: {}", cause.message())),
        });
    }
    let link = previous.map(|previous| previous.state.link);
    let same = link == Some(LinkStatus::Up)
        && previous.is_some_and(|previous| previous.state.epoch == sample.state.epoch);
    let left = sample.outcome.left;
    let begins = match left {
        true => "it stays left to itself",
        false => "commands begin again at the measured position",
    };
    if sample.outcome.restarted && same {
        events.push(("blind", format!("the arm is seen again: {begins}")));
    } else if sample.outcome.restarted {
        events.push(("reconnect", format!("connection {}: {begins}", sample.state.epoch)));
    }
    let goes_on =
        matches!(sample.outcome.state, ArmState::Holding | ArmState::Running | ArmState::Stopping);
    if sample.outcome.request == Some(StopRequest::Hold) && left {
        let message = "efforts cannot be trusted with this stop: none is sent, and the arm was told \
                       to hold by itself";
        events.push(("hold", message.to_owned()));
    } else if sample.outcome.request == Some(StopRequest::Hold) && goes_on {
        let message = "no measurement that an effort may answer to: nothing is sent, and the arm \
                       was told to hold by itself";
        events.push(("blind", message.to_owned()));
    }
    if link.is_some_and(|link| link != sample.state.link) {
        events.push((
            "link",
            match sample.state.link {
                LinkStatus::Up => "the robot answers again".to_owned(),
                LinkStatus::Down => HoldCause::LinkDown.message().to_owned(),
                LinkStatus::Lost => "the driver has given up on the link".to_owned(),
            },
        ));
    }
    if sample.inputs.misses > 0 {
        events.push(("overrun", overrun::message(previous, sample, period, joints)));
    }
    let news =
        sample.state.substituted & !previous.map_or(0, |previous| previous.state.substituted);
    for index in 0..joints.len() as u8 {
        if news & (1 << index) != 0 {
            let message =
                format!("{}: measured value replaced by the last commanded", joint(index));
            events.push(("substituted", message));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use sinew_episodes::journal::{Reader, Record};

    use super::*;

    fn recorder(folder: &std::path::Path) -> (Recorder, RecorderInbox) {
        let (inbox, messages) = RecorderInbox::new();
        let (_, ring) = rtrb::RingBuffer::new(1);
        let header = Header { rate_hz: 100.0, ..Header::default() };
        (Recorder::create(folder, &header, ring, messages).unwrap(), inbox)
    }

    fn events(folder: &std::path::Path) -> Vec<EventRecord> {
        let reader = Reader::open(&folder.join(FILE_NAME)).unwrap();
        let event = |record| if let Record::Event(event) = record { Some(event) } else { None };
        reader.filter_map(|record| event(record.unwrap())).collect()
    }

    #[test]
    fn what_the_disk_did_not_keep_once_stays_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recorder, _inbox) = recorder(folder.path());
        let error = || WriteError::Sync {
            path: FILE_NAME.into(),
            source: std::io::Error::other("a bad sector"),
        };
        recorder.check_sync(Timestamp::from_nanos(5), Err(error()));
        recorder.check_sync(Timestamp::from_nanos(6), Err(error()));
        // Every later sync succeeds.
        recorder.step(Timestamp::from_nanos(5_000_000_000));
        assert!(recorder.settle().fault.is_some_and(|fault| fault.contains("a bad sector")));
        let report = recorder.finish("{}");
        assert_eq!(report.unwritten, 0);
        assert!(report.fault.is_some_and(|fault| fault.contains("a bad sector")));
        let events = events(folder.path());
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].at_ns, events[0].kind.as_str()), (5, "recording"));
    }

    #[test]
    fn frames_do_not_crowd_out_chunks_and_events() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recorder, inbox) = recorder(folder.path());
        for sequence in 0..1000 {
            inbox.frame(FrameRecord { camera: 0, sequence, captured_ns: 0, png: Vec::new() });
        }
        for sequence in 1..1000 {
            inbox.chunk(ChunkRecord {
                cycle: 0,
                sequence,
                observation_ns: 0,
                started_ns: 0,
                finished_ns: 0,
                step_ns: 0,
                action_size: 0,
                actions: Vec::new(),
            });
        }
        inbox.event(Timestamp::ZERO, "note", "there is room".to_owned());
        assert_eq!(inbox.dropped(), (1000 - FRAMES as u64, 0));
        recorder.drain_inbox();
        assert_eq!(recorder.chunks.len(), 999);
        recorder.finish("{}");
        assert_eq!(events(folder.path()).len(), 1);
    }
}
