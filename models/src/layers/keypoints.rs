//! Spatial softmax: where on a map each channel is (Finn et al., 2016, "Deep Spatial
//! Autoencoders"; Diffusion Policy's image features).

use super::convolution::MapSize;
use super::linear::Linear;
use crate::engine::Engine;

/// Key points of a map: a 1x1 convolution to one channel per point, a softmax over the pixels of
/// each, and the expected place of a pixel so distributed, both axes from -1 to 1.
pub(crate) struct Keypoints {
    channels: Linear,
}

impl Keypoints {
    /// Takes the 1x1 convolution.
    pub(crate) fn new(channels: Linear) -> Self {
        Self { channels }
    }

    /// Number of points.
    pub(crate) fn count(&self) -> usize {
        self.channels.outputs()
    }

    /// Writes `x, y` of each point. `pixels` are those of the map, row by row; `scores` has room
    /// for a value per pixel and point.
    pub(crate) fn forward(
        &self,
        engine: &Engine,
        (pixels, size): (&[f32], MapSize),
        scores: &mut [f32],
        points: &mut [f32],
    ) {
        let count = self.count();
        let scores = &mut scores[..size.pixels() * count];
        self.channels.forward(engine, pixels, scores);
        for (point, out) in points.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let values = || scores[point..].iter().step_by(count).copied();
            // `f32::max` would drop not-a-number and hide it; the sum below does not.
            let largest = values().fold(f32::NEG_INFINITY, f32::max);
            let (mut total, mut x, mut y) = (0.0, 0.0, 0.0);
            for (pixel, value) in values().enumerate() {
                let weight = libm::exp(f64::from(value - largest));
                total += weight;
                x += weight * place(pixel % size.width, size.width);
                y += weight * place(pixel / size.width, size.height);
            }
            *out = [(x / total) as f32, (y / total) as f32];
        }
    }
}

/// Coordinate of a pixel: -1 at the first, 1 at the last, -1 where there is only one, as
/// `linspace` has it.
fn place(index: usize, count: usize) -> f64 {
    if count < 2 { -1.0 } else { 2.0 * index as f64 / (count - 1) as f64 - 1.0 }
}

/// Coordinates of all pixels as LeRobot stores them, `[height * width, 2]`.
pub(crate) fn grid(size: MapSize) -> Vec<f32> {
    let coordinates = |pixel: usize| {
        [place(pixel % size.width, size.width), place(pixel / size.width, size.height)]
    };
    (0..size.pixels()).flat_map(coordinates).map(|value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::panels::Precision;

    #[test]
    fn a_bright_pixel_is_where_the_point_is() {
        let size = MapSize { height: 3, width: 5 };
        let layer = Linear::new(&[1.0, 0.0, 0.0, 1.0], vec![0.0; 2], Precision::F32);
        let keypoints = Keypoints::new(layer);
        let mut pixels = vec![0.0; 15 * 2];
        pixels[2 * 4] = 1000.0;
        let mut scores = vec![0.0; 30];
        for engine in Engine::all() {
            let mut points = [0.0; 4];
            keypoints.forward(&engine, (&pixels, size), &mut scores, &mut points);
            assert_eq!(points[..2], [1.0, -1.0], "top right corner");
            assert!(points[2..].iter().all(|value| value.abs() < 1e-7), "nowhere is the centre");
        }
        assert_eq!(grid(size)[2 * 7..][..2], [0.0, 0.0]);
    }

    #[test]
    fn not_a_number_is_not_hidden() {
        let size = MapSize { height: 1, width: 2 };
        let keypoints = Keypoints::new(Linear::new(&[1.0], vec![0.0], Precision::F32));
        for engine in Engine::all() {
            let mut points = [0.0; 2];
            keypoints.forward(&engine, (&[1.0, f32::NAN], size), &mut [0.0; 2], &mut points);
            assert!(points.iter().all(|value| value.is_nan()));
        }
    }
}
