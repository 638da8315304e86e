//! From limits by name and kind to limits by joint.

mod check;

use sinew_firmware_interfaces::{JointDescription, JointKind, RobotDescription};

use super::error::Problem;
use super::keys::with_unit;
use super::schema::{Config, JointLimitsConfig};
use super::tree::{child, number};
use super::{ConfigError, Origin};
use crate::limits::{EffortLimits, JointLimits};

pub(super) use check::{check_joint, stopping_time};

/// Default of the largest step, as a multiple of the way a joint goes in one cycle at full speed:
/// room for a cycle that comes late, none for a jump.
const DEFAULT_STEP_FACTOR: f64 = 1.5;

/// Default of the largest jerk, as a multiple of the largest acceleration, per s: full acceleration
/// is reached in 50 ms.
const DEFAULT_JERK_FACTOR: f64 = 20.0;

/// The limits of every joint, in the robot's order.
///
/// # Errors
/// The joints that have no complete limits of their kind. A configuration that passed
/// [`Loaded::validate`](super::Loaded::validate) with the same robot has none.
pub fn resolve_limits(
    config: &Config,
    robot: &RobotDescription,
) -> Result<Vec<JointLimits>, ConfigError> {
    let mut resolved = Vec::with_capacity(robot.joints.len());
    let mut problems = Vec::new();
    for joint in &robot.joints {
        match config.limits.get(&joint.name).and_then(|said| resolve(said, joint, config)) {
            Some(limits) => resolved.push(limits),
            None => problems.push(missing(Origin::Default, joint)),
        }
    }
    if problems.is_empty() { Ok(resolved) } else { Err(ConfigError::sorted(problems)) }
}

fn resolve(
    said: &JointLimitsConfig,
    joint: &JointDescription,
    config: &Config,
) -> Option<JointLimits> {
    let (position, margin, max_velocity, max_acceleration, jerk, step) = match joint.kind {
        JointKind::Revolute => (
            said.position_rad?,
            said.margin_rad,
            said.max_velocity_rad_s?,
            said.max_acceleration_rad_s2?,
            said.max_jerk_rad_s3,
            said.max_step_rad,
        ),
        JointKind::Gripper => (
            said.opening?,
            said.margin,
            said.max_slew_per_s?,
            said.max_slew_change_per_s2?,
            said.max_slew_jerk_per_s3,
            said.max_step,
        ),
        JointKind::Prismatic => return None,
    };
    let effort = said.max_torque_nm.zip(said.max_torque_rate_nm_s);
    Some(JointLimits {
        position: inset(position, margin),
        max_velocity,
        max_acceleration,
        max_jerk: jerk.unwrap_or_else(|| default_jerk(max_acceleration)),
        max_step: step.unwrap_or_else(|| default_step(max_velocity, config.run.rate_hz)),
        barrier: joint.limits.velocity_barrier,
        effort: effort.map(|(max, max_rate)| EffortLimits { max, max_rate }),
    })
}

/// The positions that are commanded: the range of the joint's kind less its margin at both ends;
/// `None` where that is not said or leaves nothing.
pub(super) fn commanded_range(
    said: &JointLimitsConfig,
    joint: &JointDescription,
) -> Option<[f64; 2]> {
    let (range, margin) = match joint.kind {
        JointKind::Revolute => (said.position_rad?, said.margin_rad),
        JointKind::Gripper => (said.opening?, said.margin),
        JointKind::Prismatic => return None,
    };
    Some(inset(range, margin)).filter(|[low, high]| low < high)
}

fn inset([low, high]: [f64; 2], margin: Option<f64>) -> [f64; 2] {
    let margin = margin.unwrap_or(0.0);
    [low + margin, high - margin]
}

/// The keys of a kind of joint.
pub(super) struct Keys {
    /// Nothing runs without these: position, speed, acceleration.
    pub required: [&'static str; 3],
    pub jerk: &'static str,
    pub step: &'static str,
    pub margin: &'static str,
    /// Largest torque and largest change of torque, where the joint takes torques.
    pub torque: &'static [&'static str],
}

const REVOLUTE: Keys = Keys {
    required: ["position_rad", "max_velocity_rad_s", "max_acceleration_rad_s2"],
    jerk: "max_jerk_rad_s3",
    step: "max_step_rad",
    margin: "margin_rad",
    torque: &["max_torque_nm", "max_torque_rate_nm_s"],
};

const GRIPPER: Keys = Keys {
    required: ["opening", "max_slew_per_s", "max_slew_change_per_s2"],
    jerk: "max_slew_jerk_per_s3",
    step: "max_step",
    margin: "margin",
    torque: &[],
};

impl Keys {
    /// The keys of a joint of this kind; `None` where there are none yet.
    pub(super) const fn of(kind: JointKind) -> Option<&'static Self> {
        match kind {
            JointKind::Revolute => Some(&REVOLUTE),
            JointKind::Gripper => Some(&GRIPPER),
            JointKind::Prismatic => None,
        }
    }

    /// Every one of them.
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let more = [self.jerk, self.step, self.margin];
        self.required.into_iter().chain(more).chain(self.torque.iter().copied())
    }
}

/// A joint without limits, or without all of them.
pub(super) fn missing(at: Origin, joint: &JointDescription) -> Problem {
    Problem::Missing {
        at,
        key: child("limits", &joint.name),
        meaning: "Every joint needs limits; nothing runs without them.".to_owned(),
        needed: needed(joint.kind),
    }
}

fn needed(kind: JointKind) -> String {
    match Keys::of(kind) {
        Some(keys) => format!("a table with {}", keys.required.join(", ")),
        None => "a joint that limits can be written for: prismatic joints have no keys yet".into(),
    }
}

/// What stands in for a key that was left out, for the table of effective values; `None` for keys
/// that have no default with what was said.
pub(super) fn derived(said: &JointLimitsConfig, key: &str, rate_hz: f64) -> Option<f64> {
    match key {
        "max_step_rad" => said.max_velocity_rad_s.map(|speed| default_step(speed, rate_hz)),
        "max_step" => said.max_slew_per_s.map(|speed| default_step(speed, rate_hz)),
        "max_jerk_rad_s3" => said.max_acceleration_rad_s2.map(default_jerk),
        "max_slew_jerk_per_s3" => said.max_slew_change_per_s2.map(default_jerk),
        "margin_rad" => said.position_rad.and(Some(0.0)),
        "margin" => said.opening.and(Some(0.0)),
        _ => None,
    }
}

fn default_step(speed: f64, rate_hz: f64) -> f64 {
    DEFAULT_STEP_FACTOR * speed / rate_hz
}

fn default_jerk(acceleration: f64) -> f64 {
    DEFAULT_JERK_FACTOR * acceleration
}

/// The kind of a joint in words.
pub(super) const fn kind_word(kind: JointKind) -> &'static str {
    match kind {
        JointKind::Revolute => "revolute",
        JointKind::Prismatic => "prismatic",
        JointKind::Gripper => "gripper",
    }
}

/// The unit of a joint's position as messages show it.
pub(super) const fn display_unit(kind: JointKind) -> &'static str {
    match kind {
        JointKind::Gripper => "opening",
        other => other.unit(),
    }
}

/// A range in words. The device's own ends are conversions from degrees: they are rounded, and
/// inwards, so that what is shown is allowed.
pub(super) fn range_words(low: f64, high: f64, unit: &str) -> String {
    with_unit(&format!("{} to {}", number(-rounded_down(-low)), number(rounded_down(high))), unit)
}

/// Four decimals, not above `value` by more than the error of a product.
pub(super) fn rounded_down(value: f64) -> f64 {
    (value * 1e4 + 1e-6).floor() / 1e4
}
