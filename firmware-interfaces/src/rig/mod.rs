//! A test rig for one actuator: a servo that turns a known inertia with an inertial unit on it.
//!
//! - [`wire`]: the line protocol, as frames and as text.
//! - [`emulator`]: the emulated rig, for the driver and for anybody's client.

pub mod emulator;
pub mod wire;
