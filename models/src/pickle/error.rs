//! Why a pickle was refused, and where.

use super::archive::ArchiveError;
use crate::bounded_file::ReadError;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// A position in a pickle. Prints as `policy_best.ckpt, entry data.pkl, byte 77`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path of the file.
    pub file: PathBuf,
    /// Entry of the archive, if the file is one.
    pub entry: Option<String>,
    /// Bytes from the beginning of the file, or of the entry.
    pub offset: usize,
}

impl Place {
    pub(super) fn start(file: &Path, entry: Option<&str>) -> Self {
        Self { file: file.to_path_buf(), entry: entry.map(str::to_owned), offset: 0 }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.file.display())?;
        if let Some(entry) = &self.entry {
            write!(f, "entry {entry}, ")?;
        }
        write!(f, "byte {}", self.offset)
    }
}

/// Why a pickle was refused.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The archive is not usable.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A name that is not built.
    #[error(
        "{at}: {opcode} names {global}, which is refused: a pickle can run any code by such names, so only numbers, text, lists, dictionaries, tensors and arrays are built; save the plain state_dict() or plain numbers instead"
    )]
    Global {
        /// Where.
        at: Place,
        /// Opcode that names it.
        opcode: &'static str,
        /// Module and attribute, shortened if long.
        global: String,
    },
    /// A known function is called with arguments that it does not have.
    #[error(
        "{at}: {opcode} calls {global} with something else than {needed}; the file is damaged or was not written by PyTorch or NumPy"
    )]
    Call {
        /// Where.
        at: Place,
        /// Opcode that calls.
        opcode: &'static str,
        /// Module and attribute.
        global: String,
        /// Arguments that it has.
        needed: &'static str,
    },
    /// An opcode that is not supported.
    #[error("{at}: opcode {opcode} is refused: {reason}")]
    Opcode {
        /// Where.
        at: Place,
        /// Its name, or its number where there is no such opcode.
        opcode: String,
        /// Why, and what to do about it.
        reason: &'static str,
    },
    /// The pickle ends within an opcode, or before STOP.
    #[error("{at}: the pickle ends within {opcode}; it is truncated: copy it again")]
    Truncated {
        /// Where the opcode begins.
        at: Place,
        /// The opcode.
        opcode: &'static str,
    },
    /// An opcode finds something else than it needs.
    #[error("{at}: {opcode} finds {found}; the file is damaged: copy it again")]
    Malformed {
        /// Where.
        at: Place,
        /// The opcode.
        opcode: &'static str,
        /// What it finds.
        found: &'static str,
    },
    /// A limit is exceeded.
    #[error("{at}: {opcode} exceeds the limit of {limit} {what}; no checkpoint needs that many")]
    Limit {
        /// Where.
        at: Place,
        /// The opcode.
        opcode: &'static str,
        /// What is limited, with its unit.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Values are nested too deeply, or contain themselves.
    #[error("{}: values are nested more than {limit} deep, or contain themselves; no checkpoint needs that", file.display())]
    Nesting {
        /// Path of the file.
        file: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A tensor or array does not fit the numbers that are there.
    #[error(
        "{at}: a tensor of shape {shape}{what}; the file is damaged, or its tensors are views: save them with .clone()"
    )]
    Tensor {
        /// Where.
        at: Place,
        /// Its shape, shortened if long.
        shape: String,
        /// What is wrong with it.
        what: String,
    },
    /// The numbers of a tensor are not there.
    #[error(
        "{at}: storage {key} of {needed} bytes is named, but {found}; the file is truncated or damaged: copy it again"
    )]
    Storage {
        /// Where it is named.
        at: Place,
        /// Its key, shortened if long.
        key: String,
        /// Bytes that it must hold.
        needed: usize,
        /// What is there instead.
        found: String,
    },
}

/// What is wrong, before anybody has said where.
pub(super) enum Fault {
    /// The operand ends beyond the end.
    Truncated,
    /// An opcode finds something else than it needs.
    Malformed(&'static str),
    /// What is limited, and to how much.
    Limit(&'static str, usize),
    /// A name that is not built.
    Global(String),
    /// A known function with other arguments than `needed`.
    Call { global: &'static str, needed: &'static str },
    /// An opcode that is not supported, and why.
    Opcode(&'static str),
    /// A tensor that does not fit.
    Tensor { shape: String, what: String },
    /// Numbers that are not there.
    Storage { key: String, needed: usize, found: String },
    /// Something that names its place itself.
    Archive(ArchiveError),
}

impl Fault {
    /// The error, now that the place is known.
    pub(super) fn at(self, at: Place, opcode: &'static str) -> PickleError {
        match self {
            Self::Truncated => PickleError::Truncated { at, opcode },
            Self::Malformed(found) => PickleError::Malformed { at, opcode, found },
            Self::Limit(what, limit) => PickleError::Limit { at, opcode, what, limit },
            Self::Global(global) => PickleError::Global { at, opcode, global },
            Self::Call { global, needed } => {
                PickleError::Call { at, opcode, global: global.to_owned(), needed }
            }
            Self::Opcode(reason) => PickleError::Opcode { at, opcode: opcode.to_owned(), reason },
            Self::Tensor { shape, what } => PickleError::Tensor { at, shape, what },
            Self::Storage { key, needed, found } => PickleError::Storage { at, key, needed, found },
            Self::Archive(error) => error.into(),
        }
    }
}

/// Text from a file for an error: printable and short.
pub(super) fn quote(text: &str) -> String {
    crate::quote::quote(text).to_string()
}
