//! From `[robot]` to the settings of the driver of Franka's arms.

use std::time::Duration;

use sinew_firmware_interfaces::ControlMode;
use sinew_firmware_interfaces::franka::driver::{ARM_JOINTS, Config, GripperConfig};
use sinew_firmware_interfaces::franka::emulator;
use sinew_firmware_interfaces::franka::wire::{CollisionBehavior, Load};
use sinew_firmware_interfaces::franka::{self, RobotModel};
use sinew_simulation::dynamics::Link;

use super::schema::{Actuator, Config as RunConfig, FrankaArm, FrankaConfig, RobotConfig};

/// Thresholds that no key says: Franka's examples.
const TORQUE: f64 = 20.0;
const FORCE: f64 = 20.0;
/// Where the emulated arm's unknown payload is in the flange's frame, in m.
const PAYLOAD: [f64; 3] = [0.0, 0.0, 0.1];

/// The driver's settings, but for what commands say ([`with_mode`]).
pub(crate) fn driver(said: &RobotConfig) -> Config {
    let franka = &said.franka;
    Config {
        address: said.port.clone(),
        arm: arm(franka.arm),
        recover: franka.recover,
        collision: collision(franka),
        joint_stiffness: franka.stiffness_nm_rad.as_deref().and_then(fixed),
        load: franka.load_kg.map(|mass| Load {
            mass,
            center: franka.load_center_m,
            inertia: franka.load_inertia_kg_m2.as_deref().map_or([0.0; 9], symmetric),
        }),
        gripper: said.gripper.then_some(GripperConfig {
            speed: franka.gripper_speed_m_s,
            force: franka.gripper_force_n,
        }),
        ..Config::default()
    }
}

/// The driver's settings for a whole run.
pub(crate) fn with_mode(config: &RunConfig) -> Config {
    let mode = match config.actuation.model {
        Actuator::Position => ControlMode::Position,
        _ => ControlMode::Effort,
    };
    // A real arm has none, and is not on this computer.
    let port = config.robot.port.as_str();
    let emulated = port == crate::robots::EMULATOR_PORT || port.starts_with("127.");
    let patience = Duration::from_millis(config.emulator.patience_ms.into());
    let patience = if emulated { patience } else { Duration::ZERO };
    let driver = driver(&config.robot);
    let answer_within = driver.answer_within.max(patience / 2);
    Config { mode, answer_within, ..driver }
}

/// The emulated arm that goes with it.
pub(crate) fn emulated(config: &RunConfig, faults: emulator::Faults) -> emulator::Config {
    let arm = arm(config.robot.franka.arm);
    let mut emulated =
        emulator::Config { seed: config.emulator.seed, faults, ..emulator::Config::new(arm) };
    for (index, position) in emulated.positions.iter_mut().enumerate() {
        let start = config.emulator.start.get(&format!("joint{}", index + 1));
        *position = start.copied().unwrap_or(*position);
    }
    let payload = config.emulator.payload_kg;
    emulated.payload = (payload > 0.0).then(|| Link::point(payload, PAYLOAD));
    emulated
}

/// What is wrong with `[robot.franka]`: keys below it and messages.
pub(super) fn check(said: &RobotConfig) -> Vec<(&'static str, String)> {
    let franka = &said.franka;
    let mut problems = Vec::new();
    let lists = [
        ("collision_torque_nm", &franka.collision_torque_nm, ARM_JOINTS),
        ("collision_force", &franka.collision_force, 6),
        ("stiffness_nm_rad", &franka.stiffness_nm_rad, ARM_JOINTS),
        ("load_inertia_kg_m2", &franka.load_inertia_kg_m2, 6),
    ];
    for (key, list, wanted) in lists {
        if let Some(list) = list
            && list.len() != wanted
        {
            let message = format!("has {} numbers. Allowed: {wanted}", list.len());
            problems.push((key, message));
        }
    }
    if franka.load_kg.is_none()
        && (franka.load_inertia_kg_m2.is_some() || franka.load_center_m != [0.0; 3])
    {
        let message = "says where a load is that has no mass. Set load_kg, or remove \
                       load_center_m and load_inertia_kg_m2";
        problems.push(("load_kg", message.to_owned()));
    }
    if problems.is_empty()
        && let Err(error) = driver(said).validate()
    {
        problems.push(("", error.to_string()));
    }
    problems
}

pub(crate) const fn arm(said: FrankaArm) -> RobotModel {
    match said {
        FrankaArm::Fer => franka::RobotModel::Fer,
        FrankaArm::Fr3 => franka::RobotModel::Fr3,
    }
}

fn collision(franka: &FrankaConfig) -> Option<CollisionBehavior> {
    if franka.collision_torque_nm.is_none() && franka.collision_force.is_none() {
        return None;
    }
    let upper_torque =
        franka.collision_torque_nm.as_deref().and_then(fixed).unwrap_or([TORQUE; ARM_JOINTS]);
    let upper_force = franka.collision_force.as_deref().and_then(fixed).unwrap_or([FORCE; 6]);
    let (lower_torque, lower_force) =
        (upper_torque.map(|most| 0.5 * most), upper_force.map(|most| 0.5 * most));
    Some(CollisionBehavior {
        lower_torque_acceleration: lower_torque,
        upper_torque_acceleration: upper_torque,
        lower_torque,
        upper_torque,
        lower_force_acceleration: lower_force,
        upper_force_acceleration: upper_force,
        lower_force,
        upper_force,
    })
}

fn fixed<const N: usize>(said: &[f64]) -> Option<[f64; N]> {
    said.try_into().ok()
}

/// A symmetric matrix by xx, xy, xz, yy, yz, zz.
fn symmetric(said: &[f64]) -> [f64; 9] {
    match said {
        [xx, xy, xz, yy, yz, zz] => [*xx, *xy, *xz, *xy, *yy, *yz, *xz, *yz, *zz],
        _ => [0.0; 9],
    }
}
