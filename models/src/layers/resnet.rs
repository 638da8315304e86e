//! ResNet of basic blocks, up to its last feature map.

use super::activation::Activation;
use super::convolution::{Convolution, Layout, MapSize, max_pool};
use super::group_norm::GroupNorm;
use crate::engine::Engine;
use crate::trace::Trace;

/// Padding of the stem's 7x7 kernel, which images bring as their border.
pub(crate) const IMAGE_BORDER: usize = 3;

/// Name of the map that the stages begin with.
const STEM: &str = "stem";
/// Names of the stages, as torchvision has them.
const STAGES: [&str; 4] = ["layer1", "layer2", "layer3", "layer4"];

/// Convolution followed by its normalisation. Batch normalisation with fixed statistics is part
/// of the convolution's weights.
pub(crate) struct NormedConvolution {
    /// The convolution.
    pub convolution: Convolution,
    /// Normalisation that depends on the map.
    pub norm: Option<GroupNorm>,
}

impl NormedConvolution {
    fn forward(
        &self,
        engine: &Engine,
        (input, from): (&[f32], Layout),
        (addend, relu): (Option<&[f32]>, bool),
        scratch: &mut [f32],
        output: &mut [f32],
    ) -> Layout {
        let to = self.convolution.output(from.size);
        let Some(norm) = &self.norm else {
            self.convolution.forward(engine, (input, from), (addend, relu), scratch, output);
            return to;
        };
        self.convolution.forward(engine, (input, from), (None, false), scratch, output);
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        norm.apply(engine, (output, to), addend, activation);
        to
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

impl BasicBlock {
    fn layers(&self) -> impl Iterator<Item = &NormedConvolution> {
        [&self.first, &self.second].into_iter().chain(&self.shortcut)
    }
}

/// Stem, pooling and basic blocks.
pub(crate) struct ResNet {
    /// 7x7 convolution of stride 2.
    pub stem: NormedConvolution,
    /// Blocks in order, all stages joined.
    pub blocks: Vec<BasicBlock>,
    /// Blocks of each stage.
    pub stages: Vec<usize>,
}

/// Feature maps in flight. [`ResNet::forward`] leaves its result in `current`.
pub(crate) struct ResNetBuffers {
    stem: Vec<f32>,
    current: Vec<f32>,
    middle: Vec<f32>,
    next: Vec<f32>,
    scratch: Vec<f32>,
}

/// Lengths of the buffers that one image size needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct BufferLengths {
    stem: usize,
    map: usize,
    scratch: usize,
}

impl BufferLengths {
    /// The larger of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            stem: self.stem.max(other.stem),
            map: self.map.max(other.map),
            scratch: self.scratch.max(other.scratch),
        }
    }

    /// Number of values in all buffers.
    pub(crate) fn total(self) -> usize {
        self.stem.saturating_add(self.map.saturating_mul(3)).saturating_add(self.scratch)
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
            scratch: vec![0.0; lengths.scratch],
        }
    }
}

/// Layout of an image, whose values are normalised.
pub(crate) fn image_layout(size: MapSize) -> Layout {
    Layout { size, channels: 3, border: IMAGE_BORDER }
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

    /// Every convolution with the size of its input for an image of this size.
    pub(crate) fn layers(&self, image: MapSize) -> impl Iterator<Item = (&Convolution, MapSize)> {
        let pooled = self.stem.convolution.output_size(image).halved();
        let blocks = self.blocks.iter().scan(pooled, |size, block| {
            let (input, inner) = (*size, block.first.convolution.output_size(*size));
            *size = inner;
            Some(block.layers().enumerate().map(move |(index, layer)| {
                (&layer.convolution, if index == 1 { inner } else { input })
            }))
        });
        std::iter::once((&self.stem.convolution, image)).chain(blocks.flatten())
    }

    /// Buffers that images of this size need.
    pub(crate) fn buffer_lengths(&self, image: MapSize) -> BufferLengths {
        let stem = self.stem.convolution.output(image);
        let pooled = Layout { size: stem.size.halved(), ..stem };
        let mut lengths = BufferLengths { stem: stem.len(), map: pooled.len(), scratch: 0 };
        for (convolution, size) in self.layers(image).skip(1) {
            let from = Layout { size, channels: convolution.inputs(), border: 1 };
            lengths.map = lengths.map.max(convolution.output(size).len());
            lengths.scratch = lengths.scratch.max(convolution.scratch_len(from));
        }
        // Shortcuts are computed where the stem's map was.
        lengths.stem = lengths.stem.max(lengths.map);
        lengths
    }

    /// Returns the last feature map of an image, whose layout is [`image_layout`].
    pub(crate) fn forward<'a>(
        &self,
        engine: &Engine,
        image: &[f32],
        size: MapSize,
        buffers: &'a mut ResNetBuffers,
    ) -> (&'a [f32], Layout) {
        self.forward_seen(engine, image, size, buffers, |_, _, _| ())
    }

    /// Records the map of the stem and of each stage. Allocates.
    pub(crate) fn record(
        &self,
        engine: &Engine,
        (image, size): (&[f32], MapSize),
        trace: &mut Trace,
    ) {
        let mut buffers = ResNetBuffers::new(self.buffer_lengths(size));
        self.forward_seen(engine, image, size, &mut buffers, |name, map, layout| {
            trace.record_map(name, map, layout);
        });
    }

    /// Like [`ResNet::forward`]; calls `see` with the name and the map of the stem (after pooling)
    /// and of each stage.
    fn forward_seen<'a>(
        &self,
        engine: &Engine,
        image: &[f32],
        size: MapSize,
        buffers: &'a mut ResNetBuffers,
        mut see: impl FnMut(&str, &[f32], Layout),
    ) -> (&'a [f32], Layout) {
        let ResNetBuffers { stem, current, middle, next, scratch } = buffers;
        let image = (image, image_layout(size));
        let layout = self.stem.forward(engine, image, (None, true), scratch, stem);
        let mut from = max_pool(engine, stem, layout, current);
        see(STEM, current, from);
        let ends = self.stages.iter().scan(0, |end, blocks| {
            *end += blocks;
            Some(*end)
        });
        let mut stages = ends.zip(STAGES).peekable();
        for (index, block) in self.blocks.iter().enumerate() {
            let input = (current.as_slice(), from);
            let inner = block.first.forward(engine, input, (None, true), scratch, middle);
            let shortcut = match &block.shortcut {
                Some(shortcut) => {
                    // The stem's map is no longer needed.
                    shortcut.forward(engine, input, (None, false), scratch, stem);
                    stem.as_slice()
                }
                None => current.as_slice(),
            };
            let inner = (middle.as_slice(), inner);
            from = block.second.forward(engine, inner, (Some(shortcut), true), scratch, next);
            std::mem::swap(current, next);
            if let Some((_, name)) = stages.next_if(|(end, _)| *end == index + 1) {
                see(name, current, from);
            }
        }
        (&current[..from.len()], from)
    }
}
