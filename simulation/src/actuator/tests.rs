use std::f64::consts::TAU;
use std::time::Duration;

use super::motor::{Motion, Motor};
use super::{ActuatorConfig, ActuatorPlant, Drive, GRAVITY, SUBSTEP, SensorConfig};

const MS: Duration = Duration::from_millis(1);
const INERTIAS: [f64; 3] = [0.007, 0.010, 0.0134];

/// What one millisecond of a recording holds.
struct Row {
    angle: f64,
    velocity: f64,
    target: f64,
    /// Measured: inertia times tangential acceleration by radius.
    torque: f64,
    true_torque: f64,
}

/// A chirp from 0.3 to 2 Hz whose amplitude breathes at 0.1 Hz, with steps at the end.
fn excitation(t: f64, span: f64) -> f64 {
    let rate = (2.0 - 0.3) / span;
    let chirp = (TAU * (0.3 * t + 0.5 * rate * t * t)).sin();
    let breath = 1.0 + 0.5 * (TAU * 0.1 * t).sin();
    if t > 0.8 * span {
        0.6 * f64::from(((t * 1.7) as i32 * 7919 % 5) - 2) / 2.0
    } else {
        0.6 * breath * chirp
    }
}

fn record(config: &ActuatorConfig, seed: u64, span: f64) -> Vec<Row> {
    let mut plant = ActuatorPlant::new(config.clone(), seed).unwrap();
    (0..(span * 1e3) as u32)
        .map(|index| {
            let target = excitation(f64::from(index) * 1e-3, span);
            plant.step(MS, Drive::Position(target));
            let sensed = plant.sense();
            Row {
                angle: sensed.encoder,
                velocity: sensed.gyro[2],
                target,
                torque: config.inertia * sensed.acceleration[1] / config.sensors.radius,
                true_torque: plant.truth().net_torque,
            }
        })
        .collect()
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    values.for_each(|value| {
        sum += value * value;
        count += 1.0;
    });
    f64::sqrt(sum / count)
}

/// Least squares: the weights of `features` that come closest to `wanted`.
fn fit<const N: usize>(features: &[[f64; N]], wanted: &[f64]) -> [f64; N] {
    let mut normal = [[0.0; N]; N];
    let mut right = [0.0; N];
    for (row, value) in features.iter().zip(wanted) {
        for i in 0..N {
            right[i] += row[i] * value;
            for j in 0..N {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    for pivot in 0..N {
        for row in pivot + 1..N {
            let above = normal[pivot];
            let factor = normal[row][pivot] / above[pivot];
            for (value, above) in normal[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    let mut weights = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|column| normal[row][column] * weights[column]).sum();
        weights[row] = (right[row] - known) / normal[row][row];
    }
    weights
}

fn error_of_fit<const N: usize>(features: &[[f64; N]], wanted: &[f64]) -> f64 {
    let weights = fit(features, wanted);
    let predicted = |row: &[f64; N]| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
    rms(features.iter().zip(wanted).map(|(row, value)| predicted(row) - value))
}

/// The torque on the load as someone computes it who knows the actuator, sees angle, velocity and
/// target as they were measured, and does not know the inertia.
fn from_history(config: &ActuatorConfig, rows: &[Row]) -> Vec<f64> {
    let mut motor = Motor::new(config);
    let step = SUBSTEP.as_secs_f64();
    let sub_steps = (MS.as_nanos() / SUBSTEP.as_nanos()) as usize;
    let delay = (config.delay / MS.as_secs_f64()).round() as usize;
    let mut load = Motion { angle: 0.0, velocity: 0.0 };
    let mut smooth = 0.0;
    (0..rows.len())
        .map(|index| {
            let row = &rows[index];
            // The encoder is noisy beside the gear's stiffness; the gyroscope carries it on.
            smooth += 0.5 * (row.velocity - smooth);
            let mut torque = 0.0;
            let drive = index
                .checked_sub(delay)
                .map_or(Drive::Off, |then| Drive::Position(rows[then].target));
            for _ in 0..sub_steps {
                load.velocity = smooth;
                load.angle += smooth * step;
                torque = motor.step(config, drive, load, step);
            }
            load.angle += 0.03 * (row.angle - load.angle);
            torque
                - config.spring_stiffness * (load.angle - config.spring_rest)
                - config.unbalance * GRAVITY * config.tilt.sin() * load.angle.sin()
        })
        .collect()
}

#[test]
fn a_pd_law_explains_the_torque_badly_and_history_explains_it_whatever_the_inertia() {
    for inertia in INERTIAS {
        let config = ActuatorConfig { inertia, ..ActuatorConfig::default() };
        let rows = record(&config, 1, 40.0);
        let wanted: Vec<f64> = rows.iter().map(|row| row.torque).collect();
        let spread = rms(wanted.iter().copied());
        let noise = rms(rows.iter().map(|row| row.torque - row.true_torque));
        let pd: Vec<_> = rows.iter().map(|row| [row.target - row.angle, -row.velocity]).collect();
        let pd = error_of_fit(&pd, &wanted);
        let history = from_history(&config, &rows);
        let history = rms(history.iter().zip(&wanted).map(|(a, b)| a - b));
        let figures = format!(
            "inertia {inertia}: torque {spread:.4}, noise {noise:.4}, PD {pd:.4}, history {history:.4}"
        );
        println!("{figures}");
        assert!(pd > 0.6 * spread, "{figures}");
        assert!(history < 0.15 * pd, "{figures}");
        assert!(1.0 - (history / spread).powi(2) > 0.98, "{figures}");
        assert!(noise < 0.05 * pd, "{figures}");
    }
}

/// Nothing that dissipates, delays or errs.
fn ideal() -> ActuatorConfig {
    ActuatorConfig {
        delay: 0.0,
        torque_lag: 0.0,
        supply_sag: 0.0,
        coulomb: 0.0,
        breakaway: 0.0,
        viscous: 0.0,
        backlash: 0.0,
        spring_stiffness: 0.0,
        tilt: 0.0,
        sensors: SensorConfig::ideal(),
        ..ActuatorConfig::default()
    }
}

#[test]
fn a_constant_torque_accelerates_the_whole_inertia() {
    let config = ideal();
    let mut plant = ActuatorPlant::new(config.clone(), 1).unwrap();
    for _ in 0..100 {
        plant.step(MS, Drive::Torque(0.3));
    }
    let expected = 0.3 / (config.inertia + config.rotor_inertia) * 0.1;
    let truth = plant.truth();
    assert!((truth.load_velocity - expected).abs() < 0.02 * expected, "{truth:?} {expected}");
    assert!((truth.time - 0.1).abs() < 1e-12);
}

#[test]
fn torque_ends_at_the_torque_speed_line() {
    let config = ActuatorConfig { stall_torque: 1.0, no_load_speed: 10.0, ..ideal() };
    let mut plant = ActuatorPlant::new(config, 1).unwrap();
    plant.step(MS, Drive::Torque(5.0));
    assert!((plant.truth().motor_torque - 1.0).abs() < 0.1);
    for _ in 0..3000 {
        plant.step(MS, Drive::Torque(5.0));
    }
    let truth = *plant.truth();
    assert!((truth.motor_velocity - 10.0).abs() < 0.1 && truth.motor_torque < 0.02, "{truth:?}");
    // Braking has the whole stall torque at any speed.
    plant.step(MS, Drive::Torque(-5.0));
    assert!((plant.truth().motor_torque + 1.0).abs() < 1e-9);
}

#[test]
fn below_the_breakaway_torque_nothing_moves_and_above_it_slides() {
    let config = ActuatorConfig { coulomb: 0.1, breakaway: 0.2, ..ideal() };
    for (torque, moves) in [(0.19, false), (-0.19, false), (0.21, true), (-0.21, true)] {
        let mut plant = ActuatorPlant::new(config.clone(), 1).unwrap();
        for _ in 0..500 {
            plant.step(MS, Drive::Torque(torque));
        }
        let truth = plant.truth();
        assert_eq!(truth.motor_angle != 0.0, moves, "{truth:?}");
        if moves {
            let sliding = -0.1_f64.copysign(torque);
            assert!((truth.friction_torque - sliding).abs() < 1e-6, "{truth:?}");
        } else {
            assert!((truth.friction_torque + torque).abs() < 1e-9, "{truth:?}");
        }
    }
}

#[test]
fn play_lets_the_load_move_while_the_motor_stands() {
    let config = ActuatorConfig { coulomb: 9.0, breakaway: 9.0, ..ActuatorConfig::default() };
    let half = 0.5 * config.backlash;
    let hangs = ActuatorConfig { spring_rest: 1.0, spring_stiffness: 0.5, tilt: 0.0, ..config };
    let mut plant = ActuatorPlant::new(hangs, 1).unwrap();
    for _ in 0..3000 {
        plant.step(MS, Drive::Off);
    }
    let truth = plant.truth();
    assert_eq!(truth.motor_angle, 0.0);
    // On the flank, and 0.5 N·m by 150 N·m/rad beyond it.
    let resting = half + 0.5 / 150.0;
    assert!((truth.load_angle - resting).abs() < 2e-4, "{truth:?} {resting}");
    assert!((truth.transmission_torque + truth.spring_torque).abs() < 1e-3, "{truth:?}");
}

#[test]
fn a_command_waits_for_the_delay_and_power_off_does_not() {
    let config = ActuatorConfig { delay: 0.012, ..ideal() };
    let mut plant = ActuatorPlant::new(config, 1).unwrap();
    for _ in 0..12 {
        plant.step(MS, Drive::Torque(0.5));
        assert_eq!(plant.truth().motor_torque, 0.0);
    }
    plant.step(MS, Drive::Torque(0.5));
    assert_eq!(plant.truth().motor_torque, 0.5);
    plant.step(MS, Drive::Off);
    assert_eq!(plant.truth().motor_torque, 0.0);
    // What was on its way is gone with it.
    plant.step(12 * MS, Drive::Torque(0.5));
    assert_eq!(plant.truth().motor_torque, 0.0);
}

#[test]
fn impedance_with_the_servos_gains_is_the_servo() {
    let config = ActuatorConfig::default();
    let (stiffness, damping) = (config.servo_stiffness, config.servo_damping);
    let drive = Drive::Impedance { position: 0.7, velocity: 0.0, stiffness, damping, torque: 0.0 };
    let mut servo = ActuatorPlant::new(config.clone(), 1).unwrap();
    let mut impedance = ActuatorPlant::new(config, 1).unwrap();
    for _ in 0..1000 {
        servo.step(MS, Drive::Position(0.7));
        impedance.step(MS, drive);
    }
    assert_eq!(servo.truth().load_angle, impedance.truth().load_angle);
    // Stiction keeps it up to breakaway torque by stiffness away.
    assert!((servo.truth().load_angle - 0.7).abs() < 0.03, "{:?}", servo.truth());
}

#[test]
fn the_accelerometer_shows_tangential_centripetal_and_gravity_parts() {
    let config = ActuatorConfig { tilt: 0.2, backlash: 0.0, ..ActuatorConfig::default() };
    let config = ActuatorConfig { sensors: SensorConfig::ideal(), ..config };
    let radius = config.sensors.radius;
    let mut plant = ActuatorPlant::new(config, 1).unwrap();
    plant.place(0.5);
    let still = plant.sense().acceleration;
    let expected =
        [-GRAVITY * 0.2_f64.sin() * 0.5_f64.cos(), GRAVITY * 0.2_f64.sin() * 0.5_f64.sin()];
    assert!((still[0] - expected[0]).abs() < 1e-12 && (still[1] - expected[1]).abs() < 1e-12);
    let size = still.iter().map(|part| part * part).sum::<f64>().sqrt();
    assert!((size - GRAVITY).abs() < 1e-9);
    plant.step(60 * MS, Drive::Position(-1.0));
    let (truth, moving) = (*plant.truth(), plant.sense());
    assert!(truth.load_velocity < -1.0, "{truth:?}");
    let in_plane = GRAVITY * 0.2_f64.sin();
    let tangential = truth.load_acceleration * radius + in_plane * truth.load_angle.sin();
    let radial = -truth.load_velocity.powi(2) * radius - in_plane * truth.load_angle.cos();
    assert!((moving.acceleration[1] - tangential).abs() < 1e-12);
    assert!((moving.acceleration[0] - radial).abs() < 1e-12);
    assert_eq!(moving.gyro, [0.0, 0.0, truth.load_velocity]);
}

#[test]
fn the_parts_of_the_torque_add_up_to_inertia_times_acceleration() {
    let mut plant = ActuatorPlant::new(ActuatorConfig::default(), 1).unwrap();
    for index in 0..3000 {
        plant.step(MS, Drive::Position(excitation(f64::from(index) * 1e-3, 3.0)));
        let truth = plant.truth();
        let sum = truth.transmission_torque + truth.spring_torque + truth.gravity_torque;
        assert_eq!(truth.net_torque, sum);
        assert!((truth.load_acceleration * 0.010 - sum).abs() < 1e-12);
    }
}

#[test]
fn a_blocked_motor_gets_warm_and_cools_again() {
    let config = ActuatorConfig { coulomb: 5.0, breakaway: 5.0, ..ActuatorConfig::default() };
    let mut plant = ActuatorPlant::new(config.clone(), 1).unwrap();
    plant.step(Duration::from_secs(20), Drive::Torque(2.0));
    let hot = plant.truth().temperature;
    assert!(hot > config.ambient + 5.0, "{hot}");
    assert!(plant.truth().supply < config.supply);
    plant.step(Duration::from_secs(20), Drive::Off);
    assert!(plant.truth().temperature < hot && plant.truth().temperature > config.ambient);
}

#[test]
fn the_motion_does_not_depend_on_how_a_span_is_cut_and_seeds_repeat() {
    let run = |cut: Duration, seed| {
        let mut plant = ActuatorPlant::new(ActuatorConfig::default(), seed).unwrap();
        for _ in 0..(Duration::from_millis(210).as_nanos() / cut.as_nanos()) {
            plant.step(cut, Drive::Position(0.4));
        }
        (*plant.truth(), plant.sense())
    };
    let whole = run(Duration::from_millis(210), 1);
    assert_eq!(run(MS, 1), whole);
    assert_eq!(run(Duration::from_nanos(70_000), 1), whole);
    assert_eq!(run(MS, 2).0, whole.0);
    assert_ne!(run(MS, 2).1, whole.1);
}

#[test]
fn quantities_out_of_range_are_named_and_drives_that_are_no_numbers_are_off() {
    let name = |config: ActuatorConfig| ActuatorPlant::new(config, 1).err().unwrap().to_string();
    let default = ActuatorConfig::default;
    for (config, expected) in [
        (ActuatorConfig { inertia: 0.0, ..default() }, "inertia"),
        (ActuatorConfig { inertia: f64::NAN, ..default() }, "inertia"),
        (ActuatorConfig { delay: 2.0, ..default() }, "delay"),
        (ActuatorConfig { breakaway: 0.1, ..default() }, "breakaway"),
        (ActuatorConfig { supply_sag: 1.0, ..default() }, "supply_sag"),
        (ActuatorConfig { transmission_stiffness: 1e5, ..default() }, "transmission_stiffness"),
        (ActuatorConfig { viscous: 40.0, ..default() }, "viscous"),
    ] {
        let message = name(config);
        assert!(message.contains(expected) && message.contains("allowed"), "{message}");
    }
    let mut plant = ActuatorPlant::new(default(), 1).unwrap();
    plant.step(Duration::from_millis(50), Drive::Torque(f64::NAN));
    plant.step(Duration::from_millis(50), Drive::Position(f64::INFINITY));
    assert_eq!(plant.truth().load_angle, 0.0);
}

#[test]
fn a_step_and_a_reading_allocate_nothing() {
    let mut plant = ActuatorPlant::new(ActuatorConfig::default(), 1).unwrap();
    let allocated = allocation_counter::measure(|| {
        for index in 0..100 {
            plant.step(MS, Drive::Position(f64::from(index) * 0.01));
            plant.sense();
        }
        plant.step(MS, Drive::Off);
    });
    assert_eq!(allocated.count_total, 0);
}

proptest::proptest! {
    #[test]
    fn whatever_it_is_told_it_stays_finite(
        drives in proptest::collection::vec((0u8..4, -1e3..1e3f64, -50.0..50.0f64), 1..30),
        inertia in 0.001..0.1f64,
        backlash in 0.0..0.1f64,
    ) {
        let config = ActuatorConfig { inertia, backlash, ..ActuatorConfig::default() };
        let mut plant = ActuatorPlant::new(config, 1).unwrap();
        for (kind, large, small) in drives {
            let drive = match kind {
                0 => Drive::Off,
                1 => Drive::Position(small),
                2 => Drive::Torque(large),
                _ => Drive::Impedance {
                    position: small, velocity: small, stiffness: 500.0, damping: 5.0, torque: large,
                },
            };
            plant.step(20 * MS, drive);
            let truth = plant.truth();
            proptest::prop_assert!(truth.load_angle.is_finite() && truth.net_torque.is_finite());
            proptest::prop_assert!(truth.load_velocity.abs() < 100.0, "{:?}", truth);
            proptest::prop_assert!(truth.motor_torque.abs() <= 1.82 + 1e-9);
        }
    }
}
