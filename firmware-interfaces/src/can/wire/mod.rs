//! SLCAN, the text protocol of CAN adapters on a serial line, both ways and without I/O.
//!
//! Made known by Lawicel's CAN232 and CANUSB; python-can, the Linux driver `slcan` and most USB
//! adapters speak it. A line ends with CR; an adapter answers CR, or BEL where it refuses.
//!
//! | host sends | meaning | adapter answers |
//! |---|---|---|
//! | `C`, `O`, `L` | close, open, open to listen only | CR |
//! | `S0` to `S8` | 10, 20, 50, 100, 125, 250, 500, 800, 1000 kbit/s | CR |
//! | `sXXYY` | bit timing registers | CR |
//! | `tIIILDD…`, `TIIIIIIIILDD…` | send a frame, standard or extended | CR, `z`, `Z` |
//! | `rIIIL`, `RIIIIIIIIL` | send a remote frame | CR, `z`, `Z` |
//! | `F` | status flags | `Fxx` |
//! | `V`, `N` | version, serial number | `V1013`, `NA123` |
//! | `Z0`, `Z1` | times of received frames off, on | CR |
//!
//! Received frames come in the same form, with four more digits (ms, modulo 60000) where times are
//! on. Linux's driver adds `s` lines for a change of the controller's state: `sb000255`. Adapters
//! differ in their acknowledgements, down to none at all, so none is waited for by its form.

mod adapter;
mod host;
mod text;

pub use adapter::{Flags, Reply};
pub use host::{Bitrate, Request};
pub use text::{Line, LineReader, MAX_LINE, Text};

#[cfg(test)]
mod tests;
