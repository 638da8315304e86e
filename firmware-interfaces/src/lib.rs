//! What stands between the control cycle and a device: the [`Robot`] and [`Camera`] traits with
//! their types, and one folder per device with a pure wire codec, a driver and an emulator.
//!
//! Units are SI: rad and rad/s for revolute joints, m for prismatic ones. A gripper is a joint
//! whose position is its opening from 0 (closed) to 1 (open). Drivers convert at their edge.

mod camera;
pub mod cameras;
pub mod can;
pub mod can_actuators;
mod faults;
pub mod franka;
pub mod mock;
pub mod mycobot320;
mod random;
pub mod rig;
mod robot;
mod time;
pub mod transport;

pub use camera::{Camera, CameraDescription, CameraError, Frame};
pub use faults::each_once;
pub use random::Random;
pub use robot::{
    BusStatistics, Command, ControlMode, DeviceTick, JointDescription, JointKind, JointLimits,
    LinkStatus, MAX_JOINTS, MAX_SENSORS, OnSilence, Robot, RobotDescription, RobotError,
    SensorDescription, State, StopHandle, StopRequest, VelocityBarrier,
};
pub use time::{Clock, MonotonicClock, SimulatedClock, Timestamp};
