//! Reads layers from the tensors of a checkpoint, by PyTorch's names.

use crate::tensor_file::{TensorError, TensorFile};
use burn::module::{Module, Param, RunningState};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose1d, ConvTranspose1dConfig,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear,
    PaddingConfig1d, PaddingConfig2d,
};
use burn::tensor::{Device, Tensor, TensorData};

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Odd length of the kernel on each axis; what surrounds the input is half of it.
    pub kernel: usize,
    /// Distance between places where it is applied.
    pub stride: usize,
}

/// Takes tensors out of a file and puts them on a device.
pub(super) struct Reader<'r, 't> {
    /// The file.
    pub tensors: &'r mut TensorFile<'t>,
    /// The device.
    pub device: &'r Device,
}

impl Reader<'_, '_> {
    /// A tensor of this shape.
    pub(super) fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, TensorError> {
        let values = self.tensors.take(name, &shape)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    /// The same, for training to change.
    pub(super) fn param<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, TensorError> {
        Ok(Param::from_tensor(self.tensor(name, shape)?))
    }

    /// A layer of `[outputs, inputs]`.
    pub(super) fn linear(
        &mut self,
        name: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Linear, TensorError> {
        let weight = self.tensor(&format!("{name}.weight"), [outputs, inputs])?;
        let bias = self.param(&format!("{name}.bias"), [outputs])?;
        Ok(linear(weight, Some(bias)))
    }

    /// A linear layer that is stored as a convolution with a kernel of one pixel.
    pub(super) fn pointwise(
        &mut self,
        name: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Linear, TensorError> {
        let weight: Tensor<4> = self.tensor(&format!("{name}.weight"), [outputs, inputs, 1, 1])?;
        let bias = self.param(&format!("{name}.bias"), [outputs])?;
        Ok(linear(weight.reshape([outputs, inputs]), Some(bias)))
    }

    /// Queries, keys and values, which PyTorch stores as one layer.
    pub(super) fn projections(
        &mut self,
        name: &str,
        width: usize,
    ) -> Result<[Linear; 3], TensorError> {
        let weight: Tensor<2> =
            self.tensor(&format!("{name}.in_proj_weight"), [3 * width, width])?;
        let bias: Tensor<1> = self.tensor(&format!("{name}.in_proj_bias"), [3 * width])?;
        Ok([0, 1, 2].map(|part| {
            let rows = part * width..(part + 1) * width;
            let weight = weight.clone().slice([rows.clone(), 0..width]);
            linear(weight, Some(Param::from_tensor(bias.clone().slice([rows]))))
        }))
    }

    /// Normalisation of rows.
    pub(super) fn layer_norm(
        &mut self,
        name: &str,
        width: usize,
    ) -> Result<LayerNorm, TensorError> {
        let mut norm = LayerNormConfig::new(width).init(self.device);
        norm.gamma = self.param(&format!("{name}.weight"), [width])?;
        norm.beta = Some(self.param(&format!("{name}.bias"), [width])?);
        Ok(norm)
    }

    /// Normalisation of groups of channels.
    pub(super) fn group_norm(
        &mut self,
        name: &str,
        channels: usize,
        groups: usize,
    ) -> Result<GroupNorm, TensorError> {
        let mut norm = GroupNormConfig::new(groups, channels).init(self.device);
        norm.gamma = Some(self.param(&format!("{name}.weight"), [channels])?);
        norm.beta = Some(self.param(&format!("{name}.bias"), [channels])?);
        Ok(norm)
    }

    /// Normalisation by statistics of the training, which stay as they are.
    pub(super) fn batch_norm(
        &mut self,
        name: &str,
        channels: usize,
    ) -> Result<BatchNorm, TensorError> {
        let mut norm = BatchNormConfig::new(channels).init(self.device);
        norm.gamma = self.param(&format!("{name}.weight"), [channels])?;
        norm.beta = self.param(&format!("{name}.bias"), [channels])?;
        norm.running_mean =
            RunningState::new(self.tensor(&format!("{name}.running_mean"), [channels])?);
        let variance = format!("{name}.running_var");
        let values = self.tensors.take(&variance, &[channels])?;
        if let Some(index) = values.iter().position(|value| *value < 0.0) {
            let needed = "variances of 0 or more";
            return Err(self.tensors.bad_value(&variance, index, &values, needed));
        }
        let data = TensorData::new(values, [channels]);
        norm.running_var = RunningState::new(Tensor::from_data(data, self.device));
        // Trainable batch normalisation counts its batches, which nothing needs.
        let counter = format!("{name}.num_batches_tracked");
        self.tensors.expect(|name| name == counter);
        Ok(norm.freeze())
    }

    /// A convolution of maps, without biases: a normalisation follows.
    pub(super) fn conv2d(&mut self, name: &str, shape: Shape) -> Result<Conv2d, TensorError> {
        let Shape { inputs, outputs, kernel, stride } = shape;
        let around = kernel / 2;
        let mut layer = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(around, around, around, around))
            .with_bias(false)
            .init(self.device);
        layer.weight = self.param(&format!("{name}.weight"), [outputs, inputs, kernel, kernel])?;
        Ok(layer)
    }

    /// A convolution of sequences.
    pub(super) fn conv1d(&mut self, name: &str, shape: Shape) -> Result<Conv1d, TensorError> {
        let Shape { inputs, outputs, kernel, stride } = shape;
        let mut layer = Conv1dConfig::new(inputs, outputs, kernel)
            .with_stride(stride)
            .with_padding(PaddingConfig1d::Explicit(kernel / 2, kernel / 2))
            .init(self.device);
        layer.weight = self.param(&format!("{name}.weight"), [outputs, inputs, kernel])?;
        layer.bias = Some(self.param(&format!("{name}.bias"), [outputs])?);
        Ok(layer)
    }

    /// A transposed convolution that doubles the length of sequences.
    pub(super) fn doubling(
        &mut self,
        name: &str,
        width: usize,
        kernel: usize,
    ) -> Result<ConvTranspose1d, TensorError> {
        let mut layer = ConvTranspose1dConfig::new([width, width], kernel)
            .with_stride(2)
            .with_padding(1)
            .init(self.device);
        layer.weight = self.param(&format!("{name}.weight"), [width, width, kernel])?;
        layer.bias = Some(self.param(&format!("{name}.bias"), [width])?);
        Ok(layer)
    }
}

/// A layer of PyTorch's `[outputs, inputs]`; Burn's is the other way round.
pub(super) fn linear(weight: Tensor<2>, bias: Option<Param<Tensor<1>>>) -> Linear {
    Linear { weight: Param::from_tensor(weight.transpose()), bias }
}
