//! A Diffusion Policy checkpoint, ready to predict.

use super::compute::{Compute, EngineCompute};
use super::history::History;
use super::info;
use super::noise::Noise;
use super::options::DiffusionOptions;
use super::sampler::{Known, NoiseSource, Plan, SamplerBuffers, Sampling};
use super::schedule::Schedule;
use super::weights;
use crate::engine::Engine;
use crate::info::{NetworkInfo, PolicyInfo};
use crate::layers::convolution::MapSize;
use crate::layers::feature_scaling::FeatureScaling;
use crate::layers::resnet::image_layout;
use crate::lerobot::{DiffusionConfig, LoadError, PolicyConfig};
use crate::policy::{
    Continuation, Cost, FeatureKind, LoadOptions, Observation, Policy, PolicyDescription,
    PredictError, SamplingProgress,
};
use crate::preprocessing::{self, ImageInput, ImagePlan, Inputs, ScaledFeature, check_finite};
use crate::source::{self, Source};
use crate::tensor_file::{TensorError, TensorFile};
use crate::trace::Trace;
use std::path::Path;
use std::sync::Arc;

/// A Diffusion Policy that LeRobot trained.
///
/// Inputs and actions are in the checkpoint's own units: whatever the training data held, for
/// example degrees. Nothing in a checkpoint says which.
pub struct DiffusionPolicy {
    pub(super) description: PolicyDescription,
    pub(super) info: PolicyInfo,
    pub(super) engine: Engine,
    pub(super) compute: Box<dyn Compute>,
    pub(super) features: Vec<ScaledFeature>,
    pub(super) action_scaling: FeatureScaling,
    pub(super) images: Vec<ImageInput>,
    pub(super) options: DiffusionOptions,
    pub(super) schedule: Schedule,
    pub(super) plan: Plan,
    pub(super) history: History,
    pub(super) buffers: Buffers,
    /// Inferences since the start or the last reset.
    pub(super) inference: u64,
    pub(super) progress: Arc<SamplingProgress>,
    /// Bytes of maps, history and what was computed for the steps.
    buffer_bytes: usize,
}

/// Everything that an inference writes.
pub(super) struct Buffers {
    /// The image that is being encoded, for the backbone.
    pub(super) map: Vec<f32>,
    pub(super) condition: Vec<f32>,
    pub(super) sampler: SamplerBuffers,
    /// Normalised actions of the horizon.
    pub(super) sample: Vec<f32>,
    /// The same, as far as they are known before.
    pub(super) known: Vec<f32>,
}

impl DiffusionPolicy {
    /// Reads a checkpoint folder as LeRobot writes it (`pretrained_model`), any generation.
    ///
    /// # Errors
    /// [`LoadError`], as [`crate::load`], and when the folder holds another kind of policy or an
    /// option does not fit it.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        source::load(folder, options, |source| match source.config.clone() {
            PolicyConfig::Diffusion(config) => {
                Self::from_source(source, config, &options.diffusion)
            }
            other => Err(LoadError::Kind {
                folder: folder.to_path_buf(),
                found: other.kind(),
                needed: "diffusion",
            }),
        })
    }

    /// Makes a policy of a checkpoint that was read.
    pub(crate) fn from_source(
        source: Source<'_>,
        config: DiffusionConfig,
        options: &DiffusionOptions,
    ) -> Result<Self, LoadError> {
        let precision = source.precision;
        Self::computed_by(source, config, options, |config, image, tensors| {
            let network = weights::read(config, image, tensors, precision)?;
            Ok(Box::new(EngineCompute::new(network)) as _)
        })
    }

    /// Makes a policy of a checkpoint that was read; `read` takes the weights of what computes it
    /// for images of one size.
    pub(crate) fn computed_by(
        source: Source<'_>,
        config: DiffusionConfig,
        options: &DiffusionOptions,
        read: impl FnOnce(
            &DiffusionConfig,
            Option<MapSize>,
            &mut TensorFile<'_>,
        ) -> Result<Box<dyn Compute>, TensorError>,
    ) -> Result<Self, LoadError> {
        let Source { folder, sha256, mut tensors, normalization, engine, .. } = source;
        let sampling = sampling(&config, options, folder)?;
        let features = preprocessing::scaled_features(&config.features, &normalization);
        let plans = config.image_plans();
        let image = plans.first().map(ImagePlan::output);
        let mut compute = read(&config, image, &mut tensors)?;

        let sizes = |kind: FeatureKind| -> Vec<usize> {
            let of_kind = features.iter().filter(|scaled| scaled.feature.kind == kind);
            of_kind.map(|scaled| scaled.size).collect()
        };
        let [state, environment, pictures] =
            [FeatureKind::State, FeatureKind::Environment, FeatureKind::Visual].map(sizes);
        let state: usize = state.iter().sum();
        let encoded = state..state + plans.len() * compute.features();
        let moment = encoded.end + environment.iter().sum::<usize>();
        // One map serves all cameras; as many are counted as there are.
        let bytes = Inputs::len(&plans)
            .saturating_add(compute.buffer_len(image, sampling.steps))
            .saturating_mul(size_of::<f32>())
            .saturating_add(config.history.saturating_mul(pictures.iter().sum()));
        source::check_memory(folder, bytes)?;
        let images = preprocessing::image_inputs(&features, &plans);
        let schedule = Schedule::new(config.betas, config.train_steps);
        let plan = Plan::new(&schedule, sampling);
        compute.prepare(&engine, image, &plan.timesteps);
        let action_size = config.features.action.statistics_len();
        let description = PolicyDescription {
            kind: "diffusion",
            path: folder.to_path_buf(),
            sha256,
            inputs: features.iter().map(|scaled| scaled.feature.clone()).collect(),
            action_size,
            observation_steps: config.history,
            // Actions before the newest observation are of no use.
            chunk_size: config.horizon + 1 - config.history,
            action_steps: config.action_steps,
            ensemble_coefficient: None,
            parameters: tensors.count_values("diffusion."),
        };
        let (cost, encoders) = (compute.step_cost(), compute.encoders());
        let network_info = info::collect(&config, &tensors, sampling, cost, encoders);
        let network_info = NetworkInfo::Diffusion(network_info);
        let info = crate::info::collect(
            &description,
            &config.features,
            &normalization,
            &plans,
            network_info,
        );
        let buffers = Buffers {
            map: vec![0.0; image.map_or(0, |image| image_layout(image).len())],
            condition: vec![0.0; config.history * moment],
            sampler: SamplerBuffers::new(config.horizon * action_size),
            sample: vec![0.0; config.horizon * action_size],
            known: vec![0.0; config.horizon * action_size],
        };
        Ok(Self {
            description,
            info,
            engine,
            history: History::new(config.history, moment, encoded, &pictures),
            compute,
            features,
            action_scaling: normalization.action.scaling,
            images,
            options: options.clone(),
            schedule,
            plan,
            buffers,
            inference: 0,
            progress: Arc::default(),
            buffer_bytes: bytes,
        })
    }

    /// Values of the horizon before the first action of a chunk.
    pub(super) fn past(&self) -> usize {
        (self.description.observation_steps - 1) * self.description.action_size
    }

    /// Checks and notes an observation.
    pub(super) fn note(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        preprocessing::check(&self.features, observation)?;
        let Self { history, features, .. } = self;
        history.note(|moment| {
            let vectors = features.iter().filter(|f| f.feature.kind != FeatureKind::Visual);
            for (ScaledFeature { feature, scaling, size }, vector) in
                vectors.zip(observation.vectors)
            {
                // The state comes first, the environment last.
                let end = moment.condition.len();
                let place =
                    if feature.kind == FeatureKind::State { 0..*size } else { end - size..end };
                let out = &mut moment.condition[place];
                scaling.normalize_all(vector, out);
            }
            let images = moment.images.iter_mut().zip(observation.images);
            images.for_each(|(own, given)| own.copy_from_slice(given));
        });
        Ok(())
    }

    /// Size of what the encoders read.
    pub(super) fn image_size(&self) -> Option<MapSize> {
        self.images.first().map(|image| image.layout().size)
    }

    /// Encodes the images that are not encoded yet, and tells the network what was observed.
    pub(super) fn condition(&mut self) -> Result<(), PredictError> {
        let Self { engine, compute, history, images, buffers, .. } = self;
        let Buffers { map, condition, .. } = buffers;
        let width = compute.features();
        if width > 0 {
            history.encode(|pictures, features| {
                let cameras = pictures.iter().zip(images.iter_mut()).enumerate();
                for ((camera, (picture, image)), out) in
                    cameras.zip(features.chunks_exact_mut(width))
                {
                    image.write(engine, picture, map);
                    compute.encode(engine, camera, (map, image.layout().size), out, None)?;
                }
                Ok(())
            })?;
        }
        let mut rest = condition.as_mut_slice();
        for moment in history.moments() {
            let (out, others) = rest.split_at_mut(moment.condition.len());
            out.copy_from_slice(&moment.condition);
            rest = others;
        }
        compute.observe(engine, condition);
        Ok(())
    }

    /// Writes what a continuation says of the horizon to `buffers.known`, normalised. Times before
    /// and after it get its first and its last action.
    fn recall<'a>(
        &mut self,
        continuation: Continuation<'a>,
    ) -> Result<(Recalled, &'a [f32]), PredictError> {
        let PolicyDescription { action_size, chunk_size, .. } = self.description;
        let Continuation { previous, committed } = continuation;
        let count = previous.len() / action_size;
        if previous.len() % action_size != 0 || committed > count.min(chunk_size) {
            return Err(PredictError::Size {
                feature: "previous actions".to_owned(),
                needed: committed.max(count) * action_size,
                got: previous.len(),
            });
        }
        check_finite("previous actions", previous)?;
        if count == 0 {
            return Ok((Recalled::default(), &[]));
        }
        let past = self.description.observation_steps - 1;
        let clip = self.plan.sampling.clip.unwrap_or(f32::MAX);
        for (row, out) in self.buffers.known.chunks_exact_mut(action_size).enumerate() {
            let row = row.saturating_sub(past).min(count - 1);
            let action = &previous[row * action_size..][..action_size];
            for (index, (out, value)) in out.iter_mut().zip(action).enumerate() {
                let normalized = self.action_scaling.normalize(index, *value);
                // An action that never varied has no scale; whatever stands here is restored to it.
                *out = if normalized.is_nan() { 0.0 } else { normalized.clamp(-clip, clip) };
            }
        }
        let begin = self
            .options
            .warm_start
            .map(|part| self.plan.warm_step(part, self.schedule.train_steps()));
        let committed = if self.options.inpaint { committed * action_size } else { 0 };
        let first = past * action_size;
        let recalled = Recalled { begin, fixed: (first, first + committed) };
        Ok((recalled, &previous[..committed]))
    }

    fn run(
        &mut self,
        observation: &Observation<'_>,
        continuation: Continuation<'_>,
        actions: &mut [f32],
        trace: Option<&mut Trace>,
    ) -> Result<(), PredictError> {
        let PolicyDescription { action_size, chunk_size, .. } = self.description;
        let needed = chunk_size * action_size;
        if actions.len() != needed {
            let feature = "action".to_owned();
            return Err(PredictError::Size { feature, needed, got: actions.len() });
        }
        let (recalled, committed) = self.recall(continuation)?;
        self.note(observation)?;
        self.condition()?;
        let mut noise = NoiseSource::Drawn(Noise::new(self.options.seed, self.inference));
        self.inference += 1;
        self.sample(recalled, &mut noise)?;
        if let Some(trace) = trace {
            let shape = [1, chunk_size, action_size];
            let normalized = &self.buffers.sample[self.past()..];
            trace.record("out.action_chunk_normalized", &shape, normalized);
        }
        self.restore(actions);
        actions[..committed.len()].copy_from_slice(committed);
        check_finite("action", actions)
    }

    /// Draws the normalised actions of the horizon.
    pub(super) fn sample(
        &mut self,
        Recalled { begin, fixed }: Recalled,
        noise: &mut NoiseSource<'_>,
    ) -> Result<(), PredictError> {
        let Self { engine, compute, plan, buffers, progress, .. } = self;
        let Buffers { sampler, sample, known, .. } = buffers;
        let known = if begin.is_some() || fixed.1 > fixed.0 {
            Known { actions: known, begin, fixed }
        } else {
            Known::NOTHING
        };
        sampler.sample((engine, compute.as_mut(), plan), known, noise, progress, sample)
    }

    /// The actions from the newest observation on, in the policy's own units.
    pub(super) fn restore(&self, actions: &mut [f32]) {
        let size = self.description.action_size;
        let sample = self.buffers.sample[self.past()..].chunks_exact(size);
        for (action, sample) in actions.chunks_exact_mut(size).zip(sample) {
            for (index, (value, normalized)) in action.iter_mut().zip(sample).enumerate() {
                *value = self.action_scaling.restore(index, *normalized);
            }
        }
    }
}

/// What a continuation means for a sampling.
#[derive(Clone, Copy, Default)]
pub(super) struct Recalled {
    begin: Option<usize>,
    fixed: (usize, usize),
}

impl Policy for DiffusionPolicy {
    fn description(&self) -> &PolicyDescription {
        &self.description
    }

    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// Of the newest observation's images and all steps.
    fn cost(&self) -> Cost {
        let step = self.compute.step_cost();
        let images = self.compute.observation_cost(self.images.len(), self.image_size());
        Cost {
            products: self.plan.sampling.steps * step.products + images.products,
            weight_bytes: step.bytes + images.bytes,
            buffer_bytes: self.buffer_bytes,
        }
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        self.note(observation)
    }

    fn reset(&mut self) {
        self.history.clear();
        self.inference = 0;
    }

    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        self.run(observation, Continuation::default(), actions, None)
    }

    fn predict_from(
        &mut self,
        observation: &Observation<'_>,
        continuation: Continuation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        self.run(observation, continuation, actions, None)
    }

    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError> {
        let mut trace = Trace::new();
        let Self { engine, compute, features, images, buffers, .. } = self;
        if !preprocessing::check_camera(features, camera, image)? {
            return Ok(trace);
        }
        images[camera].write(engine, image, &mut buffers.map);
        let map = (buffers.map.as_slice(), images[camera].layout().size);
        compute.record_maps(engine, camera, map, &mut trace);
        Ok(trace)
    }

    fn predict_traced(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        self.run(observation, Continuation::default(), actions, Some(trace))?;
        let PolicyDescription { action_size, chunk_size, .. } = self.description;
        trace.record("out.action_chunk", &[1, chunk_size, action_size], actions);
        Ok(())
    }

    fn progress(&self) -> Option<Arc<SamplingProgress>> {
        Some(Arc::clone(&self.progress))
    }

    fn as_diffusion(&mut self) -> Option<&mut DiffusionPolicy> {
        Some(self)
    }
}

/// The checkpoint's sampling with what was chosen over it.
fn sampling(
    config: &DiffusionConfig,
    options: &DiffusionOptions,
    folder: &Path,
) -> Result<Sampling, LoadError> {
    let refuse = |option, found: String, needed: String| {
        Err(LoadError::Option { folder: folder.to_path_buf(), option, found, needed })
    };
    let steps = options.steps.unwrap_or(config.steps);
    if !(1..=config.train_steps).contains(&steps) {
        let needed = format!("1 to {}, the steps of its training", config.train_steps);
        return refuse("steps", steps.to_string(), needed);
    }
    if let Some(part) = options.warm_start
        && !(part > 0.0 && part <= 1.0)
    {
        return refuse("warm_start", part.to_string(), "above 0, at most 1".to_owned());
    }
    Ok(Sampling {
        scheduler: options.scheduler.unwrap_or(config.scheduler),
        steps,
        prediction: config.prediction,
        clip: config.clip,
    })
}
