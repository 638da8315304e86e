//! The plant behind an emulated motor.

use sinew_simulation::actuator::{ActuatorConfig, SensorConfig};

use super::super::models::Model;

/// A plant of the size of a model: torque and speed are the model's, inertia and friction in
/// proportion to the torque.
pub fn plant_config(model: &Model) -> ActuatorConfig {
    let torque = model.ranges.torque.high;
    ActuatorConfig {
        inertia: 0.0015 * torque,
        rotor_inertia: 0.0005 * torque,
        delay: 0.0005,
        torque_lag: 0.0005,
        stall_torque: torque,
        no_load_speed: 1.2 * model.ranges.velocity.high,
        supply: 24.0,
        supply_sag: 0.02,
        coulomb: 0.003 * torque,
        breakaway: 0.004 * torque,
        stribeck_speed: 0.2,
        viscous: 0.0005 * torque,
        backlash: 0.0003,
        transmission_stiffness: 60.0 * torque,
        transmission_damping: 0.05 * torque,
        spring_stiffness: 0.0,
        unbalance: 0.0,
        tilt: 0.0,
        ambient: 25.0,
        stall_heat: 12.0 * torque,
        heat_capacity: 20.0 * torque,
        thermal_resistance: 20.0 / torque,
        sensors: SensorConfig {
            encoder_counts: 65_536,
            encoder_noise: 0.000_05,
            ..SensorConfig::default()
        },
        ..ActuatorConfig::default()
    }
}
