//! What computes the networks: the engine's layers, or those of a tensor library.

use super::encoder::{EncoderBuffers, EncoderLengths};
use super::network::Network;
use super::unet::{Cost, UNetBuffers};
use crate::engine::Engine;
use crate::layers::convolution::MapSize;
use crate::policy::PredictError;
use crate::trace::Trace;

/// An image whose values are normalised, in the layout of
/// [`image_layout`](crate::layers::resnet::image_layout).
pub(crate) type Image<'a> = (&'a [f32], MapSize);

/// The networks of a Diffusion Policy. `engine` is that of the policy, whoever computes.
pub(crate) trait Compute: Send {
    /// Encoders of images: one for all cameras, one for each, or none.
    fn encoders(&self) -> usize;

    /// Features of one image.
    fn features(&self) -> usize;

    /// Values that [`Compute::prepare`] allocates at most.
    fn buffer_len(&self, image: Option<MapSize>, steps: usize) -> usize;

    /// Allocates, and computes what is the same for every observation. Comes first, and again
    /// where the timesteps change; what was observed is kept.
    fn prepare(&mut self, engine: &Engine, image: Option<MapSize>, timesteps: &[usize]);

    /// Writes the features of an image of camera `camera`.
    fn encode(
        &mut self,
        engine: &Engine,
        camera: usize,
        image: Image<'_>,
        features: &mut [f32],
        trace: Option<&mut Trace>,
    ) -> Result<(), PredictError>;

    /// Takes what was observed, and uses `condition` up.
    fn observe(&mut self, engine: &Engine, condition: &mut [f32]);

    /// Predicts from the noisy actions of a horizon, at the timestep of this place among those
    /// prepared for.
    fn predict(
        &mut self,
        engine: &Engine,
        step: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<(), PredictError>;

    /// Predicts at any timestep, and returns its embedding. Allocates.
    fn predict_at(
        &mut self,
        engine: &Engine,
        timestep: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<Vec<f32>, PredictError>;

    /// Records the maps of a camera's backbone. Allocates.
    fn record_maps(&mut self, engine: &Engine, camera: usize, image: Image<'_>, trace: &mut Trace);

    /// What one step of a sampling takes.
    fn step_cost(&self) -> Cost;

    /// What one observation takes beside its steps: encoding an image of each of `cameras` cameras,
    /// and what the observation does to the blocks. With the bytes of these layers.
    fn observation_cost(&self, cameras: usize, image: Option<MapSize>) -> Cost;
}

/// The engine's.
pub(super) struct EngineCompute {
    network: Network,
    buffers: Option<Buffers>,
}

/// What [`EngineCompute`] writes.
struct Buffers {
    encoder: Option<EncoderBuffers>,
    unet: UNetBuffers,
    /// What each timestep does to the blocks.
    plan: Vec<f32>,
    /// What the observation does to them.
    global: Vec<f32>,
    /// What both do.
    films: Vec<f32>,
}

impl EngineCompute {
    pub(super) fn new(network: Network) -> Self {
        Self { network, buffers: None }
    }

    fn lengths(&self, image: Option<MapSize>) -> Option<EncoderLengths> {
        image.map(|image| {
            let encoders = self.network.encoders.iter();
            let lengths = encoders.map(|encoder| encoder.buffer_lengths(image));
            lengths.fold(EncoderLengths::default(), EncoderLengths::max)
        })
    }
}

impl Compute for EngineCompute {
    fn encoders(&self) -> usize {
        self.network.encoders.len()
    }

    fn features(&self) -> usize {
        self.network.features()
    }

    fn buffer_len(&self, image: Option<MapSize>, steps: usize) -> usize {
        let encoder = self.lengths(image).map_or(0, EncoderLengths::total);
        encoder.saturating_add(steps.saturating_mul(self.network.unet.films.outputs()))
    }

    fn prepare(&mut self, engine: &Engine, image: Option<MapSize>, timesteps: &[usize]) {
        let unet = &self.network.unet;
        let width = unet.films.outputs();
        let mut plan = vec![0.0; timesteps.len() * width];
        for (timestep, films) in timesteps.iter().zip(plan.chunks_exact_mut(width)) {
            unet.films.of_time(engine, unet.steps.embed(engine, *timestep), films);
        }
        let observed = self.buffers.take().map(|buffers| buffers.global);
        self.buffers = Some(Buffers {
            encoder: self.lengths(image).map(EncoderBuffers::new),
            unet: unet.buffers(),
            plan,
            global: observed.unwrap_or_else(|| vec![0.0; width]),
            films: vec![0.0; width],
        });
    }

    fn encode(
        &mut self,
        engine: &Engine,
        camera: usize,
        image: Image<'_>,
        features: &mut [f32],
        trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let buffers = self.buffers.as_mut().and_then(|buffers| buffers.encoder.as_mut());
        if let (Some(encoder), Some(buffers)) = (self.network.encoder(camera), buffers) {
            encoder.forward(engine, image, buffers, features, trace);
        }
        Ok(())
    }

    fn observe(&mut self, engine: &Engine, condition: &mut [f32]) {
        if let Some(buffers) = &mut self.buffers {
            self.network.unet.films.of_global(engine, condition, &mut buffers.global);
        }
    }

    fn predict(
        &mut self,
        engine: &Engine,
        step: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<(), PredictError> {
        let Some(Buffers { unet, plan, global, films, .. }) = &mut self.buffers else {
            return Ok(());
        };
        let width = global.len();
        films.copy_from_slice(&plan[step * width..][..width]);
        add(films, global);
        unet.input.rows_mut().copy_from_slice(sample);
        self.network.unet.forward(engine, films, unet);
        prediction.copy_from_slice(unet.output.rows());
        Ok(())
    }

    fn predict_at(
        &mut self,
        engine: &Engine,
        timestep: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<Vec<f32>, PredictError> {
        let network = &self.network.unet;
        let embedding = network.steps.embed(engine, timestep);
        if let Some(Buffers { unet, global, films, .. }) = &mut self.buffers {
            network.films.of_time(engine, embedding.clone(), films);
            add(films, global);
            unet.input.rows_mut().copy_from_slice(sample);
            network.forward(engine, films, unet);
            prediction.copy_from_slice(unet.output.rows());
        }
        Ok(embedding)
    }

    fn record_maps(&mut self, engine: &Engine, camera: usize, image: Image<'_>, trace: &mut Trace) {
        if let Some(encoder) = self.network.encoder(camera) {
            encoder.backbone.record(engine, image, trace);
        }
    }

    fn step_cost(&self) -> Cost {
        self.network.unet.cost()
    }

    fn observation_cost(&self, cameras: usize, image: Option<MapSize>) -> Cost {
        let films = &self.network.unet.films.global;
        let mut cost = Cost { products: films.products(), bytes: films.bytes() };
        let Some(image) = image else { return cost };
        for encoder in (0..cameras).filter_map(|camera| self.network.encoder(camera)) {
            let layers = encoder.backbone.layers(image);
            cost.products += layers.map(|(layer, size)| layer.products(size)).sum::<usize>();
        }
        for encoder in &self.network.encoders {
            cost.bytes +=
                encoder.backbone.layers(image).map(|(layer, _)| layer.bytes()).sum::<usize>();
        }
        cost
    }
}

fn add(values: &mut [f32], other: &[f32]) {
    values.iter_mut().zip(other).for_each(|(value, other)| *value += other);
}
