//! Antialiased bilinear resampling on one axis, with the weights that PyTorch 2.11 computes for
//! `interpolate(mode="bilinear", align_corners=False, antialias=True)`, which is what torchvision
//! resizes tensors with.

use std::ops::Range;

/// Weights of the source positions that make up each target position.
pub(super) struct Axis {
    taps: Vec<Taps>,
    weights: Vec<f32>,
}

/// Source positions of one target position.
struct Taps {
    first: usize,
    weights: Range<usize>,
}

impl Axis {
    /// From `source` to `target` positions, of which only those in `keep` are wanted.
    pub(super) fn new(source: usize, target: usize, keep: Range<usize>) -> Self {
        let (mut taps, mut weights) = (Vec::new(), Vec::new());
        let scale = source as f32 / target as f32;
        // Shrinking averages over as many source positions as become one, growing over two.
        let support = scale.max(1.0);
        let inverse = scale.max(1.0).recip();
        for position in keep {
            if source == target {
                let begin = weights.len();
                weights.push(1.0);
                taps.push(Taps { first: position, weights: begin..begin + 1 });
                continue;
            }
            let centre = scale * (position as f32 + 0.5);
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).clamp(first + 1, source);
            let begin = weights.len();
            let triangle =
                |index: usize| (1.0 - ((index as f32 - centre + 0.5) * inverse).abs()).max(0.0);
            weights.extend((first..end).map(triangle));
            let total: f32 = weights[begin..].iter().sum();
            weights[begin..].iter_mut().for_each(|weight| *weight /= total);
            taps.push(Taps { first, weights: begin..weights.len() });
        }
        Self { taps, weights }
    }

    /// The same for a source that begins `offset` positions later.
    pub(super) fn after(mut self, offset: usize) -> Self {
        self.taps.iter_mut().for_each(|taps| taps.first += offset);
        self
    }

    /// Target positions.
    pub(super) fn len(&self) -> usize {
        self.taps.len()
    }

    /// First source position and weights of a target position.
    pub(super) fn taps(&self, position: usize) -> (usize, &[f32]) {
        let taps = &self.taps[position];
        (taps.first, &self.weights[taps.weights.clone()])
    }

    /// Source positions that any target position needs.
    pub(super) fn sources(&self) -> Range<usize> {
        let first = self.taps.first().map_or(0, |taps| taps.first);
        let end = self.taps.iter().map(|taps| taps.first + taps.weights.len()).max();
        first..end.unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_one_and_stay_within_the_source() {
        for (source, target) in [(48, 36), (64, 40), (10, 37), (7, 7), (480, 224), (5, 1), (1, 4)] {
            let axis = Axis::new(source, target, 0..target);
            assert_eq!((axis.len(), axis.sources()), (target, 0..source));
            for position in 0..target {
                let (first, weights) = axis.taps(position);
                assert!(first + weights.len() <= source);
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                assert!(weights.iter().all(|weight| *weight >= 0.0));
            }
        }
    }

    /// Halving: each target position is the centre of two, weighted by a triangle two wide.
    #[test]
    fn halving_weighs_four_neighbours() {
        let axis = Axis::new(8, 4, 1..2);
        let (first, weights) = axis.taps(0);
        assert_eq!((first, weights), (1, [0.125, 0.375, 0.375, 0.125].as_slice()));
        let edge = Axis::new(8, 4, 0..1);
        let (first, weights) = edge.taps(0);
        assert_eq!(first, 0);
        assert!((weights[0] - 3.0 / 7.0).abs() < 1e-6 && weights.len() == 3);
    }
}
