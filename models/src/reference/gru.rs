//! GRU layers and a linear head.

use super::weights::linear;
use crate::recurrent::{GruLayerWeights, GruWeights, LinearWeights};
use burn::module::{Module, Param};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{GateController, Linear};
#[cfg(feature = "train")]
use burn::tensor::Gradients;
use burn::tensor::{Device, Tensor, TensorData};

/// `torch.nn.GRU` with any number of layers, and a linear head: what
/// [`recurrent::GruNetwork`](crate::recurrent::GruNetwork) steps, over whole sequences.
#[derive(Module, Debug)]
pub struct GruReference {
    layers: Vec<Gru>,
    head: Option<Linear>,
}

impl GruReference {
    /// From weights whose lengths belong together, as those that
    /// [`GruNetwork::new`](crate::recurrent::GruNetwork::new) accepts.
    #[must_use]
    pub fn new(weights: &GruWeights<'_>, device: &Device) -> Self {
        let GruWeights { inputs, hidden, layers, head } = *weights;
        let layers = layers.iter().enumerate().map(|(index, layer)| {
            let inputs = if index == 0 { inputs } else { hidden };
            gru(layer, inputs, hidden, device)
        });
        let head = head.map(|LinearWeights { outputs, weight, bias }| {
            linear(
                matrix(weight, [outputs, hidden], device),
                bias.map(|bias| Param::from_tensor(row(bias, device))),
            )
        });
        Self { layers: layers.collect(), head }
    }

    /// From `[batch, steps, inputs]` and the state of each layer before, `[batch, hidden]` (zeros
    /// without), to `[batch, steps, outputs]` and the state of each layer after.
    #[must_use]
    pub fn forward(
        &self,
        inputs: Tensor<3>,
        states: Option<Vec<Tensor<2>>>,
    ) -> (Tensor<3>, Vec<Tensor<2>>) {
        let (mut values, mut after) = (inputs, Vec::with_capacity(self.layers.len()));
        let mut states = states.unwrap_or_default().into_iter();
        for layer in &self.layers {
            values = layer.forward(values, states.next());
            let [batch, steps, hidden] = values.dims();
            let last = values.clone().slice([0..batch, steps - 1..steps, 0..hidden]);
            after.push(last.reshape([batch, hidden]));
        }
        let outputs = match &self.head {
            Some(head) => head.forward(values),
            None => values,
        };
        (outputs, after)
    }

    /// The gradient of every parameter, in the order and layout of
    /// [`SequenceSizes`](crate::recurrent::sequence::SequenceSizes).
    #[cfg(feature = "train")]
    #[must_use]
    pub fn gradients(&self, gradients: &Gradients) -> Vec<f32> {
        let mut all = Vec::new();
        for layer in &self.layers {
            let gates = [&layer.reset_gate, &layer.update_gate, &layer.new_gate];
            let inputs = gates.map(|gate| &gate.input_transform);
            let states = gates.map(|gate| &gate.hidden_transform);
            for transforms in [inputs, states] {
                transforms.iter().for_each(|it| all.extend(weight_gradient(it, gradients)));
            }
            for transforms in [inputs, states] {
                transforms.iter().for_each(|it| all.extend(bias_gradient(it, gradients)));
            }
        }
        if let Some(head) = &self.head {
            all.extend(weight_gradient(head, gradients));
            all.extend(bias_gradient(head, gradients));
        }
        all
    }
}

/// `[outputs, inputs]`, as PyTorch has it. Empty without a gradient.
#[cfg(feature = "train")]
fn weight_gradient(layer: &Linear, gradients: &Gradients) -> Vec<f32> {
    let gradient = layer.weight.val().grad(gradients).map(Tensor::transpose);
    gradient.and_then(|it| it.into_data().try_to_vec::<f32>().ok()).unwrap_or_default()
}

#[cfg(feature = "train")]
fn bias_gradient(layer: &Linear, gradients: &Gradients) -> Vec<f32> {
    let gradient = layer.bias.as_ref().and_then(|bias| bias.val().grad(gradients));
    gradient.and_then(|it| it.into_data().try_to_vec::<f32>().ok()).unwrap_or_default()
}

fn matrix(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn row(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// PyTorch stores the gates as one matrix, in the order reset, update, new.
fn gru(weights: &GruLayerWeights<'_>, inputs: usize, hidden: usize, device: &Device) -> Gru {
    let gate = |gate: usize| {
        let transform = |weight: &[f32], bias: Option<&[f32]>, inputs: usize| {
            let part = &weight[gate * hidden * inputs..][..hidden * inputs];
            let bias = bias.map(|bias| row(&bias[gate * hidden..][..hidden], device));
            linear(matrix(part, [hidden, inputs], device), bias.map(Param::from_tensor))
        };
        GateController {
            input_transform: transform(weights.weight_ih, weights.bias_ih, inputs),
            hidden_transform: transform(weights.weight_hh, weights.bias_hh, hidden),
        }
    };
    let mut layer = GruConfig::new(inputs, hidden, true).init(device);
    [layer.reset_gate, layer.update_gate, layer.new_gate] = [0, 1, 2].map(gate);
    layer
}
