//! The network that predicts noise: residual blocks over the actions of a chunk, at several
//! resolutions of time (a U-Net).

use super::film::{Films, StepEncoder};
use crate::engine::Engine;
use crate::layers::activation::Activation;
use crate::layers::group_norm::{GroupNorm, Then};
use crate::layers::sequence::{Convolution1d, Sequence, Upsampling};

/// Convolution, normalisation, Mish.
pub(crate) struct NormedConvolution {
    /// The convolution.
    pub convolution: Convolution1d,
    /// The normalisation.
    pub norm: GroupNorm,
}

impl NormedConvolution {
    fn forward(&self, engine: &Engine, input: &Sequence, then: Then<'_>, output: &mut Sequence) {
        self.convolution.forward(engine, input, output);
        let layout = output.layout();
        self.norm.apply_then(engine, (output.rows_mut(), layout), then);
    }
}

/// Two convolutions, the condition between them, and a way around them.
pub(crate) struct Block {
    /// First convolution.
    pub first: NormedConvolution,
    /// Second convolution.
    pub second: NormedConvolution,
    /// Where the block's scales (if there are any) and shifts begin among those of all blocks.
    pub film: usize,
    /// Whether the condition scales as well as shifts.
    pub scales: bool,
    /// Brings the way around to the block's width, where that changes.
    pub residual: Option<Convolution1d>,
}

impl Block {
    /// Channels of the result.
    pub(crate) fn outputs(&self) -> usize {
        self.first.convolution.outputs()
    }

    fn forward(
        &self,
        engine: &Engine,
        input: &Sequence,
        films: &[f32],
        BlockBuffers { inner, output }: &mut BlockBuffers,
    ) {
        let width = self.outputs();
        let film = &films[self.film..];
        let mut then = Then::activate(Activation::Mish);
        if self.scales {
            then.scale = Some(&film[..width]);
            then.shift = Some(&film[width..2 * width]);
        } else {
            then.shift = Some(&film[..width]);
        }
        self.first.forward(engine, input, then, inner);
        let then = Then {
            residual: self.residual.is_none().then(|| input.rows()),
            ..Then::activate(Activation::Mish)
        };
        self.second.forward(engine, inner, then, output);
        if let Some(residual) = &self.residual {
            residual.accumulate(engine, input, output);
        }
    }
}

/// One level on the way down.
pub(crate) struct DownLevel {
    /// Residual blocks.
    pub blocks: [Block; 2],
    /// Halves the length; absent at the last level.
    pub halve: Option<Convolution1d>,
}

/// One level on the way up.
pub(crate) struct UpLevel {
    /// Residual blocks; the first takes the level below and the level of the way down.
    pub blocks: [Block; 2],
    /// Doubles the length.
    pub double: Upsampling,
}

/// All layers.
pub(crate) struct UNet {
    /// Embedding of the timestep.
    pub steps: StepEncoder,
    /// What the condition does to the blocks.
    pub films: Films,
    /// The way down.
    pub down: Vec<DownLevel>,
    /// The blocks at the bottom.
    pub middle: [Block; 2],
    /// The way up.
    pub up: Vec<UpLevel>,
    /// The block before the last layer.
    pub last: NormedConvolution,
    /// To actions.
    pub head: Convolution1d,
    /// Actions of a chunk.
    pub horizon: usize,
    /// Rows of zeros that the widest kernel needs.
    pub border: usize,
}

struct BlockBuffers {
    inner: Sequence,
    output: Sequence,
}

/// Everything that [`UNet::forward`] reads and writes.
pub(crate) struct UNetBuffers {
    /// The noisy actions.
    pub input: Sequence,
    /// The prediction.
    pub output: Sequence,
    down: Vec<([BlockBuffers; 2], Option<Sequence>)>,
    middle: [BlockBuffers; 2],
    up: Vec<(Sequence, [BlockBuffers; 2], Sequence)>,
    last: Sequence,
}

impl UNet {
    /// Allocates buffers.
    pub(crate) fn buffers(&self) -> UNetBuffers {
        let sequence = |length, channels| Sequence::new(length, channels, self.border);
        let block = |length, block: &Block| BlockBuffers {
            inner: sequence(length, block.outputs()),
            output: sequence(length, block.outputs()),
        };
        let mut length = self.horizon;
        let mut skips = Vec::new();
        let down = self.down.iter().map(|level| {
            let blocks = level.blocks.each_ref().map(|one| block(length, one));
            skips.push(level.blocks[1].outputs());
            let halved = level.halve.as_ref().map(|halve| {
                length /= 2;
                sequence(length, halve.outputs())
            });
            (blocks, halved)
        });
        let down = down.collect();
        let middle = self.middle.each_ref().map(|one| block(length, one));
        let mut width = self.middle[1].outputs();
        let mut up = Vec::new();
        for level in &self.up {
            let joined = sequence(length, width + skips.pop().unwrap_or(0));
            let blocks = level.blocks.each_ref().map(|one| block(length, one));
            width = level.double.outputs();
            length *= 2;
            up.push((joined, blocks, sequence(length, width)));
        }
        UNetBuffers {
            input: sequence(self.horizon, self.action_size()),
            output: sequence(self.horizon, self.action_size()),
            down,
            middle,
            up,
            last: sequence(length, self.last.convolution.outputs()),
        }
    }

    /// Values of one action.
    pub(crate) fn action_size(&self) -> usize {
        self.head.outputs()
    }

    /// Predicts from `buffers.input` into `buffers.output`; `films` are the scales and shifts of
    /// all blocks.
    pub(crate) fn forward(&self, engine: &Engine, films: &[f32], buffers: &mut UNetBuffers) {
        let UNetBuffers { input, output, down, middle, up, last } = buffers;
        let mut current: &Sequence = input;
        let mut skips = down.iter_mut();
        for (level, (buffers, halved)) in self.down.iter().zip(&mut skips) {
            current = run(engine, &level.blocks, current, films, buffers);
            if let (Some(halve), Some(halved)) = (&level.halve, halved) {
                halve.forward(engine, current, halved);
                current = halved;
            }
        }
        current = run(engine, &self.middle, current, films, middle);
        for ((level, (joined, buffers, doubled)), skip) in
            self.up.iter().zip(up.iter_mut()).zip(down.iter().rev())
        {
            joined.join(current, &skip.0[1].output);
            current = run(engine, &level.blocks, joined, films, buffers);
            level.double.forward(engine, current, doubled);
            current = doubled;
        }
        self.last.forward(engine, current, Then::activate(Activation::Mish), last);
        self.head.forward(engine, last, output);
    }

    /// Every convolution with the rows that it computes; transposed ones count their input.
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let mut length = self.horizon;
        for level in &self.down {
            cost.blocks(&level.blocks, length);
            if let Some(halve) = &level.halve {
                length /= 2;
                cost.convolution(halve, length);
            }
        }
        cost.blocks(&self.middle, length);
        for level in &self.up {
            cost.blocks(&level.blocks, length);
            cost.bytes += level.double.bytes();
            cost.products += level.double.products() * length;
            length *= 2;
        }
        cost.convolution(&self.last.convolution, length);
        cost.convolution(&self.head, length);
        cost
    }
}

/// What one pass through the network takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Bytes of weights that are read.
    pub bytes: usize,
    /// Multiply-adds.
    pub products: usize,
}

impl Cost {
    fn convolution(&mut self, layer: &Convolution1d, rows: usize) {
        self.bytes += layer.bytes();
        self.products += layer.products() * rows;
    }

    fn blocks(&mut self, blocks: &[Block; 2], rows: usize) {
        for block in blocks {
            self.convolution(&block.first.convolution, rows);
            self.convolution(&block.second.convolution, rows);
            if let Some(residual) = &block.residual {
                self.convolution(residual, rows);
            }
        }
    }
}

/// Runs two blocks and returns the output of the second.
fn run<'a>(
    engine: &Engine,
    [first, second]: &[Block; 2],
    input: &Sequence,
    films: &[f32],
    [first_buffers, second_buffers]: &'a mut [BlockBuffers; 2],
) -> &'a Sequence {
    first.forward(engine, input, films, first_buffers);
    second.forward(engine, &first_buffers.output, films, second_buffers);
    &second_buffers.output
}
