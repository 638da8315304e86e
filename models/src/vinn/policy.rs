//! A VINN folder, ready to predict.

use super::encoder::VinnEncoder;
use super::index::{Index, Neighbor};
use super::info::VinnNetworkInfo;
use super::memory::{VinnMemory, VinnMemoryError};
use crate::info::{NetworkInfo, PolicyInfo};
use crate::layers::feature_scaling::FeatureScaling;
use crate::lerobot::{FeatureType, LoadError, PolicyConfig, VinnConfig};
use crate::outputs::Outputs;
use crate::policy::{Cost, LoadOptions, Observation, Policy, PolicyDescription, PredictError};
use crate::source::{self, Source};
use crate::tensor_file;
use crate::trace::Trace;
use std::path::Path;

/// Name of the memory in the folder.
const MEMORY: &str = "memory.safetensors";

/// Visual imitation by nearest neighbours.
///
/// Inputs and actions are in the demonstrations' own units.
pub struct VinnPolicy {
    description: PolicyDescription,
    info: PolicyInfo,
    encoder: VinnEncoder,
    index: Index,
    outputs: Outputs,
    query: Vec<f32>,
    neighbors: Vec<Neighbor>,
    weights: Vec<f64>,
}

impl VinnPolicy {
    /// Reads a folder of `config.json`, `model.safetensors` and `memory.safetensors`.
    ///
    /// # Errors
    /// [`LoadError`], as [`crate::load`], and when the folder holds another kind of policy.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        source::load(folder, options, |source| match source.config.clone() {
            PolicyConfig::Vinn(config) => Self::from_source(source, &config),
            other => Err(LoadError::Kind {
                folder: folder.to_path_buf(),
                found: other.kind(),
                needed: "vinn",
            }),
        })
    }

    /// Makes a policy of a folder that was read.
    pub(crate) fn from_source(source: Source<'_>, config: &VinnConfig) -> Result<Self, LoadError> {
        let (folder, sha256) = (source.folder.to_path_buf(), source.sha256.clone());
        let normalization = source.normalization.clone();
        let (encoder, backbone, parameters) = VinnEncoder::from_source(source, config)?;
        let file = folder.join(MEMORY);
        let (memory, memory_sha256) = VinnMemory::read_hashed(&file)?;
        // The memory is as much of the policy as the encoder's weights are.
        let sha256 = tensor_file::sha256_of(&[&sha256, &memory_sha256]);
        let widths = encoder.widths().to_vec();
        let action_size = config.features.action.statistics_len();
        let state = config.features.vector_len(FeatureType::State).unwrap_or(0);
        let needed = [widths.iter().sum(), state, action_size];
        let parts = ["features", "state", "action"];
        for ((what, needed), got) in parts.into_iter().zip(needed).zip(memory.sizes) {
            if needed != got {
                return Err(VinnMemoryError::Config { file, what, needed, got }.into());
            }
        }
        let (moments, neighbors) = (memory.len(), config.search.neighbors);
        if neighbors > moments {
            return Err(VinnMemoryError::Few { file, moments, needed: neighbors }.into());
        }
        let index = Index::new(&memory, &config.search, &widths);
        let description = PolicyDescription {
            kind: "vinn",
            path: folder,
            sha256,
            inputs: encoder.features().cloned().collect(),
            action_size,
            observation_steps: 1,
            chunk_size: config.chunk_size,
            action_steps: config.action_steps,
            ensemble_coefficient: None,
            parameters,
        };
        let size = |size: crate::layers::convolution::MapSize| [size.height, size.width];
        let network = NetworkInfo::Vinn(VinnNetworkInfo {
            backbone,
            resize: config.geometry.resize.map(size),
            crop: config.geometry.crop.map(size),
            features: widths,
            moments,
            episodes: memory.episode_lengths().len(),
            search: config.search.clone(),
        });
        let info = crate::info::collect(
            &description,
            &config.features,
            &normalization,
            &config.image_plans(),
            network,
        );
        let chunk_size = config.chunk_size;
        Ok(Self {
            outputs: Outputs { chunk_size, action_size, scaling: FeatureScaling::Identity },
            description,
            info,
            query: vec![0.0; index.query_len()],
            neighbors: vec![Neighbor::default(); moments],
            weights: vec![0.0; neighbors],
            encoder,
            index,
        })
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        self.outputs.check(actions)?;
        let Self { encoder, index, query, neighbors, weights, .. } = self;
        let width = encoder.widths().iter().sum();
        let (features, state) = query.split_at_mut(width);
        encoder.encode_traced(observation, features, trace.as_deref_mut())?;
        state.copy_from_slice(encoder.state());
        if let Some(trace) = trace.as_deref_mut() {
            trace.record("mid.features", &[1, width], features);
        }
        index.prepare(query);
        index.search(encoder.engine(), query, 0..0, weights.len(), neighbors);
        let nearest = &neighbors[..weights.len()];
        index.chunk(nearest, weights, actions);
        if let Some(trace) = trace.as_deref_mut() {
            let distances: Vec<f32> = nearest.iter().map(|neighbor| neighbor.distance).collect();
            trace.record("mid.distances", &[1, distances.len()], &distances);
        }
        self.outputs.finish(actions, trace)
    }
}

impl Policy for VinnPolicy {
    fn description(&self) -> &PolicyDescription {
        &self.description
    }

    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// The memory counts as weights: every inference reads it.
    fn cost(&self) -> Cost {
        let Cost { products, weight_bytes, buffer_bytes } = self.encoder.cost();
        let search = self.index.len() * self.index.query_len();
        let neighbors =
            size_of_val(self.neighbors.as_slice()) + size_of_val(self.weights.as_slice());
        Cost {
            products: products + search,
            weight_bytes: weight_bytes + self.index.bytes(),
            buffer_bytes: buffer_bytes + neighbors + size_of_val(self.query.as_slice()),
        }
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

    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError> {
        self.encoder.feature_maps(camera, image)
    }
}
