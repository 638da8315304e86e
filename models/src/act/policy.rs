//! An ACT checkpoint, ready to predict.

use super::info;
use super::network::{Buffers, Inputs, Network};
use super::weights;
use crate::engine::Engine;
use crate::info::{NetworkInfo, PolicyInfo};
use crate::layers::convolution::MapSize;
use crate::layers::feature_scaling::FeatureScaling;
use crate::layers::resnet::image_layout;
use crate::lerobot::{ActConfig, LoadError, PolicyConfig};
use crate::policy::{
    Cost, FeatureKind, LoadOptions, Observation, Policy, PolicyDescription, PredictError,
};
use crate::preprocessing::{self, Geometry, ImageInput, ScaledFeature, check_finite};
use crate::source::{self, Source};
use crate::trace::Trace;
use std::path::Path;

/// Most bytes of feature maps that images may need.
const MAX_BUFFER_BYTES: usize = 2 << 30;

/// An ACT policy that LeRobot trained.
///
/// Inputs and actions are in the checkpoint's own units: whatever the training data held, for
/// example degrees. Nothing in a checkpoint says which.
pub struct ActPolicy {
    description: PolicyDescription,
    info: PolicyInfo,
    engine: Engine,
    network: Network,
    features: Vec<ScaledFeature>,
    action_scaling: FeatureScaling,
    images: Vec<ImageInput>,
    inputs: Inputs,
    buffers: Buffers,
}

impl ActPolicy {
    /// Reads a checkpoint folder as LeRobot writes it (`pretrained_model`), either generation.
    ///
    /// # Errors
    /// [`LoadError`], naming file and key or tensor, when anything that the policy needs is
    /// missing, contradictory, not implemented or not finite, when the weights hold something
    /// that this architecture does not use, and when a thread cannot be had.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        source::load(folder, options, |source| match source.config.clone() {
            PolicyConfig::Act(config) => Self::from_source(source, &config),
            other => Err(LoadError::Kind {
                folder: folder.to_path_buf(),
                found: other.kind(),
                needed: "act",
            }),
        })
    }

    /// Makes a policy of a checkpoint that was read.
    pub(crate) fn from_source(source: Source<'_>, config: &ActConfig) -> Result<Self, LoadError> {
        let Source { folder, sha256, mut tensors, normalization, engine, precision, .. } = source;
        let network = weights::read(config, &mut tensors, precision)?;
        let features = preprocessing::scaled_features(&config.features, &normalization);
        let image_sizes: Vec<MapSize> = features
            .iter()
            .filter_map(|scaled| match scaled.feature.shape.as_slice() {
                &[_, height, width] => Some(MapSize { height, width }),
                _ => None,
            })
            .collect();
        let image_values: usize = image_sizes.iter().map(|size| image_layout(*size).len()).sum();
        let threads = engine.workers().threads();
        let values = network.buffers_len(&image_sizes, threads).saturating_add(image_values);
        let bytes_needed = values.saturating_mul(size_of::<f32>());
        if bytes_needed > MAX_BUFFER_BYTES {
            return Err(LoadError::Memory {
                folder: folder.to_path_buf(),
                bytes: bytes_needed,
                limit: MAX_BUFFER_BYTES,
            });
        }
        let length = |kind: FeatureKind| {
            let of_kind = features.iter().find(|scaled| scaled.feature.kind == kind);
            of_kind.map_or(0, |scaled| scaled.size)
        };
        let inputs = Inputs {
            state: vec![0.0; length(FeatureKind::State)],
            environment: vec![0.0; length(FeatureKind::Environment)],
            images: image_sizes.iter().map(|size| vec![0.0; image_layout(*size).len()]).collect(),
        };
        let scalings = features.iter().filter(|scaled| scaled.feature.kind == FeatureKind::Visual);
        let images = image_sizes
            .iter()
            .zip(scalings)
            .map(|(size, scaled)| {
                ImageInput::new(*size, Geometry::default(), &scaled.scaling)
                    .trained_with(config.extension)
            })
            .collect();
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
        let tokens = network.token_count(&image_sizes);
        let network_info = NetworkInfo::Act(info::collect(config, &tensors, tokens));
        let info =
            crate::info::collect(&description, &config.features, &normalization, network_info);
        Ok(Self {
            description,
            info,
            buffers: network.buffers(&engine, &image_sizes),
            engine,
            network,
            images,
            features,
            action_scaling: normalization.action.scaling,
            inputs,
        })
    }

    /// Checks and normalises an observation into the network's inputs.
    fn accept(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        preprocessing::check(&self.features, observation)?;
        for ((convert, input), image) in
            self.images.iter_mut().zip(&mut self.inputs.images).zip(observation.images)
        {
            convert.write(&self.engine, image, input);
        }
        let vectors = self.features.iter().filter(|f| f.feature.kind != FeatureKind::Visual);
        for (ScaledFeature { feature, scaling, .. }, vector) in vectors.zip(observation.vectors) {
            let input = match feature.kind {
                FeatureKind::State => &mut self.inputs.state,
                _ => &mut self.inputs.environment,
            };
            for (index, (input, value)) in input.iter_mut().zip(*vector).enumerate() {
                *input = scaling.normalize(index, *value);
            }
        }
        Ok(())
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
            return Err(PredictError::Size {
                feature: "action".to_owned(),
                needed,
                got: actions.len(),
            });
        }
        self.accept(observation)?;
        if let Some(trace) = trace.as_deref_mut() {
            self.record_inputs(trace);
        }
        let Self { engine, network, inputs, buffers, .. } = self;
        network.forward(engine, inputs, buffers, actions, trace.as_deref_mut());
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

    fn record_inputs(&self, trace: &mut Trace) {
        let mut images = self.images.iter().zip(&self.inputs.images);
        for ScaledFeature { feature, .. } in &self.features {
            let values = match feature.kind {
                FeatureKind::State => Some(self.inputs.state.clone()),
                FeatureKind::Environment => Some(self.inputs.environment.clone()),
                FeatureKind::Visual => {
                    images.next().map(|(image, values)| image.layout().channels_first(values))
                }
            };
            let shape: Vec<usize> = [1].iter().chain(&feature.shape).copied().collect();
            if let Some(values) = values {
                trace.record(format!("in.normalized.{}", feature.name), &shape, &values);
            }
        }
    }
}

impl Policy for ActPolicy {
    fn description(&self) -> &PolicyDescription {
        &self.description
    }

    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn cost(&self) -> Cost {
        let images: Vec<MapSize> = self.images.iter().map(|image| image.layout().size).collect();
        let threads = self.engine.workers().threads();
        let image_values: usize = self.inputs.images.iter().map(Vec::len).sum();
        let values = self.network.buffers_len(&images, threads) + image_values;
        Cost { buffer_bytes: values * size_of::<f32>(), ..self.network.cost(&images) }
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
        let Self { engine, network, features, images, inputs, .. } = self;
        if !preprocessing::check_camera(features, camera, image)? {
            return Ok(trace);
        }
        let (plan, map) = (&mut images[camera], &mut inputs.images[camera]);
        plan.write(engine, image, map);
        if let Some(backbone) = network.backbones.get(camera).or(network.backbones.last()) {
            backbone.record(engine, (map, plan.layout().size), &mut trace);
        }
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
