//! Weights as PyTorch lays them out, and their checks.

use super::panels::bf16_bits;
use super::{NetworkError, Precision, StepOptions};

/// Widest layer.
pub(super) const MAX_WIDTH: usize = 8192;

/// Most layers.
pub(super) const MAX_LAYERS: usize = 64;

/// Most rows of a step.
const MAX_ROWS: usize = 4096;

/// One layer of `torch.nn.GRU`; gates in the order reset, update, new.
#[derive(Clone, Copy, Debug)]
pub struct GruLayerWeights<'a> {
    /// `weight_ih_lN`: `[3 * hidden, inputs]`, row-major; from the second layer on the inputs are
    /// the state of the layer before.
    pub weight_ih: &'a [f32],
    /// `weight_hh_lN`: `[3 * hidden, hidden]`.
    pub weight_hh: &'a [f32],
    /// `bias_ih_lN`: `[3 * hidden]`.
    pub bias_ih: Option<&'a [f32]>,
    /// `bias_hh_lN`: `[3 * hidden]`; its last third is inside the product with the reset gate.
    pub bias_hh: Option<&'a [f32]>,
}

/// `torch.nn.Linear`.
#[derive(Clone, Copy, Debug)]
pub struct LinearWeights<'a> {
    /// Outputs.
    pub outputs: usize,
    /// `weight`: `[outputs, inputs]`, row-major.
    pub weight: &'a [f32],
    /// `bias`: `[outputs]`.
    pub bias: Option<&'a [f32]>,
}

/// `torch.nn.GRU`, and what is made of its last layer's state.
#[derive(Clone, Copy, Debug)]
pub struct GruWeights<'a> {
    /// Inputs of the first layer.
    pub inputs: usize,
    /// Size of every layer's state.
    pub hidden: usize,
    /// First layer first.
    pub layers: &'a [GruLayerWeights<'a>],
    /// From the last layer's state to the outputs; without it the state is the output.
    pub head: Option<LinearWeights<'a>>,
}

/// Linear layers with an activation between them.
#[derive(Clone, Copy, Debug)]
pub struct MlpWeights<'a> {
    /// Inputs of the first layer.
    pub inputs: usize,
    /// First layer first.
    pub layers: &'a [LinearWeights<'a>],
}

impl GruWeights<'_> {
    /// Checks sizes, lengths and values.
    pub(super) fn check(&self, options: StepOptions) -> Result<(), NetworkError> {
        check_options(options)?;
        check_size("inputs", self.inputs, MAX_WIDTH)?;
        check_size("hidden", self.hidden, MAX_WIDTH)?;
        check_size("the number of layers", self.layers.len(), MAX_LAYERS)?;
        let gates = 3 * self.hidden;
        for (index, layer) in self.layers.iter().enumerate() {
            let inputs = if index == 0 { self.inputs } else { self.hidden };
            let name = |tensor: &str| format!("{tensor}_l{index}");
            let precision = options.precision;
            check(name("weight_ih"), layer.weight_ih, &[gates, inputs], precision)?;
            check(name("weight_hh"), layer.weight_hh, &[gates, self.hidden], precision)?;
            for (tensor, bias) in [("bias_ih", layer.bias_ih), ("bias_hh", layer.bias_hh)] {
                if let Some(bias) = bias {
                    check(name(tensor), bias, &[gates], Precision::F32)?;
                }
            }
        }
        self.head.map_or(Ok(()), |head| head.check("the head's ", self.hidden, options.precision))
    }
}

impl MlpWeights<'_> {
    /// Checks sizes, lengths and values.
    pub(super) fn check(&self, options: StepOptions) -> Result<(), NetworkError> {
        check_options(options)?;
        check_size("inputs", self.inputs, MAX_WIDTH)?;
        check_size("the number of layers", self.layers.len(), MAX_LAYERS)?;
        let mut inputs = self.inputs;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check(&format!("layer {index}'s "), inputs, options.precision)?;
            inputs = layer.outputs;
        }
        Ok(())
    }
}

impl LinearWeights<'_> {
    fn check(&self, whose: &str, inputs: usize, precision: Precision) -> Result<(), NetworkError> {
        check_size("outputs", self.outputs, MAX_WIDTH)?;
        check(format!("{whose}weight"), self.weight, &[self.outputs, inputs], precision)?;
        match self.bias {
            Some(bias) => check(format!("{whose}bias"), bias, &[self.outputs], Precision::F32),
            None => Ok(()),
        }
    }
}

fn check_options(options: StepOptions) -> Result<(), NetworkError> {
    check_size("rows", options.rows, MAX_ROWS)
}

fn check_size(what: &'static str, value: usize, limit: usize) -> Result<(), NetworkError> {
    if (1..=limit).contains(&value) {
        Ok(())
    } else {
        Err(NetworkError::Size { what, value, limit })
    }
}

fn check(
    tensor: String,
    values: &[f32],
    shape: &[usize],
    precision: Precision,
) -> Result<(), NetworkError> {
    if values.len() != shape.iter().product::<usize>() {
        return Err(NetworkError::Length { tensor, found: values.len(), needed: shape.to_vec() });
    }
    // Rounding to bfloat16 may carry the largest numbers to infinity.
    let fits = |value: f32| {
        precision == Precision::F32 || f32::from_bits(bf16_bits(value) << 16).is_finite()
    };
    let (position, needed) = match values.iter().position(|value| !value.is_finite()) {
        Some(position) => (Some(position), "finite numbers; the training diverged"),
        None => (
            values.iter().position(|value| !fits(*value)),
            "at most 3.39e38 for bf16; keep these weights in f32",
        ),
    };
    match position {
        Some(index) => Err(NetworkError::Value { tensor, index, value: values[index], needed }),
        None => Ok(()),
    }
}
