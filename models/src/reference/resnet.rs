//! ResNet of basic blocks, up to its last feature map.

use super::weights::{Reader, Shape};
use crate::backbone::{self, GROUP_CHANNELS, MAX_BLOCKS, Norm, Place, STAGES};
use crate::layers::convolution::MapSize;
use crate::tensor_file::TensorError;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, GroupNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

/// Normalisation of a map.
#[derive(Module, Debug)]
enum MapNorm {
    Batch(BatchNorm),
    Group(GroupNorm),
}

/// Convolution and its normalisation.
#[derive(Module, Debug)]
struct NormedConvolution {
    convolution: Conv2d,
    norm: MapNorm,
}

impl NormedConvolution {
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let map = self.convolution.forward(map);
        match &self.norm {
            MapNorm::Batch(norm) => norm.forward(map),
            MapNorm::Group(norm) => norm.forward(map),
        }
    }
}

/// Two convolutions and a way around them.
#[derive(Module, Debug)]
struct BasicBlock {
    first: NormedConvolution,
    second: NormedConvolution,
    shortcut: Option<NormedConvolution>,
}

impl BasicBlock {
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let inner = self.second.forward(relu(self.first.forward(map.clone())));
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.forward(map),
            None => map,
        };
        relu(inner + around)
    }
}

/// From an image to its last feature map.
#[derive(Module, Debug)]
pub(super) struct ResNet {
    stem: NormedConvolution,
    pool: MaxPool2d,
    stages: Vec<Stage>,
    outputs: usize,
}

#[derive(Module, Debug)]
struct Stage {
    blocks: Vec<BasicBlock>,
}

impl ResNet {
    /// Reads stem and blocks; widths and numbers of blocks come from the tensors.
    pub(super) fn read(reader: &mut Reader<'_, '_>, place: &Place) -> Result<Self, TensorError> {
        let names = place.stem();
        let outputs = backbone::outputs_of(reader.tensors, &format!("{}.weight", names[0]), 3, 7)?;
        let shape = Shape { inputs: 3, outputs, kernel: 7, stride: 2 };
        let stem = normed(reader, &names, place.norm, shape)?;
        let (mut width, mut stages) = (outputs, Vec::new());
        for stage in STAGES {
            let mut blocks = Vec::new();
            for index in 0..MAX_BLOCKS {
                let name = place.block(stage, index);
                if index > 0 && reader.tensors.shape(&format!("{name}.conv1.weight")).is_none() {
                    break;
                }
                backbone::refuse_bottleneck(reader.tensors, &name)?;
                let stride = if stage > 1 && index == 0 { 2 } else { 1 };
                let (block, outputs) = block(reader, (&name, place.norm), width, stride, index)?;
                width = outputs;
                blocks.push(block);
            }
            stages.push(Stage { blocks });
        }
        let pool = MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init();
        Ok(Self { stem, pool, stages, outputs: width })
    }

    /// Size of the last map of an image.
    pub(super) fn output_size(image: MapSize) -> MapSize {
        // The stem, the pooling and the last three stages halve, rounding up.
        (0..5).fold(image, |size, _| size.halved())
    }

    /// Channels of the last map.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// From normalised images, `[batch, 3, height, width]`, to the last map. `see` sees the map of
    /// the stem and of each stage.
    pub(super) fn forward(
        &self,
        images: Tensor<4>,
        mut see: impl FnMut(&str, &Tensor<4>),
    ) -> Tensor<4> {
        let mut map = self.pool.forward(relu(self.stem.forward(images)));
        see("stem", &map);
        for (stage, name) in self.stages.iter().zip(["layer1", "layer2", "layer3", "layer4"]) {
            map = stage.blocks.iter().fold(map, |map, block| block.forward(map));
            see(name, &map);
        }
        map
    }
}

/// A block and the width of its map.
fn block(
    reader: &mut Reader<'_, '_>,
    (name, norm): (&str, Norm),
    inputs: usize,
    stride: usize,
    index: usize,
) -> Result<(BasicBlock, usize), TensorError> {
    let outputs = backbone::outputs_of(reader.tensors, &format!("{name}.conv1.weight"), inputs, 3)?;
    let names = |number: usize| [format!("{name}.conv{number}"), format!("{name}.bn{number}")];
    let shape = Shape { inputs, outputs, kernel: 3, stride };
    let first = normed(reader, &names(1), norm, shape)?;
    let second = normed(reader, &names(2), norm, Shape { inputs: outputs, stride: 1, ..shape })?;
    let names = [0, 1].map(|part| format!("{name}.downsample.{part}"));
    let listed = reader.tensors.shape(&format!("{}.weight", names[0])).is_some();
    let shortcut = if stride != 1 || outputs != inputs || (index == 0 && listed) {
        Some(normed(reader, &names, norm, Shape { kernel: 1, ..shape })?)
    } else {
        None
    };
    Ok((BasicBlock { first, second, shortcut }, outputs))
}

fn normed(
    reader: &mut Reader<'_, '_>,
    [convolution, norm]: &[String; 2],
    kind: Norm,
    shape: Shape,
) -> Result<NormedConvolution, TensorError> {
    let norm = match kind {
        Norm::Batch => MapNorm::Batch(reader.batch_norm(norm, shape.outputs)?),
        Norm::Group => {
            if !shape.outputs.is_multiple_of(GROUP_CHANNELS) {
                let needed =
                    format!("a multiple of {GROUP_CHANNELS} channels, for group normalisation");
                let name = format!("{convolution}.weight");
                return Err(reader.tensors.misshaped(&name, needed));
            }
            let groups = shape.outputs / GROUP_CHANNELS;
            MapNorm::Group(reader.group_norm(norm, shape.outputs, groups)?)
        }
    };
    Ok(NormedConvolution { convolution: reader.conv2d(convolution, shape)?, norm })
}
