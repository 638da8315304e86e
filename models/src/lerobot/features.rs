//! The features that a policy reads and writes, as `config.json` declares them.

use super::config::ConfigError;
use super::json::{JsonError, Node};
use super::statistics::NormalizationMode;
use crate::layers::convolution::MapSize;
use crate::quote::quote;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Longest state or action vector.
const MAX_VECTOR: usize = 4096;
/// Longest side of an image, in pixels.
pub(super) const MAX_SIDE: usize = 4096;
/// Largest image, in pixels.
pub(super) const MAX_PIXELS: usize = 1 << 22;
/// Most cameras.
pub(super) const MAX_CAMERAS: usize = 32;

/// What the name of a feature looks like. Names are printed, compared and looked up.
pub(crate) const NAME: &str = "a name of 1 to 160 characters that can be printed";

/// Whether a feature may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && quote(name).to_string() == name
}

/// Path of the file that `node` names beside its own. A checkpoint must not reach outside its own
/// folder, and messages repeat the name.
pub(crate) fn beside(node: &Node<'_>, needed: &str) -> Result<PathBuf, JsonError> {
    let name = node.string()?;
    let mut parts = Path::new(name).components();
    let is_one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    if is_one && is_name(name) {
        Ok(node.file().with_file_name(name))
    } else {
        Err(node.refuse(needed))
    }
}

/// LeRobot's feature types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeatureType {
    /// `STATE`: what the robot measures of itself.
    State,
    /// `ENV`: what a simulator knows of the scene.
    Environment,
    /// `VISUAL`: an image, channels first.
    Visual,
    /// `ACTION`.
    Action,
}

impl FeatureType {
    /// LeRobot's name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Environment => "ENV",
            Self::Visual => "VISUAL",
            Self::Action => "ACTION",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::State, Self::Environment, Self::Visual, Self::Action]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A feature as declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureSpec {
    /// Name, for example `observation.images.top`.
    pub name: String,
    /// Type.
    pub kind: FeatureType,
    /// `[n]`, or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

impl FeatureSpec {
    /// Number of statistics of each kind: one per element, or one per channel of an image.
    pub(crate) fn statistics_len(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Reads `{"type": ..., "shape": [...]}`.
    pub(crate) fn read(name: &str, node: &Node<'_>) -> Result<Self, JsonError> {
        if !is_name(name) {
            return Err(node.refuse(NAME));
        }
        let kind_node = node.required("type", "STATE, ENV, VISUAL or ACTION")?;
        let kind = FeatureType::from_name(kind_node.string()?)
            .ok_or_else(|| kind_node.refuse("STATE, ENV, VISUAL or ACTION"))?;
        let shape_node = node.required("shape", "a list of sizes")?;
        let elements = shape_node.elements()?;
        let shape = if kind == FeatureType::Visual {
            let [channels, height, width] = elements.as_slice() else {
                return Err(shape_node.refuse("[channels, height, width]"));
            };
            let shape = [
                channels.integer(3..=3)?,
                height.integer(1..=MAX_SIDE)?,
                width.integer(1..=MAX_SIDE)?,
            ];
            if shape[1] * shape[2] > MAX_PIXELS {
                return Err(shape_node.refuse(format!("at most {MAX_PIXELS} pixels")));
            }
            shape.to_vec()
        } else {
            let [length] = elements.as_slice() else {
                return Err(shape_node.refuse("a list of one size"));
            };
            vec![length.integer(1..=MAX_VECTOR)?]
        };
        Ok(Self { name: name.to_owned(), kind, shape })
    }
}

/// What `config.json` says of features, whatever the architecture.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    /// Path of the file.
    pub file: PathBuf,
    /// Inputs that the network reads, in the order of the file.
    pub inputs: Vec<FeatureSpec>,
    /// Inputs that are declared but that the network does not read.
    pub ignored_inputs: Vec<String>,
    /// The action.
    pub action: FeatureSpec,
    /// Normalisation by feature type; types that are not listed are not normalised.
    pub normalization: BTreeMap<&'static str, NormalizationMode>,
}

impl Features {
    /// Reads `input_features`, `output_features` and `normalization_mapping` of the policy that
    /// messages call `policy`.
    pub(super) fn read(
        root: &Node<'_>,
        policy: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let (inputs, ignored_inputs) = inputs(root, policy, warnings)?;
        Ok(Self {
            file: root.file().to_path_buf(),
            inputs,
            ignored_inputs,
            action: action(root, policy, warnings)?,
            normalization: normalization(root)?,
        })
    }

    /// The images among the inputs.
    pub(crate) fn images(&self) -> impl Iterator<Item = &FeatureSpec> + Clone {
        self.inputs.iter().filter(|feature| feature.kind == FeatureType::Visual)
    }

    /// Sizes of the images.
    pub(crate) fn image_sizes(&self) -> Vec<MapSize> {
        let size = |feature: &FeatureSpec| match *feature.shape.as_slice() {
            [_, height, width] => Some(MapSize { height, width }),
            _ => None,
        };
        self.images().filter_map(size).collect()
    }

    /// Length of the input of this type, which is a vector.
    pub(crate) fn vector_len(&self, kind: FeatureType) -> Option<usize> {
        let feature = self.inputs.iter().find(|feature| feature.kind == kind);
        feature.map(FeatureSpec::statistics_len)
    }

    /// How features of this type are normalised.
    pub(crate) fn mode(&self, kind: FeatureType) -> NormalizationMode {
        self.normalization.get(kind.name()).copied().unwrap_or(NormalizationMode::Identity)
    }

    /// Whether any input or the action is normalised.
    pub(crate) fn needs_statistics(&self) -> bool {
        let features = self.inputs.iter().chain([&self.action]);
        features.into_iter().any(|feature| self.mode(feature.kind) != NormalizationMode::Identity)
    }
}

fn normalization(root: &Node<'_>) -> Result<BTreeMap<&'static str, NormalizationMode>, JsonError> {
    let needed = "an object of feature types and modes";
    normalization_map(&root.required("normalization_mapping", needed)?)
}

/// Reads `{"STATE": "MEAN_STD", ...}`.
pub(crate) fn normalization_map(
    node: &Node<'_>,
) -> Result<BTreeMap<&'static str, NormalizationMode>, JsonError> {
    let mut map = BTreeMap::new();
    for (kind, mode) in node.members()? {
        let parsed = NormalizationMode::from_name(mode.string()?)
            .ok_or_else(|| mode.refuse(NormalizationMode::NAMES))?;
        // Other policies list types of their own, which no feature here can have.
        if let Some(kind) = FeatureType::from_name(kind) {
            map.insert(kind.name(), parsed);
        }
    }
    Ok(map)
}

/// Inputs that the policy reads, and names of those it does not.
fn inputs(
    root: &Node<'_>,
    policy: &str,
    warnings: &mut Vec<String>,
) -> Result<(Vec<FeatureSpec>, Vec<String>), ConfigError> {
    let (mut used, mut ignored) = (Vec::new(), Vec::new());
    for (name, node) in root.required("input_features", "an object of features")?.members()? {
        let feature = FeatureSpec::read(name, &node)?;
        match (feature.kind, name) {
            (FeatureType::Visual, _)
            | (FeatureType::State, "observation.state")
            | (FeatureType::Environment, "observation.environment_state") => used.push(feature),
            (FeatureType::State, _) => {
                warnings.push(format!("config.json: input {name} is ignored, as {policy} does"));
                ignored.push(name.to_owned());
            }
            (FeatureType::Environment, _) => {
                let needed = "observation.environment_state as the only feature of type ENV";
                return Err(node.refuse(needed).into());
            }
            (FeatureType::Action, _) => {
                return Err(node.refuse("an input of type STATE, ENV or VISUAL").into());
            }
        }
    }
    Ok((used, ignored))
}

fn action(
    root: &Node<'_>,
    policy: &str,
    warnings: &mut Vec<String>,
) -> Result<FeatureSpec, ConfigError> {
    let outputs = root.required("output_features", "an object with the feature action")?;
    for (name, _) in outputs.members()?.iter().filter(|(name, _)| *name != "action") {
        warnings.push(format!("config.json: output {} is ignored, as {policy} does", quote(name)));
    }
    let node = outputs.required("action", "a feature of type ACTION")?;
    let feature = FeatureSpec::read("action", &node)?;
    if feature.kind == FeatureType::Action {
        Ok(feature)
    } else {
        Err(node.refuse("a feature of type ACTION").into())
    }
}
