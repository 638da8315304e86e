//! Multi-head scaled dot-product attention.

use super::linear::Linear;

/// Sums of a dot product that do not wait for each other.
const LANES: usize = 16;

/// Attention with separate projections of queries, keys and values.
pub(crate) struct Attention {
    /// Projection of the queries.
    pub query: Linear,
    /// Projection of the keys.
    pub key: Linear,
    /// Projection of the values.
    pub value: Linear,
    /// Projection of the joined heads.
    pub output: Linear,
    /// Number of heads; divides the model width.
    pub heads: usize,
    /// Model width.
    pub width: usize,
}

/// Intermediate values of [`Attention::forward`].
pub(crate) struct AttentionBuffers {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    mixed: Vec<f32>,
    scores: Vec<f32>,
}

impl AttentionBuffers {
    /// Buffers for up to `queries` queries and `keys` keys of `width` values.
    pub(crate) fn new(queries: usize, keys: usize, width: usize) -> Self {
        Self {
            query: vec![0.0; queries * width],
            key: vec![0.0; keys * width],
            value: vec![0.0; keys * width],
            mixed: vec![0.0; queries * width],
            scores: vec![0.0; keys],
        }
    }
}

impl Attention {
    /// Attends from each row of `queries` to all rows of `keys`, mixing rows of `values`.
    pub(crate) fn forward(
        &self,
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
        buffers: &mut AttentionBuffers,
        output: &mut [f32],
    ) {
        debug_assert_eq!(keys.len(), values.len());
        let query = &mut buffers.query[..queries.len()];
        let key = &mut buffers.key[..keys.len()];
        let value = &mut buffers.value[..values.len()];
        let mixed = &mut buffers.mixed[..queries.len()];
        let scores = &mut buffers.scores[..keys.len() / self.width];
        self.query.forward(queries, query);
        self.key.forward(keys, key);
        self.value.forward(values, value);

        let head_width = self.width / self.heads;
        let scale = (head_width as f32).sqrt().recip();
        for (query, mixed) in query.chunks_exact(self.width).zip(mixed.chunks_exact_mut(self.width))
        {
            for head in 0..self.heads {
                let part = head * head_width..(head + 1) * head_width;
                for (score, key) in scores.iter_mut().zip(key.chunks_exact(self.width)) {
                    *score = scale * dot(&query[part.clone()], &key[part.clone()]);
                }
                softmax(scores);
                let mixed = &mut mixed[part.clone()];
                mixed.fill(0.0);
                for (score, value) in scores.iter().zip(value.chunks_exact(self.width)) {
                    for (mixed, value) in mixed.iter_mut().zip(&value[part.clone()]) {
                        *mixed += score * value;
                    }
                }
            }
        }
        self.output.forward(mixed, output);
    }
}

/// Turns scores into weights that sum to 1.
fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - largest).exp();
        sum += f64::from(*score);
    }
    let scale = (1.0 / sum) as f32;
    scores.iter_mut().for_each(|score| *score *= scale);
}

/// Dot product with one sum per lane, which the compiler can vectorise.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_lanes, left_rest) = left.as_chunks::<LANES>();
    let (right_lanes, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left_lanes.iter().zip(right_lanes) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_survives_huge_scores() {
        let mut scores = [1000.0, 1000.0, -1000.0];
        softmax(&mut scores);
        assert_eq!(scores, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn dot_uses_lanes_and_rest() {
        let values: Vec<f32> = (1..=19).map(|x| x as f32).collect();
        assert_eq!(dot(&values, &values), 2470.0);
    }
}
