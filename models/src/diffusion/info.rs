//! A description of the network for people.

use super::sampler::Sampling;
use super::unet::Cost;
use super::weights;
use crate::info::{self, BackboneInfo};
use crate::lerobot::DiffusionConfig;
use crate::tensor_file::TensorFile;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Sizes of the network, and how it samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiffusionNetworkInfo {
    /// Image backbones: one for all cameras, one for each, or none.
    pub backbones: Vec<BackboneInfo>,
    /// Key points of one image.
    pub keypoints: usize,
    /// Height and width to which images are resized, if they are.
    pub resize: Option<[usize; 2]>,
    /// Height and width of the centre that is kept of images, if they are cropped.
    pub crop: Option<[usize; 2]>,
    /// Observations that the network sees.
    pub observation_steps: usize,
    /// Actions that it predicts, from the oldest observation on.
    pub horizon: usize,
    /// Widths of the levels.
    pub widths: Vec<usize>,
    /// Multiply-adds of one step.
    pub products: usize,
    /// Bytes of weights that one step reads.
    pub step_bytes: usize,
    /// How samples are drawn.
    pub scheduler: String,
    /// Steps of one inference.
    pub steps: usize,
    /// Steps of the diffusion in training.
    pub train_steps: usize,
    /// Noise of each step.
    pub beta_schedule: &'static str,
    /// What the network predicts: `epsilon` or `sample`.
    pub prediction: String,
    /// Magnitude to which predicted actions are clipped, if they are.
    pub clip: Option<f32>,
}

pub(super) fn collect(
    config: &DiffusionConfig,
    tensors: &TensorFile<'_>,
    sampling: Sampling,
    cost: Cost,
    encoders: usize,
) -> DiffusionNetworkInfo {
    let backbones = (0..encoders).filter_map(|encoder| {
        let place = weights::backbone_place(config, encoder);
        info::backbone_info(&config.backbone, tensors, &place, &config.extension)
    });
    DiffusionNetworkInfo {
        backbones: backbones.collect(),
        keypoints: config.keypoints,
        resize: config.geometry.resize.map(|size| [size.height, size.width]),
        crop: config.geometry.crop.map(|size| [size.height, size.width]),
        observation_steps: config.history,
        horizon: config.horizon,
        widths: config.widths.clone(),
        products: cost.products,
        step_bytes: cost.bytes,
        scheduler: sampling.scheduler.as_ref().to_owned(),
        steps: sampling.steps,
        train_steps: config.train_steps,
        beta_schedule: config.betas.name(),
        prediction: sampling.prediction.as_ref().to_owned(),
        clip: sampling.clip,
    }
}

impl Display for DiffusionNetworkInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for backbone in &self.backbones {
            writeln!(f, "backbone      {backbone}; {} key points", self.keypoints)?;
        }
        if let Some([height, width]) = self.resize {
            writeln!(f, "images        resized to {height} x {width} (antialiased bilinear)")?;
        }
        if let Some([height, width]) = self.crop {
            writeln!(f, "images        cropped to their centre, {height} x {width}")?;
        }
        let (horizon, history) = (self.horizon, self.observation_steps);
        writeln!(f, "observations  {history}, one per action, the first repeated at the start")?;
        let widths: Vec<String> = self.widths.iter().map(ToString::to_string).collect();
        writeln!(
            f,
            "u-net         {} channels, {horizon} actions from the oldest observation on; a step takes {:.2} GFLOP and {:.0} MB of weights",
            widths.join(", "),
            2e-9 * self.products as f64,
            1e-6 * self.step_bytes as f64,
        )?;
        let clip = match self.clip {
            Some(range) => format!("clipped to {range}"),
            None => "not clipped".to_owned(),
        };
        writeln!(
            f,
            "sampling      {} in {} steps of {} ({}), predicts {}, {clip}",
            self.scheduler, self.steps, self.train_steps, self.beta_schedule, self.prediction
        )
    }
}
