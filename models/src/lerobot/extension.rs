//! What policies of other programs need beyond LeRobot's configuration.

use super::json::{JsonError, Node};

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

/// The key `sinew` of `config.json`, which LeRobot does not have: what policies of other programs
/// need beyond it. LeRobot refuses such a configuration, as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Each camera has a backbone of its own, `model.backbones.0` and so on in the order of the
    /// inputs.
    pub backbone_per_camera: bool,
    /// Order of the colour channels.
    pub colors: Colors,
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
                "colors" => {
                    extension.colors = match member.string()? {
                        "rgb" => Colors::Rgb,
                        "bgr" => Colors::Bgr,
                        _ => return Err(member.refuse("rgb or bgr")),
                    };
                }
                _ => return Err(member.refuse("backbone_per_camera and colors only")),
            }
        }
        Ok(extension)
    }
}
