//! Rollouts: inference at every step, then LeRobot's two ways to execute the chunks.

use super::execution::{ActionQueue, TemporalEnsembler};
use super::{Comparison, GoldenError, Observations, compare};
use crate::policy::{Policy, PolicyDescription};
use crate::tensor_file::TensorFile;
use crate::trace::Trace;

/// Coefficient in a name such as `out.ensemble_0.01.action`.
pub(super) fn ensemble_coefficient(name: &str) -> Option<f64> {
    name.strip_prefix("out.ensemble_")?.strip_suffix(".action")?.parse().ok()
}

/// Number of observations, by the first input.
pub(super) fn steps(
    description: &PolicyDescription,
    golden: &TensorFile<'_>,
) -> Result<usize, GoldenError> {
    let Some(feature) = description.inputs.first() else { return Ok(0) };
    let tensor = format!("in.raw.{}", feature.name);
    let found = golden.shape(&tensor);
    let found = found.ok_or_else(|| golden.missing(&tensor, format!("{:?}", feature.shape)))?;
    match found.first() {
        Some(&steps) if steps > 0 && found.len() == feature.shape.len() + 1 => Ok(steps),
        _ => Err(GoldenError::Steps {
            file: golden.file().to_path_buf(),
            tensor,
            found: found.to_vec(),
            needed: "a leading axis of 1 or more steps",
        }),
    }
}

/// Chunks of all steps, one after the other.
struct Chunks {
    normalized: Vec<f32>,
    restored: Vec<f32>,
}

/// Runs all steps and compares what the file holds.
pub(super) fn check(
    policy: &mut dyn Policy,
    observations: &Observations<'_>,
    golden: &mut TensorFile<'_>,
) -> Result<Vec<Comparison>, GoldenError> {
    let steps = steps(policy.description(), golden)?;
    let chunks = predict_all(policy, observations, steps)?;
    let PolicyDescription { chunk_size, action_size, .. } = *policy.description();
    let names: Vec<String> =
        golden.names().filter(|name| name.starts_with("out.")).map(str::to_owned).collect();
    let mut comparisons = Vec::new();
    for name in names {
        let (shape, values) = match name.as_str() {
            "out.chunks" => (vec![steps, chunk_size, action_size], chunks.restored.clone()),
            "out.chunks_normalized" => {
                (vec![steps, chunk_size, action_size], chunks.normalized.clone())
            }
            "out.queue.action" => {
                let action_steps = action_steps(golden, chunk_size)?;
                (vec![steps, action_size], queue(&chunks, steps, action_size, action_steps)?)
            }
            _ => {
                let Some(coefficient) = ensemble_coefficient(&name) else {
                    let file = golden.file().to_path_buf();
                    return Err(GoldenError::UnknownTensor { file, tensor: name });
                };
                let ensembler = TemporalEnsembler::new(coefficient, chunk_size, action_size)?;
                (vec![steps, action_size], ensemble(&chunks, ensembler, chunk_size, action_size)?)
            }
        };
        comparisons.push(compare(golden, &name, &shape, &values)?);
    }
    Ok(comparisons)
}

fn predict_all(
    policy: &mut dyn Policy,
    observations: &Observations<'_>,
    steps: usize,
) -> Result<Chunks, GoldenError> {
    let PolicyDescription { chunk_size, action_size, .. } = *policy.description();
    let mut actions = vec![0.0; chunk_size * action_size];
    let mut chunks = Chunks { normalized: Vec::new(), restored: Vec::new() };
    for step in 0..steps {
        let mut trace = Trace::new();
        observations.with(step, |observation| {
            policy.predict_traced(observation, &mut actions, &mut trace)
        })?;
        if let Some(normalized) = trace.get("out.action_chunk_normalized") {
            chunks.normalized.extend(&normalized.values);
        }
        chunks.restored.extend(&actions);
    }
    Ok(chunks)
}

fn action_steps(golden: &TensorFile<'_>, chunk_size: usize) -> Result<usize, GoldenError> {
    let found = golden.metadata("n_action_steps");
    let steps = found.and_then(|text| text.parse().ok());
    steps.filter(|steps| (1..=chunk_size).contains(steps)).ok_or_else(|| GoldenError::ActionSteps {
        file: golden.file().to_path_buf(),
        found: found.unwrap_or("missing").to_owned(),
        limit: chunk_size,
    })
}

fn queue(
    chunks: &Chunks,
    steps: usize,
    action_size: usize,
    action_steps: usize,
) -> Result<Vec<f32>, GoldenError> {
    let chunk_len = chunks.restored.len() / steps;
    let mut queue = ActionQueue::new(action_size, action_steps)?;
    let mut executed = Vec::new();
    for chunk in chunks.restored.chunks_exact(chunk_len) {
        if queue.is_empty() {
            queue.refill(chunk)?;
        }
        executed.extend(queue.pop().unwrap_or_default());
    }
    Ok(executed)
}

/// Averages actions in the policy's own units, which gives what averaging normalised ones gives.
fn ensemble(
    chunks: &Chunks,
    mut ensembler: TemporalEnsembler,
    chunk_size: usize,
    action_size: usize,
) -> Result<Vec<f32>, GoldenError> {
    let mut executed = Vec::new();
    let mut action = vec![0.0; action_size];
    for chunk in chunks.restored.chunks_exact(chunk_size * action_size) {
        ensembler.update(chunk, &mut action)?;
        executed.extend(&action);
    }
    Ok(executed)
}
