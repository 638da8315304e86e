//! ResNet of basic blocks, up to its last feature map.

use super::activation::relu;
use super::add_in_place;
use super::batch_norm::FrozenBatchNorm;
use super::convolution::{Convolution, MapSize, max_pool};

/// Convolution followed by its normalisation.
pub(crate) struct NormedConvolution {
    /// The convolution.
    pub convolution: Convolution,
    /// Normalisation of its output channels.
    pub norm: FrozenBatchNorm,
}

impl NormedConvolution {
    fn forward(&self, input: &[f32], size: MapSize, patches: &mut [f32], output: &mut [f32]) {
        self.convolution.forward(input, size, patches, output);
        self.norm.apply(output);
    }

    fn output_len(&self, size: MapSize) -> usize {
        self.convolution.outputs() * self.convolution.output_size(size).pixels()
    }
}

/// Two convolutions with a shortcut around them.
pub(crate) struct BasicBlock {
    /// Carries the block's stride.
    pub first: NormedConvolution,
    /// Always stride 1.
    pub second: NormedConvolution,
    /// Brings the shortcut to the block's width and size, where they change.
    pub shortcut: Option<NormedConvolution>,
}

/// Stem, pooling and basic blocks.
pub(crate) struct ResNet {
    /// 7x7 convolution of stride 2.
    pub stem: NormedConvolution,
    /// Blocks in order, all stages joined.
    pub blocks: Vec<BasicBlock>,
}

/// Feature maps in flight. [`ResNet::forward`] leaves its result in `current`.
pub(crate) struct ResNetBuffers {
    stem: Vec<f32>,
    current: Vec<f32>,
    middle: Vec<f32>,
    next: Vec<f32>,
    patches: Vec<f32>,
}

/// Lengths of the buffers that one image size needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct BufferLengths {
    stem: usize,
    map: usize,
    patches: usize,
}

impl BufferLengths {
    /// The larger of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            stem: self.stem.max(other.stem),
            map: self.map.max(other.map),
            patches: self.patches.max(other.patches),
        }
    }

    /// Number of values in all buffers.
    pub(crate) fn total(self) -> usize {
        self.stem.saturating_add(self.map.saturating_mul(3)).saturating_add(self.patches)
    }
}

impl ResNetBuffers {
    /// Allocates buffers.
    pub(crate) fn new(lengths: BufferLengths) -> Self {
        Self {
            stem: vec![0.0; lengths.stem],
            current: vec![0.0; lengths.map],
            middle: vec![0.0; lengths.map],
            next: vec![0.0; lengths.map],
            patches: vec![0.0; lengths.patches],
        }
    }
}

impl ResNet {
    /// Width of the last feature map.
    pub(crate) fn outputs(&self) -> usize {
        self.blocks
            .last()
            .map_or(self.stem.convolution.outputs(), |block| block.second.convolution.outputs())
    }

    /// Size of the last feature map of an image.
    pub(crate) fn output_size(&self, image: MapSize) -> MapSize {
        self.blocks.iter().fold(self.stem.convolution.output_size(image).halved(), |size, block| {
            block.first.convolution.output_size(size)
        })
    }

    /// Buffers that images of this size need.
    pub(crate) fn buffer_lengths(&self, image: MapSize) -> BufferLengths {
        let stem = self.stem.output_len(image);
        let mut size = self.stem.convolution.output_size(image).halved();
        let mut map = self.stem.convolution.outputs() * size.pixels();
        let mut patches = self.stem.convolution.patches_len();
        for block in &self.blocks {
            map = map.max(block.first.output_len(size));
            size = block.first.convolution.output_size(size);
            map = map.max(block.second.output_len(size));
            for layer in [&block.first, &block.second].into_iter().chain(&block.shortcut) {
                patches = patches.max(layer.convolution.patches_len());
            }
        }
        BufferLengths { stem, map, patches }
    }

    /// Returns the last feature map, `[channels, height, width]`, of an image
    /// (`[3, height, width]`, normalised).
    pub(crate) fn forward<'a>(
        &self,
        image: &[f32],
        size: MapSize,
        buffers: &'a mut ResNetBuffers,
    ) -> &'a [f32] {
        let ResNetBuffers { stem, current, middle, next, patches } = buffers;
        let stem = &mut stem[..self.stem.output_len(size)];
        self.stem.forward(image, size, patches, stem);
        relu(stem);
        let size = self.stem.convolution.output_size(size);
        let mut length = self.stem.convolution.outputs() * size.halved().pixels();
        max_pool(stem, size, &mut current[..length]);
        let mut size = size.halved();

        for block in &self.blocks {
            let inner_len = block.first.output_len(size);
            let inner_size = block.first.convolution.output_size(size);
            let output_len = block.second.output_len(inner_size);
            let input = &current[..length];
            block.first.forward(input, size, patches, &mut middle[..inner_len]);
            relu(&mut middle[..inner_len]);
            let output = &mut next[..output_len];
            block.second.forward(&middle[..inner_len], inner_size, patches, output);
            if let Some(shortcut) = &block.shortcut {
                shortcut.forward(input, size, patches, &mut middle[..output_len]);
                add_in_place(output, &middle[..output_len]);
            } else {
                add_in_place(output, input);
            }
            relu(output);
            std::mem::swap(current, next);
            (size, length) = (inner_size, output_len);
        }
        &current[..length]
    }
}
