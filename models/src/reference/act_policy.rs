//! An ACT checkpoint that Burn computes.

use super::act::{ActInputs, ActReference};
use super::{image_tensor, parameter_bytes, read_values, row};
use crate::act;
use crate::engine::Engine;
use crate::info::{NetworkInfo, PolicyInfo};
use crate::layers::feature_scaling::FeatureScaling;
use crate::lerobot::{ActConfig, LoadError};
use crate::policy::{Cost, FeatureKind, Observation, Policy, PolicyDescription, PredictError};
use crate::preprocessing::{self, Geometry, ImageInput, ScaledFeature, check_finite};
use crate::source::Source;
use crate::trace::Trace;
use burn::tensor::Device;

/// What [`ActPolicy`](crate::ActPolicy) is, on a device of Burn's.
pub(super) struct ActDevicePolicy {
    description: PolicyDescription,
    info: PolicyInfo,
    /// Threads of the preprocessing.
    engine: Engine,
    network: ActReference,
    device: Device,
    features: Vec<ScaledFeature>,
    action_scaling: FeatureScaling,
    images: Vec<ImageInput>,
    /// Normalised values of each feature, in their order; images as [`ImageInput`] lays them out.
    values: Vec<Vec<f32>>,
}

impl ActDevicePolicy {
    /// Makes a policy of a checkpoint that was read.
    pub(super) fn from_source(
        source: Source<'_>,
        config: &ActConfig,
        device: Device,
    ) -> Result<Self, LoadError> {
        let Source { folder, sha256, mut tensors, normalization, engine, .. } = source;
        let network = ActReference::read(config, &mut tensors, &device)?;
        let features = preprocessing::scaled_features(&config.features, &normalization);
        let visual = features.iter().filter(|f| f.feature.kind == FeatureKind::Visual);
        let images: Vec<ImageInput> = config
            .features
            .image_sizes()
            .into_iter()
            .zip(visual)
            .map(|(size, scaled)| {
                ImageInput::new(size, Geometry::default(), &scaled.scaling)
                    .trained_with(config.extension)
            })
            .collect();
        let mut maps = images.iter().map(|image| image.layout().len());
        let values = features.iter().map(|scaled| match scaled.feature.kind {
            FeatureKind::Visual => vec![0.0; maps.next().unwrap_or(0)],
            _ => vec![0.0; scaled.size],
        });
        let values = values.collect();
        let description = PolicyDescription {
            kind: "act",
            path: folder.to_path_buf(),
            sha256,
            inputs: features.iter().map(|scaled| scaled.feature.clone()).collect(),
            action_size: config.features.action.statistics_len(),
            observation_steps: 1,
            chunk_size: config.chunk_size,
            action_steps: config.action_steps,
            ensemble_coefficient: config.ensemble_coefficient,
            parameters: tensors.count_values("model."),
        };
        let tokens = network.token_count(&config.features.image_sizes());
        let network_info = NetworkInfo::Act(act::info(config, &tensors, tokens));
        let info =
            crate::info::collect(&description, &config.features, &normalization, network_info);
        Ok(Self {
            description,
            info,
            engine,
            network,
            device,
            images,
            features,
            action_scaling: normalization.action.scaling,
            values,
        })
    }

    /// Checks and normalises an observation.
    fn accept(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        preprocessing::check(&self.features, observation)?;
        let (mut vectors, mut pictures) = (observation.vectors.iter(), observation.images.iter());
        let mut images = self.images.iter_mut();
        for (ScaledFeature { feature, scaling, .. }, values) in
            self.features.iter().zip(&mut self.values)
        {
            if feature.kind == FeatureKind::Visual {
                if let (Some(image), Some(picture)) = (images.next(), pictures.next()) {
                    image.write(&self.engine, picture, values);
                }
            } else if let Some(vector) = vectors.next() {
                for (index, (out, value)) in values.iter_mut().zip(*vector).enumerate() {
                    *out = scaling.normalize(index, *value);
                }
            }
        }
        Ok(())
    }

    /// The inputs as the network reads them.
    fn inputs(&self, mut trace: Option<&mut Trace>) -> ActInputs {
        let (mut state, mut environment, mut pictures) = (None, None, Vec::new());
        let mut images = self.images.iter();
        for (ScaledFeature { feature, .. }, values) in self.features.iter().zip(&self.values) {
            let name = format!("in.normalized.{}", feature.name);
            if feature.kind == FeatureKind::Visual {
                let Some(image) = images.next() else { continue };
                if let Some(trace) = trace.as_deref_mut() {
                    trace.record_map(name, values, image.layout());
                }
                pictures.push(image_tensor(values, image.layout(), &self.device));
                continue;
            }
            if let Some(trace) = trace.as_deref_mut() {
                trace.record(name, &[1, values.len()], values);
            }
            let vector = Some(row(values, &self.device));
            match feature.kind {
                FeatureKind::State => state = vector,
                _ => environment = vector,
            }
        }
        ActInputs { state, environment, images: pictures, latent: None }
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let PolicyDescription { action_size, chunk_size, .. } = self.description;
        let needed = chunk_size * action_size;
        if actions.len() != needed {
            let feature = "action".to_owned();
            return Err(PredictError::Size { feature, needed, got: actions.len() });
        }
        self.accept(observation)?;
        let inputs = self.inputs(trace.as_deref_mut());
        let chunk = self.network.forward_traced(inputs, trace.as_deref_mut());
        read_values(chunk, actions)?;
        let shape = [1, chunk_size, action_size];
        if let Some(trace) = trace.as_deref_mut() {
            trace.record("out.action_chunk_normalized", &shape, actions);
        }
        for action in actions.chunks_exact_mut(action_size) {
            for (index, value) in action.iter_mut().enumerate() {
                *value = self.action_scaling.restore(index, *value);
            }
        }
        check_finite("action", actions)?;
        if let Some(trace) = trace {
            trace.record("out.action_chunk", &shape, actions);
        }
        Ok(())
    }
}

impl Policy for ActDevicePolicy {
    fn description(&self) -> &PolicyDescription {
        &self.description
    }

    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn cost(&self) -> Cost {
        let values: usize = self.values.iter().map(Vec::len).sum();
        let weight_bytes = parameter_bytes(&self.network);
        Cost { products: 0, weight_bytes, buffer_bytes: values * size_of::<f32>() }
    }

    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        self.run(observation, actions, None)
    }

    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError> {
        let mut trace = Trace::new();
        if !preprocessing::check_camera(&self.features, camera, image)? {
            return Ok(trace);
        }
        let plan = &mut self.images[camera];
        let mut map = vec![0.0; plan.layout().len()];
        plan.write(&self.engine, image, &mut map);
        let image = image_tensor(&map, plan.layout(), &self.device);
        self.network.maps(camera, image, &mut trace);
        Ok(trace)
    }

    fn predict_traced(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        self.run(observation, actions, Some(trace))
    }
}
