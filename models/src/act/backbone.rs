//! Reads a ResNet from the tensors of a checkpoint.
//!
//! Widths and numbers of blocks come from the tensors: `vision_backbone` names a family, and a
//! checkpoint may have been trained with narrower or deeper stages than its namesake.

use crate::engine::Precision;
use crate::layers::convolution::{Convolution, MapSize, Shape};
use crate::layers::resnet::{BasicBlock, NormedConvolution, ResNet};
use crate::tensor_file::{TensorError, TensorFile};

/// Where the tensors of the backbone of camera `index` are, where each has its own; and of the one
/// that all share.
pub(crate) fn prefix(index: Option<usize>) -> String {
    index.map_or("model.backbone".to_owned(), |index| format!("model.backbones.{index}"))
}

/// Stages of a ResNet.
const STAGES: std::ops::RangeInclusive<usize> = 1..=4;
/// Most blocks in one stage; ResNet-152, the deepest in use, has 36.
const MAX_BLOCKS: usize = 256;

/// torchvision's `FrozenBatchNorm2d`.
const EPSILON: f32 = 1e-5;

/// How layers are stored: for maps of this size, with weights of this precision.
#[derive(Clone, Copy)]
struct Storage {
    size: MapSize,
    precision: Precision,
}

/// Reads stem and blocks of the backbone whose names begin with `prefix`; `image` is the size of
/// the largest image to come.
pub(crate) fn read(
    tensors: &mut TensorFile<'_>,
    prefix: &str,
    image: MapSize,
    precision: Precision,
) -> Result<ResNet, TensorError> {
    let mut storage = Storage { size: image, precision };
    let stem = {
        let outputs = outputs_of(tensors, &format!("{prefix}.conv1.weight"), 3, 7)?;
        let shape = Shape { inputs: 3, outputs, kernel: 7, stride: 2 };
        let names = [format!("{prefix}.conv1"), format!("{prefix}.bn1")];
        read_layer(tensors, &names, shape, storage)?
    };
    storage.size = stem.convolution.output_size(image).halved();
    let mut blocks = Vec::new();
    let mut width = stem.convolution.outputs();
    for stage in STAGES {
        for index in 0..MAX_BLOCKS {
            let name = format!("{prefix}.layer{stage}.{index}");
            if index > 0 && tensors.shape(&format!("{name}.conv1.weight")).is_none() {
                break;
            }
            refuse_bottleneck(tensors, &name)?;
            let stride = if stage > 1 && index == 0 { 2 } else { 1 };
            let block = read_block(tensors, &name, width, stride, index == 0, storage)?;
            width = block.second.convolution.outputs();
            storage.size = block.first.convolution.output_size(storage.size);
            blocks.push(block);
        }
    }
    Ok(ResNet { stem, blocks })
}

/// Blocks in each stage of a backbone that was read.
pub(crate) fn stages(tensors: &TensorFile<'_>, prefix: &str) -> Vec<(usize, usize)> {
    let shape = |stage: usize, index: usize| {
        tensors.shape(&format!("{prefix}.layer{stage}.{index}.conv2.weight"))
    };
    let stage = |stage: usize| {
        let blocks = (0..MAX_BLOCKS).take_while(|index| shape(stage, *index).is_some()).count();
        let width = shape(stage, 0).and_then(|shape| shape.first().copied());
        width.map(|width| (width, blocks))
    };
    STAGES.filter_map(stage).collect()
}

fn refuse_bottleneck(tensors: &TensorFile<'_>, block: &str) -> Result<(), TensorError> {
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
    name: &str,
    inputs: usize,
    stride: usize,
    first_of_stage: bool,
    storage: Storage,
) -> Result<BasicBlock, TensorError> {
    let width = outputs_of(tensors, &format!("{name}.conv1.weight"), inputs, 3)?;
    let names = |number: usize| [format!("{name}.conv{number}"), format!("{name}.bn{number}")];
    let shape = Shape { inputs, outputs: width, kernel: 3, stride };
    let first = read_layer(tensors, &names(1), shape, storage)?;
    let inner = Storage { size: first.convolution.output_size(storage.size), ..storage };
    let shape = Shape { inputs: width, stride: 1, ..shape };
    let second = read_layer(tensors, &names(2), shape, inner)?;
    let names = [0, 1].map(|part| format!("{name}.downsample.{part}"));
    let listed = tensors.shape(&format!("{}.weight", names[0])).is_some();
    let shortcut = if stride != 1 || width != inputs || (first_of_stage && listed) {
        let shape = Shape { inputs, outputs: width, kernel: 1, stride };
        Some(read_layer(tensors, &names, shape, storage)?)
    } else {
        None
    };
    Ok(BasicBlock { first, second, shortcut })
}

/// Output channels of a convolution whose other sizes are known.
fn outputs_of(
    tensors: &TensorFile<'_>,
    name: &str,
    inputs: usize,
    kernel: usize,
) -> Result<usize, TensorError> {
    match tensors.shape(name) {
        Some(&[outputs, i, h, w]) if outputs > 0 && (i, h, w) == (inputs, kernel, kernel) => {
            Ok(outputs)
        }
        Some(_) => {
            Err(tensors.misshaped(name, format!("[1 or more, {inputs}, {kernel}, {kernel}]")))
        }
        None => Err(tensors.missing(name, &[inputs, inputs, kernel, kernel])),
    }
}

/// Reads a convolution and its normalisation, whose statistics are fixed: it becomes a part of
/// the weights.
fn read_layer(
    tensors: &mut TensorFile<'_>,
    [convolution, norm]: &[String; 2],
    shape: Shape,
    storage: Storage,
) -> Result<NormedConvolution, TensorError> {
    let Shape { inputs, outputs, kernel, .. } = shape;
    let name = format!("{convolution}.weight");
    let mut weight = tensors.take(&name, &[outputs, inputs, kernel, kernel])?;
    let mut take = |part: &str| tensors.take(&format!("{norm}.{part}"), &[outputs]);
    let [scale, bias, mean] = [take("weight")?, take("bias")?, take("running_mean")?];
    let variance = take("running_var")?;
    if let Some(index) = variance.iter().position(|value| *value < 0.0) {
        let name = format!("{norm}.running_var");
        return Err(tensors.bad_value(&name, index, &variance, "variances of 0 or more"));
    }
    let mut shift = bias;
    for (output, weight) in weight.chunks_exact_mut(inputs * kernel * kernel).enumerate() {
        let scale = scale[output] * (variance[output] + EPSILON).sqrt().recip();
        weight.iter_mut().for_each(|weight| *weight *= scale);
        shift[output] -= mean[output] * scale;
    }
    let Storage { size, precision } = storage;
    let convolution = Convolution::new(&weight, Some(shift), shape, size, precision);
    Ok(NormedConvolution { convolution, norm: None })
}
