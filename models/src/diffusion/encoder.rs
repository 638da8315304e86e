//! From an image to features: a backbone, key points, a linear layer.

use crate::engine::Engine;
use crate::layers::convolution::MapSize;
use crate::layers::keypoints::Keypoints;
use crate::layers::linear::Linear;
use crate::layers::resnet::{ResNet, ResNetBuffers};
use crate::trace::Trace;

/// Encoder of the images of one camera, or of all.
pub(crate) struct ImageEncoder {
    /// Backbone.
    pub backbone: ResNet,
    /// Places of features on the backbone's map.
    pub keypoints: Keypoints,
    /// Followed by cutting off what is negative.
    pub out: Linear,
}

/// Everything that [`ImageEncoder::forward`] writes beside its result.
pub(crate) struct EncoderBuffers {
    resnet: ResNetBuffers,
    pixels: Vec<f32>,
    scores: Vec<f32>,
    points: Vec<f32>,
}

impl ImageEncoder {
    /// Number of features of one image.
    pub(crate) fn outputs(&self) -> usize {
        self.out.outputs()
    }

    /// Number of values that [`ImageEncoder::buffers`] would allocate.
    pub(crate) fn buffers_len(&self, image: MapSize) -> usize {
        let pixels = self.backbone.output_size(image).pixels();
        let width = self.backbone.outputs() + self.keypoints.count();
        self.backbone.buffer_lengths(image).total().saturating_add(pixels.saturating_mul(width))
    }

    /// Allocates buffers for images of this size.
    pub(crate) fn buffers(&self, image: MapSize) -> EncoderBuffers {
        let pixels = self.backbone.output_size(image).pixels();
        EncoderBuffers {
            resnet: ResNetBuffers::new(self.backbone.buffer_lengths(image)),
            pixels: vec![0.0; pixels * self.backbone.outputs()],
            scores: vec![0.0; pixels * self.keypoints.count()],
            points: vec![0.0; 2 * self.keypoints.count()],
        }
    }

    /// Writes the features of an image, whose layout is
    /// [`image_layout`](crate::layers::resnet::image_layout).
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        (image, size): (&[f32], MapSize),
        buffers: &mut EncoderBuffers,
        features: &mut [f32],
        trace: Option<&mut Trace>,
    ) {
        let EncoderBuffers { resnet, pixels, scores, points } = buffers;
        let (map, layout) = self.backbone.forward(engine, image, size, resnet);
        layout.copy_inside(map, pixels);
        self.keypoints.forward(engine, (pixels, layout.size), scores, points);
        self.out.finish(engine, points, self.out.bias().and_relu(), features);
        if let Some(trace) = trace {
            let MapSize { height, width } = layout.size;
            let shape = [1, layout.channels, height, width];
            trace.record("preprocessed_and_backbone", &shape, &layout.channels_first(map));
            trace.record("keypoints", &[1, self.keypoints.count(), 2], points);
            trace.record("features", &[1, features.len()], features);
        }
    }
}
