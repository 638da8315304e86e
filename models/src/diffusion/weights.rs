//! Reads layers from the tensors of a checkpoint, by LeRobot's names.

use super::encoder::ImageEncoder;
use super::film::{Films, StepEncoder};
use super::network::Network;
use super::unet::{Block, DownLevel, NormedConvolution, UNet, UpLevel};
use crate::backbone::{self, Norm, Place};
use crate::engine::Precision;
use crate::layers::convolution::MapSize;
use crate::layers::group_norm::GroupNorm;
use crate::layers::keypoints::{Keypoints, grid};
use crate::layers::linear::Linear;
use crate::layers::sequence::{Convolution1d, Upsampling};
use crate::lerobot::{DiffusionConfig, FeatureType};
use crate::tensor_file::{TensorError, TensorFile};

/// What all tensors are called.
pub(crate) const PREFIX: &str = "diffusion";
/// `torch.compile` puts this into names.
pub(crate) const COMPILED: &str = "_orig_mod.";
/// Factor from the width of the embedded timestep to the layer within its encoder.
pub(crate) const STEP_EXPANSION: usize = 4;
/// Largest difference of stored coordinates of pixels.
const GRID_TOLERANCE: f32 = 1e-5;

/// Where the backbone of an encoder is.
pub(crate) fn backbone_place(config: &DiffusionConfig, encoder: usize) -> Place {
    let norm = if config.group_norm { Norm::Group } else { Norm::Batch };
    let prefix = format!("{}.backbone", encoder_prefix(config, encoder));
    Place { prefix, numbered: true, norm }
}

/// What the names of an encoder's tensors begin with.
pub(crate) fn encoder_prefix(config: &DiffusionConfig, encoder: usize) -> String {
    if config.separate_encoders {
        format!("{PREFIX}.rgb_encoder.{encoder}")
    } else {
        format!("{PREFIX}.rgb_encoder")
    }
}

/// Reads all layers and refuses tensors that belong to none of them. `image` is the size of what
/// the backbones read.
pub(crate) fn read(
    config: &DiffusionConfig,
    image: Option<MapSize>,
    tensors: &mut TensorFile<'_>,
    precision: Precision,
) -> Result<Network, TensorError> {
    tensors.strip(COMPILED)?;
    let cameras = config.features.images().count();
    let count = if config.separate_encoders { cameras } else { cameras.min(1) };
    let encoders = match image {
        Some(image) => (0..count)
            .map(|index| encoder(config, index, image, tensors, precision))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let condition = condition_len(config);
    let mut reader =
        Reader { tensors, config, precision, condition, films: FilmWeights::default() };
    let unet = reader.unet()?;
    tensors.finish()?;
    Ok(Network { encoders, unet })
}

/// Values of all observations that the network sees.
pub(crate) fn condition_len(config: &DiffusionConfig) -> usize {
    let vectors = [FeatureType::State, FeatureType::Environment];
    let vectors: usize =
        vectors.into_iter().filter_map(|kind| config.features.vector_len(kind)).sum();
    config.history * (vectors + config.features.images().count() * 2 * config.keypoints)
}

fn linear(
    tensors: &mut TensorFile<'_>,
    name: &str,
    [outputs, inputs]: [usize; 2],
    precision: Precision,
) -> Result<Linear, TensorError> {
    let weight = tensors.take(&format!("{name}.weight"), &[outputs, inputs])?;
    Ok(Linear::new(&weight, tensors.take(&format!("{name}.bias"), &[outputs])?, precision))
}

fn encoder(
    config: &DiffusionConfig,
    index: usize,
    image: MapSize,
    tensors: &mut TensorFile<'_>,
    precision: Precision,
) -> Result<ImageEncoder, TensorError> {
    let prefix = encoder_prefix(config, index);
    let backbone = backbone::read(tensors, &backbone_place(config, index), image, precision)?;
    check_grid(tensors, &prefix, backbone.output_size(image))?;
    let (count, channels) = (config.keypoints, backbone.outputs());
    let name = format!("{prefix}.pool.nets");
    let weight = tensors.take(&format!("{name}.weight"), &[count, channels, 1, 1])?;
    let bias = tensors.take(&format!("{name}.bias"), &[count])?;
    Ok(ImageEncoder {
        backbone,
        keypoints: Keypoints::new(Linear::new(&weight, bias, precision)),
        out: linear(tensors, &format!("{prefix}.out"), [2 * count, 2 * count], precision)?,
        signed: config.extension.signed_features,
    })
}

/// The coordinates of a backbone's pixels are stored; they show for which images the policy was
/// trained.
pub(crate) fn check_grid(
    tensors: &mut TensorFile<'_>,
    prefix: &str,
    size: MapSize,
) -> Result<(), TensorError> {
    let name = format!("{prefix}.pool.pos_grid");
    let stored = tensors.take(&name, &[size.pixels(), 2])?;
    let differs = |(a, b): (&f32, f32)| (a - b).abs() > GRID_TOLERANCE;
    match stored.iter().zip(grid(size)).position(differs) {
        None => Ok(()),
        Some(index) => {
            let needed = "the coordinates of the backbone's pixels, from -1 to 1";
            Err(tensors.bad_value(&name, index, &stored, needed))
        }
    }
}

/// The layers over the condition of all blocks so far, cut in two.
#[derive(Default)]
struct FilmWeights {
    time: Vec<f32>,
    global: Vec<f32>,
    bias: Vec<f32>,
}

struct Reader<'r, 't> {
    tensors: &'r mut TensorFile<'t>,
    config: &'r DiffusionConfig,
    precision: Precision,
    /// Values of the observations in the condition.
    condition: usize,
    films: FilmWeights,
}

impl Reader<'_, '_> {
    fn unet(&mut self) -> Result<UNet, TensorError> {
        let config = self.config;
        let name = format!("{PREFIX}.unet");
        let (step_width, wide) = (config.step_width, STEP_EXPANSION * config.step_width);
        let mut encoder_layer = |index: usize, shape| {
            let name = format!("{name}.diffusion_step_encoder.{index}");
            linear(self.tensors, &name, shape, Precision::F32)
        };
        let steps = StepEncoder {
            first: encoder_layer(1, [wide, step_width])?,
            second: encoder_layer(3, [step_width, wide])?,
        };
        let action = config.features.action.statistics_len();
        let widths = &config.widths;
        let mut down = Vec::new();
        let mut inputs = action;
        for (level, width) in widths.iter().enumerate() {
            let name = format!("{name}.down_modules.{level}");
            let blocks = self.blocks(&name, inputs, *width)?;
            let halve = (level + 1 < widths.len())
                .then(|| self.convolution(&format!("{name}.2"), *width, *width, (3, 2)))
                .transpose()?;
            down.push(DownLevel { blocks, halve });
            inputs = *width;
        }
        let middle = self.blocks(&format!("{name}.mid_modules"), inputs, inputs)?;
        let mut up = Vec::new();
        for (level, pair) in widths.windows(2).rev().enumerate() {
            let &[outputs, inputs] = pair else { continue };
            let name = format!("{name}.up_modules.{level}");
            let blocks = self.blocks(&name, 2 * inputs, outputs)?;
            up.push(UpLevel { blocks, double: self.upsampling(&format!("{name}.2"), outputs)? });
        }
        let first = widths.first().copied().unwrap_or(action);
        let last = self.normed(&format!("{name}.final_conv.0"), first, first)?;
        let head = self.convolution(&format!("{name}.final_conv.1"), first, action, (1, 1))?;
        let FilmWeights { time, global, bias } = std::mem::take(&mut self.films);
        let zeros = vec![0.0; bias.len()];
        Ok(UNet {
            steps,
            films: Films {
                time: Linear::new(&time, bias, Precision::F32),
                global: Linear::new(&global, zeros, self.precision),
            },
            down,
            middle,
            up,
            last,
            head,
            horizon: config.horizon,
            border: (config.kernel / 2).max(1),
        })
    }

    fn blocks(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<[Block; 2], TensorError> {
        Ok([
            self.block(&format!("{name}.0"), inputs, outputs)?,
            self.block(&format!("{name}.1"), outputs, outputs)?,
        ])
    }

    fn block(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Block, TensorError> {
        let first = self.normed(&format!("{name}.conv1"), inputs, outputs)?;
        let second = self.normed(&format!("{name}.conv2"), outputs, outputs)?;
        let residual = (inputs != outputs)
            .then(|| self.convolution(&format!("{name}.residual_conv"), inputs, outputs, (1, 1)))
            .transpose()?;
        let film = self.film(&format!("{name}.cond_encoder.1"), outputs)?;
        Ok(Block { first, second, film, scales: self.config.scales, residual })
    }

    /// Reads the layer over the condition and returns where its outputs begin.
    fn film(&mut self, name: &str, width: usize) -> Result<usize, TensorError> {
        let outputs = if self.config.scales { 2 * width } else { width };
        let (time, inputs) = (self.config.step_width, self.config.step_width + self.condition);
        let weight = self.tensors.take(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.tensors.take(&format!("{name}.bias"), &[outputs])?;
        let begin = self.films.bias.len();
        for row in weight.chunks_exact(inputs) {
            let (of_time, of_global) = row.split_at(time);
            self.films.time.extend_from_slice(of_time);
            self.films.global.extend_from_slice(of_global);
        }
        self.films.bias.extend(bias);
        Ok(begin)
    }

    fn normed(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<NormedConvolution, TensorError> {
        let kernel = self.config.kernel;
        let convolution =
            self.convolution(&format!("{name}.block.0"), inputs, outputs, (kernel, 1))?;
        let weight = self.tensors.take(&format!("{name}.block.1.weight"), &[outputs])?;
        let bias = self.tensors.take(&format!("{name}.block.1.bias"), &[outputs])?;
        let norm = GroupNorm::new(weight, bias, self.config.groups);
        Ok(NormedConvolution { convolution, norm })
    }

    fn convolution(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        (kernel, stride): (usize, usize),
    ) -> Result<Convolution1d, TensorError> {
        let shape = [outputs, inputs, kernel];
        let weight = self.tensors.take(&format!("{name}.weight"), &shape)?;
        let bias = self.tensors.take(&format!("{name}.bias"), &[outputs])?;
        Ok(Convolution1d::new(&weight, bias, (kernel, stride), self.precision))
    }

    fn upsampling(&mut self, name: &str, width: usize) -> Result<Upsampling, TensorError> {
        let shape = [width, width, Upsampling::KERNEL];
        let weight = self.tensors.take(&format!("{name}.weight"), &shape)?;
        let bias = self.tensors.take(&format!("{name}.bias"), &[width])?;
        Ok(Upsampling::new(&weight, bias, self.precision))
    }
}
