//! What the condition does to the residual blocks: one scale and one shift per channel.
//!
//! Each block has a linear layer over the activated condition, which is the embedded timestep
//! followed by what was observed. The part of the timestep is the same for every observation, and
//! the part of the observation is the same for every timestep: the layers of all blocks are one
//! matrix, cut in two.

use crate::engine::Engine;
use crate::layers::activation::Activation;
use crate::layers::linear::Linear;

/// From a timestep to its embedding.
pub(crate) struct StepEncoder {
    /// To a wider layer.
    pub first: Linear,
    /// And back.
    pub second: Linear,
}

impl StepEncoder {
    /// Embedding of a timestep.
    pub(crate) fn embed(&self, engine: &Engine, timestep: usize) -> Vec<f32> {
        let mut inner = vec![0.0; self.first.outputs()];
        self.first.forward(engine, &sinusoid(timestep, self.second.outputs()), &mut inner);
        Activation::Mish.apply(engine, &mut inner);
        let mut out = vec![0.0; self.second.outputs()];
        self.second.forward(engine, &inner, &mut out);
        out
    }
}

/// Sines, then cosines of the timestep at falling frequencies.
pub(crate) fn sinusoid(timestep: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let slope = libm::log(10_000.0) / (half - 1) as f64;
    let angle = |index: usize| timestep as f64 * libm::exp(-slope * index as f64);
    let sines = (0..half).map(|index| libm::sin(angle(index)) as f32);
    sines.chain((0..half).map(|index| libm::cos(angle(index)) as f32)).collect()
}

/// The layers of all blocks.
pub(crate) struct Films {
    /// Of the timestep; with the biases.
    pub time: Linear,
    /// Of the observation; its biases are zero.
    pub global: Linear,
}

impl Films {
    /// Scales and shifts of all blocks together.
    pub(crate) fn outputs(&self) -> usize {
        self.time.outputs()
    }

    /// The part of a timestep, from its embedding.
    pub(crate) fn of_time(&self, engine: &Engine, mut embedding: Vec<f32>, out: &mut [f32]) {
        Activation::Mish.apply(engine, &mut embedding);
        self.time.forward(engine, &embedding, out);
    }

    /// The part of an observation; `condition` is used up.
    pub(crate) fn of_global(&self, engine: &Engine, condition: &mut [f32], out: &mut [f32]) {
        Activation::Mish.apply(engine, condition);
        self.global.forward(engine, condition, out);
    }
}
