//! An ACT checkpoint that Burn computes.

use super::act::{ActInputs, ActReference};
use super::{image_tensor, parameter_bytes, read_values, row};
use crate::act;
use crate::engine::Engine;
use crate::info::{NetworkInfo, PolicyInfo};
use crate::layers::resnet::image_layout;
use crate::lerobot::{ActConfig, LoadError};
use crate::outputs::Outputs;
use crate::policy::{Cost, Observation, Policy, PolicyDescription, PredictError};
use crate::preprocessing::{self, ImagePlan, Inputs};
use crate::source::{self, Source};
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
    inputs: Inputs,
    outputs: Outputs,
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
        let plans = config.image_plans();
        // What the device needs beside this is up to its library.
        source::check_memory(folder, Inputs::len(&plans).saturating_mul(size_of::<f32>()))?;
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
        let images: Vec<_> = plans.iter().map(ImagePlan::output).collect();
        let network_info =
            NetworkInfo::Act(act::info(config, &tensors, network.token_count(&images)));
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
        Ok(Self { description, info, engine, network, device, inputs, outputs })
    }

    /// The inputs as the network reads them.
    fn tensors(&self) -> ActInputs {
        let Self { inputs, device, .. } = self;
        let vector = |values: &[f32]| (!values.is_empty()).then(|| row(values, device));
        let images = inputs.maps();
        let images = images.map(|(map, size)| image_tensor(map, image_layout(size), device));
        ActInputs {
            state: vector(inputs.state()),
            environment: vector(inputs.environment()),
            images: images.collect(),
            latent: None,
        }
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        self.outputs.check(actions)?;
        self.inputs.accept(&self.engine, observation)?;
        if let Some(trace) = trace.as_deref_mut() {
            self.inputs.record(trace);
        }
        let chunk = self.network.forward_traced(self.tensors(), trace.as_deref_mut());
        read_values(chunk, actions)?;
        self.outputs.restore(actions, trace)
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
        let weight_bytes = parameter_bytes(&self.network);
        Cost { products: 0, weight_bytes, buffer_bytes: self.inputs.values() * size_of::<f32>() }
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
        if let Some((map, size)) = self.inputs.accept_image(&self.engine, camera, image)? {
            let image = image_tensor(map, image_layout(size), &self.device);
            self.network.maps(camera, image, &mut trace);
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
