//! The tensors of a state dict, by name.

use super::ConvertError;
use crate::pickle::{self, Classes, Document, Entries, Kind, Limits, Tensor};
use crate::quote::quote;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Names that an error lists before it only counts.
const LISTED_NAMES: usize = 5;

/// Tensors by name. Remembers which were taken, so that leftovers can be refused.
pub(super) struct StateDict<'d> {
    file: PathBuf,
    tensors: BTreeMap<&'d str, Tensor<'d>>,
    taken: BTreeSet<&'d str>,
}

/// Reads `bytes`, the content of `file`.
pub(super) fn read<'a>(file: &Path, bytes: &'a [u8]) -> Result<Document<'a>, ConvertError> {
    Ok(pickle::torch(file, bytes, &Limits::for_file(bytes), Classes::Refused)?)
}

impl<'d> StateDict<'d> {
    /// The tensors of a document.
    pub(super) fn new(file: &Path, document: &'d Document<'_>) -> Result<Self, ConvertError> {
        let refuse =
            |found: String| Err(ConvertError::NotAStateDict { file: file.to_path_buf(), found });
        let entries = match document.root().kind() {
            Kind::Dict(entries) => entries,
            kind => return refuse(kind.describe().to_owned()),
        };
        Self::of_entries(file, entries)
    }

    /// The tensors of a Diffusion policy of act-plus-plus, if the document is one, and whether
    /// they are the moving average of the training.
    pub(super) fn of_diffusion(
        file: &Path,
        document: &'d Document<'_>,
    ) -> Option<Result<(Self, bool), ConvertError>> {
        let Kind::Dict(entries) = document.root().kind() else { return None };
        let part = |name: &str| match entries.get(name)?.kind() {
            Kind::Dict(entries) => Some(entries),
            _ => None,
        };
        let averaged = part("ema");
        let is_averaged = averaged.is_some();
        let networks = part("nets")?;
        let tensors = Self::of_entries(file, averaged.unwrap_or(networks));
        Some(tensors.map(|tensors| (tensors, is_averaged)))
    }

    fn of_entries(file: &Path, entries: Entries<'d>) -> Result<Self, ConvertError> {
        let refuse =
            |found: String| Err(ConvertError::NotAStateDict { file: file.to_path_buf(), found });
        let mut tensors = BTreeMap::new();
        for (key, value) in entries.iter() {
            let Kind::Text(name) = key.kind() else {
                return refuse(format!("a dictionary with {} as a key", key.kind().describe()));
            };
            match value.kind() {
                Kind::Tensor(tensor) if tensor.element_type().is_float() => {
                    if tensors.insert(name, tensor).is_some() {
                        return refuse(format!("a dictionary with {} twice", quote(name)));
                    }
                }
                // Counts the batches of a training; nothing reads it.
                Kind::Tensor(_) if name.ends_with(".num_batches_tracked") => {}
                kind => {
                    let what = match kind {
                        Kind::Tensor(_) => "a tensor of whole numbers",
                        kind => kind.describe(),
                    };
                    return refuse(format!("a dictionary with {what} as {}", quote(name)));
                }
            }
        }
        Ok(Self { file: file.to_path_buf(), tensors, taken: BTreeSet::new() })
    }

    /// Path that errors name.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Names in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'d str> {
        self.tensors.keys().copied()
    }

    /// Shape of a tensor, if it is there.
    pub(super) fn shape(&self, name: &str) -> Option<&'d [usize]> {
        self.tensors.get(name).map(Tensor::shape)
    }

    /// Sizes of a tensor with `N` axes, each at least 1.
    pub(super) fn sizes<const N: usize>(&self, name: &str) -> Result<[usize; N], ConvertError> {
        let found = self.shape(name).ok_or_else(|| self.missing(name))?;
        let sizes = <[usize; N]>::try_from(found).ok().filter(|sizes| !sizes.contains(&0));
        sizes.ok_or_else(|| self.misshaped(name, format!("{N} axes of 1 or more")))
    }

    /// Takes the numbers of a tensor of this shape, all finite.
    pub(super) fn take(&mut self, name: &str, needed: &[usize]) -> Result<Vec<f32>, ConvertError> {
        match self.shape(name) {
            None => Err(self.missing(name)),
            Some(found) if found != needed => Err(self.misshaped(name, format!("{needed:?}"))),
            Some(_) => self.take_any_shape(name),
        }
    }

    /// Takes the numbers of a tensor, all finite.
    pub(super) fn take_any_shape(&mut self, name: &str) -> Result<Vec<f32>, ConvertError> {
        let (key, tensor) = self.tensors.get_key_value(name).ok_or_else(|| self.missing(name))?;
        let values = tensor.to_f32();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let found = format!("holds {} at index {index}", values[index]);
            let (file, tensor) = (self.file.clone(), name.to_owned());
            return Err(ConvertError::Numbers { file, tensor, found });
        }
        self.taken.insert(key);
        Ok(values)
    }

    /// Marks every tensor for which `expected` holds as known, although nothing reads it.
    pub(super) fn expect(&mut self, expected: impl Fn(&str) -> bool) {
        let names = self.tensors.keys().copied().filter(|name| expected(name));
        self.taken.extend(names);
    }

    /// Refuses tensors that were neither taken nor expected.
    pub(super) fn finish(&self) -> Result<(), ConvertError> {
        let left: Vec<&str> = self.names().filter(|name| !self.taken.contains(name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let tensors = left.iter().take(LISTED_NAMES).map(|name| (*name).to_owned()).collect();
        Err(ConvertError::Unknown { file: self.file.clone(), tensors, count: left.len() })
    }

    /// Whether all backbones are the same to the last bit.
    pub(super) fn same_backbones(&self, count: usize) -> bool {
        let part = |index: usize| {
            let prefix = format!("model.backbones.{index}.");
            let of_backbone = self.tensors.iter().filter_map(move |(name, tensor)| {
                let bits = || tensor.to_f32().into_iter().map(f32::to_bits).collect::<Vec<u32>>();
                Some((name.strip_prefix(&prefix)?, tensor.shape(), bits()))
            });
            of_backbone.collect::<Vec<_>>()
        };
        let first = part(0);
        (1..count).all(|index| part(index) == first)
    }

    /// Error for a tensor that is not there.
    pub(super) fn missing(&self, name: &str) -> ConvertError {
        ConvertError::Missing { file: self.file.clone(), tensor: name.to_owned() }
    }

    /// Error for a tensor of another shape than `needed`.
    pub(super) fn misshaped(&self, name: &str, needed: String) -> ConvertError {
        let found = self.shape(name).unwrap_or_default().to_vec();
        ConvertError::Shape { file: self.file.clone(), tensor: name.to_owned(), found, needed }
    }
}

/// Error for something that cannot be converted.
pub(super) fn unsupported(
    file: &Path,
    tensor: &str,
    what: &'static str,
    remedy: &'static str,
) -> ConvertError {
    let (file, tensor) = (file.to_path_buf(), tensor.to_owned());
    ConvertError::Unsupported { file, tensor, what, remedy }
}
