//! Encoded demonstrations: `memory.safetensors`.

use crate::bounded_file::{self, ReadError};
use crate::tensor_file::{TensorError, TensorFile};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Largest memory that is read, in bytes: 300 episodes of 1000 moments and three cameras.
const MAX_MEMORY: u64 = 2 << 30;
/// Key of the metadata that holds the numbers of moments of the episodes, separated by spaces.
const LENGTHS: &str = "episode_lengths";

/// Why a memory was refused, or not written.
#[derive(Debug, thiserror::Error)]
pub enum VinnMemoryError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tensor is not usable.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The episodes do not add up to the moments.
    #[error("{}: metadata {LENGTHS} is {found:?}, needed lengths of 1 or more that add up to {moments}", file.display())]
    Episodes {
        /// Path of the file.
        file: PathBuf,
        /// What the metadata holds.
        found: String,
        /// Moments in the file.
        moments: usize,
    },
    /// More neighbours are asked for than there are moments.
    #[error("{}: holds {moments} moments, {needed} neighbours are asked for; lower neighbors in config.json or remember more", file.display())]
    Few {
        /// Path of the file.
        file: PathBuf,
        /// Moments in the file.
        moments: usize,
        /// Neighbours.
        needed: usize,
    },
    /// The moments have other sizes than configuration and encoders.
    #[error("{}: {what} of a moment has {got} values, needed {needed} by config.json and the encoders; it must have been made with them", file.display())]
    Config {
        /// Path of the file.
        file: PathBuf,
        /// `features`, `state` or `action`.
        what: &'static str,
        /// Values needed.
        needed: usize,
        /// Values in the file.
        got: usize,
    },
    /// A moment has another size than the others.
    #[error("{what} of a moment has {got} values, needed {needed}")]
    Size {
        /// `features`, `state` or `action`.
        what: &'static str,
        /// Values needed.
        needed: usize,
        /// Values given.
        got: usize,
    },
    /// A moment holds a number that is not finite.
    #[error("{what} of a moment holds a number that is not finite at index {index}")]
    NotFinite {
        /// `features`, `state` or `action`.
        what: &'static str,
        /// Position in it.
        index: usize,
    },
    /// It was to be written without moments, or with an episode without moments.
    #[error("episode {episode} has no moments")]
    Empty {
        /// Number of the episode, from 0.
        episode: usize,
    },
    /// The tensors do not make a file.
    #[error("{}: {source}", file.display())]
    Layout {
        /// Path that was written.
        file: PathBuf,
        /// The contradiction.
        source: SafeTensorError,
    },
    /// The file could not be written.
    #[error("{}: {source}", file.display())]
    Write {
        /// Path that was written.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Moments of demonstrations: features of the images, joint positions, and the action taken.
#[derive(Clone, Debug, PartialEq)]
pub struct VinnMemory {
    pub(super) sizes: [usize; 3],
    /// Features, states and actions, `[moments, size]` each.
    pub(super) values: [Vec<f32>; 3],
    /// Moments of each episode.
    pub(super) lengths: Vec<usize>,
}

/// Names of tensors, and of one moment's values.
const TENSORS: [&str; 3] = ["features", "states", "actions"];
const PARTS: [&str; 3] = ["features", "state", "action"];

impl VinnMemory {
    /// An empty memory of moments of these sizes.
    #[must_use]
    pub fn new(features: usize, state: usize, action: usize) -> Self {
        Self { sizes: [features, state, action], values: Default::default(), lengths: Vec::new() }
    }

    /// Begins an episode. A chunk does not reach beyond the end of its episode.
    pub fn begin_episode(&mut self) {
        self.lengths.push(0);
    }

    /// Adds the next moment of the episode; begins the first one if none has begun.
    ///
    /// # Errors
    /// When a size is wrong or a number is not finite; the memory is then as it was.
    pub fn push(
        &mut self,
        features: &[f32],
        state: &[f32],
        action: &[f32],
    ) -> Result<(), VinnMemoryError> {
        let parts = [features, state, action];
        for ((part, needed), what) in parts.into_iter().zip(self.sizes).zip(PARTS) {
            let got = part.len();
            if got != needed {
                return Err(VinnMemoryError::Size { what, needed, got });
            }
            if let Some(index) = part.iter().position(|value| !value.is_finite()) {
                return Err(VinnMemoryError::NotFinite { what, index });
            }
        }
        self.values.iter_mut().zip(parts).for_each(|(own, part)| own.extend(part));
        match self.lengths.last_mut() {
            Some(length) => *length += 1,
            None => self.lengths.push(1),
        }
        Ok(())
    }

    /// Number of moments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moments of each episode.
    #[must_use]
    pub fn episode_lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// For each moment the end of its episode.
    pub(super) fn ends(&self) -> Vec<usize> {
        let mut end = 0;
        let of_episode = |length: &usize| {
            end += length;
            std::iter::repeat_n(end, *length)
        };
        self.lengths.iter().flat_map(of_episode).collect()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`VinnMemoryError`], naming file and tensor.
    pub fn read(file: &Path) -> Result<Self, VinnMemoryError> {
        Self::read_hashed(file).map(|(memory, _)| memory)
    }

    /// The same, with the SHA-256 of the file in hexadecimal.
    pub(super) fn read_hashed(file: &Path) -> Result<(Self, String), VinnMemoryError> {
        let bytes = bounded_file::read(file, MAX_MEMORY)?;
        let mut tensors = TensorFile::parse(file, &bytes)?;
        let sha256 = tensors.sha256()?;
        let mut memory = Self::new(0, 0, 0);
        let mut moments = None;
        for (index, name) in TENSORS.into_iter().enumerate() {
            let rows = moments.map_or("1 or more".to_owned(), |rows: usize| rows.to_string());
            let shape = match tensors.shape(name) {
                Some(&[rows, size])
                    if rows > 0 && size > 0 && moments.is_none_or(|moments| moments == rows) =>
                {
                    [rows, size]
                }
                Some(_) => {
                    return Err(tensors.misshaped(name, format!("[{rows}, 1 or more]")).into());
                }
                None => return Err(tensors.missing(name, format!("[{rows}, 1 or more]")).into()),
            };
            moments = Some(shape[0]);
            memory.sizes[index] = shape[1];
            memory.values[index] = tensors.take(name, &shape)?;
        }
        tensors.finish()?;
        let (moments, found) = (moments.unwrap_or(0), tensors.metadata(LENGTHS).unwrap_or(""));
        let lengths: Option<Vec<usize>> =
            found.split_whitespace().map(|length| length.parse().ok().filter(|l| *l > 0)).collect();
        let sum = |lengths: &Vec<usize>| {
            lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length))
        };
        match lengths.filter(|lengths| sum(lengths) == Some(moments)) {
            Some(lengths) => memory.lengths = lengths,
            None => {
                let (file, found) = (file.to_path_buf(), format!("{found:.80}"));
                return Err(VinnMemoryError::Episodes { file, found, moments });
            }
        }
        Ok((memory, sha256))
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`VinnMemoryError`] when an episode is empty, or naming the file.
    pub fn write(&self, file: &Path) -> Result<(), VinnMemoryError> {
        let empty = self.lengths.iter().position(|length| *length == 0);
        if let Some(episode) = empty.or(self.lengths.is_empty().then_some(0)) {
            return Err(VinnMemoryError::Empty { episode });
        }
        let layout = |source| VinnMemoryError::Layout { file: file.to_path_buf(), source };
        let bytes = |values: &Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let data: Vec<Vec<u8>> = self.values.iter().map(bytes).collect();
        let mut views = Vec::new();
        for ((name, size), data) in TENSORS.into_iter().zip(self.sizes).zip(&data) {
            let view = TensorView::new(Dtype::F32, vec![self.len(), size], data).map_err(layout)?;
            views.push((name, view));
        }
        let lengths: Vec<String> = self.lengths.iter().map(ToString::to_string).collect();
        let metadata = HashMap::from([(LENGTHS.to_owned(), lengths.join(" "))]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(layout)?;
        std::fs::write(file, bytes)
            .map_err(|source| VinnMemoryError::Write { file: file.to_path_buf(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> VinnMemory {
        let mut memory = VinnMemory::new(2, 1, 1);
        for (episode, length) in [2, 3].into_iter().enumerate() {
            memory.begin_episode();
            for step in 0..length {
                let value = (10 * episode + step) as f32;
                memory.push(&[value, -value], &[value], &[value * 2.0]).unwrap();
            }
        }
        memory
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.safetensors");
        let memory = memory();
        memory.write(&file).unwrap();
        assert_eq!(VinnMemory::read(&file).unwrap(), memory);
        assert_eq!((memory.len(), memory.ends()), (5, vec![2, 2, 5, 5, 5]));
    }

    #[test]
    fn moments_that_do_not_fit_are_refused_and_change_nothing() {
        let mut memory = memory();
        let before = memory.clone();
        let message = memory.push(&[1.0], &[1.0], &[1.0]).unwrap_err().to_string();
        assert_eq!(message, "features of a moment has 1 values, needed 2");
        let message = memory.push(&[1.0, 2.0], &[1.0], &[f32::NAN]).unwrap_err().to_string();
        assert_eq!(message, "action of a moment holds a number that is not finite at index 0");
        assert_eq!(memory, before);
        memory.begin_episode();
        let message = memory.write(Path::new("/nowhere")).unwrap_err().to_string();
        assert_eq!(message, "episode 2 has no moments");
    }
}
