//! What turns positions into commands: the robot takes them, and every joint has what they need.

use sinew_firmware_interfaces::{ControlMode, JointKind, RobotDescription};

use super::Loaded;
use super::error::Problem;
use super::law;
use super::limits::kind_word;
use super::mapping::unknown_joint;
use super::schema::Actuator;
use super::tree::{child, number};

/// Checks `actuation`, and the limits of torque that it needs.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    check_network(loaded, problems);
    check_gains(loaded, robot, problems);
    law::check(loaded, robot, problems);
    let takes = |mode| robot.modes.contains(&mode);
    match loaded.config.actuation.model {
        Actuator::Position if !takes(ControlMode::Position) => {
            problems.push(loaded.problem("actuation.model", refused(robot, "position")));
        }
        Actuator::Position => {}
        model if !takes(ControlMode::Effort) => {
            problems.push(loaded.problem("actuation.model", refused(robot, model.name())));
        }
        _ => check_complete(loaded, robot, problems),
    }
}

/// Why a robot does not go with `model`.
fn refused(robot: &RobotDescription, model: &str) -> String {
    let modes: Vec<&str> = robot
        .modes
        .iter()
        .map(|mode| match mode {
            ControlMode::Position => "positions (\"position\")",
            ControlMode::Effort => "torques (all but \"position\")",
        })
        .collect();
    format!(
        "\"{model}\" does not go with the {}, which takes {}. Choose what it takes",
        robot.model,
        modes.join(" and ")
    )
}

/// The folder of a model is there where one is wanted, and a delay where it acts.
fn check_network(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let said = &loaded.config.actuation;
    match (&said.path, said.model == Actuator::Network) {
        (None, true) => problems.push(Problem::Missing {
            at: loaded.place("actuation.model"),
            key: "actuation.path".to_owned(),
            meaning: "actuation.model = \"network\" needs a model.".to_owned(),
            needed: "the folder of an actuator model".to_owned(),
        }),
        (Some(_), false) => {
            let message = "it has no effect without actuation.model = \"network\". Remove it, or \
                           set it";
            problems.push(loaded.problem("actuation.path", message));
        }
        _ => {}
    }
    if said.delay_ms != 0.0 && said.model != Actuator::Pd {
        let message = "it has no effect without actuation.model = \"pd\". Remove it";
        problems.push(loaded.problem("actuation.delay_ms", message));
    }
    let cycles = said.delay_ms * loaded.config.run.rate_hz / 1e3;
    if (cycles - cycles.round()).abs() > 1e-6 {
        let message = format!(
            "{} ms are {} cycles at run.rate_hz = {} Hz ({}): a whole number is needed",
            number(said.delay_ms),
            number(cycles),
            number(loaded.config.run.rate_hz),
            loaded.place("run.rate_hz")
        );
        problems.push(loaded.problem("actuation.delay_ms", message));
    }
}

/// Gains belong to revolute joints of the robot, and to a model that has them.
fn check_gains(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let said = &loaded.config.actuation;
    let gains = said.gains.keys().map(|name| (name, "actuation.gains", "gains"));
    let motors = said.motors.keys().map(|name| (name, "actuation.motors", "motors"));
    for (name, table, what) in gains.chain(motors) {
        let key = child(table, name);
        if said.model != Actuator::Pd {
            let message = format!(
                "{what} have no effect without actuation.model = \"pd\" ({}). Remove them, or set \
                 it",
                loaded.place("actuation.model")
            );
            problems.push(loaded.problem(&key, message));
            continue;
        }
        match robot.joints.iter().find(|joint| joint.name == *name) {
            None => problems.push(unknown_joint(loaded, robot, &key, name)),
            Some(joint) if joint.kind != JointKind::Revolute => {
                let message = format!(
                    "{name} is a {} joint, and {what} are for revolute joints. Remove them",
                    kind_word(joint.kind)
                );
                problems.push(loaded.problem(&key, message));
            }
            Some(_) => {}
        }
    }
}

/// Every revolute joint has gains and limits of torque.
fn check_complete(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let said = &loaded.config.actuation;
    let meaning = format!("actuation.model = \"{}\" commands torques.", said.model.name());
    for joint in robot.joints.iter().filter(|joint| joint.kind == JointKind::Revolute) {
        let key = child("actuation.gains", &joint.name);
        if said.model == Actuator::Pd
            && !said.motors.is_empty()
            && !said.motors.contains_key(&joint.name)
        {
            let key = child("actuation.motors", &joint.name);
            problems.push(Problem::Missing {
                at: loaded.place(&key),
                key,
                meaning: "A motor is given for every revolute joint or for none.".to_owned(),
                needed: "a table with stall_torque_nm (N·m), no_load_speed_rad_s (rad/s) and \
                         continuous_torque_nm (N·m)"
                    .to_owned(),
            });
        }
        if said.model == Actuator::Pd && !said.gains.contains_key(&joint.name) {
            problems.push(Problem::Missing {
                at: loaded.place(&key),
                key,
                meaning: meaning.clone(),
                needed: "a table with stiffness_nm_rad (N·m/rad) and damping_nm_s_rad (N·m·s/rad)"
                    .to_owned(),
            });
        }
        // A joint without any limits is named already, and one with half of these.
        let Some(limits) = loaded.config.limits.get(&joint.name) else { continue };
        if limits.max_torque_nm.is_none() && limits.max_torque_rate_nm_s.is_none() {
            let key = child("limits", &joint.name);
            problems.push(Problem::Missing {
                at: loaded.place(&key),
                key: child(&key, "max_torque_nm"),
                meaning: meaning.clone(),
                needed: match joint.limits.max_effort {
                    Some(most) => format!(
                        "max_torque_nm, above 0, up to {most} N·m, and max_torque_rate_nm_s"
                    ),
                    None => "max_torque_nm and max_torque_rate_nm_s".to_owned(),
                },
            });
        }
    }
}
