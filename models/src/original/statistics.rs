//! `dataset_stats.pkl`: means and standard deviations of joint positions and actions.

use super::ConvertError;
use crate::pickle::{self, Classes, Entries, Kind, Limits};
use std::path::Path;

/// Statistics that normalise.
pub(super) struct Statistics {
    /// Mean and standard deviation of joint positions.
    pub state: [Vec<f32>; 2],
    /// The same of actions, or their smallest and largest values.
    pub action: [Vec<f32>; 2],
}

impl Statistics {
    /// Reads the statistics for vectors of these lengths.
    pub(super) fn read(file: &Path, state: usize, action: usize) -> Result<Self, ConvertError> {
        Self::read_as(file, state, action, ["action_mean", "action_std"])
    }

    /// The same for a policy that normalises actions by their smallest and largest values.
    pub(super) fn read_range(
        file: &Path,
        state: usize,
        action: usize,
    ) -> Result<Self, ConvertError> {
        let names = ["action_min", "action_max"];
        let statistics = Self::read_as(file, state, action, names)?;
        let [low, high] = &statistics.action;
        match low.iter().zip(high).position(|(low, high)| low >= high) {
            None => Ok(statistics),
            Some(index) => Err(ConvertError::Numbers {
                file: file.to_path_buf(),
                tensor: names[1].to_owned(),
                found: format!("is not above {} at index {index}", names[0]),
            }),
        }
    }

    fn read_as(
        file: &Path,
        state: usize,
        action: usize,
        [first, second]: [&str; 2],
    ) -> Result<Self, ConvertError> {
        let bytes = pickle::read_file(file)?;
        let document = pickle::plain(file, &bytes, &Limits::default(), Classes::Refused)?;
        let entries = match document.root().kind() {
            Kind::Dict(entries) => entries,
            kind => {
                let (file, found) = (file.to_path_buf(), kind.describe());
                return Err(ConvertError::NotStatistics { file, found });
            }
        };
        let take = |name: &str, length| numbers(file, entries, name, length);
        Ok(Self {
            state: [take("qpos_mean", state)?, take("qpos_std", state)?],
            action: [take(first, action)?, take(second, action)?],
        })
    }
}

/// The finite numbers of one array; spreads are positive.
fn numbers(
    file: &Path,
    entries: Entries<'_>,
    name: &str,
    length: usize,
) -> Result<Vec<f32>, ConvertError> {
    let (path, tensor) = (|| file.to_path_buf(), || name.to_owned());
    let value = entries.get(name);
    let value = value.ok_or_else(|| ConvertError::Missing { file: path(), tensor: tensor() })?;
    let refuse = |found| Err(ConvertError::Numbers { file: path(), tensor: tensor(), found });
    let array = match value.kind() {
        Kind::Tensor(array) if array.element_type().is_float() => array,
        Kind::Tensor(_) => return refuse("holds whole numbers".to_owned()),
        kind => return refuse(format!("is {}, needed an array", kind.describe())),
    };
    // A single number has lost its axis in the original.
    if array.shape() != [length] && !(length == 1 && array.shape().is_empty()) {
        let found = array.shape().to_vec();
        let needed = format!("[{length}], as the checkpoint has it");
        return Err(ConvertError::Shape { file: path(), tensor: tensor(), found, needed });
    }
    let values = array.to_f32();
    let is_spread = name.ends_with("_std");
    let usable = |value: &f32| value.is_finite() && (!is_spread || *value > 0.0);
    match values.iter().position(|value| !usable(value)) {
        Some(index) => refuse(format!("holds {} at index {index}", values[index])),
        None => Ok(values),
    }
}
