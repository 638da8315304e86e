//! The network of CNNMLP: from normalised inputs to a normalised action.

use crate::engine::Engine;
use crate::layers::convolution::{Convolution, Layout, MapSize};
use crate::layers::linear::Linear;
use crate::layers::resnet::{BufferLengths, ResNet, ResNetBuffers};
use crate::policy::Cost;
use crate::preprocessing::Inputs;
use crate::trace::Trace;

/// All weights.
pub(crate) struct Network {
    /// Image backbones: one that all cameras share, or one for each camera.
    pub backbones: Vec<ResNet>,
    /// Convolutions without padding on the backbone's map, for each camera.
    pub projections: Vec<Vec<Convolution>>,
    /// Linear layers, with ReLU between them. The inputs of the first are the maps of the
    /// cameras, channels last, and the state.
    pub layers: Vec<Linear>,
}

/// Everything that [`Network::forward`] writes.
pub(crate) struct Buffers {
    resnet: ResNetBuffers,
    maps: [Vec<f32>; 2],
    scratch: Vec<f32>,
    features: Vec<f32>,
    hidden: [Vec<f32>; 2],
}

/// Lengths of [`Buffers`].
#[derive(Clone, Copy, Default)]
struct Lengths {
    resnet: BufferLengths,
    map: usize,
    scratch: usize,
    features: usize,
    hidden: usize,
}

/// What a convolution without padding reads of a map: none if the map is smaller than the kernel.
pub(super) fn unpadded(from: Layout, kernel: usize) -> Option<Layout> {
    let MapSize { height, width } = from.size;
    (height.min(width) >= kernel).then(|| from.within(kernel / 2))
}

impl Network {
    /// Backbone of a camera.
    pub(crate) fn backbone(&self, camera: usize) -> Option<&ResNet> {
        self.backbones.get(camera).or(self.backbones.last())
    }

    /// Each camera's image with its backbone and its convolutions.
    fn cameras<T>(
        &self,
        images: impl IntoIterator<Item = T>,
    ) -> impl Iterator<Item = (T, &ResNet, &[Convolution])> {
        let cameras = images.into_iter().zip(&self.projections).enumerate();
        cameras.filter_map(|(camera, (image, projection))| {
            Some((image, self.backbone(camera)?, projection.as_slice()))
        })
    }

    fn lengths(&self, images: &[MapSize]) -> Lengths {
        let mut lengths = Lengths::default();
        for (image, backbone, projection) in self.cameras(images) {
            lengths.resnet = lengths.resnet.max(backbone.buffer_lengths(*image));
            let mut last = 0;
            for (convolution, from) in steps(backbone, projection, *image) {
                let to = convolution.output(from.size);
                lengths.map = lengths.map.max(to.len());
                lengths.scratch = lengths.scratch.max(convolution.scratch_len(from));
                last = to.size.pixels() * to.channels;
            }
            lengths.features += last;
        }
        let inputs = self.layers.first().map_or(0, Linear::inputs);
        lengths.features = lengths.features.max(inputs);
        lengths.hidden = self.layers.iter().map(Linear::outputs).max().unwrap_or(0);
        lengths
    }

    /// Number of values that [`Network::buffers`] would allocate.
    pub(crate) fn buffers_len(&self, images: &[MapSize]) -> usize {
        let Lengths { resnet, map, scratch, features, hidden } = self.lengths(images);
        [resnet.total(), 2 * map, scratch, features, 2 * hidden]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    /// Allocates buffers for images of these sizes.
    pub(crate) fn buffers(&self, images: &[MapSize]) -> Buffers {
        let Lengths { resnet, map, scratch, features, hidden } = self.lengths(images);
        Buffers {
            resnet: ResNetBuffers::new(resnet),
            maps: [map; 2].map(|len| vec![0.0; len]),
            scratch: vec![0.0; scratch],
            features: vec![0.0; features],
            hidden: [hidden; 2].map(|len| vec![0.0; len]),
        }
    }

    /// Multiply-adds of one inference, and bytes of weights.
    pub(crate) fn cost(&self, images: &[MapSize]) -> Cost {
        let mut cost = Cost::default();
        for (image, backbone, projection) in self.cameras(images) {
            let layers = backbone.layers(*image);
            cost.products += layers.map(|(layer, size)| layer.products(size)).sum::<usize>();
            for (convolution, from) in steps(backbone, projection, *image) {
                cost.products += convolution.products(from.size);
                cost.weight_bytes += convolution.bytes();
            }
        }
        for backbone in &self.backbones {
            let layers = backbone.layers(MapSize { height: 1, width: 1 });
            cost.weight_bytes += layers.map(|(layer, _)| layer.bytes()).sum::<usize>();
        }
        for layer in &self.layers {
            cost.products += layer.products();
            cost.weight_bytes += layer.bytes();
        }
        cost
    }

    /// Writes the normalised action.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        inputs: &Inputs,
        buffers: &mut Buffers,
        action: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) {
        let Buffers { resnet, maps, scratch, features, hidden } = buffers;
        let mut rest = features.as_mut_slice();
        let images = self.cameras(inputs.maps());
        for (camera, ((image, size), backbone, projection)) in images.enumerate() {
            let (map, mut layout) = backbone.forward(engine, image, size, resnet);
            if let Some(trace) = trace.as_deref_mut() {
                trace.record_map(format!("mid.backbone.cam{camera}"), map, layout);
            }
            let [current, next] = &mut *maps;
            let mut source = map;
            for convolution in projection {
                let Some(from) = unpadded(layout, convolution.kernel()) else { break };
                convolution.forward(engine, (source, from), (None, false), scratch, next);
                layout = convolution.output(from.size);
                std::mem::swap(current, next);
                source = current.as_slice();
            }
            let (out, others) = rest.split_at_mut(layout.size.pixels() * layout.channels);
            layout.copy_inside(source, out);
            if let Some(trace) = trace.as_deref_mut() {
                trace.record_map(format!("mid.projection.cam{camera}"), source, layout);
            }
            rest = others;
        }
        rest.copy_from_slice(inputs.state());
        let Some((last, layers)) = self.layers.split_last() else { return };
        let [current, next] = hidden;
        let mut input = features.as_slice();
        for layer in layers {
            let out = &mut next[..layer.outputs()];
            layer.finish(engine, input, layer.bias().and_relu(), out);
            std::mem::swap(current, next);
            input = &current[..layer.outputs()];
        }
        last.forward(engine, input, action);
    }
}

/// The convolutions of a camera with what each of them reads.
fn steps<'a>(
    backbone: &ResNet,
    projection: &'a [Convolution],
    image: MapSize,
) -> impl Iterator<Item = (&'a Convolution, Layout)> {
    let (size, channels) = (backbone.output_size(image), backbone.outputs());
    let mut layout = Layout { size, channels, border: 1 };
    projection.iter().map_while(move |convolution| {
        let from = unpadded(layout, convolution.kernel())?;
        layout = convolution.output(from.size);
        Some((convolution, from))
    })
}
