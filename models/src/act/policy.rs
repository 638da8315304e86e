//! An ACT checkpoint, ready to predict.

use super::info;
use super::network::{Buffers, Network};
use super::weights;
use crate::engine::Engine;
use crate::info::{NetworkInfo, PolicyInfo};
use crate::lerobot::{ActConfig, LoadError, PolicyConfig};
use crate::outputs::Outputs;
use crate::policy::{Cost, LoadOptions, Observation, Policy, PolicyDescription, PredictError};
use crate::preprocessing::{self, ImagePlan, Inputs};
use crate::source::{self, Source};
use crate::trace::Trace;
use std::path::Path;

/// An ACT policy that LeRobot trained.
///
/// Inputs and actions are in the checkpoint's own units: whatever the training data held, for
/// example degrees. Nothing in a checkpoint says which.
pub struct ActPolicy {
    description: PolicyDescription,
    info: PolicyInfo,
    engine: Engine,
    network: Network,
    inputs: Inputs,
    outputs: Outputs,
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
        let plans = config.image_plans();
        let images: Vec<_> = plans.iter().map(ImagePlan::output).collect();
        let network = weights::read(config, &images, &mut tensors, precision)?;
        let values = network
            .buffers_len(&images, engine.workers().threads())
            .saturating_add(Inputs::len(&plans));
        source::check_memory(folder, values.saturating_mul(size_of::<f32>()))?;
        let features = preprocessing::scaled_features(&config.features, &normalization);
        let inputs = Inputs::new(features, &plans);
        let description = PolicyDescription {
            kind: "act",
            path: folder.to_path_buf(),
            sha256,
            inputs: inputs.features().cloned().collect(),
            action_size: config.features.action.statistics_len(),
            observation_steps: 1,
            chunk_size: config.chunk_size,
            action_steps: config.action_steps,
            ensemble_coefficient: config.ensemble_coefficient,
            parameters: tensors.count_values("model."),
        };
        let tokens = network.token_count(&images);
        let network_info = NetworkInfo::Act(info::collect(config, &tensors, tokens));
        let info = crate::info::collect(
            &description,
            &config.features,
            &normalization,
            &plans,
            network_info,
        );
        let outputs = Outputs {
            chunk_size: config.chunk_size,
            action_size: description.action_size,
            scaling: normalization.action.scaling,
        };
        let buffers = network.buffers(&engine, &images);
        Ok(Self { description, info, engine, network, inputs, outputs, buffers })
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        self.outputs.check(actions)?;
        let Self { engine, network, inputs, buffers, .. } = self;
        inputs.accept(engine, observation)?;
        if let Some(trace) = trace.as_deref_mut() {
            inputs.record(trace);
        }
        network.forward(engine, inputs, buffers, actions, trace.as_deref_mut());
        self.outputs.restore(actions, trace)
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
        let images = self.inputs.sizes();
        let threads = self.engine.workers().threads();
        let values = self.network.buffers_len(&images, threads) + self.inputs.values();
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
        let Self { engine, network, inputs, .. } = self;
        if let Some(image) = inputs.accept_image(engine, camera, image)?
            && let Some(backbone) = network.backbones.get(camera).or(network.backbones.last())
        {
            backbone.record(engine, image, &mut trace);
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
