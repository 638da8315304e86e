//! From images to features.

use crate::backbone::{self, Place};
use crate::engine::{Engine, Precision};
use crate::info::{self, BackboneInfo};
use crate::layers::convolution::{Layout, MapSize};
use crate::layers::resnet::{BufferLengths, ResNet, ResNetBuffers};
use crate::lerobot::{LoadError, PolicyConfig, VinnConfig};
use crate::policy::{Cost, Feature, LoadOptions, Observation, PredictError};
use crate::preprocessing::{self, ImagePlan, Inputs};
use crate::source::{self, Source};
use crate::tensor_file::{TensorError, TensorFile};
use crate::trace::Trace;
use std::path::Path;

/// The encoders of all cameras, one shared or one each.
pub(super) struct Encoders {
    backbones: Vec<ResNet>,
    images: Vec<MapSize>,
    buffers: ResNetBuffers,
}

impl Encoders {
    /// Reads all layers and refuses tensors that belong to none of them. Heads that only a
    /// training uses (`fc`) are left out.
    pub(super) fn read(
        config: &VinnConfig,
        images: Vec<MapSize>,
        tensors: &mut TensorFile<'_>,
        precision: Precision,
    ) -> Result<Self, TensorError> {
        let per_camera = config.extension.backbone_per_camera;
        let count = if per_camera { images.len() } else { 1 };
        let largest = images.iter().copied().max_by_key(|image| image.pixels());
        let mut backbones = Vec::new();
        for (camera, own) in images.iter().take(count).enumerate() {
            let place = Place::of_camera(per_camera.then_some(camera));
            let image = if per_camera { *own } else { largest.unwrap_or(*own) };
            backbones.push(backbone::read(tensors, &place, image, precision)?);
            tensors.expect(|name| {
                let rest = name.strip_prefix(&place.prefix);
                rest.is_some_and(|rest| rest.starts_with(".fc.") || rest.ends_with(TRACKED))
            });
        }
        tensors.finish()?;
        let buffers = ResNetBuffers::new(BufferLengths::default());
        Ok(Self { backbones, images, buffers })
    }

    /// Allocates what [`Encoders::forward`] writes.
    pub(super) fn allocate(&mut self) {
        self.buffers = ResNetBuffers::new(self.lengths());
    }

    fn lengths(&self) -> BufferLengths {
        self.seen()
            .map(|(image, backbone)| backbone.buffer_lengths(image))
            .fold(BufferLengths::default(), BufferLengths::max)
    }

    /// Number of values that [`Encoders::allocate`] takes.
    pub(super) fn buffers_len(&self) -> usize {
        self.lengths().total()
    }

    fn backbone(&self, camera: usize) -> Option<&ResNet> {
        self.backbones.get(camera).or(self.backbones.last())
    }

    /// Each camera's image size with its backbone.
    fn seen(&self) -> impl Iterator<Item = (MapSize, &ResNet)> {
        let cameras = self.images.iter().enumerate();
        cameras.filter_map(|(camera, image)| Some((*image, self.backbone(camera)?)))
    }

    /// Features of each camera.
    pub(super) fn widths(&self) -> Vec<usize> {
        self.seen().map(|(_, backbone)| backbone.outputs()).collect()
    }

    /// Multiply-adds of one observation, and bytes of weights.
    pub(super) fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for (image, backbone) in self.seen() {
            let layers = backbone.layers(image);
            cost.products += layers.map(|(layer, size)| layer.products(size)).sum::<usize>();
        }
        for backbone in &self.backbones {
            let layers = backbone.layers(MapSize { height: 1, width: 1 });
            cost.weight_bytes += layers.map(|(layer, _)| layer.bytes()).sum::<usize>();
        }
        cost
    }

    /// Writes the features of all cameras, side by side.
    pub(super) fn forward(
        &mut self,
        engine: &Engine,
        inputs: &Inputs,
        features: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) {
        let Self { backbones, buffers, .. } = self;
        let mut rest = features;
        for (camera, (image, size)) in inputs.maps().enumerate() {
            let Some(backbone) = backbones.get(camera).or(backbones.last()) else { continue };
            let (map, layout) = backbone.forward(engine, image, size, buffers);
            if let Some(trace) = trace.as_deref_mut() {
                trace.record_map(format!("mid.backbone.cam{camera}"), map, layout);
            }
            let (out, others) = std::mem::take(&mut rest).split_at_mut(layout.channels);
            average(map, layout, out);
            rest = others;
        }
    }

    /// Records the maps of one camera's backbone.
    pub(super) fn record(
        &self,
        engine: &Engine,
        camera: usize,
        image: (&[f32], MapSize),
        trace: &mut Trace,
    ) {
        if let Some(backbone) = self.backbone(camera) {
            backbone.record(engine, image, trace);
        }
    }
}

/// What PyTorch counts in training and nothing reads.
const TRACKED: &str = ".num_batches_tracked";

/// The mean of each channel.
fn average(map: &[f32], layout: Layout, out: &mut [f32]) {
    let pixels = layout.size.pixels();
    let rows = layout.pixels();
    out.fill(0.0);
    for pixel in (0..pixels).map(|pixel| rows.offset(pixel)) {
        out.iter_mut().zip(&map[pixel..]).for_each(|(sum, value)| *sum += value);
    }
    out.iter_mut().for_each(|sum| *sum /= pixels as f32);
}

/// The encoders of a VINN folder, without its memory: to encode demonstrations with.
pub struct VinnEncoder {
    engine: Engine,
    inputs: Inputs,
    encoders: Encoders,
    widths: Vec<usize>,
}

impl VinnEncoder {
    /// Reads `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// [`LoadError`], as [`crate::load`], and when the folder holds another kind of policy.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        source::load(folder, options, |source| match source.config.clone() {
            PolicyConfig::Vinn(config) => Ok(Self::from_source(source, &config)?.0),
            other => Err(LoadError::Kind {
                folder: folder.to_path_buf(),
                found: other.kind(),
                needed: "vinn",
            }),
        })
    }

    /// Makes encoders of a folder that was read; also says how the backbone looks and how many
    /// weights there are.
    pub(super) fn from_source(
        source: Source<'_>,
        config: &VinnConfig,
    ) -> Result<(Self, Option<BackboneInfo>, usize), LoadError> {
        let Source { folder, mut tensors, normalization, engine, precision, .. } = source;
        let plans = config.image_plans();
        let images = plans.iter().map(ImagePlan::output).collect();
        let mut encoders = Encoders::read(config, images, &mut tensors, precision)?;
        let place = Place::of_camera(config.extension.backbone_per_camera.then_some(0));
        let info = info::backbone_info(&config.backbone, &tensors, &place, &config.extension);
        let parameters = tensors.count_values("model.");
        let inputs_len = Inputs::len(&plans);
        let values = encoders.buffers_len().saturating_add(inputs_len);
        source::check_memory(folder, values.saturating_mul(size_of::<f32>()))?;
        let features = preprocessing::scaled_features(&config.features, &normalization);
        let inputs = Inputs::new(features, &plans);
        encoders.allocate();
        let widths = encoders.widths();
        Ok((Self { engine, inputs, encoders, widths }, info, parameters))
    }

    /// Number of features of each camera.
    #[must_use]
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// The inputs that an observation must have, by the names that the robot side delivers.
    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.inputs.features()
    }

    /// Writes the features of all cameras, side by side: as many as [`VinnEncoder::widths`] add up
    /// to.
    ///
    /// # Errors
    /// [`PredictError`] when an input has the wrong size or a number is not finite.
    pub fn encode(
        &mut self,
        observation: &Observation<'_>,
        features: &mut [f32],
    ) -> Result<(), PredictError> {
        self.encode_traced(observation, features, None)
    }

    pub(super) fn encode_traced(
        &mut self,
        observation: &Observation<'_>,
        features: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let needed = self.widths.iter().sum();
        if features.len() != needed {
            let (feature, got) = ("features".to_owned(), features.len());
            return Err(PredictError::Size { feature, needed, got });
        }
        self.inputs.accept(&self.engine, observation)?;
        if let Some(trace) = trace.as_deref_mut() {
            self.inputs.record(trace);
        }
        self.encoders.forward(&self.engine, &self.inputs, features, trace);
        preprocessing::check_finite("features", features)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Joint positions of the last observation.
    pub(super) fn state(&self) -> &[f32] {
        self.inputs.state()
    }

    pub(super) fn cost(&self) -> Cost {
        let buffer_bytes = (self.encoders.buffers_len() + self.inputs.values()) * size_of::<f32>();
        Cost { buffer_bytes, ..self.encoders.cost() }
    }

    pub(super) fn feature_maps(
        &mut self,
        camera: usize,
        image: &[u8],
    ) -> Result<Trace, PredictError> {
        let mut trace = Trace::new();
        if let Some(image) = self.inputs.accept_image(&self.engine, camera, image)? {
            self.encoders.record(&self.engine, camera, image, &mut trace);
        }
        Ok(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_leaves_the_border_out() {
        let layout = Layout { size: MapSize { height: 1, width: 2 }, channels: 2, border: 1 };
        let mut map = vec![9.0; layout.len()];
        map[layout.at(1, 1)..][..4].copy_from_slice(&[1.0, 2.0, 3.0, 6.0]);
        let mut out = [0.0; 2];
        average(&map, layout, &mut out);
        assert_eq!(out, [2.0, 4.0]);
    }
}
