//! Residual attention network (Wang et al., 2017): bottleneck blocks that normalise first, and
//! attention modules that look at a map from further and further away and weigh it by what they
//! saw. As small as a ResNet-18 in sinyeong10/act-plus-plus_one, after which this is built.
//!
//! Batch normalisation has fixed statistics here. Where it follows a convolution it is part of its
//! weights; where it comes first it is a [`ScaleShift`].

use super::convolution::{Convolution, Layout, MapSize, max_pool};
use super::map_arithmetic::{ScaleShift, add_upsampled, weigh_by_sigmoid};
use super::resnet::image_layout;
use crate::engine::Engine;

/// A residual block that normalises before its convolutions: to a quarter of the channels, 3x3 (at
/// the block's stride), back to all of them.
pub(crate) struct Bottleneck {
    /// Comes first, and cuts off what is negative.
    pub norm: ScaleShift,
    /// 1x1 to fewer channels, normalised, without what is negative.
    pub narrow: Convolution,
    /// 3x3, normalised, without what is negative.
    pub middle: Convolution,
    /// 1x1 to the block's channels.
    pub widen: Convolution,
    /// Of the normalised input, where the block changes width or size.
    pub shortcut: Option<Convolution>,
}

/// What an attention module does between two sizes of the map.
pub(crate) struct Level {
    /// After pooling.
    pub down: Bottleneck,
    /// Around everything that is further away.
    pub skip: Bottleneck,
    /// After what is further away was brought back to this size.
    pub up: Bottleneck,
}

/// The end of what an attention module saw: from a map to the logits of its weights.
pub(crate) struct Mask {
    /// Comes first, and cuts off what is negative.
    pub norm: ScaleShift,
    /// 1x1, normalised, without what is negative.
    pub first: Convolution,
    /// 1x1.
    pub second: Convolution,
}

/// Weighs a map by `1 + sigmoid(mask)`.
pub(crate) struct AttentionModule {
    /// Before everything.
    pub first: Bottleneck,
    /// Makes the map that is weighed.
    pub trunk: [Bottleneck; 2],
    /// From near to far.
    pub levels: Vec<Level>,
    /// At the smallest size.
    pub bottom: [Bottleneck; 2],
    /// Makes the weights.
    pub mask: Mask,
    /// After everything.
    pub last: Bottleneck,
}

/// One part of the network, with the name that the original gives it.
pub(crate) enum Part {
    /// A residual block.
    Block(Box<Bottleneck>),
    /// An attention module.
    Attention(Box<AttentionModule>),
}

/// Stem, pooling, blocks and attention modules.
pub(crate) struct ResidualAttention {
    /// 7x7 convolution of stride 2, normalised, without what is negative.
    pub stem: Convolution,
    /// In order, with names.
    pub parts: Vec<(String, Part)>,
    /// The blocks of the last stage.
    pub last: Vec<Bottleneck>,
    /// Ends the last stage.
    pub norm: ScaleShift,
}

/// Name of the last stage.
const LAST: &str = "layer4";

/// Lengths of the buffers that one image size needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct BufferLengths {
    stem: usize,
    map: usize,
    scratch: usize,
    /// Most levels of an attention module.
    levels: usize,
}

/// Maps that a block needs beside its input and output.
const WORK: usize = 4;
/// Current, next, trunk, and two on the way through an attention module.
const MAPS: usize = 5;

impl BufferLengths {
    /// The larger of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            stem: self.stem.max(other.stem),
            map: self.map.max(other.map),
            scratch: self.scratch.max(other.scratch),
            levels: self.levels.max(other.levels),
        }
    }

    /// Number of values in all buffers.
    pub(crate) fn total(self) -> usize {
        let maps = self.map.saturating_mul(WORK + MAPS + self.levels);
        self.stem.saturating_add(maps).saturating_add(self.scratch)
    }
}

/// Feature maps in flight.
pub(crate) struct ResidualAttentionBuffers {
    stem: Vec<f32>,
    maps: [Vec<f32>; MAPS],
    levels: Vec<Vec<f32>>,
    work: Work,
}

/// What a block needs beside its input and output.
struct Work {
    normed: Vec<f32>,
    narrow: Vec<f32>,
    middle: Vec<f32>,
    shortcut: Vec<f32>,
    scratch: Vec<f32>,
}

impl ResidualAttentionBuffers {
    /// Allocates buffers.
    pub(crate) fn new(lengths: BufferLengths) -> Self {
        let map = || vec![0.0; lengths.map];
        Self {
            stem: vec![0.0; lengths.stem],
            maps: std::array::from_fn(|_| map()),
            levels: (0..lengths.levels).map(|_| map()).collect(),
            work: Work {
                normed: map(),
                narrow: map(),
                middle: map(),
                shortcut: map(),
                scratch: vec![0.0; lengths.scratch],
            },
        }
    }
}

impl Bottleneck {
    /// Layout of the output.
    fn output(&self, from: Layout) -> Layout {
        Layout { channels: self.widen.outputs(), ..self.middle.output(from.size) }
    }

    fn visit(&self, from: Layout, see: &mut impl FnMut(&Convolution, Layout)) -> Layout {
        see(&self.narrow, from);
        let narrow = self.narrow.output(from.size);
        see(&self.middle, narrow);
        see(&self.widen, self.middle.output(narrow.size));
        self.shortcut.iter().for_each(|shortcut| see(shortcut, from));
        self.output(from)
    }

    fn forward(
        &self,
        engine: &Engine,
        (input, from): (&[f32], Layout),
        work: &mut Work,
        out: &mut [f32],
    ) -> Layout {
        let Work { normed, narrow, middle, shortcut, scratch } = work;
        self.norm.apply(engine, (input, from), true, normed);
        let normed = normed.as_slice();
        self.narrow.forward(engine, (normed, from), (None, true), scratch, narrow);
        let inner = self.narrow.output(from.size);
        self.middle.forward(engine, (narrow.as_slice(), inner), (None, true), scratch, middle);
        let inner = self.middle.output(inner.size);
        let around: &[f32] = match &self.shortcut {
            Some(convolution) => {
                convolution.forward(engine, (normed, from), (None, false), scratch, shortcut);
                shortcut
            }
            None => input,
        };
        let widened = (Some(around), false);
        self.widen.forward(engine, (middle.as_slice(), inner), widened, scratch, out);
        self.output(from)
    }
}

impl AttentionModule {
    fn visit(&self, from: Layout, see: &mut impl FnMut(&Convolution, Layout)) -> Layout {
        let from = self.first.visit(from, see);
        self.trunk.iter().fold(from, |from, block| block.visit(from, see));
        let mut size = from.size;
        for level in &self.levels {
            size = size.halved();
            for block in [&level.down, &level.skip, &level.up] {
                block.visit(Layout { size, ..from }, see);
            }
        }
        let far = Layout { size: size.halved(), ..from };
        self.bottom.iter().fold(far, |far, block| block.visit(far, see));
        see(&self.mask.first, from);
        see(&self.mask.second, from);
        self.last.visit(from, see)
    }

    /// Computes the module on `current`, whose place the result takes.
    fn forward(
        &self,
        engine: &Engine,
        from: Layout,
        maps: &mut [Vec<f32>; MAPS],
        levels: &mut [Vec<f32>],
        work: &mut Work,
    ) -> Layout {
        let [current, next, trunk, one, other] = maps;
        let from = self.first.forward(engine, (current, from), work, next);
        std::mem::swap(current, next);
        self.trunk[0].forward(engine, (current, from), work, one);
        self.trunk[1].forward(engine, (one, from), work, trunk);
        // Away from the map.
        let mut near: (&[f32], Layout) = (current, from);
        for (level, kept) in self.levels.iter().zip(&mut *levels) {
            let pooled = max_pool(engine, near.0, near.1, one);
            level.down.forward(engine, (one, pooled), work, kept);
            near = (kept, pooled);
        }
        let mut layout = max_pool(engine, near.0, near.1, one);
        self.bottom[0].forward(engine, (one, layout), work, other);
        self.bottom[1].forward(engine, (other, layout), work, one);
        // And back to it: what is further away lies in `one`.
        for (index, (level, kept)) in self.levels.iter().zip(&*levels).enumerate().rev() {
            let size = (0..=index).fold(from.size, |size, _| size.halved());
            let to = Layout { size, ..from };
            level.skip.forward(engine, (kept, to), work, next);
            add_upsampled(engine, (one, layout), [Some(kept), Some(next)], (other, to));
            level.up.forward(engine, (other, to), work, one);
            layout = to;
        }
        add_upsampled(engine, (one, layout), [Some(trunk), None], (other, from));
        self.mask.forward(engine, (other, from), work, one);
        weigh_by_sigmoid(engine, &one[..from.len()], &mut trunk[..from.len()]);
        self.last.forward(engine, (trunk, from), work, current)
    }
}

impl Mask {
    fn forward(
        &self,
        engine: &Engine,
        (input, from): (&[f32], Layout),
        work: &mut Work,
        out: &mut [f32],
    ) {
        let Work { normed, narrow, scratch, .. } = work;
        self.norm.apply(engine, (input, from), true, normed);
        self.first.forward(engine, (normed, from), (None, true), scratch, narrow);
        self.second.forward(engine, (narrow, from), (None, false), scratch, out);
    }
}

impl ResidualAttention {
    /// Width of the last feature map.
    pub(crate) fn outputs(&self) -> usize {
        self.norm.channels()
    }

    /// Size of the last feature map of an image.
    pub(crate) fn output_size(&self, image: MapSize) -> MapSize {
        self.visit(image, &mut |_, _| ()).size
    }

    /// Calls `see` with every convolution and the layout that it reads.
    pub(crate) fn visit(
        &self,
        image: MapSize,
        see: &mut impl FnMut(&Convolution, Layout),
    ) -> Layout {
        see(&self.stem, image_layout(image));
        let stem = self.stem.output(image);
        let mut layout = Layout { size: stem.size.halved(), ..stem };
        for (_, part) in &self.parts {
            layout = match part {
                Part::Block(block) => block.visit(layout, see),
                Part::Attention(module) => module.visit(layout, see),
            };
        }
        self.last.iter().fold(layout, |layout, block| block.visit(layout, see))
    }

    /// Buffers that images of this size need.
    pub(crate) fn buffer_lengths(&self, image: MapSize) -> BufferLengths {
        let stem = self.stem.output(image);
        let pooled = Layout { size: stem.size.halved(), ..stem };
        let mut lengths =
            BufferLengths { stem: stem.len(), map: pooled.len(), ..Default::default() };
        let mut is_stem = true;
        self.visit(image, &mut |convolution, from| {
            lengths.scratch = lengths.scratch.max(convolution.scratch_len(from));
            if !is_stem {
                let to = convolution.output(from.size);
                lengths.map = lengths.map.max(from.len()).max(to.len());
            }
            is_stem = false;
        });
        let levels = self.parts.iter().map(|(_, part)| match part {
            Part::Block(_) => 0,
            Part::Attention(module) => module.levels.len(),
        });
        lengths.levels = levels.max().unwrap_or(0);
        lengths
    }

    /// Returns the last feature map of an image, whose layout is [`image_layout`]; calls `see` with
    /// the name and the map of the stem (after pooling) and of each part.
    pub(crate) fn forward<'a>(
        &self,
        engine: &Engine,
        image: &[f32],
        size: MapSize,
        buffers: &'a mut ResidualAttentionBuffers,
        mut see: impl FnMut(&str, &[f32], Layout),
    ) -> (&'a [f32], Layout) {
        let ResidualAttentionBuffers { stem, maps, levels, work } = buffers;
        let image = (image, image_layout(size));
        self.stem.forward(engine, image, (None, true), &mut work.scratch, stem);
        let mut layout = max_pool(engine, stem, self.stem.output(size), &mut maps[0]);
        see("stem", &maps[0], layout);
        for (name, part) in &self.parts {
            layout = match part {
                Part::Block(block) => {
                    let [current, next, ..] = maps;
                    let to = block.forward(engine, (current, layout), work, next);
                    std::mem::swap(current, next);
                    to
                }
                Part::Attention(module) => module.forward(engine, layout, maps, levels, work),
            };
            see(name, &maps[0], layout);
        }
        let [current, next, ..] = maps;
        for block in &self.last {
            layout = block.forward(engine, (current, layout), work, next);
            std::mem::swap(current, next);
        }
        self.norm.apply(engine, (current, layout), false, next);
        std::mem::swap(current, next);
        see(LAST, current, layout);
        (&current[..layout.len()], layout)
    }
}
