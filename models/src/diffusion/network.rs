//! All weights of a Diffusion Policy.

use super::encoder::ImageEncoder;
use super::unet::UNet;

/// Encoders and the network that predicts noise.
pub(crate) struct Network {
    /// One for all cameras, one for each camera, or none.
    pub encoders: Vec<ImageEncoder>,
    /// Predicts noise.
    pub unet: UNet,
}

impl Network {
    /// Encoder of a camera.
    pub(crate) fn encoder(&self, camera: usize) -> Option<&ImageEncoder> {
        self.encoders.get(camera).or(self.encoders.first())
    }

    /// Features of one image.
    pub(crate) fn features(&self) -> usize {
        self.encoders.first().map_or(0, ImageEncoder::outputs)
    }
}
