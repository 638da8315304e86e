//! Franka's arms FER (Panda) and FR3: their research interface at 1 kHz.
//!
//! - [`wire`]: both versions of the protocol, as pure codecs.
//! - [`emulator`]: an emulated arm with its hand, for any client of libfranka's.
//!
//! `docs/franka.md` says what has been tried with which client.

pub mod emulator;
pub mod wire;
