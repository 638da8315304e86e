//! Writes what PyTorch and NumPy write, and what they never would.
#![allow(dead_code, clippy::unwrap_used)]

use sinew_models::pickle::{self, Classes, Kind, Limits};
use std::collections::BTreeMap;
use std::path::Path;

/// Shape and numbers.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// One entry of an archive, with claims that may be false.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    /// Instead of the checksum of the data.
    pub checksum: Option<u32>,
    /// Instead of the size of the data: packed and full.
    pub sizes: Option<[u32; 2]>,
    /// Instead of the place of the local header.
    pub begin: Option<u32>,
    /// Instead of the name in the local header.
    pub local_name: Option<String>,
}

impl Entry {
    pub fn new(name: &str, data: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            data: data.into(),
            method: 0,
            flags: 0,
            checksum: None,
            sizes: None,
            begin: None,
            local_name: None,
        }
    }
}

/// A zip archive.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let begin = entry.begin.unwrap_or(bytes.len() as u32);
        let size = entry.data.len() as u32;
        let [packed, full] = entry.sizes.unwrap_or([size, size]);
        let checksum = entry.checksum.unwrap_or_else(|| crc32fast::hash(&entry.data));
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let common = |name: &str| {
            let mut header = Vec::new();
            for field in [20, entry.flags, entry.method, 0, 0] {
                header.extend(u16::to_le_bytes(field));
            }
            for field in [checksum, packed, full] {
                header.extend(u32::to_le_bytes(field));
            }
            header.extend(u16::to_le_bytes(name.len() as u16));
            header.extend([0, 0]);
            header
        };
        bytes.extend(b"PK\x03\x04");
        bytes.extend(common(local_name));
        bytes.extend(local_name.bytes());
        bytes.extend(&entry.data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(common(&entry.name));
        directory.extend([0; 10]);
        directory.extend(begin.to_le_bytes());
        directory.extend(entry.name.bytes());
    }
    let (begin, size) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([entries.len() as u16; 2].map(u16::to_le_bytes).concat());
    bytes.extend([size, begin].map(u32::to_le_bytes).concat());
    bytes.extend([0, 0]);
    bytes
}

/// An archive of `torch.save` with this pickle and these storages.
pub fn archive(pickle: impl Into<Vec<u8>>, storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut entries = vec![Entry::new("x/data.pkl", pickle), Entry::new("x/byteorder", *b"little")];
    let storages =
        storages.iter().map(|(key, data)| Entry::new(&format!("x/data/{key}"), data.clone()));
    entries.extend(storages);
    zip(&entries)
}

/// BINUNICODE.
pub fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// LONG1.
pub fn integer(value: i64) -> Vec<u8> {
    [b"\x8a\x08", &value.to_le_bytes()[..]].concat()
}

/// A tuple of integers.
pub fn integers(values: &[i64]) -> Vec<u8> {
    [b"(".to_vec(), values.iter().flat_map(|value| integer(*value)).collect(), b"t".to_vec()]
        .concat()
}

/// The persistent identifier of a storage of `len` numbers.
pub fn storage(kind: &str, key: &str, len: i64) -> Vec<u8> {
    let kind = format!("ctorch\n{kind}\n");
    [
        b"(".to_vec(),
        text("storage"),
        kind.into(),
        text(key),
        text("cpu"),
        integer(len),
        b"tQ".to_vec(),
    ]
    .concat()
}

/// The call that makes a tensor.
pub fn tensor(storage: &[u8], offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(",
        storage,
        &integer(offset),
        &integers(shape),
        &integers(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A state dict as `torch.save` writes it.
pub fn state_dict(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut storages = Vec::new();
    for (index, (name, (shape, values))) in tensors.iter().enumerate() {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis] as i64;
        }
        let shape: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
        let key = index.to_string();
        pickle.extend(text(name));
        let storage = storage("FloatStorage", &key, values.len() as i64);
        pickle.extend(tensor(&storage, 0, &shape, &strides));
        storages.push((key, values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }
    pickle.extend(b"u.");
    let storages: Vec<(&str, Vec<u8>)> = storages
        .iter()
        .map(|(key, data): &(String, Vec<u8>)| (key.as_str(), data.clone()))
        .collect();
    archive(pickle, &storages)
}

/// The tensors of a state dict.
pub fn read_state_dict(file: &Path) -> BTreeMap<String, Tensor> {
    let bytes = pickle::read_file(file).unwrap();
    let limits = Limits::for_file(&bytes);
    let document = pickle::torch(file, &bytes, &limits, Classes::Refused).unwrap();
    let Kind::Dict(entries) = document.root().kind() else { panic!("no dictionary") };
    let entry = |(key, value): (pickle::Value<'_>, pickle::Value<'_>)| {
        let (Kind::Text(name), Kind::Tensor(tensor)) = (key.kind(), value.kind()) else {
            panic!("no tensor");
        };
        (name.to_owned(), (tensor.shape().to_vec(), tensor.to_f32()))
    };
    entries.iter().map(entry).collect()
}

/// `dataset_stats.pkl` as NumPy writes it under protocol 5.
pub fn statistics(arrays: &BTreeMap<&str, Vec<f32>>) -> Vec<u8> {
    let mut pickle = b"\x80\x05}(".to_vec();
    for (name, values) in arrays {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        pickle.extend(text(name));
        pickle.extend(b"cnumpy._core.numeric\n_frombuffer\n(\x96");
        pickle.extend((bytes.len() as u64).to_le_bytes());
        pickle.extend(bytes);
        pickle.extend([&b"cnumpy\ndtype\n("[..], &text("f4"), b"\x89\x88tR"].concat());
        pickle.extend([integers(&[values.len() as i64]), text("C"), b"tR".to_vec()].concat());
    }
    pickle.extend(b"u.");
    pickle
}
