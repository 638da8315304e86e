//! Recorded runs of the original program, repeated with their noise: for comparison, not for
//! control.

use super::options::Scheduler;
use super::policy::{DiffusionPolicy, Recalled};
use super::sampler::{NoiseSource, Plan, Sampling};
use crate::layers::convolution::MapSize;
use crate::layers::feature_scaling::FeatureScaling;
use crate::policy::{FeatureKind, PredictError};
use crate::preprocessing::{ImageInput, ImagePlan};
use crate::trace::Trace;

impl DiffusionPolicy {
    /// How the policy samples.
    pub(crate) fn sampling(&self) -> Sampling {
        self.plan.sampling
    }

    /// Steps of the training.
    pub(crate) fn train_steps(&self) -> usize {
        self.schedule.train_steps()
    }

    /// Actions of the horizon before the first of a chunk.
    pub(crate) fn past_steps(&self) -> usize {
        self.description.observation_steps - 1
    }

    /// Samples in another way from now on. Allocates.
    pub(crate) fn set_sampling(&mut self, sampling: Sampling) {
        self.plan = Plan::new(&self.schedule, sampling);
        let image = self.image_size();
        self.compute.prepare(&self.engine, image, &self.plan.timesteps);
    }

    /// What was observed on its way through the encoders.
    pub(crate) fn trace_condition(&mut self, trace: &mut Trace) -> Result<(), PredictError> {
        self.condition()?;
        self.trace_inputs(trace);
        let separate = self.compute.encoders() > 1;
        let cameras = self.images.len();
        let mut stacks: Vec<Trace> = Vec::new();
        stacks.resize_with(if separate { cameras } else { cameras.min(1) }, Trace::new);
        let Self { engine, compute, images, history, buffers, .. } = self;
        for moment in history.moments() {
            for (camera, picture) in moment.images.iter().enumerate() {
                let image = &mut images[camera];
                image.write(engine, picture, &mut buffers.map);
                let layout = image.layout();
                let MapSize { height, width } = layout.size;
                let mut one = Trace::new();
                let pixels = layout.channels_first(&buffers.map);
                one.record("after_resize_crop", &[1, 3, height, width], &pixels);
                let mut features = vec![0.0; compute.features()];
                let input = (buffers.map.as_slice(), layout.size);
                compute.encode(engine, camera, input, &mut features, Some(&mut one))?;
                stacks[if separate { camera } else { 0 }].stack(one);
            }
        }
        for (index, stack) in stacks.into_iter().enumerate() {
            for tensor in stack.tensors() {
                let name = format!("mid.rgb{index}.{}", tensor.name);
                trace.record(name, &tensor.shape, &tensor.values);
            }
        }
        let moments = self.history.moments().iter();
        let condition: Vec<f32> = moments.flat_map(|m| m.condition.iter().copied()).collect();
        trace.record("mid.global_cond", &[1, condition.len()], &condition);
        Ok(())
    }

    fn trace_inputs(&self, trace: &mut Trace) {
        let moments = self.history.moments();
        let mut camera = 0;
        for scaled in &self.features {
            let (size, feature) = (scaled.size, &scaled.feature);
            let mut values = Vec::new();
            for moment in moments {
                let condition = &moment.condition;
                match feature.kind {
                    FeatureKind::State => values.extend_from_slice(&condition[..size]),
                    FeatureKind::Environment => {
                        values.extend_from_slice(&condition[condition.len() - size..]);
                    }
                    FeatureKind::Visual => {
                        values.extend(self.normalized(
                            feature,
                            &scaled.scaling,
                            &moment.images[camera],
                        ));
                    }
                }
            }
            camera += usize::from(feature.kind == FeatureKind::Visual);
            let shape: Vec<usize> =
                [1, moments.len()].iter().chain(&feature.shape).copied().collect();
            trace.record(format!("in.normalized.{}", feature.name), &shape, &values);
        }
    }

    /// An image of its full size, channels first.
    fn normalized(
        &self,
        feature: &crate::policy::Feature,
        scaling: &FeatureScaling,
        image: &[u8],
    ) -> Vec<f32> {
        let &[_, height, width] = feature.shape.as_slice() else { return Vec::new() };
        let size = MapSize { height, width };
        let mut input = ImageInput::new(&ImagePlan::plain(size), scaling);
        let mut map = vec![0.0; input.layout().len()];
        input.write(&self.engine, image, &mut map);
        input.layout().channels_first(&map)
    }

    /// One pass through the network.
    pub(crate) fn trace_network(
        &mut self,
        sample: &[f32],
        timestep: usize,
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        let Self { engine, compute, description, .. } = self;
        let mut prediction = vec![0.0; sample.len()];
        let embedding = compute.predict_at(engine, timestep, sample, &mut prediction)?;
        trace.record("unet.mid.timestep_embedding", &[1, embedding.len()], &embedding);
        let size = description.action_size;
        trace.record("unet.out", &[1, prediction.len() / size, size], &prediction);
        Ok(())
    }

    /// A sampling with recorded noise. Returns the actions from the newest observation on.
    pub(crate) fn sample_recorded(
        &mut self,
        initial: &[f32],
        steps: &[f32],
    ) -> Result<Vec<f32>, PredictError> {
        let mut noise = NoiseSource::Recorded { initial, steps };
        self.sample(Recalled::default(), &mut noise)?;
        let mut actions = vec![0.0; self.description.chunk_size * self.description.action_size];
        self.restore(&mut actions);
        Ok(actions)
    }

    /// Draws a recorded sampling again.
    pub(crate) fn trace_sampling(
        &mut self,
        name: &str,
        sampling: Sampling,
        (initial, steps): (&[f32], &[f32]),
        trace: &mut Trace,
    ) -> Result<(), PredictError> {
        let own = self.plan.sampling;
        self.set_sampling(sampling);
        let timesteps: Vec<f32> = self.plan.timesteps.iter().map(|step| *step as f32).collect();
        let drawn = self.sample_recorded(initial, steps);
        self.set_sampling(own);
        let actions = drawn?;
        let description = &self.description;
        let size = description.action_size;
        trace.record(format!("sample.{name}.timesteps"), &[timesteps.len()], &timesteps);
        let shape = [1, self.buffers.sample.len() / size, size];
        trace.record(format!("sample.{name}.out_normalized"), &shape, &self.buffers.sample);
        let count = description.action_steps;
        let executed = &actions[..count * size];
        trace.record(format!("sample.{name}.out_actions"), &[1, count, size], executed);
        Ok(())
    }

    /// Number of times that a sampling draws noise after the beginning.
    pub(crate) fn draws(sampling: Sampling) -> usize {
        match sampling.scheduler {
            Scheduler::Ddpm => sampling.steps - 1,
            Scheduler::Ddim => 0,
        }
    }
}
