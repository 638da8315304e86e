//! An emulated FER or FR3 with its hand: masses, limits, reflexes and faults behind Franka's
//! research interface.
//!
//! [`Control`] and [`Hand`] are pure: bytes and time in, bytes and time out. [`Emulator`] runs them
//! behind TCP and UDP on a thread, for any client.

mod cartesian;
mod config;
mod contact;
mod control;
mod faults;
mod hand;
mod judge;
mod model;
mod motion;
mod plant;
mod poses;
mod requests;
#[cfg(unix)]
mod server;
mod state;

pub use crate::faults::{FaultError, Rate, Window};
pub use config::{Config, Counts, RobotModel};
pub use control::Control;
pub use faults::Faults;
pub use hand::Hand;
#[cfg(unix)]
pub use server::{Emulator, EmulatorConfig, FaultSwitch};

#[cfg(test)]
mod tests;
