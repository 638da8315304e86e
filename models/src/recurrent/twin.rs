//! The same networks by their definitions, in 64-bit numbers: what kernels are tested against.

use super::panels::bf16_bits;
use super::{
    Activation, GruLayerWeights, GruWeights, LinearWeights, MlpActivations, MlpWeights, Precision,
};

/// A weight as it is stored.
fn stored(weight: f32, precision: Precision) -> f64 {
    match precision {
        Precision::F32 => f64::from(weight),
        Precision::Bf16 => f64::from(f32::from_bits(bf16_bits(weight) << 16)),
    }
}

/// `matrix x + bias`, where the matrix has one row per output.
fn affine(matrix: &[f32], bias: Option<&[f32]>, x: &[f64], precision: Precision) -> Vec<f64> {
    let rows = matrix.chunks_exact(x.len()).enumerate();
    rows.map(|(index, row)| {
        let bias = bias.map_or(0.0, |bias| f64::from(bias[index]));
        bias + row.iter().zip(x).map(|(w, x)| stored(*w, precision) * x).sum::<f64>()
    })
    .collect()
}

fn linear(layer: &LinearWeights<'_>, x: &[f64], precision: Precision) -> Vec<f64> {
    let precision = if layer.outputs <= 16 { Precision::F32 } else { precision };
    affine(layer.weight, layer.bias, x, precision)
}

/// The definition of an activation.
pub(super) fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Relu if x < 0.0 => 0.0,
        Activation::Relu => x,
        Activation::Tanh => x.tanh(),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Elu if x < 0.0 => x.exp_m1(),
        Activation::Elu => x,
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
    }
}

/// The definition of the logistic function.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One row of a GRU.
pub(super) struct TwinGru<'a> {
    weights: GruWeights<'a>,
    precision: Precision,
    pub(super) states: Vec<Vec<f64>>,
}

impl<'a> TwinGru<'a> {
    pub(super) fn new(weights: GruWeights<'a>, precision: Precision) -> Self {
        let states = vec![vec![0.0; weights.hidden]; weights.layers.len()];
        Self { weights, precision, states }
    }

    pub(super) fn step(&mut self, inputs: &[f32]) -> Vec<f64> {
        let mut x: Vec<f64> = inputs.iter().map(|x| f64::from(*x)).collect();
        for (layer, state) in self.weights.layers.iter().zip(&mut self.states) {
            *state = gru(layer, &x, state, self.precision);
            x.clone_from(state);
        }
        self.weights.head.map_or(x.clone(), |head| linear(&head, &x, self.precision))
    }
}

fn gru(layer: &GruLayerWeights<'_>, x: &[f64], h: &[f64], precision: Precision) -> Vec<f64> {
    let of_x = affine(layer.weight_ih, layer.bias_ih, x, precision);
    let of_h = affine(layer.weight_hh, layer.bias_hh, h, precision);
    let hidden = h.len();
    (0..hidden)
        .map(|unit| {
            let reset = sigmoid(of_x[unit] + of_h[unit]);
            let update = sigmoid(of_x[hidden + unit] + of_h[hidden + unit]);
            let new = (of_x[2 * hidden + unit] + reset * of_h[2 * hidden + unit]).tanh();
            (1.0 - update) * new + update * h[unit]
        })
        .collect()
}

/// One row of an MLP.
pub(super) fn mlp(
    weights: &MlpWeights<'_>,
    activations: MlpActivations,
    precision: Precision,
    inputs: &[f32],
) -> Vec<f64> {
    let mut x: Vec<f64> = inputs.iter().map(|x| f64::from(*x)).collect();
    for (index, layer) in weights.layers.iter().enumerate() {
        x = linear(layer, &x, precision);
        let last = index + 1 == weights.layers.len();
        let applied = if last { activations.last } else { Some(activations.between) };
        if let Some(applied) = applied {
            x.iter_mut().for_each(|x| *x = activation(applied, *x));
        }
    }
    x
}
