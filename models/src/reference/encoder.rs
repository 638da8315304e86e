//! From an image to features: a backbone, the places of features on its map, a linear layer.

use super::record;
use super::resnet::ResNet;
use super::weights::Reader;
use crate::diffusion::{backbone_place, check_grid, encoder_prefix};
use crate::layers::convolution::MapSize;
use crate::layers::keypoints::grid;
use crate::lerobot::DiffusionConfig;
use crate::tensor_file::TensorError;
use crate::trace::Trace;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Tensor, TensorData};

/// Encoder of the images of one camera, or of all.
#[derive(Module, Debug)]
pub(super) struct ImageEncoder {
    backbone: ResNet,
    keypoints: Linear,
    out: Linear,
    /// Whether features keep their sign.
    #[module(skip)]
    signed: bool,
}

impl ImageEncoder {
    /// Reads the encoder of this number, for images of one size.
    pub(super) fn read(
        reader: &mut Reader<'_, '_>,
        config: &DiffusionConfig,
        index: usize,
        image: MapSize,
    ) -> Result<Self, TensorError> {
        let (prefix, count) = (encoder_prefix(config, index), config.keypoints);
        let backbone = ResNet::read(reader, &backbone_place(config, index))?;
        check_grid(reader.tensors, &prefix, ResNet::output_size(image))?;
        let nets = format!("{prefix}.pool.nets");
        Ok(Self {
            keypoints: reader.pointwise(&nets, [count, backbone.outputs()])?,
            backbone,
            out: reader.linear(&format!("{prefix}.out"), [2 * count, 2 * count])?,
            signed: config.extension.signed_features,
        })
    }

    /// From normalised images, `[batch, 3, height, width]`, to features, `[batch, features]`.
    pub(super) fn forward(&self, images: Tensor<4>, trace: Option<&mut Trace>) -> Tensor<2> {
        let map = self.backbone.forward(images, |_, _| ());
        let [batch, channels, height, width] = map.dims();
        let size = MapSize { height, width };
        let places = TensorData::new(grid(size), [1, size.pixels(), 2]);
        let places = Tensor::<3>::from_data(places, &map.device());
        let pixels = map.clone().reshape([batch, channels, size.pixels()]).swap_dims(1, 2);
        // Over the pixels of each point.
        let weights = softmax(self.keypoints.forward(pixels), 1).swap_dims(1, 2);
        let count = weights.dims()[1];
        let points = weights.matmul(places.expand([batch, size.pixels(), 2]));
        let features = self.out.forward(points.clone().reshape([batch, 2 * count]));
        let features = if self.signed { features } else { relu(features) };
        if let Some(trace) = trace {
            record(trace, "preprocessed_and_backbone".to_owned(), &map);
            record(trace, "keypoints".to_owned(), &points);
            record(trace, "features".to_owned(), &features);
        }
        features
    }

    /// Records the maps of the backbone.
    pub(super) fn maps(&self, image: Tensor<4>, trace: &mut Trace) {
        self.backbone.forward(image, |name, map| record(trace, name.to_owned(), map));
    }
}
