//! What policies of other programs need beyond LeRobot's configuration.

use super::config::{ConfigError, unsupported};
use super::features::{Features, MAX_CAMERAS};
use super::json::{JsonError, Node};
use super::preparation::Preparation;
use crate::preprocessing::{Geometry, ImagePlan};

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

    fn read(node: &Node<'_>) -> Result<Self, JsonError> {
        match node.string()? {
            "rgb" => Ok(Self::Rgb),
            "bgr" => Ok(Self::Bgr),
            _ => Err(node.refuse("rgb or bgr")),
        }
    }
}

/// The key `sinew` of `config.json`, which LeRobot does not have: what policies of other programs
/// need beyond it. LeRobot refuses such a configuration, as it should.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extension {
    /// Each camera has a backbone of its own, `model.backbones.0` and so on in the order of the
    /// inputs.
    pub backbone_per_camera: bool,
    /// The features of a Diffusion Policy's images keep their sign; LeRobot cuts off what is
    /// negative.
    pub signed_features: bool,
    /// Order of the colour channels.
    pub colors: Colors,
    /// What is done to the images of each camera, in the order of the inputs.
    pub preparations: Vec<Preparation>,
}

/// Keys that are not about images.
const KEYS: [&str; 4] = ["backbone_per_camera", "signed_features", "colors", "cameras"];

impl Extension {
    /// Its name in `config.json`.
    pub(crate) const KEY: &'static str = "sinew";

    /// Reads it strictly: whoever wrote it meant this reader.
    pub(super) fn read(root: &Node<'_>, features: &Features) -> Result<Self, ConfigError> {
        let sizes = features.image_sizes();
        // Before anything is read for each of them.
        if sizes.len() > MAX_CAMERAS {
            let needed = format!("at most {MAX_CAMERAS} images");
            return Err(unsupported(root, "input_features", &needed, "leave cameras out"));
        }
        let mut extension =
            Self { preparations: vec![Preparation::default(); sizes.len()], ..Self::default() };
        let Some(node) = root.optional(Self::KEY)? else { return Ok(extension) };
        let known = [KEYS.as_slice(), &Preparation::KEYS].concat();
        super::preparation::only(&node, &known)?;
        if let Some(flag) = node.optional("backbone_per_camera")? {
            extension.backbone_per_camera = flag.boolean()?;
        }
        if let Some(flag) = node.optional("signed_features")? {
            extension.signed_features = flag.boolean()?;
            let kind = root.optional("type")?;
            if !kind.is_some_and(|kind| kind.string().is_ok_and(|kind| kind == "diffusion")) {
                return Err(flag.refuse("no such key but for the type diffusion").into());
            }
        }
        if let Some(colors) = node.optional("colors")? {
            extension.colors = Colors::read(&colors)?;
        }
        let names: Vec<&str> = features.images().map(|image| image.name.as_str()).collect();
        let cameras = node.optional("cameras")?;
        for (camera, own) in
            cameras.iter().map(Node::members).collect::<Result<Vec<_>, _>>()?.concat()
        {
            if !names.contains(&camera) {
                return Err(own.refuse(format!("no cameras but {}", names.join(", "))).into());
            }
            super::preparation::only(&own, &Preparation::KEYS)?;
        }
        if let Some(key) = Preparation::KEYS.into_iter().find(|_| names.is_empty())
            && let Some(image_key) = node.optional(key)?
        {
            return Err(image_key.refuse("no such key, as input_features has no images").into());
        }
        for ((preparation, name), size) in extension.preparations.iter_mut().zip(names).zip(sizes) {
            let own = cameras.as_ref().map(|node| node.optional(name)).transpose()?.flatten();
            // What is said of one camera takes the place of what is said of all; null says nothing.
            let find = |key: &str| match &own {
                Some(own) if own.members()?.iter().any(|(said, _)| *said == key) => {
                    own.optional(key)
                }
                _ => node.optional(key),
            };
            *preparation = Preparation::read(find, size)?;
        }
        Ok(extension)
    }

    /// What becomes of the images of each camera, before the policy reshapes them by `geometry`
    /// and by that.
    pub(crate) fn plans(&self, features: &Features, geometry: Geometry) -> Vec<ImagePlan> {
        let sizes = features.image_sizes().into_iter();
        let plan = |(source, preparation): (_, &Preparation)| ImagePlan {
            source,
            colors: self.colors,
            preparation: preparation.clone(),
            geometry,
        };
        sizes.zip(&self.preparations).map(plan).collect()
    }
}
