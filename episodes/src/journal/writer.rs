//! Appending records.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::framing::{self, FRAME_BYTES, MAX_RECORD_BYTES};
use super::{ChunkRecord, CycleRecord, EventRecord, FrameRecord, Header, Record};

/// Pending bytes at which [`Writer::append`] writes without being asked.
const WRITE_AT: usize = 1 << 20;

/// Pending bytes beyond which records are dropped: while a disk is full, memory stays bounded.
const BACKLOG_LIMIT: usize = 32 << 20;

/// Why a journal could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file exists or cannot be made.
    #[error("cannot create the journal {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused bytes (disk full, for example). What was not written stays pending and
    /// the next flush tries again; the file ends with a whole record.
    #[error("cannot write to the journal {}: {source}; free space on that disk", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk failed to make durable what the system had taken. A system says this once: what was
    /// written before may be lost although later writes succeed.
    #[error(
        "the disk did not keep what was written to the journal {}: {source}; records of this run \
         may be lost, check the disk before the next", path.display()
    )]
    Sync {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A write failed and the torn record could not be cut off: nothing more is written, so that
    /// everything before it stays readable.
    #[error("the journal {} ends in a torn record that cannot be removed: {source}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Why it could not be cut off.
        source: io::Error,
    },
    /// The journal was given up earlier; see [`WriteError::Broken`].
    #[error("the journal {} was given up after an earlier write error", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// Writing has failed for so long that the record was dropped.
    #[error(
        "{pending_bytes} bytes wait for the journal {}: a record was dropped; free space on that disk",
        path.display()
    )]
    Backlog {
        /// The file.
        path: PathBuf,
        /// Bytes waiting.
        pending_bytes: usize,
    },
    /// The record is longer than [`MAX_RECORD_BYTES`].
    #[error("a record of {bytes} bytes is longer than the journal's limit of {MAX_RECORD_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The record has no encoding.
    #[error("cannot encode a record: {0}")]
    Encode(#[from] postcard::Error),
}

/// [`Record`] by reference, with the same encoding, so that nothing is copied to be written.
#[derive(Serialize)]
enum RecordRef<'a> {
    Header(&'a Header),
    Cycle(&'a CycleRecord),
    Frame(&'a FrameRecord),
    Chunk(&'a ChunkRecord),
    Event(&'a EventRecord),
    Summary(&'a str),
}

impl<'a> From<&'a Record> for RecordRef<'a> {
    fn from(record: &'a Record) -> Self {
        match record {
            Record::Header(header) => Self::Header(header),
            Record::Cycle(cycle) => Self::Cycle(cycle),
            Record::Frame(frame) => Self::Frame(frame),
            Record::Chunk(chunk) => Self::Chunk(chunk),
            Record::Event(event) => Self::Event(event),
            Record::Summary(summary) => Self::Summary(summary),
        }
    }
}

/// What a writer needs of a file.
trait Storage: Write {
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Appends records to a journal.
///
/// Records collect in memory until [`Writer::flush`] (or 1 MiB of them); a process that is killed
/// loses what it has not flushed, a machine that loses power what it has not synced. Dropping the
/// writer flushes once more, without a way to report an error: call `flush` before.
#[derive(Debug)]
pub struct Writer {
    file: Appender<File>,
}

impl Writer {
    /// Creates the file, which must not exist, and writes its first record through to the system.
    pub fn create(path: &Path, header: &Header) -> Result<Self, WriteError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(|source| WriteError::Create { path: path.to_owned(), source })?;
        let mut file = Appender::new(file, path.to_owned());
        file.append(&RecordRef::Header(header))?;
        file.flush()?;
        Ok(Self { file })
    }

    /// Adds a record.
    pub fn append(&mut self, record: &Record) -> Result<(), WriteError> {
        self.file.append(&RecordRef::from(record))
    }

    /// Adds a cycle; the same bytes as [`Record::Cycle`].
    pub fn append_cycle(&mut self, cycle: &CycleRecord) -> Result<(), WriteError> {
        self.file.append(&RecordRef::Cycle(cycle))
    }

    /// Adds a frame; the same bytes as [`Record::Frame`].
    pub fn append_frame(&mut self, frame: &FrameRecord) -> Result<(), WriteError> {
        self.file.append(&RecordRef::Frame(frame))
    }

    /// Adds a chunk; the same bytes as [`Record::Chunk`].
    pub fn append_chunk(&mut self, chunk: &ChunkRecord) -> Result<(), WriteError> {
        self.file.append(&RecordRef::Chunk(chunk))
    }

    /// Adds an event; the same bytes as [`Record::Event`].
    pub fn append_event(&mut self, event: &EventRecord) -> Result<(), WriteError> {
        self.file.append(&RecordRef::Event(event))
    }

    /// Adds the run's summary, the last record of an orderly end.
    pub fn append_summary(&mut self, json: &str) -> Result<(), WriteError> {
        self.file.append(&RecordRef::Summary(json))
    }

    /// Hands everything to the operating system: a killed process loses nothing of it.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.file.flush()
    }

    /// Flushes and waits for the disk: a power cut loses nothing of it.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.file.sync()
    }

    /// Records that wait in memory, for a disk that does not take them yet.
    pub fn pending(&self) -> u64 {
        self.file.ends.len() as u64
    }

    /// Records dropped because writing failed for too long.
    pub fn dropped(&self) -> u64 {
        self.file.dropped
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The error has nowhere to go; the file stays readable either way.
        let _ = self.file.flush();
    }
}

#[derive(Debug)]
struct Appender<S> {
    storage: S,
    path: PathBuf,
    /// Whole frames waiting; the preamble too at the start.
    buffer: Vec<u8>,
    /// Offsets in `buffer` at which a frame ends.
    ends: Vec<usize>,
    /// Bytes in the file, always up to the end of a frame.
    written: u64,
    dropped: u64,
    broken: bool,
}

impl<S: Storage> Appender<S> {
    fn new(storage: S, path: PathBuf) -> Self {
        let buffer = framing::preamble().to_vec();
        let ends = vec![buffer.len()];
        Self { storage, path, buffer, ends, written: 0, dropped: 0, broken: false }
    }

    fn append(&mut self, record: &RecordRef<'_>) -> Result<(), WriteError> {
        if self.broken {
            self.dropped += 1;
            return Err(WriteError::Closed { path: self.path.clone() });
        }
        if self.buffer.len() > BACKLOG_LIMIT {
            self.dropped += 1;
            let pending_bytes = self.buffer.len();
            return Err(WriteError::Backlog { path: self.path.clone(), pending_bytes });
        }
        let start = self.buffer.len();
        if let Err(error) = self.encode(record, start) {
            self.buffer.truncate(start);
            self.dropped += 1;
            return Err(error);
        }
        self.ends.push(self.buffer.len());
        if self.buffer.len() >= WRITE_AT { self.flush() } else { Ok(()) }
    }

    fn encode(&mut self, record: &RecordRef<'_>, start: usize) -> Result<(), WriteError> {
        self.buffer.extend_from_slice(&[0; FRAME_BYTES]);
        postcard::to_io(record, &mut self.buffer)?;
        let bytes = self.buffer.len() - start - FRAME_BYTES;
        let length = match u32::try_from(bytes) {
            Ok(length) if bytes <= MAX_RECORD_BYTES => length.to_le_bytes(),
            _ => return Err(WriteError::TooLarge { bytes }),
        };
        let (header, payload) = self.buffer[start..].split_at_mut(FRAME_BYTES);
        let sum = framing::checksum(length, payload).to_le_bytes();
        header[..4].copy_from_slice(&length);
        header[4..].copy_from_slice(&sum);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        self.flush()?;
        let path = &self.path;
        self.storage.sync().map_err(|source| WriteError::Sync { path: path.clone(), source })
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if self.broken {
            return Err(WriteError::Closed { path: self.path.clone() });
        }
        let mut taken = 0;
        let result = loop {
            if taken == self.buffer.len() {
                break Ok(());
            }
            match self.storage.write(&self.buffer[taken..]) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        // After an error the file may end inside a frame: keep the whole ones, cut the rest off.
        let whole = self.ends.iter().rposition(|&end| end <= taken).map_or(0, |index| index + 1);
        let kept =
            whole.checked_sub(1).and_then(|index| self.ends.get(index)).map_or(0, |end| *end);
        self.written += kept as u64;
        self.buffer.drain(..kept);
        self.ends.drain(..whole);
        for end in &mut self.ends {
            *end -= kept;
        }
        let Err(source) = result else { return Ok(()) };
        if taken > kept
            && let Err(source) = self.storage.truncate(self.written)
        {
            self.broken = true;
            return Err(WriteError::Broken { path: self.path.clone(), source });
        }
        Err(WriteError::Write { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with `space` bytes left.
    struct SmallDisk {
        bytes: Vec<u8>,
        space: usize,
        can_truncate: bool,
        can_sync: bool,
    }

    impl Write for SmallDisk {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let count = data.len().min(self.space - self.bytes.len());
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.bytes.extend_from_slice(&data[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Storage for SmallDisk {
        fn truncate(&mut self, length: u64) -> io::Result<()> {
            if !self.can_truncate {
                return Err(io::Error::from(io::ErrorKind::PermissionDenied));
            }
            self.bytes.truncate(length as usize);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.can_sync { Ok(()) } else { Err(io::Error::other("a bad sector")) }
        }
    }

    fn cycle(index: u64) -> CycleRecord {
        CycleRecord { index, measured: vec![index as f64; 6], ..CycleRecord::default() }
    }

    fn appender(space: usize, can_truncate: bool) -> Appender<SmallDisk> {
        let disk = SmallDisk { bytes: Vec::new(), space, can_truncate, can_sync: true };
        let mut appender = Appender::new(disk, PathBuf::from("disk"));
        let header = crate::journal::summary::tests::header();
        appender.append(&RecordRef::Header(&header)).unwrap();
        for index in 0..20 {
            appender.append(&RecordRef::Cycle(&cycle(index))).unwrap();
        }
        appender
    }

    fn indices(bytes: &[u8]) -> (Vec<u64>, crate::journal::Tail) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = crate::journal::Reader::open(&path).unwrap();
        let mut found = Vec::new();
        for record in &mut reader {
            if let Record::Cycle(cycle) = record.unwrap() {
                found.push(cycle.index);
            }
        }
        (found, reader.tail())
    }

    #[test]
    fn a_full_disk_leaves_whole_records_and_later_flushes_catch_up() {
        let total = {
            let mut roomy = appender(1 << 20, true);
            roomy.flush().unwrap();
            roomy.storage.bytes.len()
        };
        for space in (total / 3)..total {
            let mut small = appender(space, true);
            assert!(matches!(small.flush(), Err(WriteError::Write { .. })));
            let (found, tail) = indices(&small.storage.bytes);
            assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
            assert_eq!(tail, crate::journal::Tail::Complete);
            small.storage.space = 1 << 20;
            small.flush().unwrap();
            let (found, tail) = indices(&small.storage.bytes);
            assert_eq!(found, (0..20).collect::<Vec<_>>());
            assert_eq!(tail, crate::journal::Tail::Complete);
            assert_eq!(small.dropped, 0);
        }
    }

    #[test]
    fn a_disk_that_does_not_keep_is_told_from_one_that_is_full() {
        let mut small = appender(1 << 20, true);
        small.storage.can_sync = false;
        assert!(matches!(small.sync(), Err(WriteError::Sync { .. })));
        small.storage.space = small.storage.bytes.len();
        small.append(&RecordRef::Cycle(&cycle(20))).unwrap();
        assert!(matches!(small.sync(), Err(WriteError::Write { .. })));
    }

    #[test]
    fn a_torn_record_that_cannot_be_cut_off_closes_the_journal() {
        let mut small = appender(600, false);
        assert!(matches!(small.flush(), Err(WriteError::Broken { .. })));
        assert!(matches!(small.flush(), Err(WriteError::Closed { .. })));
        let again = small.append(&RecordRef::Cycle(&cycle(20)));
        assert!(matches!(again, Err(WriteError::Closed { .. })));
        let (found, tail) = indices(&small.storage.bytes);
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        assert!(matches!(tail, crate::journal::Tail::Torn { .. }));
    }

    #[test]
    fn a_backlog_is_bounded_and_counted() {
        let mut full = appender(0, true);
        let frame = FrameRecord { camera: 0, sequence: 0, captured_ns: 0, png: vec![7; 3 << 20] };
        let mut backlog = 0;
        for _ in 0..20 {
            match full.append(&RecordRef::Frame(&frame)) {
                Err(WriteError::Backlog { .. }) => backlog += 1,
                Err(WriteError::Write { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(full.dropped, backlog);
        assert!(backlog > 0);
        assert!(full.buffer.len() <= BACKLOG_LIMIT + (4 << 20));
    }

    #[test]
    fn references_encode_as_their_records() {
        let record = Record::Frame(FrameRecord {
            camera: 1,
            sequence: 2,
            captured_ns: 3,
            png: vec![1, 2, 200],
        });
        for record in [record, Record::Summary("{}".into()), Record::Cycle(cycle(9))] {
            let whole = postcard::to_stdvec(&record).unwrap();
            assert_eq!(whole, postcard::to_stdvec(&RecordRef::from(&record)).unwrap());
        }
    }
}
