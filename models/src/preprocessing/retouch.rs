//! Changes of single pixels.

use crate::layers::convolution::MapSize;
use crate::lerobot::{ImageWeights, Preparation, Rectangle};
use std::sync::Arc;

/// What is done to each pixel of an image of one camera.
pub(super) struct Retouch {
    /// Pixels that do not become black whatever they are.
    shown: Vec<bool>,
    /// What normalised pixels are multiplied by.
    weights: Vec<f32>,
    background: Option<Background>,
}

struct Background {
    pixels: Arc<[u8]>,
    /// Largest sum of the differences of a pixel's channels that is background.
    limit: u32,
}

impl Retouch {
    /// Number of values that one takes.
    pub(super) fn len(image: MapSize) -> usize {
        2 * image.pixels()
    }

    /// For images of this size; none if nothing is to be done.
    pub(super) fn new(image: MapSize, preparation: &Preparation) -> Option<Self> {
        if !preparation.retouches() {
            return None;
        }
        let Preparation { background, keep, drop, image_weights, .. } = preparation;
        let mut shown = vec![keep.is_empty(); image.pixels()];
        keep.iter().for_each(|rectangle| fill(&mut shown, image, rectangle, true));
        drop.iter().for_each(|rectangle| fill(&mut shown, image, rectangle, false));
        let mut weights = vec![1.0; image.pixels()];
        if let Some(ImageWeights { inside, outside, rectangle }) = image_weights {
            weights.fill(*outside);
            fill(&mut weights, image, rectangle, *inside);
        }
        let background = background.as_ref().map(|background| Background {
            pixels: Arc::clone(&background.pixels),
            // The threshold is for their mean.
            limit: (3.0 * background.threshold) as u32,
        });
        Some(Self { shown, weights, background })
    }

    /// Whether a pixel stays what it is.
    pub(super) fn shows(&self, index: usize, pixel: &[u8; 3]) -> bool {
        let differs = |Background { pixels, limit }: &Background| {
            let pairs = pixel.iter().zip(&pixels[3 * index..]);
            pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>() > *limit
        };
        self.shown[index] && self.background.as_ref().is_none_or(differs)
    }

    pub(super) fn weight(&self, index: usize) -> f32 {
        self.weights[index]
    }
}

fn fill<T: Copy>(values: &mut [T], image: MapSize, rectangle: &Rectangle, value: T) {
    let lines = values.chunks_exact_mut(image.width);
    for line in lines.take(rectangle.bottom).skip(rectangle.top) {
        line[rectangle.left..rectangle.right].fill(value);
    }
}
