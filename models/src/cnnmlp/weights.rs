//! Reads the layers of a CNNMLP policy, by the original's names.

use super::network::{Network, unpadded};
use crate::backbone::{self, Place};
use crate::engine::Precision;
use crate::layers::convolution::{Convolution, Layout, MapSize, Shape};
use crate::layers::linear::Linear;
use crate::layers::resnet::ResNet;
use crate::lerobot::{CnnMlpConfig, FeatureType};
use crate::tensor_file::{TensorError, TensorFile};

/// Most layers in one stack.
const MAX_LAYERS: usize = 64;
/// Largest kernel of the convolutions after the backbone.
const MAX_KERNEL: usize = 31;

/// Names of the convolutions of a camera, in order.
pub(super) fn projection(camera: usize) -> impl Iterator<Item = String> {
    (0..MAX_LAYERS).map(move |index| format!("model.backbone_down_projs.{camera}.{index}"))
}

/// Names of the linear layers, in order; activations take every second place.
pub(super) fn layers() -> impl Iterator<Item = String> {
    (0..MAX_LAYERS).map(|index| format!("model.mlp.{}", 2 * index))
}

/// Reads all layers and refuses tensors that belong to none of them.
pub(super) fn read(
    config: &CnnMlpConfig,
    images: &[MapSize],
    tensors: &mut TensorFile<'_>,
    precision: Precision,
) -> Result<Network, TensorError> {
    let count = if config.extension.backbone_per_camera { images.len() } else { 1 };
    let largest = images.iter().copied().max_by_key(|image| image.pixels());
    let backbones = images.iter().take(count).enumerate().map(|(camera, own)| {
        let index = config.extension.backbone_per_camera.then_some(camera);
        let image = if index.is_some() { *own } else { largest.unwrap_or(*own) };
        backbone::read(tensors, &Place::of_camera(index), image, precision)
    });
    let backbones = backbones.collect::<Result<Vec<ResNet>, _>>()?;
    let (mut projections, mut maps) = (Vec::new(), Vec::new());
    for (camera, image) in images.iter().enumerate() {
        let Some(backbone) = backbones.get(camera).or(backbones.last()) else { continue };
        let (size, channels) = (backbone.output_size(*image), backbone.outputs());
        let mut layout = Layout { size, channels, border: 1 };
        let mut convolutions = Vec::new();
        for (index, name) in projection(camera).enumerate() {
            if index > 0 && tensors.shape(&format!("{name}.weight")).is_none() {
                break;
            }
            convolutions.push(read_convolution(tensors, &name, &mut layout, precision)?);
        }
        projections.push(convolutions);
        maps.push(layout);
    }
    let state = config.features.vector_len(FeatureType::State).unwrap_or(0);
    let action = config.features.action.statistics_len();
    let layers = read_layers(tensors, &maps, state, action, precision)?;
    // Declared by the original, but nothing leads to it.
    tensors.expect(|name| name.starts_with("model.action_head."));
    tensors.finish()?;
    Ok(Network { backbones, projections, layers })
}

/// Reads a convolution without padding. `layout` is what it reads, and becomes what it writes.
fn read_convolution(
    tensors: &mut TensorFile<'_>,
    name: &str,
    layout: &mut Layout,
    precision: Precision,
) -> Result<Convolution, TensorError> {
    let (weight, inputs) = (format!("{name}.weight"), layout.channels);
    let (outputs, kernel) = match tensors.shape(&weight) {
        Some(&[outputs, i, height, width])
            if outputs > 0 && i == inputs && height == width && height % 2 == 1 =>
        {
            (outputs, height)
        }
        Some(_) => {
            let needed = format!("[1 or more, {inputs}, kernel, kernel] with an odd kernel");
            return Err(tensors.misshaped(&weight, needed));
        }
        None => return Err(tensors.missing(&weight, format!("[1 or more, {inputs}, 5, 5]"))),
    };
    let MapSize { height, width } = layout.size;
    let from = unpadded(*layout, kernel).filter(|_| kernel <= MAX_KERNEL);
    let from = from.ok_or_else(|| {
        let needed = format!(
            "a kernel of at most {MAX_KERNEL} that fits into the map of {height} x {width} that the declared images leave"
        );
        tensors.misshaped(&weight, needed)
    })?;
    let values = tensors.take(&weight, &[outputs, inputs, kernel, kernel])?;
    let bias = tensors.take(&format!("{name}.bias"), &[outputs])?;
    let shape = Shape { inputs, outputs, kernel, stride: 1 };
    let convolution = Convolution::new(&values, Some(bias), shape, from.size, precision);
    *layout = convolution.output(from.size);
    Ok(convolution)
}

/// Reads the linear layers, of which the first takes `maps` and `state` values.
fn read_layers(
    tensors: &mut TensorFile<'_>,
    maps: &[Layout],
    state: usize,
    action: usize,
    precision: Precision,
) -> Result<Vec<Linear>, TensorError> {
    let mut inputs = state + maps.iter().map(|map| map.size.pixels() * map.channels).sum::<usize>();
    let mut read = Vec::new();
    let names: Vec<String> = layers()
        .enumerate()
        .take_while(|(index, name)| {
            *index == 0 || tensors.shape(&format!("{name}.weight")).is_some()
        })
        .map(|(_, name)| name)
        .collect();
    for (index, name) in names.iter().enumerate() {
        let weight = format!("{name}.weight");
        let is_last = index + 1 == names.len();
        let outputs = match tensors.shape(&weight) {
            Some(&[outputs, i])
                if i == inputs && outputs > 0 && (!is_last || outputs == action) =>
            {
                outputs
            }
            Some(_) => {
                let outputs = if is_last { action.to_string() } else { "1 or more".to_owned() };
                return Err(tensors.misshaped(&weight, format!("[{outputs}, {inputs}]")));
            }
            None => return Err(tensors.missing(&weight, format!("[1 or more, {inputs}]"))),
        };
        let mut values = tensors.take(&weight, &[outputs, inputs])?;
        if index == 0 {
            values.chunks_exact_mut(inputs).for_each(|row| channels_last(row, maps));
        }
        let bias = tensors.take(&format!("{name}.bias"), &[outputs])?;
        read.push(Linear::new(&values, bias, precision));
        inputs = outputs;
    }
    Ok(read)
}

/// Reorders weights for maps that come channels first into weights for maps that come channels
/// last.
fn channels_last(row: &mut [f32], maps: &[Layout]) {
    let mut rest = row;
    for map in maps {
        let (pixels, channels) = (map.size.pixels(), map.channels);
        let (weights, others) = rest.split_at_mut(pixels * channels);
        let first = weights.to_vec();
        for (index, weight) in weights.iter_mut().enumerate() {
            *weight = first[index % channels * pixels + index / channels];
        }
        rest = others;
    }
}
