//! The network that is trained: sizes, first weights, predictions.

use super::features::Features;
use super::random::Random;
use super::settings::{Model, Target};
use super::splits::Window;
use sinew_models::actuators::{
    Bundle, Feature, GruLayerParameters, GruParameters, GruSpec, Network, Normalization, Output,
};
use sinew_models::recurrent::sequence::{GruSequence, SequenceSizes, Sequences};
use std::collections::BTreeMap;

/// Windows that are predicted at once.
const PREDICTED_AT_ONCE: usize = 512;

/// Numbers of a step: angle, target angle, velocity.
pub const INPUTS: usize = 3;

pub fn sizes(model: &Model) -> SequenceSizes {
    SequenceSizes { inputs: INPUTS, hidden: model.hidden, layers: model.layers, outputs: 1 }
}

/// As PyTorch begins: uniform within `1 / sqrt(hidden)`.
pub fn first_weights(sizes: &SequenceSizes, seed: u64) -> Vec<f32> {
    let bound = 1.0 / (sizes.hidden as f64).sqrt();
    let mut random = Random::new(seed, 0x1417);
    (0..sizes.parameters()).map(|_| ((2.0 * random.unit() - 1.0) * bound) as f32).collect()
}

/// Puts windows one after the other: `[windows, steps, inputs]`.
pub fn gather(features: &Features, windows: &[Window], steps: usize, inputs: &mut Vec<f32>) {
    inputs.clear();
    for window in windows {
        let begin = window.begin * INPUTS;
        inputs.extend_from_slice(&features.inputs[window.series][begin..][..steps * INPUTS]);
    }
}

/// The normalised output at the last step of each window.
pub fn predict(
    network: &mut GruSequence,
    parameters: &[f32],
    features: &Features,
    windows: &[Window],
    steps: usize,
) -> Vec<f32> {
    let (mut inputs, mut outputs, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for windows in windows.chunks(PREDICTED_AT_ONCE) {
        gather(features, windows, steps, &mut inputs);
        outputs.resize(windows.len() * steps, 0.0);
        network.outputs(parameters, Sequences { steps, inputs: &inputs }, &mut outputs);
        last.extend(outputs.chunks_exact(steps).map(|outputs| outputs[steps - 1]));
    }
    last
}

/// The parameters as the actuator model takes them.
pub fn parameters(sizes: &SequenceSizes, flat: &[f32]) -> GruParameters {
    let mut tensors = sizes.tensors().into_iter().map(|tensor| flat[tensor.range].to_vec());
    let mut next = || tensors.next().unwrap_or_default();
    let layers = (0..sizes.layers)
        .map(|_| GruLayerParameters {
            weight_ih: next(),
            weight_hh: next(),
            bias_ih: next(),
            bias_hh: next(),
        })
        .collect();
    GruParameters {
        inputs: sizes.inputs,
        hidden: sizes.hidden,
        layers,
        head_weight: next(),
        head_bias: next(),
    }
}

/// The trained network as an actuator model.
pub fn bundle(model: &Model, normalization: Normalization, rate_hz: f64, flat: &[f32]) -> Bundle {
    let spec = GruSpec {
        features: Feature::SEED.to_vec(),
        rate_hz,
        output: match model.target {
            Target::Full => Output::Full,
            Target::Residual => Output::Residual,
        },
        normalization,
        pd: model.pd,
        torque_speed_curve: model.torque_speed_curve,
        spring: model.spring,
        dc_motor: None,
        effort_limit_nm: model.effort_limit_nm,
    };
    let parameters = parameters(&sizes(model), flat);
    Bundle { network: Network::Gru(spec, parameters), provenance: BTreeMap::new() }
}
