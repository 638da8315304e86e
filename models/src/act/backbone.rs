//! Reads a ResNet from the tensors of a checkpoint.
//!
//! Widths and numbers of blocks come from the tensors: `vision_backbone` names a family, and a
//! checkpoint may have been trained with narrower or deeper stages than its namesake.

use crate::layers::batch_norm::FrozenBatchNorm;
use crate::layers::convolution::Convolution;
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

/// Reads stem and blocks of the backbone whose names begin with `prefix`.
pub(crate) fn read(tensors: &mut TensorFile<'_>, prefix: &str) -> Result<ResNet, TensorError> {
    let stem = {
        let outputs = outputs_of(tensors, &format!("{prefix}.conv1.weight"), 3, 7)?;
        let norm = format!("{prefix}.bn1");
        read_layer(tensors, &format!("{prefix}.conv1"), &norm, [outputs, 3, 7], 2)?
    };
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
            let block = read_block(tensors, &name, width, stride, index == 0)?;
            width = block.second.convolution.outputs();
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
) -> Result<BasicBlock, TensorError> {
    let width = outputs_of(tensors, &format!("{name}.conv1.weight"), inputs, 3)?;
    let layer = |tensors: &mut TensorFile<'_>, number: usize, inputs: usize, stride: usize| {
        let (convolution, norm) = (format!("{name}.conv{number}"), format!("{name}.bn{number}"));
        read_layer(tensors, &convolution, &norm, [width, inputs, 3], stride)
    };
    let first = layer(tensors, 1, inputs, stride)?;
    let second = layer(tensors, 2, width, 1)?;
    let shortcut = format!("{name}.downsample");
    let convolution = format!("{shortcut}.0");
    let listed = tensors.shape(&format!("{convolution}.weight")).is_some();
    let shortcut = if stride != 1 || width != inputs || (first_of_stage && listed) {
        let norm = format!("{shortcut}.1");
        Some(read_layer(tensors, &convolution, &norm, [width, inputs, 1], stride)?)
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

/// Reads a convolution of `[outputs, inputs, kernel]` and its normalisation.
fn read_layer(
    tensors: &mut TensorFile<'_>,
    convolution: &str,
    norm: &str,
    [outputs, inputs, kernel]: [usize; 3],
    stride: usize,
) -> Result<NormedConvolution, TensorError> {
    let shape = [outputs, inputs, kernel, kernel];
    let weight = tensors.take(&format!("{convolution}.weight"), &shape)?;
    let mut take = |part: &str| tensors.take(&format!("{norm}.{part}"), &[outputs]);
    let [scale, bias, mean] = [take("weight")?, take("bias")?, take("running_mean")?];
    let variance = take("running_var")?;
    if let Some(index) = variance.iter().position(|value| *value < 0.0) {
        let name = format!("{norm}.running_var");
        return Err(tensors.bad_value(&name, index, &variance, "variances of 0 or more"));
    }
    Ok(NormedConvolution {
        convolution: Convolution::new(weight, inputs, outputs, kernel, stride),
        norm: FrozenBatchNorm::new(&scale, &bias, &mean, &variance),
    })
}
