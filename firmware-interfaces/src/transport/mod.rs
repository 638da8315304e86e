//! What devices share between protocol and operating system: byte streams over a serial line or
//! TCP, a driver's thread around a protocol engine, an emulator's thread around firmware.

#[cfg(unix)]
mod driver;
#[cfg(unix)]
mod endpoint;
mod link;
#[cfg(unix)]
mod server;

#[cfg(unix)]
pub use driver::Step;
#[cfg(unix)]
pub(crate) use driver::{Driver, Engine, NotArmed, Opened};
#[cfg(unix)]
pub use endpoint::{EmulatorError, Transport};
pub(crate) use link::{Address, CONNECT_TIMEOUT, Line, Link, RECONNECT_TIMEOUT};
#[cfg(unix)]
pub use server::{Access, Served, Server};
