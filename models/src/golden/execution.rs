//! How LeRobot executes chunks: one after the other, or averaged over overlapping predictions. The
//! yardstick for recorded rollouts; what drives a robot is the runtime's timeline, which is held
//! against the same rollouts by a test of its own.
//!
//! Both hold fixed storage and neither allocates after construction. Actions may be normalised or
//! in the policy's own units: LeRobot averages normalised ones, and because un-normalising is affine
//! and the weights of an average sum to 1, both orders give the same result.

/// Why an execution rule was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecutionError {
    /// A size that must be at least 1 is 0, or is larger than memory could hold.
    #[error("{name} is {value}, needed 1 to {limit}")]
    Size {
        /// Which size.
        name: &'static str,
        /// Its value.
        value: usize,
        /// Largest value.
        limit: usize,
    },
    /// The ensembling coefficient gives weights that are not finite or not positive.
    #[error(
        "ensembling coefficient {coefficient} gives no usable weights for {chunk_size} predictions; use a finite value near 0, LeRobot's examples use 0.01"
    )]
    Coefficient {
        /// The coefficient.
        coefficient: f64,
        /// Predictions that can overlap.
        chunk_size: usize,
    },
    /// A chunk or action has another length than announced.
    #[error("{name} holds {found} values, needed {needed}")]
    Length {
        /// `chunk` or `action`.
        name: &'static str,
        /// Values given.
        found: usize,
        /// Values needed.
        needed: usize,
    },
}

/// Largest number of steps in a chunk, and of values in an action.
const MAX_SIZE: usize = 1 << 16;

fn check_size(name: &'static str, value: usize) -> Result<usize, ExecutionError> {
    if (1..=MAX_SIZE).contains(&value) {
        Ok(value)
    } else {
        Err(ExecutionError::Size { name, value, limit: MAX_SIZE })
    }
}

fn check_length(name: &'static str, found: usize, needed: usize) -> Result<(), ExecutionError> {
    if found == needed { Ok(()) } else { Err(ExecutionError::Length { name, found, needed }) }
}

/// LeRobot's queue: infers only when it is empty and executes the first `action_steps` actions of
/// each chunk (`n_action_steps`).
#[derive(Clone, Debug)]
pub(super) struct ActionQueue {
    actions: Vec<f32>,
    action_size: usize,
    next: usize,
}

impl ActionQueue {
    /// An empty queue of `action_steps` actions of `action_size` values.
    ///
    /// # Errors
    /// [`ExecutionError::Size`] if either is 0 or absurd.
    pub(super) fn new(action_size: usize, action_steps: usize) -> Result<Self, ExecutionError> {
        check_size("action size", action_size)?;
        check_size("number of action steps", action_steps)?;
        let actions = vec![0.0; action_size * action_steps];
        Ok(Self { next: actions.len(), actions, action_size })
    }

    /// Whether the next action needs a new chunk first.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.next >= self.actions.len()
    }

    /// Replaces the queue by the first actions of `chunk`, which holds at least as many actions as
    /// the queue executes.
    ///
    /// # Errors
    /// [`ExecutionError::Length`] if the chunk is shorter. The queue is then unchanged.
    pub(super) fn refill(&mut self, chunk: &[f32]) -> Result<(), ExecutionError> {
        let needed = self.actions.len();
        let first = chunk.get(..needed);
        let first =
            first.ok_or(ExecutionError::Length { name: "chunk", found: chunk.len(), needed })?;
        self.actions.copy_from_slice(first);
        self.next = 0;
        Ok(())
    }

    /// Takes the next action, or `None` when the queue is empty.
    pub(super) fn pop(&mut self) -> Option<&[f32]> {
        let action = self.actions.get(self.next..self.next + self.action_size)?;
        self.next += self.action_size;
        Some(action)
    }
}

/// LeRobot's temporal ensembling: infers at every step and executes the weighted mean of all
/// predictions for that step.
///
/// The prediction that is `i` places younger than the oldest weighs `exp(-coefficient * i)`:
/// positive coefficients favour old predictions, negative ones new predictions.
#[derive(Clone, Debug)]
pub(super) struct TemporalEnsembler {
    action_size: usize,
    chunk_size: usize,
    weights: Vec<f64>,
    /// `cumulative[n]` = sum of the first `n + 1` weights.
    cumulative: Vec<f64>,
    /// Ring of means for the coming steps; `first` is the step to execute next.
    means: Vec<f64>,
    /// Predictions in each mean.
    votes: Vec<usize>,
    first: usize,
}

impl TemporalEnsembler {
    /// An ensembler without predictions, for chunks of `chunk_size` actions of `action_size` values.
    ///
    /// # Errors
    /// [`ExecutionError::Size`] if a size is 0 or absurd, [`ExecutionError::Coefficient`] if the
    /// coefficient is not finite or so large that weights overflow or vanish.
    pub(super) fn new(
        coefficient: f64,
        chunk_size: usize,
        action_size: usize,
    ) -> Result<Self, ExecutionError> {
        check_size("action size", action_size)?;
        check_size("chunk size", chunk_size)?;
        let weights: Vec<f64> = (0..chunk_size).map(|i| (-coefficient * i as f64).exp()).collect();
        let cumulative: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let usable = weights.iter().all(|weight| weight.is_normal())
            && cumulative.iter().all(|sum| sum.is_finite());
        if !usable {
            return Err(ExecutionError::Coefficient { coefficient, chunk_size });
        }
        Ok(Self {
            action_size,
            chunk_size,
            weights,
            cumulative,
            means: vec![0.0; chunk_size * action_size],
            votes: vec![0; chunk_size],
            first: 0,
        })
    }

    /// Adds the chunk inferred at this step and writes the action to execute now.
    ///
    /// # Errors
    /// [`ExecutionError::Length`] if `chunk` is not `chunk_size * action_size` or `action` not
    /// `action_size` values long. The ensembler is then unchanged.
    pub(super) fn update(
        &mut self,
        chunk: &[f32],
        action: &mut [f32],
    ) -> Result<(), ExecutionError> {
        check_length("chunk", chunk.len(), self.chunk_size * self.action_size)?;
        check_length("action", action.len(), self.action_size)?;
        for (offset, prediction) in chunk.chunks_exact(self.action_size).enumerate() {
            let slot = (self.first + offset) % self.chunk_size;
            let votes = self.votes[slot];
            let old_sum = votes.checked_sub(1).map_or(0.0, |last| self.cumulative[last]);
            let (weight, new_sum) = (self.weights[votes], self.cumulative[votes]);
            let means = &mut self.means[slot * self.action_size..][..self.action_size];
            for (mean, &value) in means.iter_mut().zip(prediction) {
                *mean = (*mean * old_sum + f64::from(value) * weight) / new_sum;
            }
            self.votes[slot] = votes + 1;
        }
        let means = &mut self.means[self.first * self.action_size..][..self.action_size];
        for (action, mean) in action.iter_mut().zip(means) {
            *action = std::mem::take(mean) as f32;
        }
        self.votes[self.first] = 0;
        self.first = (self.first + 1) % self.chunk_size;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_executes_the_first_actions_and_then_asks_for_a_chunk() {
        let mut queue = ActionQueue::new(2, 2).unwrap();
        assert!(queue.is_empty() && queue.pop().is_none());
        queue.refill(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(queue.pop(), Some([1.0, 2.0].as_slice()));
        assert!(!queue.is_empty());
        assert_eq!(queue.pop(), Some([3.0, 4.0].as_slice()));
        assert!(queue.is_empty() && queue.pop().is_none());
        let needed = 4;
        let error = ExecutionError::Length { name: "chunk", found: 2, needed };
        assert_eq!(queue.refill(&[1.0, 2.0]), Err(error));
    }

    /// The definition: all predictions for a step, oldest first, weighted by `exp(-m i)`.
    #[test]
    fn online_mean_equals_the_weighted_mean_over_all_predictions() {
        let (chunk_size, steps) = (5, 13);
        let chunk = |t: usize| -> Vec<f32> {
            (0..chunk_size).map(|i| ((t * 31 + i * 17) % 19) as f32 - 9.0).collect()
        };
        for coefficient in [0.01, -0.1, 0.0, 2.0] {
            let mut ensembler = TemporalEnsembler::new(coefficient, chunk_size, 1).unwrap();
            for step in 0..steps {
                let mut action = [0.0];
                ensembler.update(&chunk(step), &mut action).unwrap();
                let oldest = (step + 1).saturating_sub(chunk_size);
                let (mut sum, mut weights) = (0.0, 0.0);
                for (i, t) in (oldest..=step).enumerate() {
                    let weight = (-coefficient * i as f64).exp();
                    sum += weight * f64::from(chunk(t)[step - t]);
                    weights += weight;
                }
                assert!((f64::from(action[0]) - sum / weights).abs() < 1e-6);
            }
        }
    }

    /// The `temporal_agg` of the original ACT program, which keeps all predictions in a table.
    #[test]
    fn ensembling_is_the_temporal_aggregation_of_the_original_program() {
        let fixture = "../tests/fixtures/act_original_repo/temporal_agg.safetensors";
        let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
        let bytes = std::fs::read(fixture).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (chunks, actions) =
            (tensors.tensor("in.chunks").unwrap(), tensors.tensor("out.actions_f64").unwrap());
        assert_eq!((chunks.shape(), actions.shape()), (&[12, 8, 14][..], &[12, 14][..]));
        let chunks: Vec<f32> =
            chunks.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let actions = actions.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        let mut expected = actions.collect::<Vec<f64>>().into_iter();

        let mut ensembler = TemporalEnsembler::new(0.01, 8, 14).unwrap();
        let mut action = [0.0; 14];
        for chunk in chunks.chunks_exact(8 * 14) {
            ensembler.update(chunk, &mut action).unwrap();
            for value in action {
                let expected = expected.next().unwrap();
                assert!((f64::from(value) - expected).abs() < 1e-6, "{value} {expected}");
            }
        }
        assert!(expected.next().is_none());
    }

    #[test]
    fn sizes_and_coefficients_are_checked() {
        assert!(matches!(ActionQueue::new(0, 1), Err(ExecutionError::Size { .. })));
        assert!(matches!(ActionQueue::new(1, usize::MAX), Err(ExecutionError::Size { .. })));
        assert!(matches!(TemporalEnsembler::new(0.1, 0, 1), Err(ExecutionError::Size { .. })));
        for coefficient in [f64::NAN, f64::INFINITY, 100.0, -100.0] {
            assert!(matches!(
                TemporalEnsembler::new(coefficient, 100, 1),
                Err(ExecutionError::Coefficient { .. })
            ));
        }
        let mut ensembler = TemporalEnsembler::new(0.01, 2, 2).unwrap();
        assert!(ensembler.update(&[0.0; 3], &mut [0.0; 2]).is_err());
        assert!(ensembler.update(&[0.0; 4], &mut [0.0; 1]).is_err());
    }
}
