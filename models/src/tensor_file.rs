//! Strict access to the tensors of a safetensors file.
//!
//! The `safetensors` crate checks that offsets are contiguous, that they agree with shape and type,
//! and that products of dimensions do not overflow. Before it does, this module checks the header
//! for what the crate would accept or report without a name: tensors listed twice, and tensors that
//! end beyond the end of the file.

use crate::bounded_file::{self, ReadError};
use crate::quote::{list, quote, shape};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest header that is parsed, in bytes. A checkpoint of 10,000 tensors needs about 1 MB.
const MAX_HEADER: u64 = 16 << 20;

/// Names that an error lists before it only counts.
const LISTED_NAMES: usize = 5;

/// Why a tensor file, or a tensor in it, was refused.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is too short for the header that it announces, or announces an absurd one.
    #[error("{}: its first 8 bytes announce a header of {claimed} bytes, the file holds {available} bytes and at most {limit} are read; it is not a safetensors file, or it is truncated: copy it again", file.display())]
    HeaderLength {
        /// Path of the file.
        file: PathBuf,
        /// Announced length in bytes.
        claimed: u64,
        /// Size of the file in bytes.
        available: u64,
        /// Longest header that is read, in bytes.
        limit: u64,
    },
    /// The header is not what safetensors prescribes.
    #[error("{}: header is not valid: {}; copy the file again", file.display(), quote(&source.to_string()))]
    Header {
        /// Path of the file.
        file: PathBuf,
        /// What is wrong with the JSON.
        source: serde_json::Error,
    },
    /// A name occurs twice.
    #[error("{}: tensor {tensor} is listed twice; write the file again with unique names", file.display(), tensor = quote(tensor))]
    Duplicate {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// The data of a tensor ends beyond the end of the file.
    #[error("{}: tensor {tensor} ends at byte {end} of the data, the file holds {available}; it is truncated: copy it again", file.display(), tensor = quote(tensor))]
    Truncated {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Where its data would end, in bytes after the header.
        end: u64,
        /// Bytes after the header.
        available: u64,
    },
    /// Offsets, shapes and types contradict each other.
    #[error("{}: not a consistent safetensors file: {}; copy the file again", file.display(), quote(&source.to_string()))]
    Layout {
        /// Path of the file.
        file: PathBuf,
        /// The contradiction.
        source: SafeTensorError,
    },
    /// A tensor is not there.
    #[error("{}: tensor {tensor} is missing, needed with shape {needed}; {remedy}", file.display(), tensor = quote(tensor))]
    Missing {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Shape that it must have.
        needed: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A tensor has another element type.
    #[error("{}: tensor {tensor} has type {found}, needed {needed}; convert it", file.display(), tensor = quote(tensor))]
    Type {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Type in the file.
        found: String,
        /// Type that is needed.
        needed: &'static str,
    },
    /// A tensor has another shape.
    #[error("{}: tensor {tensor} has shape {found}, needed {needed}; it must come from the same training as config.json", file.display(), found = shape(found), tensor = quote(tensor))]
    Shape {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that is needed, in words where several would do.
        needed: String,
    },
    /// A tensor holds a number that cannot be used.
    #[error("{}: tensor {tensor} holds {value} at index {index}, needed {needed}; the training diverged or the file is damaged", file.display(), tensor = quote(tensor))]
    Value {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Position of the first such number.
        index: usize,
        /// The number.
        value: f32,
        /// What is allowed.
        needed: &'static str,
    },
    /// A tensor belongs to something that is not implemented.
    #[error("{}: tensor {tensor} belongs to {what}; {remedy}", file.display(), tensor = quote(tensor))]
    Unsupported {
        /// Path of the file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What it belongs to.
        what: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Tensors are left over.
    #[error("{}: {count} unknown tensor(s): {}; this architecture does not use them, and ignoring them could change what the policy does", file.display(), list(tensors))]
    Unknown {
        /// Path of the file.
        file: PathBuf,
        /// The first few names, in alphabetical order.
        tensors: Vec<String>,
        /// Number of unknown tensors.
        count: usize,
    },
}

/// The tensors of one file. Remembers which were taken, so that leftovers can be refused.
pub(crate) struct TensorFile<'a> {
    file: PathBuf,
    source: Source<'a>,
    /// Bytes before the data.
    data_begin: u64,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
    taken: BTreeSet<String>,
}

/// Where the bytes are.
enum Source<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file that is read tensor by tensor: weights are large, and are needed once.
    File(File),
}

impl TensorFile<'static> {
    /// Opens a file of at most `limit` bytes and reads its header.
    pub(crate) fn open(file: &Path, limit: u64) -> Result<Self, TensorError> {
        let (mut opened, length) = bounded_file::open(file, limit)?;
        let mut read = |count: u64| {
            let mut bytes = Vec::new();
            let result = (&mut opened).take(count).read_to_end(&mut bytes);
            result.map(|_| bytes).map_err(|source| bounded_file::system(file, source))
        };
        let mut start = read(8)?;
        let claimed = start.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        start.extend(read(claimed.min(MAX_HEADER))?);
        Self::index(file, &start, length, Source::File(opened))
    }
}

impl<'a> TensorFile<'a> {
    /// Reads the header in `bytes`, the content of `file`.
    pub(crate) fn parse(file: &Path, bytes: &'a [u8]) -> Result<Self, TensorError> {
        Self::index(file, bytes, bytes.len() as u64, Source::Bytes(bytes))
    }

    /// Reads the header at the start of a file that is `length` bytes long.
    fn index(
        file: &Path,
        start: &[u8],
        length: u64,
        source: Source<'a>,
    ) -> Result<Self, TensorError> {
        let path = || file.to_path_buf();
        let header = check_header(file, start, length)?;
        let parsed: Header = serde_json::from_slice(header)
            .map_err(|source| TensorError::Header { file: path(), source })?;
        let mut tensors: Vec<(String, TensorInfo)> = parsed.tensors.into_iter().collect();
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let layout = |source| TensorError::Layout { file: path(), source };
        let metadata = Metadata::new(parsed.metadata, tensors.clone()).map_err(layout)?;
        let data_begin = 8 + header.len() as u64;
        if data_begin + metadata.data_len() as u64 != length {
            return Err(layout(SafeTensorError::MetadataIncompleteBuffer));
        }
        Ok(Self {
            file: path(),
            source,
            data_begin,
            tensors: tensors.into_iter().collect(),
            metadata: metadata.metadata().clone().unwrap_or_default(),
            taken: BTreeSet::new(),
        })
    }

    /// Takes `part` out of all names.
    pub(crate) fn strip(&mut self, part: &str) -> Result<(), TensorError> {
        let mut stripped = BTreeMap::new();
        for (name, view) in std::mem::take(&mut self.tensors) {
            let tensor = name.replace(part, "");
            if stripped.insert(tensor.clone(), view).is_some() {
                return Err(TensorError::Duplicate { file: self.file.clone(), tensor });
            }
        }
        self.tensors = stripped;
        Ok(())
    }

    /// Path that errors name.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// SHA-256 of the whole file, in hexadecimal.
    pub(crate) fn sha256(&self) -> Result<String, TensorError> {
        let mut hash = Sha256::new();
        match &self.source {
            Source::Bytes(bytes) => hash.update(bytes),
            Source::File(file) => {
                let mut file = file;
                let system = |source| bounded_file::system(&self.file, source);
                file.seek(SeekFrom::Start(0)).map_err(system)?;
                let mut buffer = vec![0; 1 << 20];
                loop {
                    match file.read(&mut buffer).map_err(system)? {
                        0 => break,
                        count => hash.update(&buffer[..count]),
                    }
                }
            }
        }
        Ok(hexadecimal(hash))
    }

    /// Free-form metadata of the file.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Names in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor, if it is there.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|info| info.shape.as_slice())
    }

    /// Number of values of all tensors whose name starts with `prefix`.
    pub(crate) fn count_values(&self, prefix: &str) -> usize {
        let named = self.tensors.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, info)| info.shape.iter().product::<usize>()).sum()
    }

    /// Takes a tensor of this shape, finite `f32` numbers only.
    pub(crate) fn take(&mut self, name: &str, needed: &[usize]) -> Result<Vec<f32>, TensorError> {
        match self.shape(name) {
            None => Err(self.missing(name, format!("{needed:?}"))),
            Some(found) if found != needed => Err(self.misshaped(name, format!("{needed:?}"))),
            Some(_) => self.take_any_shape(name),
        }
    }

    /// Takes a tensor whatever its shape, finite `f32` numbers only.
    pub(crate) fn take_any_shape(&mut self, name: &str) -> Result<Vec<f32>, TensorError> {
        let data = self.bytes(name, Dtype::F32, "F32")?;
        let (numbers, _) = data.as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(self.bad_value(name, index, &values, "finite numbers"));
        }
        self.taken.insert(name.to_owned());
        Ok(values)
    }

    /// Takes a tensor of this shape, I64 numbers that are not negative.
    pub(crate) fn take_integers(
        &mut self,
        name: &str,
        needed: &[usize],
    ) -> Result<Vec<usize>, TensorError> {
        match self.shape(name) {
            None => return Err(self.missing(name, format!("{needed:?}"))),
            Some(found) if found != needed => {
                return Err(self.misshaped(name, format!("{needed:?}")));
            }
            Some(_) => {}
        }
        let data = self.bytes(name, Dtype::I64, "I64")?;
        let numbers = data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
        let mut values = Vec::with_capacity(numbers.len());
        for (index, number) in numbers.enumerate() {
            let Ok(value) = usize::try_from(number) else {
                let file = self.file.clone();
                let (tensor, value, needed) = (name.to_owned(), number as f32, "0 or more");
                return Err(TensorError::Value { file, tensor, index, value, needed });
            };
            values.push(value);
        }
        self.taken.insert(name.to_owned());
        Ok(values)
    }

    /// Bytes of a tensor of type U8.
    pub(crate) fn take_bytes(&mut self, name: &str) -> Result<Cow<'a, [u8]>, TensorError> {
        let data = self.bytes(name, Dtype::U8, "U8")?;
        self.taken.insert(name.to_owned());
        Ok(data)
    }

    /// Marks every tensor for which `expected` holds as known, although nothing reads it.
    pub(crate) fn expect(&mut self, expected: impl Fn(&str) -> bool) {
        let names = self.tensors.keys().filter(|name| expected(name));
        self.taken.extend(names.cloned());
    }

    /// Refuses tensors that were neither taken nor expected.
    pub(crate) fn finish(&self) -> Result<(), TensorError> {
        let left: Vec<&String> =
            self.tensors.keys().filter(|name| !self.taken.contains(*name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let tensors = left.iter().take(LISTED_NAMES).map(|name| (*name).clone()).collect();
        Err(TensorError::Unknown { file: self.file.clone(), tensors, count: left.len() })
    }

    /// Error for a tensor whose shape is not `needed`.
    pub(crate) fn misshaped(&self, name: &str, needed: String) -> TensorError {
        let found = self.shape(name).unwrap_or_default().to_vec();
        TensorError::Shape { file: self.file.clone(), tensor: name.to_owned(), found, needed }
    }

    /// Error for a tensor that is not there.
    pub(crate) fn missing(&self, name: &str, needed: impl Into<String>) -> TensorError {
        TensorError::Missing {
            file: self.file.clone(),
            tensor: name.to_owned(),
            needed: needed.into(),
            remedy: "it must come from the same training as config.json",
        }
    }

    /// Error for a number that is not `needed`.
    pub(crate) fn bad_value(
        &self,
        name: &str,
        index: usize,
        values: &[f32],
        needed: &'static str,
    ) -> TensorError {
        TensorError::Value {
            file: self.file.clone(),
            tensor: name.to_owned(),
            index,
            value: values.get(index).copied().unwrap_or(f32::NAN),
            needed,
        }
    }

    fn bytes(
        &self,
        name: &str,
        dtype: Dtype,
        needed: &'static str,
    ) -> Result<Cow<'a, [u8]>, TensorError> {
        let info = self.tensors.get(name).ok_or_else(|| self.missing(name, "any"))?;
        if info.dtype != dtype {
            return Err(TensorError::Type {
                file: self.file.clone(),
                tensor: name.to_owned(),
                found: format!("{:?}", info.dtype),
                needed,
            });
        }
        let (begin, end) = info.data_offsets;
        let first = self.data_begin + begin as u64;
        match &self.source {
            // The header's check has compared all offsets with the length.
            Source::Bytes(bytes) => Ok(Cow::Borrowed(&bytes[first as usize..][..end - begin])),
            Source::File(file) => {
                let mut bytes = vec![0; end - begin];
                let mut file = file;
                file.seek(SeekFrom::Start(first))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|source| bounded_file::system(&self.file, source))?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

/// The header as it is written.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Option<HashMap<String, String>>,
    #[serde(flatten)]
    tensors: HashMap<String, TensorInfo>,
}

/// Checks what can be said with a name before the crate sees the header, and returns the header.
fn check_header<'a>(file: &Path, bytes: &'a [u8], available: u64) -> Result<&'a [u8], TensorError> {
    let claimed = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let header_length =
        || TensorError::HeaderLength { file: file.into(), claimed, available, limit: MAX_HEADER };
    if claimed > MAX_HEADER {
        return Err(header_length());
    }
    let end = 8 + claimed as usize;
    let header = bytes.get(8..end).ok_or_else(header_length)?;
    let HeaderEntries(entries) = serde_json::from_slice(header)
        .map_err(|source| TensorError::Header { file: file.into(), source })?;
    // The file may have changed since it was measured.
    let available = available.checked_sub(end as u64).ok_or_else(header_length)?;
    let mut seen = BTreeSet::new();
    for (tensor, end) in entries {
        if end > available {
            return Err(TensorError::Truncated { file: file.into(), tensor, end, available });
        }
        if !seen.insert(tensor.clone()) {
            return Err(TensorError::Duplicate { file: file.into(), tensor });
        }
    }
    Ok(header)
}

/// Name and end offset of every tensor, in the order of the header, duplicates kept.
struct HeaderEntries(Vec<(String, u64)>);

#[derive(Deserialize)]
struct HeaderEntry {
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for HeaderEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = HeaderEntries;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<HeaderEntries, M::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let entry: HeaderEntry = map.next_value()?;
                        entries.push((name, entry.data_offsets.1));
                    }
                }
                Ok(HeaderEntries(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// SHA-256 of several parts as if they were one, in hexadecimal.
pub(crate) fn sha256_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hexadecimal(hash)
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<TensorFile<'_>, TensorError> {
        TensorFile::parse(Path::new("model.safetensors"), bytes)
    }

    const ONE: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

    #[test]
    fn header_claims_are_checked_before_anything_is_allocated() {
        let cases: [(Vec<u8>, &str); 8] = [
            (vec![], "announce a header of 0 bytes, the file holds 0"),
            (vec![255; 8], "announce a header of 18446744073709551615 bytes"),
            (file(ONE, 8)[..20].to_vec(), "announce a header of"),
            (file("{", 0), "header is not valid"),
            (file(ONE, 7), "tensor a ends at byte 8 of the data, the file holds 7"),
            (
                file(
                    r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                    4,
                ),
                "tensor a is listed twice",
            ),
            (
                file(
                    r#"{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8]}}"#,
                    8,
                ),
                "overflow",
            ),
            (
                file(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
                "not a consistent safetensors file",
            ),
        ];
        for (bytes, part) in cases {
            let message = parse(&bytes).err().expect("refused").to_string();
            assert!(message.contains(part), "{message}");
            assert!(message.starts_with("model.safetensors: "), "{message}");
        }
    }

    /// Sizes whose sum passes the range of `usize` must not reach the crate's additions.
    #[test]
    fn chained_huge_offsets_are_truncations() {
        let size = u64::MAX / 8;
        let entries: Vec<String> = (0..8)
            .map(|i| {
                let (start, end) = (size * i, size * (i + 1));
                format!(
                    r#""t{i}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{end}]}}"#
                )
            })
            .collect();
        let bytes = file(&format!("{{{}}}", entries.join(",")), 16);
        assert!(matches!(parse(&bytes), Err(TensorError::Truncated { available: 16, .. })));
    }

    #[test]
    fn a_file_is_read_as_its_bytes_are() {
        let bytes = file(ONE, 8);
        let opened = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(opened.path(), &bytes).unwrap();
        let mut tensors = TensorFile::open(opened.path(), 1000).unwrap();
        assert_eq!(tensors.sha256().unwrap(), parse(&bytes).unwrap().sha256().unwrap());
        assert_eq!(tensors.take("a", &[2]).unwrap(), [0.0, 0.0]);
        std::fs::write(opened.path(), &bytes[..20]).unwrap();
        let refused = TensorFile::open(opened.path(), 1000).err();
        assert!(matches!(refused, Some(TensorError::HeaderLength { available: 20, .. })));
        // Cut short after the header was read.
        assert!(matches!(tensors.take("a", &[2]), Err(TensorError::Read(_))));
    }

    #[test]
    fn types_shapes_and_values_are_checked_by_name() {
        let mut bytes = file(
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]}}"#,
            12,
        );
        let mut tensors = parse(&bytes).unwrap();
        assert!(matches!(tensors.take("c", &[2]), Err(TensorError::Missing { .. })));
        assert!(matches!(tensors.take("a", &[3]), Err(TensorError::Shape { .. })));
        assert!(matches!(tensors.take("b", &[2]), Err(TensorError::Type { .. })));
        assert_eq!(tensors.take("a", &[2]).unwrap(), [0.0, 0.0]);
        let leftover = tensors.finish().unwrap_err().to_string();
        assert!(leftover.contains("1 unknown tensor(s): b"), "{leftover}");
        tensors.expect(|name| name == "b");
        assert!(tensors.finish().is_ok());

        let end = bytes.len() - 8;
        bytes[end..end + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        let error = parse(&bytes).unwrap().take("a", &[2]).unwrap_err();
        assert!(matches!(error, TensorError::Value { index: 1, .. }), "{error}");
    }
}
