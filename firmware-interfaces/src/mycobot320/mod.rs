//! Elephant Robotics myCobot 320.
//!
//! - [`wire`]: the protocol's codec.
//! - [`session`]: the driver's protocol engine, a state machine without I/O and clock.
//! - [`MyCobot320`]: the driver, a session on a thread behind a serial port or TCP connection.
//! - [`SteppedMyCobot320`]: the same session and the emulated firmware in virtual time.
//! - [`emulator`]: the emulated arm, for the driver and for anybody's client.
//!
//! Facts about the arm come from the vendor's documents and Python package; where they disagree
//! the package is followed. Nothing here has been run on a real arm yet.

pub mod arm;
mod config;
mod driver;
pub mod emulator;
pub mod session;
mod stepped;
pub mod wire;

pub use config::{Config, ConfigError};
pub use driver::MyCobot320;
pub use stepped::SteppedMyCobot320;
