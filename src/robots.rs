//! From configuration to a robot: the one place that knows every driver.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sinew_firmware_interfaces::can_actuators::emulator as can_emulator;
use sinew_firmware_interfaces::can_actuators::{self, CanActuators, SteppedCanActuators};
use sinew_firmware_interfaces::franka;
use sinew_firmware_interfaces::franka::driver::{Franka, SteppedFranka};
use sinew_firmware_interfaces::franka::emulator as franka_emulator;
use sinew_firmware_interfaces::mock::{self, MockArm};
use sinew_firmware_interfaces::mycobot320::emulator::{
    Emulator, EmulatorConfig, Faults, FirmwareConfig, Stall, Transport,
};
use sinew_firmware_interfaces::mycobot320::wire::ARM_JOINTS;
use sinew_firmware_interfaces::mycobot320::{
    Config as DriverConfig, MyCobot320, SteppedMyCobot320,
};
use sinew_firmware_interfaces::rig::emulator as rig_emulator;
use sinew_firmware_interfaces::rig::{self, Rig, SteppedRig};
use sinew_firmware_interfaces::{
    BusStatistics, Clock, Command, DeviceTick, MAX_JOINTS, MonotonicClock, Robot, RobotDescription,
    RobotError, SimulatedClock, State, StopHandle, StopRequest, Timestamp,
};

use sinew_simulation::actuator::ActuatorConfig;

use crate::config::{self, Config, RigDrive, RigProtocol, RobotConfig, RobotModel};

/// The port name that asks for an emulated device.
pub const EMULATOR_PORT: &str = "emulator";

/// Emulators started so far: several robots may share a process.
static EMULATORS: AtomicU32 = AtomicU32::new(0);

/// Name of an emulator's link, before the process and a number.
const LINK: &str = "sinew-emulator-";

/// Removes the links that runs left behind in `folder` when they were killed. What cannot be
/// removed, another user's for instance, stays.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(LINK)?.split('-').next());
        let Some(process) = process.and_then(|process| process.parse::<u32>().ok()) else {
            continue;
        };
        let is_link = entry.file_type().is_ok_and(|it| it.is_symlink());
        if is_link && !Path::new("/proc").join(process.to_string()).exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Why a robot could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its driver refused.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// Its emulator could not be started.
    #[error("cannot start the emulator: {0}")]
    Emulator(String),
    /// A fault needs a thread that can be blocked.
    #[error(
        "fault \"stall\" blocks the control thread in real time, and run.clock = \"simulated\" has \
         neither. Use run.clock = \"real\", or leave the fault out of emulator.faults"
    )]
    StallInVirtualTime,
}

/// What a configured robot is, without opening it.
pub fn description(config: &RobotConfig) -> RobotDescription {
    match config.model {
        RobotModel::Mycobot320 => driver_config(config).description(),
        RobotModel::Mock => {
            let joints = config.joints as usize;
            mock::Config { joints, ..mock::Config::default() }.description()
        }
        RobotModel::Rig => config::rig::driver(config).description(),
        RobotModel::Can => config::can::driver(config).description(),
        RobotModel::Franka => config::franka::driver(config).description(),
    }
}

/// What a robot model is with everything mounted.
pub fn describe(model: RobotModel) -> RobotDescription {
    match model {
        RobotModel::Mycobot320 => DriverConfig::default().description(),
        RobotModel::Mock => mock::Config::default().description(),
        RobotModel::Rig => rig::Config::default().description(),
        // Its joints are those of the configuration.
        RobotModel::Can => can_actuators::Config::default().description(),
        RobotModel::Franka => franka::driver::Config::default().description(),
    }
}

/// Opens the configured robot in real time; starts its emulator first when it has none. Returns
/// the robot and the port it is on.
///
/// # Errors
/// [`OpenError`] naming the port, or what the emulator refused.
pub fn open(
    config: &Config,
    clock: &MonotonicClock,
) -> Result<(Box<dyn Robot>, String), OpenError> {
    match config.robot.model {
        RobotModel::Mycobot320 => {
            let mut driver = driver_config(&config.robot);
            if config.robot.port != EMULATOR_PORT {
                let port = driver.port.clone();
                return Ok((Box::new(MyCobot320::open(driver, clock.clone())?), port));
            }
            let firmware = firmware_config(config)?;
            let stall = firmware.faults.stall;
            let emulator = EmulatorConfig { firmware, transport: emulator_port() };
            let began = clock.now();
            let emulator = Emulator::spawn(emulator)
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            driver.port = emulator.port();
            let port = driver.port.clone();
            let robot = MyCobot320::open(driver, clock.clone())?;
            Ok((Box::new(Emulated { robot, stall, began, _emulator: emulator }), port))
        }
        RobotModel::Rig => {
            let mut driver = config::rig::driver(&config.robot);
            if config.robot.port != EMULATOR_PORT {
                let port = driver.port.clone();
                return Ok((Box::new(Rig::open(driver, clock.clone())?), port));
            }
            let (firmware, stall) = rig_firmware(config)?;
            let began = clock.now();
            let emulator = rig_emulator::Emulator::spawn(firmware, emulator_port())
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            driver.port = emulator.port();
            let port = driver.port.clone();
            let robot = Rig::open(driver, clock.clone())?;
            Ok((Box::new(Emulated { robot, stall, began, _emulator: emulator }), port))
        }
        RobotModel::Can => {
            let mut driver = config::can::driver(&config.robot);
            if config.robot.port != EMULATOR_PORT {
                let port = driver.port.clone();
                return Ok((Box::new(CanActuators::open(driver, clock.clone())?), port));
            }
            let actuators = can_motors(config)?;
            let stall = actuators.faults.stall;
            let transport = emulator_port();
            let began = clock.now();
            let emulator = can_emulator::Emulator::spawn(can_emulator::EmulatorConfig {
                actuators,
                transport,
            })
            .map_err(|error| OpenError::Emulator(error.to_string()))?;
            driver.port = emulator.port();
            let port = driver.port.clone();
            let robot = CanActuators::open(driver, clock.clone())?;
            Ok((Box::new(Emulated { robot, stall, began, _emulator: emulator }), port))
        }
        RobotModel::Franka => {
            let mut driver = config::franka::with_mode(config);
            if config.robot.port != EMULATOR_PORT {
                let port = driver.address.clone();
                return Ok((Box::new(Franka::open(driver, clock.clone())?), port));
            }
            let control = franka_emulator::Control::new(franka_emulated(config)?)
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            let server = franka_emulator::EmulatorConfig {
                robot_port: 0,
                gripper_port: 0,
                patience: Duration::from_millis(config.emulator.patience_ms.into()),
                ..franka_emulator::EmulatorConfig::new(std::net::Ipv4Addr::LOCALHOST.into())
            };
            let hand = franka_emulator::Hand::new(0.0);
            let emulator = franka_emulator::Emulator::spawn(control, hand, server)
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            driver.address = emulator.robot_address().to_string();
            driver.gripper_address = Some(emulator.gripper_address().to_string());
            let port = driver.address.clone();
            let robot = Franka::open(driver, clock.clone())?;
            let began = clock.now();
            Ok((Box::new(Emulated { robot, stall: None, began, _emulator: emulator }), port))
        }
        RobotModel::Mock => {
            let arm = MockArm::new(mock_config(config)?, Arc::new(clock.clone()));
            Ok((Box::new(arm), "this process".to_owned()))
        }
    }
}

/// Opens the configured robot in virtual time: the driver's protocol engine and the emulated
/// firmware, joined without a port.
///
/// # Errors
/// [`OpenError`] when a fault or a setting cannot be understood, or has no meaning in virtual time.
pub fn stepped(config: &Config, clock: &SimulatedClock) -> Result<Box<dyn Robot>, OpenError> {
    match config.robot.model {
        RobotModel::Mycobot320 => {
            let driver = driver_config(&config.robot);
            let firmware = firmware_config(config)?;
            if firmware.faults.stall.is_some() {
                return Err(OpenError::StallInVirtualTime);
            }
            let robot = SteppedMyCobot320::new(driver, firmware, clock.clone())
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            Ok(Box::new(robot))
        }
        RobotModel::Mock => {
            let mock = mock_config(config)?;
            if mock.faults.stall.is_some() {
                return Err(OpenError::StallInVirtualTime);
            }
            Ok(Box::new(MockArm::new(mock, Arc::new(clock.clone()))))
        }
        RobotModel::Rig => {
            let driver = config::rig::driver(&config.robot);
            let (firmware, stall) = rig_firmware(config)?;
            if stall.is_some() {
                return Err(OpenError::StallInVirtualTime);
            }
            let robot = SteppedRig::new(driver, firmware, clock.clone())
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            Ok(Box::new(robot))
        }
        RobotModel::Can => {
            let driver = config::can::driver(&config.robot);
            let motors = can_motors(config)?;
            if motors.faults.stall.is_some() {
                return Err(OpenError::StallInVirtualTime);
            }
            let robot = SteppedCanActuators::new(driver, motors, clock.clone())
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            Ok(Box::new(robot))
        }
        RobotModel::Franka => {
            let driver = config::franka::with_mode(config);
            let emulated = franka_emulated(config)?;
            let robot = SteppedFranka::new(driver, emulated, 0.0, clock.clone())
                .map_err(|error| OpenError::Emulator(error.to_string()))?;
            Ok(Box::new(robot))
        }
    }
}

/// The emulated motors that go with the configured actuators.
fn can_motors(config: &Config) -> Result<can_emulator::ActuatorsConfig, OpenError> {
    let mut faults = can_emulator::Faults::default();
    for fault in &config.emulator.faults {
        faults.add(fault).map_err(|error| OpenError::Emulator(error.to_string()))?;
    }
    Ok(config::can::motors(config, faults))
}

/// The emulated arm that goes with the configured one.
fn franka_emulated(config: &Config) -> Result<franka_emulator::Config, OpenError> {
    let mut faults = franka_emulator::Faults::default();
    for fault in &config.emulator.faults {
        faults.add(fault).map_err(|error| OpenError::Emulator(error.to_string()))?;
    }
    Ok(config::franka::emulated(config, faults))
}

/// A pseudo-terminal for an emulator of this process. One that was closed and made again has another
/// name: the link stays.
fn emulator_port() -> Transport {
    let folder = std::env::temp_dir();
    sweep(&folder);
    let number = EMULATORS.fetch_add(1, Ordering::Relaxed);
    let link = folder.join(format!("{LINK}{}-{number}", std::process::id()));
    Transport::Pty { link: Some(link) }
}

fn driver_config(config: &RobotConfig) -> DriverConfig {
    let millis = |value: u32| Duration::from_millis(value.into());
    let defaults = DriverConfig::default();
    let reply_timeout = millis(config.reply_timeout_ms);
    DriverConfig {
        port: config.port.clone(),
        speed: config.speed_percent,
        expect_ack: config.expect_ack,
        gripper: config.gripper,
        reply_timeout,
        // A line that is slow to answer is slow to acknowledge, in the defaults' proportion.
        ack_timeout: defaults.ack_timeout.max(reply_timeout * 3 / 5),
        retries: config.retries,
        reconnect_window: millis(config.reconnect_window_ms),
        gripper_gap: millis(config.gripper_gap_ms),
        gripper_read_period: millis(config.gripper_read_period_ms),
        ..defaults
    }
}

fn mock_config(config: &Config) -> Result<mock::Config, OpenError> {
    let mut faults = mock::Faults::default();
    for fault in &config.emulator.faults {
        faults.add(fault).map_err(|error| OpenError::Emulator(error.to_string()))?;
    }
    let mut start = [0.0; MAX_JOINTS];
    for (position, joint) in start.iter_mut().zip(&description(&config.robot).joints) {
        *position = config.emulator.start.get(&joint.name).copied().unwrap_or_default();
    }
    Ok(mock::Config {
        joints: config.robot.joints as usize,
        start,
        reconnect_window: Duration::from_millis(config.robot.reconnect_window_ms.into()),
        seed: config.emulator.seed,
        faults,
        ..mock::Config::default()
    })
}

fn firmware_config(config: &Config) -> Result<FirmwareConfig, OpenError> {
    let mut faults = Faults::default();
    for fault in &config.emulator.faults {
        faults.add(fault).map_err(|error| OpenError::Emulator(error.to_string()))?;
    }
    let start = &config.emulator.start;
    let mut angles = [0.0; ARM_JOINTS];
    let arm = description(&RobotConfig { gripper: false, ..config.robot.clone() });
    for (angle, joint) in angles.iter_mut().zip(&arm.joints) {
        *angle = start.get(&joint.name).copied().unwrap_or_default();
    }
    Ok(FirmwareConfig {
        angles,
        opening: start.get("gripper").copied().unwrap_or_default(),
        seed: config.emulator.seed,
        faults,
        ..FirmwareConfig::default()
    })
}

/// The emulated rig with the configured load, and the fault that is the driver's.
fn rig_firmware(config: &Config) -> Result<(rig_emulator::Firmware, Option<Stall>), OpenError> {
    let mut faults = rig_emulator::Faults::default();
    for fault in &config.emulator.faults {
        faults.add(fault).map_err(|error| OpenError::Emulator(error.to_string()))?;
    }
    let said = &config.robot.rig;
    let defaults = rig_emulator::FirmwareConfig::default();
    let mut actuator = match config.emulator.drive {
        RigDrive::Servo => defaults.actuator.clone(),
        RigDrive::Direct => ActuatorConfig::direct_drive(),
    };
    actuator.inertia = said.inertia_kg_m2.unwrap_or(actuator.inertia);
    actuator.sensors.radius = said.radius_m.unwrap_or(actuator.sensors.radius);
    let firmware = rig_emulator::Firmware::new(rig_emulator::FirmwareConfig {
        actuator,
        text: said.protocol == RigProtocol::Text,
        rate_hz: said.rate_hz,
        angle: config.emulator.start.get("joint1").copied().unwrap_or_default(),
        seed: config.emulator.seed,
        faults,
        ..defaults
    });
    let firmware = firmware.map_err(|error| OpenError::Emulator(error.to_string()))?;
    Ok((firmware, faults.stall))
}

/// A robot that takes its emulator along, so that both end together, and whose reads can be made
/// to block.
struct Emulated<R, E> {
    robot: R,
    stall: Option<Stall>,
    /// When the emulator was started: faults count from then.
    began: Timestamp,
    _emulator: E,
}

impl<R: Robot, E: Send> Robot for Emulated<R, E> {
    fn description(&self) -> &RobotDescription {
        self.robot.description()
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.robot.arm(timeout)
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        Stall::block(&mut self.stall, Timestamp::ZERO.after(now.since(self.began)));
        self.robot.read(now, state);
    }

    fn wait(&mut self, timeout: Duration) -> Option<DeviceTick> {
        self.robot.wait(timeout)
    }

    fn stop_handle(&self) -> Option<Box<dyn StopHandle>> {
        self.robot.stop_handle()
    }

    fn write(&mut self, now: Timestamp, command: &Command) {
        self.robot.write(now, command);
    }

    fn stop(&mut self, now: Timestamp, request: StopRequest) {
        self.robot.stop(now, request);
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.robot.disarm(timeout)
    }

    fn statistics(&self) -> BusStatistics {
        self.robot.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.robot.last_failure()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use sinew_firmware_interfaces::Clock;

    use super::*;
    use crate::config;

    fn configured(path: &str, faults: &str) -> Config {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let faults = format!("emulator.faults={faults}");
        config::load(&path, &[faults]).unwrap().config
    }

    const BOTH: [&str; 2] = ["configs/demo.toml", "configs/mock.toml"];

    #[test]
    fn a_stall_blocks_one_read_of_an_emulated_robot_and_its_stop_handle_is_there() {
        for path in BOTH {
            let clock = MonotonicClock::new();
            let config = configured(path, "[\"stall=300ms\"]");
            let (mut robot, _) = open(&config, &clock).unwrap();
            robot.arm(Duration::from_secs(20)).unwrap();
            let handle = robot.stop_handle().unwrap();
            let mut state = State::default();
            let started = Instant::now();
            robot.read(clock.now(), &mut state);
            assert!(started.elapsed() >= Duration::from_millis(300), "{path}");
            let faster = (0..20).any(|_| {
                let started = Instant::now();
                robot.read(clock.now(), &mut state);
                started.elapsed() < Duration::from_millis(300)
            });
            assert!(faster, "{path}: a stall happens once");
            let paced = robot.description().device_rate_hz.is_some();
            assert_eq!(robot.wait(Duration::from_millis(100)).is_some(), paced, "{path}");
            handle.stop(StopRequest::TorqueOff);
            robot.disarm(Duration::from_secs(20)).unwrap();
        }
    }

    #[test]
    fn links_of_killed_runs_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let live = std::process::id();
        let link = |name: &str| {
            std::os::unix::fs::symlink("/dev/pts/none", folder.path().join(name)).unwrap();
        };
        link(&format!("{LINK}{dead}-0"));
        link(&format!("{LINK}{live}-0"));
        link(&format!("{LINK}mine"));
        link("other-1-0");
        std::fs::write(folder.path().join(format!("{LINK}{dead}-1")), "a file").unwrap();
        sweep(folder.path());
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = [
            format!("{LINK}{dead}-1"),
            format!("{LINK}{live}-0"),
            format!("{LINK}mine"),
            "other-1-0".to_owned(),
        ];
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn a_stall_is_refused_in_virtual_time() {
        for path in BOTH {
            let config = configured(path, "[\"stall=300ms\"]");
            let refused = stepped(&config, &SimulatedClock::new()).err().unwrap().to_string();
            assert!(refused.contains("run.clock"), "{refused}");
            let config = configured(path, "[]");
            assert!(stepped(&config, &SimulatedClock::new()).is_ok());
        }
    }
}
