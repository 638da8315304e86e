//! What policies of other programs need beyond LeRobot's configuration.

use super::config::{ConfigError, unsupported};
use super::features::{Features, MAX_SIDE};
use super::json::{JsonError, Node};
use crate::layers::convolution::MapSize;

/// Order of the colour channels that a policy was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Colors {
    /// Red, green, blue, as LeRobot trains.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV delivers and some programs train.
    Bgr,
}

impl Colors {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
        }
    }
}

/// What pixels are multiplied by after they were normalised, inside and outside of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ImageWeights {
    /// Inside.
    pub inside: f32,
    /// Outside.
    pub outside: f32,
    /// First column, first row, and the column and row after the last.
    pub rectangle: [usize; 4],
}

impl ImageWeights {
    fn read(node: &Node<'_>) -> Result<Self, JsonError> {
        let number = |key: &str| -> Result<f32, JsonError> {
            Ok(node.required(key, "a number")?.number()? as f32)
        };
        let needed = "[first column, first row, column after the last, row after the last]";
        let corners = node.required("rectangle", needed)?;
        let elements = corners.elements()?;
        let mut rectangle = [0; 4];
        if elements.len() != rectangle.len() {
            return Err(corners.refuse(needed));
        }
        for (corner, element) in rectangle.iter_mut().zip(&elements) {
            *corner = element.integer(0..=MAX_SIDE)?;
        }
        let [left, top, right, bottom] = rectangle;
        if left >= right || top >= bottom {
            return Err(corners.refuse(needed));
        }
        for (key, member) in node.members()? {
            if !["inside", "outside", "rectangle"].contains(&key) {
                return Err(member.refuse("inside, outside and rectangle only"));
            }
        }
        Ok(Self { inside: number("inside")?, outside: number("outside")?, rectangle })
    }
}

/// The key `sinew` of `config.json`, which LeRobot does not have: what policies of other programs
/// need beyond it. LeRobot refuses such a configuration, as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extension {
    /// Each camera has a backbone of its own, `model.backbones.0` and so on in the order of the
    /// inputs.
    pub backbone_per_camera: bool,
    /// Order of the colour channels.
    pub colors: Colors,
    /// Weights of the pixels of all images.
    pub image_weights: Option<ImageWeights>,
}

impl Extension {
    /// Its name in `config.json`.
    pub(crate) const KEY: &'static str = "sinew";

    /// Reads it strictly: whoever wrote it meant this reader.
    pub(super) fn read(root: &Node<'_>) -> Result<Self, JsonError> {
        let mut extension = Self::default();
        let Some(node) = root.optional(Self::KEY)? else { return Ok(extension) };
        for (key, member) in node.members()? {
            match key {
                "backbone_per_camera" => extension.backbone_per_camera = member.boolean()?,
                "image_weights" => extension.image_weights = Some(ImageWeights::read(&member)?),
                "colors" => {
                    extension.colors = match member.string()? {
                        "rgb" => Colors::Rgb,
                        "bgr" => Colors::Bgr,
                        _ => return Err(member.refuse("rgb or bgr")),
                    };
                }
                _ => {
                    return Err(member.refuse("backbone_per_camera, colors and image_weights only"));
                }
            }
        }
        Ok(extension)
    }

    /// Refuses weights whose rectangle does not lie within every image.
    pub(super) fn check(&self, root: &Node<'_>, features: &Features) -> Result<(), ConfigError> {
        let Some(ImageWeights { rectangle: [_, _, right, bottom], .. }) = self.image_weights else {
            return Ok(());
        };
        match features.image_sizes().iter().find(|s| right > s.width || bottom > s.height) {
            None => Ok(()),
            Some(MapSize { height, width }) => {
                let needed = format!("image_weights.rectangle within {width} x {height} pixels");
                Err(unsupported(root, Self::KEY, &needed, "the weights belong to other images"))
            }
        }
    }
}
