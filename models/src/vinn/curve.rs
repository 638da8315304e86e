//! How well a memory predicts its own episodes.

use super::index::{Index, Neighbor, Search};
use super::memory::VinnMemory;
use crate::engine::Engine;
use crate::lerobot::LoadError;
use crate::policy::LoadOptions;

impl VinnMemory {
    /// The error of the prediction of each episode from all others, for 1 to `max_neighbors`
    /// neighbours: the mean squared difference of chunks of `chunk_size` actions over all moments.
    /// The least of them tells how many neighbours to ask. Takes time with the square of the
    /// number of moments.
    ///
    /// `widths` are those of the cameras' features, whose weights `search` has; its number of
    /// neighbours is not used. Empty with fewer than two episodes, shorter where the episodes do
    /// not leave as many moments.
    ///
    /// # Errors
    /// [`LoadError::Threads`] when a thread cannot be had.
    pub fn error_curve(
        &self,
        search: &Search,
        widths: &[usize],
        chunk_size: usize,
        max_neighbors: usize,
        options: &LoadOptions,
    ) -> Result<Vec<f64>, LoadError> {
        let engine = Engine::new(options.isa, options.threads, &options.cpus)
            .map_err(|source| LoadError::Threads { threads: options.threads, source })?;
        let index = Index::new(self, search, widths);
        let longest = self.lengths.iter().max().copied().unwrap_or(0);
        let count = max_neighbors.min(index.len() - longest.min(index.len()));
        let mut errors = vec![0.0; count];
        if count == 0 {
            return Ok(errors);
        }
        let mut neighbors = vec![Neighbor::default(); index.len()];
        let values = chunk_size * self.sizes[2];
        let mut begin = 0;
        for length in &self.lengths {
            let episode = begin..begin + length;
            begin = episode.end;
            for moment in episode.clone() {
                let query = index.moment(moment);
                index.search(&engine, query, episode.clone(), count, &mut neighbors);
                add_errors(&index, moment, &neighbors[..count], values, &mut errors);
            }
        }
        let all = (index.len() * values) as f64;
        errors.iter_mut().for_each(|error| *error /= all);
        Ok(errors)
    }
}

/// Adds the squared errors of a moment for each number of neighbours.
fn add_errors(
    index: &Index,
    moment: usize,
    neighbors: &[Neighbor],
    values: usize,
    errors: &mut [f64],
) {
    let width = index.action(moment, 0).len();
    let mut weighted = vec![0.0; values];
    let (mut sum, nearest) = (0.0, neighbors[0].distance);
    for (neighbor, error) in neighbors.iter().zip(errors) {
        let weight = f64::from(nearest - neighbor.distance).exp();
        sum += weight;
        for (step, weighted) in weighted.chunks_exact_mut(width).enumerate() {
            let actions =
                index.action(neighbor.moment, step).iter().zip(index.action(moment, step));
            for (weighted, (action, taken)) in weighted.iter_mut().zip(actions) {
                *weighted += weight * f64::from(*action);
                *error += (*weighted / sum - f64::from(*taken)).powi(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numbers;
    use crate::vinn::StateDistance;

    fn search() -> Search {
        Search {
            neighbors: 1,
            state_weight: 0.0,
            state_distance: StateDistance::Raw,
            camera_weights: vec![1.0],
        }
    }

    /// Each episode again by itself: remove it, ask the rest.
    #[test]
    fn the_curve_is_that_of_leaving_each_episode_out() {
        let lengths = [4, 7, 5];
        let moment = |episode: usize, step: usize| {
            let seed = (100 * episode + step) as u64;
            (numbers(6, seed), numbers(2, seed + 50))
        };
        let fill = |episodes: &[usize]| {
            let mut memory = VinnMemory::new(6, 1, 2);
            for episode in episodes {
                memory.begin_episode();
                for step in 0..lengths[*episode] {
                    let (features, action) = moment(*episode, step);
                    memory.push(&features, &[0.0], &action).unwrap();
                }
            }
            memory
        };
        let all = fill(&[0, 1, 2]);
        for threads in [1, 3] {
            let options = LoadOptions { threads, ..LoadOptions::default() };
            let curve = all.error_curve(&search(), &[6], 3, 400, &options).unwrap();
            assert_eq!(curve.len(), 16 - 7);
            for (k, error) in curve.iter().enumerate() {
                let mut expected = 0.0;
                for (episode, length) in lengths.into_iter().enumerate() {
                    let others: Vec<usize> = (0..3).filter(|other| *other != episode).collect();
                    let index = Index::new(&fill(&others), &search(), &[6]);
                    let whole = Index::new(&fill(&[episode]), &search(), &[6]);
                    for step in 0..length {
                        let mut query = moment(episode, step).0;
                        query.push(0.0);
                        let mut neighbors = vec![Neighbor::default(); index.len()];
                        let engine = Engine::all().next().unwrap();
                        index.search(&engine, &query, 0..0, k + 1, &mut neighbors);
                        let (mut weights, mut chunk) = (vec![0.0; k + 1], [0.0; 6]);
                        index.chunk(&neighbors[..=k], &mut weights, &mut chunk);
                        for (i, value) in chunk.iter().enumerate() {
                            let taken = whole.action(step, i / 2)[i % 2];
                            expected += f64::from(value - taken).powi(2);
                        }
                    }
                }
                expected /= (16 * 6) as f64;
                assert!((error - expected).abs() < 1e-6, "{k}: {error} {expected}");
            }
        }
    }

    #[test]
    fn one_episode_alone_has_no_curve() {
        let mut memory = VinnMemory::new(1, 1, 1);
        memory.push(&[1.0], &[1.0], &[1.0]).unwrap();
        let curve = memory.error_curve(&search(), &[1], 5, 10, &LoadOptions::default()).unwrap();
        assert!(curve.is_empty());
    }
}
