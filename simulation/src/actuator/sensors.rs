//! What the rig's sensors say about the truth.

use super::noise::Noise;
use super::{ActuatorConfig, GRAVITY, Truth};

/// One reading of all sensors. The inertial unit's axes turn with the load: x outwards, y along the
/// motion, z along the axis of rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensed {
    /// The load's angle, in rad.
    pub encoder: f64,
    /// The motor's angle, in rad at the output shaft.
    pub motor_encoder: f64,
    /// Specific force, in m/s²: acceleration minus gravity, so that z reads +9.8 at rest.
    pub acceleration: [f64; 3],
    /// Angular velocity, in rad/s.
    pub gyro: [f64; 3],
    /// Temperature of the motor, in °C, to a tenth.
    pub temperature: f64,
    /// Supply, in V, to 10 mV.
    pub supply: f64,
}

/// Measures; takes the same number of random numbers each time.
pub(super) fn sense(config: &ActuatorConfig, truth: &Truth, noise: &mut Noise) -> Sensed {
    let sensors = &config.sensors;
    let mut encoder = |angle: f64| {
        let noisy = angle + sensors.encoder_noise * noise.normal();
        let step = std::f64::consts::TAU / f64::from(sensors.encoder_counts.max(1));
        if sensors.encoder_counts == 0 { noisy } else { (noisy / step).round() * step }
    };
    let (load, motor) = (encoder(truth.load_angle), encoder(truth.motor_angle));
    // In the plane of rotation gravity points to where the load hangs at angle 0.
    let in_plane = GRAVITY * config.tilt.sin();
    let (sin, cos) = truth.load_angle.sin_cos();
    let force = [
        -truth.load_velocity * truth.load_velocity * sensors.radius - in_plane * cos,
        truth.load_acceleration * sensors.radius + in_plane * sin,
        GRAVITY * config.tilt.cos(),
    ];
    let rate = [0.0, 0.0, truth.load_velocity];
    let mut measured = |truth: [f64; 3], bias: [f64; 3], deviation: f64| {
        std::array::from_fn(|axis| truth[axis] + bias[axis] + deviation * noise.normal())
    };
    Sensed {
        encoder: load,
        motor_encoder: motor,
        acceleration: measured(force, sensors.acceleration_bias, sensors.acceleration_noise),
        gyro: measured(rate, sensors.gyro_bias, sensors.gyro_noise),
        temperature: (truth.temperature * 10.0).round() / 10.0,
        supply: (truth.supply * 100.0).round() / 100.0,
    }
}
