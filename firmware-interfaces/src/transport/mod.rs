//! Byte streams that all devices share: the driver's end ([`Address`], `Link`) and the emulator's
//! ([`Transport`], [`Server`]), over a serial line or TCP.

#[cfg(unix)]
mod endpoint;
mod link;
#[cfg(unix)]
mod server;

#[cfg(unix)]
pub use endpoint::{EmulatorError, Transport};
pub(crate) use link::{Address, CONNECT_TIMEOUT, Line, Link, RECONNECT_TIMEOUT};
#[cfg(unix)]
pub use server::{Access, Served, Server};
