//! What an inference of a checkpoint costs on this computer.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use sinew_models::{
    Cost, Device, DiffusionOptions, FeatureKind, LoadError, LoadOptions, Observation, Policy,
    PredictError, Roofline,
};

use super::Machine;
use crate::pacing::{Distribution, DistributionSummary};

/// Inferences before the clock counts.
const WARM_UP: usize = 3;
/// Inferences that are timed at least.
const LEAST: u64 = 5;

/// What was measured of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct InferenceReport {
    /// Where.
    pub machine: Machine,
    /// Kind of the policy.
    pub kind: &'static str,
    /// What computed.
    pub device: Device,
    /// Instructions computed with, on processors without Burn.
    pub isa: &'static str,
    /// Threads computed on.
    pub threads: usize,
    /// Time to read and prepare the checkpoint, in ms.
    pub load_ms: f64,
    /// Time of the first inference, in ms.
    pub first_ms: f64,
    /// Time of an inference.
    pub latency: DistributionSummary,
    /// Processor time of an inference on all threads, in ms, mean.
    pub processor_ms: f64,
    /// What an inference costs by the definition of its layers.
    pub cost: Cost,
    /// Floating-point operations of the definition a second, at the median; 0 where they are not
    /// counted.
    pub flops: f64,
    /// What the processors of this computer can do at best.
    pub roofline: Roofline,
    /// The most memory this process ever had, in bytes.
    pub peak_memory: Option<u64>,
    /// Inferences a second that the slowest one allows.
    pub inferences_per_s: f64,
    /// Largest `policy.rate_hz` at which a chunk lasts until the next one is there: twice the
    /// slowest inference and a step.
    pub actions_per_s: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The checkpoint was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It cannot infer.
    #[error("the checkpoint's inference failed: {0}")]
    Predict(#[from] PredictError),
    /// The limits of the computer could not be measured.
    #[error("a thread could not be started: {0}; ask for fewer threads")]
    Roofline(std::io::Error),
    /// Sampling was asked for, and the checkpoint does not sample.
    #[error(
        "a scheduler and steps are for a Diffusion Policy, the checkpoint is of type {kind}. Leave \
         them out"
    )]
    Sampling {
        /// Type of the checkpoint.
        kind: &'static str,
    },
}

/// Infers for about `time` from random pictures, and measures.
///
/// # Errors
/// [`InferenceError`] when the checkpoint is refused or cannot infer, or a thread is not to be had.
pub fn measure(
    folder: &Path,
    options: &LoadOptions,
    time: Duration,
) -> Result<InferenceReport, InferenceError> {
    let begin = Instant::now();
    let mut policy = sinew_models::load(folder, options)?;
    let load = begin.elapsed();
    if options.diffusion != DiffusionOptions::default() && policy.as_diffusion().is_none() {
        return Err(InferenceError::Sampling { kind: policy.description().kind });
    }
    let mut inputs = Inputs::new(policy.as_ref());
    let begin = Instant::now();
    inputs.infer(policy.as_mut())?;
    let first = begin.elapsed();
    for _ in 0..WARM_UP {
        inputs.infer(policy.as_mut())?;
    }
    let mut latency = Distribution::new();
    let (begin, processor) = (Instant::now(), processor_time());
    while begin.elapsed() < time || latency.summary().n < LEAST {
        let begin = Instant::now();
        inputs.infer(policy.as_mut())?;
        latency.record(begin.elapsed());
    }
    let processor = processor_time().saturating_sub(processor);
    let peak_memory = peak_memory();
    let latency = latency.summary();
    let (cost, description) = (policy.cost(), policy.description());
    let slowest = latency.max_us / 1e6;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(InferenceReport {
        machine: Machine::ordinary(),
        kind: description.kind,
        device: options.device,
        isa: options.isa.name(),
        threads: options.threads,
        load_ms: millis(load),
        first_ms: millis(first),
        latency,
        processor_ms: millis(processor) / latency.n as f64,
        cost,
        flops: 2.0 * cost.products as f64 / (latency.p50_us / 1e6),
        roofline: Roofline::measure(options.isa, options.threads)
            .map_err(InferenceError::Roofline)?,
        peak_memory,
        inferences_per_s: 1.0 / slowest,
        // A single action has no step to the next within its chunk.
        actions_per_s: (description.chunk_size - 1).max(1) as f64 / (2.0 * slowest),
    })
}

/// Inputs that look random, the same in every run.
struct Inputs {
    vectors: Vec<Vec<f32>>,
    images: Vec<Vec<u8>>,
    actions: Vec<f32>,
}

impl Inputs {
    fn new(policy: &dyn Policy) -> Self {
        let description = policy.description();
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let (mut vectors, mut images) = (Vec::new(), Vec::new());
        for feature in &description.inputs {
            let count = feature.shape.iter().product();
            match feature.kind {
                FeatureKind::Visual => images.push((0..count).map(|_| byte()).collect()),
                _ => vectors.push((0..count).map(|_| f32::from(byte()) / 255.0).collect()),
            }
        }
        let actions = vec![0.0; description.chunk_size * description.action_size];
        Self { vectors, images, actions }
    }

    fn infer(&mut self, policy: &mut dyn Policy) -> Result<(), PredictError> {
        let vectors: Vec<&[f32]> = self.vectors.iter().map(Vec::as_slice).collect();
        let images: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        policy.predict(&Observation { vectors: &vectors, images: &images }, &mut self.actions)
    }
}

/// Time that all threads of this process have computed.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// High-water mark of resident memory, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
