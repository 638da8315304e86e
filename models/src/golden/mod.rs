//! Comparison of a policy with recorded runs of the original program.
//!
//! A golden file is a safetensors file in one of these layouts:
//!
//! * one inference: `in.raw.<feature>` (vectors `[n]` F32, images `[height, width, 3]` U8) and
//!   `out.action_chunk` and/or `out.action_chunk_normalized`, optionally `mid.*` and
//!   `in.normalized.*` for intermediate tensors;
//! * a rollout over `T` successive observations: `in.raw.<feature>` with a leading axis of `T`, and
//!   any of `out.chunks_normalized` (`[T, chunk, action]`), `out.chunks`, `out.queue.action`
//!   (`[T, action]`, LeRobot's queue; the file's metadata gives `n_action_steps`) and
//!   `out.ensemble_<coefficient>.action` (`[T, action]`, temporal ensembling);
//! * samplings of a Diffusion Policy: `in.raw.<feature>` with a leading axis of as many
//!   observations as one inference sees, and any of `sample.<name>.out_normalized`
//!   (`[1, horizon, action]`) and `sample.<name>.out_actions` (`[1, n_action_steps, action]`),
//!   drawn from `sample.in.initial_noise` and the noise of each step,
//!   `sample.<name>.step_noise`. The name says how: `ddpm` or `ddim`, the number of steps, and
//!   `_epsilon` or `_sample` and `_clip` or `_noclip` where that is not the checkpoint's own way.
//!   `unet.in.sample` and `unet.in.timestep` with `unet.out` are one pass through the network;
//! * a rollout of a Diffusion Policy: `in.raw.<feature>` with a leading axis of `T`, the noise of
//!   each inference, `in.initial_noise_per_inference`, and `out.action` (`[T, action]`): the
//!   actions that LeRobot executes, inferring anew after `n_action_steps`. The policy must be
//!   loaded with the scheduler and steps of the recording.
//!
//! Tensors called `check.*` are for other purposes and are skipped. Any other name is an error.

mod diffusion;
mod error;
mod execution;
mod rollout;

pub use error::GoldenError;
pub use execution::ExecutionError;

use crate::bounded_file;
use crate::policy::{FeatureKind, Observation, Policy, PolicyDescription};
use crate::tensor_file::TensorFile;
use crate::trace::Trace;
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Largest golden file that is read, in bytes.
const MAX_GOLDEN: u64 = 1 << 30;
/// Allowed difference: absolute for normalised values, relative to the largest magnitude of the
/// tensor for others.
pub const TOLERANCE: f64 = 1e-4;

/// Layout of a golden file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One inference.
    Inference,
    /// Successive observations.
    Rollout,
    /// Samplings of a Diffusion Policy.
    Sampling,
    /// Successive observations of a Diffusion Policy.
    SampledRollout,
}

/// How one tensor compares.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Name in the golden file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Largest absolute difference; infinite if a number of the policy is not finite.
    pub largest_difference: f64,
    /// Largest magnitude in the golden file.
    pub largest_magnitude: f64,
    /// Allowed absolute difference.
    pub tolerance: f64,
    /// Whether the difference is within the tolerance.
    pub passed: bool,
    /// Whether the tensor is an output, which decides the verdict, or an intermediate, which only
    /// helps to find where a difference begins.
    pub decides: bool,
}

/// How a policy compares with a golden file.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct GoldenReport {
    /// Layout of the file.
    pub layout: Layout,
    /// Number of observations.
    pub steps: usize,
    /// All compared tensors, in alphabetical order.
    pub comparisons: Vec<Comparison>,
}

impl GoldenReport {
    /// Whether every output is within its tolerance. There is at least one.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.comparisons.iter().filter(|comparison| comparison.decides).all(|c| c.passed)
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = match (self.passed, self.decides) {
            (true, _) => "ok",
            (false, true) => "DIFFERS",
            (false, false) => "differs",
        };
        let shape = format!("{:?}", self.shape);
        write!(
            f,
            "{:<36} {shape:<18} largest difference {:.3e} (allowed {:.3e}, largest magnitude {:.3e}) {verdict}",
            self.name, self.largest_difference, self.tolerance, self.largest_magnitude
        )
    }
}

/// Runs `policy` on the inputs in `file` and compares every tensor that the file holds.
///
/// # Errors
/// [`GoldenError`] when the file cannot be read, lacks an input, holds an input of another shape,
/// holds no output at all, or holds a tensor that the policy does not produce; and when an
/// inference fails.
pub fn check(policy: &mut dyn Policy, file: &Path) -> Result<GoldenReport, GoldenError> {
    let bytes = bounded_file::read(file, MAX_GOLDEN)?;
    let mut golden = TensorFile::parse(file, &bytes)?;
    let layout = layout(&golden)?;
    match layout {
        Layout::Inference => {
            let observations = read_observations(policy.description(), &mut golden, None)?;
            let comparisons = check_inference(policy, &observations, &mut golden)?;
            Ok(GoldenReport { layout, steps: 1, comparisons })
        }
        Layout::Rollout => {
            let steps = rollout::steps(policy.description(), &golden)?;
            let observations = read_observations(policy.description(), &mut golden, Some(steps))?;
            let comparisons = rollout::check(policy, &observations, &mut golden)?;
            Ok(GoldenReport { layout, steps, comparisons })
        }
        Layout::Sampling => {
            let steps = policy.description().observation_steps;
            let observations = read_observations(policy.description(), &mut golden, Some(steps))?;
            let comparisons = diffusion::check(policy, &observations, &mut golden)?;
            Ok(GoldenReport { layout, steps, comparisons })
        }
        Layout::SampledRollout => {
            let steps = rollout::steps(policy.description(), &golden)?;
            let observations = read_observations(policy.description(), &mut golden, Some(steps))?;
            let comparisons = diffusion::check_rollout(policy, &observations, steps, &mut golden)?;
            Ok(GoldenReport { layout, steps, comparisons })
        }
    }
}

/// Decides by the outputs, of which there must be at least one.
fn layout(golden: &TensorFile<'_>) -> Result<Layout, GoldenError> {
    let mut found = None;
    for name in golden.names() {
        let layout = match name {
            "out.action_chunk" | "out.action_chunk_normalized" => Layout::Inference,
            "out.chunks" | "out.chunks_normalized" | "out.queue.action" => Layout::Rollout,
            "out.action" => Layout::SampledRollout,
            _ if rollout::ensemble_coefficient(name).is_some() => Layout::Rollout,
            _ if diffusion::is_output(name) => Layout::Sampling,
            _ if ["in.", "mid.", "check.", "unet.", "sample."]
                .iter()
                .any(|prefix| name.starts_with(prefix)) =>
            {
                continue;
            }
            _ => {
                let (file, tensor) = (golden.file().to_path_buf(), name.to_owned());
                return Err(GoldenError::UnknownTensor { file, tensor });
            }
        };
        if found.is_some_and(|found| found != layout) {
            return Err(GoldenError::MixedLayouts { file: golden.file().to_path_buf() });
        }
        found = Some(layout);
    }
    found.ok_or_else(|| GoldenError::NoOutput { file: golden.file().to_path_buf() })
}

/// All observations of a golden file, feature by feature.
struct Observations<'a> {
    vectors: Vec<Stack<Vec<f32>>>,
    images: Vec<Stack<Cow<'a, [u8]>>>,
}

/// Values of one feature for all steps.
struct Stack<T> {
    values: T,
    size: usize,
}

impl Observations<'_> {
    /// Calls `run` with the observation of one step.
    fn with<R>(&self, step: usize, run: impl FnOnce(&Observation<'_>) -> R) -> R {
        let vectors: Vec<&[f32]> =
            self.vectors.iter().map(|s| &s.values[step * s.size..][..s.size]).collect();
        let images: Vec<&[u8]> =
            self.images.iter().map(|s| &s.values[step * s.size..][..s.size]).collect();
        run(&Observation { vectors: &vectors, images: &images })
    }
}

/// Shape of an input in a golden file: images are stored channels last.
fn input_shape(shape: &[usize], steps: Option<usize>) -> Vec<usize> {
    let value: &[usize] = match shape {
        &[channels, height, width] => &[height, width, channels],
        other => other,
    };
    steps.iter().chain(value).copied().collect()
}

fn read_observations<'a>(
    description: &PolicyDescription,
    golden: &mut TensorFile<'a>,
    steps: Option<usize>,
) -> Result<Observations<'a>, GoldenError> {
    let mut observations = Observations { vectors: Vec::new(), images: Vec::new() };
    for feature in &description.inputs {
        let name = format!("in.raw.{}", feature.name);
        let shape = input_shape(&feature.shape, steps);
        let size = feature.shape.iter().product();
        if feature.kind == FeatureKind::Visual {
            match golden.shape(&name) {
                None => return Err(golden.missing(&name, format!("{shape:?}")).into()),
                Some(found) if found != shape => {
                    return Err(golden.misshaped(&name, format!("{shape:?}")).into());
                }
                Some(_) => {}
            }
            observations.images.push(Stack { values: golden.take_bytes(&name)?, size });
        } else {
            observations.vectors.push(Stack { values: golden.take(&name, &shape)?, size });
        }
    }
    Ok(observations)
}

fn check_inference(
    policy: &mut dyn Policy,
    observations: &Observations<'_>,
    golden: &mut TensorFile<'_>,
) -> Result<Vec<Comparison>, GoldenError> {
    let PolicyDescription { chunk_size, action_size, .. } = *policy.description();
    let mut actions = vec![0.0; chunk_size * action_size];
    let mut trace = Trace::new();
    observations
        .with(0, |observation| policy.predict_traced(observation, &mut actions, &mut trace))?;
    let compared =
        |name: &&str| ["out.", "mid.", "in.normalized."].iter().any(|p| name.starts_with(p));
    let names: Vec<String> = golden.names().filter(compared).map(str::to_owned).collect();
    let mut comparisons = Vec::new();
    for name in names {
        let Some(found) = trace.get(&name) else {
            return Err(GoldenError::NotProduced {
                file: golden.file().to_path_buf(),
                tensor: name,
            });
        };
        comparisons.push(compare(golden, &name, &found.shape, &found.values)?);
    }
    Ok(comparisons)
}

/// Compares `values` with the tensor of that name.
fn compare(
    golden: &mut TensorFile<'_>,
    name: &str,
    shape: &[usize],
    values: &[f32],
) -> Result<Comparison, GoldenError> {
    let expected = golden.take(name, shape)?;
    // Pairing would silently skip what one side lacks.
    if values.len() != expected.len() {
        let (file, tensor) = (golden.file().to_path_buf(), name.to_owned());
        return Err(GoldenError::NotProduced { file, tensor });
    }
    let magnitudes = expected.iter().map(|value| f64::from(value.abs()));
    let largest_magnitude = magnitudes.fold(0.0, f64::max);
    let difference = |(expected, value): (&f32, &f32)| {
        let difference = (f64::from(*expected) - f64::from(*value)).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    let largest_difference = expected.iter().zip(values).map(difference).fold(0.0, f64::max);
    let tolerance =
        if name.ends_with("_normalized") { TOLERANCE } else { TOLERANCE * largest_magnitude };
    Ok(Comparison {
        name: name.to_owned(),
        shape: shape.to_vec(),
        largest_difference,
        largest_magnitude,
        tolerance,
        passed: largest_difference <= tolerance,
        decides: name.starts_with("out.") || diffusion::is_output(name),
    })
}
