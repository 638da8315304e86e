//! From bytes of an image to the map that a backbone reads.
#![allow(unsafe_code, reason = "tasks write different lines of one map")]

use super::resampling::Axis;
use super::retouch::Retouch;
use crate::engine::Engine;
use crate::engine::workers::Parts;
use crate::layers::convolution::{Layout, MapSize};
use crate::layers::feature_scaling::FeatureScaling;
use crate::layers::resnet::image_layout;
use crate::lerobot::{Colors, Preparation, Rectangle};

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

/// What becomes of the images of one camera.
#[derive(Clone, Debug)]
pub(crate) struct ImagePlan {
    /// Size of the images as they come, which are RGB.
    pub source: MapSize,
    /// Order of the channels that the network sees.
    pub colors: Colors,
    /// What is done first.
    pub preparation: Preparation,
    /// What the policy itself does to the shape after that.
    pub geometry: Geometry,
}

impl ImagePlan {
    /// Nothing but normalisation.
    pub(crate) fn plain(source: MapSize) -> Self {
        let (preparation, geometry) = (Preparation::default(), Geometry::default());
        Self { source, colors: Colors::Rgb, preparation, geometry }
    }

    /// Size of what the policy itself crops.
    pub(crate) fn cropped(&self) -> MapSize {
        self.geometry.resize.unwrap_or(self.preparation.output(self.source))
    }

    /// Size of what the network sees. A crop must not be larger than what it crops.
    pub(crate) fn output(&self) -> MapSize {
        self.geometry.output(self.preparation.output(self.source))
    }

    /// The part of an image, rounded outwards, that the network sees.
    pub(crate) fn seen(&self) -> Rectangle {
        let region = self.preparation.region(self.source);
        let (from, to, size) = (region.size(), self.cropped(), self.output());
        let part = |first: usize, [from, to, size]: [usize; 3]| {
            let begin = centre(to, size);
            (first + begin * from / to, first + ((begin + size) * from).div_ceil(to))
        };
        let (left, right) = part(region.left, [from.width, to.width, size.width]);
        let (top, bottom) = part(region.top, [from.height, to.height, size.height]);
        Rectangle { left, top, right, bottom }
    }

    /// Number of values that [`ImageInput::new`] and one outcome take.
    pub(crate) fn values(&self) -> usize {
        let (first, second) = self.stages();
        let between = second.as_ref().map_or(0, |stage| stage.source.pixels() * 3);
        let second = second.map_or(0, |stage| stage.narrow_len());
        let retouch = if self.preparation.retouches() { Retouch::len(self.source) } else { 0 };
        image_layout(self.output()).len() + first.narrow_len() + between + second + retouch
    }

    /// What is done to the shape, in one resampling or, where the policy resamples again, two.
    fn stages(&self) -> (Stage, Option<Stage>) {
        let region = self.preparation.region(self.source);
        let prepared = self.preparation.output(self.source);
        let resized = self.geometry.resize.unwrap_or(prepared);
        let size = self.geometry.output(prepared);
        let keep = Rectangle {
            left: centre(resized.width, size.width),
            top: centre(resized.height, size.height),
            right: centre(resized.width, size.width) + size.width,
            bottom: centre(resized.height, size.height) + size.height,
        };
        if prepared == region.size() || prepared == resized {
            return (Stage::new(self.source, region, resized, keep), None);
        }
        let whole =
            |MapSize { height: bottom, width: right }| Rectangle { left: 0, top: 0, right, bottom };
        let first = Stage::new(self.source, region, prepared, whole(prepared));
        (first, Some(Stage::new(prepared, whole(prepared), resized, keep)))
    }
}

/// Pixels of an image, whatever it is made of.
trait Pixels: Sync {
    fn at(&self, index: usize) -> [f32; 3];
}

/// Bytes of a camera on their way to normalised values.
struct Camera<'a> {
    bytes: &'a [[u8; 3]],
    colors: &'a Table,
    retouch: Option<&'a Retouch>,
}

impl Pixels for Camera<'_> {
    fn at(&self, index: usize) -> [f32; 3] {
        let pixel = &self.bytes[index];
        let Some(retouch) = self.retouch else { return self.colors.values(pixel) };
        let pixel = if retouch.shows(index, pixel) { pixel } else { &[0; 3] };
        let weight = retouch.weight(index);
        self.colors.values(pixel).map(|value| value * weight)
    }
}

/// Values that were resampled once.
impl Pixels for &[[f32; 3]] {
    fn at(&self, index: usize) -> [f32; 3] {
        self[index]
    }
}

/// From the bytes of a pixel to normalised values.
struct Table {
    /// Which byte of a pixel each channel is.
    bytes: [usize; 3],
    /// Value of every byte, channel by channel.
    values: [[f32; 256]; 3],
}

impl Table {
    fn new(colors: Colors, scaling: &FeatureScaling) -> Self {
        let value = |channel, byte: usize| scaling.normalize(channel, byte as f32 / 255.0);
        let values =
            std::array::from_fn(|channel| std::array::from_fn(|byte| value(channel, byte)));
        let bytes = match colors {
            Colors::Rgb => [0, 1, 2],
            Colors::Bgr => [2, 1, 0],
        };
        Self { bytes, values }
    }

    fn values(&self, pixel: &[u8; 3]) -> [f32; 3] {
        std::array::from_fn(|channel| self.values[channel][usize::from(pixel[self.bytes[channel]])])
    }
}

/// One resampling of a part of an image.
struct Stage {
    source: MapSize,
    moves: Moves,
}

/// How pixels move.
enum Moves {
    /// The outcome is a part of the image that begins at this row and column.
    Crop { top: usize, left: usize },
    /// Columns first, then rows, as PyTorch does.
    Resize { columns: Axis, rows: Axis, narrow: Vec<f32> },
}

impl Stage {
    /// `region` of the source is resampled to the size `resized`, of which `keep` is the outcome.
    /// Has no room for values yet.
    fn new(source: MapSize, region: Rectangle, resized: MapSize, keep: Rectangle) -> Self {
        let size = region.size();
        let moves = if size == resized {
            Moves::Crop { top: region.top + keep.top, left: region.left + keep.left }
        } else {
            let columns = Axis::new(size.width, resized.width, keep.left..keep.right);
            let rows = Axis::new(size.height, resized.height, keep.top..keep.bottom);
            Moves::Resize {
                columns: columns.after(region.left),
                rows: rows.after(region.top),
                narrow: Vec::new(),
            }
        };
        Self { source, moves }
    }

    /// Values of an image whose columns were resampled and whose rows were not.
    fn narrow_len(&self) -> usize {
        match &self.moves {
            Moves::Crop { .. } => 0,
            Moves::Resize { columns, rows, .. } => 3 * columns.len() * rows.sources().len(),
        }
    }

    fn allocated(mut self) -> Self {
        let len = self.narrow_len();
        if let Moves::Resize { narrow, .. } = &mut self.moves {
            *narrow = vec![0.0; len];
        }
        self
    }

    /// Writes the inside of `out`.
    fn write(&mut self, engine: &Engine, image: &impl Pixels, out: &mut [f32], layout: Layout) {
        let Layout { size, border, .. } = layout;
        let lines = &mut out[layout.at(border, 0)..layout.at(border + size.height, 0)];
        let inside = 3 * border..3 * (border + size.width);
        let width = self.source.width;
        match &mut self.moves {
            Moves::Crop { top, left } => {
                engine.workers().run_chunks(lines, layout.line(), |line, out| {
                    let begin = (*top + line) * width + *left;
                    let out = out[inside.clone()].as_chunks_mut::<3>().0;
                    for (column, out) in out.iter_mut().enumerate() {
                        *out = image.at(begin + column);
                    }
                });
            }
            Moves::Resize { columns, rows, narrow } => {
                let sources = rows.sources();
                engine.workers().run_chunks(narrow, 3 * columns.len(), |line, out| {
                    let begin = (sources.start + line) * width;
                    for (column, out) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                        let (first, weights) = columns.taps(column);
                        *out = [0.0; 3];
                        for (weight, index) in weights.iter().zip(begin + first..) {
                            let values = image.at(index);
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
    }
}

/// Normalises and reshapes the images of one camera. Everything is planned; writing allocates
/// nothing.
pub(crate) struct ImageInput {
    /// Inside of the outcome.
    layout: Layout,
    colors: Table,
    retouch: Option<Retouch>,
    first: Stage,
    /// What the first resampling writes, and the second.
    second: Option<(Vec<f32>, Stage)>,
    values: usize,
}

impl ImageInput {
    /// Plans and allocates.
    pub(crate) fn new(plan: &ImagePlan, scaling: &FeatureScaling) -> Self {
        let (first, second) = plan.stages();
        let second = second.map(|stage| (vec![0.0; 3 * stage.source.pixels()], stage.allocated()));
        Self {
            layout: image_layout(plan.output()),
            colors: Table::new(plan.colors, scaling),
            retouch: Retouch::new(plan.source, &plan.preparation),
            first: first.allocated(),
            second,
            values: plan.values(),
        }
    }

    /// Number of values of one outcome and of what writing it takes.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// Layout of the map that [`ImageInput::write`] fills.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Writes `image`, pixel by pixel, to the inside of `out`.
    pub(crate) fn write(&mut self, engine: &Engine, image: &[u8], out: &mut [f32]) {
        let Self { layout, colors, retouch, first, second, .. } = self;
        let camera = Camera { bytes: image.as_chunks().0, colors, retouch: retouch.as_ref() };
        let Some((between, second)) = second else {
            return first.write(engine, &camera, out, *layout);
        };
        let plain = Layout { size: second.source, channels: 3, border: 0 };
        first.write(engine, &camera, between, plain);
        second.write(engine, &between.as_chunks().0, out, *layout);
    }
}

/// Where the centre of `inner` positions begins within `outer`, as torchvision's `CenterCrop`
/// rounds: half to even.
pub(crate) fn centre(outer: usize, inner: usize) -> usize {
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
        let plan = ImagePlan { geometry, ..ImagePlan::plain(source) };
        let mut input = ImageInput::new(&plan, &FeatureScaling::Identity);
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
