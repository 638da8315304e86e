//! Heat over an image.

use super::Picture;

/// Widest tile of a sheet, in pixels.
const TILE: usize = 200;
/// Pixels between tiles.
const GAP: usize = 4;
/// Share of the heat in a pixel; the rest is the image, in grey.
const OPACITY: f32 = 0.6;
/// Colours from nothing to the most: black, purple, red, orange, yellow. Each is brighter than the
/// one before, so that the pictures survive grey printers and colour-blind eyes.
const COLORS: [[f32; 3]; 5] = [
    [0.0, 0.0, 12.0],
    [86.0, 15.0, 110.0],
    [187.0, 55.0, 84.0],
    [249.0, 142.0, 9.0],
    [252.0, 255.0, 164.0],
];

/// Values of one map, scaled to its own range.
pub(super) struct Heat<'a> {
    values: &'a [f32],
    height: usize,
    width: usize,
    low: f32,
    range: f32,
}

impl<'a> Heat<'a> {
    /// Takes `height` rows of `width` finite values.
    pub(super) fn new(values: &'a [f32], height: usize, width: usize) -> Self {
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self { values, height, width, low, range: high - low }
    }

    /// Between 0 and 1 at a place of a picture of this size: between the centres of the map's
    /// pixels in proportion. A map that is the same everywhere is 0.
    fn at(&self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> f32 {
        if self.range <= 0.0 {
            return 0.0;
        }
        let place = |position: usize, size: usize, pixels: usize| {
            let centre = (position as f32 + 0.5) * pixels as f32 / size as f32 - 0.5;
            let centre = centre.clamp(0.0, (pixels - 1) as f32);
            let first = centre as usize;
            (first, (first + 1).min(pixels - 1), centre - first as f32)
        };
        let (left, right, across) = place(x, width, self.width);
        let (top, bottom, down) = place(y, height, self.height);
        let value = |row: usize, column: usize| self.values[row * self.width + column];
        let line = |row| value(row, left) * (1.0 - across) + value(row, right) * across;
        let value = line(top) * (1.0 - down) + line(bottom) * down;
        ((value - self.low) / self.range).clamp(0.0, 1.0)
    }
}

/// The heat over the image.
pub(super) fn overlay(image: &Picture, heat: &Heat<'_>) -> Picture {
    let size = [image.width(), image.height()];
    let mut picture = Picture::filled(size[0], size[1], [0; 3]);
    for y in 0..size[1] {
        for x in 0..size[0] {
            picture.set(x, y, mix(grey(image.pixel(x, y)), heat.at([x, y], size)));
        }
    }
    picture
}

/// Small pictures of several maps over the image, as near to a square as they go.
pub(super) fn sheet(image: &Picture, tiles: &[Heat<'_>]) -> Picture {
    let width = image.width().min(TILE);
    let height = (image.height() * width / image.width().max(1)).max(1);
    let across = (1..).find(|across| across * across >= tiles.len()).unwrap_or(1);
    let down = tiles.len().div_ceil(across).max(1);
    let whole = |count: usize, size: usize| count * (size + GAP) - GAP;
    let mut picture = Picture::filled(whole(across, width), whole(down, height), [255; 3]);
    let small = shrink(image, width, height);
    for (index, heat) in tiles.iter().enumerate() {
        let [left, top] = [index % across * (width + GAP), index / across * (height + GAP)];
        for y in 0..height {
            for x in 0..width {
                let color = mix(small[y * width + x], heat.at([x, y], [width, height]));
                picture.set(left + x, top + y, color);
            }
        }
    }
    picture
}

/// Brightness of the image, each value the mean of the pixels it covers.
fn shrink(image: &Picture, width: usize, height: usize) -> Vec<f32> {
    let cells = |target: usize, targets: usize, pixels: usize| {
        let first = target * pixels / targets;
        first..((target + 1) * pixels / targets).max(first + 1)
    };
    let mut small = Vec::with_capacity(width * height);
    for row in 0..height {
        for column in 0..width {
            let (rows, columns) =
                (cells(row, height, image.height()), cells(column, width, image.width()));
            let count = rows.len() * columns.len();
            let pixels = rows.flat_map(|y| columns.clone().map(move |x| image.pixel(x, y)));
            small.push(pixels.map(grey).sum::<f32>() / count as f32);
        }
    }
    small
}

/// Brightness as televisions weigh it (ITU-R BT.601).
fn grey([red, green, blue]: [u8; 3]) -> f32 {
    0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

fn mix(grey: f32, heat: f32) -> [u8; 3] {
    let place = heat * (COLORS.len() - 1) as f32;
    let first = (place as usize).min(COLORS.len() - 2);
    let part = place - first as f32;
    std::array::from_fn(|channel| {
        let color = COLORS[first][channel] * (1.0 - part) + COLORS[first + 1][channel] * part;
        (color * OPACITY + grey * (1.0 - OPACITY)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brightness(picture: &Picture, x: usize, y: usize) -> f32 {
        grey(picture.pixel(x, y))
    }

    #[test]
    fn the_picture_is_bright_where_the_map_is_strong() {
        let image = Picture::filled(40, 20, [80, 90, 100]);
        // Two rows of four: the third of the upper row answers.
        let values = [0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let picture = overlay(&image, &Heat::new(&values, 2, 4));
        let peak = brightness(&picture, 24, 4);
        for (x, y) in [(4, 4), (14, 4), (36, 4), (24, 16), (4, 16)] {
            assert!(brightness(&picture, x, y) + 50.0 < peak, "{x} {y}");
        }
        assert!(brightness(&picture, 20, 4) > brightness(&picture, 15, 4));
    }

    #[test]
    fn a_map_that_is_the_same_everywhere_is_dark() {
        let image = Picture::filled(8, 8, [0; 3]);
        let picture = overlay(&image, &Heat::new(&[3.0; 4], 2, 2));
        assert_eq!(picture, Picture::filled(8, 8, mix(0.0, 0.0)));
    }

    #[test]
    fn a_sheet_has_a_tile_for_each_map() {
        let image = Picture::filled(400, 300, [10; 3]);
        let (dark, bright) = ([0.0, 1.0], [1.0, 0.0]);
        let tiles = [&dark, &bright, &dark].map(|values| Heat::new(values, 1, 2));
        let picture = sheet(&image, &tiles);
        assert_eq!((picture.width(), picture.height()), (2 * 200 + 4, 2 * 150 + 4));
        // Left and right ends of the first two tiles.
        assert!(brightness(&picture, 0, 0) < brightness(&picture, 199, 0));
        assert!(brightness(&picture, 204, 0) > brightness(&picture, 403, 0));
        assert_eq!(picture.pixel(201, 10), [255; 3]);
        assert_eq!(picture.pixel(300, 300), [255; 3]);
    }

    #[test]
    fn colours_grow_brighter_with_heat() {
        let steps: Vec<f32> = (0..=100).map(|i| grey(mix(0.0, i as f32 / 100.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[1] >= pair[0] - 1.0), "{steps:?}");
        assert!(steps[100] > steps[0] + 130.0);
    }
}
