//! A description of the policy for people.

use super::index::Search;
use crate::info::BackboneInfo;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Encoders, memory and search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VinnNetworkInfo {
    /// Image encoder.
    pub backbone: Option<BackboneInfo>,
    /// Height and width to which images are resized, if they are.
    pub resize: Option<[usize; 2]>,
    /// Height and width of the centre that is kept of images, if they are cropped.
    pub crop: Option<[usize; 2]>,
    /// Features of each camera.
    pub features: Vec<usize>,
    /// Moments in the memory.
    pub moments: usize,
    /// Episodes in the memory.
    pub episodes: usize,
    /// How neighbours are found.
    pub search: Search,
}

impl Display for VinnNetworkInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(backbone) = &self.backbone {
            writeln!(f, "encoder       {backbone}; its last map averaged")?;
        }
        if let Some([height, width]) = self.resize {
            writeln!(f, "images        resized to {height} x {width} (antialiased bilinear)")?;
        }
        if let Some([height, width]) = self.crop {
            writeln!(f, "images        cropped to their centre, {height} x {width}")?;
        }
        let (moments, episodes) = (self.moments, self.episodes);
        let list = |values: Vec<String>| values.join(", ");
        let features = list(self.features.iter().map(ToString::to_string).collect());
        writeln!(f, "memory        {moments} moments of {episodes} episodes, {features} features")?;
        let Search { neighbors, state_weight, state_distance, camera_weights } = &self.search;
        let weights = list(camera_weights.iter().map(ToString::to_string).collect());
        writeln!(
            f,
            "search        {neighbors} nearest; cameras weigh {weights}, joint positions {state_weight} ({})",
            state_distance.name()
        )
    }
}
