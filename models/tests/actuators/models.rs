//! What models compute.

use super::*;
use serde_json::Value;
use sinew_models::actuators::{
    ActuatorError, ActuatorModel, DcMotor, DcMotorCurve, Delay, Delayed, Gains, GruActuator,
    IdealPd, MlpActuator, ParameterError, Parts, Spring, SpringConvention, TorqueSpeedCurve,
};

const GAINS: Gains = Gains { stiffness: 10.0, damping: 0.5 };

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn vectors() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("torque_speed.json")).unwrap()).unwrap()
}

#[test]
fn the_seeds_curve_clips_pd_alone_and_the_spring_follows_its_convention() {
    let vectors = vectors();
    let parameters = |name: &str| number(&vectors["params"][name]);
    let pd = PdPart {
        stiffness_nm_per_rad: parameters("kp"),
        damping_nm_s_per_rad: parameters("kd"),
        target_velocity: TargetVelocity::Zero,
    };
    let curve = TorqueSpeedCurve {
        stall_torque_nm: parameters("stall"),
        no_load_speed_rad_s: parameters("no_load"),
    };
    // A network of zeros: what is left is PD and spring.
    let mut zeros = gru(3, 4);
    (zeros.head_weight, zeros.head_bias) = (vec![0.0; 4], vec![0.0]);
    for (convention, key) in [
        (SpringConvention::Seed, "tau_phys_readme"),
        (SpringConvention::Physical, "tau_phys_physical"),
    ] {
        let spring = Spring {
            stiffness_nm_per_rad: parameters("k_spring"),
            rest_position_rad: parameters("theta0"),
            convention,
        };
        let spec = GruSpec {
            pd: Some(pd),
            torque_speed_curve: Some(curve),
            spring: Some(spring),
            ..spec(Output::Residual)
        };
        let mut model = GruActuator::new(&spec, &zeros, 1, 100.0).unwrap();
        let rows = vectors["tsc"].as_array().unwrap();
        assert_eq!(rows.len(), 63);
        for row in rows {
            let input = JointInput {
                // The seed damps towards rest whatever is asked for.
                target_velocity: 7.0,
                ..input(number(&row["q"]), number(&row["v"]), number(&row["q_des"]))
            };
            let mut effort = [0.0];
            model.step(&[input], &mut effort).unwrap();
            assert!((effort[0] - number(&row[key])).abs() < 1e-9, "{row} {convention:?}");
            assert!((model.parts(0).pd - number(&row["pd_sat"])).abs() < 1e-9, "{row}");
        }
    }
}

#[test]
fn a_dc_motor_is_bounded_in_four_quadrants() {
    let vectors = vectors();
    let motor = &vectors["isaac_dcmotor"];
    let curve = DcMotorCurve {
        saturation_effort_nm: number(&motor["saturation_effort"]),
        no_load_speed_rad_s: number(&motor["velocity_limit"]),
        effort_limit_nm: number(&motor["effort_limit"]),
    };
    let stiff = Gains { stiffness: 1e4, damping: 0.0 };
    let mut model = DcMotor::new(&[(stiff, curve), (stiff, curve)]).unwrap();
    for row in motor["rows"].as_array().unwrap() {
        let velocity = number(&row["v"]);
        let mut efforts = [0.0; 2];
        let up_and_down = [input(0.0, velocity, 1.0), input(0.0, velocity, -1.0)];
        model.step(&up_and_down, &mut efforts).unwrap();
        assert!((efforts[0] - number(&row["max"])).abs() < 1e-9, "{row} {efforts:?}");
        assert!((efforts[1] - number(&row["min"])).abs() < 1e-9, "{row} {efforts:?}");
    }
    assert_eq!((model.kind(), model.rate_hz(), model.joints()), ("dc_motor", None, 2));
}

#[test]
fn ideal_pd_follows_targets_of_position_and_velocity_up_to_its_limit() {
    let mut model = IdealPd::new(&[(GAINS, None), (GAINS, Some(1.0))]).unwrap();
    let input = JointInput { target_velocity: 2.0, ..input(0.1, 1.0, 0.4) };
    let mut efforts = [0.0; 2];
    model.step(&[input; 2], &mut efforts).unwrap();
    assert!((efforts[0] - 3.5).abs() < 1e-12);
    assert_eq!(efforts[1], 1.0);
    let parts = model.parts(1);
    assert!((parts.unclamped - 3.5).abs() < 1e-12);
    assert_eq!((parts.effort, parts.fallback, model.fallbacks()), (1.0, false, 0));
    model.reset(1);
    assert_eq!(model.parts(1), Parts::default());
}

#[test]
fn delayed_targets_arrive_late_and_measurements_do_not() {
    let pd = || IdealPd::new(&[(GAINS, None); 2]).unwrap();
    let delay = Delay::Milliseconds { delay_ms: 29.0, rate_hz: 100.0 };
    let mut model = Delayed::new(pd(), delay).unwrap();
    assert_eq!(model.delay_steps(), 3);
    let mut efforts = [0.0; 2];
    let mut all = Vec::new();
    for step in 0..7 {
        if step == 5 {
            model.reset(1);
        }
        let input = input(1.0, 0.0, f64::from(step));
        model.step(&[input; 2], &mut efforts).unwrap();
        all.push(efforts.map(|effort| effort / 10.0 + 1.0));
    }
    // The first target stays until others are old enough; after a reset it is the one of then.
    let first: Vec<f64> = all.iter().map(|both| both[0]).collect();
    let second: Vec<f64> = all.iter().map(|both| both[1]).collect();
    assert_eq!(first, [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    assert_eq!(second, [0.0, 0.0, 0.0, 0.0, 1.0, 5.0, 5.0]);
    let mut prompt = Delayed::new(pd(), Delay::Steps(0)).unwrap();
    prompt.step(&[input(0.0, 0.0, 0.3); 2], &mut efforts).unwrap();
    assert_eq!(efforts, [3.0; 2]);
    assert!(Delayed::new(pd(), Delay::Steps(10_001)).is_err());
    let wrong = Delay::Milliseconds { delay_ms: f64::NAN, rate_hz: 100.0 };
    assert!(matches!(Delayed::new(pd(), wrong), Err(ParameterError::Value { .. })));
}

/// The network of `tests/fixtures/gru`, which ONNX Runtime has stepped.
#[test]
fn the_network_alone_is_that_of_onnx_runtime() {
    let file = support::fixture("gru").join("two_layers.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    fn flat(value: &Value) -> Vec<f32> {
        match value {
            Value::Array(values) => values.iter().flat_map(flat).collect(),
            value => vec![value.as_f64().unwrap() as f32],
        }
    }
    let tensor = |name: &str| flat(&golden["params"][name]);
    let layer = |index: usize| GruLayerParameters {
        weight_ih: tensor(&format!("weight_ih_l{index}")),
        weight_hh: tensor(&format!("weight_hh_l{index}")),
        bias_ih: tensor(&format!("bias_ih_l{index}")),
        bias_hh: tensor(&format!("bias_hh_l{index}")),
    };
    let parameters = GruParameters {
        inputs: 3,
        hidden: 16,
        layers: vec![layer(0), layer(1)],
        head_weight: tensor("fc_weight"),
        head_bias: tensor("fc_bias"),
    };
    let mut model = GruActuator::new(&spec(Output::Full), &parameters, 2, 100.0).unwrap();
    let (x, y) = (flat(&golden["x"]), flat(&golden["y"]));
    for (x, y) in x.chunks_exact(6).zip(y.chunks_exact(2)) {
        let input = |x: &[f32]| input(x[0].into(), x[2].into(), x[1].into());
        let mut efforts = [0.0; 2];
        model.step(&[input(&x[..3]), input(&x[3..])], &mut efforts).unwrap();
        for (effort, y) in efforts.iter().zip(y) {
            assert!((effort - f64::from(*y)).abs() <= 1e-6, "{effort} {y}");
        }
    }
}

/// Statistics, output kinds and clamps, against the formulas.
#[test]
fn statistics_are_applied_once_and_a_residual_has_no_mean() {
    let plain = spec(Output::Full);
    let parameters = gru(3, 8);
    let raw = |x: [f64; 3]| {
        let mut model = GruActuator::new(&plain, &parameters, 1, 100.0).unwrap();
        let mut effort = [0.0];
        model.step(&[input(x[0], x[2], x[1])], &mut effort).unwrap();
        effort[0]
    };
    let normalization = Normalization {
        input_mean: vec![0.1, -0.2, 0.3],
        input_std: vec![0.5, 0.25, 4.0],
        target_mean: 0.7,
        target_std: 0.01,
        epsilon: 0.125,
        std_floor: 0.375,
    };
    let x = [0.4, 0.9, -1.1];
    let nn = raw([0.3 / 0.625, 1.1 / 0.5, -1.4 / 4.125]);
    let (pd, scale) = (10.0 * 0.5 + 0.5 * 1.1, 0.5);
    for (output, expected) in [
        (Output::Full, nn * scale + 0.7),
        (Output::Residual, nn * scale + pd),
        (Output::ResidualWithMean, nn * scale + 0.7 + pd),
    ] {
        let spec = GruSpec { normalization: normalization.clone(), ..spec(output) };
        let mut model = GruActuator::new(&spec, &parameters, 1, 100.0).unwrap();
        let mut effort = [0.0];
        model.step(&[input(x[0], x[2], x[1])], &mut effort).unwrap();
        assert!((effort[0] - expected).abs() < 1e-6, "{output:?} {effort:?} {expected}");
        let limited = GruSpec { effort_limit_nm: Some(0.25), ..spec };
        let mut model = GruActuator::new(&limited, &parameters, 1, 100.0).unwrap();
        model.step(&[input(x[0], x[2], x[1])], &mut effort).unwrap();
        let parts = model.parts(0);
        assert_eq!((effort[0].abs(), parts.effort), (0.25, effort[0]));
        assert!((parts.unclamped - expected).abs() < 1e-6);
    }
}

#[test]
fn twelve_joints_in_a_batch_are_twelve_joints_alone_and_reset_alone() {
    let (spec, parameters) = (spec(Output::Residual), gru(3, 20));
    let mut batch = GruActuator::new(&spec, &parameters, 12, 100.0).unwrap();
    let mut alone: Vec<GruActuator> =
        (0..12).map(|_| GruActuator::new(&spec, &parameters, 1, 100.0).unwrap()).collect();
    let mut efforts = [0.0; 12];
    for step in 0..50 {
        if step == 20 {
            batch.reset(7);
            alone[7] = GruActuator::new(&spec, &parameters, 1, 100.0).unwrap();
        }
        if step == 40 {
            batch.reset_all();
            alone.iter_mut().for_each(|model| model.reset(0));
        }
        let inputs: [JointInput; 12] = std::array::from_fn(|joint| {
            let phase = f64::from(step) * 0.1 + joint as f64;
            input(phase.sin(), phase.cos(), (phase * 1.3).sin())
        });
        batch.step(&inputs, &mut efforts).unwrap();
        for (joint, model) in alone.iter_mut().enumerate() {
            let mut effort = [0.0];
            model.step(&inputs[joint..=joint], &mut effort).unwrap();
            assert_eq!(effort[0].to_bits(), efforts[joint].to_bits(), "joint {joint}, {step}");
        }
    }
}

#[test]
fn a_slow_network_is_held_between_its_steps_while_pd_follows_every_call() {
    let (spec, parameters) = (spec(Output::Residual), gru(3, 8));
    let mut slow = GruActuator::new(&spec, &parameters, 1, 99.9).unwrap();
    let mut fast = GruActuator::new(&spec, &parameters, 1, 500.0).unwrap();
    assert_eq!((slow.calls_per_step(), fast.calls_per_step()), (1, 5));
    let at = |call: u32| input(f64::from(call) * 0.01, 0.2, 0.5);
    for call in 0..40 {
        let (mut a, mut b) = ([0.0], [0.0]);
        fast.step(&[at(call)], &mut a).unwrap();
        if call % 5 == 0 {
            slow.step(&[at(call)], &mut b).unwrap();
            assert_eq!(a, b, "call {call}");
        }
        assert_eq!(fast.parts(0).network, slow.parts(0).network, "call {call}");
        let pd = 10.0 * (0.5 - f64::from(call) * 0.01) - 0.1;
        assert!((fast.parts(0).pd - pd).abs() < 1e-12, "call {call}");
        if call == 22 {
            // Between two steps: the next call makes one.
            fast.reset(0);
            assert_eq!(fast.parts(0), Parts::default());
            break;
        }
    }
    let (mut a, mut b) = ([0.0], [0.0]);
    slow.reset(0);
    fast.step(&[at(3)], &mut a).unwrap();
    slow.step(&[at(3)], &mut b).unwrap();
    assert_eq!(a, b);
}

#[test]
fn rates_that_do_not_divide_are_refused_with_a_rate_that_would() {
    let (spec, parameters) = (spec(Output::Residual), gru(3, 8));
    let refused =
        |rate| GruActuator::new(&spec, &parameters, 1, rate).map(drop).unwrap_err().to_string();
    let message = refused(240.0);
    assert!(message.contains("100 Hz") && message.contains("240 Hz"), "{message}");
    assert!(message.contains("let the loop run at 200 Hz"), "{message}");
    assert!(refused(50.0).contains("let the loop run at 100 Hz"));
    assert!(refused(102.0).contains("within 1 %"));
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(rate).contains("rate_hz is"), "{rate}");
    }
    assert!(GruActuator::new(&spec, &parameters, 1, 198.5).is_ok());
}

/// Two units near 1 and weights near the largest number: their sum is none.
fn overflowing() -> GruParameters {
    let mut parameters = gru(3, 2);
    parameters.layers.truncate(1);
    let layer = &mut parameters.layers[0];
    layer.weight_hh.fill(0.0);
    layer.weight_ih.fill(0.0);
    (layer.bias_ih, layer.bias_hh) = (vec![0.0; 6], vec![0.0; 6]);
    // The new state follows the position.
    (layer.weight_ih[12], layer.weight_ih[15]) = (50.0, 50.0);
    parameters.head_weight = vec![3e38; 2];
    parameters.head_bias = vec![0.0];
    parameters
}

#[test]
fn pd_stands_alone_where_the_network_gives_nothing_usable_and_only_there() {
    let parameters = overflowing();
    let limited = GruSpec { effort_limit_nm: Some(5.0), ..spec(Output::Residual) };
    let mut model = GruActuator::new(&limited, &parameters, 2, 100.0).unwrap();
    let mut efforts = [0.0; 2];
    for step in 1..=30 {
        model.step(&[input(0.0, 0.0, 0.1), input(0.3, 0.0, 0.1)], &mut efforts).unwrap();
        assert!((efforts[0] - 1.0).abs() < 1e-9 && !model.parts(0).fallback);
        // The state of joint 1 grows until the head overflows.
        if model.parts(1).fallback {
            assert!((efforts[1] + 2.0).abs() < 1e-9, "step {step}: {efforts:?}");
        }
    }
    let lost = model.fallbacks();
    assert!(lost > 20, "{lost}");
    // What overflows already on its way to 32 bits is the same.
    model.step(&[input(1e300, 0.0, 1e300), input(0.0, 0.0, 0.0)], &mut efforts).unwrap();
    assert!(model.parts(0).fallback);
    model.reset_all();
    model.step(&[input(0.0, 0.0, 0.1); 2], &mut efforts).unwrap();
    assert!(efforts.iter().all(|effort| (effort - 1.0).abs() < 1e-9));

    let mut full = GruActuator::new(&spec(Output::Full), &parameters, 1, 100.0).unwrap();
    let refused = (0..30).find_map(|_| full.step(&[input(0.3, 0.0, 0.1)], &mut [0.0]).err());
    assert_eq!(refused, Some(ActuatorError::Network { joint: 0 }));
    // With a PD part of its own, a whole torque has something to fall back on.
    let with_pd = GruSpec { pd: Some(PD), ..spec(Output::Full) };
    let mut full = GruActuator::new(&with_pd, &parameters, 1, 100.0).unwrap();
    let mut effort = [0.0];
    for _ in 0..30 {
        full.step(&[input(0.3, 0.0, 0.1)], &mut effort).unwrap();
    }
    assert!((effort[0] + 2.0).abs() < 1e-9);
}

#[test]
fn inputs_that_are_no_numbers_are_refused_and_change_nothing() {
    let (residual, parameters) = (spec(Output::Residual), gru(3, 8));
    let models: Vec<(Box<dyn ActuatorModel>, Box<dyn ActuatorModel>)> = (0..4)
        .map(|kind| {
            let make = || -> Box<dyn ActuatorModel> {
                match kind {
                    0 => Box::new(GruActuator::new(&residual, &parameters, 2, 100.0).unwrap()),
                    1 => Box::new(MlpActuator::new(&mlp_spec(), &mlp(), 2, 400.0).unwrap()),
                    2 => Box::new(IdealPd::new(&[(GAINS, None); 2]).unwrap()),
                    _ => {
                        let pd = IdealPd::new(&[(GAINS, None); 2]).unwrap();
                        Box::new(Delayed::new(pd, Delay::Steps(2)).unwrap())
                    }
                }
            };
            (make(), make())
        })
        .collect();
    for (mut model, mut twin) in models {
        let good = [input(0.1, 0.2, 0.3), input(-0.1, 0.5, 0.2)];
        let (mut efforts, mut expected) = ([0.0; 2], [0.0; 2]);
        model.step(&good, &mut efforts).unwrap();
        twin.step(&good, &mut expected).unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in 0..4 {
                let mut bad = good;
                let one = &mut bad[1];
                *[
                    &mut one.position,
                    &mut one.velocity,
                    &mut one.target_position,
                    &mut one.target_velocity,
                ][place] = value;
                let refused = model.step(&bad, &mut efforts).unwrap_err();
                assert!(matches!(refused, ActuatorError::NotFinite { joint: 1, .. }), "{refused}");
            }
        }
        let refused = model.step(&good[..1], &mut efforts).unwrap_err();
        assert!(matches!(refused, ActuatorError::Length { what: "inputs", found: 1, joints: 2 }));
        assert!(model.step(&good, &mut efforts[..1]).is_err());
        model.step(&good, &mut efforts).unwrap();
        twin.step(&good, &mut expected).unwrap();
        assert_eq!(efforts, expected, "{}", model.kind());
    }
}

/// Dense layers with softsign between them, by their definition.
fn dense(parameters: &MlpParameters, inputs: &[f64]) -> f64 {
    let mut x = inputs.to_vec();
    for (index, layer) in parameters.layers.iter().enumerate() {
        let rows = layer.weight.chunks_exact(x.len()).zip(&layer.bias);
        let sums: Vec<f64> = rows
            .map(|(row, bias)| {
                f64::from(*bias) + row.iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
            })
            .collect();
        let last = index + 1 == parameters.layers.len();
        x = sums.iter().map(|x| if last { *x } else { x / (1.0 + x.abs()) }).collect();
    }
    x[0]
}

#[test]
fn hwangbos_network_sees_errors_and_velocities_of_now_and_before() {
    let parameters = mlp();
    let (error_at, velocity_at) = (|t: usize| (t as f64 * 0.3).sin(), |t: usize| (t as f64).cos());
    for order in [InputOrder::PosVel, InputOrder::VelPos] {
        for sign in [ErrorSign::TargetMinusMeasured, ErrorSign::MeasuredMinusTarget] {
            let spec = MlpSpec {
                input_order: order,
                error_sign: sign,
                pos_scale: 1.5,
                vel_scale: 0.25,
                torque_scale: 20.0,
                effort_limit_nm: Some(30.0),
                ..mlp_spec()
            };
            let mut model = MlpActuator::new(&spec, &parameters, 2, 400.0).unwrap();
            for t in 0..30_usize {
                let past =
                    |back: usize, of: &dyn Fn(usize) -> f64| t.checked_sub(back).map_or(0.0, of);
                let one = input(2.0, velocity_at(t), 2.0 + error_at(t));
                let mut efforts = [0.0; 2];
                model.step(&[one, input(0.0, 0.0, 0.0)], &mut efforts).unwrap();
                let sign = if sign == ErrorSign::TargetMinusMeasured { 1.5 } else { -1.5 };
                let errors = [0, 4, 8].map(|back| sign * past(back, &error_at));
                let velocities = [0, 4, 8].map(|back| 0.25 * past(back, &velocity_at));
                let inputs = match order {
                    InputOrder::PosVel => [errors, velocities].concat(),
                    InputOrder::VelPos => [velocities, errors].concat(),
                };
                let expected = (20.0 * dense(&parameters, &inputs)).clamp(-30.0, 30.0);
                assert!((efforts[0] - expected).abs() < 2e-4, "{t}: {efforts:?} {expected}");
                let still = (20.0 * dense(&parameters, &[0.0; 6])).clamp(-30.0, 30.0);
                assert!((efforts[1] - still).abs() < 2e-4);
            }
            model.reset(0);
            let mut fresh = MlpActuator::new(&spec, &parameters, 2, 400.0).unwrap();
            let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
            model.step(&[input(0.0, 1.0, 0.4); 2], &mut a).unwrap();
            fresh.step(&[input(0.0, 1.0, 0.4); 2], &mut b).unwrap();
            assert_eq!(a[0], b[0]);
        }
    }
}

#[test]
fn a_dense_network_is_held_between_its_steps() {
    let mut fast = MlpActuator::new(&mlp_spec(), &mlp(), 1, 1200.0).unwrap();
    let mut slow = MlpActuator::new(&mlp_spec(), &mlp(), 1, 400.0).unwrap();
    let (mut a, mut b) = ([0.0], [0.0]);
    for call in 0..60 {
        let now = input(0.0, 0.0, (f64::from(call) * 0.1).sin());
        fast.step(&[now], &mut a).unwrap();
        if call % 3 == 0 {
            slow.step(&[now], &mut b).unwrap();
        }
        assert_eq!(a, b, "call {call}");
    }
}

#[test]
fn the_models_last_torque_may_be_a_feature() {
    let features: Vec<Feature> =
        Feature::SEED.into_iter().chain([Feature::PreviousEffort]).collect();
    let four = GruSpec { features, normalization: identity(4), ..spec(Output::Full) };
    let parameters = gru(4, 8);
    let mut model = GruActuator::new(&four, &parameters, 1, 100.0).unwrap();
    // The same weights, with the torque in the place of the target.
    let mut three = parameters.clone();
    three.inputs = 3;
    let columns = |row: &[f32]| [row[0], row[3], row[2]];
    three.layers[0].weight_ih =
        parameters.layers[0].weight_ih.chunks(4).flat_map(columns).collect();
    let mut twin = GruActuator::new(&spec(Output::Full), &three, 1, 100.0).unwrap();
    let mut last = 0.0;
    for step in 0..20 {
        let (mut a, mut b) = ([0.0], [0.0]);
        let position = f64::from(step) * 0.05;
        model.step(&[input(position, 0.3, 0.0)], &mut a).unwrap();
        twin.step(&[input(position, 0.3, last)], &mut b).unwrap();
        assert!((a[0] - b[0]).abs() < 1e-6, "step {step}");
        last = a[0];
    }
    assert!(last.abs() > 1e-3);
}

#[test]
fn a_step_allocates_nothing() {
    let motor =
        DcMotorCurve { saturation_effort_nm: 3.0, no_load_speed_rad_s: 36.0, effort_limit_nm: 1.8 };
    let full = GruSpec {
        torque_speed_curve: Some(TorqueSpeedCurve {
            stall_torque_nm: 1.8,
            no_load_speed_rad_s: 36.0,
        }),
        spring: Some(Spring {
            stiffness_nm_per_rad: 0.1,
            rest_position_rad: 0.0,
            convention: SpringConvention::Physical,
        }),
        dc_motor: Some(motor),
        effort_limit_nm: Some(1.0),
        ..spec(Output::Residual)
    };
    let pd = || IdealPd::new(&[(GAINS, Some(1.0)); 12]).unwrap();
    let models: [Box<dyn ActuatorModel>; 6] = [
        Box::new(GruActuator::new(&full, &gru(3, 64), 12, 200.0).unwrap()),
        Box::new(GruActuator::new(&full, &overflowing(), 12, 100.0).unwrap()),
        Box::new(MlpActuator::new(&mlp_spec(), &mlp(), 12, 400.0).unwrap()),
        Box::new(pd()),
        Box::new(DcMotor::new(&[(GAINS, motor); 12]).unwrap()),
        Box::new(Delayed::new(pd(), Delay::Steps(7)).unwrap()),
    ];
    let inputs: [JointInput; 12] = std::array::from_fn(|joint| input(0.1 * joint as f64, 1.0, 0.3));
    for mut model in models {
        let mut efforts = [0.0; 12];
        let counted = allocation_counter::measure(|| {
            for step in 0..50 {
                model.step(&inputs, &mut efforts).unwrap();
                if step == 25 {
                    model.reset(3);
                }
            }
            let mut bad = inputs;
            bad[4].position = f64::NAN;
            assert!(model.step(&bad, &mut efforts).is_err());
        });
        assert_eq!(counted.count_total, 0, "{}", model.kind());
    }
}
