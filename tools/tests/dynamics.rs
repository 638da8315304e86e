//! Recorded torques and motions of an arm against its model: causes that are known are named.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sinew_episodes::journal::{CycleRecord, FILE_NAME, Header, JointMeta, Writer};
use sinew_simulation::arms::franka::{JOINTS, READY, panda};
use sinew_simulation::dynamics::{Arm, JointFriction, Joints, Link};

type Seven = Joints<JOINTS>;

const RATE_HZ: f64 = 500.0;
const SAMPLES: usize = 5000;

/// What the arm has and its model has not, and how it is measured.
#[derive(Clone, Copy, Default)]
struct Truth {
    payload: Option<Link>,
    /// Viscous and Coulomb, of every joint.
    friction: [f64; 2],
    offset_nm: f64,
    /// Samples by which torques are late.
    late: usize,
    velocity: bool,
    /// Of the measured torques.
    noise_nm: f64,
}

/// Noise of a small generator (Numerical Recipes' LCG), ±0.5.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }
}

/// Position, velocity and acceleration of the plan: three sines a joint.
fn planned(time: f64) -> [Seven; 3] {
    let [mut q, mut v, mut a] = [Seven::from(READY), Seven::zeros(), Seven::zeros()];
    for joint in 0..JOINTS {
        for sine in 0..3 {
            let omega = std::f64::consts::TAU * (0.1 + 0.17 * sine as f64 + 0.013 * joint as f64);
            let phase = omega * time + 1.3 * joint as f64 + 2.1 * sine as f64;
            let amplitude = 0.25 / (1.0 + sine as f64);
            q[joint] += amplitude * phase.sin();
            v[joint] += amplitude * omega * phase.cos();
            a[joint] -= amplitude * omega * omega * phase.sin();
        }
    }
    [q, v, a]
}

/// An episode of an arm that is `truth`, moved by forward dynamics under a computed torque with feedback.
fn record(folder: &Path, truth: Truth) -> PathBuf {
    let mut arm: Arm<JOINTS> = panda().unwrap();
    if let Some(payload) = &truth.payload {
        arm = arm.with_payload(payload).unwrap();
    }
    let [viscous, coulomb] = truth.friction;
    arm.friction =
        [JointFriction::Linear { viscous, coulomb, offset: 0.0, transition: 0.02 }; JOINTS];
    let header = Header {
        run: "r".into(),
        robot: "franka".into(),
        joints: (1..=JOINTS)
            .map(|joint| JointMeta { name: format!("joint{joint}"), unit: "rad".into() })
            .chain([JointMeta { name: "gripper".into(), unit: "opening".into() }])
            .collect(),
        rate_hz: RATE_HZ,
        dataset_rate_hz: RATE_HZ,
        ..Header::default()
    };
    std::fs::create_dir_all(folder).unwrap();
    let mut writer = Writer::create(&folder.join(FILE_NAME), &header).unwrap();
    let mut noise = Noise(7);
    let [mut q, mut v, _] = planned(0.0);
    let mut torques = Vec::new();
    const SUBSTEPS: usize = 4;
    let dt = 1.0 / RATE_HZ / SUBSTEPS as f64;
    for sample in 0..SAMPLES {
        let time = sample as f64 / RATE_HZ;
        let [qd, vd, ad] = planned(time);
        let wish = ad + (qd - q) * 400.0 + (vd - v) * 40.0;
        let torque = arm.at(&q).inverse(&v, &wish) + arm.friction_torque(&v);
        torques.push(torque);
        let seen = torques[sample.saturating_sub(truth.late)];
        let all = |values: &Seven, size: f64, noise: &mut Noise| -> Vec<f64> {
            values.iter().map(|value| value + size * noise.next()).chain([0.5]).collect()
        };
        let cycle = CycleRecord {
            index: sample as u64,
            sample: sample as u64 + 1,
            link: 1,
            state: 2,
            measured: all(&q, 1e-5, &mut noise),
            measured_velocity: match truth.velocity {
                true => all(&v, 1e-3, &mut noise),
                false => Vec::new(),
            },
            measured_effort: all(&seen.add_scalar(truth.offset_nm), truth.noise_nm, &mut noise),
            measured_ns: vec![(1e9 * time) as u64; JOINTS + 1],
            ..CycleRecord::default()
        };
        writer.append_cycle(&cycle).unwrap();
        for _ in 0..SUBSTEPS {
            let net = torque - arm.friction_torque(&v);
            // Friction on links this light is stiff: it counts at the end of the step.
            let slope = arm.friction_torque(&v.add_scalar(1e-6)) - arm.friction_torque(&v);
            let mut stiff = arm.clone();
            stiff.rotor_inertia = slope * (dt / 1e-6);
            let change = stiff.at(&q).forward(&v, &net) * dt;
            q += (v + change * 0.5) * dt;
            v += change;
        }
    }
    writer.sync().unwrap();
    folder.to_owned()
}

fn validate(episode: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew-tools"))
        .args(["validate", "dynamics"])
        .arg(episode)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

/// What is found in an arm that is `truth` by a model of the bare arm, and the exit code.
fn found(truth: Truth, tolerance: &str, more: &[&str]) -> (serde_json::Value, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let episode = record(&folder.path().join("r"), truth);
    let out = folder.path().join("out");
    let plain = ["--arm", "panda", "--torque-tolerance", tolerance];
    let ended = validate(&episode, &out, &[&plain[..], more].concat());
    let said = String::from_utf8_lossy(&ended.stdout);
    println!("{said}{}", String::from_utf8_lossy(&ended.stderr));
    for file in ["report.html", "torque-joint2.png", "difference-joint2.png", "motion.png"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let json = std::fs::read(out.join("validation.json")).unwrap();
    (serde_json::from_slice(&json).unwrap(), ended.status.code())
}

fn likely(found: &serde_json::Value) -> Vec<&str> {
    let causes = found["causes"].as_array().unwrap().iter();
    let likely = causes.filter(|cause| cause["likely"].as_bool().unwrap());
    likely.map(|cause| cause["cause"].as_str().unwrap()).collect()
}

#[test]
fn an_arm_as_its_model_has_it_is_inside_in_torque_and_in_motion() {
    let truth = Truth { velocity: true, noise_nm: 0.004, ..Truth::default() };
    // The last link is light: little torque turns it far.
    let (found, code) = found(truth, "0.02", &["--motion-tolerance", "1,1,1,1,1,1,10"]);
    assert_eq!(code, Some(0));
    assert_eq!(found["inside"], true);
    let joints = found["joints"].as_array().unwrap();
    assert_eq!(joints.len(), JOINTS, "the gripper is no joint of the arm");
    for joint in &joints[..6] {
        let [rmse, coasting] =
            ["rmse_mrad", "coasting_rmse_mrad"].map(|key| joint["motion"][key].as_f64().unwrap());
        assert!(rmse < 0.2 * coasting, "{joint}");
    }
}

#[test]
fn a_payload_is_named_with_its_mass_and_centre() {
    let payload =
        Link { mass: 0.8, center: [0.02, -0.03, 0.09], inertia: [2e-3, 0.0, 0.0, 2e-3, 0.0, 1e-3] };
    let truth = Truth { payload: Some(payload), velocity: true, noise_nm: 0.1, ..Truth::default() };
    let (told, code) = found(truth, "0.1", &[]);
    assert_eq!(code, Some(3));
    assert_eq!(likely(&told), ["payload"]);
    let mass = told["payload"]["mass_kg"].as_f64().unwrap();
    assert!((mass - 0.8).abs() < 0.02, "{mass}");
    let centre = told["payload"]["centre_m"].as_array().unwrap();
    for (found, expected) in centre.iter().zip(payload.center) {
        assert!((found.as_f64().unwrap() - expected).abs() < 0.01, "{centre:?}");
    }
    // Told of it, the model is right.
    let (told, code) = found(truth, "0.1", &["--payload", "0.8", "0.02", "-0.03", "0.09"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn friction_is_named_joint_by_joint_also_where_velocities_were_not_measured() {
    let truth = Truth { friction: [0.6, 0.9], noise_nm: 0.1, ..Truth::default() };
    let (found, code) = found(truth, "0.1", &[]);
    assert_eq!(code, Some(3));
    assert_eq!(likely(&found), ["friction"]);
    for joint in found["joints"].as_array().unwrap() {
        let with = joint["correlations"]["sign_of_velocity"].as_f64().unwrap();
        assert!(with > 0.8, "{joint}");
    }
    for joint in found["lacking"].as_array().unwrap() {
        let viscous = joint["viscous_nm_s_rad"].as_f64().unwrap();
        let coulomb = joint["coulomb_nm"].as_f64().unwrap();
        assert!((viscous - 0.6).abs() < 0.15 && (coulomb - 0.9).abs() < 0.1, "{joint}");
    }
}

#[test]
fn late_torques_and_offsets_are_named() {
    let late = Truth { late: 3, velocity: true, noise_nm: 0.1, ..Truth::default() };
    let (told, code) = found(late, "0.02", &[]);
    assert_eq!(code, Some(3));
    assert_eq!(likely(&told), ["delay"]);
    // A torque is held for a sample of 2 ms and measured when that begins: half a sample ahead of the motion.
    let delay = told["delay_s"].as_f64().unwrap();
    assert!((delay - 0.005).abs() < 0.0003, "{delay}");
    let by_correlation = told["joints"][1]["delay_ms"].as_f64().unwrap();
    assert!((by_correlation - 5.0).abs() < 1.0, "{by_correlation}");

    let off = Truth { offset_nm: 0.4, velocity: true, noise_nm: 0.1, ..Truth::default() };
    let (told, _) = found(off, "0.1", &[]);
    assert_eq!(likely(&told), ["offset"]);
    for joint in told["joints"].as_array().unwrap() {
        assert!((joint["bias_nm"].as_f64().unwrap() - 0.4).abs() < 0.02, "{joint}");
    }
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut text = "time_s,a.position,a.effort\n".to_owned();
    (0..400).for_each(|row| text += &format!("{},0.1,0.2\n", f64::from(row) * 0.01));
    std::fs::write(&log, text).unwrap();
    let out = folder.path().join("out");
    let tolerance = ["--torque-tolerance", "1"];
    for (more, expected) in [
        (&["--arm", "panda"][..], "has 7 joints, and 1 are asked for (a)"),
        (&["--arm", "pander"], "no arm is called \"pander\""),
        (&["--arm", "panda", "--joints", "b"], "b are not among its joints (a)"),
        (&["--arm", "panda", "--cutoff-hz", "0"], "--cutoff-hz is 0"),
        (&["--arm", "panda", "--motion-tolerance", "1,2"], "has 2 numbers; needed is one"),
    ] {
        let ended = validate(&log, &out, &[more, &tolerance].concat());
        assert_eq!(ended.status.code(), Some(1));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains(expected), "{said}");
    }
    let ended = validate(
        &folder.path().join("none"),
        &out,
        &[&["--arm", "panda"][..], &tolerance].concat(),
    );
    assert!(String::from_utf8_lossy(&ended.stderr).contains("no such file or folder"));
}
