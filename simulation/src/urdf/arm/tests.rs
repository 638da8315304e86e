use nalgebra::{Matrix3, SMatrix, Vector3};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::dynamics::{Jacobian, Joints};

const ARM: &str = include_str!("../../../../tests/fixtures/dynamics/odd_arm.urdf");
const NAMES: [&str; 3] = ["turn", "slide", "wrist"];

fn arm(text: &str) -> Result<Arm<3>, UrdfError> {
    Arm::parse(text, Path::new("arm.urdf"), Some("tip"), &NAMES)
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn rows<const R: usize, const C: usize>(value: &Value) -> SMatrix<f64, R, C> {
    SMatrix::from_row_slice(&numbers(value))
}

#[test]
fn pinocchio_reads_the_same_arm() {
    let arm = arm(ARM).unwrap();
    let golden = include_str!("../../../../tests/fixtures/dynamics/odd_arm_pinocchio.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let [q, v, a]: [Joints<3>; 3] = ["q", "v", "a"].map(|name| rows(&case[name]));
        let state = arm.at(&q);
        let close = |what: &str, error: f64| assert!(error <= 1e-9, "{what} {error:e}");
        let tool = state.kinematics.tool();
        let position: Vector3<f64> = rows(&case["position"]);
        let rotation: Matrix3<f64> = rows(&case["rotation"]);
        close("position", (tool.translation.vector - position).amax());
        close("rotation", (tool.rotation.matrix() - rotation).amax());
        let jacobian: Jacobian<3> = rows(&case["jacobian"]);
        close("Jacobian", (state.kinematics.jacobian() - jacobian).amax());
        let rate: Jacobian<3> = rows(&case["jacobian_rate"]);
        close("its rate", (state.kinematics.jacobian_rate(&v) - rate).amax());
        close("mass", (state.mass_matrix() - rows::<3, 3>(&case["mass"])).amax());
        let coriolis = state.coriolis_matrix(&v) - rows::<3, 3>(&case["coriolis_matrix"]);
        // A Coriolis matrix is one of many; times the velocity they are the same.
        close("Coriolis", (coriolis * v).amax());
        close("gravity", (state.gravity() - rows::<3, 1>(&case["gravity"])).amax());
        close("RNEA", (state.inverse(&v, &a) - rows::<3, 1>(&case["rnea"])).amax());
    }
}

#[test]
fn limits_and_friction_are_read_and_a_limit_of_nothing_is_none() {
    let arm = arm(ARM).unwrap();
    let [turn, slide, wrist] = *arm.chain.limits();
    let expected = JointLimits { velocity: 2.1, effort: 150.0, ..JointLimits::range(-2.5, 1.5) };
    assert_eq!(turn, expected);
    assert_eq!(slide, JointLimits::range(-0.2, 0.4));
    assert_eq!(wrist, JointLimits::NONE);
    let friction =
        JointFriction::Linear { viscous: 0.7, coulomb: 0.2, offset: 0.0, transition: 0.0 };
    assert_eq!(arm.friction, [friction, JointFriction::None, JointFriction::None]);
    // All but the base.
    assert!((arm.mass() - 4.3).abs() < 1e-12, "{}", arm.mass());
}

#[test]
fn what_an_arm_cannot_be_made_of_is_named() {
    let hand = ARM.find("<link name=\"hand\">").unwrap();
    let end = hand + ARM[hand..].find("</link>").unwrap();
    let weightless = format!("{}<link name=\"hand\">{}", &ARM[..hand], &ARM[end..]);
    let refusal = arm(&weightless).unwrap_err().to_string();
    assert!(
        refusal.contains("link `hand`, which joint `wrist` moves, has no <inertial>. Dynamics"),
        "{refusal}"
    );
    let cases = [
        (
            "<mass value=\"0.5\"/>",
            "<mass value=\"0\"/>",
            "arm.urdf:47: link `hand`: its mass is 0 kg",
        ),
        ("<mass value=\"0.4\"/>", "<mass value=\"-1\"/>", "link `bracket`: its mass is -1 kg"),
        (
            "<mass value=\"0.4\"/>",
            "<mass value=\"x\"/>",
            "<mass> value = \"x\", needed is a number",
        ),
        ("<mass value=\"0.4\"/>", "", "link `bracket`: <inertial> has no <mass>. Add it"),
        ("ixx=\"0.01\"", "ixx=\"-0.01\"", "link `hand`: its inertia has the principal value -1e-2"),
        ("ixx=\"0.01\"", "", "link `hand`: <inertial>: <inertia> has no attribute ixx"),
        ("ixx=\"0.01\"", "ixx=\"nan\"", "<inertia> ixx = \"nan\", needed is a number"),
        (
            "lower=\"-2.5\"",
            "lower=\"2.5\"",
            "<limit> upper = \"1.5\", needed is at least lower, 2.5",
        ),
        ("velocity=\"2.1\"", "velocity=\"-1\"", "<limit> velocity = \"-1\", needed is 0 or more"),
        ("damping=\"0.7\"", "damping=\"-1\"", "<dynamics> damping = \"-1\", needed is 0 or more"),
        (
            "name=\"turn\"",
            "name=\"trun\"",
            "joint `trun` moves the tip, but the robot has no joint of that name. Its joints: turn, slide, wrist",
        ),
        (
            "name=\"slide\" type=\"prismatic\"",
            "name=\"slide\" type=\"fixed\"",
            "the robot's joint `slide` does not move the tip `tip`. Joints that do: turn, wrist.",
        ),
    ];
    for (old, new, says) in cases {
        assert!(ARM.contains(old), "the example has no {old}");
        let refusal = arm(&ARM.replacen(old, new, 1)).unwrap_err().to_string();
        assert!(refusal.contains(says), "{old} -> {new}\nmissing: {says}\nsaid: {refusal}");
    }
    let swapped = ["slide", "turn", "wrist"];
    let refusal = Arm::parse(ARM, Path::new("arm.urdf"), Some("tip"), &swapped).unwrap_err();
    assert!(
        refusal.to_string().ends_with(
            "from the base to the tip are turn, slide, wrist, needed are slide, turn, wrist in this order"
        ),
        "{refusal}"
    );
    let few = Arm::parse(ARM, Path::new("arm.urdf"), Some("tip"), &["turn", "slide"]).unwrap_err();
    assert!(few.to_string().contains("joint `wrist` moves the tip, but the robot has no"), "{few}");
}

#[test]
fn an_arm_without_masses_has_a_chain() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/urdf/mycobot320.urdf");
    let names = ["joint1", "joint2", "joint3", "joint4", "joint5", "joint6"];
    let refusal = Arm::from_urdf(file.as_ref(), None, &names).unwrap_err().to_string();
    assert!(refusal.contains("link `link1`, which joint `joint1` moves, has no"), "{refusal}");
    let chain = Chain::from_urdf(file.as_ref(), None, &names).unwrap();
    let table = crate::arms::mycobot320();
    let q = Joints::from([0.3, -0.4, 0.5, 1.0, -1.2, 2.0]);
    let error = chain.at(&q).jacobian() - table.at(&q).jacobian();
    assert!(error.amax() < 1e-14, "{error}");
    assert_eq!(chain.limits()[0], JointLimits::NONE);
}

proptest! {
    #[test]
    fn changed_characters_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..3u8), 1..8),
    ) {
        let mut text: Vec<char> = ARM.chars().collect();
        for (index, new, kind) in edits {
            let place = index.index(text.len());
            match kind {
                0 => text[place] = new,
                1 => text.insert(place, new),
                _ => { text.remove(place); }
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(arm) = arm(&text) {
            prop_assert!(arm.mass().is_finite());
        }
    }
}
