//! What is done to the images of a camera before anything else, as a policy was trained.

use super::config::ConfigError;
use super::features::{MAX_PIXELS, MAX_SIDE};
use super::json::{JsonError, Node};
use super::picture;
use crate::layers::convolution::MapSize;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// Most rectangles of one kind.
const MAX_RECTANGLES: usize = 64;
/// Largest weight of a pixel.
const MAX_WEIGHT: f32 = 1000.0;
/// What a rectangle looks like.
const RECTANGLE: &str = "[first column, first row, column after the last, row after the last]";

/// Pixels of an image as the camera delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "[usize; 4]")]
pub struct Rectangle {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Column after the last.
    pub right: usize,
    /// Row after the last.
    pub bottom: usize,
}

impl From<Rectangle> for [usize; 4] {
    fn from(Rectangle { left, top, right, bottom }: Rectangle) -> Self {
        [left, top, right, bottom]
    }
}

impl Rectangle {
    pub(crate) fn contains(&self, row: usize, column: usize) -> bool {
        (self.top..self.bottom).contains(&row) && (self.left..self.right).contains(&column)
    }

    pub(crate) fn size(&self) -> MapSize {
        MapSize { height: self.bottom - self.top, width: self.right - self.left }
    }

    /// Reads a rectangle that is not empty and lies within `image`.
    fn read(node: &Node<'_>, image: MapSize) -> Result<Self, JsonError> {
        let MapSize { height, width } = image;
        let needed = || format!("{RECTANGLE} within {width} x {height} pixels, not empty");
        let corners: Vec<usize> = node
            .elements()?
            .iter()
            .map(|corner| corner.integer(0..=MAX_SIDE))
            .collect::<Result<_, _>>()?;
        let &[left, top, right, bottom] = corners.as_slice() else {
            return Err(node.refuse(needed()));
        };
        if left >= right || top >= bottom || right > width || bottom > height {
            return Err(node.refuse(needed()));
        }
        Ok(Self { left, top, right, bottom })
    }

    fn read_list(node: &Node<'_>, image: MapSize) -> Result<Vec<Self>, JsonError> {
        let elements = node.elements()?;
        if !(1..=MAX_RECTANGLES).contains(&elements.len()) {
            return Err(node.refuse(format!("a list of 1 to {MAX_RECTANGLES} rectangles")));
        }
        elements.iter().map(|element| Self::read(element, image)).collect()
    }
}

impl Display for Rectangle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { left, top, right, bottom } = self;
        write!(f, "[{left}, {top}, {right}, {bottom}]")
    }
}

/// What pixels are multiplied by after they were normalised, inside and outside of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ImageWeights {
    /// Inside.
    pub inside: f32,
    /// Outside.
    pub outside: f32,
    /// The rectangle.
    pub rectangle: Rectangle,
}

impl ImageWeights {
    fn read(node: &Node<'_>, image: MapSize) -> Result<Self, JsonError> {
        let weight = |key: &str| -> Result<f32, JsonError> {
            let node = node.required(key, "a number")?;
            let weight = node.number()? as f32;
            if (0.0..=MAX_WEIGHT).contains(&weight) {
                return Ok(weight);
            }
            Err(node.refuse(format!("a number from 0 to {MAX_WEIGHT}")))
        };
        only(node, &["inside", "outside", "rectangle"])?;
        let rectangle = Rectangle::read(&node.required("rectangle", RECTANGLE)?, image)?;
        Ok(Self { inside: weight("inside")?, outside: weight("outside")?, rectangle })
    }
}

/// What the camera sees when nothing is there that matters. Pixels that resemble it become black.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Background {
    /// Name of the picture in the folder.
    pub file: String,
    /// Mean absolute difference of the three channels, from 0 to 255, up to which a pixel is
    /// background.
    pub threshold: f64,
    /// The picture: red, green and blue of each pixel.
    #[serde(skip)]
    pub(crate) pixels: Arc<[u8]>,
}

impl Background {
    fn read(node: &Node<'_>, image: MapSize) -> Result<Self, ConfigError> {
        only(node, &["file", "threshold"])?;
        let threshold = node.required("threshold", "a number from 0 to 255")?;
        let value = threshold.number()?;
        if !(0.0..=255.0).contains(&value) {
            return Err(threshold.refuse("a number from 0 to 255").into());
        }
        let file = node.required("file", picture::NAME)?;
        let pixels = picture::read(&file, image)?;
        Ok(Self { file: file.string()?.to_owned(), threshold: value, pixels })
    }
}

/// What is done to the images of one camera, in this order; rectangles are in pixels of the image
/// as the camera delivers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preparation {
    /// Pixels that resemble it become black.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// Pixels outside of all of these become black; empty if none do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<Rectangle>,
    /// Pixels inside of any of these become black.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Rectangle>,
    /// What normalised pixels are multiplied by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_weights: Option<ImageWeights>,
    /// What is left of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Rectangle>,
    /// Height and width to which that is resampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<[usize; 2]>,
}

impl Preparation {
    /// Keys that [`Preparation::read`] reads.
    pub(super) const KEYS: [&'static str; 6] =
        ["background", "keep", "drop", "image_weights", "crop", "resize"];

    /// Reads what `find` finds for each key, for images of this size.
    pub(super) fn read<'a>(
        find: impl Fn(&str) -> Result<Option<Node<'a>>, JsonError>,
        image: MapSize,
    ) -> Result<Self, ConfigError> {
        let list = |key: &str| -> Result<Vec<Rectangle>, JsonError> {
            find(key)?.map_or(Ok(Vec::new()), |node| Rectangle::read_list(&node, image))
        };
        let weights = find("image_weights")?.map(|node| ImageWeights::read(&node, image));
        let preparation = Self {
            background: find("background")?
                .map(|node| Background::read(&node, image))
                .transpose()?,
            keep: list("keep")?,
            drop: list("drop")?,
            image_weights: weights.transpose()?,
            crop: find("crop")?.map(|node| crop(&node, image)).transpose()?,
            resize: find("resize")?.map(|node| size(&node)).transpose()?,
        };
        // Some of them must have been read, or all pixels would be shown.
        if preparation.shows_nothing(image)
            && let Some(node) = find("drop")?.or(find("keep")?)
        {
            let needed = "rectangles of keep and drop that leave a pixel of the crop";
            return Err(node.refuse(needed).into());
        }
        Ok(preparation)
    }

    /// Whether a pixel is neither outside of what is kept nor inside of what is dropped.
    fn shows(&self, row: usize, column: usize) -> bool {
        let within = |rectangle: &Rectangle| rectangle.contains(row, column);
        (self.keep.is_empty() || self.keep.iter().any(within)) && !self.drop.iter().any(within)
    }

    /// What is shown begins at the edge of the crop, where something kept begins, or where
    /// something dropped ends: no other pixels need be looked at.
    fn shows_nothing(&self, image: MapSize) -> bool {
        let region = self.region(image);
        let begins =
            |first: usize, kept: fn(&Rectangle) -> usize, dropped: fn(&Rectangle) -> usize| {
                let edges = self.keep.iter().map(kept).chain(self.drop.iter().map(dropped));
                edges.chain([first]).collect::<Vec<usize>>()
            };
        let rows = begins(region.top, |kept| kept.top, |dropped| dropped.bottom);
        let columns = begins(region.left, |kept| kept.left, |dropped| dropped.right);
        let shown = |row, column| region.contains(row, column) && self.shows(row, column);
        !rows.iter().any(|row| columns.iter().any(|column| shown(*row, *column)))
    }

    /// What is left of an image of this size.
    pub(crate) fn region(&self, image: MapSize) -> Rectangle {
        let MapSize { height: bottom, width: right } = image;
        self.crop.unwrap_or(Rectangle { left: 0, top: 0, right, bottom })
    }

    /// Size of the outcome for images of this size.
    pub(crate) fn output(&self, image: MapSize) -> MapSize {
        let resized = self.resize.map(|[height, width]| MapSize { height, width });
        resized.unwrap_or(self.region(image).size())
    }

    /// Whether pixels are changed, apart from their order and place.
    pub(crate) fn retouches(&self) -> bool {
        let Self { background, keep, drop, image_weights, .. } = self;
        background.is_some() || !keep.is_empty() || !drop.is_empty() || image_weights.is_some()
    }
}

impl Display for Preparation {
    /// Says what is done, in the order of doing; nothing if nothing is.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |rectangles: &[Rectangle]| {
            rectangles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let mut steps = Vec::new();
        if let Some(Background { file, threshold, .. }) = &self.background {
            steps.push(format!("black where {file} differs by {threshold} or less"));
        }
        if !self.keep.is_empty() {
            steps.push(format!("black outside of {}", list(&self.keep)));
        }
        if !self.drop.is_empty() {
            steps.push(format!("black inside of {}", list(&self.drop)));
        }
        if let Some(ImageWeights { inside, outside, rectangle }) = &self.image_weights {
            steps.push(format!("times {inside} inside of {rectangle}, {outside} outside"));
        }
        if let Some(crop) = &self.crop {
            steps.push(format!("cropped to {crop}"));
        }
        if let Some([height, width]) = self.resize {
            steps.push(format!("resized to {height} x {width}"));
        }
        f.write_str(&steps.join("; "))
    }
}

/// Refuses members of other names.
pub(super) fn only(node: &Node<'_>, keys: &[&str]) -> Result<(), JsonError> {
    for (key, member) in node.members()? {
        if !keys.contains(&key) {
            return Err(member.refuse(format!("no other keys than {}", keys.join(", "))));
        }
    }
    Ok(())
}

/// Reads a rectangle, or the size of the centre.
fn crop(node: &Node<'_>, image: MapSize) -> Result<Rectangle, JsonError> {
    only(node, &["rectangle", "center"])?;
    match (node.optional("rectangle")?, node.optional("center")?) {
        (Some(rectangle), None) => Rectangle::read(&rectangle, image),
        (None, Some(center)) => {
            let [height, width] = size(&center)?;
            if height > image.height || width > image.width {
                let MapSize { height, width } = image;
                return Err(center.refuse(format!("at most [{height}, {width}]")));
            }
            let top = crate::preprocessing::centre(image.height, height);
            let left = crate::preprocessing::centre(image.width, width);
            Ok(Rectangle { left, top, right: left + width, bottom: top + height })
        }
        _ => Err(node.refuse("either rectangle or center, one of both")),
    }
}

/// Reads `[height, width]`.
fn size(node: &Node<'_>) -> Result<[usize; 2], JsonError> {
    let elements = node.elements()?;
    let [height, width] = elements.as_slice() else {
        return Err(node.refuse("[height, width]"));
    };
    let [height, width] = [height.integer(1..=MAX_SIDE)?, width.integer(1..=MAX_SIDE)?];
    if height * width > MAX_PIXELS {
        return Err(node.refuse(format!("at most {MAX_PIXELS} pixels")));
    }
    Ok([height, width])
}

/// Reads `[height, width]` of a key that may be absent.
pub(super) fn map_size(root: &Node<'_>, key: &str) -> Result<Option<MapSize>, JsonError> {
    let Some(node) = root.optional(key)? else { return Ok(None) };
    let [height, width] = size(&node)?;
    Ok(Some(MapSize { height, width }))
}
