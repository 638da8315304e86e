//! The mapping between policy features and the robot: every element has a joint of a fitting kind,
//! every joint has somebody who drives it, every image has a camera.

use std::collections::BTreeMap;

use sinew_firmware_interfaces::{JointKind, RobotDescription};

use super::Loaded;
use super::error::Problem;
use super::limits::kind_word;
use super::schema::{CameraConfig, ElementConfig, ElementUnit, PolicyConfig};
use super::suggest::closest;
use super::tree::{child, element, number, quoted};

/// Checks `policy.state`, `policy.action`, `policy.hold` and `policy.images`.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let Some(policy) = &loaded.config.policy else { return };
    check_elements(loaded, robot, "policy.state", &policy.state, problems);
    check_elements(loaded, robot, "policy.action", &policy.action, problems);
    check_drives(loaded, policy, robot, problems);
    check_images(loaded, policy, problems);
}

fn check_elements(
    loaded: &Loaded,
    robot: &RobotDescription,
    list: &str,
    elements: &[ElementConfig],
    problems: &mut Vec<Problem>,
) {
    for (index, said) in elements.iter().enumerate() {
        let place = element(list, index);
        let key = child(&place, "joint");
        let Some(joint) = robot.joints.iter().find(|joint| joint.name == said.joint) else {
            problems.push(unknown_joint(loaded, robot, &key, &said.joint));
            continue;
        };
        let (fits, units) = match joint.kind {
            JointKind::Revolute => {
                (matches!(said.unit, ElementUnit::Rad | ElementUnit::Deg), "\"rad\" or \"deg\"")
            }
            JointKind::Gripper => (
                matches!(said.unit, ElementUnit::Percent | ElementUnit::Fraction),
                "\"percent\" or \"fraction\"",
            ),
            JointKind::Prismatic => (false, "none yet"),
        };
        if !fits {
            problems.push(Problem::OutOfRange {
                at: loaded.place(&child(&place, "unit")),
                key: child(&place, "unit"),
                value: format!("\"{}\"", unit_word(said.unit)),
                allowed: format!("{units} for the {} joint {}", kind_word(joint.kind), joint.name),
                remedy: "Use the unit that the checkpoint was trained with".to_owned(),
            });
        }
    }
}

/// Every joint is driven by one action or held on purpose, not both and not twice.
fn check_drives(
    loaded: &Loaded,
    policy: &PolicyConfig,
    robot: &RobotDescription,
    problems: &mut Vec<Problem>,
) {
    let mut driven: BTreeMap<&str, String> = BTreeMap::new();
    for (index, said) in policy.action.iter().enumerate() {
        let key = child(&element("policy.action", index), "joint");
        if let Some(first) = driven.get(said.joint.as_str()) {
            let message = format!(
                "{} is driven by {first} ({}) already. A joint takes one action",
                said.joint,
                loaded.place(first)
            );
            problems.push(loaded.problem(&key, message));
        } else {
            driven.insert(&said.joint, key);
        }
    }
    let mut held: BTreeMap<&str, String> = BTreeMap::new();
    for (index, joint) in policy.hold.iter().enumerate() {
        let key = element("policy.hold", index);
        if !robot.joints.iter().any(|known| known.name == *joint) {
            problems.push(unknown_joint(loaded, robot, &key, joint));
        } else if let Some(action) = driven.get(joint.as_str()) {
            let message = format!(
                "{joint} is driven by {action} ({}) as well. Remove it from one of the two",
                loaded.place(action)
            );
            problems.push(loaded.problem(&key, message));
        } else if held.insert(joint, key.clone()).is_some() {
            problems.push(loaded.problem(&key, format!("{joint} is listed twice. Remove one")));
        }
    }
    for joint in &robot.joints {
        if !driven.contains_key(joint.name.as_str()) && !held.contains_key(joint.name.as_str()) {
            let message = format!(
                "nothing drives {}. Give it an action, or list it in policy.hold if it shall keep \
                 its place",
                joint.name
            );
            problems.push(loaded.problem("policy.action", message));
        }
    }
}

fn check_images(loaded: &Loaded, policy: &PolicyConfig, problems: &mut Vec<Problem>) {
    let cameras = &loaded.config.cameras;
    let most = loaded.config.supervision.frame_max_age_ms;
    for (feature, camera) in &policy.images {
        let key = child("policy.images", feature);
        let Some(said) = cameras.get(camera) else {
            let names: Vec<_> = cameras.keys().map(String::as_str).collect();
            let near = closest(camera, names.iter().copied());
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            problems.push(loaded.problem(
                &key,
                format!(
                    "there is no camera {}{} Cameras: {known}. Add [cameras.NAME] or name one of \
                     these",
                    quoted(camera),
                    did_you_mean(near)
                ),
            ));
            continue;
        };
        let rate = match said {
            CameraConfig::Synthetic { rate_hz, .. } | CameraConfig::Replay { rate_hz, .. } => {
                *rate_hz
            }
        };
        let period = 1000.0 / rate;
        if period >= most {
            let rate_key = child(&child("cameras", camera), "rate_hz");
            problems.push(loaded.problem(
                &rate_key,
                format!(
                    "{} Hz is a frame every {} ms, but frames older than \
                     supervision.frame_max_age_ms = {} ms ({}) are refused: the policy would \
                     starve. Raise one of the two",
                    number(rate),
                    number((period * 10.0).round() / 10.0),
                    number(most),
                    loaded.place("supervision.frame_max_age_ms"),
                ),
            ));
        }
    }
}

/// A joint that the robot does not have.
pub(super) fn unknown_joint(
    loaded: &Loaded,
    robot: &RobotDescription,
    key: &str,
    name: &str,
) -> Problem {
    let names: Vec<_> = robot.joints.iter().map(|joint| joint.name.as_str()).collect();
    let near = closest(name, names.iter().copied());
    let mut message = format!(
        "the {} has no joint {}{} Its joints: {}",
        robot.model,
        quoted(name),
        did_you_mean(near),
        names.join(", ")
    );
    if name == "gripper" && !loaded.config.robot.gripper {
        message.push_str(&format!(
            ". It has a gripper with robot.gripper = true (now false: {})",
            loaded.place("robot.gripper")
        ));
    }
    loaded.problem(key, message)
}

pub(super) fn did_you_mean(near: Option<&str>) -> String {
    near.map_or(".".to_owned(), |near| format!("; did you mean `{near}`?"))
}

const fn unit_word(unit: ElementUnit) -> &'static str {
    match unit {
        ElementUnit::Rad => "rad",
        ElementUnit::Deg => "deg",
        ElementUnit::Percent => "percent",
        ElementUnit::Fraction => "fraction",
    }
}
