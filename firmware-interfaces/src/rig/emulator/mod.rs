//! An emulated rig: the simulated actuator behind the real protocol, with its truth.
//!
//! [`Firmware`] is pure: bytes and time in, bytes and time out. [`Emulator`] runs it behind a
//! pseudo-terminal or a TCP port on a thread of its own, for the driver and for anybody's client.

mod faults;
mod firmware;
mod message;
mod motor;
#[cfg(unix)]
mod server;
mod truth;

pub use crate::faults::{FaultError, Rate, Stall, Window};
#[cfg(unix)]
pub use crate::transport::{EmulatorError, Transport};
pub use faults::Faults;
pub use firmware::{Firmware, FirmwareConfig};
pub use message::Message;
#[cfg(unix)]
pub use server::{DEFAULT_TCP_PORT, Emulator, FaultSwitch};
pub use truth::{TRUTH_HEADER, TruthRow};
