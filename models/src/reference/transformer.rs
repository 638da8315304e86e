//! Encoder and decoder layers of ACT. Positions are added in every layer, to queries and keys only.

use super::weights::Reader;
use crate::layers::activation::Activation;
use crate::lerobot::ActConfig;
use crate::tensor_file::TensorError;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::activation::{gelu, mish, relu, softmax};
use burn::tensor::{Bool, Tensor};

/// Attention with several heads.
#[derive(Module, Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    fn read(
        reader: &mut Reader<'_, '_>,
        name: &str,
        config: &ActConfig,
    ) -> Result<Self, TensorError> {
        let width = config.width;
        let [query, key, value] = reader.projections(name, width)?;
        let output = reader.linear(&format!("{name}.out_proj"), [width, width])?;
        Ok(Self { query, key, value, output, heads: config.heads })
    }

    /// Of rows `[batch, rows, width]`. Rows of keys for which `mask` is true are not looked at.
    fn forward(
        &self,
        query: Tensor<3>,
        [key, value]: [Tensor<3>; 2],
        mask: Option<Tensor<4, Bool>>,
    ) -> Tensor<3> {
        let [batch, rows, width] = query.dims();
        let head = width / self.heads;
        let split = |values: Tensor<3>| {
            let rows = values.dims()[1];
            values.reshape([batch, rows, self.heads, head]).swap_dims(1, 2)
        };
        let query = split(self.query.forward(query)).mul_scalar(1.0 / (head as f64).sqrt());
        let mut scores = query.matmul(split(self.key.forward(key)).swap_dims(2, 3));
        if let Some(mask) = mask {
            let shape = scores.dims();
            scores = scores.mask_fill(mask.expand(shape), f32::NEG_INFINITY);
        }
        let mixed = softmax(scores, 3).matmul(split(self.value.forward(value)));
        self.output.forward(mixed.swap_dims(1, 2).reshape([batch, rows, width]))
    }
}

/// Two linear layers with an activation between them.
#[derive(Module, Debug)]
struct FeedForward {
    first: Linear,
    second: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    fn read(
        reader: &mut Reader<'_, '_>,
        layer: &str,
        config: &ActConfig,
    ) -> Result<Self, TensorError> {
        let (width, inner) = (config.width, config.feed_forward);
        Ok(Self {
            first: reader.linear(&format!("{layer}.linear1"), [inner, width])?,
            second: reader.linear(&format!("{layer}.linear2"), [width, inner])?,
            activation: config.activation,
        })
    }

    fn forward(&self, rows: Tensor<3>) -> Tensor<3> {
        self.second.forward(activate(self.activation, self.first.forward(rows)))
    }
}

/// Applies an activation.
fn activate<const D: usize>(activation: Activation, values: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Identity => values,
        Activation::Relu => relu(values),
        Activation::Gelu => gelu(values),
        Activation::Mish => mish(values),
    }
}

/// A residual sum that is normalised after, or whose block normalises before.
#[derive(Module, Debug)]
struct Residual {
    norm: LayerNorm,
    before: bool,
}

impl Residual {
    fn read(
        reader: &mut Reader<'_, '_>,
        name: &str,
        config: &ActConfig,
    ) -> Result<Self, TensorError> {
        Ok(Self { norm: reader.layer_norm(name, config.width)?, before: config.pre_norm })
    }

    fn forward(&self, rows: Tensor<3>, block: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        if self.before {
            rows.clone() + block(self.norm.forward(rows))
        } else {
            self.norm.forward(rows.clone() + block(rows))
        }
    }
}

/// Self-attention and feed-forward.
#[derive(Module, Debug)]
pub(super) struct EncoderLayer {
    attention: Attention,
    around_attention: Residual,
    feed_forward: FeedForward,
    around_feed_forward: Residual,
}

impl EncoderLayer {
    /// Reads the layer whose tensors begin with `layer`.
    pub(super) fn read(
        reader: &mut Reader<'_, '_>,
        layer: &str,
        config: &ActConfig,
    ) -> Result<Self, TensorError> {
        Ok(Self {
            attention: Attention::read(reader, &format!("{layer}.self_attn"), config)?,
            around_attention: Residual::read(reader, &format!("{layer}.norm1"), config)?,
            feed_forward: FeedForward::read(reader, layer, config)?,
            around_feed_forward: Residual::read(reader, &format!("{layer}.norm2"), config)?,
        })
    }

    /// Of tokens `[batch, tokens, width]` at positions `[1, tokens, width]`.
    pub(super) fn forward(&self, tokens: Tensor<3>, positions: &Tensor<3>) -> Tensor<3> {
        self.forward_masked(tokens, positions, None)
    }

    /// The same; tokens for which `mask`, `[batch, 1, 1, tokens]`, is true are not looked at.
    pub(super) fn forward_masked(
        &self,
        tokens: Tensor<3>,
        positions: &Tensor<3>,
        mask: Option<Tensor<4, Bool>>,
    ) -> Tensor<3> {
        let tokens = self.around_attention.forward(tokens, |tokens| {
            let placed = tokens.clone() + positions.clone();
            self.attention.forward(placed.clone(), [placed, tokens], mask)
        });
        self.around_feed_forward.forward(tokens, |tokens| self.feed_forward.forward(tokens))
    }
}

/// Self-attention, attention to the encoder's output, and feed-forward.
#[derive(Module, Debug)]
pub(super) struct DecoderLayer {
    attention: Attention,
    around_attention: Residual,
    cross: Attention,
    around_cross: Residual,
    feed_forward: FeedForward,
    around_feed_forward: Residual,
}

impl DecoderLayer {
    /// Reads the layer whose tensors begin with `layer`.
    pub(super) fn read(
        reader: &mut Reader<'_, '_>,
        layer: &str,
        config: &ActConfig,
    ) -> Result<Self, TensorError> {
        Ok(Self {
            attention: Attention::read(reader, &format!("{layer}.self_attn"), config)?,
            around_attention: Residual::read(reader, &format!("{layer}.norm1"), config)?,
            cross: Attention::read(reader, &format!("{layer}.multihead_attn"), config)?,
            around_cross: Residual::read(reader, &format!("{layer}.norm2"), config)?,
            feed_forward: FeedForward::read(reader, layer, config)?,
            around_feed_forward: Residual::read(reader, &format!("{layer}.norm3"), config)?,
        })
    }

    /// Of steps `[batch, steps, width]` at their positions, which look at the encoder's output at
    /// its positions.
    pub(super) fn forward(
        &self,
        steps: Tensor<3>,
        step_positions: &Tensor<3>,
        memory: &Tensor<3>,
        positions: &Tensor<3>,
    ) -> Tensor<3> {
        let steps = self.around_attention.forward(steps, |steps| {
            let placed = steps.clone() + step_positions.clone();
            self.attention.forward(placed.clone(), [placed, steps], None)
        });
        let steps = self.around_cross.forward(steps, |steps| {
            let keys = memory.clone() + positions.clone();
            self.cross.forward(steps + step_positions.clone(), [keys, memory.clone()], None)
        });
        self.around_feed_forward.forward(steps, |steps| self.feed_forward.forward(steps))
    }
}
