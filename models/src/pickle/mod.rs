//! A safe reader of pickles: what PyTorch (`torch.save`) and NumPy write.
//!
//! A pickle is a program for a stack machine that may call any function of any Python module. This
//! reader runs that machine but calls nothing. It builds numbers, text, bytes, lists, tuples,
//! dictionaries, tensors and arrays, each from a list of names that it knows
//! (`collections.OrderedDict`, `torch._utils._rebuild_tensor_v2`, `numpy.core.multiarray
//! ._reconstruct` and a few more). Every other name is refused by name and position, or, where the
//! caller asks for it ([`Classes::Named`]), becomes an [`Object`]: the name of a class with what the
//! pickle says about it, and nothing behind it.
//!
//! Work and memory are bounded by [`Limits`] and by the size of the file; see there. Tensors and
//! byte strings are views of the file until somebody asks for their numbers.
//!
//! ```
//! use sinew_models::pickle::{self, Classes, Kind, Limits};
//!
//! let bytes = b"\x80\x02}U\x04meanG\x3f\xf8\x00\x00\x00\x00\x00\x00s.";
//! let file = "stats.pkl".as_ref();
//! let document = pickle::plain(file, bytes, &Limits::default(), Classes::Refused)?;
//! let Kind::Dict(entries) = document.root().kind() else { panic!("not a dictionary") };
//! assert!(matches!(entries.get("mean").map(|mean| mean.kind()), Some(Kind::Float(1.5))));
//! # Ok::<(), pickle::PickleError>(())
//! ```
//!
//! Sources: the opcodes are those of CPython 3.13's `pickletools`; the archive is that of PyTorch
//! 2.11 (`torch.serialization`), the older stream that of PyTorch before 1.6; arrays are those of
//! NumPy 1 and 2.

mod archive;
mod calls;
mod document;
mod error;
mod globals;
mod limits;
mod machine;
mod nesting;
mod opcode;
mod operand;
mod source;
mod tensor;
mod text;
mod torch;

pub use archive::ArchiveError;
pub use document::{Document, Entries, Items, Kind, Object, Value};
use error::quote;
pub use error::{PickleError, Place};
pub use limits::Limits;
pub use tensor::{ElementType, Tensor};
pub use torch::TorchArchive;

use crate::bounded_file::{self, ReadError};
use machine::Machine;
use std::path::Path;
use torch::Storages;

/// Largest file that is read, in bytes. ACT with three ResNet-18 takes 425 MB.
pub const MAX_FILE: u64 = 2 << 30;

/// What becomes of names that the reader does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes {
    /// They are refused.
    Refused,
    /// They become [`Object`]s, which hold what the pickle says and can do nothing. TorchScript
    /// archives and training states hold such things beside their tensors.
    Named,
    /// The same for names of this list, where an entry that ends with a dot stands for all names
    /// that begin with it; all others are refused.
    Listed(&'static [&'static str]),
}

/// Reads a whole file, up to [`MAX_FILE`].
///
/// # Errors
/// [`ReadError`] if there is no such file, it is too large, or the operating system refuses.
pub fn read_file(file: &Path) -> Result<Vec<u8>, ReadError> {
    bounded_file::read(file, MAX_FILE)
}

/// Reads a plain pickle, as `pickle.dump` writes it. `file` is the name that errors use.
///
/// # Errors
/// [`PickleError`], naming position, opcode or name.
pub fn plain<'a>(
    file: &Path,
    bytes: &'a [u8],
    limits: &Limits,
    classes: Classes,
) -> Result<Document<'a>, PickleError> {
    let place = Place::start(file, None);
    let mut machine = Machine::new(place, limits, classes, Storages::none());
    let end = machine.run(bytes, 0)?;
    machine.refuse_rest(bytes, end)?;
    machine.finish()
}

/// Reads a file that `torch.save` wrote: the archive of PyTorch 1.6 and later, or the stream before
/// it. `file` is the name that errors use.
///
/// # Errors
/// [`PickleError`], naming entry, position, opcode or name.
pub fn torch<'a>(
    file: &Path,
    bytes: &'a [u8],
    limits: &Limits,
    classes: Classes,
) -> Result<Document<'a>, PickleError> {
    if torch::is_stream(bytes) {
        return torch::read_stream(file, bytes, limits, classes);
    }
    TorchArchive::open(file, bytes)?.pickle("data.pkl", "data", limits, classes)
}

/// Reads the plain pickle that begins at `start` and returns where it ends.
fn plain_at<'a>(
    file: &Path,
    bytes: &'a [u8],
    start: usize,
    limits: &Limits,
) -> Result<(Document<'a>, usize), PickleError> {
    let place = Place::start(file, None);
    let mut machine = Machine::new(place, limits, Classes::Refused, Storages::none());
    let end = machine.run(bytes, start)?;
    Ok((machine.finish()?, end))
}
