//! The network of ACT.

use super::resnet::ResNet;
use super::transformer::{DecoderLayer, EncoderLayer};
use super::variational::VariationalEncoder;
use super::weights::Reader;
use super::{record, rows};
use crate::act::VAE_PREFIX;
use crate::backbone::Place;
use crate::layers::convolution::MapSize;
use crate::layers::position::image_positions;
use crate::lerobot::{self, ActConfig, FeatureType, LoadError, PolicyConfig};
use crate::residual_attention;
use crate::tensor_file::{TensorError, TensorFile};
use crate::trace::Trace;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

/// Normalised inputs of [`ActReference`].
#[derive(Clone, Debug)]
pub struct ActInputs {
    /// `[batch, state]`, if the policy reads it.
    pub state: Option<Tensor<2>>,
    /// `[batch, environment]`, if the policy reads it.
    pub environment: Option<Tensor<2>>,
    /// `[batch, 3, height, width]` of each camera.
    pub images: Vec<Tensor<4>>,
    /// `[batch, latent]`; zeros without it, as at inference.
    pub latent: Option<Tensor<2>>,
}

/// LeRobot's ACT.
#[derive(Module, Debug)]
pub struct ActReference {
    latent: Linear,
    state: Option<Linear>,
    environment: Option<Linear>,
    image: Option<Linear>,
    vector_positions: Param<Tensor<2>>,
    /// None, one that all cameras share, or one for each.
    backbones: Vec<ResNet>,
    encoder: Vec<EncoderLayer>,
    encoder_norm: Option<LayerNorm>,
    decoder: Vec<DecoderLayer>,
    decoder_norm: LayerNorm,
    decoder_positions: Param<Tensor<2>>,
    head: Linear,
    variational: Option<VariationalEncoder>,
}

impl ActReference {
    /// Reads a checkpoint folder as LeRobot writes it, with what only training uses.
    ///
    /// # Errors
    /// [`LoadError`], as [`crate::load`].
    pub fn load(folder: &Path, device: &Device) -> Result<Self, LoadError> {
        let mut tensors = lerobot::open_weights(folder)?;
        match lerobot::read_checkpoint(folder, &mut tensors)?.config {
            PolicyConfig::Act(config) => {
                let mut network = Self::read_parts(&config, &mut tensors, device)?;
                let mut reader = Reader { tensors: &mut tensors, device };
                network.variational = VariationalEncoder::read(&mut reader, &config)?;
                tensors.finish()?;
                Ok(network)
            }
            other => {
                let (folder, found) = (folder.to_path_buf(), other.kind());
                Err(LoadError::Kind { folder, found, needed: "act" })
            }
        }
    }

    /// Reads what inference uses, and refuses tensors that belong to nothing.
    pub(super) fn read(
        config: &ActConfig,
        tensors: &mut TensorFile<'_>,
        device: &Device,
    ) -> Result<Self, TensorError> {
        let network = Self::read_parts(config, tensors, device)?;
        if config.use_vae {
            tensors.expect(|name| name.starts_with(VAE_PREFIX));
        }
        tensors.finish()?;
        Ok(network)
    }

    /// Reads all but the variational encoder.
    fn read_parts(
        config: &ActConfig,
        tensors: &mut TensorFile<'_>,
        device: &Device,
    ) -> Result<Self, TensorError> {
        let width = config.width;
        let length = |kind| config.features.vector_len(kind);
        let [state, environment] = [FeatureType::State, FeatureType::Environment].map(length);
        let tokens = 1 + usize::from(state.is_some()) + usize::from(environment.is_some());
        let action = config.features.action.statistics_len();
        let backbones = backbones(config, &mut Reader { tensors, device })?;
        let mut reader = Reader { tensors, device };
        let mut project = |name: &str, inputs: Option<usize>| {
            inputs.map(|inputs| reader.linear(name, [width, inputs])).transpose()
        };
        let state_layer = project("model.encoder_robot_state_input_proj", state)?;
        let environment_layer = project("model.encoder_env_state_input_proj", environment)?;
        let image = backbones.first().map(|backbone| {
            reader.pointwise("model.encoder_img_feat_input_proj", [width, backbone.outputs()])
        });
        let encoder = (0..config.encoder_layers).map(|index| {
            EncoderLayer::read(&mut reader, &format!("model.encoder.layers.{index}"), config)
        });
        let encoder = encoder.collect::<Result<_, _>>()?;
        let encoder_norm =
            config.pre_norm.then(|| reader.layer_norm("model.encoder.norm", width)).transpose()?;
        let decoder = (0..config.decoder_layers).map(|index| {
            DecoderLayer::read(&mut reader, &format!("model.decoder.layers.{index}"), config)
        });
        let decoder = decoder.collect::<Result<_, _>>()?;
        let positions = "encoder_1d_feature_pos_embed";
        Ok(Self {
            latent: reader.linear("model.encoder_latent_input_proj", [width, config.latent])?,
            state: state_layer,
            environment: environment_layer,
            image: image.transpose()?,
            vector_positions: reader
                .param(&format!("model.{positions}.weight"), [tokens, width])?,
            backbones,
            encoder,
            encoder_norm,
            decoder,
            decoder_norm: reader.layer_norm("model.decoder.norm", width)?,
            decoder_positions: reader
                .param("model.decoder_pos_embed.weight", [config.chunk_size, width])?,
            head: reader.linear("model.action_head", [action, width])?,
            variational: None,
        })
    }

    /// The encoder that training draws the latent input from, if the checkpoint has it.
    #[must_use]
    pub fn variational(&self) -> Option<&VariationalEncoder> {
        self.variational.as_ref()
    }

    /// The normalised chunk, `[batch, chunk_size, action]`.
    #[must_use]
    pub fn forward(&self, inputs: ActInputs) -> Tensor<3> {
        self.forward_traced(inputs, None)
    }

    /// Like [`ActReference::forward`], and records what passes through; of a batch of one.
    pub(super) fn forward_traced(
        &self,
        inputs: ActInputs,
        mut trace: Option<&mut Trace>,
    ) -> Tensor<3> {
        let batch = inputs.batch();
        let (tokens, positions) = self.embed(inputs, batch, trace.as_deref_mut());
        if let Some(trace) = trace.as_deref_mut() {
            rows(trace, "mid.encoder_in_tokens", &tokens);
            rows(trace, "mid.encoder_pos_embed", &positions);
        }
        let mut memory =
            self.encoder.iter().fold(tokens, |tokens, layer| layer.forward(tokens, &positions));
        if let Some(norm) = &self.encoder_norm {
            memory = norm.forward(memory);
        }
        let step_positions: Tensor<3> = self.decoder_positions.val().unsqueeze();
        let [_, count, width] = step_positions.dims();
        let zeros = Tensor::zeros([batch, count, width], &memory.device());
        let steps = self
            .decoder
            .iter()
            .fold(zeros, |steps, layer| layer.forward(steps, &step_positions, &memory, &positions));
        let steps = self.decoder_norm.forward(steps);
        if let Some(trace) = trace {
            rows(trace, "mid.encoder_out", &memory);
            rows(trace, "mid.decoder_out", &steps);
        }
        self.head.forward(steps)
    }

    /// Tokens of the encoder and their positions: latent, state, environment, then the pixels of
    /// each image.
    fn embed(
        &self,
        inputs: ActInputs,
        batch: usize,
        mut trace: Option<&mut Trace>,
    ) -> (Tensor<3>, Tensor<3>) {
        let device = self.vector_positions.device();
        let latent = inputs.latent.unwrap_or_else(|| {
            let [size, _] = self.latent.weight.dims();
            Tensor::zeros([batch, size], &device)
        });
        let vectors = [
            Some((&self.latent, latent)),
            self.state.as_ref().zip(inputs.state),
            self.environment.as_ref().zip(inputs.environment),
        ];
        let vectors = vectors.into_iter().flatten();
        let mut tokens: Vec<Tensor<3>> =
            vectors.map(|(layer, vector)| layer.forward(vector).unsqueeze_dim(1)).collect();
        let mut positions: Vec<Tensor<3>> = vec![self.vector_positions.val().unsqueeze()];
        let shared = self.backbones.last().into_iter().cycle();
        let backbones = self.backbones.iter().chain(shared);
        for (index, (image, backbone)) in inputs.images.into_iter().zip(backbones).enumerate() {
            let Some(projection) = &self.image else { break };
            let map = backbone.forward(image, |_, _| ());
            let [batch, channels, height, width] = map.dims();
            if let Some(trace) = trace.as_deref_mut() {
                record(trace, format!("mid.backbone.cam{index}"), &map);
            }
            let pixels = map.reshape([batch, channels, height * width]).swap_dims(1, 2);
            let token = projection.forward(pixels);
            let size = MapSize { height, width };
            let place = positions_of(size, token.dims()[2], &device);
            if let Some(trace) = trace.as_deref_mut().filter(|_| index == 0) {
                let shape = [1, token.dims()[2], height, width];
                let channels_first = place.clone().swap_dims(1, 2).reshape(shape);
                record(trace, "mid.cam_pos_embed".to_owned(), &channels_first);
            }
            tokens.push(token);
            positions.push(place);
        }
        (Tensor::cat(tokens, 1), Tensor::cat(positions, 1))
    }

    /// The maps of camera `camera`'s backbone, with their names.
    pub(super) fn maps(&self, camera: usize, image: Tensor<4>, trace: &mut Trace) {
        if let Some(backbone) = self.backbones.get(camera).or(self.backbones.last()) {
            backbone.forward(image, |name, map| record(trace, name.to_owned(), map));
        }
    }

    /// Tokens that the encoder attends to, for images of these sizes.
    pub(super) fn token_count(&self, images: &[MapSize]) -> usize {
        let pixels = |size: &MapSize| ResNet::output_size(*size).pixels();
        self.vector_positions.dims()[0] + images.iter().map(pixels).sum::<usize>()
    }
}

impl ActInputs {
    fn batch(&self) -> usize {
        let vectors = [&self.state, &self.environment, &self.latent].into_iter().flatten();
        let mut sizes = vectors.map(|vector| vector.dims()[0]);
        let of_images = || self.images.first().map(|image| image.dims()[0]);
        sizes.next().or_else(of_images).unwrap_or(1)
    }
}

/// Positions of a map's pixels, `[1, pixels, width]`.
fn positions_of(size: MapSize, width: usize, device: &Device) -> Tensor<3> {
    let values = image_positions(size, width);
    Tensor::from_data(TensorData::new(values, [1, size.pixels(), width]), device)
}

fn backbones(config: &ActConfig, reader: &mut Reader<'_, '_>) -> Result<Vec<ResNet>, TensorError> {
    let cameras = config.features.images().count();
    let places: Vec<Place> = match (cameras, config.extension.backbone_per_camera) {
        (0, _) => Vec::new(),
        (_, false) => vec![Place::of_camera(None)],
        (_, true) => (0..cameras).map(|camera| Place::of_camera(Some(camera))).collect(),
    };
    let mut backbones: Vec<ResNet> = Vec::new();
    for place in &places {
        if residual_attention::is_one(reader.tensors, &place.prefix) {
            return Err(TensorError::Unsupported {
                file: reader.tensors.file().to_path_buf(),
                tensor: format!("{}.*", place.prefix),
                what: "a residual attention network",
                remedy: "only device cpu computes it",
            });
        }
        let backbone = ResNet::read(reader, place)?;
        // They share the projection to tokens.
        if let Some(first) = backbones.first()
            && first.outputs() != backbone.outputs()
        {
            let last = format!("{}.conv2.weight", place.block(4, 0));
            let needed = format!("{} output channels, as the first backbone", first.outputs());
            return Err(reader.tensors.misshaped(&last, needed));
        }
        backbones.push(backbone);
    }
    Ok(backbones)
}
