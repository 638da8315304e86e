//! Reads a residual attention network from the tensors of a checkpoint, by the names of
//! sinyeong10/act-plus-plus_one. Widths and numbers of levels come from the tensors.

use crate::backbone::{batch_norm, fold_batch_norm, outputs_of};
use crate::engine::Precision;
use crate::layers::convolution::{Convolution, MapSize, Shape};
use crate::layers::map_arithmetic::ScaleShift;
use crate::layers::residual_attention::{
    AttentionModule, Bottleneck, Level, Mask, Part, ResidualAttention,
};
use crate::tensor_file::{TensorError, TensorFile};

/// Stages with an attention module.
const STAGES: std::ops::RangeInclusive<usize> = 1..=3;
/// Most blocks of the last stage.
const MAX_BLOCKS: usize = 64;
/// Most levels of an attention module.
const MAX_LEVELS: usize = 8;

/// A convolution of the stem, which a ResNet has under another name.
pub(crate) fn is_one(tensors: &TensorFile<'_>, prefix: &str) -> bool {
    tensors.shape(&format!("{prefix}.conv1.0.weight")).is_some()
}

/// Channels of each stage, and its attention levels; none for the last.
pub(crate) fn stages(tensors: &TensorFile<'_>, prefix: &str) -> Vec<(usize, usize)> {
    let width = |name: String| tensors.shape(&format!("{prefix}.{name}"))?.first().copied();
    let stages = STAGES.filter_map(|stage| {
        let width = width(format!("residual_block{stage}.conv3.weight"))?;
        Some((width, count_levels(tensors, &format!("{prefix}.attention_module{stage}"))))
    });
    stages.chain(width("layer4.0.conv3.weight".to_owned()).map(|width| (width, 0))).collect()
}

fn count_levels(tensors: &TensorFile<'_>, module: &str) -> usize {
    let skip = |level: &usize| format!("{module}.skip{level}_connection_residual_block.bn1.weight");
    (1..=MAX_LEVELS).take_while(|level| tensors.shape(&skip(level)).is_some()).count()
}

/// Reads the whole network; `image` is the size of the largest image to come.
pub(crate) fn read(
    tensors: &mut TensorFile<'_>,
    prefix: &str,
    image: MapSize,
    precision: Precision,
) -> Result<ResidualAttention, TensorError> {
    let mut reader = Reader { tensors, precision, size: image };
    let stem = {
        let name = format!("{prefix}.conv1.0");
        let outputs = reader.outputs(&name, 3, 7)?;
        let shape = Shape { inputs: 3, outputs, kernel: 7, stride: 2 };
        reader.convolution(&name, Some(&format!("{prefix}.conv1.1")), shape)?
    };
    reader.size = image.halved().halved();
    let mut width = stem.outputs();
    let mut parts = Vec::new();
    for stage in STAGES {
        let name = format!("residual_block{stage}");
        let stride = if stage == 1 { 1 } else { 2 };
        let block = reader.block(&format!("{prefix}.{name}"), width, None, stride)?;
        width = block.widen.outputs();
        parts.push((name, Part::Block(Box::new(block))));
        let name = format!("attention_module{stage}");
        let module = reader.attention(&format!("{prefix}.{name}"), width)?;
        parts.push((name, Part::Attention(Box::new(module))));
    }
    let mut last = Vec::new();
    for index in 0..MAX_BLOCKS {
        let name = format!("{prefix}.layer4.{index}");
        // The blocks end with a normalisation of its own, which has no convolution.
        if index > 0 && reader.tensors.shape(&format!("{name}.conv1.weight")).is_none() {
            break;
        }
        let block = reader.block(&name, width, None, if index == 0 { 2 } else { 1 })?;
        width = block.widen.outputs();
        last.push(block);
    }
    let norm = reader.norm(&format!("{prefix}.layer4.{}", last.len()), width)?;
    Ok(ResidualAttention { stem, parts, last, norm })
}

/// The tensors, and the size of the maps that the next layers see.
struct Reader<'r, 'a> {
    tensors: &'r mut TensorFile<'a>,
    precision: Precision,
    size: MapSize,
}

impl Reader<'_, '_> {
    fn outputs(&self, name: &str, inputs: usize, kernel: usize) -> Result<usize, TensorError> {
        outputs_of(self.tensors, &format!("{name}.weight"), inputs, kernel)
    }

    /// A normalisation that no convolution precedes.
    fn norm(&mut self, name: &str, width: usize) -> Result<ScaleShift, TensorError> {
        let [scale, shift] = batch_norm(self.tensors, name, width)?;
        Ok(ScaleShift::new(scale, shift))
    }

    /// A convolution without bias, and the normalisation after it, which becomes part of it.
    fn convolution(
        &mut self,
        name: &str,
        norm: Option<&str>,
        shape: Shape,
    ) -> Result<Convolution, TensorError> {
        let Shape { inputs, outputs, kernel, .. } = shape;
        let needed = [outputs, inputs, kernel, kernel];
        let mut weight = self.tensors.take(&format!("{name}.weight"), &needed)?;
        let fold = |norm| fold_batch_norm(self.tensors, norm, &mut weight, outputs);
        let bias = norm.map(fold).transpose()?;
        Ok(Convolution::new(&weight, bias, shape, self.size, self.precision))
    }

    /// A block from `inputs` channels, to as many as are `needed` if that is given. Its stride
    /// changes the size for what follows.
    fn block(
        &mut self,
        name: &str,
        inputs: usize,
        needed: Option<usize>,
        stride: usize,
    ) -> Result<Bottleneck, TensorError> {
        let part = |part: &str| format!("{name}.{part}");
        let norm = self.norm(&part("bn1"), inputs)?;
        let inner = self.outputs(&part("conv1"), inputs, 1)?;
        let outputs = self.outputs(&part("conv3"), inner, 1)?;
        if needed.is_some_and(|needed| needed != outputs) {
            let needed = format!("[{inputs}, {inner}, 1, 1]: modules keep the width");
            return Err(self.tensors.misshaped(&part("conv3.weight"), needed));
        }
        let one = |inputs, outputs| Shape { inputs, outputs, kernel: 1, stride: 1 };
        let narrow = self.convolution(&part("conv1"), Some(&part("bn2")), one(inputs, inner))?;
        let shape = Shape { inputs: inner, outputs: inner, kernel: 3, stride };
        let middle = self.convolution(&part("conv2"), Some(&part("bn3")), shape)?;
        // There in every block, used where the block changes width or size.
        let shape = Shape { stride, ..one(inputs, outputs) };
        let shortcut = self.convolution(&part("conv4"), None, shape)?;
        let shortcut = (inputs != outputs || stride != 1).then_some(shortcut);
        if stride == 2 {
            self.size = self.size.halved();
        }
        let widen = self.convolution(&part("conv3"), None, one(inner, outputs))?;
        Ok(Bottleneck { norm, narrow, middle, widen, shortcut })
    }

    fn attention(&mut self, name: &str, width: usize) -> Result<AttentionModule, TensorError> {
        let levels = count_levels(self.tensors, name);
        let size = self.size;
        let mut block = |part: String| self.block(&format!("{name}.{part}"), width, Some(width), 1);
        let first = block("first_residual_blocks".to_owned())?;
        let mut two = |part: &str| -> Result<[Bottleneck; 2], TensorError> {
            Ok([block(format!("{part}.0"))?, block(format!("{part}.1"))?])
        };
        let trunk = two("trunk_branches")?;
        // The original counts the steps: down, the bottom, up again, the mask.
        let bottom = two(&format!("softmax{}_blocks", levels + 1))?;
        let last = block("last_blocks".to_owned())?;
        let mut read = Vec::new();
        for level in 1..=levels {
            self.size = self.size.halved();
            let mut block =
                |part: String| self.block(&format!("{name}.{part}"), width, Some(width), 1);
            read.push(Level {
                down: block(format!("softmax{level}_blocks"))?,
                skip: block(format!("skip{level}_connection_residual_block"))?,
                up: block(format!("softmax{}_blocks", 2 * (levels + 1) - level))?,
            });
        }
        self.size = size;
        let mask = format!("{name}.softmax{}_blocks", 2 * (levels + 1));
        let norm = self.norm(&format!("{mask}.0"), width)?;
        let shape = Shape { inputs: width, outputs: width, kernel: 1, stride: 1 };
        let mask = Mask {
            norm,
            first: self.convolution(&format!("{mask}.2"), Some(&format!("{mask}.3")), shape)?,
            second: self.convolution(&format!("{mask}.5"), None, shape)?,
        };
        Ok(AttentionModule { first, trunk, levels: read, bottom, mask, last })
    }
}
