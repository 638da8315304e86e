//! What can be wrong with a configuration, and where it was said.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `--set` on the command line.
    Override,
    /// A file as a whole: for keys that it should have and has not.
    Document {
        /// The file, as the user may open it.
        file: Arc<Path>,
    },
    /// A line of a file.
    File {
        /// The file, as the user may open it.
        file: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
    },
    /// Nobody said it: the schema's default.
    Default,
}

impl Origin {
    /// The file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Document { file } | Self::File { file, .. } => Some(file),
            Self::Override | Self::Default => None,
        }
    }

    /// The line, counted from 1, where there is one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::File { line, .. } => Some(*line),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Override => f.write_str("--set"),
            Self::Document { file } => write!(f, "{}", file.display()),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A file that cannot be read.
    #[error("{}{}: {reason}", prefix(.extended_at), .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The `extends` that names it, if any.
        extended_at: Option<Origin>,
        /// What the operating system said, and what to do about it.
        reason: String,
    },
    /// A file that is not TOML, or says a key twice.
    #[error("{}:{line}:{column}: {message}\n    {text}\n    {}^", .file.display(), " ".repeat(.caret.saturating_sub(1)))]
    Syntax {
        /// The file.
        file: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1 in characters.
        column: usize,
        /// What the parser found.
        message: String,
        /// The line's text, up to 120 characters around the column.
        text: String,
        /// The place in `text`, counted from 1 in characters.
        caret: usize,
    },
    /// Files that extend each other.
    #[error("{at}: `extends` runs in a circle: {}. Remove one of these links", chain(.files))]
    ExtendsCycle {
        /// The link that closes the circle.
        at: Origin,
        /// The files, from the first back to the first.
        files: Vec<PathBuf>,
    },
    /// More files than a configuration may have.
    #[error("{at}: `extends` reaches more than {limit} files. Merge some of them")]
    TooManyFiles {
        /// The link that is too much.
        at: Origin,
        /// How many files are read at most.
        limit: usize,
    },
    /// `--set` that cannot be understood.
    #[error("--set {text}: {reason}. Write --set KEY=VALUE, as in --set run.duration_s=5")]
    Override {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that the schema does not know.
    #[error(
        "{at}: unknown key `{key}`{} Allowed here: {}",
        did_you_mean(.suggestion),
        .allowed.join(", ")
    )]
    UnknownKey {
        /// Where it was said.
        at: Origin,
        /// The whole key path.
        key: String,
        /// The known key that it resembles.
        suggestion: Option<String>,
        /// The keys of this table.
        allowed: Vec<String>,
    },
    /// A value of the wrong type.
    #[error("{at}: `{key}` is {found}, needed is {needed}")]
    WrongType {
        /// Where it was said.
        at: Origin,
        /// The whole key path.
        key: String,
        /// Type and value found.
        found: String,
        /// What the schema wants.
        needed: String,
    },
    /// A key without which nothing runs.
    #[error("{at}: `{key}` is missing. {meaning} Needed is {needed}")]
    Missing {
        /// The table that should have it.
        at: Origin,
        /// The whole key path.
        key: String,
        /// What the key is for, as a sentence.
        meaning: String,
        /// What the schema wants.
        needed: String,
    },
    /// A value outside its range.
    #[error("{at}: `{key}` = {value} is not allowed. Allowed: {allowed}. {remedy}")]
    OutOfRange {
        /// Where it was said.
        at: Origin,
        /// The whole key path.
        key: String,
        /// The value with its unit.
        value: String,
        /// The range with its unit, or the choices.
        allowed: String,
        /// What to do about it.
        remedy: String,
    },
    /// Something that only its neighbours, the robot or the checkpoint show to be wrong.
    #[error("{at}: `{key}`: {message}")]
    Invalid {
        /// Where it was said.
        at: Origin,
        /// The whole key path.
        key: String,
        /// What is wrong and what to do about it.
        message: String,
    },
}

impl Problem {
    /// Where the problem was said.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Unreadable { path, extended_at, .. } => extended_at
                .clone()
                .unwrap_or_else(|| Origin::Document { file: Arc::from(path.as_path()) }),
            Self::Syntax { file, line, .. } => Origin::File { file: file.clone(), line: *line },
            Self::Override { .. } => Origin::Override,
            Self::ExtendsCycle { at, .. }
            | Self::TooManyFiles { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::WrongType { at, .. }
            | Self::Missing { at, .. }
            | Self::OutOfRange { at, .. }
            | Self::Invalid { at, .. } => at.clone(),
        }
    }

    /// The whole key path, where the problem is about a key.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. }
            | Self::WrongType { key, .. }
            | Self::Missing { key, .. }
            | Self::OutOfRange { key, .. }
            | Self::Invalid { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// Everything that is wrong with a configuration. Never empty when it comes from this module.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    /// The problems, by file and line.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// Sorts by file and line, so that a person walks through each file once.
    pub(super) fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::origin);
        problems.dedup();
        Self { problems }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl From<Vec<Problem>> for ConfigError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::sorted(problems)
    }
}

fn prefix(origin: &Option<Origin>) -> String {
    origin.as_ref().map(|at| format!("{at}: extends ")).unwrap_or_default()
}

fn chain(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" -> ")
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or(".".to_owned(), |key| format!("; did you mean `{key}`?"))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
