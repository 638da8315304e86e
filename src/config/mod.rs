//! Configuration: TOML files, `extends`, `--set`, validation, and effective values with their
//! origin.
//!
//! [`load`] reads a file with all that it extends, puts the overrides on top and checks every key,
//! type and range. [`Loaded::validate`] then holds the result against the robot. Both collect
//! everything that is wrong before they return.
//!
//! The keys themselves are described in `docs/configuration.md`.

mod actuation;
pub(crate) mod can;
mod draws;
mod error;
mod excitation;
mod explain;
pub(crate) mod franka;
mod guards;
mod keys;
mod law;
mod limits;
mod mapping;
pub(crate) mod rig;
mod schema;
mod shape;
mod source;
mod suggest;
mod table;
mod timing;
mod tree;
mod validate;
mod workspace;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

pub use error::{ConfigError, Origin, Problem};
pub(crate) use law::MOST_JOINTS;
pub use limits::resolve_limits;
pub(crate) use schema::law::franka as franka_gains;
pub use schema::{
    ActuationConfig, Actuator, ActuatorConfig, ArmLawConfig, AtRest, CameraConfig, CanConfig,
    CartesianImpedanceConfig, CartesianPidConfig, ClockKind, Config, ElementConfig, ElementUnit,
    EmulatorConfig, ExcitationConfig, Execution, FrankaArm, FrankaConfig, GainsConfig, Generator,
    GuardConfig, GuidingConfig, JointImpedanceConfig, JointLimitsConfig, JointPidConfig,
    MotorConfig, OperationalSpaceConfig, OverrunConfig, OverrunPolicy, Pace, PayloadConfig,
    PerJoint, PolicyConfig, RealtimeConfig, RealtimeMode, RecordingConfig, RestConfig, RigAxis,
    RigConfig, RigDrive, RigProtocol, RobotConfig, RobotModel, RunConfig, SignalConfig,
    SupervisionConfig, Sweep, TargetConfig, WorkspaceConfig,
};

/// Where every value of a configuration was said, by key path: `run.rate_hz`,
/// `policy.state[2].joint`, `policy.images."observation.images.top"`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins {
    said: BTreeMap<String, Origin>,
}

impl Origins {
    /// Where `key` was said; [`Origin::Default`] where nobody said it.
    pub fn of(&self, key: &str) -> Origin {
        self.said.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Every key path that was said, with its origin, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.said.iter().map(|(key, origin)| (key.as_str(), origin))
    }

    /// Where `key` was said, or else the table or list around it.
    pub fn nearest(&self, key: &str) -> Option<Origin> {
        let mut key = Some(key);
        while let Some(path) = key {
            if let Some(origin) = self.said.get(path) {
                return Some(origin.clone());
            }
            key = tree::parent(path);
        }
        None
    }
}

/// A configuration whose keys, types and ranges are in order.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values. Paths are absolute.
    pub config: Config,
    /// Where each of them was said.
    pub origins: Origins,
    /// The file that was asked for, as it was asked for.
    pub path: PathBuf,
    /// Every file that was read, the one that was asked for first.
    pub files: Vec<PathBuf>,
    /// `config` as TOML. Made at once, because only then its failure is a problem of the file.
    effective: toml::Value,
    /// The same as text.
    effective_text: String,
}

impl Loaded {
    /// A problem with the value at `key`, for checks that need to know more than the
    /// configuration: its message begins with the file and line of `key`, or of the table around
    /// it. `message` says what is wrong and what to do about it.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem::Invalid { at: self.place(key), key: key.to_owned(), message: message.into() }
    }

    /// Several of them at once: key paths with messages.
    pub fn problems<K: AsRef<str>, M: Into<String>>(
        &self,
        problems: impl IntoIterator<Item = (K, M)>,
    ) -> ConfigError {
        let problems = problems.into_iter();
        ConfigError::sorted(
            problems.map(|(key, message)| self.problem(key.as_ref(), message)).collect(),
        )
    }

    /// Keys that were said and that other values make void: validation refuses them. Whoever changes
    /// a configuration that cannot be edited, such as a journal's, takes them out with
    /// [`Layer::Without`].
    pub fn void_keys(&self) -> Vec<&'static str> {
        let Config { robot, actuation, policy, .. } = &self.config;
        let execution = policy.as_ref().map(|policy| policy.execution);
        let keys = [
            ("robot.joints", robot.model != RobotModel::Mock),
            ("robot.rig", robot.model != RobotModel::Rig),
            ("robot.can", robot.model != RobotModel::Can),
            ("robot.actuators", robot.model != RobotModel::Can),
            ("robot.franka", robot.model != RobotModel::Franka),
            ("emulator.drive", robot.model != RobotModel::Rig),
            ("emulator.patience_ms", robot.model != RobotModel::Franka),
            ("emulator.payload_kg", robot.model != RobotModel::Franka),
            ("actuation.gains", actuation.model != Actuator::Pd),
            ("actuation.motors", actuation.model != Actuator::Pd),
            ("actuation.delay_ms", actuation.model != Actuator::Pd),
            ("actuation.path", actuation.model != Actuator::Network),
            ("policy.ensemble_coefficient", execution != Some(Execution::Ensemble)),
            ("policy.inference_period_ms", execution == Some(Execution::Queue)),
            ("policy.warm_start", execution == Some(Execution::Queue)),
            ("policy.inpaint", execution == Some(Execution::Queue)),
        ];
        let laws = law::void(actuation).into_iter().map(|(key, _)| key);
        keys.into_iter().filter(|(_, void)| *void).map(|(key, _)| key).chain(laws).collect()
    }

    /// Where a reader should look for `key`.
    fn place(&self, key: &str) -> Origin {
        self.origins
            .nearest(key)
            .unwrap_or_else(|| Origin::Document { file: Arc::from(self.path.as_path()) })
    }
}

/// Reads `path`, all that it extends, and `overrides` (`KEY=VALUE`, as `--set` takes them; the
/// later wins).
///
/// # Errors
/// [`ConfigError`] with every problem found: files that cannot be read, syntax, `extends` in a
/// circle, unknown and missing keys, wrong types, values out of range.
pub fn load(path: &Path, overrides: &[String]) -> Result<Loaded, ConfigError> {
    load_layers(path, &[Layer::File(path)], overrides)
}

/// One part of a configuration; a later one goes over the ones before.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A file with all that it extends.
    File(&'a Path),
    /// TOML without a file, by the name that messages give it. It extends nothing; relative paths
    /// in it belong to that name's folder.
    Text(&'a Path, &'a str),
    /// Key paths that are taken out again, in dotted form.
    Without(&'a [&'a str]),
}

/// As [`load`], from several layers. `path` is the name of the whole.
///
/// # Errors
/// As [`load`].
pub fn load_layers(
    path: &Path,
    parts: &[Layer<'_>],
    overrides: &[String],
) -> Result<Loaded, ConfigError> {
    let mut reader = source::Reader::default();
    let mut merged: Option<tree::Node> = None;
    for part in parts {
        let node = match part {
            Layer::File(path) => reader.read(path, None),
            Layer::Text(name, text) => reader.text_layer(name, text),
            Layer::Without(keys) => {
                if let Some(merged) = &mut merged {
                    keys.iter().for_each(|key| merged.remove(key));
                }
                continue;
            }
        };
        match (&mut merged, node) {
            (Some(base), Some(layer)) => base.merge(layer),
            (merged, node) => *merged = node,
        }
    }
    let source::Reader { mut problems, files, .. } = reader;
    let mut layers = Vec::new();
    for text in overrides {
        match source::parse_override(text) {
            Ok(layer) => layers.push(layer),
            Err(reason) => problems.push(Problem::Override { text: text.clone(), reason }),
        }
    }
    // Without one of its files a configuration has holes that are nobody's mistake.
    let whole = problems.iter().all(|it| matches!(it, Problem::Override { .. }));
    let Some(mut root) = merged.filter(|_| whole) else {
        return Err(ConfigError::sorted(problems));
    };
    for layer in layers {
        root.merge(layer);
    }
    shape::check(&mut root, &table::ROOT, "", "", &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError::sorted(problems));
    }

    let mut origins = Origins::default();
    root.visit("", &mut |key, origin| {
        if !key.is_empty() {
            origins.said.insert(key.to_owned(), origin.clone());
        }
    });
    let unfit = |reason: String| Problem::Invalid {
        at: Origin::Document { file: Arc::from(path) },
        key: "(whole file)".to_owned(),
        message: reason.trim().replace('\n', "; "),
    };
    let mut config =
        Config::deserialize(root.to_toml()).map_err(|error| unfit(error.to_string()))?;
    draws::draw(&mut config);
    let effective = toml::Value::try_from(&config).map_err(|error| unfit(error.to_string()))?;
    let effective_text = toml::to_string(&config).map_err(|error| unfit(error.to_string()))?;
    let path = path.to_owned();
    Ok(Loaded { config, origins, path, files, effective, effective_text })
}
