//! What is done to an observation before the network sees it.

mod features;
mod image;
mod inputs;
mod resampling;

pub(crate) use features::{ScaledFeature, check, check_camera, check_finite, scaled_features};
pub(crate) use image::{Geometry, ImageInput};
pub(crate) use inputs::Inputs;
