//! An emulated myCobot 320: a plausible arm behind the real protocol.
//!
//! [`Firmware`] is pure: bytes and time in, bytes and time out. [`Emulator`] runs it behind a
//! pseudo-terminal or a TCP port on a thread of its own, for the driver and for anybody's client.
//!
//! It is plausible, not exact: servos follow trapezoidal profiles without load or gravity, linear
//! Cartesian moves run joint by joint, the kinematics are those of the vendor's URDF and have not
//! been compared with a real arm.

mod commands;
mod conversions;
mod faults;
mod firmware;
mod force_gripper;
mod plant;
#[cfg(unix)]
mod server;

pub use crate::faults::{FaultError, Rate, Stall, Window};
#[cfg(unix)]
pub use crate::transport::{EmulatorError, Transport};
pub use faults::Faults;
pub use firmware::{Firmware, FirmwareConfig, Message};
#[cfg(unix)]
pub use server::{DEFAULT_TCP_PORT, Emulator, EmulatorConfig, FaultSwitch};
