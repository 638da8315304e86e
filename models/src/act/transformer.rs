//! Encoder and decoder layers of ACT.
//!
//! Positions are added in every layer, to queries and keys only. They are constant, so what the
//! projections make of them is computed once and added after the projections.

use crate::engine::Engine;
use crate::engine::product::Finish;
use crate::layers::activation::Activation;
use crate::layers::add_in_place;
use crate::layers::attention::{AttentionBuffers, Columns, Heads, attend};
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;

/// Where a residual block normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormPlacement {
    /// The input of the block, leaving the residual sum as it is.
    Before,
    /// The residual sum.
    After,
}

/// Sizes that all layers share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Attention heads; their widths add up to the width of the model.
    pub heads: Heads,
    /// Width of the feed-forward layers.
    pub inner: usize,
}

impl Sizes {
    /// Width of the model.
    pub(crate) fn width(self) -> usize {
        self.heads.count * self.heads.width
    }
}

/// Attention of rows among each other.
pub(crate) struct SelfAttention {
    /// Queries, keys and values, side by side.
    pub projections: Linear,
    /// Projection of the joined heads.
    pub output: Linear,
    /// Normalisation of the block.
    pub norm: BlockNorm,
}

/// Attention to the encoder's output.
pub(crate) struct CrossAttention {
    /// Queries.
    pub query: Linear,
    /// Keys and values of the encoder's output, side by side.
    pub memory: Linear,
    /// Projection of the joined heads.
    pub output: Linear,
    /// Normalisation of the block.
    pub norm: BlockNorm,
}

/// Two linear layers with an activation between them.
pub(crate) struct FeedForward {
    /// To the inner width.
    pub first: Linear,
    /// Back to the model width.
    pub second: Linear,
    /// Between them.
    pub activation: Activation,
    /// Normalisation of the block.
    pub norm: BlockNorm,
}

/// Self-attention and feed-forward.
pub(crate) struct EncoderLayer {
    /// Attention among the tokens.
    pub attention: SelfAttention,
    /// Feed-forward block.
    pub feed_forward: FeedForward,
}

/// Self-attention, attention to the encoder's output, and feed-forward.
pub(crate) struct DecoderLayer {
    /// Attention among the steps of the chunk.
    pub attention: SelfAttention,
    /// Attention to the encoder's output.
    pub cross: CrossAttention,
    /// Feed-forward block.
    pub feed_forward: FeedForward,
}

/// What projections make of positions, with their bias: one row per token.
pub(crate) struct Projected(Vec<f32>);

impl Projected {
    /// Projects positions with the first `positioned` outputs of a layer; the others are values,
    /// which carry no position.
    fn new(
        engine: &Engine,
        layer: &Linear,
        positions: &[f32],
        width: usize,
        positioned: usize,
    ) -> Self {
        let outputs = layer.outputs();
        let mut rows = vec![0.0; positions.len() / width * outputs];
        layer.finish(engine, positions, Finish::default(), &mut rows);
        for row in rows.chunks_exact_mut(outputs) {
            row[positioned..].fill(0.0);
            add_in_place(row, layer.bias_values());
        }
        Self(rows)
    }
}

/// Intermediate values of a layer.
pub(crate) struct LayerBuffers {
    attention: AttentionBuffers,
    normed: Vec<f32>,
    projected: Vec<f32>,
    mixed: Vec<f32>,
    inner: Vec<f32>,
}

impl LayerBuffers {
    /// Buffers for up to `rows` rows.
    pub(crate) fn new(sizes: Sizes, rows: usize, threads: usize) -> Self {
        let width = sizes.width();
        Self {
            attention: AttentionBuffers::new(sizes.heads, rows, threads),
            normed: vec![0.0; rows * width],
            projected: vec![0.0; rows * 3 * width],
            mixed: vec![0.0; rows * width],
            inner: vec![0.0; rows * sizes.inner],
        }
    }

    /// Number of values in them.
    pub(crate) fn len(sizes: Sizes, rows: usize, threads: usize) -> usize {
        AttentionBuffers::len(sizes.heads, rows, threads)
            .saturating_add(rows.saturating_mul(5 * sizes.width() + sizes.inner))
    }
}

/// Normalisation of a residual block.
pub(crate) struct BlockNorm {
    /// The normalisation.
    pub norm: LayerNorm,
    /// Where it stands.
    pub placement: NormPlacement,
}

impl BlockNorm {
    /// What the block reads.
    fn before<'a>(&self, engine: &Engine, values: &'a [f32], normed: &'a mut [f32]) -> &'a [f32] {
        if self.placement == NormPlacement::After {
            return values;
        }
        let normed = &mut normed[..values.len()];
        normed.copy_from_slice(values);
        self.norm.apply(engine, normed);
        normed
    }

    /// What is done to the residual sum.
    fn after(&self, engine: &Engine, values: &mut [f32]) {
        if self.placement == NormPlacement::After {
            self.norm.apply(engine, values);
        }
    }
}

impl SelfAttention {
    /// What the projections make of positions.
    pub(crate) fn project(&self, engine: &Engine, width: usize, positions: &[f32]) -> Projected {
        Projected::new(engine, &self.projections, positions, width, 2 * width)
    }

    /// Updates `rows`; `positions` come from [`SelfAttention::project`].
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        sizes: Sizes,
        rows: &mut [f32],
        positions: &Projected,
        buffers: &mut LayerBuffers,
    ) {
        let width = sizes.width();
        let count = rows.len() / width;
        let LayerBuffers { attention, normed, projected, mixed, .. } = buffers;
        let (projected, mixed) = (&mut projected[..3 * rows.len()], &mut mixed[..rows.len()]);
        let input = self.norm.before(engine, rows, normed);
        let finish = Finish::default().and_add(&positions.0, 3 * width);
        self.projections.finish(engine, input, finish, projected);
        let [query, key, value] = [0, width, 2 * width].map(|first| Columns {
            values: &*projected,
            stride: 3 * width,
            first,
        });
        attend(engine, sizes.heads, (query, count), (key, value, count), attention, mixed);
        self.output.accumulate(engine, mixed, rows);
        self.norm.after(engine, rows);
    }
}

impl CrossAttention {
    /// Writes the queries of `steps`.
    fn query(
        &self,
        engine: &Engine,
        steps: &[f32],
        positions: &DecoderPositions,
        normed: &mut [f32],
        queries: &mut [f32],
    ) {
        let input = self.norm.before(engine, steps, normed);
        let finish = Finish::default().and_add(&positions.queries.0, self.query.outputs());
        self.query.finish(engine, input, finish, queries);
    }
}

impl FeedForward {
    fn forward(&self, engine: &Engine, sizes: Sizes, rows: &mut [f32], buffers: &mut LayerBuffers) {
        let LayerBuffers { normed, inner, .. } = buffers;
        let inner = &mut inner[..rows.len() / sizes.width() * sizes.inner];
        let input = self.norm.before(engine, rows, normed);
        if self.activation == Activation::Relu {
            self.first.finish(engine, input, self.first.bias().and_relu(), inner);
        } else {
            self.first.forward(engine, input, inner);
            self.activation.apply(engine, inner);
        }
        self.second.accumulate(engine, inner, rows);
        self.norm.after(engine, rows);
    }
}

impl EncoderLayer {
    /// Updates `tokens`; `positions` are those of the attention.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        sizes: Sizes,
        tokens: &mut [f32],
        positions: &Projected,
        buffers: &mut LayerBuffers,
    ) {
        self.attention.forward(engine, sizes, tokens, positions, buffers);
        self.feed_forward.forward(engine, sizes, tokens, buffers);
    }
}

/// What a decoder layer makes of positions.
pub(crate) struct DecoderPositions {
    /// Of the steps, for the attention among them.
    pub steps: Projected,
    /// Of the steps, for their queries to the encoder's output.
    pub queries: Projected,
    /// Of the encoder's tokens, for their keys.
    pub memory: Projected,
}

/// The steps of a chunk as they are before the first look at the encoder's output: the decoder
/// starts from zero, so they are the same for every observation.
pub(crate) struct FirstSteps {
    /// Steps after the first layer's attention among them.
    pub steps: Vec<f32>,
    /// Their queries.
    pub queries: Vec<f32>,
}

impl DecoderLayer {
    /// What the layer makes of the positions of steps and of tokens.
    pub(crate) fn project(
        &self,
        engine: &Engine,
        width: usize,
        steps: &[f32],
        tokens: &[f32],
    ) -> DecoderPositions {
        DecoderPositions {
            steps: self.attention.project(engine, width, steps),
            queries: Projected::new(engine, &self.cross.query, steps, width, width),
            memory: Projected::new(engine, &self.cross.memory, tokens, width, width),
        }
    }

    /// Begins with `count` steps of zeros.
    pub(crate) fn first_steps(
        &self,
        engine: &Engine,
        sizes: Sizes,
        count: usize,
        positions: &DecoderPositions,
        buffers: &mut LayerBuffers,
    ) -> FirstSteps {
        let mut steps = vec![0.0; count * sizes.width()];
        self.attention.forward(engine, sizes, &mut steps, &positions.steps, buffers);
        let mut queries = steps.clone();
        self.cross.query(engine, &steps, positions, &mut buffers.normed, &mut queries);
        FirstSteps { steps, queries }
    }

    /// Writes (if this is the first layer) or updates `steps`.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        sizes: Sizes,
        (steps, first): (&mut [f32], Option<&FirstSteps>),
        memory: &[f32],
        positions: &DecoderPositions,
        buffers: &mut LayerBuffers,
    ) {
        let width = sizes.width();
        let (count, tokens) = (steps.len() / width, memory.len() / width);
        match first {
            Some(first) => steps.copy_from_slice(&first.steps),
            None => self.attention.forward(engine, sizes, steps, &positions.steps, buffers),
        }
        let LayerBuffers { attention, normed, projected, mixed, .. } = buffers;
        let (projected, rest) = projected.split_at_mut(2 * memory.len());
        let finish = Finish::default().and_add(&positions.memory.0, 2 * width);
        self.cross.memory.finish(engine, memory, finish, projected);
        let queries = match first {
            Some(first) => first.queries.as_slice(),
            None => {
                let queries = &mut rest[..steps.len()];
                self.cross.query(engine, steps, positions, normed, queries);
                queries
            }
        };
        let query = Columns { values: queries, stride: width, first: 0 };
        let [key, value] =
            [0, width].map(|first| Columns { values: &*projected, stride: 2 * width, first });
        let mixed = &mut mixed[..steps.len()];
        attend(engine, sizes.heads, (query, count), (key, value, tokens), attention, mixed);
        self.cross.output.accumulate(engine, mixed, steps);
        self.cross.norm.after(engine, steps);
        self.feed_forward.forward(engine, sizes, steps, buffers);
    }
}
