//! The networks of Diffusion Policy.

use super::encoder::ImageEncoder;
use super::unet::UNet;
use super::weights::Reader;
use super::{image_tensor, parameter_bytes, read_values, row};
use crate::diffusion::{COMPILED, Compute, Cost, Image};
use crate::engine::Engine;
use crate::layers::convolution::MapSize;
use crate::layers::resnet::image_layout;
use crate::lerobot::{self, DiffusionConfig, LoadError, PolicyConfig};
use crate::policy::PredictError;
use crate::preprocessing::ImagePlan;
use crate::tensor_file::{TensorError, TensorFile};
use crate::trace::Trace;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

/// LeRobot's Diffusion Policy of either family: encoders of images, and the network that predicts
/// noise. The sampling around it is that of [`DiffusionPolicy`](crate::DiffusionPolicy).
#[derive(Module, Debug)]
pub struct DiffusionReference {
    /// One for all cameras, one for each, or none.
    encoders: Vec<ImageEncoder>,
    unet: UNet,
}

impl DiffusionReference {
    /// Reads a checkpoint folder as LeRobot writes it.
    ///
    /// # Errors
    /// [`LoadError`], as [`crate::load`].
    pub fn load(folder: &Path, device: &Device) -> Result<Self, LoadError> {
        let mut tensors = lerobot::open_weights(folder)?;
        match lerobot::read_checkpoint(folder, &mut tensors)?.config {
            PolicyConfig::Diffusion(config) => {
                let image = config.image_plans().first().map(ImagePlan::output);
                Ok(Self::read(&config, image, &mut tensors, device)?)
            }
            other => {
                let (folder, found) = (folder.to_path_buf(), other.kind());
                Err(LoadError::Kind { folder, found, needed: "diffusion" })
            }
        }
    }

    /// Reads all layers and refuses tensors that belong to none of them. `image` is the size of
    /// what the backbones read.
    fn read(
        config: &DiffusionConfig,
        image: Option<MapSize>,
        tensors: &mut TensorFile<'_>,
        device: &Device,
    ) -> Result<Self, TensorError> {
        tensors.strip(COMPILED)?;
        let mut reader = Reader { tensors, device };
        let cameras = config.features.images().count();
        let count = if config.separate_encoders { cameras } else { cameras.min(1) };
        let encoders = match image {
            Some(image) => (0..count)
                .map(|index| ImageEncoder::read(&mut reader, config, index, image))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let unet = UNet::read(&mut reader, config)?;
        tensors.finish()?;
        Ok(Self { encoders, unet })
    }

    /// From normalised images of a camera, `[batch, 3, height, width]`, to their features,
    /// `[batch, features]`. `None` without images.
    #[must_use]
    pub fn encode(&self, camera: usize, images: Tensor<4>) -> Option<Tensor<2>> {
        Some(self.encoder(camera)?.forward(images, None))
    }

    /// From noisy actions, `[batch, horizon, action]`, at a timestep each, and from what was
    /// observed, `[batch, condition]` (for each observation, oldest first: state, features of each
    /// camera, environment), to the noise in them, or to the actions without it.
    #[must_use]
    pub fn predict(
        &self,
        sample: Tensor<3>,
        timesteps: &[usize],
        observed: Tensor<2>,
    ) -> Tensor<3> {
        let steps = self.unet.embed(timesteps, &sample.device());
        self.unet.forward(sample, steps, observed)
    }

    fn encoder(&self, camera: usize) -> Option<&ImageEncoder> {
        self.encoders.get(camera).or(self.encoders.first())
    }
}

/// The networks on a device, for a policy.
pub(super) struct DeviceCompute {
    network: DiffusionReference,
    device: Device,
    /// Features of one image.
    features: usize,
    /// Sizes of the actions: horizon and length of one.
    shape: [usize; 2],
    timesteps: Vec<usize>,
    observed: Option<Tensor<2>>,
}

impl DeviceCompute {
    /// Reads all layers.
    pub(super) fn read(
        config: &DiffusionConfig,
        image: Option<MapSize>,
        tensors: &mut TensorFile<'_>,
        device: Device,
    ) -> Result<Self, TensorError> {
        let network = DiffusionReference::read(config, image, tensors, &device)?;
        let features = if network.encoders.is_empty() { 0 } else { 2 * config.keypoints };
        let shape = [config.horizon, config.features.action.statistics_len()];
        let (timesteps, observed) = (Vec::new(), None);
        Ok(Self { network, device, features, shape, timesteps, observed })
    }

    fn run(
        &self,
        timestep: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<Tensor<2>, PredictError> {
        let [horizon, action] = self.shape;
        let data = TensorData::new(sample.to_vec(), [1, horizon, action]);
        let steps = self.network.unet.embed(&[timestep], &self.device);
        if let Some(observed) = &self.observed {
            let sample = Tensor::from_data(data, &self.device);
            let predicted = self.network.unet.forward(sample, steps.clone(), observed.clone());
            read_values(predicted, prediction)?;
        }
        Ok(steps)
    }
}

impl Compute for DeviceCompute {
    fn encoders(&self) -> usize {
        self.network.encoders.len()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn buffer_len(&self, _: Option<MapSize>, _: usize) -> usize {
        0
    }

    fn prepare(&mut self, _: &Engine, _: Option<MapSize>, timesteps: &[usize]) {
        self.timesteps = timesteps.to_vec();
    }

    fn encode(
        &mut self,
        _: &Engine,
        camera: usize,
        (map, size): Image<'_>,
        features: &mut [f32],
        trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let Some(encoder) = self.network.encoder(camera) else { return Ok(()) };
        let image = image_tensor(map, image_layout(size), &self.device);
        read_values(encoder.forward(image, trace), features)
    }

    fn observe(&mut self, _: &Engine, condition: &mut [f32]) {
        self.observed = Some(row(condition, &self.device));
    }

    fn predict(
        &mut self,
        _: &Engine,
        step: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<(), PredictError> {
        self.run(self.timesteps[step], sample, prediction).map(|_| ())
    }

    fn predict_at(
        &mut self,
        _: &Engine,
        timestep: usize,
        sample: &[f32],
        prediction: &mut [f32],
    ) -> Result<Vec<f32>, PredictError> {
        let steps = self.run(timestep, sample, prediction)?;
        let mut embedding = vec![0.0; steps.dims()[1]];
        read_values(steps, &mut embedding)?;
        Ok(embedding)
    }

    fn record_maps(
        &mut self,
        _: &Engine,
        camera: usize,
        (map, size): Image<'_>,
        trace: &mut Trace,
    ) {
        if let Some(encoder) = self.network.encoder(camera) {
            encoder.maps(image_tensor(map, image_layout(size), &self.device), trace);
        }
    }

    fn step_cost(&self) -> Cost {
        self.network.unet.cost(self.shape[0])
    }

    /// Products of the backbones are not counted.
    fn observation_cost(&self, _: usize, _: Option<MapSize>) -> Cost {
        let bytes = self.network.encoders.iter().map(parameter_bytes).sum();
        Cost { bytes, products: 0 }
    }
}
