//! What is refused about laws of a whole arm.

use std::path::Path;

use sinew_firmware_interfaces::RobotDescription;

use super::Files;
use crate::config::{self, ConfigError, Loaded};
use crate::{robots, run};

fn load(config: &str, sets: &[&str]) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(config);
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    config::load(&path, &sets).unwrap()
}

/// Loads, validates and makes the law, with `change` to the robot.
fn made(
    config: &str,
    change: impl FnOnce(&mut RobotDescription),
    sets: &[&str],
) -> Result<(&'static str, bool), ConfigError> {
    let loaded = load(config, sets);
    let mut robot = robots::description(&loaded.config.robot);
    change(&mut robot);
    loaded.validate(&robot)?;
    let (actuation, meta) = run::actuator(&loaded, &robot)?;
    Ok((actuation.unwrap().kind(), meta.is_some()))
}

const IMPEDANCE: &str = "configs/mock-impedance.toml";
const GUIDING: &str = "configs/mock-guiding.toml";

fn assert_refused(config: &str, sets: &[&str], says: &[&str]) {
    let refusal = made(config, |_| {}, sets).expect_err("it must be refused").to_string();
    for part in says {
        assert!(refusal.contains(part), "missing: {part}\nsaid: {refusal}");
    }
}

#[test]
fn every_law_is_made_of_its_keys() {
    // Without the table that belongs to joint impedance.
    for law in ["joint_pid", "cartesian_impedance", "cartesian_pid", "operational_space"] {
        let model = format!("actuation.model={law}");
        let sets = [
            model.as_str(),
            "actuation.arm=panda_identified",
            "actuation.friction_compensation=0.7",
            "actuation.filter_hz=100",
            "actuation.payload={ mass_kg = 0.7, center_m = [0, 0, 0.05] }",
        ];
        assert_eq!(made(GUIDING, |_| {}, &with_excitation(&sets)).unwrap(), (law, false));
    }
    assert_eq!(made(IMPEDANCE, |_| {}, &[]).unwrap(), ("joint_impedance", false));
    assert_eq!(made(GUIDING, |_| {}, &[]).unwrap(), ("guiding", false));
}

fn with_excitation<'a>(sets: &[&'a str]) -> Vec<&'a str> {
    const CHIRP: &str = "excitation={ signals = [{ kind = 'chirp', joint = 'joint1', \
                         duration_s = 1, amplitude_rad = 0.1, from_hz = 0.2, to_hz = 0.5 }] }";
    sets.iter().copied().chain([CHIRP]).collect()
}

#[test]
fn a_law_needs_an_arm_that_is_the_robot() {
    let gone = with_excitation(&["actuation.model=joint_pid"]);
    let mut loaded = load(GUIDING, &gone);
    loaded.config.actuation.law.arm = None;
    let robot = robots::description(&loaded.config.robot);
    let refusal = loaded.validate(&robot).unwrap_err().to_string();
    assert!(
        refusal.contains("`actuation.arm` is missing. actuation.model = \"joint_pid\""),
        "{refusal}"
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.arm=viperx300"],
        &["has 6 joints (waist, shoulder", "has 7 revolute ones (joint1, joint2", "give its URDF"],
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.arm=mycobot320"],
        &["the masses of the myCobot 320 are not known", "Give a URDF with inertias"],
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.arm_joints=['a', 'b', 'c', 'd', 'e', 'f', 'g']"],
        &["the joints of \"fr3\" are joint1, joint2", "are a, b, c", "actuation.arm_joints"],
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.arm_joints=['joint1']"],
        &["it names 1 joints, and the robot has 7 revolute ones"],
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.arm=nowhere.urdf"],
        &["`actuation.arm`: ", "nowhere.urdf cannot be read", "Needed is the arm's URDF"],
    );
}

#[test]
fn an_unknown_arm_is_refused_with_those_that_are_known() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(IMPEDANCE);
    for (value, says) in [
        ("fr4", ["`actuation.arm` = \"fr4\" is not allowed", "Did you mean \"fr3\"?"]),
        ("xarm", ["\"fr3\", \"panda\", \"panda_identified\"", "or the path of a file"]),
    ] {
        let error = config::load(&path, &[format!("actuation.arm={value}")]).unwrap_err();
        let error = error.to_string();
        assert!(says.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn gains_are_one_number_or_one_per_joint_and_in_range() {
    assert_refused(
        IMPEDANCE,
        &["actuation.joint_impedance.stiffness_nm_rad=[600, 600]"],
        &["`actuation.joint_impedance.stiffness_nm_rad`: it has 2 numbers, and the robot has 7"],
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(IMPEDANCE);
    for (set, says) in [
        (
            "actuation.joint_impedance.stiffness_nm_rad=[600, -1]",
            "`actuation.joint_impedance.stiffness_nm_rad[1]` = -1 N·m/rad is not allowed",
        ),
        ("actuation.friction_compensation=1.2", "Allowed: 0 to 0.95"),
        ("actuation.payload={ center_m = [0, 0, 0] }", "`actuation.payload.mass_kg` is missing"),
        (
            "actuation.joint_impedance.stiffness_nm_rad='stiff'",
            "a number for all joints or a list of one each, 0 to 1000000 N·m/rad",
        ),
    ] {
        let error = config::load(&path, &[set.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_refused(
        IMPEDANCE,
        &["actuation.payload={ mass_kg = 1, inertia_kg_m2 = [1, 0, 0, 1, 0, 0, 1] }"],
        &["it has 7 numbers, needed are 6: xx, xy, xz, yy, yz, zz"],
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.payload={ mass_kg = 1, inertia_kg_m2 = [-1, 0, 0, 1, 0, 1] }"],
        &["`actuation.payload.inertia_kg_m2`", "principal value"],
    );
    assert_refused(
        GUIDING,
        &["actuation.soft_limit_margin_rad=1.0", "limits.joint3.position_rad=[-0.5, 0.5]"],
        &["`actuation.soft_limit_margin_rad`: at both ends of a range of 1.000 rad"],
    );
    made(IMPEDANCE, |_| {}, &["actuation.joint_impedance.stiffness_nm_rad=400"]).unwrap();
}

#[test]
fn what_a_law_has_no_use_for_is_refused_and_can_be_left_out() {
    assert_refused(
        IMPEDANCE,
        &["actuation.guiding.fast_rad_s=2"],
        &[
            "`actuation.guiding`: it has no effect with actuation.model = \"joint_impedance\"",
            "\"guiding\"",
        ],
    );
    let sets = ["actuation.model=position"];
    assert_refused(
        IMPEDANCE,
        &sets,
        &["`actuation.arm`: it has no effect", "a law of a whole arm"],
    );
    let void = load(IMPEDANCE, &sets).void_keys();
    for key in ["actuation.arm", "actuation.joint_impedance", "actuation.gravity_compensation"] {
        assert!(void.contains(&key), "{void:?}");
    }
}

#[test]
fn laws_need_torques_velocities_and_joints_enough() {
    let slow = made(IMPEDANCE, |robot| robot.measures_velocity = false, &[]).unwrap_err();
    assert!(slow.to_string().contains("needs measured velocities"), "{slow}");
    let stiff = made(IMPEDANCE, |robot| robot.modes.truncate(1), &[]).unwrap_err().to_string();
    assert!(stiff.contains("\"joint_impedance\" does not go with the mock"), "{stiff}");
    let few = made(
        GUIDING,
        |robot| robot.joints.truncate(5),
        &with_excitation(&["actuation.model=operational_space"]),
    );
    let few = few.unwrap_err().to_string();
    assert!(few.contains("moves a tool along and about all axes, which 5 joints cannot"), "{few}");
}

#[test]
fn a_hand_is_the_only_one_who_says_where_a_guided_arm_goes() {
    assert_refused(
        GUIDING,
        &with_excitation(&[]),
        &["`excitation`: with actuation.model = \"guiding\"", "a hand says where the arm goes"],
    );
    assert_refused(
        GUIDING,
        &["rest.then=torque_off"],
        &["`rest.then`: ", "the arm ends where the hand left it", "Set it to \"hold\""],
    );
    assert_refused(
        IMPEDANCE,
        &["actuation.model=guiding"],
        &["`policy`: with actuation.model = \"guiding\""],
    );
}

/// Two links with masses.
const URDF: &str = r#"<robot name="two"><link name="base"/>
<joint name="joint1" type="revolute"><parent link="base"/><child link="a"/><axis xyz="0 0 1"/>
<limit lower="-3" upper="3" velocity="1" effort="1"/></joint>
<link name="a"><inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
<joint name="joint2" type="revolute"><origin xyz="0 0 1"/><parent link="a"/><child link="b"/><axis xyz="0 1 0"/>
<limit lower="-3" upper="3" velocity="1" effort="1"/></joint>
<link name="b"><inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
</robot>"#;

#[test]
fn a_urdf_is_read_and_one_without_inertia_or_of_other_joints_is_refused() {
    let holed = URDF.replacen("<inertial><mass value=\"1\"/>", "", 1);
    let end = holed.find("</inertial>").unwrap();
    let start = holed[..end].rfind("<inertia ").unwrap();
    let holed = format!("{}{}", &holed[..start], &holed[end + "</inertial>".len()..]);
    let files = Files::new(&[
        ("two.urdf", URDF),
        ("holed.urdf", &holed),
        ("other.urdf", &URDF.replace("\"joint2\"", "\"elbow\"")),
    ]);
    let two = |urdf: &str, more: &[&str]| {
        let arm = format!("actuation.arm={}", files.path(urdf).display());
        let gains =
            "actuation.joint_impedance={ stiffness_nm_rad = 10, damping_nm_s_rad = [1, 2] }";
        let sets: Vec<&str> = ["actuation.model=joint_impedance", &arm, gains]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        // Not validated: the file has limits of seven joints.
        let loaded = load(GUIDING, &sets);
        let mut robot = robots::description(&loaded.config.robot);
        robot.joints.truncate(2);
        let (actuation, meta) = run::actuator(&loaded, &robot)?;
        Ok::<_, ConfigError>((actuation.unwrap().kind(), meta.is_some()))
    };
    assert_eq!(two("two.urdf", &[]).unwrap(), ("joint_impedance", true));
    let names = "actuation.arm_joints=['joint1', 'elbow']";
    assert_eq!(two("other.urdf", &[names]).unwrap(), ("joint_impedance", true));
    for (urdf, says) in [
        ("holed.urdf", ["`actuation.arm`: ", "link `a`"]),
        ("other.urdf", ["joint `elbow`", "actuation.arm_joints"]),
    ] {
        let error = two(urdf, &[]).unwrap_err().to_string();
        assert!(says.iter().all(|part| error.contains(part)), "{error}");
    }
    let error = two("two.urdf", &["actuation.tip=hand"]).unwrap_err().to_string();
    assert!(error.contains("`actuation.tip`: "), "{error}");
}
