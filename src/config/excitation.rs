//! Who says where the arm goes: a policy or an excitation; and whether the excitation fits.

use sinew_firmware_interfaces::{JointKind, RobotDescription};

use super::Loaded;
use super::error::Problem;
use super::keys::with_unit;
use super::limits::{kind_word, range_words};
use super::mapping::unknown_joint;
use super::tree::{child, element, number};

/// Checks that there is one source of targets, and `excitation` against the robot.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let config = &loaded.config;
    let said = match (&config.policy, &config.excitation) {
        (Some(_), None) => return,
        (None, Some(said)) => said,
        (None, None) => {
            problems.push(Problem::Missing {
                at: loaded.place("policy"),
                key: "policy".to_owned(),
                meaning: "Nothing says where the arm is to go.".to_owned(),
                needed: "[policy], or [excitation]".to_owned(),
            });
            return;
        }
        (Some(_), Some(_)) => {
            let message = format!(
                "[policy] ({}) says where the arm goes as well. Remove one of the two",
                loaded.place("policy")
            );
            problems.push(loaded.problem("excitation", message));
            return;
        }
    };
    let nyquist = config.run.rate_hz / 2.0;
    for (index, signal) in said.signals.iter().enumerate() {
        let place = element("excitation.signals", index);
        let key = child(&place, "joint");
        let Some(joint) = robot.joints.iter().find(|joint| joint.name == signal.joint()) else {
            problems.push(unknown_joint(loaded, robot, &key, signal.joint()));
            continue;
        };
        if joint.kind != JointKind::Revolute {
            let message = format!(
                "{} is a {} joint; signals are for revolute ones",
                joint.name,
                kind_word(joint.kind)
            );
            problems.push(loaded.problem(&key, message));
        }
        let range = config.limits.get(&joint.name).and_then(|limits| limits.position_rad);
        let [centre, amplitude] = signal.reach_rad();
        let [low, high] = [centre - amplitude, centre + amplitude];
        if let Some([lower, upper]) = range
            && (low < lower || high > upper)
        {
            let key = child(&place, "amplitude_rad");
            problems.push(Problem::OutOfRange {
                at: loaded.place(&key),
                key,
                value: format!(
                    "{} to either side of {}",
                    with_unit(&number(amplitude), "rad"),
                    with_unit(&number(centre), "rad")
                ),
                allowed: format!(
                    "{} for {} (limits.{}.position_rad)",
                    range_words(lower, upper, "rad"),
                    joint.name,
                    joint.name
                ),
                remedy: "Lower the amplitude or move the centre".to_owned(),
            });
        }
        let highest = signal.highest_hz();
        if highest >= nyquist {
            let message = format!(
                "{} Hz cannot be played at run.rate_hz = {} Hz ({}): stay below half of it",
                number(highest),
                number(config.run.rate_hz),
                loaded.place("run.rate_hz")
            );
            problems.push(loaded.problem(&place, message));
        }
    }
}
