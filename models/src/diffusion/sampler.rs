//! From noise to actions.

use super::compute::Compute;
use super::noise::Noise;
use super::options::Scheduler;
use super::schedule::{Prediction, Schedule, Step};
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
    /// Factors of sample and noise at each timestep.
    mixtures: Vec<[f32; 2]>,
}

impl Plan {
    /// Plans `sampling`.
    pub(crate) fn new(schedule: &Schedule, sampling: Sampling) -> Self {
        let Sampling { scheduler, steps, prediction, clip } = sampling;
        let timesteps = schedule.timesteps(steps);
        let step =
            |timestep: &usize| schedule.step((scheduler, steps), *timestep, prediction, clip);
        Self {
            sampling,
            steps: timesteps.iter().map(step).collect(),
            mixtures: timesteps.iter().map(|timestep| schedule.mixture(*timestep)).collect(),
            timesteps,
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

/// Buffers of a sampling, each as long as the actions of a horizon.
pub(crate) struct SamplerBuffers {
    /// Noise in the beginning.
    initial: Vec<f32>,
    /// Noise of a step.
    own: Vec<f32>,
    /// What the network predicts.
    prediction: Vec<f32>,
}

impl SamplerBuffers {
    /// Allocates buffers.
    pub(crate) fn new(count: usize) -> Self {
        Self { initial: vec![0.0; count], own: vec![0.0; count], prediction: vec![0.0; count] }
    }

    /// Draws the normalised actions of the horizon into `out`.
    pub(crate) fn sample(
        &mut self,
        (engine, compute, plan): (&Engine, &mut dyn Compute, &Plan),
        known: Known<'_>,
        noise: &mut NoiseSource<'_>,
        progress: &SamplingProgress,
        out: &mut [f32],
    ) -> Result<(), PredictError> {
        let Self { initial, own, prediction } = self;
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
        let total = plan.steps.len() - begin;
        for (index, step) in plan.steps.iter().enumerate().skip(begin) {
            if !progress.advance(index - begin, total) {
                let step = index - begin;
                return Err(PredictError::Cancelled { step, steps: total });
            }
            compute.predict(engine, index, out, prediction)?;
            if step.draws() {
                noise.step(own);
            }
            step.apply(out, prediction, own);
            let mixture = plan.mixtures.get(index + 1).copied().unwrap_or([1.0, 0.0]);
            fix(out, mixture, initial);
        }
        progress.advance(total, total);
        Ok(())
    }
}

/// A mixture of actions and noise.
pub(crate) fn mix([sample, noisy]: [f32; 2], actions: &[f32], noise: &[f32], out: &mut [f32]) {
    for ((out, action), noise) in out.iter_mut().zip(actions).zip(noise) {
        *out = sample * action + noisy * noise;
    }
}
