//! From `[robot]` to the settings of the test rig's driver.

use std::time::Duration;

use sinew_firmware_interfaces::rig::{Axis, Config, ConfigError, Protocol};

use super::schema::{RigAxis, RigProtocol, RobotConfig};

/// The driver's settings.
pub(crate) fn driver(said: &RobotConfig) -> Config {
    let millis = |value: u32| Duration::from_millis(value.into());
    let rig = &said.rig;
    Config {
        port: said.port.clone(),
        protocol: match rig.protocol {
            RigProtocol::Auto => Protocol::Auto,
            RigProtocol::Binary => Protocol::Binary,
            RigProtocol::Text => Protocol::Text,
        },
        baud_rate: rig.baud_rate,
        rate_hz: rig.rate_hz,
        inertia: rig.inertia_kg_m2,
        radius: rig.radius_m,
        accel_axis: axis(rig.accel_axis),
        gyro_axis: axis(rig.gyro_axis),
        temperature: rig.temperature,
        supply: rig.supply,
        travel: rig.travel_rad,
        max_velocity: rig.max_velocity_rad_s,
        max_effort: rig.max_torque_nm,
        gyro_range: rig.gyro_range_rad_s,
        watchdog: millis(rig.watchdog_ms),
        silence: millis(said.reply_timeout_ms),
        reconnect_window: millis(said.reconnect_window_ms),
        ..Config::default()
    }
}

/// The key that a setting comes from.
pub(super) fn key(error: &ConfigError) -> &'static str {
    match error.name {
        "silence" => "robot.reply_timeout_ms",
        "watchdog" => "robot.rig.watchdog_ms",
        "rate_hz" => "robot.rig.rate_hz",
        "baud_rate" => "robot.rig.baud_rate",
        _ => "robot.rig",
    }
}

const fn axis(said: RigAxis) -> Axis {
    match said {
        RigAxis::X => Axis::X,
        RigAxis::Y => Axis::Y,
        RigAxis::Z => Axis::Z,
        RigAxis::MinusX => Axis::X.reversed(),
        RigAxis::MinusY => Axis::Y.reversed(),
        RigAxis::MinusZ => Axis::Z.reversed(),
    }
}
