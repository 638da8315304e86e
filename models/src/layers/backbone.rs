//! The image backbones that ACT may have.

use super::convolution::{Layout, MapSize};
use super::residual_attention::{self, ResidualAttention, ResidualAttentionBuffers};
use super::resnet::{self, ResNet, ResNetBuffers};
use crate::engine::Engine;
use crate::trace::Trace;

/// From an image to its last feature map.
pub(crate) enum Backbone {
    /// Of basic blocks.
    ResNet(ResNet),
    /// Of bottlenecks and attention modules.
    ResidualAttention(Box<ResidualAttention>),
}

/// Feature maps in flight, for backbones of either kind.
pub(crate) struct BackboneBuffers {
    resnet: ResNetBuffers,
    attention: ResidualAttentionBuffers,
}

/// Lengths of the buffers.
#[derive(Clone, Copy, Default)]
pub(crate) struct BufferLengths {
    resnet: resnet::BufferLengths,
    attention: residual_attention::BufferLengths,
}

impl BufferLengths {
    /// The larger of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            resnet: self.resnet.max(other.resnet),
            attention: self.attention.max(other.attention),
        }
    }

    /// Number of values in all buffers.
    pub(crate) fn total(self) -> usize {
        self.resnet.total().saturating_add(self.attention.total())
    }
}

impl BackboneBuffers {
    /// Allocates buffers.
    pub(crate) fn new(lengths: BufferLengths) -> Self {
        Self {
            resnet: ResNetBuffers::new(lengths.resnet),
            attention: ResidualAttentionBuffers::new(lengths.attention),
        }
    }
}

impl Backbone {
    /// Width of the last feature map.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::ResNet(resnet) => resnet.outputs(),
            Self::ResidualAttention(network) => network.outputs(),
        }
    }

    /// Size of the last feature map of an image.
    pub(crate) fn output_size(&self, image: MapSize) -> MapSize {
        match self {
            Self::ResNet(resnet) => resnet.output_size(image),
            Self::ResidualAttention(network) => network.output_size(image),
        }
    }

    /// Buffers that images of this size need.
    pub(crate) fn buffer_lengths(&self, image: MapSize) -> BufferLengths {
        let mut lengths = BufferLengths::default();
        match self {
            Self::ResNet(resnet) => lengths.resnet = resnet.buffer_lengths(image),
            Self::ResidualAttention(network) => lengths.attention = network.buffer_lengths(image),
        }
        lengths
    }

    /// Multiply-adds for an image, by the definition of the layers.
    pub(crate) fn products(&self, image: MapSize) -> usize {
        match self {
            Self::ResNet(resnet) => {
                resnet.layers(image).map(|(layer, size)| layer.products(size)).sum()
            }
            Self::ResidualAttention(network) => {
                let mut products = 0;
                network.visit(image, &mut |layer, from| products += layer.products(from.size));
                products
            }
        }
    }

    /// Bytes of the convolutions' weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        let of_any_size = MapSize { height: 64, width: 64 };
        match self {
            Self::ResNet(resnet) => {
                resnet.layers(of_any_size).map(|(layer, _)| layer.bytes()).sum()
            }
            Self::ResidualAttention(network) => {
                let mut bytes = 0;
                network.visit(of_any_size, &mut |layer, _| bytes += layer.bytes());
                bytes
            }
        }
    }

    /// Returns the last feature map of an image, whose layout is
    /// [`image_layout`](super::resnet::image_layout).
    pub(crate) fn forward<'a>(
        &self,
        engine: &Engine,
        image: &[f32],
        size: MapSize,
        buffers: &'a mut BackboneBuffers,
    ) -> (&'a [f32], Layout) {
        match self {
            Self::ResNet(resnet) => resnet.forward(engine, image, size, &mut buffers.resnet),
            Self::ResidualAttention(network) => {
                network.forward(engine, image, size, &mut buffers.attention, |_, _, _| ())
            }
        }
    }

    /// Records the map of the stem and of each stage. Allocates.
    pub(crate) fn record(
        &self,
        engine: &Engine,
        (image, size): (&[f32], MapSize),
        trace: &mut Trace,
    ) {
        match self {
            Self::ResNet(resnet) => resnet.record(engine, (image, size), trace),
            Self::ResidualAttention(network) => {
                let mut buffers = ResidualAttentionBuffers::new(network.buffer_lengths(size));
                network.forward(engine, image, size, &mut buffers, |name, map, layout| {
                    trace.record_map(name, map, layout);
                });
            }
        }
    }
}
