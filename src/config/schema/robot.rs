//! The robot, and its emulator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FrankaConfig;

/// `[robot]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotConfig {
    /// Which driver.
    pub model: RobotModel,
    /// Serial device, `tcp://HOST:PORT`, or `emulator`.
    pub port: String,
    /// Speed byte of motion commands, in percent: 1 to 100.
    #[serde(default = "speed_percent")]
    pub speed_percent: u8,
    /// True where the firmware acknowledges setters.
    #[serde(default = "yes")]
    pub expect_ack: bool,
    /// True where a gripper is mounted; it is then the last joint.
    #[serde(default = "yes")]
    pub gripper: bool,
    /// Number of joints of the mock arm: 1 to 32.
    #[serde(default = "joints")]
    pub joints: u32,
    /// How long to wait for a reply, in ms.
    #[serde(default = "reply_timeout_ms")]
    pub reply_timeout_ms: u32,
    /// Consecutive failed requests before the link is opened again.
    #[serde(default = "retries")]
    pub retries: u32,
    /// How long to try to open the link again, in ms, before it counts as lost.
    #[serde(default = "reconnect_window_ms")]
    pub reconnect_window_ms: u32,
    /// Least time between an arm and a gripper command, in ms.
    #[serde(default = "gripper_gap_ms")]
    pub gripper_gap_ms: u32,
    /// Time between gripper reads, in ms.
    #[serde(default = "gripper_read_period_ms")]
    pub gripper_read_period_ms: u32,
    /// How long arming may take, in ms.
    #[serde(default = "arm_timeout_ms")]
    pub arm_timeout_ms: u32,
    /// The test rig; its defaults for every other robot.
    #[serde(default)]
    pub rig: RigConfig,
    /// The CAN bus; its defaults for every other robot.
    #[serde(default)]
    pub can: CanConfig,
    /// The actuators on it; none for every other robot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actuators: Vec<ActuatorConfig>,
    /// The arm of Franka's; its defaults for every other robot.
    #[serde(default)]
    pub franka: FrankaConfig,
    /// Must be true for a robot that goes on moving to its last target when commands stop: a
    /// runtime that is killed cannot stop it.
    #[serde(default)]
    pub accept_motion_on_silence: bool,
}

impl RobotConfig {
    /// [`RobotConfig::joints`] where nobody says it.
    pub(in crate::config) fn default_joints() -> u32 {
        joints()
    }
}

fn speed_percent() -> u8 {
    80
}

fn yes() -> bool {
    true
}

fn joints() -> u32 {
    7
}

fn reply_timeout_ms() -> u32 {
    100
}

fn retries() -> u32 {
    5
}

fn reconnect_window_ms() -> u32 {
    5000
}

fn gripper_gap_ms() -> u32 {
    20
}

fn gripper_read_period_ms() -> u32 {
    250
}

fn arm_timeout_ms() -> u32 {
    5000
}

/// `robot.model`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobotModel {
    /// Elephant Robotics myCobot 320, M5 or Pi.
    Mycobot320,
    /// An arm of simple joints in this process, for tests and benchmarks.
    Mock,
    /// One actuator on a test rig with an inertial unit.
    Rig,
    /// Actuators on a CAN bus.
    Can,
    /// Franka's FER (Panda) or FR3.
    Franka,
}

impl RobotModel {
    /// Every robot that this build knows.
    pub const ALL: &[Self] = &[Self::Mycobot320, Self::Mock, Self::Rig, Self::Can, Self::Franka];
}

/// `[robot.rig]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RigConfig {
    /// How the device speaks.
    pub protocol: RigProtocol,
    /// Bits per second of a serial port.
    pub baud_rate: u32,
    /// States a second that the device is asked for.
    pub rate_hz: u16,
    /// Total inertia that turns with the load, in kg·m².
    pub inertia_kg_m2: Option<f64>,
    /// Distance of the accelerometer from the axis, in m.
    pub radius_m: Option<f64>,
    /// The accelerometer's axis along the motion.
    pub accel_axis: RigAxis,
    /// The gyroscope's axis of rotation.
    pub gyro_axis: RigAxis,
    /// Whether the device measures the motor's temperature.
    pub temperature: Option<bool>,
    /// Whether the device measures its supply.
    pub supply: Option<bool>,
    /// The joint goes from minus this to this, in rad.
    pub travel_rad: f64,
    /// The actuator's speed without load, in rad/s.
    pub max_velocity_rad_s: f64,
    /// The actuator's torque at standstill, in N·m.
    pub max_torque_nm: f64,
    /// Largest rate that the gyroscope may read, in rad/s.
    pub gyro_range_rad_s: f64,
    /// Silence of the host after which the device holds by itself, in ms.
    pub watchdog_ms: u32,
}

impl Default for RigConfig {
    fn default() -> Self {
        Self {
            protocol: RigProtocol::Binary,
            baud_rate: 921_600,
            rate_hz: 1000,
            inertia_kg_m2: None,
            radius_m: None,
            accel_axis: RigAxis::Y,
            gyro_axis: RigAxis::Z,
            temperature: None,
            supply: None,
            travel_rad: 3.0,
            max_velocity_rad_s: 36.0,
            max_torque_nm: 1.82,
            gyro_range_rad_s: 70.0,
            watchdog_ms: 100,
        }
    }
}

/// `robot.rig.protocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RigProtocol {
    /// Whatever arrives first decides.
    Auto,
    /// Frames with a check.
    Binary,
    /// Lines of text.
    Text,
}

/// An axis of the inertial unit, with its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RigAxis {
    /// Along x.
    #[serde(rename = "x")]
    X,
    /// Along y.
    #[serde(rename = "y")]
    Y,
    /// Along z.
    #[serde(rename = "z")]
    Z,
    /// Against x.
    #[serde(rename = "-x")]
    MinusX,
    /// Against y.
    #[serde(rename = "-y")]
    MinusY,
    /// Against z.
    #[serde(rename = "-z")]
    MinusZ,
}

/// `[robot.can]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanConfig {
    /// Bit rate in kbit/s, which an SLCAN adapter is set to.
    pub bitrate_kbit: u32,
    /// Silence of the host after which actuators with a watchdog have no torque, in ms.
    pub watchdog_ms: u32,
    /// Identifier of the host, for CyberGear and RobStride.
    pub host_id: u8,
}

impl Default for CanConfig {
    fn default() -> Self {
        Self { bitrate_kbit: 1000, watchdog_ms: 200, host_id: 0xFD }
    }
}

/// An element of `[[robot.actuators]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorConfig {
    /// Name of the joint.
    pub name: String,
    /// How it is spoken to.
    pub protocol: String,
    /// What it is.
    pub model: String,
    /// Identifier that it listens to.
    pub id: u16,
    /// Identifier on which it answers.
    pub feedback_id: Option<u16>,
    /// 1, or -1 where the joint turns against the actuator.
    #[serde(default = "forwards")]
    pub direction: i8,
    /// The joint's position where the actuator says 0, in rad.
    #[serde(default)]
    pub offset_rad: f64,
    /// Turns of the actuator in a turn of the joint.
    #[serde(default = "direct")]
    pub gear_ratio: f64,
    /// Stiffness of the actuator's PD law at the joint, in N·m/rad.
    pub stiffness_nm_rad: f64,
    /// Damping of that law at the joint, in N·m·s/rad.
    pub damping_nm_s_rad: f64,
}

fn forwards() -> i8 {
    1
}

fn direct() -> f64 {
    1.0
}

/// `[emulator]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmulatorConfig {
    /// Faults, as `sinew emulate --fault` takes them.
    pub faults: Vec<String>,
    /// What an emulated rig is driven by.
    pub drive: RigDrive,
    /// How long an emulated Franka waits for a command, in ms.
    pub patience_ms: u32,
    /// Mass that an emulated Franka carries without knowing, in kg.
    pub payload_kg: f64,
    /// Seed of latency jitter and random faults.
    pub seed: u64,
    /// Where the arm stands at the start, by joint, in the joint's unit; others stand at 0.
    pub start: BTreeMap<String, f64>,
}

/// `emulator.drive`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RigDrive {
    /// A hobby servo: friction, play, elasticity and delay.
    #[default]
    Servo,
    /// A drive that gives the torque it is told to.
    Direct,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            drive: RigDrive::default(),
            patience_ms: 0,
            payload_kg: 0.0,
            seed: 1,
            start: BTreeMap::new(),
        }
    }
}
