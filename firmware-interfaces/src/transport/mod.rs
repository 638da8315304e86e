//! What devices share between protocol and operating system: byte streams over a serial line or
//! TCP, a driver's thread around a protocol engine, the same engine in virtual time, an emulator's
//! thread around firmware.

#[cfg(unix)]
mod bus;
#[cfg(unix)]
mod desk;
#[cfg(unix)]
mod driver;
#[cfg(unix)]
mod endpoint;
mod engine;
mod link;
#[cfg(unix)]
mod server;
mod stepped;

#[cfg(unix)]
pub(crate) use desk::{Desk, Published};
#[cfg(unix)]
pub(crate) use driver::{Driver, NotArmed, Opened};
#[cfg(unix)]
pub use endpoint::{EmulatorError, Transport};
pub use engine::Step;
pub(crate) use engine::{Engine, Port};
pub(crate) use link::{Address, CONNECT_TIMEOUT, Line, Link, RECONNECT_TIMEOUT};
#[cfg(unix)]
pub use server::{Access, Served, Server};
pub(crate) use stepped::{Device, Stepped};
