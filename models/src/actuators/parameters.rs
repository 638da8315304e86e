//! Weights of a network, in PyTorch's layout.

use super::ParameterError;
use crate::recurrent::{
    Activation, GruLayerWeights, GruNetwork, GruWeights, LinearWeights, MlpActivations, MlpNetwork,
    MlpWeights, StepOptions,
};

/// One layer of `torch.nn.GRU`; gates in the order reset, update, new.
#[derive(Clone, Debug, PartialEq)]
pub struct GruLayerParameters {
    /// `weight_ih_lN`: `[3 * hidden, inputs]`, row-major.
    pub weight_ih: Vec<f32>,
    /// `weight_hh_lN`: `[3 * hidden, hidden]`.
    pub weight_hh: Vec<f32>,
    /// `bias_ih_lN`: `[3 * hidden]`; zeros where the layer has none.
    pub bias_ih: Vec<f32>,
    /// `bias_hh_lN`: `[3 * hidden]`.
    pub bias_hh: Vec<f32>,
}

/// `torch.nn.GRU` with `torch.nn.Linear(hidden, 1)` behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct GruParameters {
    /// Features of a step.
    pub inputs: usize,
    /// Size of every layer's state.
    pub hidden: usize,
    /// First layer first.
    pub layers: Vec<GruLayerParameters>,
    /// `fc.weight`: `[1, hidden]`.
    pub head_weight: Vec<f32>,
    /// `fc.bias`: `[1]`.
    pub head_bias: Vec<f32>,
}

impl GruParameters {
    /// A network of as many rows.
    pub(super) fn network(&self, rows: usize) -> Result<GruNetwork, ParameterError> {
        let layers: Vec<GruLayerWeights<'_>> = self
            .layers
            .iter()
            .map(|layer| GruLayerWeights {
                weight_ih: &layer.weight_ih,
                weight_hh: &layer.weight_hh,
                bias_ih: Some(&layer.bias_ih),
                bias_hh: Some(&layer.bias_hh),
            })
            .collect();
        let head =
            LinearWeights { outputs: 1, weight: &self.head_weight, bias: Some(&self.head_bias) };
        let (inputs, hidden) = (self.inputs, self.hidden);
        let weights = GruWeights { inputs, hidden, layers: &layers, head: Some(head) };
        let options = StepOptions { rows, ..StepOptions::default() };
        Ok(GruNetwork::new(&weights, options)?)
    }

    /// Tensors by PyTorch's names, with their shapes.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let gates = 3 * self.hidden;
        let mut tensors = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let inputs = if index == 0 { self.inputs } else { self.hidden };
            let name = |tensor: &str| format!("gru.{tensor}_l{index}");
            tensors.push((name("weight_ih"), vec![gates, inputs], layer.weight_ih.as_slice()));
            tensors.push((name("weight_hh"), vec![gates, self.hidden], &layer.weight_hh));
            tensors.push((name("bias_ih"), vec![gates], &layer.bias_ih));
            tensors.push((name("bias_hh"), vec![gates], &layer.bias_hh));
        }
        tensors.push(("fc.weight".to_owned(), vec![1, self.hidden], &self.head_weight));
        tensors.push(("fc.bias".to_owned(), vec![1], &self.head_bias));
        tensors
    }
}

/// One `torch.nn.Linear`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseParameters {
    /// Outputs.
    pub outputs: usize,
    /// `weight`: `[outputs, inputs]`, row-major.
    pub weight: Vec<f32>,
    /// `bias`: `[outputs]`.
    pub bias: Vec<f32>,
}

/// Linear layers with an activation between them; the last one has a single output.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpParameters {
    /// Inputs of the first layer.
    pub inputs: usize,
    /// First layer first.
    pub layers: Vec<DenseParameters>,
}

impl MlpParameters {
    /// A network of as many rows.
    pub(super) fn network(
        &self,
        activation: Activation,
        rows: usize,
    ) -> Result<MlpNetwork, ParameterError> {
        let layers: Vec<LinearWeights<'_>> = self
            .layers
            .iter()
            .map(|layer| LinearWeights {
                outputs: layer.outputs,
                weight: &layer.weight,
                bias: Some(&layer.bias),
            })
            .collect();
        let found = self.layers.last().map_or(0, |layer| layer.outputs);
        if found != 1 {
            let (what, why) = ("the last layer's output", "a torque");
            return Err(ParameterError::Length { what, found, needed: 1, why });
        }
        let weights = MlpWeights { inputs: self.inputs, layers: &layers };
        let activations = MlpActivations { between: activation, last: None };
        let options = StepOptions { rows, ..StepOptions::default() };
        Ok(MlpNetwork::new(&weights, activations, options)?)
    }

    /// Tensors by names in order, with their shapes.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let mut inputs = self.inputs;
        let mut tensors = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let shape = vec![layer.outputs, inputs];
            tensors.push((format!("layers.{index}.weight"), shape, layer.weight.as_slice()));
            tensors.push((format!("layers.{index}.bias"), vec![layer.outputs], &layer.bias));
            inputs = layer.outputs;
        }
        tensors
    }
}
