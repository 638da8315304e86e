//! Where the journal of a run is.

use std::path::{Path, PathBuf};

use super::FILE_NAME;

/// Why a path names no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// Nothing is there.
    #[error("{}: no such file or folder", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It holds many runs.
    #[error(
        "{} is a recording directory: name one of the folders in its runs/, or the {FILE_NAME} in \
         one", path.display()
    )]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A folder of something else.
    #[error(
        "{}: neither a run's folder nor a journal: it has no {FILE_NAME}. A recording directory \
         keeps one folder per run in runs/", path.display()
    )]
    NoRun {
        /// The path.
        path: PathBuf,
    },
}

/// The journal that `path` names: a run's folder, or the journal itself. A file is not looked into.
///
/// # Errors
/// [`LocateError`] says what the path is instead.
pub fn locate(path: &Path) -> Result<PathBuf, LocateError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let inside = path.join(FILE_NAME);
    if inside.is_file() {
        return Ok(inside);
    }
    let inside_runs = path.join("runs").is_dir();
    let path = path.to_owned();
    Err(if !path.exists() {
        LocateError::Missing { path }
    } else if inside_runs {
        LocateError::Directory { path }
    } else {
        LocateError::NoRun { path }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_and_journals_are_found_and_everything_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let run = root.join("runs/a");
        fs::create_dir_all(&run).unwrap();
        assert!(matches!(locate(&run), Err(LocateError::NoRun { .. })));
        let journal = run.join(FILE_NAME);
        fs::write(&journal, "").unwrap();
        assert_eq!(locate(&run), Ok(journal.clone()));
        assert_eq!(locate(&journal), Ok(journal));
        assert!(matches!(locate(root), Err(LocateError::Directory { .. })));
        assert!(matches!(locate(&root.join("b")), Err(LocateError::Missing { .. })));
    }
}
