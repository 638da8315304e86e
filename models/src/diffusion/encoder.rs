//! From an image to features: a backbone, key points, a linear layer.

use crate::engine::Engine;
use crate::layers::convolution::MapSize;
use crate::layers::keypoints::Keypoints;
use crate::layers::linear::Linear;
use crate::layers::resnet::{BufferLengths, ResNet, ResNetBuffers};
use crate::trace::Trace;

/// Encoder of the images of one camera, or of all.
pub(crate) struct ImageEncoder {
    /// Backbone.
    pub backbone: ResNet,
    /// Places of features on the backbone's map.
    pub keypoints: Keypoints,
    /// From key points to features.
    pub out: Linear,
    /// Whether features keep their sign, instead of losing what is negative.
    pub signed: bool,
}

/// Everything that [`ImageEncoder::forward`] writes beside its result.
pub(crate) struct EncoderBuffers {
    resnet: ResNetBuffers,
    pixels: Vec<f32>,
    scores: Vec<f32>,
    points: Vec<f32>,
}

/// Lengths of the buffers that one encoder needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct EncoderLengths {
    resnet: BufferLengths,
    pixels: usize,
    scores: usize,
    points: usize,
}

impl EncoderLengths {
    /// The larger of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            resnet: self.resnet.max(other.resnet),
            pixels: self.pixels.max(other.pixels),
            scores: self.scores.max(other.scores),
            points: self.points.max(other.points),
        }
    }

    /// Number of values in all buffers.
    pub(crate) fn total(self) -> usize {
        let rest = self.pixels.saturating_add(self.scores).saturating_add(self.points);
        self.resnet.total().saturating_add(rest)
    }
}

impl EncoderBuffers {
    /// Allocates buffers.
    pub(crate) fn new(lengths: EncoderLengths) -> Self {
        Self {
            resnet: ResNetBuffers::new(lengths.resnet),
            pixels: vec![0.0; lengths.pixels],
            scores: vec![0.0; lengths.scores],
            points: vec![0.0; lengths.points],
        }
    }
}

impl ImageEncoder {
    /// Number of features of one image.
    pub(crate) fn outputs(&self) -> usize {
        self.out.outputs()
    }

    /// Buffers that images of this size need.
    pub(crate) fn buffer_lengths(&self, image: MapSize) -> EncoderLengths {
        let pixels = self.backbone.output_size(image).pixels();
        EncoderLengths {
            resnet: self.backbone.buffer_lengths(image),
            pixels: pixels.saturating_mul(self.backbone.outputs()),
            scores: pixels.saturating_mul(self.keypoints.count()),
            points: 2 * self.keypoints.count(),
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
        let count = layout.size.pixels();
        // Another camera's encoder may be wider.
        let pixels = &mut pixels[..count * layout.channels];
        let scores = &mut scores[..count * self.keypoints.count()];
        let points = &mut points[..2 * self.keypoints.count()];
        layout.copy_inside(map, pixels);
        self.keypoints.forward(engine, (pixels, layout.size), scores, points);
        if self.signed {
            self.out.forward(engine, points, features);
        } else {
            self.out.finish(engine, points, self.out.bias().and_relu(), features);
        }
        if let Some(trace) = trace {
            let MapSize { height, width } = layout.size;
            let shape = [1, layout.channels, height, width];
            trace.record("preprocessed_and_backbone", &shape, &layout.channels_first(map));
            trace.record("keypoints", &[1, self.keypoints.count(), 2], points);
            trace.record("features", &[1, features.len()], features);
        }
    }
}
