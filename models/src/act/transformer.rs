//! Encoder and decoder layers of ACT.
//!
//! Positions are added in every layer, to queries and keys only.

use crate::layers::activation::Activation;
use crate::layers::attention::{Attention, AttentionBuffers};
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;
use crate::layers::{add, add_in_place};

/// Where a residual block normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormPlacement {
    /// The input of the block, leaving the residual sum as it is.
    Before,
    /// The residual sum.
    After,
}

/// Two linear layers with an activation between them.
pub(crate) struct FeedForward {
    /// To the inner width.
    pub first: Linear,
    /// Back to the model width.
    pub second: Linear,
    /// Between them.
    pub activation: Activation,
    /// Inner width.
    pub inner: usize,
}

impl FeedForward {
    fn forward(&self, width: usize, input: &[f32], inner: &mut [f32], output: &mut [f32]) {
        let inner = &mut inner[..input.len() / width * self.inner];
        self.first.forward(input, inner);
        self.activation.apply(inner);
        self.second.forward(inner, output);
    }
}

/// Intermediate values of one layer.
pub(crate) struct LayerBuffers {
    attention: AttentionBuffers,
    input: Vec<f32>,
    positioned: Vec<f32>,
    delta: Vec<f32>,
    inner: Vec<f32>,
}

impl LayerBuffers {
    /// Buffers for up to `queries` rows that attend to up to `keys` rows.
    pub(crate) fn new(queries: usize, keys: usize, width: usize, inner: usize) -> Self {
        Self {
            attention: AttentionBuffers::new(queries, keys, width),
            input: vec![0.0; queries * width],
            positioned: vec![0.0; queries * width],
            delta: vec![0.0; queries * width],
            inner: vec![0.0; queries * inner],
        }
    }

    /// Number of values in them.
    pub(crate) fn len(queries: usize, keys: usize, width: usize, inner: usize) -> usize {
        (queries * 5 + keys * 2).saturating_mul(width).saturating_add(queries.saturating_mul(inner))
    }
}

/// Runs `block` with a residual connection around it and the normalisation in its place.
fn residual(
    norm: &LayerNorm,
    placement: NormPlacement,
    values: &mut [f32],
    input: &mut [f32],
    delta: &mut [f32],
    block: impl FnOnce(&[f32], &mut [f32]),
) {
    input.copy_from_slice(values);
    if placement == NormPlacement::Before {
        norm.apply(input);
    }
    block(input, delta);
    add_in_place(values, delta);
    if placement == NormPlacement::After {
        norm.apply(values);
    }
}

/// Self-attention and feed-forward.
pub(crate) struct EncoderLayer {
    /// Attention among the tokens.
    pub attention: Attention,
    /// Feed-forward block.
    pub feed_forward: FeedForward,
    /// Normalisation of each of the two blocks.
    pub norms: [LayerNorm; 2],
    /// Where they normalise.
    pub placement: NormPlacement,
}

impl EncoderLayer {
    /// Updates `tokens`, whose positions are `positions`.
    pub(crate) fn forward(
        &self,
        tokens: &mut [f32],
        positions: &[f32],
        buffers: &mut LayerBuffers,
    ) {
        let LayerBuffers { attention, input, positioned, delta, inner } = buffers;
        let count = tokens.len();
        let (input, delta) = (&mut input[..count], &mut delta[..count]);
        let positioned = &mut positioned[..count];
        let [attention_norm, feed_forward_norm] = &self.norms;
        residual(attention_norm, self.placement, tokens, input, delta, |input, delta| {
            add(input, positions, positioned);
            self.attention.forward(positioned, positioned, input, attention, delta);
        });
        residual(feed_forward_norm, self.placement, tokens, input, delta, |input, delta| {
            self.feed_forward.forward(self.attention.width, input, inner, delta);
        });
    }
}

/// What a decoder layer attends to, the same for all layers.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'a> {
    /// Output of the encoder.
    pub values: &'a [f32],
    /// Output of the encoder plus its positions.
    pub keys: &'a [f32],
}

/// Self-attention, attention to the encoder's output, and feed-forward.
pub(crate) struct DecoderLayer {
    /// Attention among the steps of the chunk.
    pub self_attention: Attention,
    /// Attention to the encoder's output.
    pub cross_attention: Attention,
    /// Feed-forward block.
    pub feed_forward: FeedForward,
    /// Normalisation of each of the three blocks.
    pub norms: [LayerNorm; 3],
    /// Where they normalise.
    pub placement: NormPlacement,
}

impl DecoderLayer {
    /// Updates `steps`, whose positions are `positions`.
    pub(crate) fn forward(
        &self,
        steps: &mut [f32],
        positions: &[f32],
        memory: Memory<'_>,
        buffers: &mut LayerBuffers,
    ) {
        let LayerBuffers { attention, input, positioned, delta, inner } = buffers;
        let count = steps.len();
        let (input, delta) = (&mut input[..count], &mut delta[..count]);
        let positioned = &mut positioned[..count];
        let [self_norm, cross_norm, feed_forward_norm] = &self.norms;
        residual(self_norm, self.placement, steps, input, delta, |input, delta| {
            add(input, positions, positioned);
            self.self_attention.forward(positioned, positioned, input, attention, delta);
        });
        residual(cross_norm, self.placement, steps, input, delta, |input, delta| {
            add(input, positions, positioned);
            let Memory { keys, values } = memory;
            self.cross_attention.forward(positioned, keys, values, attention, delta);
        });
        residual(feed_forward_norm, self.placement, steps, input, delta, |input, delta| {
            self.feed_forward.forward(self.self_attention.width, input, inner, delta);
        });
    }
}
