//! The network of ACT: from normalised inputs to a normalised chunk.

use super::transformer::{
    DecoderLayer, DecoderPositions, EncoderLayer, FeedForward, FirstSteps, LayerBuffers, Projected,
    Sizes,
};
use crate::engine::Engine;
use crate::layers::backbone::{Backbone, BackboneBuffers, BufferLengths};
use crate::layers::convolution::MapSize;
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;
use crate::layers::position::image_positions;
use crate::policy::Cost;
use crate::preprocessing::Inputs;
use crate::trace::Trace;

/// Projections of the inputs to tokens.
pub(crate) struct Projections {
    /// Token of the latent, which is zero at inference.
    pub latent: Vec<f32>,
    /// Robot state, if the policy reads it.
    pub state: Option<Linear>,
    /// Environment state, if the policy reads it.
    pub environment: Option<Linear>,
    /// One pixel of the backbone's map, if the policy reads images.
    pub image: Option<Linear>,
}

/// All weights that inference uses.
pub(crate) struct Network {
    /// Sizes of the transformer's layers.
    pub sizes: Sizes,
    /// Actions in one chunk.
    pub chunk_size: usize,
    /// Projections of the inputs.
    pub projections: Projections,
    /// Positions of the latent and vector tokens.
    pub vector_positions: Vec<f32>,
    /// Image backbones: none, one that all cameras share, or one for each camera.
    pub backbones: Vec<Backbone>,
    /// Encoder layers.
    pub encoder: Vec<EncoderLayer>,
    /// Final normalisation of an encoder that normalises before its blocks.
    pub encoder_norm: Option<LayerNorm>,
    /// Decoder layers.
    pub decoder: Vec<DecoderLayer>,
    /// Final normalisation of the decoder.
    pub decoder_norm: LayerNorm,
    /// Positions of the steps of a chunk.
    pub decoder_positions: Vec<f32>,
    /// From the decoder to actions.
    pub head: Linear,
}

/// Everything that [`Network::forward`] writes, and what it computes once.
pub(crate) struct Buffers {
    tokens: Vec<f32>,
    steps: Vec<f32>,
    layer: LayerBuffers,
    backbone: BackboneBuffers,
    pixels: Vec<f32>,
    constants: Constants,
}

/// What is the same for every observation.
struct Constants {
    positions: Vec<f32>,
    encoder: Vec<Projected>,
    decoder: Vec<DecoderPositions>,
    first_steps: Option<FirstSteps>,
}

impl Network {
    /// Each image with the backbone that reads it.
    fn seen<T>(&self, images: impl IntoIterator<Item = T>) -> impl Iterator<Item = (T, &Backbone)> {
        let shared = self.backbones.last().into_iter().cycle();
        let backbones = self.backbones.iter().chain(shared);
        images.into_iter().zip(backbones)
    }

    /// Tokens that the encoder attends to, for these images.
    pub(crate) fn token_count(&self, images: &[MapSize]) -> usize {
        let vectors = self.vector_positions.len() / self.sizes.width();
        let pixels =
            |(image, backbone): (&MapSize, &Backbone)| backbone.output_size(*image).pixels();
        vectors + self.seen(images).map(pixels).sum::<usize>()
    }

    fn backbone_lengths(&self, images: &[MapSize]) -> BufferLengths {
        self.seen(images)
            .map(|(image, backbone)| backbone.buffer_lengths(*image))
            .fold(BufferLengths::default(), BufferLengths::max)
    }

    /// Values of `pixels`: the largest map of the backbone.
    fn pixels_len(&self, images: &[MapSize]) -> usize {
        let values = |(image, backbone): (&MapSize, &Backbone)| {
            backbone.output_size(*image).pixels() * backbone.outputs()
        };
        self.seen(images).map(values).max().unwrap_or(0)
    }

    /// Number of values that [`Network::buffers`] would allocate.
    pub(crate) fn buffers_len(&self, images: &[MapSize], threads: usize) -> usize {
        let (tokens, width) = (self.token_count(images), self.sizes.width());
        let rows = tokens.max(self.chunk_size);
        // Tokens and their positions, and what three projections in each layer make of them.
        let constants = self.encoder.len() * 3 + self.decoder.len() * 6;
        LayerBuffers::len(self.sizes, rows, threads)
            .saturating_add((rows * (5 + constants)).saturating_mul(width))
            .saturating_add(self.backbone_lengths(images).total())
            .saturating_add(self.pixels_len(images))
    }

    /// Multiply-adds of one inference, and bytes of weights.
    pub(crate) fn cost(&self, images: &[MapSize]) -> Cost {
        let (tokens, width) = (self.token_count(images), self.sizes.width());
        let mut cost = Cost::default();
        let mut add = |layer: &Linear, rows: usize| {
            cost.products += rows * layer.products();
            cost.weight_bytes += layer.bytes();
        };
        let Projections { state, environment, image, .. } = &self.projections;
        state.iter().chain(environment).for_each(|layer| add(layer, 1));
        for EncoderLayer { attention, feed_forward } in &self.encoder {
            let FeedForward { first, second, .. } = feed_forward;
            let layers = [&attention.projections, &attention.output, first, second];
            layers.into_iter().for_each(|layer| add(layer, tokens));
        }
        for DecoderLayer { attention, cross, feed_forward } in &self.decoder {
            let FeedForward { first, second, .. } = feed_forward;
            let of_steps = [&attention.projections, &attention.output, &cross.query];
            let layers = of_steps.into_iter().chain([&cross.output, first, second]);
            layers.for_each(|layer| add(layer, self.chunk_size));
            add(&cross.memory, tokens);
        }
        add(&self.head, self.chunk_size);
        let scores = self.encoder.len() * tokens * tokens
            + self.decoder.len() * self.chunk_size * (self.chunk_size + tokens);
        cost.products += 2 * scores * width;
        for (size, backbone) in self.seen(images) {
            cost.products += backbone.products(*size);
            let pixels = backbone.output_size(*size).pixels();
            cost.products += image.as_ref().map_or(0, |layer| pixels * layer.products());
        }
        cost.weight_bytes += image.as_ref().map_or(0, Linear::bytes);
        cost.weight_bytes += self.backbones.iter().map(Backbone::weight_bytes).sum::<usize>();
        cost
    }

    /// Allocates buffers for images of these sizes, and computes what is constant.
    pub(crate) fn buffers(&self, engine: &Engine, images: &[MapSize]) -> Buffers {
        let (tokens, width) = (self.token_count(images), self.sizes.width());
        let rows = tokens.max(self.chunk_size);
        let mut positions = self.vector_positions.clone();
        for (image, backbone) in self.seen(images) {
            positions.extend(image_positions(backbone.output_size(*image), width));
        }
        let mut layer = LayerBuffers::new(self.sizes, rows, engine.workers().threads());
        let encoder = self.encoder.iter().map(|l| l.attention.project(engine, width, &positions));
        let decoder: Vec<_> = self
            .decoder
            .iter()
            .map(|layer| layer.project(engine, width, &self.decoder_positions, &positions))
            .collect();
        let first_steps = self.decoder.first().zip(decoder.first()).map(|(first, positions)| {
            first.first_steps(engine, self.sizes, self.chunk_size, positions, &mut layer)
        });
        Buffers {
            tokens: vec![0.0; tokens * width],
            steps: vec![0.0; self.chunk_size * width],
            layer,
            backbone: BackboneBuffers::new(self.backbone_lengths(images)),
            pixels: vec![0.0; self.pixels_len(images)],
            constants: Constants { encoder: encoder.collect(), positions, decoder, first_steps },
        }
    }

    /// Writes the normalised chunk, `[chunk_size, action_size]`, to `chunk`.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        inputs: &Inputs,
        buffers: &mut Buffers,
        chunk: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) {
        self.embed(engine, inputs, buffers, trace.as_deref_mut());
        let Buffers { tokens, constants, steps, layer, .. } = buffers;
        let rows = |values: &[f32]| [values.len() / self.sizes.width(), 1, self.sizes.width()];
        if let Some(trace) = trace.as_deref_mut() {
            let positions = &constants.positions;
            trace.record("mid.encoder_in_tokens", &rows(tokens), tokens);
            trace.record("mid.encoder_pos_embed", &rows(positions), positions);
        }
        for (encoder, positions) in self.encoder.iter().zip(&constants.encoder) {
            encoder.forward(engine, self.sizes, tokens, positions, layer);
        }
        if let Some(norm) = &self.encoder_norm {
            norm.apply(engine, tokens);
        }
        let mut first = constants.first_steps.as_ref();
        for (decoder, positions) in self.decoder.iter().zip(&constants.decoder) {
            let steps = (steps.as_mut_slice(), first.take());
            decoder.forward(engine, self.sizes, steps, tokens, positions, layer);
        }
        self.decoder_norm.apply(engine, steps);
        if let Some(trace) = trace {
            trace.record("mid.encoder_out", &rows(tokens), tokens);
            trace.record("mid.decoder_out", &rows(steps), steps);
        }
        self.head.forward(engine, steps, chunk);
    }

    /// Writes the encoder's tokens: latent, state, environment, then the pixels of each image.
    fn embed(
        &self,
        engine: &Engine,
        inputs: &Inputs,
        buffers: &mut Buffers,
        mut trace: Option<&mut Trace>,
    ) {
        let width = self.sizes.width();
        let (latent, mut rest) = buffers.tokens.split_at_mut(width);
        latent.copy_from_slice(&self.projections.latent);
        let vectors = [
            (&self.projections.state, inputs.state()),
            (&self.projections.environment, inputs.environment()),
        ];
        for (projection, vector) in vectors {
            if let Some(projection) = projection {
                let (token, others) = rest.split_at_mut(width);
                projection.forward(engine, vector, token);
                rest = others;
            }
        }
        let Some(projection) = &self.projections.image else { return };
        for (index, ((image, size), backbone)) in self.seen(inputs.maps()).enumerate() {
            let (map, layout) = backbone.forward(engine, image, size, &mut buffers.backbone);
            let count = layout.size.pixels();
            if let Some(trace) = trace.as_deref_mut() {
                let MapSize { height, width: columns } = layout.size;
                let shape = [1, layout.channels, height, columns];
                let name = format!("mid.backbone.cam{index}");
                trace.record(name, &shape, &layout.channels_first(map));
                if index == 0 {
                    record_positions(trace, layout.size, width);
                }
            }
            let pixels = &mut buffers.pixels[..count * layout.channels];
            layout.copy_inside(map, pixels);
            let (tokens, others) = rest.split_at_mut(count * width);
            projection.forward(engine, pixels, tokens);
            rest = others;
        }
    }
}

/// The original stores positions channels first.
fn record_positions(trace: &mut Trace, size: MapSize, width: usize) {
    let layout = crate::layers::convolution::Layout { size, channels: width, border: 0 };
    let positions = layout.channels_first(&image_positions(size, width));
    trace.record("mid.cam_pos_embed", &[1, width, size.height, size.width], &positions);
}
