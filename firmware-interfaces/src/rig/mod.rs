//! A test rig for one actuator: a servo that turns a known inertia with an inertial unit on it.
//!
//! - [`wire`]: the line protocol, as frames and as text.
//! - [`session`]: the driver's protocol engine, a state machine without I/O and clock.
//! - [`Rig`]: the driver, a session on a thread behind a serial port or TCP connection.
//! - [`SteppedRig`]: the same session and the emulated firmware in virtual time.
//! - [`emulator`]: the emulated rig, for the driver and for anybody's client.
//!
//! The protocol is ours, and so is the emulator; nothing here has been run on a real rig yet.

mod config;
mod driver;
pub mod emulator;
pub mod session;
mod stepped;
pub mod wire;

pub use config::{Axis, Config, ConfigError, Protocol};
pub use driver::Rig;
pub use stepped::SteppedRig;
