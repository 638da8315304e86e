//! Getting records back, whatever happened to the end of the file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::framing::{self, FRAME_BYTES, MAGIC, MAX_RECORD_BYTES, PREAMBLE_BYTES, VERSION};
use super::{Header, Record};

/// Why a journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open the journal {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused to read.
    #[error("cannot read the journal {} at byte {offset}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The file does not begin as a journal does.
    #[error("{} is not a sinew journal: it does not begin with SINEWJNL", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// Another version of the layout.
    #[error(
        "the journal {} has version {found}; this sinew reads version {VERSION}: use the sinew that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The first record is missing or damaged: the run was killed before it began.
    #[error("the journal {} has no header record: the run ended before it began", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// No whole record at an offset that had one.
    #[error("the journal {} has no whole record at byte {offset}", path.display())]
    NoRecord {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}

impl ReadError {
    /// Whether the file itself is at fault, so that reading it again cannot help.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Open { .. } | Self::Io { .. })
    }
}

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Tail {
    /// Reading has not come to the end.
    Unread,
    /// With a whole record.
    Complete,
    /// Inside a record: the process or the machine stopped while writing.
    Torn {
        /// Where the last whole record ends.
        offset: u64,
        /// Bytes after it.
        dropped_bytes: u64,
    },
    /// With bytes that are not records. What is behind them is not read.
    Corrupt {
        /// Where they begin.
        offset: u64,
        /// Bytes from there on.
        dropped_bytes: u64,
    },
}

/// Reads a journal from the front. The header is read on opening; iteration gives the rest.
///
/// A damaged record whose length still leads to a whole one is skipped and counted
/// ([`Reader::skipped`]); so is a whole one with an unknown content. Any other damage ends the
/// iteration, and [`Reader::tail`] names it. No allocation is longer than the file, nor than
/// [`MAX_RECORD_BYTES`].
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    header: Header,
    /// Length of the file on opening: a file that still grows is read up to here.
    length: u64,
    /// Where the next record begins.
    offset: u64,
    /// Where the last returned record began.
    last: u64,
    skipped: u64,
    tail: Tail,
    payload: Vec<u8>,
}

#[expect(clippy::large_enum_variant, reason = "moved on at once, never kept")]
enum Step {
    Found(Record),
    Skip,
    End(Tail),
}

impl Reader {
    /// Opens a journal and reads its header.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let owned = path.to_owned();
        let open = |source| ReadError::Open { path: owned.clone(), source };
        let mut file = File::open(path).map_err(open)?;
        let length = file.metadata().map_err(open)?.len();
        let mut preamble = Vec::with_capacity(PREAMBLE_BYTES);
        (&mut file).take(PREAMBLE_BYTES as u64).read_to_end(&mut preamble).map_err(open)?;
        // A file cut inside the preamble was a journal if its beginning says so.
        if preamble.len() < PREAMBLE_BYTES && framing::preamble().starts_with(&preamble) {
            return Err(ReadError::NoHeader { path: owned });
        }
        let Some(([magic @ .., v0, v1, v2, v3], _)) =
            preamble.split_first_chunk::<PREAMBLE_BYTES>()
        else {
            return Err(ReadError::NotAJournal { path: owned });
        };
        if magic != &MAGIC {
            return Err(ReadError::NotAJournal { path: owned });
        }
        let found = u32::from_le_bytes([*v0, *v1, *v2, *v3]);
        if found != VERSION {
            return Err(ReadError::Version { path: owned, found });
        }
        let mut reader = Self {
            file: BufReader::with_capacity(1 << 16, file),
            path: owned,
            header: Header::default(),
            length,
            offset: PREAMBLE_BYTES as u64,
            last: PREAMBLE_BYTES as u64,
            skipped: 0,
            tail: Tail::Unread,
            payload: Vec::new(),
        };
        match reader.step()? {
            Step::Found(Record::Header(header)) => reader.header = header,
            _ => return Err(ReadError::NoHeader { path: reader.path }),
        }
        Ok(reader)
    }

    /// The first record.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How the file ends; [`Tail::Unread`] until iteration has ended.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// Records skipped because they were damaged or unknown.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Where the record returned last begins, for [`Reader::read_at`].
    pub fn last_offset(&self) -> u64 {
        self.last
    }

    /// Length of the file when it was opened, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the record at an offset that [`Reader::last_offset`] gave. Iteration goes on behind
    /// it.
    pub fn read_at(&mut self, offset: u64) -> Result<Record, ReadError> {
        let io = |source| ReadError::Io { path: self.path.clone(), offset, source };
        // A jump inside the buffer keeps it.
        let here = self.file.stream_position().map_err(io)?;
        match i64::try_from(i128::from(offset) - i128::from(here)) {
            Ok(distance) => self.file.seek_relative(distance).map_err(io)?,
            Err(_) => self.file.seek(SeekFrom::Start(offset)).map(drop).map_err(io)?,
        }
        self.offset = offset;
        match self.step()? {
            Step::Found(record) => Ok(record),
            Step::Skip | Step::End(_) => {
                Err(ReadError::NoRecord { path: self.path.clone(), offset })
            }
        }
    }

    fn read_exact(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.file.read_exact(bytes).map_err(|source| ReadError::Io {
            path: self.path.clone(),
            offset,
            source,
        })
    }

    /// Whether a whole record, or the end, is at `offset`. Leaves the position there.
    fn continues_at(&mut self, offset: u64) -> Result<bool, ReadError> {
        let remaining = self.length.saturating_sub(offset);
        if remaining == 0 {
            return Ok(false);
        }
        let Some(room) = remaining.checked_sub(FRAME_BYTES as u64) else { return Ok(false) };
        let mut header = [0; FRAME_BYTES];
        self.read_exact(offset, &mut header)?;
        let (length, sum) = framing::parse(header);
        let whole = length as usize <= MAX_RECORD_BYTES && length > 0 && u64::from(length) <= room;
        let mut good = false;
        if whole {
            let mut payload = vec![0; length as usize];
            self.read_exact(offset, &mut payload)?;
            good = framing::checksum(length.to_le_bytes(), &payload) == sum;
        }
        self.file.seek(SeekFrom::Start(offset)).map_err(|source| ReadError::Io {
            path: self.path.clone(),
            offset,
            source,
        })?;
        Ok(good)
    }

    fn step(&mut self) -> Result<Step, ReadError> {
        let offset = self.offset;
        let dropped_bytes = self.length.saturating_sub(offset);
        if dropped_bytes == 0 {
            return Ok(Step::End(Tail::Complete));
        }
        let torn = Step::End(Tail::Torn { offset, dropped_bytes });
        let corrupt = Step::End(Tail::Corrupt { offset, dropped_bytes });
        let Some(room) = dropped_bytes.checked_sub(FRAME_BYTES as u64) else { return Ok(torn) };
        let mut header = [0; FRAME_BYTES];
        self.read_exact(offset, &mut header)?;
        let (length, sum) = framing::parse(header);
        if length == 0 || length as usize > MAX_RECORD_BYTES {
            return Ok(corrupt);
        }
        if u64::from(length) > room {
            return Ok(torn);
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        payload.resize(length as usize, 0);
        let read = self.read_exact(offset, &mut payload);
        self.payload = payload;
        read?;
        self.offset = offset + FRAME_BYTES as u64 + u64::from(length);
        if framing::checksum(length.to_le_bytes(), &self.payload) != sum {
            if self.offset == self.length {
                return Ok(torn);
            }
            return Ok(if self.continues_at(self.offset)? { Step::Skip } else { corrupt });
        }
        Ok(match postcard::take_from_bytes::<Record>(&self.payload) {
            Ok((record, [])) => {
                self.last = offset;
                Step::Found(record)
            }
            // Whole, but not a record of ours: one from a later sinew.
            _ => Step::Skip,
        })
    }
}

impl Iterator for Reader {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.tail == Tail::Unread {
            match self.step() {
                Ok(Step::Found(record)) => return Some(Ok(record)),
                Ok(Step::Skip) => self.skipped += 1,
                Ok(Step::End(tail)) => self.tail = tail,
                Err(error) => {
                    let dropped_bytes = self.length.saturating_sub(self.offset);
                    self.tail = Tail::Corrupt { offset: self.offset, dropped_bytes };
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::summary::tests::header;
    use crate::journal::{CycleRecord, FrameRecord, Writer};

    const CYCLES: u64 = 12;

    fn written() -> Vec<u8> {
        static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        BYTES.get_or_init(write).clone()
    }

    fn write() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sinew");
        let mut writer = Writer::create(&path, &header()).unwrap();
        for index in 0..CYCLES {
            let measured = vec![index as f64, 0.5];
            writer.append_cycle(&CycleRecord { index, measured, ..Default::default() }).unwrap();
        }
        let frame = FrameRecord { camera: 0, sequence: 1, captured_ns: 2, png: vec![3; 3_000] };
        writer.append_frame(&frame).unwrap();
        writer.append_summary("{}").unwrap();
        drop(writer);
        std::fs::read(path).unwrap()
    }

    struct Found {
        cycles: Vec<u64>,
        others: usize,
        skipped: u64,
        tail: Tail,
    }

    fn read(bytes: &[u8]) -> Result<Found, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sinew");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = Reader::open(&path)?;
        let (mut cycles, mut others) = (Vec::new(), 0);
        for record in &mut reader {
            match record? {
                Record::Cycle(cycle) => cycles.push(cycle.index),
                _ => others += 1,
            }
        }
        Ok(Found { cycles, others, skipped: reader.skipped(), tail: reader.tail() })
    }

    /// Offsets of every record, and the end.
    fn offsets(bytes: &[u8]) -> Vec<usize> {
        let mut all = vec![PREAMBLE_BYTES];
        while let Some(&at) = all.last().filter(|&&at| at < bytes.len()) {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            all.push(at + FRAME_BYTES + length as usize);
        }
        all
    }

    #[test]
    fn everything_written_comes_back() {
        let found = read(&written()).unwrap();
        assert_eq!(found.cycles, (0..CYCLES).collect::<Vec<_>>());
        assert_eq!((found.others, found.skipped, found.tail), (2, 0, Tail::Complete));
    }

    #[test]
    fn a_cut_at_any_byte_loses_only_the_record_it_is_in() {
        let bytes = written();
        let offsets = offsets(&bytes);
        for cut in (0..offsets[13] + 40).chain(bytes.len() - 40..bytes.len()) {
            let whole = offsets.iter().filter(|&&at| at <= cut).count().saturating_sub(1);
            match read(&bytes[..cut]) {
                Err(ReadError::NoHeader { .. }) => assert!(cut < offsets[1], "{cut}"),
                Err(error) => panic!("{cut}: {error}"),
                Ok(found) => {
                    assert_eq!(found.cycles.len() + found.others, whole - 1, "{cut}");
                    let at = offsets[whole];
                    let expected = if at == cut {
                        Tail::Complete
                    } else {
                        Tail::Torn { offset: at as u64, dropped_bytes: (cut - at) as u64 }
                    };
                    assert_eq!(found.tail, expected, "{cut}");
                }
            }
        }
    }

    #[test]
    fn damage_in_one_payload_skips_one_record() {
        let bytes = written();
        let offsets = offsets(&bytes);
        let mut damaged = bytes.clone();
        damaged[offsets[4] + FRAME_BYTES + 3] ^= 0x10;
        let found = read(&damaged).unwrap();
        assert_eq!(found.cycles, (0..CYCLES).filter(|&i| i != 3).collect::<Vec<_>>());
        assert_eq!((found.skipped, found.tail), (1, Tail::Complete));
    }

    #[test]
    fn a_hostile_length_ends_the_file_there() {
        let bytes = written();
        let at = offsets(&bytes)[5];
        for length in [0, u32::MAX, MAX_RECORD_BYTES as u32 + 1, MAX_RECORD_BYTES as u32, 10] {
            let mut damaged = bytes.clone();
            damaged[at..at + 4].copy_from_slice(&length.to_le_bytes());
            let found = read(&damaged).unwrap();
            assert_eq!(found.cycles, (0..4).collect::<Vec<_>>(), "{length}");
            let (offset, dropped_bytes) = (at as u64, (bytes.len() - at) as u64);
            let expected = if length as usize == MAX_RECORD_BYTES {
                Tail::Torn { offset, dropped_bytes }
            } else {
                Tail::Corrupt { offset, dropped_bytes }
            };
            assert_eq!(found.tail, expected, "{length}");
        }
    }

    #[test]
    fn other_files_and_versions_are_named() {
        assert!(matches!(read(b"PAR1 and more bytes"), Err(ReadError::NotAJournal { .. })));
        assert!(matches!(read(b"PAR1"), Err(ReadError::NotAJournal { .. })));
        assert!(matches!(read(b""), Err(ReadError::NoHeader { .. })));
        let mut bytes = written();
        bytes[8] = 9;
        assert!(matches!(read(&bytes), Err(ReadError::Version { found: 9, .. })));
    }

    #[test]
    fn records_can_be_read_again_by_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sinew");
        let mut torn = written();
        torn.truncate(torn.len() - 1);
        std::fs::write(&path, torn).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let mut places = Vec::new();
        while let Some(record) = reader.next() {
            places.push((reader.last_offset(), record.unwrap()));
        }
        for (offset, record) in places.iter().rev().chain(&places) {
            assert_eq!(&reader.read_at(*offset).unwrap(), record);
        }
        assert!(matches!(reader.read_at(13), Err(ReadError::NoRecord { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

        #[test]
        fn random_bytes_never_panic_nor_invent_records(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut file = framing::preamble().to_vec();
            file.extend_from_slice(&bytes);
            let nothing = matches!(read(&file), Err(ReadError::NoHeader { .. }));
            prop_assert!(nothing);
        }

        #[test]
        fn damage_keeps_everything_before_it(
            at in 0_usize..1 << 20,
            patch in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let bytes = written();
            let offsets = offsets(&bytes);
            let at = offsets[1] + at % (bytes.len() - offsets[1]);
            let mut damaged = bytes.clone();
            for (byte, new) in damaged[at..].iter_mut().zip(&patch) {
                *byte = *new;
            }
            let found = read(&damaged).unwrap();
            let before = offsets.iter().filter(|&&o| o <= at).count().saturating_sub(2) as u64;
            let whole: Vec<u64> = (0..before.min(CYCLES)).collect();
            prop_assert_eq!(&found.cycles[..whole.len()], &whole[..]);
            prop_assert!(found.cycles.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
