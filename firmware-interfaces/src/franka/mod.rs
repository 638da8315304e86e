//! Franka's arms FER (Panda) and FR3: their research interface at 1 kHz.
//!
//! - [`wire`]: both versions of the protocol, as pure codecs.
//! - [`driver`]: a FER or FR3 on the network, through `franka-rs`.
//! - [`emulator`]: an emulated arm with its hand, for any client of libfranka's.
//!
//! `docs/franka.md` says what has been tried with which client.

#[cfg(unix)]
pub mod driver;
pub mod emulator;
pub mod wire;

pub use emulator::RobotModel;
