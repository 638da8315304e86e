//! Samplings and rollouts of a Diffusion Policy, repeated with their recorded noise.

use super::{Comparison, GoldenError, Observations, compare};
use crate::diffusion::{DiffusionPolicy, Prediction, Sampling, Scheduler};
use crate::policy::Policy;
use crate::tensor_file::TensorFile;
use crate::trace::Trace;
use std::collections::BTreeSet;

/// Noise that samplings begin with.
const INITIAL: &str = "sample.in.initial_noise";
/// Noise that each inference of a rollout begins with.
const INITIALS: &str = "in.initial_noise_per_inference";

/// Whether a tensor is the outcome of a sampling.
pub(super) fn is_output(name: &str) -> bool {
    let rest = name.strip_prefix("sample.").and_then(|name| name.split_once('.'));
    rest.is_some_and(|(_, part)| part == "out_normalized" || part == "out_actions")
}

/// The policy, which must be a Diffusion Policy to produce `tensor`.
fn diffusion<'p>(
    policy: &'p mut dyn Policy,
    golden: &TensorFile<'_>,
    tensor: &str,
) -> Result<&'p mut DiffusionPolicy, GoldenError> {
    let (file, tensor) = (golden.file().to_path_buf(), tensor.to_owned());
    policy.as_diffusion().ok_or(GoldenError::NotProduced { file, tensor })
}

/// Compares one history of observations and the samplings from it.
pub(super) fn check(
    policy: &mut dyn Policy,
    observations: &Observations<'_>,
    golden: &mut TensorFile<'_>,
) -> Result<Vec<Comparison>, GoldenError> {
    let policy = diffusion(policy, golden, INITIAL)?;
    policy.reset();
    for step in 0..policy.description().observation_steps {
        observations.with(step, |observation| policy.observe(observation))?;
    }
    let mut trace = Trace::new();
    policy.trace_condition(&mut trace)?;
    let shape = [1, policy.past_steps() + policy.description().chunk_size];
    let shape = [shape[0], shape[1], policy.description().action_size];
    if golden.names().any(|name| name.starts_with("unet.")) {
        let sample = golden.take("unet.in.sample", &shape)?;
        let timestep = golden.take_integers("unet.in.timestep", &[1])?;
        let timestep = timestep.first().copied().unwrap_or(0);
        policy.trace_network(&sample, timestep, &mut trace)?;
    }
    let initial = golden.take(INITIAL, &shape)?;
    let outcomes = golden.names().filter(|name| is_output(name));
    let names: BTreeSet<String> =
        outcomes.filter_map(|name| name.split('.').nth(1)).map(str::to_owned).collect();
    for name in names {
        let sampling = parse(&name, policy).ok_or_else(|| GoldenError::Sampling {
            file: golden.file().to_path_buf(),
            name: format!("sample.{name}"),
            limit: policy.train_steps(),
        })?;
        let draws = DiffusionPolicy::draws(sampling);
        let steps = if draws > 0 {
            let [one, horizon, action] = shape;
            golden.take(&format!("sample.{name}.step_noise"), &[draws, one, horizon, action])?
        } else {
            Vec::new()
        };
        policy.trace_sampling(&name, sampling, (&initial, &steps), &mut trace)?;
    }
    let compared = |name: &&str| {
        let known = ["in.normalized.", "mid.", "sample.", "unet."];
        let inputs = ["sample.in.", "unet.in."];
        known.iter().any(|prefix| name.starts_with(prefix))
            && !inputs.iter().any(|prefix| name.starts_with(prefix))
            && !name.ends_with(".step_noise")
    };
    let names: Vec<String> = golden.names().filter(compared).map(str::to_owned).collect();
    let mut comparisons = Vec::new();
    for name in names {
        let Some(found) = trace.get(&name) else {
            let (file, tensor) = (golden.file().to_path_buf(), name);
            return Err(GoldenError::NotProduced { file, tensor });
        };
        if name.ends_with(".timesteps") {
            comparisons.push(compare_timesteps(golden, &name, &found.values)?);
        } else {
            comparisons.push(compare(golden, &name, &found.shape, &found.values)?);
        }
    }
    Ok(comparisons)
}

fn compare_timesteps(
    golden: &mut TensorFile<'_>,
    name: &str,
    values: &[f32],
) -> Result<Comparison, GoldenError> {
    let expected = golden.take_integers(name, &[values.len()])?;
    let differences = expected.iter().zip(values).map(|(a, b)| (*a as f64 - f64::from(*b)).abs());
    let largest_difference = differences.fold(0.0, f64::max);
    Ok(Comparison {
        name: name.to_owned(),
        shape: vec![values.len()],
        largest_difference,
        largest_magnitude: expected.iter().map(|step| *step as f64).fold(0.0, f64::max),
        tolerance: 0.0,
        passed: largest_difference == 0.0,
        decides: false,
    })
}

/// How a sampling of this name is drawn, for example `ddim10_sample_noclip`.
fn parse(name: &str, policy: &DiffusionPolicy) -> Option<Sampling> {
    let mut parts = name.split('_');
    let first = parts.next()?;
    let (scheduler, steps) = match (first.strip_prefix("ddpm"), first.strip_prefix("ddim")) {
        (Some(steps), _) => (Scheduler::Ddpm, steps),
        (_, Some(steps)) => (Scheduler::Ddim, steps),
        _ => return None,
    };
    let steps = steps.parse().ok().filter(|steps| (1..=policy.train_steps()).contains(steps))?;
    let mut sampling = Sampling { scheduler, steps, ..policy.sampling() };
    for part in parts {
        match part {
            "epsilon" => sampling.prediction = Prediction::Noise,
            "sample" => sampling.prediction = Prediction::Sample,
            "clip" => sampling.clip = sampling.clip.or(Some(1.0)),
            "noclip" => sampling.clip = None,
            _ => return None,
        }
    }
    Some(sampling)
}

/// Compares the actions that LeRobot's `select_action` executes: it notes every observation, and
/// infers when the first `n_action_steps` of the last chunk are used up.
pub(super) fn check_rollout(
    policy: &mut dyn Policy,
    observations: &Observations<'_>,
    steps: usize,
    golden: &mut TensorFile<'_>,
) -> Result<Vec<Comparison>, GoldenError> {
    let policy = diffusion(policy, golden, INITIALS)?;
    let description = policy.description();
    let (size, action_steps) = (description.action_size, description.action_steps);
    let horizon = policy.past_steps() + description.chunk_size;
    let sampling = policy.sampling();
    if DiffusionPolicy::draws(sampling) > 0 {
        let scheduler = sampling.scheduler.as_ref().to_owned();
        return Err(GoldenError::Unrecorded { file: golden.file().to_path_buf(), scheduler });
    }
    let inferences = steps.div_ceil(action_steps);
    let noise = golden.take(INITIALS, &[inferences, 1, horizon, size])?;
    let mut noise = noise.chunks_exact(horizon * size);
    policy.reset();
    let (mut chunk, mut executed) = (Vec::new(), Vec::new());
    for step in 0..steps {
        observations.with(step, |observation| policy.observe(observation))?;
        if step % action_steps == 0 {
            policy.trace_condition(&mut Trace::new())?;
            chunk = policy.sample_recorded(noise.next().unwrap_or_default(), &[])?;
        }
        executed.extend_from_slice(&chunk[step % action_steps * size..][..size]);
    }
    Ok(vec![compare(golden, "out.action", &[steps, size], &executed)?])
}
