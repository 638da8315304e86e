//! The network of Diffusion Policy that predicts noise: residual blocks over the actions of a
//! horizon, at several resolutions of time.

use super::weights::{Reader, Shape};
use crate::diffusion::{Cost, PREFIX, STEP_EXPANSION, condition_len, sinusoid};
use crate::layers::sequence::Upsampling;
use crate::lerobot::DiffusionConfig;
use crate::tensor_file::TensorError;
use burn::module::Module;
use burn::nn::conv::{Conv1d, ConvTranspose1d};
use burn::nn::{GroupNorm, Linear};
use burn::tensor::activation::mish;
use burn::tensor::{Device, Tensor, TensorData};

/// Convolution, normalisation, Mish.
#[derive(Module, Debug)]
struct NormedConvolution {
    convolution: Conv1d,
    norm: GroupNorm,
}

impl NormedConvolution {
    fn forward(&self, rows: Tensor<3>) -> Tensor<3> {
        mish(self.norm.forward(self.convolution.forward(rows)))
    }
}

/// Two convolutions, the condition between them, and a way around them.
#[derive(Module, Debug)]
struct Block {
    first: NormedConvolution,
    second: NormedConvolution,
    film: Linear,
    scales: bool,
    residual: Option<Conv1d>,
}

impl Block {
    /// Of `[batch, channels, length]` under an activated condition.
    fn forward(&self, rows: Tensor<3>, condition: &Tensor<2>) -> Tensor<3> {
        let film: Tensor<3> = self.film.forward(condition.clone()).unsqueeze_dim(2);
        let inner = self.first.forward(rows.clone());
        let [batch, width, _] = inner.dims();
        let inner = if self.scales {
            let part = |first: usize| film.clone().slice([0..batch, first..first + width, 0..1]);
            part(0) * inner + part(width)
        } else {
            inner + film
        };
        let around = match &self.residual {
            Some(residual) => residual.forward(rows),
            None => rows,
        };
        self.second.forward(inner) + around
    }

    /// Multiply-adds and weights for this many rows, without the condition's.
    fn cost(&self, rows: usize, cost: &mut Cost) {
        add_cost(&self.first.convolution, rows, cost);
        add_cost(&self.second.convolution, rows, cost);
        self.residual.iter().for_each(|residual| add_cost(residual, rows, cost));
    }
}

fn add_cost(layer: &Conv1d, rows: usize, cost: &mut Cost) {
    let weights: usize = layer.weight.dims().iter().product();
    cost.products += weights * rows;
    cost.bytes += weights * size_of::<f32>();
}

/// One level on the way down or up.
#[derive(Module, Debug)]
struct Level<R: Module> {
    first: Block,
    second: Block,
    resample: R,
}

impl<R: Module> Level<R> {
    fn forward(&self, rows: Tensor<3>, condition: &Tensor<2>) -> Tensor<3> {
        self.second.forward(self.first.forward(rows, condition), condition)
    }
}

/// All layers.
#[derive(Module, Debug)]
pub(super) struct UNet {
    step_first: Linear,
    step_second: Linear,
    down: Vec<Level<Option<Conv1d>>>,
    middle: [Block; 2],
    up: Vec<Level<ConvTranspose1d>>,
    last: NormedConvolution,
    head: Conv1d,
}

impl UNet {
    /// Reads it.
    pub(super) fn read(
        reader: &mut Reader<'_, '_>,
        config: &DiffusionConfig,
    ) -> Result<Self, TensorError> {
        let name = format!("{PREFIX}.unet");
        let (width, wide) = (config.step_width, STEP_EXPANSION * config.step_width);
        let steps = format!("{name}.diffusion_step_encoder");
        let step_first = reader.linear(&format!("{steps}.1"), [wide, width])?;
        let step_second = reader.linear(&format!("{steps}.3"), [width, wide])?;
        let action = config.features.action.statistics_len();
        let widths = &config.widths;
        let (mut down, mut inputs) = (Vec::new(), action);
        for (level, &outputs) in widths.iter().enumerate() {
            let name = format!("{name}.down_modules.{level}");
            let [first, second] = blocks(reader, config, &name, inputs, outputs)?;
            let shape = Shape { inputs: outputs, outputs, kernel: 3, stride: 2 };
            let resample = (level + 1 < widths.len())
                .then(|| reader.conv1d(&format!("{name}.2"), shape))
                .transpose()?;
            down.push(Level { first, second, resample });
            inputs = outputs;
        }
        let middle = blocks(reader, config, &format!("{name}.mid_modules"), inputs, inputs)?;
        let mut up = Vec::new();
        for (level, pair) in widths.windows(2).rev().enumerate() {
            let &[outputs, inputs] = pair else { continue };
            let name = format!("{name}.up_modules.{level}");
            let [first, second] = blocks(reader, config, &name, 2 * inputs, outputs)?;
            let resample = reader.doubling(&format!("{name}.2"), outputs, Upsampling::KERNEL)?;
            up.push(Level { first, second, resample });
        }
        let first = widths.first().copied().unwrap_or(action);
        let last = normed(reader, config, &format!("{name}.final_conv.0"), first, first)?;
        let shape = Shape { inputs: first, outputs: action, kernel: 1, stride: 1 };
        let head = reader.conv1d(&format!("{name}.final_conv.1"), shape)?;
        Ok(Self { step_first, step_second, down, middle, up, last, head })
    }

    /// Embeddings of timesteps, `[batch, width]`.
    pub(super) fn embed(&self, timesteps: &[usize], device: &Device) -> Tensor<2> {
        let [_, width] = self.step_second.weight.dims();
        let values: Vec<f32> =
            timesteps.iter().flat_map(|timestep| sinusoid(*timestep, width)).collect();
        let data = TensorData::new(values, [timesteps.len(), width]);
        let inner = mish(self.step_first.forward(Tensor::from_data(data, device)));
        self.step_second.forward(inner)
    }

    /// From noisy actions, `[batch, horizon, action]`, at embedded timesteps and under what was
    /// observed, `[batch, condition]`, to the prediction.
    pub(super) fn forward(
        &self,
        sample: Tensor<3>,
        steps: Tensor<2>,
        observed: Tensor<2>,
    ) -> Tensor<3> {
        let condition = mish(Tensor::cat(vec![steps, observed], 1));
        let (mut rows, mut skips) = (sample.swap_dims(1, 2), Vec::new());
        for level in &self.down {
            rows = level.forward(rows, &condition);
            skips.push(rows.clone());
            if let Some(halve) = &level.resample {
                rows = halve.forward(rows);
            }
        }
        for block in &self.middle {
            rows = block.forward(rows, &condition);
        }
        for (level, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            rows = level.forward(Tensor::cat(vec![rows, skip], 1), &condition);
            rows = level.resample.forward(rows);
        }
        self.head.forward(self.last.forward(rows)).swap_dims(1, 2)
    }

    /// What one prediction of a horizon takes, counted as the engine counts.
    pub(super) fn cost(&self, horizon: usize) -> Cost {
        let (mut cost, mut rows) = (Cost::default(), horizon);
        for level in &self.down {
            level.first.cost(rows, &mut cost);
            level.second.cost(rows, &mut cost);
            if let Some(halve) = &level.resample {
                rows /= 2;
                add_cost(halve, rows, &mut cost);
            }
        }
        self.middle.iter().for_each(|block| block.cost(rows, &mut cost));
        for level in &self.up {
            level.first.cost(rows, &mut cost);
            level.second.cost(rows, &mut cost);
            let weights: usize = level.resample.weight.dims().iter().product();
            cost.products += weights * rows;
            cost.bytes += weights * size_of::<f32>();
            rows *= 2;
        }
        add_cost(&self.last.convolution, rows, &mut cost);
        add_cost(&self.head, rows, &mut cost);
        cost
    }
}

fn blocks(
    reader: &mut Reader<'_, '_>,
    config: &DiffusionConfig,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<[Block; 2], TensorError> {
    Ok([
        block(reader, config, &format!("{name}.0"), inputs, outputs)?,
        block(reader, config, &format!("{name}.1"), outputs, outputs)?,
    ])
}

fn block(
    reader: &mut Reader<'_, '_>,
    config: &DiffusionConfig,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Block, TensorError> {
    let around = Shape { inputs, outputs, kernel: 1, stride: 1 };
    let films = if config.scales { 2 * outputs } else { outputs };
    let condition = config.step_width + condition_len(config);
    Ok(Block {
        first: normed(reader, config, &format!("{name}.conv1"), inputs, outputs)?,
        second: normed(reader, config, &format!("{name}.conv2"), outputs, outputs)?,
        film: reader.linear(&format!("{name}.cond_encoder.1"), [films, condition])?,
        scales: config.scales,
        residual: (inputs != outputs)
            .then(|| reader.conv1d(&format!("{name}.residual_conv"), around))
            .transpose()?,
    })
}

fn normed(
    reader: &mut Reader<'_, '_>,
    config: &DiffusionConfig,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<NormedConvolution, TensorError> {
    let shape = Shape { inputs, outputs, kernel: config.kernel, stride: 1 };
    Ok(NormedConvolution {
        convolution: reader.conv1d(&format!("{name}.block.0"), shape)?,
        norm: reader.group_norm(&format!("{name}.block.1"), outputs, config.groups)?,
    })
}
