//! Who says where the arm goes: a policy or an excitation; and whether the excitation fits.

use sinew_firmware_interfaces::{JointKind, RobotDescription};

use super::Loaded;
use super::error::Problem;
use super::keys::with_unit;
use super::limits::{self, kind_word, range_words};
use super::mapping::unknown_joint;
use super::schema::{Actuator, SignalConfig};
use super::tree::{child, element, number};

/// Most positions of an excitation, all joints together: 80 MB; of one joint, 2.8 h at 1 kHz.
const MOST_POSITIONS: f64 = 1e7;

/// Checks that there is one source of targets, and `excitation` against the robot.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let config = &loaded.config;
    let said = match (&config.policy, &config.excitation) {
        (Some(_), None) => return,
        (None, Some(said)) => said,
        (None, None) if config.actuation.model == Actuator::Guiding => return,
        (None, None) => {
            problems.push(Problem::Missing {
                at: loaded.place("policy"),
                key: "policy".to_owned(),
                meaning: "Nothing says where the arm is to go.".to_owned(),
                needed: "[policy], or [excitation]; or actuation.model = \"guiding\"".to_owned(),
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
    let seconds: f64 = said.signals.iter().map(SignalConfig::duration_s).sum();
    let positions = seconds * config.run.rate_hz;
    let most = MOST_POSITIONS / robot.joints.len().max(1) as f64;
    if positions > most {
        let message = format!(
            "its signals last {} s, {} cycles at run.rate_hz = {} Hz ({}), and all are kept in \
             memory: {} at most for {} joints. Shorten them, and play them more often (excitation.times)",
            number(seconds),
            number(positions.ceil()),
            number(config.run.rate_hz),
            loaded.place("run.rate_hz"),
            number(most.floor()),
            robot.joints.len()
        );
        problems.push(loaded.problem("excitation.signals", message));
    }
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
        let said = config.limits.get(&joint.name);
        let range = said.and_then(|limits| limits::commanded_range(limits, joint));
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
                    "{} for {} (limits.{}.position_rad, less its margin at both ends)",
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
                "{} Hz{} cannot be played at run.rate_hz = {} Hz ({}): stay below half of it",
                number(highest),
                match signal {
                    SignalConfig::ModulatedChirp { .. } => {
                        " (the highest of from_hz and to_hz, and modulation_hz on top)"
                    }
                    _ => "",
                },
                number(config.run.rate_hz),
                loaded.place("run.rate_hz")
            );
            problems.push(loaded.problem(&place, message));
        }
    }
}
