//! A description of the network for people.

use super::weights;
use crate::backbone::Place;
use crate::info::{self, BackboneInfo};
use crate::lerobot::CnnMlpConfig;
use crate::tensor_file::TensorFile;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CnnMlpNetworkInfo {
    /// Image backbone.
    pub backbone: Option<BackboneInfo>,
    /// Channels of the convolutions after it.
    pub projection: Vec<usize>,
    /// Widths of the linear layers, the action's among them.
    pub layers: Vec<usize>,
}

pub(super) fn collect(config: &CnnMlpConfig, tensors: &TensorFile<'_>) -> CnnMlpNetworkInfo {
    let place = Place::of_camera(config.extension.backbone_per_camera.then_some(0));
    let outputs = |name: String| tensors.shape(&format!("{name}.bias"))?.first().copied();
    CnnMlpNetworkInfo {
        backbone: info::backbone_info(&config.backbone, tensors, &place, &config.extension),
        projection: weights::projection(0).map_while(outputs).collect(),
        layers: weights::layers().map_while(outputs).collect(),
    }
}

impl Display for CnnMlpNetworkInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(backbone) = &self.backbone {
            writeln!(f, "backbone      {backbone}")?;
        }
        let list = |widths: &[usize]| {
            let widths: Vec<String> = widths.iter().map(ToString::to_string).collect();
            widths.join(", ")
        };
        writeln!(f, "convolutions  {} channels, without padding", list(&self.projection))?;
        writeln!(f, "layers        {} values", list(&self.layers))
    }
}
