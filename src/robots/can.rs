//! Actuators on a CAN bus: from configuration to driver and emulated motors.

use std::time::Duration;

use sinew_firmware_interfaces::can::Bitrate;
use sinew_firmware_interfaces::can_actuators::emulator::{
    ActuatorsConfig, Faults, MotorConfig,
};
use sinew_firmware_interfaces::can_actuators::{Config as Driver, JointConfig, Model, Protocol};

use super::OpenError;
use crate::config::{ActuatorConfig, Config, RobotConfig};

/// The driver's settings. What the table of keys cannot check, such as a model's name, is left out
/// here and refused by [`check`].
pub(crate) fn driver(config: &RobotConfig) -> Driver {
    let millis = |value: u32| Duration::from_millis(value.into());
    Driver {
        port: config.port.clone(),
        bitrate: Bitrate::from_kbit(config.bitrate_kbit).unwrap_or(Bitrate::M1),
        joints: config.actuators.iter().filter_map(joint).collect(),
        reply_timeout: millis(config.reply_timeout_ms),
        retries: config.retries,
        reconnect_window: millis(config.reconnect_window_ms),
        watchdog: millis(config.watchdog_ms),
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
            let known: Vec<_> = protocol.models().map(|model| format!("\"{}\"", model.name)).collect();
            let message = format!(
                "\"{}\" is no model of protocol \"{}\", which has {}",
                said.model,
                said.protocol,
                known.join(", ")
            );
            return Some((format!("actuators[{index}].model"), message));
        }
    }
    driver(config).validate().err().map(|error| ("actuators".to_owned(), error.to_string()))
}

/// The emulated motors that go with the driver.
pub(super) fn motors(config: &Config) -> Result<ActuatorsConfig, OpenError> {
    let mut faults = Faults::default();
    for fault in &config.emulator.faults {
        faults.add(fault).map_err(|error| OpenError::Emulator(error.to_string()))?;
    }
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
    Ok(ActuatorsConfig {
        motors: motors.collect(),
        bitrate: driver.bitrate,
        seed: config.emulator.seed,
        faults,
    })
}
