//! Actuator models through the public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod models;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use safetensors::SafeTensors;
use sinew_models::actuators::{
    DenseParameters, ErrorSign, Feature, GruLayerParameters, GruParameters, GruSpec, InputOrder,
    JointInput, MlpParameters, MlpSpec, Normalization, Output, PdPart, TargetVelocity,
};
use sinew_models::recurrent::Activation;
use std::path::PathBuf;

/// A file of the fixture.
fn fixture(name: &str) -> PathBuf {
    support::fixture("actuators").join(name)
}

/// What torch computed: inputs and torque of every step, for each of two joints.
fn rollout(folder: &str) -> Vec<([JointInput; 2], [f64; 2])> {
    let bytes = std::fs::read(fixture(folder).join("rollout.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let samples = tensors.tensor("samples").unwrap().data().as_chunks::<4>().0.to_vec();
    let samples: Vec<f64> = samples.into_iter().map(|b| f32::from_le_bytes(b).into()).collect();
    let torque = tensors.tensor("torque").unwrap().data().as_chunks::<8>().0.to_vec();
    let torque: Vec<f64> = torque.into_iter().map(f64::from_le_bytes).collect();
    assert_eq!((samples.len(), torque.len()), (6000, 2000));
    let input = |x: &[f64]| JointInput {
        position: x[0],
        target_position: x[1],
        velocity: x[2],
        target_velocity: 0.0,
    };
    let steps = samples.chunks_exact(6).zip(torque.chunks_exact(2));
    steps.map(|(x, y)| ([input(&x[..3]), input(&x[3..])], [y[0], y[1]])).collect()
}

/// Position, velocity and target at rest.
fn input(position: f64, velocity: f64, target_position: f64) -> JointInput {
    JointInput { position, velocity, target_position, target_velocity: 0.0 }
}

/// Statistics that change nothing.
fn identity(features: usize) -> Normalization {
    Normalization {
        input_mean: vec![0.0; features],
        input_std: vec![1.0; features],
        target_mean: 0.0,
        target_std: 1.0,
        epsilon: 0.0,
        std_floor: 0.0,
    }
}

const PD: PdPart = PdPart {
    stiffness_nm_per_rad: 10.0,
    damping_nm_s_per_rad: 0.5,
    target_velocity: TargetVelocity::Zero,
};

/// A GRU at 100 Hz, without statistics.
fn spec(output: Output) -> GruSpec {
    GruSpec {
        features: Feature::SEED.to_vec(),
        rate_hz: 100.0,
        output,
        normalization: identity(3),
        pd: (output != Output::Full).then_some(PD),
        torque_speed_curve: None,
        spring: None,
        dc_motor: None,
        effort_limit_nm: None,
    }
}

/// Small numbers that look random.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + seed * 104_729) as f32 * 0.37).sin() * 0.4).collect()
}

/// A network of these inputs and two layers.
fn gru(inputs: usize, hidden: usize) -> GruParameters {
    let layer = |inputs: usize, seed: usize| GruLayerParameters {
        weight_ih: numbers(3 * hidden * inputs, seed),
        weight_hh: numbers(3 * hidden * hidden, seed + 1),
        bias_ih: numbers(3 * hidden, seed + 2),
        bias_hh: numbers(3 * hidden, seed + 3),
    };
    GruParameters {
        inputs,
        hidden,
        layers: vec![layer(inputs, 1), layer(hidden, 5)],
        head_weight: numbers(hidden, 9),
        head_bias: numbers(1, 10),
    }
}

/// Hwangbo's inputs at 400 Hz.
fn mlp_spec() -> MlpSpec {
    MlpSpec {
        rate_hz: 400.0,
        input_idx: vec![0, 4, 8],
        input_order: InputOrder::PosVel,
        error_sign: ErrorSign::TargetMinusMeasured,
        pos_scale: 1.0,
        vel_scale: 1.0,
        torque_scale: 1.0,
        activation: Activation::Softsign,
        dc_motor: None,
        effort_limit_nm: None,
    }
}

fn mlp() -> MlpParameters {
    let layer = |inputs: usize, outputs: usize, seed: usize| DenseParameters {
        outputs,
        weight: numbers(inputs * outputs, seed),
        bias: numbers(outputs, seed + 1),
    };
    MlpParameters { inputs: 6, layers: vec![layer(6, 32, 1), layer(32, 32, 3), layer(32, 1, 5)] }
}
