//! Actuators with a motor controller of their own, on a CAN bus.
//!
//! - [`wire`]: the protocols as pure codecs.
//! - [`CanActuators`]: the driver, a session on a thread behind a bus.
//! - [`SteppedCanActuators`]: the same session and the emulated motors in virtual time.
//! - [`emulator`]: emulated motors behind an SLCAN adapter, for the driver and for anybody's client.
//! - [`session`]: the driver's protocol engine, a state machine without I/O and clock.
//! - [`models`]: what the codes of each model stand for, as data.

mod config;
mod driver;
pub mod emulator;
pub mod models;
pub mod session;
mod stepped;
pub mod wire;

pub use config::{Config, ConfigError, JointConfig};
pub use driver::CanActuators;
pub use models::{Model, Protocol};
pub use stepped::SteppedCanActuators;
