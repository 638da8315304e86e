//! The library's functions against Pinocchio's numbers for the same arm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use nalgebra::{Matrix4, SMatrix};
use serde_json::Value;
use sinew_fer_model::frames::{
    Ji_J_J8, Ji_J_J9, O_J_J1, O_J_J7, O_J_J8, O_J_J9, O_T_J1, O_T_J7, O_T_J8, O_T_J9,
};
use sinew_fer_model::{M_NE, c_NE, g_NE};

const GRAVITY: [f64; 3] = [0.0, 0.0, -9.81];
const IDENTITY: [f64; 16] = {
    let mut identity = [0.0; 16];
    (identity[0], identity[5], identity[10], identity[15]) = (1.0, 1.0, 1.0, 1.0);
    identity
};

fn cases() -> Vec<Value> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/dynamics/panda_pinocchio.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    golden["sets"]["gaz2019"]["cases"].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn seven(value: &Value) -> [f64; 7] {
    numbers(value).try_into().unwrap()
}

fn assert_near(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() < 1e-9, "{what}: {ours} {theirs}");
    }
}

#[test]
fn masses_torques_and_the_flange_are_pinocchios() {
    for case in cases() {
        let (q, dq) = (seven(&case["q"]), seven(&case["v"]));
        let mut mass = [0.0; 49];
        M_NE(&q, &[0.0; 9], 0.0, &[0.0; 3], &mut mass);
        assert_near(&mass, &numbers(&case["M"]), "mass");
        let (mut coriolis, mut gravity) = ([0.0; 7], [0.0; 7]);
        c_NE(&q, &dq, &[0.0; 9], 0.0, &[0.0; 3], &mut coriolis);
        g_NE(&q, &GRAVITY, 0.0, &[0.0; 3], &mut gravity);
        assert_near(&gravity, &numbers(&case["g"]), "gravity");
        let both: Vec<f64> = coriolis.iter().zip(gravity).map(|(c, g)| c + g).collect();
        assert_near(&both, &numbers(&case["nle"]), "Coriolis and gravity");
        let (mut pose, mut jacobian) = ([0.0; 16], [0.0; 42]);
        O_T_J8(&q, &mut pose);
        assert_near(&pose[12..15], &numbers(&case["flange_p"]), "place");
        let rotation = Matrix4::from_column_slice(&pose).fixed_view::<3, 3>(0, 0).transpose();
        assert_near(rotation.as_slice(), &numbers(&case["flange_R"]), "rotation");
        O_J_J8(&q, &mut jacobian);
        let rows = SMatrix::<f64, 6, 7>::from_column_slice(&jacobian).transpose();
        assert_near(rows.as_slice(), &numbers(&case["J_world_aligned"]), "Jacobian");
    }
}

#[test]
fn an_end_effector_at_the_flange_is_the_flange_and_frames_lie_along_the_arm() {
    for case in cases() {
        let q = seven(&case["q"]);
        let (mut flange, mut tool) = ([0.0; 16], [0.0; 16]);
        O_T_J8(&q, &mut flange);
        O_T_J9(&q, &IDENTITY, &mut tool);
        assert_near(&flange, &tool, "pose");
        let (mut eight, mut nine) = ([0.0; 42], [0.0; 42]);
        O_J_J8(&q, &mut eight);
        O_J_J9(&q, &IDENTITY, &mut nine);
        assert_near(&eight, &nine, "Jacobian");
        Ji_J_J8(&q, &mut eight);
        Ji_J_J9(&q, &IDENTITY, &mut nine);
        assert_near(&eight, &nine, "Jacobian in its own axes");
        // The last joint turns about the z axis of its frame and of the flange.
        assert_near(&eight[36..], &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], "last joint");
        O_T_J1(&q, &mut tool);
        assert_near(&tool[12..], &[0.0, 0.0, 0.333, 1.0], "first frame");
        O_J_J1(&mut nine);
        assert_near(&nine[..6], &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], "first joint");
        assert!(nine[6..].iter().all(|number| *number == 0.0));
        O_T_J7(&q, &mut tool);
        let distance: f64 = (12..15).map(|i| (tool[i] - flange[i]).powi(2)).sum();
        assert!((distance.sqrt() - 0.107).abs() < 1e-12);
        O_J_J7(&q, &mut nine);
        assert!(nine[36..39].iter().all(|number| number.abs() < 1e-12), "on its own axis");
    }
}

#[test]
fn a_load_weighs_and_one_that_cannot_exist_has_no_numbers() {
    let q = seven(&cases()[0]["q"]);
    let (mut bare, mut loaded) = ([0.0; 7], [0.0; 7]);
    g_NE(&q, &GRAVITY, 0.0, &[0.0; 3], &mut bare);
    g_NE(&q, &GRAVITY, 2.0, &[0.0, 0.0, 0.1], &mut loaded);
    // A weight's torques are its force through the Jacobian of where it is.
    let mut frame = IDENTITY;
    frame[14] = 0.1;
    let mut jacobian = [0.0; 42];
    O_J_J9(&q, &frame, &mut jacobian);
    for joint in 0..7 {
        let expected = 2.0 * 9.81 * jacobian[6 * joint + 2];
        assert!((loaded[joint] - bare[joint] - expected).abs() < 1e-9);
    }
    let mut mass = [0.0; 49];
    M_NE(&q, &[0.0; 9], -1.0, &[0.0; 3], &mut mass);
    assert!(mass.iter().all(|number| number.is_nan()));
}
