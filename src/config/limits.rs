//! From limits by name and kind to limits by joint, and the checks that go with it.

use sinew_firmware_interfaces::{JointDescription, JointKind, RobotDescription};

use super::error::Problem;
use super::keys::with_unit;
use super::schema::{Config, JointLimitsConfig};
use super::tree::{child, number};
use super::{ConfigError, Loaded, Origin};
use crate::limits::{EffortLimits, JointLimits};

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
/// [`Loaded::validate`] with the same robot has none.
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
    let margin = margin.unwrap_or(0.0);
    let effort = said.max_torque_nm.zip(said.max_torque_rate_nm_s);
    Some(JointLimits {
        position: [position[0] + margin, position[1] - margin],
        max_velocity,
        max_acceleration,
        max_jerk: jerk.unwrap_or(DEFAULT_JERK_FACTOR * max_acceleration),
        max_step: step.unwrap_or(DEFAULT_STEP_FACTOR * max_velocity / config.run.rate_hz),
        barrier: None,
        effort: effort.map(|(max, max_rate)| EffortLimits { max, max_rate }),
    })
}

/// The keys of a kind of joint: position, velocity, acceleration, step.
const fn key_names(kind: JointKind) -> Option<[&'static str; 4]> {
    match kind {
        JointKind::Revolute => {
            Some(["position_rad", "max_velocity_rad_s", "max_acceleration_rad_s2", "max_step_rad"])
        }
        JointKind::Gripper => {
            Some(["opening", "max_slew_per_s", "max_slew_change_per_s2", "max_step"])
        }
        JointKind::Prismatic => None,
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
    match key_names(kind) {
        Some([position, velocity, acceleration, _]) => {
            format!("a table with {position}, {velocity}, {acceleration}")
        }
        None => "a joint that limits can be written for: prismatic joints have no keys yet".into(),
    }
}

/// The name of the step's key for this joint, for the table of effective values.
pub(super) fn step_key(said: &JointLimitsConfig) -> Option<(&'static str, f64)> {
    match (said.max_velocity_rad_s, said.max_slew_per_s) {
        (Some(velocity), None) if said.max_step_rad.is_none() => {
            Some(("max_step_rad", DEFAULT_STEP_FACTOR * velocity))
        }
        (None, Some(slew)) if said.max_step.is_none() => {
            Some(("max_step", DEFAULT_STEP_FACTOR * slew))
        }
        _ => None,
    }
}

/// Checks the limits of one joint against its kind, the device and the loop's rate.
pub(super) fn check_joint(
    loaded: &Loaded,
    joint: &JointDescription,
    said: &JointLimitsConfig,
    problems: &mut Vec<Problem>,
) {
    let table = child("limits", &joint.name);
    let Some(names) = key_names(joint.kind) else {
        problems.push(loaded.problem(&table, needed(joint.kind)));
        return;
    };
    check_kind(loaded, joint, said, &names, &table, problems);
    let Some(limits) = resolve(said, joint, &loaded.config) else { return };

    let [position_key, velocity_key, acceleration_key, step_key] =
        names.map(|name| child(&table, name));
    let unit = display_unit(joint.kind);
    let per_s = format!("{unit}/s");
    let per_s2 = format!("{unit}/s²");
    let device = &joint.limits;

    let [low, high] = limits.position;
    if low < *device.position.start() || high > *device.position.end() {
        problems.push(Problem::OutOfRange {
            at: loaded.place(&position_key),
            key: position_key,
            value: with_unit(&format!("[{}, {}]", number(low), number(high)), unit),
            allowed: range_words(*device.position.start(), *device.position.end(), unit),
            remedy: format!("The {} cannot go further: narrow it", joint.name),
        });
    }
    let mut check_most = |key: &String, value: f64, most: f64, unit: &str| {
        if value > most {
            problems.push(Problem::OutOfRange {
                at: loaded.place(key),
                key: key.clone(),
                value: with_unit(&number(value), unit),
                allowed: with_unit(&format!("above 0, up to {}", number(rounded_down(most))), unit),
                remedy: "The device cannot do more: lower it".to_owned(),
            });
        }
    };
    check_most(&velocity_key, limits.max_velocity, device.max_velocity, &per_s);
    if let Some(most) = device.max_acceleration {
        check_most(&acceleration_key, limits.max_acceleration, most, &per_s2);
    }

    let rate = loaded.config.run.rate_hz;
    let least = limits.max_velocity / rate;
    // The product of a rounded decimal and a rate may fall short by its last digit.
    if limits.max_step < least * (1.0 - 1e-9) {
        problems.push(loaded.problem(
            &step_key,
            format!(
                "{} per cycle at run.rate_hz = {} ({}) stops the joint short of {} = {} ({}). \
                 Raise {} to {} or more, or lower {}",
                with_unit(&number(limits.max_step), unit),
                number(rate),
                loaded.place("run.rate_hz"),
                velocity_key,
                with_unit(&number(limits.max_velocity), &per_s),
                loaded.place(&velocity_key),
                names[3],
                with_unit(&number(least), unit),
                names[1],
            ),
        ));
    }
}

/// The keys of this joint's kind are there and those of other kinds are not.
fn check_kind(
    loaded: &Loaded,
    joint: &JointDescription,
    said: &JointLimitsConfig,
    names: &[&str; 4],
    table: &str,
    problems: &mut Vec<Problem>,
) {
    let present = [
        ("position_rad", said.position_rad.is_some()),
        ("max_velocity_rad_s", said.max_velocity_rad_s.is_some()),
        ("max_acceleration_rad_s2", said.max_acceleration_rad_s2.is_some()),
        ("max_step_rad", said.max_step_rad.is_some()),
        ("opening", said.opening.is_some()),
        ("max_slew_per_s", said.max_slew_per_s.is_some()),
        ("max_slew_change_per_s2", said.max_slew_change_per_s2.is_some()),
        ("max_step", said.max_step.is_some()),
    ];
    for (name, said) in present {
        let key = child(table, name);
        if said && !names.contains(&name) {
            let message = format!(
                "{} is a {} joint, whose limits are {}. Use those keys",
                joint.name,
                kind_word(joint.kind),
                names.join(", ")
            );
            problems.push(loaded.problem(&key, message));
        }
        // The last one, the step, has a default.
        if !said && names[..3].contains(&name) {
            problems.push(Problem::Missing {
                at: loaded.place(&key),
                key,
                meaning: "Nothing runs without limits.".to_owned(),
                needed: format!("{} for a {} joint", names[..3].join(", "), kind_word(joint.kind)),
            });
        }
    }
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
fn rounded_down(value: f64) -> f64 {
    (value * 1e4 + 1e-6).floor() / 1e4
}
