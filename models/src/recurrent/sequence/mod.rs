//! GRU layers over whole sequences, with gradients: what training computes.
//!
//! A batch is cut into shards of a few sequences. A thread takes a shard forwards, asks for the
//! loss, and takes it backwards through time, with weights that stay in its cache. Gradients of
//! shards are summed in the order of the shards, so results do not depend on the number of threads.

mod gates;
mod product;
mod shard;
mod sizes;
#[cfg(test)]
mod tests;
mod weights;

pub use sizes::{SequenceSizes, SequenceTensor};

use crate::engine::isa::Isa;
use crate::engine::workers::Workers;
use shard::{Shard, Shared};
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use weights::PackedWeights;

/// Most sequences of a shard.
const MOST_ROWS: usize = 32;
/// Fewest shards of a batch that is large enough.
const SHARDS: usize = 8;

/// Sets values between layers to zero while a network learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Part of the values: 0 to less than 1.
    pub probability: f32,
    /// Which values; another one for every training step.
    pub seed: u64,
}

/// Sequences of one length: `[rows, steps, inputs]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Steps of each.
    pub steps: usize,
    /// All numbers.
    pub inputs: &'a [f32],
}

/// The loss of some sequences: their numbers in the batch, their outputs `[rows, steps, outputs]`,
/// and where its derivative by the outputs goes (zeros before).
pub type SequenceLoss<'a> = dyn Fn(Range<usize>, &[f32], &mut [f32]) -> f64 + Sync + 'a;

/// GRU layers with a linear head over whole sequences; see the [module](self).
///
/// Every sequence begins with a state of zeros. The equations and the parameters are those of
/// `torch.nn.GRU` and `torch.nn.Linear`.
pub struct GruSequence {
    sizes: SequenceSizes,
    isa: Isa,
    workers: Workers,
    packed: PackedWeights,
    /// One for each thread.
    scratch: Vec<Mutex<Scratch>>,
    /// One for each shard.
    results: Vec<Mutex<ShardResult>>,
}

#[derive(Default)]
struct Scratch {
    shard: Shard,
    outputs: Vec<f32>,
    derivative: Vec<f32>,
}

#[derive(Default)]
struct ShardResult {
    loss: f64,
    gradient: Vec<f32>,
}

/// A panic while it was held has already been reported.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GruSequence {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    ///
    /// # Panics
    /// When a size is zero.
    pub fn new(sizes: SequenceSizes, threads: usize) -> io::Result<Self> {
        Self::for_isa(sizes, threads, Isa::best())
    }

    fn for_isa(sizes: SequenceSizes, threads: usize, isa: Isa) -> io::Result<Self> {
        let SequenceSizes { inputs, hidden, layers, outputs } = sizes;
        assert!(inputs > 0 && hidden > 0 && layers > 0 && outputs > 0, "{sizes:?}");
        let workers = Workers::new(threads, &[])?;
        let scratch = (0..workers.threads()).map(|_| Mutex::default()).collect();
        Ok(Self {
            sizes,
            isa,
            workers,
            packed: PackedWeights::default(),
            scratch,
            results: Vec::new(),
        })
    }

    /// Sizes and order of the parameters.
    #[must_use]
    pub fn sizes(&self) -> &SequenceSizes {
        &self.sizes
    }

    /// What the network makes of each step: `[rows, steps, outputs]`.
    ///
    /// # Panics
    /// When a length does not fit the sizes.
    pub fn outputs(&mut self, parameters: &[f32], sequences: Sequences<'_>, outputs: &mut [f32]) {
        let rows = self.begin(parameters, sequences);
        let width = sequences.steps * self.sizes.outputs;
        assert_eq!(outputs.len(), rows * width, "length of the outputs");
        let (inputs_of_row, shard_rows) = (sequences.steps * self.sizes.inputs, shard_rows(rows));
        let shared = self.shared(parameters, sequences.steps, None);
        let scratch = &self.scratch;
        let shards: Vec<Mutex<&mut [f32]>> =
            outputs.chunks_mut(shard_rows * width).map(Mutex::new).collect();
        self.workers.run(shards.len(), |thread, index| {
            let inputs = sequences.inputs.chunks(shard_rows * inputs_of_row).nth(index);
            let mut scratch = lock(&scratch[thread]);
            let inputs = inputs.unwrap_or_default();
            scratch.shard.forward(&shared, index * shard_rows, inputs, &mut lock(&shards[index]));
        });
    }

    /// Writes the gradient of the loss by every parameter and returns the loss: the sum of what
    /// `loss` says of all shards.
    ///
    /// # Panics
    /// When a length does not fit the sizes.
    pub fn gradient(
        &mut self,
        parameters: &[f32],
        sequences: Sequences<'_>,
        dropout: Option<Dropout>,
        loss: &SequenceLoss<'_>,
        gradient: &mut [f32],
    ) -> f64 {
        let rows = self.begin(parameters, sequences);
        assert_eq!(gradient.len(), parameters.len(), "length of the gradient");
        let shard_rows = shard_rows(rows);
        let (inputs_of_row, outputs_of_row) =
            (sequences.steps * self.sizes.inputs, sequences.steps * self.sizes.outputs);
        let shards = rows.div_ceil(shard_rows);
        self.results.resize_with(shards, Mutex::default);
        let shared = self.shared(parameters, sequences.steps, dropout);
        let (scratch, results) = (&self.scratch, &self.results);
        self.workers.run(shards, |thread, index| {
            let range = index * shard_rows..rows.min((index + 1) * shard_rows);
            let inputs = &sequences.inputs[range.start * inputs_of_row..range.end * inputs_of_row];
            let (mut scratch, mut result) = (lock(&scratch[thread]), lock(&results[index]));
            let Scratch { shard, outputs, derivative } = &mut *scratch;
            outputs.resize(range.len() * outputs_of_row, 0.0);
            shard.forward(&shared, range.start, inputs, outputs);
            derivative.clear();
            derivative.resize(outputs.len(), 0.0);
            result.loss = loss(range.clone(), outputs, derivative);
            result.gradient.clear();
            result.gradient.resize(parameters.len(), 0.0);
            shard.backward(&shared, range.start, derivative, &mut result.gradient);
        });
        gradient.fill(0.0);
        let mut sum = 0.0;
        for result in &self.results[..shards] {
            let result = lock(result);
            gradient.iter_mut().zip(&result.gradient).for_each(|(sum, part)| *sum += part);
            sum += result.loss;
        }
        sum
    }

    /// Checks lengths, packs the weights and returns the number of sequences.
    fn begin(&mut self, parameters: &[f32], sequences: Sequences<'_>) -> usize {
        assert_eq!(parameters.len(), self.sizes.parameters(), "number of parameters");
        let row = sequences.steps * self.sizes.inputs;
        assert!(row > 0 && sequences.inputs.len().is_multiple_of(row), "length of the inputs");
        self.packed.pack(self.isa, &self.sizes, parameters);
        sequences.inputs.len() / row
    }

    fn shared<'a>(
        &'a self,
        parameters: &'a [f32],
        steps: usize,
        dropout: Option<Dropout>,
    ) -> Shared<'a> {
        let dropout = dropout
            .filter(|dropout| dropout.probability > 0.0)
            .map(|dropout| (dropout.probability, dropout.seed));
        Shared {
            isa: self.isa,
            sizes: self.sizes,
            steps,
            parameters,
            packed: &self.packed,
            dropout,
        }
    }
}

/// Sequences of a shard: independent of the number of threads.
fn shard_rows(rows: usize) -> usize {
    rows.div_ceil(SHARDS).next_multiple_of(4).clamp(4, MOST_ROWS)
}
