//! Controller area network: frames, and the buses they travel on.
//!
//! - [`Frame`]: a classical CAN 2.0 frame.
//! - [`wire`]: SLCAN, the text protocol of serial adapters, both ways and without I/O.
//! - [`Port`]: where a bus is; opens a [`Bus`].
//!
//! | port | bus |
//! |---|---|
//! | `/dev/ttyACM0`, `/dev/ttyUSB0@2000000` | SLCAN on a serial port |
//! | `tcp:HOST:PORT`, `tcp://HOST:PORT` | SLCAN over TCP |
//! | `socketcan:can0` | Linux's SocketCAN; only with the feature `socketcan` |

mod bus;
mod frame;
mod port;
mod slcan;
#[cfg(feature = "socketcan")]
mod socket;
pub mod wire;

pub use bus::{Bus, BusError, Condition, Event};
pub use frame::{Frame, Id, MAX_DATA, MAX_EXTENDED, MAX_STANDARD};
pub use port::Port;
pub use wire::Bitrate;
