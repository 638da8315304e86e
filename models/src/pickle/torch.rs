//! Files of `torch.save`: a pickle of tensors, and the storages of their numbers.

use super::archive::{Archive, ArchiveError};
use super::document::{Document, Kind};
use super::error::{Fault, Place};
use super::machine::Machine;
use super::source::Source;
use super::tensor::ElementType;
use super::{Classes, Limits, PickleError, plain_at, quote};
use std::collections::HashMap;
use std::path::Path;

/// How a stream of PyTorch before 1.6 begins: a pickle of the number 0x1950a86a20f9469cfc6c.
const STREAM_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The only version of that stream.
const STREAM_VERSION: i128 = 1001;

/// An archive of `torch.save` or `torch.jit.save`.
pub struct TorchArchive<'a> {
    archive: Archive<'a>,
    /// Folder of all entries, with its slash.
    prefix: String,
    big_endian: bool,
}

impl<'a> TorchArchive<'a> {
    /// Reads the directory of `bytes`. `file` is the name that errors use.
    ///
    /// # Errors
    /// [`ArchiveError`] if it is no archive, or not one that PyTorch writes.
    pub fn open(file: &Path, bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let archive = Archive::open(file, bytes)?;
        let missing = || ArchiveError::Missing { file: file.into(), entry: "data.pkl".to_owned() };
        let folder = |name: &str| {
            let prefix = name.strip_suffix("data.pkl")?;
            (prefix.find('/')? + 1 == prefix.len()).then(|| prefix.to_owned())
        };
        let prefix = archive.names().find_map(folder).ok_or_else(missing)?;
        let big_endian = match archive.get(&format!("{prefix}byteorder"))? {
            None | Some(b"little") => false,
            Some(b"big") => true,
            Some(other) => {
                let found = quote(&String::from_utf8_lossy(other));
                return Err(ArchiveError::ByteOrder { file: file.into(), found });
            }
        };
        Ok(Self { archive, prefix, big_endian })
    }

    /// Whether there is an entry of this name, for example `constants.pkl`.
    #[must_use]
    pub fn contains(&self, entry: &str) -> bool {
        let name = format!("{}{entry}", self.prefix);
        self.archive.names().any(|listed| listed == name)
    }

    /// Names of all entries in alphabetical order, without the folder that they are in.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.archive.names().map(|name| name.strip_prefix(&self.prefix).unwrap_or(name))
    }

    /// Reads one pickle. The numbers of its tensors are entries of the folder `storages`.
    /// TorchScript has two pickles, `data.pkl` with `data` and `constants.pkl` with `constants`.
    ///
    /// # Errors
    /// [`PickleError`], naming entry, position, opcode or name.
    pub fn pickle(
        &self,
        entry: &str,
        storages: &str,
        limits: &Limits,
        classes: Classes,
    ) -> Result<Document<'a>, PickleError> {
        let file = self.archive.file();
        let missing = || ArchiveError::Missing { file: file.into(), entry: quote(entry) };
        let bytes = self.archive.get(&format!("{}{entry}", self.prefix))?.ok_or_else(missing)?;
        let folder = format!("{}{storages}/", self.prefix);
        let storages = Storages::new(Origin::Archive(self, folder), self.big_endian);
        let mut machine = Machine::new(Place::start(file, Some(entry)), limits, classes, storages);
        let end = machine.run(bytes, 0)?;
        machine.refuse_rest(bytes, end)?;
        machine.finish()
    }
}

/// Whether a file is a stream of PyTorch before 1.6.
pub(super) fn is_stream(bytes: &[u8]) -> bool {
    bytes.starts_with(STREAM_MAGIC)
}

/// Reads a stream of PyTorch before 1.6: magic number, version, byte order and sizes of C types,
/// the value, the keys of its storages, and for each its length and numbers.
pub(super) fn read_stream<'a>(
    file: &Path,
    bytes: &'a [u8],
    limits: &Limits,
    classes: Classes,
) -> Result<Document<'a>, PickleError> {
    let place = Place::start(file, None);
    let broken = |offset, found| {
        let at = Place { offset, ..place.clone() };
        PickleError::Malformed { at, opcode: "STOP", found }
    };
    let start = STREAM_MAGIC.len();
    let (version, end) = plain_at(file, bytes, start, limits)?;
    if !matches!(version.root().kind(), Kind::Int(STREAM_VERSION)) {
        return Err(broken(start, "another version of the stream than 1001"));
    }
    let system_at = end;
    let (system, end) = plain_at(file, bytes, end, limits)?;
    let little = match system.root().kind() {
        Kind::Dict(entries) => entries.get("little_endian").map(|value| value.kind()),
        _ => None,
    };
    let Some(Kind::Bool(little)) = little else {
        return Err(broken(system_at, "no byte order"));
    };
    let storages = Storages::new(Origin::Stream, !little);
    let mut machine = Machine::new(place.clone(), limits, classes, storages);
    let end = machine.run(bytes, end)?;
    let keys_at = end;
    let (keys, mut end) = plain_at(file, bytes, end, limits)?;
    let Kind::List(keys) = keys.root().kind() else {
        return Err(broken(keys_at, "no list of storages"));
    };
    for key in keys.iter() {
        let Kind::Text(key) = key.kind() else {
            return Err(broken(keys_at, "a storage without a name"));
        };
        let at = Place { offset: end, ..place.clone() };
        end = machine.storages.bind(key, bytes, end).map_err(|fault| fault.at(at, "STOP"))?;
    }
    machine.refuse_rest(bytes, end)?;
    machine.finish()
}

/// Where the numbers of tensors come from.
enum Origin<'a, 'l> {
    /// Nowhere: a plain pickle has no tensors of PyTorch.
    None,
    /// Entries of a folder.
    Archive(&'l TorchArchive<'a>, String),
    /// Behind the pickle.
    Stream,
}

/// A storage that the pickle names.
pub(super) struct Storage<'a> {
    key: String,
    pub element: ElementType,
    /// Length in numbers.
    pub len: usize,
    /// Its numbers, once they are found.
    bytes: Option<&'a [u8]>,
}

impl Storage<'_> {
    fn bytes_needed(&self) -> usize {
        self.len.saturating_mul(self.element.size())
    }

    fn refuse(&self, found: impl Into<String>) -> Fault {
        let (key, needed) = (quote(&self.key), self.bytes_needed());
        Fault::Storage { key, needed, found: found.into() }
    }
}

/// All storages that a pickle names.
pub(super) struct Storages<'a, 'l> {
    origin: Origin<'a, 'l>,
    pub big_endian: bool,
    list: Vec<Storage<'a>>,
    by_key: HashMap<String, usize>,
}

impl<'a, 'l> Storages<'a, 'l> {
    /// None at all.
    pub(super) fn none() -> Self {
        Self::new(Origin::None, false)
    }

    fn new(origin: Origin<'a, 'l>, big_endian: bool) -> Self {
        Self { origin, big_endian, list: Vec::new(), by_key: HashMap::new() }
    }

    /// The storage of this place.
    pub(super) fn get(&self, index: usize) -> Option<&Storage<'a>> {
        self.list.get(index)
    }

    /// Notes a storage that the pickle names. Several tensors may name the same one.
    pub(super) fn name(
        &mut self,
        key: &str,
        element: ElementType,
        len: usize,
    ) -> Result<usize, Fault> {
        if let Some(index) = self.by_key.get(key) {
            let known = &self.list[*index];
            if (known.element, known.len) == (element, len) {
                return Ok(*index);
            }
            return Err(known.refuse("it was named before with another type or length"));
        }
        let mut storage = Storage { key: key.to_owned(), element, len, bytes: None };
        match &self.origin {
            Origin::None => {
                return Err(Fault::Opcode(
                    "tensors of PyTorch are in files of torch.save, not in plain pickles",
                ));
            }
            Origin::Archive(torch, folder) => {
                let found = torch.archive.get(&format!("{folder}{key}"));
                let Some(bytes) = found.map_err(Fault::Archive)? else {
                    return Err(storage.refuse("the archive has no such entry"));
                };
                if bytes.len() != storage.bytes_needed() {
                    return Err(storage.refuse(format!("its entry holds {} bytes", bytes.len())));
                }
                storage.bytes = Some(bytes);
            }
            Origin::Stream => {}
        }
        self.list.push(storage);
        self.by_key.insert(key.to_owned(), self.list.len() - 1);
        Ok(self.list.len() - 1)
    }

    /// Finds the numbers of a storage at `at` in a stream. Returns where they end.
    fn bind(&mut self, key: &str, bytes: &'a [u8], at: usize) -> Result<usize, Fault> {
        let Some(storage) = self.by_key.get(key).map(|index| &mut self.list[*index]) else {
            return Err(Fault::Malformed("a storage that no tensor names"));
        };
        if storage.bytes.is_some() {
            return Err(storage.refuse("it is listed twice"));
        }
        let mut source = Source::new(bytes, at);
        let length = source.array().ok_or(Fault::Truncated)?;
        let length =
            if self.big_endian { u64::from_be_bytes(length) } else { u64::from_le_bytes(length) };
        if usize::try_from(length) != Ok(storage.len) {
            return Err(storage.refuse(format!("{length} numbers are there")));
        }
        let Some(found) = source.take(storage.bytes_needed()) else {
            return Err(storage.refuse(format!("the file ends {} bytes on", source.left())));
        };
        storage.bytes = Some(found);
        Ok(source.position())
    }

    /// The numbers of all storages.
    pub(super) fn finish(self) -> Result<Vec<&'a [u8]>, Fault> {
        let bytes = |storage: Storage<'a>| {
            storage.bytes.ok_or_else(|| storage.refuse("the file does not list it"))
        };
        self.list.into_iter().map(bytes).collect()
    }
}
