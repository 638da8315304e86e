//! A CNNMLP checkpoint, ready to predict.

use super::network::{Buffers, Network};
use super::{info, weights};
use crate::engine::Engine;
use crate::info::{NetworkInfo, PolicyInfo};
use crate::lerobot::{CnnMlpConfig, LoadError, PolicyConfig};
use crate::outputs::Outputs;
use crate::policy::{Cost, LoadOptions, Observation, Policy, PolicyDescription, PredictError};
use crate::preprocessing::{self, ImagePlan, Inputs};
use crate::source::{self, Source};
use crate::trace::Trace;
use std::path::Path;

/// Convolutional behaviour cloning: an action for each observation.
///
/// Inputs and actions are in the checkpoint's own units.
pub struct CnnMlpPolicy {
    description: PolicyDescription,
    info: PolicyInfo,
    engine: Engine,
    network: Network,
    inputs: Inputs,
    outputs: Outputs,
    buffers: Buffers,
}

impl CnnMlpPolicy {
    /// Reads a checkpoint folder that `sinew policy convert` wrote.
    ///
    /// # Errors
    /// [`LoadError`], as [`crate::load`], and when the folder holds another kind of policy.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        source::load(folder, options, |source| match source.config.clone() {
            PolicyConfig::CnnMlp(config) => Self::from_source(source, &config),
            other => Err(LoadError::Kind {
                folder: folder.to_path_buf(),
                found: other.kind(),
                needed: "cnnmlp",
            }),
        })
    }

    /// Makes a policy of a checkpoint that was read.
    pub(crate) fn from_source(
        source: Source<'_>,
        config: &CnnMlpConfig,
    ) -> Result<Self, LoadError> {
        let Source { folder, sha256, mut tensors, normalization, engine, precision, .. } = source;
        let plans = config.image_plans();
        let images: Vec<_> = plans.iter().map(ImagePlan::output).collect();
        let network = weights::read(config, &images, &mut tensors, precision)?;
        let values = network.buffers_len(&images).saturating_add(Inputs::len(&plans));
        source::check_memory(folder, values.saturating_mul(size_of::<f32>()))?;
        let features = preprocessing::scaled_features(&config.features, &normalization);
        let inputs = Inputs::new(features, &plans);
        let description = PolicyDescription {
            kind: "cnnmlp",
            path: folder.to_path_buf(),
            sha256,
            inputs: inputs.features().cloned().collect(),
            action_size: config.features.action.statistics_len(),
            observation_steps: 1,
            chunk_size: 1,
            action_steps: 1,
            ensemble_coefficient: None,
            parameters: tensors.count_values("model."),
        };
        let network_info = NetworkInfo::CnnMlp(info::collect(config, &tensors));
        let info = crate::info::collect(
            &description,
            &config.features,
            &normalization,
            &plans,
            network_info,
        );
        let buffers = network.buffers(&images);
        let outputs = Outputs {
            chunk_size: 1,
            action_size: description.action_size,
            scaling: normalization.action.scaling,
        };
        Ok(Self { description, info, engine, network, inputs, outputs, buffers })
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        action: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        self.outputs.check(action)?;
        let Self { engine, network, inputs, buffers, .. } = self;
        inputs.accept(engine, observation)?;
        if let Some(trace) = trace.as_deref_mut() {
            inputs.record(trace);
        }
        network.forward(engine, inputs, buffers, action, trace.as_deref_mut());
        self.outputs.restore(action, trace)
    }
}

impl Policy for CnnMlpPolicy {
    fn description(&self) -> &PolicyDescription {
        &self.description
    }

    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn cost(&self) -> Cost {
        let images = self.inputs.sizes();
        let values = self.network.buffers_len(&images) + self.inputs.values();
        Cost { buffer_bytes: values * size_of::<f32>(), ..self.network.cost(&images) }
    }

    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        self.run(observation, actions, None)
    }

    fn predict_traced(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        self.run(observation, actions, Some(trace))
    }

    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError> {
        let mut trace = Trace::new();
        let Self { engine, network, inputs, .. } = self;
        if let Some((image, size)) = inputs.accept_image(engine, camera, image)?
            && let Some(backbone) = network.backbone(camera)
        {
            backbone.record(engine, (image, size), &mut trace);
        }
        Ok(trace)
    }
}
