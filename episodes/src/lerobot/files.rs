//! Files that appear whole or not at all: written beside their place as `.part`, synced, renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file or folder operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { action, path, source }
}

/// Extension of unfinished files. Nothing that reads a dataset looks at them.
pub(super) const PART: &str = "part";

pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PART);
    PathBuf::from(name)
}

/// Creates `path`'s folder and an empty `.part` file for it.
pub(super) fn create_part(path: &Path) -> Result<File, FileError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
    }
    let part = part_of(path);
    File::create(&part).map_err(failed("create", &part))
}

/// Syncs the `.part` file and gives it its name.
pub(super) fn finish_part(file: File, path: &Path) -> Result<(), FileError> {
    let part = part_of(path);
    file.sync_all().map_err(failed("sync", &part))?;
    drop(file);
    fs::rename(&part, path).map_err(failed("rename into place", path))?;
    sync_folder_of(path)
}

/// Replaces a file's content at once.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut file = create_part(path)?;
    file.write_all(content).map_err(failed("write", &part_of(path)))?;
    finish_part(file, path)
}

/// Makes a rename or removal in `path`'s folder durable.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    // Folders cannot be opened as files everywhere; where they cannot, renames are durable enough.
    match File::open(folder) {
        Ok(folder_file) => folder_file.sync_all().map_err(failed("sync the folder", folder)),
        Err(_) => Ok(()),
    }
}

/// Names in a folder, sorted; nothing if there is no such folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list the folder", folder)(error)),
    };
    let mut paths = Vec::new();
    for entry in listing {
        paths.push(entry.map_err(failed("list the folder", folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Content of a text file, `None` if there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}
