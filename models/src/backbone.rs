//! Reads a ResNet from the tensors of a checkpoint.
//!
//! Widths and numbers of blocks come from the tensors: `vision_backbone` names a family, and a
//! checkpoint may have been trained with narrower or deeper stages than its namesake.

use crate::engine::Precision;
use crate::layers::convolution::{Convolution, MapSize, Shape};
use crate::layers::group_norm::GroupNorm;
use crate::layers::resnet::{BasicBlock, NormedConvolution, ResNet};
use crate::tensor_file::{TensorError, TensorFile};

/// Stages of a ResNet.
pub(crate) const STAGES: std::ops::RangeInclusive<usize> = 1..=4;
/// Most blocks in one stage; ResNet-152, the deepest in use, has 36.
pub(crate) const MAX_BLOCKS: usize = 256;

/// Of torchvision's `FrozenBatchNorm2d` and of `BatchNorm2d`.
const EPSILON: f32 = 1e-5;
/// Channels of one group where Diffusion Policy replaces batch normalisation.
pub(crate) const GROUP_CHANNELS: usize = 16;

/// How layers are stored: for maps of this size, with weights of this precision.
#[derive(Clone, Copy)]
struct Storage {
    size: MapSize,
    precision: Precision,
}

/// Where the tensors of a backbone are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What their names begin with, for example `model.backbone`.
    pub prefix: String,
    /// Whether stem and stages are called by their place in a list of layers (`0`, `1`, `4` to
    /// `7`) instead of `conv1`, `bn1`, `layer1` to `layer4`.
    pub numbered: bool,
    /// How maps are normalised.
    pub norm: Norm,
}

/// Normalisation of the maps of a backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    /// By statistics of the training, which become part of the weights.
    Batch,
    /// By groups of channels of the map itself.
    Group,
}

impl Place {
    /// Where the backbone of camera `index` is, where each has its own; or the one that all share.
    pub(crate) fn of_camera(index: Option<usize>) -> Self {
        let prefix =
            index.map_or("model.backbone".to_owned(), |index| format!("model.backbones.{index}"));
        Self { prefix, numbered: false, norm: Norm::Batch }
    }

    /// Names of the first convolution and of its normalisation.
    pub(crate) fn stem(&self) -> [String; 2] {
        let names = if self.numbered { ["0", "1"] } else { ["conv1", "bn1"] };
        names.map(|name| format!("{}.{name}", self.prefix))
    }

    /// What the names of a block's tensors begin with.
    pub(crate) fn block(&self, stage: usize, index: usize) -> String {
        let prefix = &self.prefix;
        if self.numbered {
            // Activation and pooling are layers 2 and 3.
            format!("{prefix}.{}.{index}", stage + 3)
        } else {
            format!("{prefix}.layer{stage}.{index}")
        }
    }
}

/// Reads stem and blocks; `image` is the size of the largest image to come.
pub(crate) fn read(
    tensors: &mut TensorFile<'_>,
    place: &Place,
    image: MapSize,
    precision: Precision,
) -> Result<ResNet, TensorError> {
    let mut storage = Storage { size: image, precision };
    let stem = {
        let names = place.stem();
        let outputs = outputs_of(tensors, &format!("{}.weight", names[0]), 3, 7)?;
        let shape = Shape { inputs: 3, outputs, kernel: 7, stride: 2 };
        read_layer(tensors, &names, place.norm, shape, storage)?
    };
    storage.size = stem.convolution.output_size(image).halved();
    let (mut blocks, mut stages) = (Vec::new(), Vec::new());
    let mut width = stem.convolution.outputs();
    for stage in STAGES {
        let before = blocks.len();
        for index in 0..MAX_BLOCKS {
            let name = place.block(stage, index);
            if index > 0 && tensors.shape(&format!("{name}.conv1.weight")).is_none() {
                break;
            }
            refuse_bottleneck(tensors, &name)?;
            let stride = if stage > 1 && index == 0 { 2 } else { 1 };
            let block =
                read_block(tensors, (&name, place.norm), width, stride, index == 0, storage)?;
            width = block.second.convolution.outputs();
            storage.size = block.first.convolution.output_size(storage.size);
            blocks.push(block);
        }
        stages.push(blocks.len() - before);
    }
    Ok(ResNet { stem, blocks, stages })
}

/// Blocks in each stage of a checkpoint that was read.
pub(crate) fn stages(tensors: &TensorFile<'_>, place: &Place) -> Vec<(usize, usize)> {
    let shape = |stage: usize, index: usize| {
        tensors.shape(&format!("{}.conv2.weight", place.block(stage, index)))
    };
    let stage = |stage: usize| {
        let blocks = (0..MAX_BLOCKS).take_while(|index| shape(stage, *index).is_some()).count();
        let width = shape(stage, 0).and_then(|shape| shape.first().copied());
        width.map(|width| (width, blocks))
    };
    STAGES.filter_map(stage).collect()
}

/// Refuses a block of another kind.
pub(crate) fn refuse_bottleneck(tensors: &TensorFile<'_>, block: &str) -> Result<(), TensorError> {
    let tensor = format!("{block}.conv3.weight");
    if tensors.shape(&tensor).is_none() {
        return Ok(());
    }
    Err(TensorError::Unsupported {
        file: tensors.file().to_path_buf(),
        tensor,
        what: "a bottleneck block, as in ResNet-50 and deeper",
        remedy: "only basic blocks are implemented: train with resnet18 or resnet34",
    })
}

fn read_block(
    tensors: &mut TensorFile<'_>,
    (name, norm): (&str, Norm),
    inputs: usize,
    stride: usize,
    first_of_stage: bool,
    storage: Storage,
) -> Result<BasicBlock, TensorError> {
    let width = outputs_of(tensors, &format!("{name}.conv1.weight"), inputs, 3)?;
    let names = |number: usize| [format!("{name}.conv{number}"), format!("{name}.bn{number}")];
    let shape = Shape { inputs, outputs: width, kernel: 3, stride };
    let first = read_layer(tensors, &names(1), norm, shape, storage)?;
    let inner = Storage { size: first.convolution.output_size(storage.size), ..storage };
    let shape = Shape { inputs: width, stride: 1, ..shape };
    let second = read_layer(tensors, &names(2), norm, shape, inner)?;
    let names = [0, 1].map(|part| format!("{name}.downsample.{part}"));
    let listed = tensors.shape(&format!("{}.weight", names[0])).is_some();
    let shortcut = if stride != 1 || width != inputs || (first_of_stage && listed) {
        let shape = Shape { inputs, outputs: width, kernel: 1, stride };
        Some(read_layer(tensors, &names, norm, shape, storage)?)
    } else {
        None
    };
    Ok(BasicBlock { first, second, shortcut })
}

/// Output channels of a convolution whose other sizes are known.
pub(crate) fn outputs_of(
    tensors: &TensorFile<'_>,
    name: &str,
    inputs: usize,
    kernel: usize,
) -> Result<usize, TensorError> {
    let needed = || format!("[1 or more, {inputs}, {kernel}, {kernel}]");
    match tensors.shape(name) {
        Some(&[outputs, i, h, w]) if outputs > 0 && (i, h, w) == (inputs, kernel, kernel) => {
            Ok(outputs)
        }
        Some(_) => Err(tensors.misshaped(name, needed())),
        None => Err(tensors.missing(name, needed())),
    }
}

/// Reads a convolution and its normalisation.
fn read_layer(
    tensors: &mut TensorFile<'_>,
    [convolution, norm]: &[String; 2],
    kind: Norm,
    shape: Shape,
    storage: Storage,
) -> Result<NormedConvolution, TensorError> {
    let Shape { inputs, outputs, kernel, .. } = shape;
    let Storage { size, precision } = storage;
    let name = format!("{convolution}.weight");
    let mut weight = tensors.take(&name, &[outputs, inputs, kernel, kernel])?;
    if kind == Norm::Group {
        if !outputs.is_multiple_of(GROUP_CHANNELS) {
            let needed =
                format!("a multiple of {GROUP_CHANNELS} channels, for group normalisation");
            return Err(tensors.misshaped(&name, needed));
        }
        let mut take = |part: &str| tensors.take(&format!("{norm}.{part}"), &[outputs]);
        let norm = GroupNorm::new(take("weight")?, take("bias")?, outputs / GROUP_CHANNELS);
        let convolution = Convolution::new(&weight, None, shape, size, precision);
        return Ok(NormedConvolution { convolution, norm: Some(norm) });
    }
    let shift = fold_batch_norm(tensors, norm, &mut weight, outputs)?;
    let convolution = Convolution::new(&weight, Some(shift), shape, size, precision);
    Ok(NormedConvolution { convolution, norm: None })
}

/// Reads batch normalisation in inference as a scale and a shift of each channel.
pub(crate) fn batch_norm(
    tensors: &mut TensorFile<'_>,
    name: &str,
    width: usize,
) -> Result<[Vec<f32>; 2], TensorError> {
    let mut take = |part: &str| tensors.take(&format!("{name}.{part}"), &[width]);
    let [mut scale, mut shift] = [take("weight")?, take("bias")?];
    let [mean, variance] = [take("running_mean")?, take("running_var")?];
    if let Some(index) = variance.iter().position(|value| *value < 0.0) {
        let name = format!("{name}.running_var");
        return Err(tensors.bad_value(&name, index, &variance, "variances of 0 or more"));
    }
    // Trainable batch normalisation counts its batches, which nothing needs.
    let counter = format!("{name}.num_batches_tracked");
    tensors.expect(|name| name == counter);
    let statistics = mean.iter().zip(&variance);
    for ((scale, shift), (mean, variance)) in scale.iter_mut().zip(&mut shift).zip(statistics) {
        *scale *= (variance + EPSILON).sqrt().recip();
        *shift -= mean * *scale;
    }
    Ok([scale, shift])
}

/// Makes the batch normalisation after a convolution part of its weights; returns its bias.
pub(crate) fn fold_batch_norm(
    tensors: &mut TensorFile<'_>,
    norm: &str,
    weight: &mut [f32],
    outputs: usize,
) -> Result<Vec<f32>, TensorError> {
    let [scale, shift] = batch_norm(tensors, norm, outputs)?;
    for (weight, scale) in weight.chunks_exact_mut(weight.len() / outputs).zip(scale) {
        weight.iter_mut().for_each(|weight| *weight *= scale);
    }
    Ok(shift)
}
