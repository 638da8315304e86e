//! Who says where the arm goes: a policy or an excitation; and whether the excitation fits.

use sinew_firmware_interfaces::{JointKind, RobotDescription};

use super::Loaded;
use super::error::Problem;
use super::keys::with_unit;
use super::limits::{self, kind_word, range_words};
use super::mapping::unknown_joint;
use super::schema::{Actuator, ExcitationConfig, SignalConfig};
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
    cartesian(loaded, robot, said, problems);
    for (index, signal) in said.signals.iter().enumerate() {
        let place = element("excitation.signals", index);
        lists(loaded, &place, signal, problems);
        let names: Vec<(String, &str)> = match (signal.joint(), signal.joints()) {
            (Some(joint), _) => vec![(child(&place, "joint"), joint)],
            (None, Some(joints)) => {
                let list = child(&place, "joints");
                let named = joints.iter().enumerate();
                named.map(|(at, joint)| (element(&list, at), joint.as_str())).collect()
            }
            (None, None) => Vec::new(),
        };
        let reaches = signal.reaches_rad();
        for ((key, name), reach) in names.iter().zip(reaches) {
            let Some(joint) = robot.joints.iter().find(|joint| joint.name == *name) else {
                problems.push(unknown_joint(loaded, robot, key, name));
                continue;
            };
            if joint.kind != JointKind::Revolute {
                let message = format!(
                    "{} is a {} joint; signals are for revolute ones",
                    joint.name,
                    kind_word(joint.kind)
                );
                problems.push(loaded.problem(key, message));
            }
            let said = config.limits.get(&joint.name);
            let range = said.and_then(|limits| limits::commanded_range(limits, joint));
            let [centre, amplitude] = reach;
            let [low, high] = [centre - amplitude, centre + amplitude];
            if let Some([lower, upper]) = range
                && (low < lower || high > upper)
            {
                let key = child(
                    &place,
                    match signal {
                        SignalConfig::JointImpulse { .. } | SignalConfig::JointTrapezoid { .. } => {
                            "levels_rad"
                        }
                        several if several.joints().is_some() => "amplitudes_rad",
                        _ => "amplitude_rad",
                    },
                );
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
                    SignalConfig::JointMultiSine { .. } => " (three times the highest frequency)",
                    SignalConfig::JointChirp { .. } => " (its swing grows with duration_s)",
                    _ => "",
                },
                number(config.run.rate_hz),
                loaded.place("run.rate_hz")
            );
            problems.push(loaded.problem(&place, message));
        }
    }
}

/// A list has one number for each joint, or for each joint at each level.
fn lists(loaded: &Loaded, place: &str, signal: &SignalConfig, problems: &mut Vec<Problem>) {
    let joints = signal.joints().map_or(0, <[String]>::len);
    let mut needs = |name: &str, found: usize, needed: usize, why: &str| {
        if found != needed {
            let message = format!("has {found} numbers, needed are {needed}: {why}");
            problems.push(loaded.problem(&child(place, name), message));
        }
    };
    let each = "one for each joint, in the order of `joints`";
    let level = "one for each joint at the first level, then at the next";
    match signal {
        SignalConfig::JointMultiSine { centres_rad, frequencies_hz, amplitudes_rad, .. } => {
            needs("centres_rad", centres_rad.len(), joints, each);
            needs("frequencies_hz", frequencies_hz.len(), joints, each);
            needs("amplitudes_rad", amplitudes_rad.len(), 4 * joints, "four for each joint");
        }
        SignalConfig::JointChirp {
            centres_rad,
            frequencies_hz,
            swings_hz,
            phases_rad,
            amplitudes_rad,
            ..
        } => {
            needs("centres_rad", centres_rad.len(), joints, each);
            needs("frequencies_hz", frequencies_hz.len(), joints, each);
            needs("swings_hz", swings_hz.len(), joints, each);
            needs("phases_rad", phases_rad.len(), joints, each);
            needs("amplitudes_rad", amplitudes_rad.len(), joints, each);
        }
        SignalConfig::JointImpulse { centres_rad, rests_s, plateaus_s, levels_rad, .. } => {
            needs("centres_rad", centres_rad.len(), joints, each);
            needs("plateaus_s", plateaus_s.len(), rests_s.len(), "as many as `rests_s`");
            needs("levels_rad", levels_rad.len(), joints * rests_s.len(), level);
        }
        SignalConfig::JointTrapezoid {
            centres_rad,
            rests_s,
            ramps_s,
            plateaus_s,
            levels_rad,
            ..
        } => {
            needs("centres_rad", centres_rad.len(), joints, each);
            needs("ramps_s", ramps_s.len(), rests_s.len(), "as many as `rests_s`");
            needs("plateaus_s", plateaus_s.len(), rests_s.len(), "as many as `rests_s`");
            needs("levels_rad", levels_rad.len(), joints * rests_s.len(), level);
        }
        _ => {}
    }
}

/// Paths of the tool need an arm, and a pose for all of its joints or for none.
fn cartesian(
    loaded: &Loaded,
    robot: &RobotDescription,
    said: &ExcitationConfig,
    problems: &mut Vec<Problem>,
) {
    let has_path = said.signals.iter().any(SignalConfig::is_cartesian);
    if has_path && said.arm.is_none() {
        let message = "it is needed for circles and spirals: the arm's kinematics. Give one of the \
                       known names, or the path of a URDF";
        problems.push(loaded.problem("excitation.arm", message));
    }
    let turning = robot.joints.iter().filter(|joint| joint.kind == JointKind::Revolute);
    let missing: Vec<&str> = turning
        .map(|joint| joint.name.as_str())
        .filter(|name| !said.pose.is_empty() && !said.pose.contains_key(*name))
        .collect();
    if !missing.is_empty() {
        let message =
            format!("{} is missing. Give every joint of the arm, or none", missing.join(", "));
        problems.push(loaded.problem("excitation.pose", message));
    }
    for name in said.pose.keys() {
        let key = child("excitation.pose", name);
        let Some(joint) = robot.joints.iter().find(|joint| joint.name == *name) else {
            problems.push(unknown_joint(loaded, robot, &key, name));
            continue;
        };
        let limits = loaded.config.limits.get(name);
        let range = limits.and_then(|limits| limits::commanded_range(limits, joint));
        let position = said.pose[name];
        if let Some([lower, upper]) = range
            && !(lower..=upper).contains(&position)
        {
            problems.push(Problem::OutOfRange {
                at: loaded.place(&key),
                key,
                value: with_unit(&number(position), "rad"),
                allowed: format!("{} (limits.{name})", range_words(lower, upper, "rad")),
                remedy: "Choose a pose inside".to_owned(),
            });
        }
    }
}
