//! What is done to an observation before the network sees it.

mod features;
mod image;
mod inputs;
mod resampling;
mod retouch;
#[cfg(test)]
mod tests;

pub(crate) use features::{ScaledFeature, check, check_camera, check_finite, scaled_features};
pub(crate) use image::{Geometry, ImageInput, ImagePlan, centre};
pub(crate) use inputs::{Inputs, image_inputs};
