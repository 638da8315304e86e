//! Whole files in memory, up to a limit.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("{}: no such file; a checkpoint needs the complete folder that the training wrote (config.json, model.safetensors and, since LeRobot 0.4, policy_preprocessor.json and policy_postprocessor.json with their state files)", file.display())]
    Missing {
        /// Path that was tried.
        file: PathBuf,
    },
    /// The path names something that is not a file.
    #[error("{}: not a regular file; name a file or a link to one", file.display())]
    NotAFile {
        /// Path that was tried.
        file: PathBuf,
    },
    /// The file is larger than anything it could sensibly be.
    #[error("{}: holds {bytes} bytes, at most {limit} are read; is it the right file?", file.display())]
    TooLarge {
        /// Path of the file.
        file: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The operating system refused.
    #[error("{}: {source}", file.display())]
    System {
        /// Path that was tried.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Reads all of `file`, refusing more than `limit` bytes before allocating for them.
pub(crate) fn read(file: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (opened, _) = open(file, limit)?;
    let mut bytes = Vec::new();
    // The file may have grown since it was measured.
    let mut limited = opened.take(limit.saturating_add(1));
    let read = limited.read_to_end(&mut bytes).map_err(|source| system(file, source))? as u64;
    if read > limit { Err(too_large(file, read, limit)) } else { Ok(bytes) }
}

/// Opens a regular file of at most `limit` bytes and says how many it has.
pub(crate) fn open(file: &Path, limit: u64) -> Result<(File, u64), ReadError> {
    // Asked before opening: opening a named pipe would wait for its other end.
    let about = std::fs::metadata(file).map_err(|source| system(file, source))?;
    if !about.is_file() {
        return Err(ReadError::NotAFile { file: file.to_path_buf() });
    }
    if about.len() > limit {
        return Err(too_large(file, about.len(), limit));
    }
    let opened = File::open(file).map_err(|source| system(file, source))?;
    Ok((opened, about.len()))
}

/// Error for what the operating system said.
pub(crate) fn system(file: &Path, source: std::io::Error) -> ReadError {
    let file = file.to_path_buf();
    if source.kind() == ErrorKind::NotFound {
        ReadError::Missing { file }
    } else {
        ReadError::System { file, source }
    }
}

fn too_large(file: &Path, bytes: u64, limit: u64) -> ReadError {
    ReadError::TooLarge { file: file.to_path_buf(), bytes, limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_large_and_odd_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights");
        assert!(matches!(read(&file, 10), Err(ReadError::Missing { .. })));
        assert!(matches!(read(folder.path(), 10), Err(ReadError::NotAFile { .. })));
        std::fs::write(&file, [7; 11]).unwrap();
        assert!(matches!(read(&file, 10), Err(ReadError::TooLarge { bytes: 11, limit: 10, .. })));
        assert_eq!(read(&file, 11).unwrap(), [7; 11]);
    }
}
