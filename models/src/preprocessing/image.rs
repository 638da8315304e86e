//! From bytes of an image to the map that a backbone reads.
#![allow(unsafe_code, reason = "tasks write different lines of one map")]

use super::resampling::Axis;
use crate::engine::Engine;
use crate::engine::workers::Parts;
use crate::layers::convolution::{Layout, MapSize};
use crate::layers::feature_scaling::FeatureScaling;
use crate::layers::resnet::image_layout;
use crate::lerobot::{Colors, Extension, ImageWeights};

/// What is done to the shape of an image, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Antialiased bilinear resampling to this size.
    pub resize: Option<MapSize>,
    /// The centre is kept.
    pub crop: Option<MapSize>,
}

impl Geometry {
    /// Size of the outcome for an image of this size; a crop is not larger than what it crops.
    pub(crate) fn output(self, source: MapSize) -> MapSize {
        self.crop.or(self.resize).unwrap_or(source)
    }
}

/// Normalises and reshapes images of one size. Everything is planned; writing allocates nothing.
pub(crate) struct ImageInput {
    source: MapSize,
    /// Inside of the outcome.
    layout: Layout,
    colors: Table,
    resampling: Resampling,
    weights: Option<ImageWeights>,
}

/// From the bytes of a pixel to normalised values.
struct Table {
    /// Which byte of a pixel each channel is.
    bytes: [usize; 3],
    /// Value of every byte, channel by channel.
    values: [[f32; 256]; 3],
}

impl Table {
    fn values(&self, pixel: &[u8; 3]) -> [f32; 3] {
        std::array::from_fn(|channel| self.values[channel][usize::from(pixel[self.bytes[channel]])])
    }
}

/// Values of an image whose columns were resampled and whose rows were not.
fn narrow_len(columns: &Axis, rows: &Axis) -> usize {
    3 * columns.len() * rows.sources().len()
}

/// How pixels move.
enum Resampling {
    /// The outcome is a part of the image that begins at this row and column.
    Crop { top: usize, left: usize },
    /// Columns first, then rows, as PyTorch does.
    Resize { columns: Axis, rows: Axis, narrow: Vec<f32> },
}

impl Resampling {
    /// Without room for values.
    fn plan(source: MapSize, geometry: Geometry) -> Self {
        let resized = geometry.resize.unwrap_or(source);
        let size = geometry.output(source);
        let top = centre(resized.height, size.height);
        let left = centre(resized.width, size.width);
        if resized == source {
            return Self::Crop { top, left };
        }
        Self::Resize {
            columns: Axis::new(source.width, resized.width, left..left + size.width),
            rows: Axis::new(source.height, resized.height, top..top + size.height),
            narrow: Vec::new(),
        }
    }
}

impl ImageInput {
    /// Plans images of size `source`.
    pub(crate) fn new(source: MapSize, geometry: Geometry, scaling: &FeatureScaling) -> Self {
        let value = |channel, byte: usize| scaling.normalize(channel, byte as f32 / 255.0);
        let values =
            std::array::from_fn(|channel| std::array::from_fn(|byte| value(channel, byte)));
        let colors = Table { bytes: [0, 1, 2], values };
        let mut resampling = Resampling::plan(source, geometry);
        if let Resampling::Resize { columns, rows, narrow } = &mut resampling {
            *narrow = vec![0.0; narrow_len(columns, rows)];
        }
        let layout = image_layout(geometry.output(source));
        Self { source, layout, colors, resampling, weights: None }
    }

    /// Number of values of the outcome for images of size `source` and of what writing it takes.
    pub(crate) fn len(source: MapSize, geometry: Geometry) -> usize {
        let narrow = match Resampling::plan(source, geometry) {
            Resampling::Crop { .. } => 0,
            Resampling::Resize { columns, rows, .. } => narrow_len(&columns, &rows),
        };
        image_layout(geometry.output(source)).len() + narrow
    }

    /// The same for a policy that was trained as `extension` says. Images are RGB.
    pub(crate) fn trained_with(mut self, extension: Extension) -> Self {
        self.weights = extension.image_weights;
        self.colors.bytes = match extension.colors {
            Colors::Rgb => [0, 1, 2],
            Colors::Bgr => [2, 1, 0],
        };
        self
    }

    /// Number of values of one outcome and of what writing it takes.
    pub(crate) fn values(&self) -> usize {
        let narrow = match &self.resampling {
            Resampling::Crop { .. } => 0,
            Resampling::Resize { narrow, .. } => narrow.len(),
        };
        self.layout.len() + narrow
    }

    /// Layout of the map that [`ImageInput::write`] fills.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Writes `image`, pixel by pixel, to the inside of `out`.
    pub(crate) fn write(&mut self, engine: &Engine, image: &[u8], out: &mut [f32]) {
        let Self { source, layout, colors, resampling, weights } = self;
        let Layout { size, border, .. } = *layout;
        let lines = &mut out[layout.at(border, 0)..layout.at(border + size.height, 0)];
        let inside = 3 * border..3 * (border + size.width);
        match resampling {
            Resampling::Crop { top, left } => {
                engine.workers().run_chunks(lines, layout.line(), |line, out| {
                    let begin = 3 * ((*top + line) * source.width + *left);
                    let pixels = image[begin..][..inside.len()].as_chunks::<3>().0;
                    let out = out[inside.clone()].as_chunks_mut::<3>().0;
                    for (pixel, out) in pixels.iter().zip(out) {
                        *out = colors.values(pixel);
                    }
                });
            }
            Resampling::Resize { columns, rows, narrow } => {
                let sources = rows.sources();
                engine.workers().run_chunks(narrow, 3 * columns.len(), |line, out| {
                    let begin = 3 * (sources.start + line) * source.width;
                    let pixels = image[begin..][..3 * source.width].as_chunks::<3>().0;
                    for (column, out) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                        let (first, weights) = columns.taps(column);
                        *out = [0.0; 3];
                        for (weight, pixel) in weights.iter().zip(&pixels[first..]) {
                            let values = colors.values(pixel);
                            out.iter_mut().zip(values).for_each(|(sum, v)| *sum += weight * v);
                        }
                    }
                });
                let (narrow, lines) = (&*narrow, Parts::new(lines));
                engine.workers().run(size.height, |_, line| {
                    let begin = line * layout.line() + inside.start;
                    // SAFETY: lines do not overlap, and each is visited once.
                    let out = unsafe { lines.get(begin..begin + inside.len()) };
                    let (first, weights) = rows.taps(line);
                    out.fill(0.0);
                    let narrow = narrow.chunks_exact(out.len()).skip(first - sources.start);
                    for (weight, narrow) in weights.iter().zip(narrow) {
                        out.iter_mut().zip(narrow).for_each(|(sum, v)| *sum += weight * v);
                    }
                });
            }
        }
        if let Some(weights) = weights {
            weigh(engine, *layout, *weights, out);
        }
    }
}

/// Multiplies the pixels of a map.
fn weigh(engine: &Engine, layout: Layout, weights: ImageWeights, out: &mut [f32]) {
    let ImageWeights { inside, outside, rectangle: [left, top, right, bottom] } = weights;
    let Layout { size, border, .. } = layout;
    let lines = &mut out[layout.at(border, 0)..layout.at(border + size.height, 0)];
    engine.workers().run_chunks(lines, layout.line(), |line, out| {
        let pixels = out.as_chunks_mut::<3>().0.iter_mut().skip(border).take(size.width);
        let is_inside = (top..bottom).contains(&line);
        for (column, pixel) in pixels.enumerate() {
            let weight =
                if is_inside && (left..right).contains(&column) { inside } else { outside };
            pixel.iter_mut().for_each(|value| *value *= weight);
        }
    });
}

/// Where the centre of `inner` positions begins within `outer`, as torchvision's `CenterCrop`
/// rounds: half to even.
fn centre(outer: usize, inner: usize) -> usize {
    let twice = outer - inner;
    twice / 2 + usize::from(twice % 4 == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(height: usize, width: usize) -> MapSize {
        MapSize { height, width }
    }

    #[test]
    fn half_a_pixel_is_rounded_to_even() {
        let begins: Vec<usize> = (0..8).map(|rest| centre(10 + rest, 10)).collect();
        assert_eq!(begins, [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    fn written(geometry: Geometry, source: MapSize, image: &[u8]) -> Vec<Vec<f32>> {
        let mut input = ImageInput::new(source, geometry, &FeatureScaling::Identity);
        let layout = input.layout();
        Engine::all()
            .map(|engine| {
                let mut map = vec![0.0; layout.len()];
                input.write(&engine, image, &mut map);
                let mut cleared = map.clone();
                layout.clear_border(&mut cleared);
                assert_eq!(map, cleared, "the border stays zero");
                layout.channels_first(&map)
            })
            .collect()
    }

    #[test]
    fn a_crop_keeps_the_centre() {
        let image: Vec<u8> = (0..6 * 5 * 3).map(|i| (i * 2) as u8).collect();
        let geometry = Geometry { resize: None, crop: Some(size(2, 3)) };
        for values in written(geometry, size(6, 5), &image) {
            let byte = |row: usize, column: usize, channel: usize| {
                f32::from(image[(row * 5 + column) * 3 + channel]) / 255.0
            };
            for channel in 0..3 {
                for row in 0..2 {
                    for column in 0..3 {
                        let got = values[(channel * 2 + row) * 3 + column];
                        assert_eq!(got, byte(row + 2, column + 1, channel));
                    }
                }
            }
        }
    }

    /// A ramp stays a ramp where the edges do not reach.
    #[test]
    fn resampling_a_ramp_gives_a_ramp() {
        let image: Vec<u8> =
            (0..40 * 64).flat_map(|i| [(i % 64 * 3) as u8, (i / 64 * 4) as u8, 77]).collect();
        let geometry = Geometry { resize: Some(size(20, 24)), crop: Some(size(10, 12)) };
        for values in written(geometry, size(40, 64), &image) {
            for row in 0..10 {
                for column in 0..12 {
                    let at = |channel: usize| values[(channel * 10 + row) * 12 + column] * 255.0;
                    let x = ((column + 6) as f32 + 0.5) * 64.0 / 24.0 - 0.5;
                    let y = ((row + 5) as f32 + 0.5) * 2.0 - 0.5;
                    assert!((at(0) - 3.0 * x).abs() < 0.5, "{} {}", at(0), 3.0 * x);
                    assert!((at(1) - 4.0 * y).abs() < 1e-3);
                    assert!((at(2) - 77.0).abs() < 1e-3);
                }
            }
        }
    }
}
