//! An ACT checkpoint, ready to predict.

use super::info::{self, PolicyInfo};
use super::network::{Buffers, Inputs, Network};
use super::weights;
use crate::engine::{Engine, Precision};
use crate::layers::convolution::{Layout, MapSize};
use crate::layers::feature_scaling::FeatureScaling;
use crate::layers::resnet::image_layout;
use crate::lerobot::{self, ActCheckpoint, Colors, FeatureType, LoadError};
use crate::policy::{
    Cost, Feature, FeatureKind, LoadOptions, Observation, Policy, PolicyDescription, PredictError,
};
use crate::trace::Trace;
use std::path::Path;

/// Most bytes of feature maps that images may need.
const MAX_BUFFER_BYTES: usize = 2 << 30;

/// An ACT policy that LeRobot trained.
///
/// Inputs and actions are in the checkpoint's own units: whatever the training data held, for
/// example degrees. Nothing in a checkpoint says which.
pub struct ActPolicy {
    description: PolicyDescription,
    info: PolicyInfo,
    engine: Engine,
    network: Network,
    features: Vec<ScaledFeature>,
    action_scaling: FeatureScaling,
    images: Vec<ImageInput>,
    inputs: Inputs,
    buffers: Buffers,
}

/// How bytes of an image become normalised values.
struct ImageInput {
    layout: Layout,
    /// Which byte of a pixel each channel of the training is.
    bytes: [usize; 3],
    /// Value of every byte, channel by channel.
    table: [[f32; 256]; 3],
}

impl ImageInput {
    fn new(size: MapSize, colors: Colors, scaling: &FeatureScaling) -> Self {
        let value = |channel, byte: usize| scaling.normalize(channel, byte as f32 / 255.0);
        let table = std::array::from_fn(|channel| std::array::from_fn(|byte| value(channel, byte)));
        let bytes = match colors {
            Colors::Rgb => [0, 1, 2],
            Colors::Bgr => [2, 1, 0],
        };
        Self { layout: image_layout(size), bytes, table }
    }

    /// Writes `image`, pixel by pixel, to the inside of `out`.
    fn write(&self, engine: &Engine, image: &[u8], out: &mut [f32]) {
        let Layout { size, border, .. } = self.layout;
        let lines = &mut out[self.layout.at(border, 0)..self.layout.at(border + size.height, 0)];
        let width = 3 * size.width;
        engine.workers().run_chunks(lines, self.layout.line(), |line, out| {
            let pixels = image[line * width..][..width].as_chunks::<3>().0;
            let out = out[3 * border..][..width].as_chunks_mut::<3>().0;
            for (pixel, out) in pixels.iter().zip(out) {
                *out = std::array::from_fn(|channel| {
                    self.table[channel][usize::from(pixel[self.bytes[channel]])]
                });
            }
        });
    }
}

/// An input and its scaling.
struct ScaledFeature {
    feature: Feature,
    scaling: FeatureScaling,
    size: usize,
}

impl ActPolicy {
    /// Reads a checkpoint folder as LeRobot writes it (`pretrained_model`), either generation.
    ///
    /// # Errors
    /// [`LoadError`], naming file and key or tensor, when anything that the policy needs is
    /// missing, contradictory, not implemented or not finite, when the weights hold something
    /// that this architecture does not use, and when a thread cannot be had.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        let engine = Engine::new(options.isa, options.threads, &options.cpus)
            .map_err(|source| LoadError::Threads { threads: options.threads, source })?;
        Self::load_with(folder, engine, options.precision)
    }

    fn load_with(folder: &Path, engine: Engine, precision: Precision) -> Result<Self, LoadError> {
        let mut tensors = lerobot::open_weights(folder)?;
        let sha256 = tensors.sha256()?;
        let checkpoint = lerobot::read_checkpoint(folder, &mut tensors)?;
        let network = weights::read(&checkpoint.config, &mut tensors, precision)?;

        let features = scaled_features(&checkpoint);
        let image_sizes: Vec<MapSize> = features
            .iter()
            .filter_map(|scaled| match scaled.feature.shape.as_slice() {
                &[_, height, width] => Some(MapSize { height, width }),
                _ => None,
            })
            .collect();
        let image_values: usize = image_sizes.iter().map(|size| image_layout(*size).len()).sum();
        let threads = engine.workers().threads();
        let values = network.buffers_len(&image_sizes, threads).saturating_add(image_values);
        let bytes_needed = values.saturating_mul(size_of::<f32>());
        if bytes_needed > MAX_BUFFER_BYTES {
            return Err(LoadError::Memory {
                folder: folder.to_path_buf(),
                bytes: bytes_needed,
                limit: MAX_BUFFER_BYTES,
            });
        }
        let length = |kind: FeatureKind| {
            let of_kind = features.iter().find(|scaled| scaled.feature.kind == kind);
            of_kind.map_or(0, |scaled| scaled.size)
        };
        let inputs = Inputs {
            state: vec![0.0; length(FeatureKind::State)],
            environment: vec![0.0; length(FeatureKind::Environment)],
            images: image_sizes.iter().map(|size| vec![0.0; image_layout(*size).len()]).collect(),
        };
        let colors = checkpoint.config.extension.colors;
        let scalings = features.iter().filter(|scaled| scaled.feature.kind == FeatureKind::Visual);
        let images = image_sizes
            .iter()
            .zip(scalings)
            .map(|(size, scaled)| ImageInput::new(*size, colors, &scaled.scaling))
            .collect();
        let config = &checkpoint.config;
        let description = PolicyDescription {
            kind: "act",
            path: folder.to_path_buf(),
            sha256,
            inputs: features.iter().map(|scaled| scaled.feature.clone()).collect(),
            action_size: config.action.statistics_len(),
            chunk_size: config.chunk_size,
            action_steps: config.action_steps,
            ensemble_coefficient: config.ensemble_coefficient,
            parameters: tensors.count_values("model."),
        };
        let tokens = network.token_count(&image_sizes);
        let info = info::collect(&description, &checkpoint, &tensors, tokens);
        Ok(Self {
            description,
            info,
            buffers: network.buffers(&engine, &image_sizes),
            engine,
            network,
            images,
            features,
            action_scaling: checkpoint.action.scaling,
            inputs,
        })
    }

    /// What the checkpoint is, in detail, for a person to read.
    #[must_use]
    pub fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// Checks and normalises an observation into the network's inputs.
    fn accept(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        let mut vectors = observation.vectors.iter();
        let mut images = observation.images.iter();
        let mut image_inputs = self.images.iter().zip(&mut self.inputs.images);
        for ScaledFeature { feature, scaling, size } in &self.features {
            let check_size = |got: usize| {
                if got == *size {
                    return Ok(());
                }
                Err(PredictError::Size { feature: feature.name.clone(), needed: *size, got })
            };
            if feature.kind == FeatureKind::Visual {
                let image: &[u8] = images.next().map_or(&[], |image| image);
                check_size(image.len())?;
                if let Some((convert, input)) = image_inputs.next() {
                    convert.write(&self.engine, image, input);
                }
                continue;
            }
            let vector: &[f32] = vectors.next().map_or(&[], |vector| vector);
            check_size(vector.len())?;
            check_finite(&feature.name, vector)?;
            let input = match feature.kind {
                FeatureKind::State => &mut self.inputs.state,
                _ => &mut self.inputs.environment,
            };
            for (index, (input, value)) in input.iter_mut().zip(vector).enumerate() {
                *input = scaling.normalize(index, *value);
            }
        }
        check_count("number of vectors", observation.vectors.len(), vectors.len())?;
        check_count("number of images", observation.images.len(), images.len())
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let PolicyDescription { action_size, chunk_size, .. } = self.description;
        let needed = chunk_size * action_size;
        if actions.len() != needed {
            return Err(PredictError::Size {
                feature: "action".to_owned(),
                needed,
                got: actions.len(),
            });
        }
        self.accept(observation)?;
        if let Some(trace) = trace.as_deref_mut() {
            self.record_inputs(trace);
        }
        let Self { engine, network, inputs, buffers, .. } = self;
        network.forward(engine, inputs, buffers, actions, trace.as_deref_mut());
        let shape = [1, chunk_size, action_size];
        if let Some(trace) = trace.as_deref_mut() {
            trace.record("out.action_chunk_normalized", &shape, actions);
        }
        for action in actions.chunks_exact_mut(action_size) {
            for (index, value) in action.iter_mut().enumerate() {
                *value = self.action_scaling.restore(index, *value);
            }
        }
        check_finite("action", actions)?;
        if let Some(trace) = trace {
            trace.record("out.action_chunk", &shape, actions);
        }
        Ok(())
    }

    fn record_inputs(&self, trace: &mut Trace) {
        let mut images = self.images.iter().zip(&self.inputs.images);
        for ScaledFeature { feature, .. } in &self.features {
            let values = match feature.kind {
                FeatureKind::State => Some(self.inputs.state.clone()),
                FeatureKind::Environment => Some(self.inputs.environment.clone()),
                FeatureKind::Visual => {
                    images.next().map(|(image, values)| image.layout.channels_first(values))
                }
            };
            let shape: Vec<usize> = [1].iter().chain(&feature.shape).copied().collect();
            if let Some(values) = values {
                trace.record(format!("in.normalized.{}", feature.name), &shape, &values);
            }
        }
    }
}

impl Policy for ActPolicy {
    fn description(&self) -> &PolicyDescription {
        &self.description
    }

    fn cost(&self) -> Cost {
        let images: Vec<MapSize> = self.images.iter().map(|image| image.layout.size).collect();
        let threads = self.engine.workers().threads();
        let image_values: usize = self.inputs.images.iter().map(Vec::len).sum();
        let values = self.network.buffers_len(&images, threads) + image_values;
        Cost { buffer_bytes: values * size_of::<f32>(), ..self.network.cost(&images) }
    }

    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        self.run(observation, actions, None)
    }

    fn predict_traced(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        self.run(observation, actions, Some(trace))
    }
}

fn scaled_features(checkpoint: &ActCheckpoint) -> Vec<ScaledFeature> {
    let scaled = |spec: &lerobot::FeatureSpec| {
        let kind = match spec.kind {
            FeatureType::State => FeatureKind::State,
            FeatureType::Environment => FeatureKind::Environment,
            FeatureType::Visual => FeatureKind::Visual,
            // The reader refuses actions among the inputs.
            FeatureType::Action => return None,
        };
        let name = checkpoint.sources.get(&spec.name).unwrap_or(&spec.name).clone();
        let scaling = checkpoint.inputs.get(&spec.name)?.scaling.clone();
        let size = spec.shape.iter().product();
        Some(ScaledFeature {
            feature: Feature { name, kind, shape: spec.shape.clone() },
            scaling,
            size,
        })
    };
    checkpoint.config.inputs.iter().filter_map(scaled).collect()
}

fn check_finite(feature: &str, values: &[f32]) -> Result<(), PredictError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(PredictError::NotFinite { feature: feature.to_owned(), index }),
        None => Ok(()),
    }
}

/// Refuses inputs that no feature asked for.
fn check_count(what: &str, given: usize, unread: usize) -> Result<(), PredictError> {
    if unread == 0 {
        return Ok(());
    }
    Err(PredictError::Size { feature: what.to_owned(), needed: given - unread, got: given })
}
