//! Files that appear whole or not at all: written beside their place as `.part`, synced, renamed.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
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

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { action, path, source }
}

/// Extension of unfinished files. Nothing that reads a dataset looks at them.
pub(crate) const PART: &str = "part";

/// A `.part` file being written. Dropped unfinished it is removed: on a full disk it must not
/// keep the space that others need.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    part: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl Part {
    /// Creates `path`'s folder and an empty `.part` file for it.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".");
        part.push(PART);
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(failed("create", &part))?;
        Ok(Self { file, part, path: path.to_owned(), renamed: false })
    }

    /// Syncs the file and gives it its name.
    pub fn finish(mut self) -> Result<(), FileError> {
        self.file.sync_all().map_err(failed("sync", &self.part))?;
        fs::rename(&self.part, &self.path).map_err(failed("rename into place", &self.path))?;
        self.renamed = true;
        sync_folder_of(&self.path)
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Part {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.renamed {
            // If this fails too, the next repair removes it.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Replaces a file's content at once, and makes it durable. Makes its folder, if need be.
///
/// # Errors
/// [`FileError`] when it cannot; the file is then as it was.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut part = Part::create(path)?;
    part.write_all(content).map_err(failed("write", &part.part))?;
    part.finish()
}

/// Removes a file for good; nothing if there is no such file.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// Makes a rename or removal in `path`'s folder durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    // Folders cannot be opened as files everywhere; where they cannot, renames are durable enough.
    match File::open(folder) {
        Ok(folder_file) => folder_file.sync_all().map_err(failed("sync the folder", folder)),
        Err(_) => Ok(()),
    }
}

/// Names in a folder, sorted; nothing if there is no such folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
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
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        // A folder in the file's place makes the last step fail.
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = replace(&path, b"content").unwrap_err();
        assert_eq!(error.action, "rename into place");
        let listing = || entries(folder.path()).unwrap();
        assert_eq!(listing(), std::slice::from_ref(&path));
        fs::remove_dir_all(&path).unwrap();
        replace(&path, b"content").unwrap();
        assert_eq!(listing(), std::slice::from_ref(&path));
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }
}
