//! Laws for whole arms: what they need of the robot, and whether what is said of them acts.

use sinew_firmware_interfaces::{JointKind, RobotDescription};

use super::Loaded;
use super::error::Problem;
use super::schema::{
    ActuationConfig, Actuator, ArmLawConfig, AtRest, FrankaArm, PerJoint, RobotModel,
};
use super::table::law::ARMS;

/// Fewest joints of an arm whose tool can be moved freely.
const FREE: usize = 6;
/// Most joints of an arm from a URDF.
pub(crate) const MOST_JOINTS: usize = 7;

/// Tables of `[actuation]` that belong to some laws only: those, and how they are named.
const TABLES: [(&str, &[Actuator], &str); 6] = [
    (
        "actuation.joint_impedance",
        &[Actuator::JointImpedance, Actuator::Guiding],
        "\"joint_impedance\" or \"guiding\"",
    ),
    ("actuation.joint_pid", &[Actuator::JointPid], "\"joint_pid\""),
    ("actuation.cartesian_impedance", &[Actuator::CartesianImpedance], "\"cartesian_impedance\""),
    ("actuation.cartesian_pid", &[Actuator::CartesianPid], "\"cartesian_pid\""),
    ("actuation.operational_space", &[Actuator::OperationalSpace], "\"operational_space\""),
    ("actuation.guiding", &[Actuator::Guiding], "\"guiding\""),
];

/// Keys of `[actuation]` that all laws have.
const COMMON: [&str; 10] = [
    "actuation.arm",
    "actuation.tip",
    "actuation.arm_joints",
    "actuation.gravity_compensation",
    "actuation.friction_compensation",
    "actuation.rotor_inertia_kg_m2",
    "actuation.filter_hz",
    "actuation.soft_limit_margin_rad",
    "actuation.soft_limit_stiffness_nm_rad",
    "actuation.payload",
];

/// The models that have a use for `key` of `[actuation]`, where `model` has none and it belongs to
/// laws.
pub(super) fn users(model: Actuator, key: &str) -> Option<&'static str> {
    if COMMON.contains(&key) && !model.is_law() {
        return Some("a law of a whole arm");
    }
    let (_, models, words) = TABLES.iter().find(|(table, ..)| *table == key)?;
    (!models.contains(&model)).then_some(*words)
}

/// Keys of `[actuation]` that were said although its model has no use for them, each with the
/// models that would.
pub(super) fn void(said: &ActuationConfig) -> Vec<(&'static str, &'static str)> {
    let (none, law) = (ArmLawConfig::default(), &said.law);
    let is_said = |key: &str| match key {
        "actuation.joint_impedance" => law.joint_impedance != none.joint_impedance,
        "actuation.joint_pid" => law.joint_pid != none.joint_pid,
        "actuation.cartesian_impedance" => law.cartesian_impedance != none.cartesian_impedance,
        "actuation.cartesian_pid" => law.cartesian_pid != none.cartesian_pid,
        "actuation.operational_space" => law.operational_space != none.operational_space,
        "actuation.guiding" => law.guiding != none.guiding,
        "actuation.arm" => law.arm.is_some(),
        "actuation.tip" => law.tip.is_some(),
        "actuation.arm_joints" => !law.arm_joints.is_empty(),
        "actuation.gravity_compensation" => law.gravity_compensation.is_some(),
        "actuation.friction_compensation" => law.friction_compensation != 0.0,
        "actuation.rotor_inertia_kg_m2" => law.rotor_inertia_kg_m2.is_some(),
        "actuation.filter_hz" => law.filter_hz.is_some(),
        "actuation.soft_limit_margin_rad" => law.soft_limit_margin_rad.is_some(),
        "actuation.soft_limit_stiffness_nm_rad" => law.soft_limit_stiffness_nm_rad.is_some(),
        _ => law.payload.is_some(),
    };
    let keys = TABLES.iter().map(|(key, ..)| *key).chain(COMMON);
    keys.filter(|key| is_said(key)).filter_map(|key| Some((key, users(said.model, key)?))).collect()
}

/// Checks what `[actuation]` says of a law.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let said = &loaded.config.actuation;
    for (key, models) in void(said) {
        let message = format!(
            "it has no effect with actuation.model = \"{}\" ({}), only with {models}. Remove it, or \
             set that",
            said.model.name(),
            loaded.place("actuation.model")
        );
        problems.push(loaded.problem(key, message));
    }
    if !said.model.is_law() {
        return;
    }
    let joints = robot.joints.iter().filter(|joint| joint.kind == JointKind::Revolute).count();
    check_arm(loaded, joints, problems);
    check_gains(loaded, joints, problems);
    if !robot.measures_velocity {
        let message = format!(
            "\"{}\" needs measured velocities, and the {} measures none. Choose \"pd\"",
            said.model.name(),
            robot.model
        );
        problems.push(loaded.problem("actuation.model", message));
    }
    if said.model == Actuator::Guiding {
        check_guiding(loaded, problems);
    }
}

fn check_arm(loaded: &Loaded, joints: usize, problems: &mut Vec<Problem>) {
    let ActuationConfig { model, law, .. } = &loaded.config.actuation;
    let Some(arm) = &law.arm else {
        problems.push(Problem::Missing {
            at: loaded.place("actuation.model"),
            key: "actuation.arm".to_owned(),
            meaning: format!(
                "actuation.model = \"{}\" computes with the arm's masses.",
                model.name()
            ),
            needed: format!("{}, or the path of a URDF", super::keys::choices_words(ARMS)),
        });
        return;
    };
    let mut problem = |key: &str, message: String| problems.push(loaded.problem(key, message));
    let known = ARMS.iter().any(|name| arm.as_os_str() == *name);
    if known && law.tip.is_some() {
        let message = "it is for a URDF, and actuation.arm is known by name. Remove it";
        problem("actuation.tip", message.to_owned());
    }
    if arm.as_os_str() == "mycobot320" {
        let message = "the masses of the myCobot 320 are not known: sinew has its kinematics alone. \
                       Give a URDF with inertias";
        problem("actuation.arm", message.to_owned());
    }
    if loaded.config.robot.model == RobotModel::Franka && known {
        let (own, allowed) = match loaded.config.robot.franka.arm {
            FrankaArm::Fr3 => ("fr3", "\"fr3\""),
            FrankaArm::Fer => ("panda", "\"panda\" or \"panda_identified\""),
        };
        if !arm.to_string_lossy().starts_with(own) {
            let message = format!(
                "\"{}\" is another arm than robot.franka.arm ({}). Allowed: {allowed}, or the path of a \
                 URDF",
                arm.display(),
                loaded.place("robot.franka.arm")
            );
            problem("actuation.arm", message);
        }
    }
    if !law.arm_joints.is_empty() && law.arm_joints.len() != joints {
        let message = format!(
            "it names {} joints, and the robot has {joints} revolute ones. Name one each",
            law.arm_joints.len()
        );
        problem("actuation.arm_joints", message);
    }
    if model.is_cartesian() && joints < FREE {
        let message = format!(
            "\"{}\" moves a tool along and about all axes, which {joints} joints cannot: needed are \
             {FREE} or more. Choose \"joint_impedance\" or \"joint_pid\"",
            model.name()
        );
        problem("actuation.model", message);
    } else if joints == 0 || joints > MOST_JOINTS {
        let message = format!(
            "laws of a whole arm are for 1 to {MOST_JOINTS} revolute joints, and the robot has \
             {joints}. Choose \"pd\""
        );
        problem("actuation.model", message);
    }
    if let Some(payload) = &law.payload
        && payload.inertia_kg_m2.len() != 6
    {
        let message = format!(
            "it has {} numbers, needed are 6: xx, xy, xz, yy, yz, zz",
            payload.inertia_kg_m2.len()
        );
        problem("actuation.payload.inertia_kg_m2", message);
    }
}

/// Lists have one number per joint, and what has no default is said.
fn check_gains(loaded: &Loaded, joints: usize, problems: &mut Vec<Problem>) {
    let ActuationConfig { model, law, .. } = &loaded.config.actuation;
    let mut gains = law.gains(*model);
    for (key, said) in [
        ("actuation.rotor_inertia_kg_m2", &law.rotor_inertia_kg_m2),
        ("actuation.soft_limit_stiffness_nm_rad", &law.soft_limit_stiffness_nm_rad),
    ] {
        gains.extend(said.as_ref().map(|said| (key, Some(said.clone()), "")));
    }
    for (key, gain, unit) in gains {
        match gain {
            None => problems.push(Problem::Missing {
                at: loaded.place(key),
                key: key.to_owned(),
                meaning: format!(
                    "actuation.model = \"{}\" has gains of its own for Franka's arms only.",
                    model.name()
                ),
                needed: format!("a number for all joints or a list of {joints}, in {unit}"),
            }),
            Some(PerJoint::Each(values)) if values.len() != joints => {
                let message = format!(
                    "it has {} numbers, and the robot has {joints} revolute joints. Give one each, \
                     or one number for all",
                    values.len()
                );
                problems.push(loaded.problem(key, message));
            }
            Some(_) => {}
        }
    }
}

/// What else a run would do does not go with a hand that leads the arm.
fn check_guiding(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let config = &loaded.config;
    let mut refuse = |key: &str, there: bool, why: &str| {
        if there {
            let message = format!(
                "with actuation.model = \"guiding\" ({}) {why}. Remove it, or choose another model",
                loaded.place("actuation.model")
            );
            problems.push(loaded.problem(key, message));
        }
    };
    refuse("policy", config.policy.is_some(), "a hand says where the arm goes, nobody else");
    refuse(
        "excitation",
        config.excitation.is_some(),
        "a hand says where the arm goes, nobody else",
    );
    refuse("workspace", config.workspace.is_some(), "a hand can take the tool out of any box");
    if config.rest.then == AtRest::TorqueOff {
        let message = format!(
            "with actuation.model = \"guiding\" ({}) the arm ends where the hand left it, not at \
             rest.pose, and would fall there. Set it to \"hold\"",
            loaded.place("actuation.model")
        );
        problems.push(loaded.problem("rest.then", message));
    }
}
