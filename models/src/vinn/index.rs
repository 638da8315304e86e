//! The nearest moments of a memory, by comparison with all of them.

use super::memory::VinnMemory;
use crate::engine::Engine;
use crate::engine::isa::{Isa, Kernel, multiply_add};
use std::ops::Range;

/// Moments of one task.
const TASK_MOMENTS: usize = 64;
/// Least standard deviation of a joint position, as in the statistics of ACT: a joint that hardly
/// moved must not decide.
const LEAST_DEVIATION: f64 = 0.01;

/// How differences of joint positions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateDistance {
    /// Each in units of its standard deviation in the memory, at least 0.01.
    #[default]
    Standardized,
    /// As they are, whatever their units, as in act-plus-plus.
    Raw,
}

impl StateDistance {
    /// All names.
    pub(crate) const NAMES: &'static str = "standardized or raw";

    /// The distance of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Standardized, Self::Raw].into_iter().find(|distance| distance.name() == name)
    }

    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standardized => "standardized",
            Self::Raw => "raw",
        }
    }
}

/// How neighbours are found.
///
/// Their distance is `sqrt(sum over cameras of weight * |features - features'|^2)` plus
/// `state_weight * |state - state'|`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Search {
    /// Neighbours that are asked; at least 1.
    pub neighbors: usize,
    /// Weight of the distance of joint positions.
    pub state_weight: f32,
    /// What that distance is.
    pub state_distance: StateDistance,
    /// Weight of each camera; 1 for all is the original.
    pub camera_weights: Vec<f32>,
}

/// A memory, prepared for searches.
pub(super) struct Index {
    /// Moments, `[moments, width]`: features times the root of the camera's weight, then joint
    /// positions times the weight and, where they are standardised, over the deviation.
    rows: Vec<f32>,
    scales: Vec<f32>,
    /// Where features end and joint positions begin.
    split: usize,
    /// For each moment the end of its episode.
    ends: Vec<usize>,
    actions: Vec<f32>,
    action_size: usize,
}

/// A moment and its distance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Neighbor {
    pub distance: f32,
    pub moment: usize,
}

impl Neighbor {
    /// Nearer first; of the same distance, the earlier.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.moment.cmp(&other.moment))
    }
}

impl Index {
    /// Takes a memory whose features are those of cameras of these `widths`.
    pub(super) fn new(memory: &VinnMemory, search: &Search, widths: &[usize]) -> Self {
        let VinnMemory { sizes: [features, states, action_size], values, .. } = memory;
        debug_assert_eq!(widths.iter().sum::<usize>(), *features);
        let cameras = widths.iter().zip(&search.camera_weights);
        let mut scales: Vec<f32> =
            cameras.flat_map(|(width, weight)| vec![weight.sqrt(); *width]).collect();
        match search.state_distance {
            StateDistance::Raw => scales.extend(vec![search.state_weight; *states]),
            StateDistance::Standardized => {
                let deviations = deviations(&values[1], *states);
                scales.extend(deviations.map(|d| (f64::from(search.state_weight) / d) as f32));
            }
        }
        let moments = values[0].chunks_exact(*features).zip(values[1].chunks_exact(*states));
        let rows = moments
            .flat_map(|(features, state)| features.iter().chain(state).zip(&scales))
            .map(|(value, scale)| value * scale)
            .collect();
        let (ends, actions) = (memory.ends(), values[2].clone());
        Self { rows, scales, split: *features, ends, actions, action_size: *action_size }
    }

    /// Number of moments.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Number of values of a query: features and joint positions.
    pub(super) fn query_len(&self) -> usize {
        self.scales.len()
    }

    /// Bytes of everything.
    pub(super) fn bytes(&self) -> usize {
        let values = self.rows.len() + self.scales.len() + self.actions.len();
        values * size_of::<f32>() + self.ends.len() * size_of::<usize>()
    }

    /// Prepares a query in place: features, then joint positions.
    pub(super) fn prepare(&self, query: &mut [f32]) {
        query.iter_mut().zip(&self.scales).for_each(|(value, scale)| *value *= scale);
    }

    /// A moment, prepared.
    pub(super) fn moment(&self, moment: usize) -> &[f32] {
        let width = self.query_len();
        &self.rows[moment * width..][..width]
    }

    /// Moves the `count` nearest moments to the query to the front of `neighbors`, nearest first,
    /// leaving those in `except` out. `neighbors` has room for all moments; at least `count` are
    /// not left out.
    pub(super) fn search(
        &self,
        engine: &Engine,
        query: &[f32],
        except: Range<usize>,
        count: usize,
        neighbors: &mut [Neighbor],
    ) {
        let isa = engine.isa();
        engine.workers().run_chunks(neighbors, TASK_MOMENTS, |task, neighbors| {
            for (index, neighbor) in neighbors.iter_mut().enumerate() {
                let moment = task * TASK_MOMENTS + index;
                let distance = if except.contains(&moment) {
                    f32::INFINITY
                } else {
                    self.distance(isa, query, moment)
                };
                *neighbor = Neighbor { distance, moment };
            }
        });
        if count < neighbors.len() {
            neighbors.select_nth_unstable_by(count - 1, Neighbor::order);
        }
        neighbors[..count].sort_unstable_by(Neighbor::order);
    }

    fn distance(&self, isa: Isa, query: &[f32], moment: usize) -> f32 {
        let row = self.moment(moment);
        let squares =
            |part: Range<usize>| isa.run(Squares { a: &query[part.clone()], b: &row[part] }).sqrt();
        (squares(0..self.split) + squares(self.split..row.len())) as f32
    }

    /// Action `step` after a moment; the last one of the episode is repeated.
    pub(super) fn action(&self, moment: usize, step: usize) -> &[f32] {
        let moment = (moment + step).min(self.ends[moment] - 1);
        &self.actions[moment * self.action_size..][..self.action_size]
    }

    /// Writes the chunk of the neighbours, weighted by the softmax of their negative distances.
    /// `weights` has room for as many.
    pub(super) fn chunk(&self, neighbors: &[Neighbor], weights: &mut [f64], chunk: &mut [f32]) {
        let nearest = neighbors.first().map_or(0.0, |neighbor| neighbor.distance);
        let mut sum = 0.0;
        for (weight, neighbor) in weights.iter_mut().zip(neighbors) {
            *weight = f64::from(nearest - neighbor.distance).exp();
            sum += *weight;
        }
        for (step, out) in chunk.chunks_exact_mut(self.action_size).enumerate() {
            for (element, out) in out.iter_mut().enumerate() {
                let of_all = neighbors.iter().zip(&*weights).map(|(neighbor, weight)| {
                    weight * f64::from(self.action(neighbor.moment, step)[element])
                });
                *out = (of_all.sum::<f64>() / sum) as f32;
            }
        }
    }
}

/// Standard deviation of each column, as statistics of a sample have it.
fn deviations(values: &[f32], width: usize) -> impl Iterator<Item = f64> {
    let count = values.len() / width;
    (0..width).map(move |column| {
        let column = || values.iter().skip(column).step_by(width).map(|value| f64::from(*value));
        let mean = column().sum::<f64>() / count as f64;
        let squares: f64 = column().map(|value| (value - mean).powi(2)).sum();
        (squares / count.saturating_sub(1).max(1) as f64).sqrt().max(LEAST_DEVIATION)
    })
}

/// The sum of squared differences. Differences first: `a a - 2 a b + b b` of near neighbours would
/// lose their digits.
struct Squares<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) -> f64 {
        let (a, a_rest) = self.a.as_chunks::<WIDTH>();
        let (b, b_rest) = self.b.as_chunks::<WIDTH>();
        let mut sums = [0.0_f32; WIDTH];
        for (a, b) in a.iter().zip(b) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = multiply_add::<FUSED>(a - b, a - b, *sum);
            }
        }
        let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numbers;

    const WIDTHS: [usize; 2] = [37, 20];
    const LENGTHS: [usize; 3] = [70, 1, 90];

    fn memory() -> VinnMemory {
        let mut memory = VinnMemory::new(57, 3, 2);
        for (episode, length) in LENGTHS.into_iter().enumerate() {
            memory.begin_episode();
            for step in 0..length {
                let seed = (1000 * episode + step) as u64;
                let mut state = numbers(3, seed + 1);
                // One joint moves a lot, one not at all.
                (state[1], state[2]) = (state[1] * 50.0, 0.5);
                memory.push(&numbers(57, seed), &state, &numbers(2, seed + 2)).unwrap();
            }
        }
        memory
    }

    fn search(state_distance: StateDistance) -> Search {
        Search { neighbors: 7, state_weight: 0.3, state_distance, camera_weights: vec![1.0, 4.0] }
    }

    /// The definition in f64, over the moments that are not left out.
    fn reference(
        memory: &VinnMemory,
        search: &Search,
        (features, state): (&[f32], &[f32]),
        except: Range<usize>,
        steps: usize,
    ) -> Vec<f64> {
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let moments = memory.len();
        let column = |c: usize| (0..moments).map(move |m| f64::from(memory.values[1][m * 3 + c]));
        let deviation = |c: usize| {
            let mean = column(c).sum::<f64>() / moments as f64;
            let squares: f64 = column(c).map(|v| (v - mean) * (v - mean)).sum();
            (squares / (moments - 1) as f64).sqrt().max(0.01)
        };
        let mut distances: Vec<(f64, usize)> = (0..moments)
            .filter(|m| !except.contains(m))
            .map(|m| {
                let (a, b) = (wide(features), wide(&memory.values[0][m * 57..][..57]));
                let visual: f64 =
                    (0..57).map(|i| (if i < 37 { 1.0 } else { 4.0 }) * (a[i] - b[i]).powi(2)).sum();
                let (a, b) = (wide(state), wide(&memory.values[1][m * 3..][..3]));
                let of_state: f64 = (0..3)
                    .map(|i| match search.state_distance {
                        StateDistance::Raw => (a[i] - b[i]).powi(2),
                        StateDistance::Standardized => ((a[i] - b[i]) / deviation(i)).powi(2),
                    })
                    .sum();
                (visual.sqrt() + f64::from(search.state_weight) * of_state.sqrt(), m)
            })
            .collect();
        distances.sort_by(|a, b| a.partial_cmp(b).unwrap());
        distances.truncate(search.neighbors);
        let sum: f64 = distances.iter().map(|(d, _)| (-d).exp()).sum();
        let starts = [0, 70, 71, 161];
        let action = |m: usize, step: usize| {
            let end = *starts.iter().find(|start| **start > m).unwrap();
            &memory.values[2][(m + step).min(end - 1) * 2..][..2]
        };
        (0..steps * 2)
            .map(|i| {
                let of = |(d, m): &(f64, usize)| (-d).exp() * f64::from(action(*m, i / 2)[i % 2]);
                distances.iter().map(of).sum::<f64>() / sum
            })
            .collect()
    }

    #[test]
    fn the_chunk_is_that_of_the_definition_on_all_instructions_and_threads() {
        let memory = memory();
        let (features, state) = (numbers(57, 77), [0.1, -12.0, 0.5]);
        for distance in [StateDistance::Standardized, StateDistance::Raw] {
            let search = search(distance);
            let index = Index::new(&memory, &search, &WIDTHS);
            for except in [0..0, 0..70] {
                let expected = reference(&memory, &search, (&features, &state), except.clone(), 9);
                for engine in Engine::all() {
                    let mut query = features.clone();
                    query.extend(state);
                    index.prepare(&mut query);
                    let mut neighbors = vec![Neighbor::default(); index.len()];
                    index.search(&engine, &query, except.clone(), 7, &mut neighbors);
                    let mut chunk = vec![0.0; 18];
                    index.chunk(&neighbors[..7], &mut [0.0; 7], &mut chunk);
                    for (got, expected) in chunk.iter().zip(&expected) {
                        assert!((f64::from(*got) - expected).abs() < 1e-5, "{got} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_come_first_and_ties_go_to_the_earlier() {
        let mut memory = VinnMemory::new(1, 1, 1);
        for value in [5.0, 1.0, 3.0, 1.0, 0.5, 1.0] {
            memory.push(&[value], &[0.0], &[value]).unwrap();
        }
        let search = Search {
            neighbors: 3,
            state_weight: 0.0,
            state_distance: StateDistance::Raw,
            camera_weights: vec![1.0],
        };
        let index = Index::new(&memory, &search, &[1]);
        for engine in Engine::all() {
            let mut neighbors = vec![Neighbor::default(); 6];
            index.search(&engine, &[0.0, 0.0], 0..0, 3, &mut neighbors);
            let moments: Vec<usize> = neighbors[..3].iter().map(|n| n.moment).collect();
            assert_eq!(moments, [4, 1, 3]);
            index.search(&engine, &[0.0, 0.0], 0..0, 6, &mut neighbors);
            let moments: Vec<usize> = neighbors.iter().map(|n| n.moment).collect();
            assert_eq!(moments, [4, 1, 3, 5, 2, 0]);
        }
    }

    /// With `a a - 2 a b + b b` in f32, 4e6 would swallow the difference.
    #[test]
    fn near_neighbours_of_large_features_keep_their_distance() {
        let a = vec![1000.0; 4];
        let b = vec![1000.001; 4];
        let exact = f64::from(b[0] - a[0]).powi(2) * 4.0;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let squares = isa.run(Squares { a: &a, b: &b });
            assert!((squares - exact).abs() < 1e-9 * exact, "{squares} {exact}");
        }
    }
}
