//! From targets to commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[target]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// What makes motion at the loop's rate out of targets.
    pub generator: Generator,
    /// The generator's speed, acceleration and jerk, as a fraction of the limits: above 0, below 1.
    pub fraction: f64,
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self { generator: Generator::default(), fraction: 0.95 }
    }
}

/// `target.generator`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generator {
    /// The fastest motion inside speed, acceleration and jerk that follows the target.
    #[default]
    JerkLimited,
    /// Straight lines between targets: the limits behind it make what they can of the corners.
    Linear,
}

/// `[actuation]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActuationConfig {
    /// What turns a position into a command.
    pub model: Actuator,
    /// Gains by joint name, for `model = "pd"`.
    pub gains: BTreeMap<String, GainsConfig>,
}

/// `actuation.model`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actuator {
    /// The robot takes positions.
    #[default]
    Position,
    /// The robot takes torques, which a proportional and derivative law makes of positions.
    Pd,
}

/// `[actuation.gains.JOINT]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainsConfig {
    /// Torque per position error, in N·m/rad.
    pub stiffness_nm_rad: f64,
    /// Torque per velocity error, in N·m·s/rad.
    pub damping_nm_s_rad: f64,
}
