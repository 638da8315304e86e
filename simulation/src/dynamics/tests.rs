use nalgebra::{Matrix3, Quaternion, SMatrix, SVector, UnitQuaternion, Vector3};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::arms::franka::{self, JOINTS};
use crate::arms::{mycobot320, viperx300};
use crate::kinematics::SerialChain;

fn fixture(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/dynamics");
    let text = std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn vector<const N: usize>(value: &Value) -> SVector<f64, N> {
    SVector::from_row_slice(&numbers(value))
}

fn rows<const R: usize, const C: usize>(value: &Value) -> SMatrix<f64, R, C> {
    SMatrix::from_row_slice(&numbers(value))
}

/// A prismatic joint between two that turn about tilted axes, on a tilted base, with rotors.
fn odd() -> Arm<3> {
    let joint = |xyz, rpy, axis, kind| Joint {
        origin: Transform::from_xyz_rpy(xyz, rpy),
        axis,
        kind,
        limits: JointLimits::range(-2.0, 2.0),
    };
    let links = [
        Link { mass: 2.0, center: [0.1, -0.02, 0.3], inertia: [0.2, 0.01, -0.02, 0.3, 0.0, 0.25] },
        Link { mass: 1.0, center: [0.0, 0.1, 0.0], inertia: [0.1, 0.0, 0.01, 0.1, 0.0, 0.08] },
        Link { mass: 0.5, center: [0.2, 0.0, 0.1], inertia: [0.01, 0.0, 0.0, 0.02, 0.001, 0.02] },
    ];
    let joints = [
        joint([0.0, 0.1, 0.2], [0.3, 0.0, 0.1], [0.0, 0.6, 0.8], JointKind::Turns),
        joint([0.3, 0.0, 0.1], [0.0, 0.5, 0.0], [1.0, 0.0, 0.0], JointKind::Slides),
        joint([0.0, 0.2, 0.0], [0.1, 0.2, 0.3], [0.8, 0.0, -0.6], JointKind::Turns),
    ];
    let tool = Transform::from_xyz_rpy([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]);
    let mut arm = Arm::new(&joints, &links, tool).unwrap();
    arm.gravity = Vector3::new(1.0, -2.0, -9.0);
    arm.rotor_inertia = Joints::from([0.05, 0.2, 0.01]);
    arm
}

#[test]
fn panda_and_fr3_are_pinocchios() {
    let golden = fixture("panda_pinocchio.json");
    let arms = [
        ("gaz2019", franka::panda_identified()),
        ("fer_franka_description", franka::panda()),
        ("fr3_franka_description", franka::fr3()),
    ];
    for (name, arm) in arms {
        let arm = arm.unwrap();
        let cases = golden["sets"][name]["cases"].as_array().unwrap();
        assert!(cases.len() >= 6);
        for case in cases {
            let (q, v, a) = (vector(&case["q"]), vector(&case["v"]), vector(&case["a"]));
            let state = arm.at(&q);
            let tool = state.kinematics.tool();
            let close = |what: &str, error: f64| assert!(error <= 1e-9, "{name} {what} {error:e}");
            close("position", (tool.translation.vector - vector(&case["flange_p"])).amax());
            close("rotation", (tool.rotation.matrix() - rows(&case["flange_R"])).amax());
            let jacobian: Jacobian<JOINTS> = rows(&case["J_world_aligned"]);
            close("Jacobian", (state.kinematics.jacobian() - jacobian).amax());
            close("mass", (state.mass_matrix() - rows::<7, 7>(&case["M"])).amax());
            close("gravity", (state.gravity() - vector(&case["g"])).amax());
            close("bias", (state.bias(&v) - vector(&case["nle"])).amax());
            let efforts = state.inverse(&v, &a);
            close("RNEA", (efforts - vector(&case["rnea"])).amax());
            close("ABA", (state.forward(&v, &efforts) - vector(&case["aba_of_rnea"])).amax());
            let coriolis = state.coriolis_matrix(&v) * v;
            close("Coriolis", (coriolis + state.gravity() - vector(&case["nle"])).amax());
        }
    }
}

#[test]
fn the_viperx_is_mujocos() {
    let golden = fixture("viperx300_mujoco.json");
    let start = &golden["start"];
    let arm = viperx300(start["finger"].as_f64().unwrap()).unwrap();
    let state = arm.at(&vector(&start["q"]));
    let bias = (state.gravity() - vector(&start["qfrc_bias"])).amax();
    assert!(bias < 1e-9, "{bias:e}");
    let diagonal = (state.mass_matrix().diagonal() - vector(&start["M_diag"])).amax();
    assert!(diagonal < 1e-9, "{diagonal:e}");
    let base: Vector3<f64> = vector(&golden["base"]);
    for pose in golden["poses"].as_array().unwrap() {
        let tool = arm.chain.at(&vector(&pose["q"])).tool();
        let position: Vector3<f64> = vector(&pose["position"]);
        assert!((tool.translation.vector + base - position).amax() < 1e-9);
        let q = numbers(&pose["quaternion_wxyz"]);
        let turn = UnitQuaternion::from_quaternion(Quaternion::new(q[0], q[1], q[2], q[3]));
        let turn: Matrix3<f64> = turn.to_rotation_matrix().into_inner();
        assert!((tool.rotation.matrix() - turn).amax() < 1e-9);
    }
}

/// Masses of the published table, and torque of a held arm against the sum over its parts.
#[test]
fn gravity_is_the_slope_of_the_potential_energy() {
    let arm = franka::fr3().unwrap();
    assert!((arm.mass() - 15.494_801_026).abs() < 1e-6, "{}", arm.mass());
    let q = Joints::from(franka::READY);
    let gravity = arm.at(&q).gravity();
    for i in 0..JOINTS {
        let energy = |step: f64| {
            let mut moved = q;
            moved[i] += step;
            arm.at(&moved).potential_energy()
        };
        let slope = (energy(1e-5) - energy(-1e-5)) / 2e-5;
        assert!((gravity[i] - slope).abs() < 1e-7, "{i}: {} {slope}", gravity[i]);
    }
}

#[test]
fn a_payload_weighs_where_the_tool_is() {
    let arm = franka::panda().unwrap();
    let center = [0.01, -0.02, 0.05];
    let inertia = [0.001, 0.0001, 0.0, 0.002, 0.0, 0.003];
    let loaded = arm.clone().with_payload(&Link { mass: 1.5, center, inertia }).unwrap();
    assert!((loaded.mass() - arm.mass() - 1.5).abs() < 1e-12);
    let q = Joints::from(franka::READY) * 0.9;
    let (bare, state) = (arm.at(&q), loaded.at(&q));
    let tool = state.kinematics.tool();
    let point = tool * nalgebra::Point3::from(center);
    let jacobian = state.kinematics.jacobian_at(JOINTS, &point.coords);
    let (linear, angular) = (jacobian.fixed_rows::<3>(0), jacobian.fixed_rows::<3>(3));
    let pull = linear.tr_mul(&(-1.5 * GRAVITY));
    assert!((state.gravity() - bare.gravity() - pull).amax() < 1e-12);
    let [xx, xy, xz, yy, yz, zz] = inertia;
    let about_center = Matrix3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz);
    let turned = tool.rotation.matrix() * about_center * tool.rotation.matrix().transpose();
    let mass = linear.transpose() * linear * 1.5 + angular.transpose() * turned * angular;
    assert!((state.mass_matrix() - bare.mass_matrix() - mass).amax() < 1e-12);
    // The same body at the end of a longer tool.
    let offset = Transform::from_xyz_rpy([0.1, 0.0, 0.2], [0.3, 0.2, 0.1]);
    let longer = Arm { chain: arm.chain.clone().with_tool(&offset), ..arm.clone() };
    let there = longer.chain.at(&q).tool();
    assert!(
        ((tool * Pose::from(offset)).translation.vector - there.translation.vector).amax() < 1e-14
    );
    let refusal = arm.with_payload(&Link::point(-1.0, center)).unwrap_err();
    assert_eq!(refusal.index, JOINTS);
}

#[test]
fn links_that_cannot_exist_are_refused() {
    let arm = |link: Link| {
        let joint = Joint::about_z(Transform::IDENTITY, JointLimits::NONE);
        Arm::new(&[joint; 2], &[Link::point(1.0, [0.1; 3]), link], Transform::IDENTITY)
    };
    let good = Link { mass: 1.0, center: [0.0; 3], inertia: [1.0, 0.0, 0.0, 1.0, 0.0, 1.0] };
    assert!(arm(good).is_ok());
    for mass in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refusal = arm(Link { mass, ..good }).unwrap_err().to_string();
        assert!(refusal.starts_with("link 2 of the arm: its mass is"), "{refusal}");
    }
    let refusal = arm(Link { inertia: [1.0, 2.0, 0.0, 1.0, 0.0, 1.0], ..good }).unwrap_err();
    assert!(refusal.to_string().contains("principal value -1e0 kg·m²"), "{refusal}");
    assert!(arm(Link { inertia: [f64::NAN; 6], ..good }).is_err());
    assert!(arm(Link { center: [0.0, f64::NAN, 0.0], ..good }).is_err());
}

#[test]
fn a_serial_chain_is_the_same_arm() {
    let joint = Transform::from_xyz_rpy;
    let serial = SerialChain {
        origins: [
            joint([0.0, 0.0, 0.2], [0.1, 0.0, 0.0]),
            joint([0.3, 0.0, 0.1], [-1.5, 0.2, 0.0]),
        ],
        limits: [const { -2.8..=2.0 }; 2],
    };
    let chain = Chain::from(&serial);
    let pose = chain.at(&Joints::from([0.4, -0.7])).tool();
    let same = (Transform::from(pose).rotation, Transform::from(pose).translation);
    let expected = serial.forward(&[0.4, -0.7]);
    for (a, b) in same.0.iter().flatten().zip(expected.rotation.iter().flatten()) {
        assert!((a - b).abs() < 1e-15);
    }
    assert!((Vector3::from(same.1) - Vector3::from(expected.translation)).amax() < 1e-15);
    assert_eq!(chain.limits()[1], JointLimits::range(-2.8, 2.0));
}

#[test]
fn a_frictionless_pendulum_keeps_its_energy() {
    let arm = crate::arms::pendulum(1.3, 0.8).unwrap();
    let mut state = [2.5, 0.0];
    let energy = |[q, v]: [f64; 2]| {
        let dynamics = arm.at(&Joints::from([q]));
        dynamics.kinetic_energy(&Joints::from([v])) + dynamics.potential_energy()
    };
    let rate = |[q, v]: [f64; 2]| {
        [v, arm.at(&Joints::from([q])).forward(&Joints::from([v]), &Joints::from([0.0]))[0]]
    };
    let begin = energy(state);
    let step = 1e-3;
    for _ in 0..20_000 {
        let moved = |by: [f64; 2], h: f64| [state[0] + h * by[0], state[1] + h * by[1]];
        let k1 = rate(state);
        let k2 = rate(moved(k1, 0.5 * step));
        let k3 = rate(moved(k2, 0.5 * step));
        let k4 = rate(moved(k3, step));
        for i in 0..2 {
            state[i] += step / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
        }
    }
    assert!((energy(state) - begin).abs() < 1e-9, "{} J", energy(state) - begin);
}

#[test]
fn nothing_here_allocates() {
    let arm = franka::panda_identified().unwrap();
    let (q, v) = (Joints::from(franka::READY), Joints::repeat(0.3));
    let target = arm.chain.at(&(q + v * 0.1)).tool();
    let settings = IkSettings { posture: Some(q), ..IkSettings::default() };
    let info = allocation_counter::measure(|| {
        let state = arm.at(&q);
        let efforts = state.inverse(&v, &v) + arm.friction_torque(&v);
        let jacobians = (state.kinematics.jacobian(), state.kinematics.jacobian_rate(&v));
        let matrices = (state.mass_matrix(), state.coriolis_matrix(&v));
        let moved = state.forward(&v, &efforts);
        let found = arm.chain.inverse(&target, &q, &settings);
        std::hint::black_box((jacobians, matrices, moved, found)).3.unwrap();
    });
    assert_eq!(info.count_total, 0);
}

fn seven(range: f64) -> impl Strategy<Value = Joints<7>> {
    prop::array::uniform7(-range..range).prop_map(Joints::from)
}

/// The share of each joint's range.
fn within<const N: usize>(limits: &[JointLimits; N], share: &[f64]) -> Joints<N> {
    Joints::from_fn(|i, _| limits[i].lower + share[i] * (limits[i].upper - limits[i].lower))
}

/// What must hold of every arm.
fn consistent<const N: usize>(
    arm: &Arm<N>,
    q: &Joints<N>,
    v: &Joints<N>,
    a: &Joints<N>,
) -> Result<(), TestCaseError> {
    let state = arm.at(q);
    let efforts = state.inverse(v, a);
    let mass = state.mass_matrix();
    let scale = 1.0 + efforts.amax();
    // ABA inverts RNEA.
    let back = state.forward(v, &efforts);
    prop_assert!((back - a).amax() < 1e-9 * (1.0 + a.amax()) * scale, "{:e}", (back - a).amax());
    // CRBA and RNEA say the same.
    prop_assert!((mass * a + state.bias(v) - efforts).amax() < 1e-11 * scale);
    prop_assert!((state.coriolis(v) + state.gravity() - state.bias(v)).amax() < 1e-12 * scale);
    // Symmetric, positive definite.
    prop_assert_eq!(mass, mass.transpose());
    prop_assert!(mass.cholesky().is_some());
    let twice = v.dot(&(mass * v));
    prop_assert!((2.0 * state.kinetic_energy(v) - twice).abs() < 1e-12 * (1.0 + twice));
    // Coriolis: C v, and dM/dt - 2 C skew, with dM/dt from differences.
    let coriolis = state.coriolis_matrix(v);
    prop_assert!((coriolis * v - state.coriolis(v)).amax() < 1e-11 * scale);
    let h = 1e-5;
    let mass_at = |t: f64| arm.at(&(q + v * t)).mass_matrix();
    let rate = (mass_at(h) - mass_at(-h)) / (2.0 * h);
    let skew = rate - coriolis * 2.0;
    prop_assert!((skew + skew.transpose()).amax() < 1e-8 * scale);
    // Jacobian and its rate are differences of poses and of Jacobians.
    let jacobian = state.kinematics.jacobian();
    let tool = |t: f64| arm.chain.at(&(q + v * t)).tool();
    let (before, after) = (tool(-h), tool(h));
    let linear = (after.translation.vector - before.translation.vector) / (2.0 * h);
    let turn = (after.rotation.matrix() - before.rotation.matrix()) / (2.0 * h);
    let spin = turn * state.kinematics.tool().rotation.matrix().transpose();
    let twist = jacobian * v;
    prop_assert!((twist.fixed_rows::<3>(0) - linear).amax() < 1e-8);
    let angular = Vector3::new(spin.m32, spin.m13, spin.m21);
    prop_assert!((twist.fixed_rows::<3>(3) - angular).amax() < 1e-8);
    let at = |t: f64| arm.chain.at(&(q + v * t)).jacobian();
    let rate = (at(h) - at(-h)) / (2.0 * h);
    prop_assert!((state.kinematics.jacobian_rate(v) - rate).amax() < 1e-8);
    Ok(())
}

proptest! {
    #[test]
    fn an_arm_is_consistent(q in seven(3.0), v in seven(2.0), a in seven(5.0)) {
        consistent(&franka::panda_identified().unwrap(), &q, &v, &a)?;
        consistent(&franka::fr3().unwrap(), &q, &v, &a)?;
    }

    #[test]
    fn so_is_one_with_sliding_joints_rotors_and_tilted_axes(
        q in seven(2.0), v in seven(2.0), a in seven(5.0),
    ) {
        let first = |x: &Joints<7>| Joints::<3>::from_fn(|i, _| x[i]);
        consistent(&odd(), &first(&q), &first(&v), &first(&a))?;
        let six = |x: &Joints<7>| Joints::<6>::from_fn(|i, _| x[i]);
        consistent(&viperx300(0.03).unwrap(), &six(&q), &six(&v), &six(&a))?;
    }

    #[test]
    fn the_inverse_reaches_what_forward_reached_inside_limits(
        share in prop::array::uniform7(0.02..0.98f64), shift in seven(0.3),
    ) {
        let chain = franka::chain();
        let q = within(chain.limits(), &share);
        let target = chain.at(&q).tool();
        // Stretched elbows and joints at their ends can close the way from the seed.
        let settings = IkSettings { restarts: 20, ..IkSettings::default() };
        let found = chain.inverse(&target, &(q + shift), &settings);
        prop_assert!(found.is_ok(), "{found:?}");
        let found = found.unwrap();
        let pose = chain.at(&found).tool();
        prop_assert!((pose.translation.vector - target.translation.vector).norm() < 1e-6);
        prop_assert!((pose.rotation.matrix() - target.rotation.matrix()).amax() < 2e-6);
        for (angle, limits) in found.iter().zip(chain.limits()) {
            prop_assert!((limits.lower..=limits.upper).contains(angle));
        }
    }

    #[test]
    fn in_the_middle_of_the_ranges_the_seed_next_to_it_is_enough(
        share in prop::array::uniform7(0.25..0.75f64), shift in seven(0.1),
    ) {
        let chain = franka::chain();
        let q = within(chain.limits(), &share);
        let target = chain.at(&q).tool();
        let found = chain.inverse(&target, &(q + shift), &IkSettings::default());
        prop_assert!(found.is_ok(), "{found:?}");
        prop_assert!((found.unwrap() - q).amax() < 0.5);
    }

    #[test]
    fn a_posture_moves_the_elbow_and_not_the_tool(
        share in prop::array::uniform7(0.2..0.8f64),
    ) {
        let chain = franka::chain();
        let q = within(chain.limits(), &share);
        let target = chain.at(&q).tool();
        let posture = Joints::from(franka::READY);
        let settings = IkSettings { posture: Some(posture), ..IkSettings::default() };
        let found = chain.inverse(&target, &q, &settings).unwrap();
        let pose = chain.at(&found).tool();
        prop_assert!((pose.translation.vector - target.translation.vector).norm() < 1e-6);
        prop_assert!((found - posture).norm() <= (q - posture).norm() + 1e-6);
    }

    #[test]
    fn whatever_is_asked_the_inverse_stays_inside_limits(
        xyz in prop::array::uniform3(-2.0..2.0f64), rpy in prop::array::uniform3(-3.0..3.0f64),
        seed in prop::array::uniform6(-9.0..9.0f64),
    ) {
        let chain = mycobot320();
        let target = Pose::from(Transform::from_xyz_rpy(xyz, rpy));
        let settings = IkSettings { iterations: 50, ..IkSettings::default() };
        let found = match chain.inverse(&target, &Joints::from(seed), &settings) {
            Ok(found) => found,
            Err(error) => error.closest,
        };
        for (angle, limits) in found.iter().zip(chain.limits()) {
            prop_assert!((limits.lower..=limits.upper).contains(angle), "{found}");
        }
    }
}
