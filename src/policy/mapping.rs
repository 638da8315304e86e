//! Between a policy's features and a robot's joints: names, order, unit, sign, scale, offset.
//!
//! `policy value = sign * scale * (joint position in unit) + offset`.

use sinew_firmware_interfaces::{JointKind, MAX_JOINTS, RobotDescription, State};
use sinew_models::{FeatureKind, PolicyDescription};

use crate::config::{ElementConfig, ElementUnit, PolicyConfig};

/// Why a policy does not fit a robot; [`key`](MappingError::key) is the configuration key to change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MappingError {
    /// Another number of elements than the checkpoint has.
    #[error(
        "{given} elements are mapped, the checkpoint's {feature} has {needed}. \
         List exactly {needed}, in the checkpoint's order"
    )]
    Count {
        /// `state` or `action`.
        key: &'static str,
        /// Feature name.
        feature: String,
        /// Elements in the configuration.
        given: usize,
        /// Elements in the checkpoint.
        needed: usize,
    },
    /// A joint that the robot does not have.
    #[error("the robot has no joint `{joint}`")]
    Joint {
        /// `state` or `action`.
        key: &'static str,
        /// Position in the list.
        index: usize,
        /// The name.
        joint: String,
    },
    /// A unit that does not fit the joint.
    #[error("joint `{joint}` is measured in {fits}")]
    Unit {
        /// `state` or `action`.
        key: &'static str,
        /// Position in the list.
        index: usize,
        /// The joint.
        joint: String,
        /// Units that fit.
        fits: &'static str,
    },
    /// An image feature without a camera.
    #[error("the checkpoint needs a camera for `{feature}` ({width}x{height})")]
    NoCamera {
        /// Feature name.
        feature: String,
        /// Width the checkpoint was trained with.
        width: usize,
        /// Height the checkpoint was trained with.
        height: usize,
    },
    /// A mapped feature that the checkpoint does not have.
    #[error("the checkpoint has no image feature `{feature}`; it has {known}")]
    UnknownImage {
        /// Feature name.
        feature: String,
        /// The checkpoint's image features.
        known: String,
    },
    /// A camera that delivers another size than the checkpoint was trained with.
    #[error(
        "camera `{camera}` delivers {width}x{height}, `{feature}` was trained with \
         {needed_width}x{needed_height}. Set the camera to that size: images are not resized"
    )]
    ImageSize {
        /// Camera name.
        camera: String,
        /// Feature name.
        feature: String,
        /// Width delivered.
        width: usize,
        /// Height delivered.
        height: usize,
        /// Width needed.
        needed_width: usize,
        /// Height needed.
        needed_height: usize,
    },
    /// An input that nothing on this robot can feed.
    #[error("the checkpoint needs `{feature}` ({size} values): nothing on this robot provides it")]
    Unfed {
        /// Feature name.
        feature: String,
        /// Its size.
        size: usize,
    },
    /// A joint that neither an action nor `hold` names.
    #[error(
        "nothing drives joint `{joint}`. Map an action to it or list it in \
         policy.hold"
    )]
    Undriven {
        /// The joint.
        joint: String,
    },
}

impl MappingError {
    /// The configuration key the error is about.
    pub fn key(&self) -> String {
        match self {
            Self::Count { key, .. } => format!("policy.{key}"),
            Self::Joint { key, index, .. } | Self::Unit { key, index, .. } => {
                format!("policy.{key}[{index}]")
            }
            Self::NoCamera { .. } | Self::UnknownImage { .. } => "policy.images".to_owned(),
            Self::ImageSize { camera, .. } => format!("cameras.{camera}"),
            Self::Unfed { .. } => "policy.path".to_owned(),
            Self::Undriven { .. } => "policy.action".to_owned(),
        }
    }
}

/// One element, ready to compute with.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Element {
    joint: usize,
    factor: f64,
    offset: f64,
}

impl Element {
    fn new(
        key: &'static str,
        index: usize,
        element: &ElementConfig,
        robot: &RobotDescription,
    ) -> Result<Self, MappingError> {
        let joint = robot
            .joints
            .iter()
            .position(|joint| joint.name == element.joint)
            .ok_or_else(|| MappingError::Joint { key, index, joint: element.joint.clone() })?;
        let (fits, per_unit) = match (robot.joints[joint].kind, element.unit) {
            (JointKind::Revolute, ElementUnit::Rad) => ("rad or deg", Some(1.0)),
            (JointKind::Revolute, ElementUnit::Deg) => ("rad or deg", Some(1f64.to_degrees())),
            (JointKind::Gripper, ElementUnit::Fraction) => ("percent or fraction", Some(1.0)),
            (JointKind::Gripper, ElementUnit::Percent) => ("percent or fraction", Some(100.0)),
            (JointKind::Revolute, _) => ("rad or deg", None),
            (JointKind::Gripper, _) => ("percent or fraction", None),
            (JointKind::Prismatic, _) => ("m, which no policy unit covers yet", None),
        };
        let per_unit = per_unit.ok_or_else(|| MappingError::Unit {
            key,
            index,
            joint: element.joint.clone(),
            fits,
        })?;
        let factor = f64::from(element.sign) * element.scale * per_unit;
        Ok(Self { joint, factor, offset: element.offset })
    }
}

/// The mapping of one policy to one robot.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    state: Vec<Element>,
    action: Vec<Element>,
    cameras: Vec<String>,
}

impl Mapping {
    /// Checks that configuration, checkpoint and robot fit together, element by element.
    /// `camera_size` gives the width and height a configured camera delivers.
    ///
    /// # Errors
    /// Every misfit, not only the first.
    pub fn new(
        config: &PolicyConfig,
        robot: &RobotDescription,
        policy: &PolicyDescription,
        camera_size: impl Fn(&str) -> Option<(usize, usize)>,
    ) -> Result<Self, Vec<MappingError>> {
        let mut errors = Vec::new();
        let mut mapping = Self { state: Vec::new(), action: Vec::new(), cameras: Vec::new() };
        let mut elements = |key, list: &[ElementConfig], feature: &str, needed| {
            if list.len() != needed {
                let (feature, given) = (feature.to_owned(), list.len());
                errors.push(MappingError::Count { key, feature, given, needed });
            }
            let mut mapped = Vec::new();
            for (index, element) in list.iter().enumerate() {
                match Element::new(key, index, element, robot) {
                    Ok(element) => mapped.push(element),
                    Err(error) => errors.push(error),
                }
            }
            mapped
        };
        let size = |kind| {
            policy
                .inputs
                .iter()
                .filter(|feature| feature.kind == kind)
                .map(|feature| feature.shape.iter().product::<usize>())
                .sum()
        };
        mapping.state =
            elements("state", &config.state, "observation.state", size(FeatureKind::State));
        mapping.action = elements("action", &config.action, "action", policy.action_size);

        let images: Vec<_> =
            policy.inputs.iter().filter(|feature| feature.kind == FeatureKind::Visual).collect();
        for feature in &policy.inputs {
            if feature.kind == FeatureKind::Environment {
                let size = feature.shape.iter().product();
                errors.push(MappingError::Unfed { feature: feature.name.clone(), size });
            }
        }
        for feature in &images {
            let [_, height, width] = feature.shape[..] else { continue };
            let camera = config.images.get(&feature.name);
            match camera.and_then(|camera| Some((camera, camera_size(camera)?))) {
                None => errors.push(MappingError::NoCamera {
                    feature: feature.name.clone(),
                    width,
                    height,
                }),
                Some((camera, given)) if given != (width, height) => {
                    errors.push(MappingError::ImageSize {
                        camera: camera.clone(),
                        feature: feature.name.clone(),
                        width: given.0,
                        height: given.1,
                        needed_width: width,
                        needed_height: height,
                    });
                }
                Some((camera, _)) => mapping.cameras.push(camera.clone()),
            }
        }
        for feature in config.images.keys() {
            if !images.iter().any(|image| image.name == *feature) {
                let known: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                errors.push(MappingError::UnknownImage { feature: feature.clone(), known });
            }
        }
        for (index, joint) in robot.joints.iter().enumerate() {
            let driven = mapping.action.iter().any(|element| element.joint == index);
            if !driven && !config.hold.contains(&joint.name) {
                errors.push(MappingError::Undriven { joint: joint.name.clone() });
            }
        }
        if errors.is_empty() { Ok(mapping) } else { Err(errors) }
    }

    /// Joints that an action drives, as a bit set.
    pub fn driven(&self) -> u32 {
        self.action.iter().fold(0, |set, element| set | 1 << element.joint)
    }

    /// Camera names in the order of the checkpoint's image features.
    pub fn cameras(&self) -> &[String] {
        &self.cameras
    }

    /// Joints behind the state vector, as a bit set.
    pub fn observed(&self) -> u32 {
        self.state.iter().fold(0, |set, element| set | 1 << element.joint)
    }

    /// Writes the policy's state vector.
    pub fn observe(&self, state: &State, vector: &mut Vec<f32>) {
        vector.clear();
        vector.extend(self.state.iter().map(|element| {
            (element.factor * state.position[element.joint] + element.offset) as f32
        }));
    }

    /// One action as joint positions; joints without an action stay `NaN` and are never read.
    pub fn act(&self, action: &[f32]) -> [f64; MAX_JOINTS] {
        let mut positions = [f64::NAN; MAX_JOINTS];
        for (element, value) in self.action.iter().zip(action) {
            positions[element.joint] = (f64::from(*value) - element.offset) / element.factor;
        }
        positions
    }
}
