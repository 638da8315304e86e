//! Emulated actuators behind an emulated SLCAN adapter.
//!
//! [`Actuators`] are the motors, frames and time in, frames and time out, each with the plant of
//! [`sinew_simulation::actuator`]. [`Adapter`] is an SLCAN adapter on their bus; [`Emulator`] serves
//! it on a pseudo-terminal or a TCP port, for the driver and for anybody's client.
//!
//! They are plausible, not exact: plants are scaled from the models' ranges, nobody has compared them
//! with motors. Of CyberGear's and ODrive's cascaded loops the position and velocity gains are there,
//! integrators and limits are not; Damiao's modes other than MIT are not.

mod adapter;
mod faults;
mod motor;
mod network;
mod plant;
mod server;

pub use crate::faults::{FaultError, Rate, Stall, Window};
pub use adapter::{Adapter, Bytes};
pub use faults::Faults;
pub use motor::MotorConfig;
pub use network::{Actuators, ActuatorsConfig};
pub use plant::plant_config;
pub use server::{Emulator, EmulatorConfig, FaultSwitch};

#[cfg(test)]
mod tests;
