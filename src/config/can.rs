//! From `[robot]` to the settings of actuators on a CAN bus, and of emulated ones.

use std::time::Duration;

use sinew_firmware_interfaces::can::Bitrate;
use sinew_firmware_interfaces::can_actuators::emulator::{ActuatorsConfig, Faults, MotorConfig};
use sinew_firmware_interfaces::can_actuators::{Config as Driver, JointConfig, Model, Protocol};

use super::schema::{ActuatorConfig, Config, RobotConfig};

/// The driver's settings. What the table of keys cannot check, such as a model's name, is left out
/// here and refused by [`check`].
pub(crate) fn driver(config: &RobotConfig) -> Driver {
    let millis = |value: u32| Duration::from_millis(value.into());
    Driver {
        port: config.port.clone(),
        bitrate: Bitrate::from_kbit(config.can.bitrate_kbit).unwrap_or(Bitrate::M1),
        joints: config.actuators.iter().filter_map(joint).collect(),
        reply_timeout: millis(config.reply_timeout_ms),
        retries: config.retries,
        reconnect_window: millis(config.reconnect_window_ms),
        watchdog: millis(config.can.watchdog_ms),
        host_id: config.can.host_id,
        ..Driver::default()
    }
}

fn joint(said: &ActuatorConfig) -> Option<JointConfig> {
    let protocol = Protocol::from_name(&said.protocol)?;
    Some(JointConfig {
        name: said.name.clone(),
        model: Model::find(protocol, &said.model)?,
        id: said.id,
        feedback_id: said.feedback_id.unwrap_or(said.id.saturating_add(0x10)),
        reversed: said.direction < 0,
        offset: said.offset_rad,
        gear_ratio: said.gear_ratio,
        stiffness: said.stiffness_nm_rad,
        damping: said.damping_nm_s_rad,
    })
}

/// What is wrong with `[[robot.actuators]]`: the key within `[robot]`, and a message.
pub(crate) fn check(config: &RobotConfig) -> Option<(String, String)> {
    for (index, said) in config.actuators.iter().enumerate() {
        let Some(protocol) = Protocol::from_name(&said.protocol) else { continue };
        if Model::find(protocol, &said.model).is_none() {
            let known: Vec<_> =
                protocol.models().map(|model| format!("\"{}\"", model.name)).collect();
            let message = format!(
                "\"{}\" is no model of protocol \"{}\", which has {}",
                said.model,
                said.protocol,
                known.join(", ")
            );
            return Some((format!("actuators[{index}].model"), message));
        }
    }
    if Bitrate::from_kbit(config.can.bitrate_kbit).is_none() {
        let message = format!(
            "{} is no bit rate of SLCAN: 10, 20, 50, 100, 125, 250, 500, 800 or 1000 kbit/s",
            config.can.bitrate_kbit
        );
        return Some(("can.bitrate_kbit".to_owned(), message));
    }
    driver(config).validate().err().map(|error| ("actuators".to_owned(), error.to_string()))
}

/// The emulated motors that go with the driver.
pub(crate) fn motors(config: &Config, faults: Faults) -> ActuatorsConfig {
    let driver = driver(&config.robot);
    let motors = driver.joints.iter().map(|joint| {
        let start = config.emulator.start.get(&joint.name).copied().unwrap_or_default();
        MotorConfig {
            model: joint.model,
            id: joint.id,
            feedback_id: joint.feedback_id,
            position: joint.to_actuator(start),
        }
    });
    ActuatorsConfig {
        motors: motors.collect(),
        bitrate: driver.bitrate,
        seed: config.emulator.seed,
        faults,
    }
}
