use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const FILE: &str = "arm.urdf";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/urdf").join(name)
}

fn chain(text: &str, tip: Option<&str>, joints: &[&str]) -> Result<ToolChain, UrdfError> {
    let file = Path::new(FILE);
    ToolChain::new(urdf::parse(text, file, tip)?, file, joints)
}

fn distance(a: Vector, b: Vector) -> f64 {
    length([a[0] - b[0], a[1] - b[1], a[2] - b[2]])
}

const PANDA: [&str; 7] = ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7"];

#[test]
fn the_flange_of_a_panda_is_where_pinocchio_says() {
    let tool = ToolChain::from_urdf(&fixture("panda.urdf"), None, &PANDA).unwrap();
    assert_eq!(tool.tip_name(), "flange");
    let text = fs::read_to_string(fixture("panda_flange.txt")).unwrap();
    let mut cases = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let row: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let (positions, expected) = row.split_at(7);
        let found = tool.tip(positions);
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-9, "{positions:?}: {found:?} {expected:?}");
        }
        cases += 1;
    }
    assert_eq!(cases, 10);
}

#[test]
fn the_robots_order_of_joints_counts_and_others_do_not_matter() {
    let tool = ToolChain::from_urdf(&fixture("panda.urdf"), Some("link3"), &PANDA).unwrap();
    let mut robot = PANDA;
    robot.reverse();
    let turned = ToolChain::from_urdf(&fixture("panda.urdf"), Some("link3"), &robot).unwrap();
    let mut positions = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7];
    let tip = tool.tip(&positions);
    positions.reverse();
    assert_eq!(turned.tip(&positions), tip);
    assert_eq!(turned.joints().collect::<Vec<_>>(), [(6, false), (5, false), (4, false)]);
    assert_eq!(turned.reach(0), 0.0);
    // Turning the third joint leaves the origin of its own link where it is.
    assert_eq!(turned.reach(4), 0.0);
    assert_eq!(turned.reach(5), 0.316);
    positions[0] = 9.0;
    assert_eq!(turned.tip(&positions), tip);
}

#[test]
fn what_is_missing_or_not_finite_shows() {
    let tool = ToolChain::from_urdf(&fixture("panda.urdf"), None, &PANDA).unwrap();
    let finite = |positions: &[f64]| tool.tip(positions).iter().all(|value| value.is_finite());
    assert!(finite(&[0.0; 7]));
    assert!(finite(&[0.0; 32]));
    assert!(!finite(&[0.0; 6]));
    assert!(!finite(&[0.0, 0.0, f64::INFINITY, 0.0, 0.0, 0.0, 0.0]));
}

#[test]
fn an_outstretched_arm_reaches_as_far_as_its_links_are_long() {
    let text = r#"<robot name="planar">
  <link name="base"/><link name="upper"/><link name="fore"/><link name="hand"/>
  <joint name="a" type="continuous"><origin xyz="0 0 0.5"/><parent link="base"/><child link="upper"/><axis xyz="0 0 2"/></joint>
  <joint name="b" type="revolute"><origin xyz="1 0 0.25"/><parent link="upper"/><child link="fore"/><axis xyz="0 0 1"/></joint>
  <joint name="c" type="fixed"><origin xyz="0.5 0 0"/><parent link="fore"/><child link="hand"/></joint>
</robot>"#;
    let tool = chain(text, None, &["a", "b"]).unwrap();
    assert_eq!((tool.reach(0), tool.reach(1), tool.reach(2)), (1.5, 0.5, 0.0));
    assert!(distance(tool.tip(&[0.0, 0.0]), [1.5, 0.0, 0.75]) < 1e-15);
    let half = std::f64::consts::FRAC_PI_2;
    assert!(distance(tool.tip(&[half, half]), [-0.5, 1.0, 0.75]) < 1e-12);
    // The bound is met where the arm is straight.
    let step = distance(tool.tip(&[1e-6, 0.0]), tool.tip(&[0.0, 0.0])) / 1e-6;
    assert!((step - 1.5).abs() < 1e-6, "{step}");
}

#[test]
fn following_the_tool_does_not_allocate() {
    let joints: Vec<RawJoint> = (0..32)
        .map(|index| RawJoint { kind: index % 3, numbers: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] })
        .collect();
    let (text, names) = urdf_of(&joints);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tool = chain(&text, None, &names).unwrap();
    let positions = [0.3; 32];
    let mut sum = 0.0;
    let info = allocation_counter::measure(|| {
        sum = tool.tip(&positions)[0] + tool.reach(3);
        sum += tool.joints().count() as f64;
    });
    assert_eq!(info.count_total, 0);
    assert!(sum.is_finite());
    // The counter does count.
    assert!(allocation_counter::measure(|| drop(tool.clone())).count_total > 0);
}

/// A joint of a made-up arm: 0 turns, 1 slides, 2 is fixed.
#[derive(Clone, Debug)]
struct RawJoint {
    kind: u8,
    /// Origin's x, y, z, roll, pitch; axis in two angles.
    numbers: [f64; 7],
}

/// How far a made-up prismatic joint goes.
const TRAVEL: f64 = 0.4;

impl RawJoint {
    fn axis(&self) -> Vector {
        let [.., a, b] = self.numbers;
        [a.cos() * b.cos(), a.sin() * b.cos(), b.sin()]
    }

    fn pose(&self) -> (Vector, Vector) {
        let [x, y, z, roll, pitch, ..] = self.numbers;
        ([x, y, z], [roll, pitch, 1.0])
    }
}

/// The URDF of an arm, and the names of its joints that move.
fn urdf_of(joints: &[RawJoint]) -> (String, Vec<String>) {
    let mut text = "<robot name=\"made up\">\n<link name=\"l0\"/>\n".to_owned();
    let mut names = Vec::new();
    for (index, joint) in joints.iter().enumerate() {
        let kind = ["revolute", "prismatic", "fixed"][usize::from(joint.kind)];
        let ([x, y, z], [roll, pitch, yaw]) = joint.pose();
        let [a, b, c] = joint.axis();
        if joint.kind != 2 {
            names.push(format!("j{index}"));
        }
        write!(
            text,
            "<link name=\"l{0}\"/>\n<joint name=\"j{index}\" type=\"{kind}\">\
             <parent link=\"l{index}\"/><child link=\"l{0}\"/>\
             <origin xyz=\"{x} {y} {z}\" rpy=\"{roll} {pitch} {yaw}\"/><axis xyz=\"{a} {b} {c}\"/>\
             <limit lower=\"-{TRAVEL}\" upper=\"0.1\" effort=\"1\" velocity=\"1\"/></joint>\n",
            index + 1
        )
        .unwrap();
    }
    (text + "</robot>", names)
}

/// The tip as the textbook has it: every transform in full, rotations by Rodrigues' formula.
fn textbook(joints: &[RawJoint], positions: &[f64]) -> Vector {
    let mut pose = Transform::IDENTITY;
    let mut positions = positions.iter();
    for joint in joints {
        let (xyz, rpy) = joint.pose();
        pose = pose.then(&Transform::from_xyz_rpy(xyz, rpy));
        let axis = joint.axis();
        let mut moved = Transform::IDENTITY;
        let position = if joint.kind == 2 { 0.0 } else { *positions.next().unwrap() };
        match joint.kind {
            0 => {
                let (sine, cosine) = position.sin_cos();
                let [x, y, z] = axis;
                let crossed = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
                for (row, out) in moved.rotation.iter_mut().enumerate() {
                    for (column, value) in out.iter_mut().enumerate() {
                        *value = *value * cosine
                            + (1.0 - cosine) * axis[row] * axis[column]
                            + sine * crossed[row][column];
                    }
                }
            }
            1 => moved.translation = axis.map(|value| value * position),
            _ => {}
        }
        pose = pose.then(&moved);
    }
    pose.translation
}

fn raw_joint() -> impl Strategy<Value = RawJoint> {
    let numbers = prop_oneof![
        4 => -1.0..1.0f64,
        1 => prop::sample::select(&[0.0, std::f64::consts::FRAC_PI_2, std::f64::consts::PI][..]),
    ];
    (0..3u8, prop::collection::vec(numbers, 7))
        .prop_map(|(kind, numbers)| RawJoint { kind, numbers: numbers.try_into().unwrap() })
}

/// An arm with positions and steps of its joints.
fn arm() -> impl Strategy<Value = (Vec<RawJoint>, Vec<f64>, Vec<f64>)> {
    prop::collection::vec(raw_joint(), 1..12)
        .prop_filter("something moves", |joints| joints.iter().any(|joint| joint.kind != 2))
        .prop_flat_map(|joints| {
            let moving: Vec<_> =
                joints.iter().filter(|it| it.kind != 2).map(|it| it.kind).collect();
            let range = |kind: &u8| if *kind == 1 { -TRAVEL..=TRAVEL } else { -4.0..=4.0 };
            let from: Vec<_> = moving.iter().map(range).collect();
            let to: Vec<_> = moving.iter().map(range).collect();
            (Just(joints), from, to)
        })
}

proptest! {
    #[test]
    fn axes_of_any_direction_follow_the_textbook((joints, positions, _) in arm()) {
        let (text, names) = urdf_of(&joints);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tool = chain(&text, None, &names).unwrap();
        let (found, expected) = (tool.tip(&positions), textbook(&joints, &positions));
        prop_assert!(distance(found, expected) < 1e-9, "{found:?} {expected:?}\n{text}");
    }

    #[test]
    fn the_tip_moves_no_farther_than_reach_says((joints, from, to) in arm(), part in 0.0..1.0f64) {
        let (text, names) = urdf_of(&joints);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tool = chain(&text, None, &names).unwrap();
        // Whole ways, and small steps, of all joints and of each alone.
        let part = part.powi(8);
        let near: Vec<f64> = from.iter().zip(&to).map(|(a, b)| a + part * (b - a)).collect();
        let bound = |to: &[f64]| -> f64 {
            let way = from.iter().zip(to).map(|(a, b)| (a - b).abs());
            way.enumerate().map(|(joint, way)| tool.reach(joint) * way).sum()
        };
        let mut goals = vec![to.clone(), near.clone()];
        for joint in 0..from.len() {
            let mut goal = from.clone();
            goal[joint] = near[joint];
            goals.push(goal);
        }
        for goal in goals {
            let way = distance(tool.tip(&from), tool.tip(&goal));
            prop_assert!(way <= bound(&goal) + 1e-9, "{way} > {}\n{text}", bound(&goal));
        }
    }
}
