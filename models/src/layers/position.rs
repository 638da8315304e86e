//! Fixed sinusoidal position embeddings.

use super::convolution::MapSize;
use std::f64::consts::TAU;

/// Period of the slowest channel, in the unit of the position.
const TEMPERATURE: f64 = 10_000.0;

/// Sine on even and cosine on odd channels, whose frequencies fall geometrically.
fn sinusoid(position: f64, channel: usize, channels: usize) -> f32 {
    let exponent = (2 * (channel / 2)) as f64 / channels as f64;
    let angle = position / TEMPERATURE.powf(exponent);
    (if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
}

/// Embedding of the pixels of a map, row by row: `[height * width, channels]`, the first half of
/// the channels for the row, the second for the column. Positions run from `1 / count` of a turn
/// to a full turn.
pub(crate) fn image_positions(size: MapSize, channels: usize) -> Vec<f32> {
    let half = channels / 2;
    let turn = |index: usize, count: usize| (index + 1) as f64 / (count as f64 + 1e-6) * TAU;
    let mut values = Vec::with_capacity(size.pixels() * channels);
    for y in 0..size.height {
        for x in 0..size.width {
            values.extend((0..half).map(|c| sinusoid(turn(y, size.height), c, half)));
            values.extend((0..half).map(|c| sinusoid(turn(x, size.width), c, half)));
        }
    }
    values
}
