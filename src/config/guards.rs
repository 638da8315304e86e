//! Guards name something that the robot measures, and leave it room.

use sinew_firmware_interfaces::RobotDescription;

use super::Loaded;
use super::error::Problem;
use super::mapping::did_you_mean;
use super::suggest::closest;
use super::tree::{child, number, quoted};
use crate::supervision::Watched;

/// Checks `supervision.guards`.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    for (name, said) in &loaded.config.supervision.guards {
        let key = child("supervision.guards", name);
        if Watched::find(name, robot).is_none() {
            let known: Vec<String> = Watched::names(robot).collect();
            let near = closest(name, known.iter().map(String::as_str));
            let message = format!(
                "the {} does not measure {}{} It measures {}",
                robot.model,
                quoted(name),
                did_you_mean(near),
                if known.is_empty() {
                    "nothing beside positions".to_owned()
                } else {
                    known.join(", ")
                }
            );
            problems.push(loaded.problem(&key, message));
        }
        match (said.min, said.max) {
            (None, None) => {
                let message = "it bounds nothing. Set min or max, or remove it";
                problems.push(loaded.problem(&key, message));
            }
            (Some(min), Some(max)) if min >= max => {
                let message = format!("min = {} is not below max = {}", number(min), number(max));
                problems.push(loaded.problem(&key, message));
            }
            _ => {}
        }
    }
}
