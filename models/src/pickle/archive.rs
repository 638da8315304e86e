//! The zip archive of `torch.save` and `torch.jit.save`.
//!
//! PyTorch stores pickles and numbers uncompressed and aligned, to map them into memory; only the
//! source code in TorchScript archives is compressed. So entries are views of the file here, and
//! nothing is ever inflated: there are no bombs. What a general reader would tolerate is refused:
//! entries that overlap or occur twice, headers that contradict the directory, comments, gaps before
//! the end. No crate does all that: they copy, and read whatever the directory says.

use super::quote;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most entries. A checkpoint has one for each tensor.
const MAX_ENTRIES: u64 = 100_000;
/// Marks of the parts of an archive.
const LOCAL: &[u8] = b"PK\x03\x04";
const DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
/// Lengths of their fixed parts.
const LOCAL_LEN: usize = 30;
const END_LEN: usize = 22;
const END_64_LEN: usize = 56;
const LOCATOR_64_LEN: usize = 20;
/// Flags that say how sizes and names are spelled, and that PyTorch sets.
const KNOWN_FLAGS: u16 = SIZES_BEHIND | 1 << 11;
/// The local header lacks sizes.
const SIZES_BEHIND: u16 = 1 << 3;
/// Extra field with 64-bit sizes.
const EXTRA_64: u16 = 1;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, or its end is missing.
    #[error("{}: neither an archive of torch.save (its last {END_LEN} bytes are no zip end record without a comment) nor the stream of PyTorch before 1.6; it is something else or truncated: copy it again", file.display())]
    NoEnd {
        /// Path of the file.
        file: PathBuf,
    },
    /// A record is not what the format prescribes.
    #[error("{}, byte {offset}: {found}; the archive is damaged or was not written by PyTorch: copy it again", file.display())]
    Broken {
        /// Path of the file.
        file: PathBuf,
        /// Where the record begins.
        offset: usize,
        /// What is wrong with it.
        found: &'static str,
    },
    /// More entries than a checkpoint could have.
    #[error("{}: announces {count} entries, at most {MAX_ENTRIES} are read", file.display())]
    TooMany {
        /// Path of the file.
        file: PathBuf,
        /// Entries announced.
        count: u64,
    },
    /// An entry that is needed is compressed or encrypted.
    #[error("{}, entry {entry}: is {found}; PyTorch stores such entries as they are: save the checkpoint again with torch.save", file.display())]
    Packed {
        /// Path of the file.
        file: PathBuf,
        /// Name of the entry.
        entry: String,
        /// What it is.
        found: &'static str,
    },
    /// A name occurs twice.
    #[error("{}, entry {entry}: occurs twice, and readers would disagree which one counts; save the checkpoint again with torch.save", file.display())]
    Duplicate {
        /// Path of the file.
        file: PathBuf,
        /// Name of the entry.
        entry: String,
    },
    /// Two entries share bytes.
    #[error("{}, entry {entry}: overlaps with entry {other}; no program writes that: do not trust the file", file.display())]
    Overlap {
        /// Path of the file.
        file: PathBuf,
        /// Name of one entry.
        entry: String,
        /// Name of the other.
        other: String,
    },
    /// An entry is not there.
    #[error("{}: has no entry {entry}; it is no checkpoint of torch.save", file.display())]
    Missing {
        /// Path of the file.
        file: PathBuf,
        /// Name of the entry.
        entry: String,
    },
    /// The content of an entry is not what was written.
    #[error("{}, entry {entry}: its checksum is wrong; it is damaged (copy it again), or was saved with torch.serialization.set_crc32_options(False): save it again without", file.display())]
    Checksum {
        /// Path of the file.
        file: PathBuf,
        /// Name of the entry.
        entry: String,
    },
    /// The byte order is not known.
    #[error("{}, entry byteorder: is {found:?}, needed \"little\" or \"big\"", file.display())]
    ByteOrder {
        /// Path of the file.
        file: PathBuf,
        /// What it holds, shortened.
        found: String,
    },
}

/// An entry: where its content is.
struct Entry {
    /// Content.
    data: Range<usize>,
    /// Where its local header begins.
    begin: usize,
    checksum: u32,
    /// What keeps it from being read.
    packed: Option<&'static str>,
}

/// A zip archive of stored entries.
pub(super) struct Archive<'a> {
    file: PathBuf,
    bytes: &'a [u8],
    entries: BTreeMap<String, Entry>,
}

/// The directory of an archive.
struct Directory {
    at: Range<usize>,
    count: u64,
}

impl<'a> Archive<'a> {
    /// Reads the directory and checks every entry against its own header and all others.
    pub(super) fn open(file: &Path, bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let mut archive = Self { file: file.to_path_buf(), bytes, entries: BTreeMap::new() };
        let directory = archive.directory()?;
        if directory.count > MAX_ENTRIES {
            let file = archive.file;
            return Err(ArchiveError::TooMany { file, count: directory.count });
        }
        let mut at = directory.at.start;
        for _ in 0..directory.count {
            at = archive.read_entry(at, &directory.at)?;
        }
        if at != directory.at.end {
            return Err(archive.broken(at, "its directory does not end where it should"));
        }
        archive.check_overlaps()?;
        Ok(archive)
    }

    /// Names in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Content of an entry, if there is one.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a [u8]>, ArchiveError> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        if let Some(found) = entry.packed {
            let file = self.file.clone();
            return Err(ArchiveError::Packed { file, entry: quote(name), found });
        }
        let data = &self.bytes[entry.data.clone()];
        if crc32fast::hash(data) == entry.checksum {
            return Ok(Some(data));
        }
        Err(ArchiveError::Checksum { file: self.file.clone(), entry: quote(name) })
    }

    /// Path of the file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn broken(&self, offset: usize, found: &'static str) -> ArchiveError {
        ArchiveError::Broken { file: self.file.clone(), offset, found }
    }

    /// A record of `length` bytes that begins with `mark`.
    fn record(&self, at: usize, mark: &[u8], length: usize) -> Result<Record<'a>, ArchiveError> {
        let record = at.checked_add(length).and_then(|end| self.bytes.get(at..end));
        let record = record.filter(|record| record.starts_with(mark));
        record.map(Record).ok_or_else(|| self.broken(at, "a record is missing"))
    }

    /// Finds the directory by the end of the file. PyTorch writes the 64-bit end record as well.
    fn directory(&self) -> Result<Directory, ArchiveError> {
        let no_end = || ArchiveError::NoEnd { file: self.file.clone() };
        let at = self.bytes.len().checked_sub(END_LEN).ok_or_else(no_end)?;
        let end = self.record(at, END, END_LEN).map_err(|_| no_end())?;
        if end.u16(20) != 0 {
            return Err(no_end());
        }
        let small = [u64::from(end.u16(10)), end.u32(12).into(), end.u32(16).into()];
        let locator_at = at.checked_sub(LOCATOR_64_LEN);
        let locator = locator_at.and_then(|at| self.record(at, LOCATOR_64, LOCATOR_64_LEN).ok());
        let ([count, size, begin], end_at) = match (locator, locator_at) {
            (Some(locator), Some(locator_at)) => {
                let end_at = usize::try_from(locator.u64(8)).unwrap_or(usize::MAX);
                if end_at.checked_add(END_64_LEN) != Some(locator_at) {
                    return Err(self.broken(locator_at, "its 64-bit end record is elsewhere"));
                }
                let end = self.record(end_at, END_64, END_64_LEN)?;
                let large = [end.u64(32), end.u64(40), end.u64(48)];
                let unsaid = [u64::from(u16::MAX), u32::MAX.into(), u32::MAX.into()];
                let agree = |i: usize| small[i] == large[i] || small[i] == unsaid[i];
                if !(0..3).all(agree) {
                    return Err(self.broken(at, "its two end records contradict each other"));
                }
                (large, end_at)
            }
            _ => (small, at),
        };
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if begin.checked_add(size) != Some(end_at) {
            return Err(self.broken(end_at, "its directory is not in front of its end record"));
        }
        Ok(Directory { at: begin..end_at, count })
    }

    /// Reads one entry of the directory and its local header. Returns where the next one begins.
    fn read_entry(&mut self, at: usize, directory: &Range<usize>) -> Result<usize, ArchiveError> {
        let listed = self.record(at, DIRECTORY, 46)?;
        let lengths = [28, 30, 32].map(|field| usize::from(listed.u16(field)));
        let next = at + 46 + lengths.iter().sum::<usize>();
        if next > directory.end {
            return Err(self.broken(at, "its directory does not end where it should"));
        }
        let name_bytes = &self.bytes[at + 46..][..lengths[0]];
        let extra = &self.bytes[at + 46 + lengths[0]..][..lengths[1]];
        let name = std::str::from_utf8(name_bytes);
        let name = name.map_err(|_| self.broken(at, "a name is not UTF-8"))?;
        let packed = match (listed.u16(8) & !KNOWN_FLAGS, listed.u16(10)) {
            (0, 0) => None,
            (0, _) => Some("compressed"),
            _ => Some("encrypted or of an unknown kind"),
        };
        let sizes = [listed.u32(24), listed.u32(20), listed.u32(42)];
        let [full_size, size, begin] = wide_sizes(sizes, extra)
            .ok_or_else(|| self.broken(at, "a size of more than 32 bits is missing"))?;
        if (packed.is_none() && size != full_size) || listed.u16(34) != 0 {
            return Err(self.broken(at, "an entry has two sizes, or is in another file"));
        }
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);

        let local = self.record(begin, LOCAL, LOCAL_LEN)?;
        let names = [26, 28].map(|field| usize::from(local.u16(field)));
        let named = self.bytes.get(begin + LOCAL_LEN..begin + LOCAL_LEN + names[0]);
        let same = |here: usize, there: usize| local.u16(here) == listed.u16(there);
        if named != Some(name_bytes) || !same(6, 8) || !same(8, 10) {
            return Err(self.broken(begin, "an entry's header contradicts the directory"));
        }
        let sizes_here = local.u16(6) & SIZES_BEHIND == 0;
        let same = |here: usize, there: usize| local.u32(here) == listed.u32(there);
        let wide = |here: usize| local.u32(here) == u32::MAX;
        let agree = (same(18, 20) || wide(18)) && (same(22, 24) || wide(22)) && same(14, 16);
        if sizes_here && !agree {
            return Err(self.broken(begin, "an entry's header contradicts the directory"));
        }
        let from = begin + LOCAL_LEN + names[0] + names[1];
        let Some(to) = from.checked_add(size).filter(|to| *to <= directory.start) else {
            return Err(self.broken(begin, "an entry reaches beyond the end of the data"));
        };
        let entry = Entry { data: from..to, begin, checksum: listed.u32(16), packed };
        match self.entries.entry(name.to_owned()) {
            btree_map::Entry::Vacant(vacant) => vacant.insert(entry),
            btree_map::Entry::Occupied(_) => {
                let file = self.file.clone();
                return Err(ArchiveError::Duplicate { file, entry: quote(name) });
            }
        };
        Ok(next)
    }

    fn check_overlaps(&self) -> Result<(), ArchiveError> {
        let mut in_order: Vec<_> = self.entries.iter().collect();
        in_order.sort_by_key(|(_, entry)| entry.begin);
        for pair in in_order.windows(2) {
            let [(other, before), (name, entry)] = [pair[0], pair[1]];
            if entry.begin < before.data.end {
                let file = self.file.clone();
                return Err(ArchiveError::Overlap {
                    file,
                    entry: quote(name),
                    other: quote(other),
                });
            }
        }
        Ok(())
    }
}

/// Sizes and offset of an entry, taken from its extra field where 32 bits do not hold them.
fn wide_sizes(sizes: [u32; 3], extra: &[u8]) -> Option<[u64; 3]> {
    let mut wide = wide_field(extra).unwrap_or_default();
    let mut result = [0; 3];
    for (size, result) in sizes.into_iter().zip(&mut result) {
        *result = if size == u32::MAX {
            let (first, rest) = wide.split_first_chunk()?;
            wide = rest;
            u64::from_le_bytes(*first)
        } else {
            size.into()
        };
    }
    Some(result)
}

/// Content of the extra field with 64-bit sizes.
fn wide_field(mut extra: &[u8]) -> Option<&[u8]> {
    while let Some((&[a, b, c, d], rest)) = extra.split_first_chunk() {
        let (field, rest) = rest.split_at_checked(u16::from_le_bytes([c, d]).into())?;
        if u16::from_le_bytes([a, b]) == EXTRA_64 {
            return Some(field);
        }
        extra = rest;
    }
    None
}

/// Bytes of a record, long enough for every field that is asked for.
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.0.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        bytes.unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.field(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.field(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.field(at))
    }
}
