//! The network of ACT: from normalised inputs to a normalised chunk.

use super::transformer::{DecoderLayer, EncoderLayer, LayerBuffers, Memory};
use crate::layers::add;
use crate::layers::convolution::MapSize;
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;
use crate::layers::position::image_positions;
use crate::layers::resnet::{BufferLengths, ResNet, ResNetBuffers};
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
    /// Width of the transformer.
    pub width: usize,
    /// Width of the feed-forward layers.
    pub inner: usize,
    /// Actions in one chunk.
    pub chunk_size: usize,
    /// Projections of the inputs.
    pub projections: Projections,
    /// Positions of the latent and vector tokens.
    pub vector_positions: Vec<f32>,
    /// Image backbones: none, one that all cameras share, or one for each camera.
    pub backbones: Vec<ResNet>,
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

/// Normalised inputs of the network, written before each [`Network::forward`].
pub(crate) struct Inputs {
    /// Robot state; empty if the policy does not read it.
    pub state: Vec<f32>,
    /// Environment state; empty if the policy does not read it.
    pub environment: Vec<f32>,
    /// Images, `[3, height, width]` each.
    pub images: Vec<Vec<f32>>,
}

/// Everything that [`Network::forward`] writes.
pub(crate) struct Buffers {
    image_sizes: Vec<MapSize>,
    tokens: Vec<f32>,
    positions: Vec<f32>,
    memory_keys: Vec<f32>,
    steps: Vec<f32>,
    layer: LayerBuffers,
    resnet: ResNetBuffers,
    pixels: Vec<f32>,
}

impl Network {
    /// Each image with the backbone that reads it.
    fn seen<T>(&self, images: impl IntoIterator<Item = T>) -> impl Iterator<Item = (T, &ResNet)> {
        let shared = self.backbones.last().into_iter().cycle();
        let backbones = self.backbones.iter().chain(shared);
        images.into_iter().zip(backbones)
    }

    /// Tokens that the encoder attends to, for these images.
    pub(crate) fn token_count(&self, images: &[MapSize]) -> usize {
        let vectors = self.vector_positions.len() / self.width;
        let pixels = |(image, backbone): (&MapSize, &ResNet)| backbone.output_size(*image).pixels();
        vectors + self.seen(images).map(pixels).sum::<usize>()
    }

    fn resnet_lengths(&self, images: &[MapSize]) -> BufferLengths {
        self.seen(images)
            .map(|(image, backbone)| backbone.buffer_lengths(*image))
            .fold(BufferLengths::default(), BufferLengths::max)
    }

    /// Values of `pixels`: the largest map of the backbone.
    fn pixels_len(&self, images: &[MapSize]) -> usize {
        let values = |(image, backbone): (&MapSize, &ResNet)| {
            backbone.output_size(*image).pixels() * backbone.outputs()
        };
        self.seen(images).map(values).max().unwrap_or(0)
    }

    /// Number of values that [`Network::buffers`] would allocate.
    pub(crate) fn buffers_len(&self, images: &[MapSize]) -> usize {
        let tokens = self.token_count(images);
        let rows = tokens.max(self.chunk_size);
        LayerBuffers::len(rows, rows, self.width, self.inner)
            .saturating_add((tokens * 3 + self.chunk_size).saturating_mul(self.width))
            .saturating_add(self.resnet_lengths(images).total())
            .saturating_add(self.pixels_len(images))
    }

    /// Allocates buffers for images of these sizes.
    pub(crate) fn buffers(&self, images: &[MapSize]) -> Buffers {
        let tokens = self.token_count(images);
        let rows = tokens.max(self.chunk_size);
        let mut positions = self.vector_positions.clone();
        for (image, backbone) in self.seen(images) {
            positions.extend(image_positions(backbone.output_size(*image), self.width));
        }
        Buffers {
            image_sizes: images.to_vec(),
            tokens: vec![0.0; tokens * self.width],
            positions,
            memory_keys: vec![0.0; tokens * self.width],
            steps: vec![0.0; self.chunk_size * self.width],
            layer: LayerBuffers::new(rows, rows, self.width, self.inner),
            resnet: ResNetBuffers::new(self.resnet_lengths(images)),
            pixels: vec![0.0; self.pixels_len(images)],
        }
    }

    /// Writes the normalised chunk, `[chunk_size, action_size]`, to `chunk`.
    pub(crate) fn forward(
        &self,
        inputs: &Inputs,
        buffers: &mut Buffers,
        chunk: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) {
        self.embed(inputs, buffers, trace.as_deref_mut());
        let Buffers { tokens, positions, memory_keys, steps, layer, .. } = buffers;
        let rows = |values: &[f32]| [values.len() / self.width, 1, self.width];
        if let Some(trace) = trace.as_deref_mut() {
            trace.record("mid.encoder_in_tokens", &rows(tokens), tokens);
            trace.record("mid.encoder_pos_embed", &rows(positions), positions);
        }
        for encoder in &self.encoder {
            encoder.forward(tokens, positions, layer);
        }
        if let Some(norm) = &self.encoder_norm {
            norm.apply(tokens);
        }
        add(tokens, positions, memory_keys);
        steps.fill(0.0);
        let memory = Memory { values: tokens, keys: memory_keys };
        for decoder in &self.decoder {
            decoder.forward(steps, &self.decoder_positions, memory, layer);
        }
        self.decoder_norm.apply(steps);
        if let Some(trace) = trace {
            trace.record("mid.encoder_out", &rows(tokens), tokens);
            trace.record("mid.decoder_out", &rows(steps), steps);
        }
        self.head.forward(steps, chunk);
    }

    /// Writes the encoder's tokens: latent, state, environment, then the pixels of each image.
    fn embed(&self, inputs: &Inputs, buffers: &mut Buffers, mut trace: Option<&mut Trace>) {
        let width = self.width;
        let (latent, mut rest) = buffers.tokens.split_at_mut(width);
        latent.copy_from_slice(&self.projections.latent);
        let vectors = [
            (&self.projections.state, &inputs.state),
            (&self.projections.environment, &inputs.environment),
        ];
        for (projection, vector) in vectors {
            if let Some(projection) = projection {
                let (token, others) = rest.split_at_mut(width);
                projection.forward(vector, token);
                rest = others;
            }
        }
        let Some(projection) = &self.projections.image else { return };
        let images = inputs.images.iter().zip(&buffers.image_sizes);
        for (index, ((image, size), backbone)) in self.seen(images).enumerate() {
            let map = backbone.forward(image, *size, &mut buffers.resnet);
            let map_size = backbone.output_size(*size);
            let count = map_size.pixels();
            if let Some(trace) = trace.as_deref_mut() {
                let shape = [1, backbone.outputs(), map_size.height, map_size.width];
                trace.record(format!("mid.backbone.cam{index}"), &shape, map);
                if index == 0 {
                    record_positions(trace, map_size, width);
                }
            }
            let pixels = &mut buffers.pixels[..map.len()];
            transpose(map, count, pixels);
            let (tokens, others) = rest.split_at_mut(count * width);
            projection.forward(pixels, tokens);
            rest = others;
        }
    }
}

/// Turns rows of `columns` values into columns.
fn transpose(values: &[f32], columns: usize, out: &mut [f32]) {
    let rows = values.len() / columns;
    for (index, row) in values.chunks_exact(columns).enumerate() {
        for (value, out) in row.iter().zip(out.iter_mut().skip(index).step_by(rows)) {
            *out = *value;
        }
    }
}

/// The original stores positions channels first.
fn record_positions(trace: &mut Trace, size: MapSize, width: usize) {
    let positions = image_positions(size, width);
    let mut channels_first = vec![0.0; positions.len()];
    transpose(&positions, width, &mut channels_first);
    trace.record("mid.cam_pos_embed", &[1, width, size.height, size.width], &channels_first);
}
