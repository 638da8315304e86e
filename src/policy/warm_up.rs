//! The first inferences, before the arm is powered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use sinew_firmware_interfaces::State;
use sinew_models::{FeatureKind, Observation, Policy, PredictError, SamplingProgress};

use super::Mapping;
use crate::control::OperatorSignal;
use crate::cycle::OperatorRequest;

/// How often to ask whether the operator still wants to start.
const LOOK: Duration = Duration::from_millis(10);

/// Why the first inference failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the checkpoint's first inference failed: {0}")]
pub struct WarmUpError(#[from] PredictError);

impl WarmUpError {
    /// True where the operator ended it.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.0, PredictError::Cancelled { .. })
    }
}

/// Infers on a neutral observation, so that the first real one is not the slow one (cold caches
/// and page faults), and a broken checkpoint shows before the arm is powered. Returns how long an
/// inference takes. One that takes as long as a chunk lasts, `span`, gets a second chance.
///
/// # Errors
/// [`WarmUpError`] when the checkpoint cannot infer, and when the operator did not want to wait for
/// a long inference.
pub fn warm_up(
    policy: &mut dyn Policy,
    mapping: &Mapping,
    span: Duration,
    operator: &OperatorSignal,
) -> Result<Duration, WarmUpError> {
    let description = policy.description();
    let mut actions = vec![0.0; description.chunk_size * description.action_size];
    let images: Vec<Vec<u8>> = description
        .inputs
        .iter()
        .filter(|feature| feature.kind == FeatureKind::Visual)
        .map(|feature| vec![128; feature.shape.iter().product()])
        .collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let mut vector = Vec::new();
    mapping.observe(&State::default(), &mut vector);
    let vectors: &[&[f32]] = if vector.is_empty() { &[] } else { &[&vector] };
    let observation = Observation { vectors, images: &images };
    let mut infer = || -> Result<Duration, PredictError> {
        let progress = policy.progress();
        let took = unless_interrupted(progress, operator, || {
            let began = Instant::now();
            policy.predict(&observation, &mut actions).map(|()| began.elapsed())
        })?;
        policy.reset();
        Ok(took)
    };
    let first = infer()?;
    Ok(if first < span { first } else { infer()?.min(first) })
}

/// Lets the watcher end.
struct Finish<'a> {
    done: &'a AtomicBool,
    watcher: &'a Thread,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.watcher.unpark();
    }
}

/// Calls `infer`, and cancels it when the operator asks for a stop.
fn unless_interrupted<R>(
    progress: Option<Arc<SamplingProgress>>,
    operator: &OperatorSignal,
    infer: impl FnOnce() -> R,
) -> R {
    let Some(progress) = progress else { return infer() };
    let look = || {
        if operator.request() != OperatorRequest::None {
            progress.cancel();
        }
    };
    look();
    let done = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                look();
                thread::park_timeout(LOOK);
            }
        });
        // Also when the inference panics: the scope waits for the watcher.
        let _finish = Finish { done: &done, watcher: watcher.thread() };
        infer()
    });
    progress.allow();
    result
}
