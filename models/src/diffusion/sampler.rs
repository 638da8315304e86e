//! From noise to actions.

use super::film::Films;
use super::noise::Noise;
use super::options::Scheduler;
use super::schedule::{Prediction, Schedule, Step};
use super::unet::{UNet, UNetBuffers};
use crate::engine::Engine;
use crate::policy::{PredictError, SamplingProgress};

/// How samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// Rule of one step.
    pub scheduler: Scheduler,
    /// Number of steps.
    pub steps: usize,
    /// What the network predicts.
    pub prediction: Prediction,
    /// Magnitude to which predictions are clipped.
    pub clip: Option<f32>,
}

/// A sampling planned: what is the same for every observation.
pub(crate) struct Plan {
    /// What it is a plan of.
    pub sampling: Sampling,
    /// Timesteps, from noise to sample.
    pub timesteps: Vec<usize>,
    steps: Vec<Step>,
    /// What each timestep does to the blocks.
    films: Vec<f32>,
    /// Factors of sample and noise at each timestep.
    mixtures: Vec<[f32; 2]>,
}

impl Plan {
    /// Plans `sampling`.
    pub(crate) fn new(
        engine: &Engine,
        unet: &UNet,
        schedule: &Schedule,
        sampling: Sampling,
    ) -> Self {
        let Sampling { scheduler, steps, prediction, clip } = sampling;
        let timesteps = schedule.timesteps(steps);
        let width = unet.films.outputs();
        let mut films = vec![0.0; steps * width];
        for (timestep, films) in timesteps.iter().zip(films.chunks_exact_mut(width)) {
            unet.films.of_time(engine, unet.steps.embed(engine, *timestep), films);
        }
        let step =
            |timestep: &usize| schedule.step((scheduler, steps), *timestep, prediction, clip);
        Self {
            sampling,
            steps: timesteps.iter().map(step).collect(),
            mixtures: timesteps.iter().map(|timestep| schedule.mixture(*timestep)).collect(),
            timesteps,
            films,
        }
    }

    /// First step of an inference that begins with actions and the noise of this part of the
    /// diffusion.
    pub(crate) fn warm_step(&self, part: f32, train_steps: usize) -> usize {
        let limit = part * train_steps as f32;
        let begin = self.timesteps.iter().position(|timestep| *timestep as f32 <= limit);
        begin.unwrap_or(self.timesteps.len() - 1)
    }
}

/// Where noise comes from.
pub(crate) enum NoiseSource<'a> {
    /// The generator.
    Drawn(Noise),
    /// A recorded run: the noise in the beginning, then that of each step.
    Recorded {
        /// Noise in the beginning.
        initial: &'a [f32],
        /// Noise of the steps that draw some, one after the other.
        steps: &'a [f32],
    },
}

impl NoiseSource<'_> {
    fn initial(&mut self, values: &mut [f32]) {
        match self {
            Self::Drawn(noise) => noise.fill(values),
            Self::Recorded { initial, .. } => values.copy_from_slice(initial),
        }
    }

    fn step(&mut self, values: &mut [f32]) {
        match self {
            Self::Drawn(noise) => noise.fill(values),
            Self::Recorded { steps, .. } => {
                let (first, rest) = steps.split_at(values.len().min(steps.len()));
                values[..first.len()].copy_from_slice(first);
                *steps = rest;
            }
        }
    }
}

/// What is known of the sample before it is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Normalised actions of the whole horizon.
    pub actions: &'a [f32],
    /// Step to begin with, from these actions under its noise; `None`: the first, from noise only.
    pub begin: Option<usize>,
    /// Values that stay as they are, as a range of `actions`.
    pub fixed: (usize, usize),
}

impl Known<'_> {
    /// Nothing.
    pub(crate) const NOTHING: Known<'static> = Known { actions: &[], begin: None, fixed: (0, 0) };
}

/// Buffers of a sampling.
pub(crate) struct SamplerBuffers {
    /// Of the network.
    pub unet: UNetBuffers,
    /// What the observation does to the blocks.
    pub global: Vec<f32>,
    /// What timestep and observation do to the blocks.
    films: Vec<f32>,
    /// Noise in the beginning.
    initial: Vec<f32>,
    /// Noise of a step.
    own: Vec<f32>,
}

impl SamplerBuffers {
    /// Allocates buffers.
    pub(crate) fn new(unet: &UNet) -> Self {
        let (width, count) = (unet.films.outputs(), unet.horizon * unet.action_size());
        Self {
            unet: unet.buffers(),
            global: vec![0.0; width],
            films: vec![0.0; width],
            initial: vec![0.0; count],
            own: vec![0.0; count],
        }
    }

    /// Predicts once at a timestep, from and to the network's own buffers.
    pub(crate) fn predict(&mut self, engine: &Engine, unet: &UNet, timestep: usize) -> Vec<f32> {
        let embedding = unet.steps.embed(engine, timestep);
        unet.films.of_time(engine, embedding.clone(), &mut self.films);
        add(&mut self.films, &self.global);
        unet.forward(engine, &self.films, &mut self.unet);
        embedding
    }

    /// Computes what an observation does to the blocks.
    pub(crate) fn observe(&mut self, engine: &Engine, films: &Films, condition: &mut [f32]) {
        films.of_global(engine, condition, &mut self.global);
    }

    /// Draws the normalised actions of the horizon into `out`.
    pub(crate) fn sample(
        &mut self,
        (engine, unet, plan): (&Engine, &UNet, &Plan),
        known: Known<'_>,
        noise: &mut NoiseSource<'_>,
        progress: &SamplingProgress,
        out: &mut [f32],
    ) -> Result<(), PredictError> {
        let Self { unet: buffers, global, films, initial, own } = self;
        noise.initial(initial);
        out.copy_from_slice(initial);
        let begin = known.begin.unwrap_or(0);
        if known.begin.is_some() {
            mix(plan.mixtures[begin], known.actions, initial, out);
        }
        let fixed = known.fixed.0..known.fixed.1;
        let fix = |out: &mut [f32], mixture: [f32; 2], initial: &[f32]| {
            if let (Some(actions), false) = (known.actions.get(fixed.clone()), fixed.is_empty()) {
                mix(mixture, actions, &initial[fixed.clone()], &mut out[fixed.clone()]);
            }
        };
        fix(out, plan.mixtures[begin], initial);
        let width = global.len();
        let total = plan.steps.len() - begin;
        for (index, step) in plan.steps.iter().enumerate().skip(begin) {
            if !progress.advance(index - begin, total) {
                let step = index - begin;
                return Err(PredictError::Cancelled { step, steps: total });
            }
            films.copy_from_slice(&plan.films[index * width..][..width]);
            add(films, global);
            buffers.input.rows_mut().copy_from_slice(out);
            unet.forward(engine, films, buffers);
            if step.draws() {
                noise.step(own);
            }
            step.apply(out, buffers.output.rows(), own);
            let mixture = plan.mixtures.get(index + 1).copied().unwrap_or([1.0, 0.0]);
            fix(out, mixture, initial);
        }
        progress.advance(total, total);
        Ok(())
    }
}

fn add(values: &mut [f32], other: &[f32]) {
    values.iter_mut().zip(other).for_each(|(value, other)| *value += other);
}

/// A mixture of actions and noise.
pub(crate) fn mix([sample, noisy]: [f32; 2], actions: &[f32], noise: &[f32], out: &mut [f32]) {
    for ((out, action), noise) in out.iter_mut().zip(actions).zip(noise) {
        *out = sample * action + noisy * noise;
    }
}
