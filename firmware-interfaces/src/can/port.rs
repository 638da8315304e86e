//! From a port's name to an open bus.

use std::time::Duration;

use super::bus::Bus;
use super::slcan::Slcan;
use super::wire::Bitrate;
use crate::robot::RobotError;
use crate::transport::{Address, Line};

/// Line speed where none is said. USB adapters take any.
const BAUD_RATE: u32 = 115_200;
/// Prefix of a TCP address, as the shared transport wants it, and shorter.
const TCP: [&str; 2] = ["tcp://", "tcp:"];

/// Prefix of a Linux network interface.
const SOCKETCAN: &str = "socketcan:";

/// Where a bus is.
pub struct Port {
    /// As written in the configuration.
    name: String,
    bitrate: Bitrate,
    kind: Kind,
}

enum Kind {
    Slcan(Address),
    #[cfg(feature = "socketcan")]
    Socket {
        interface: String,
    },
}

impl Port {
    /// Understands a port as written in the configuration. `bitrate` is what SLCAN adapters are set
    /// to; an interface of SocketCAN has its own (`ip link set can0 type can bitrate …`).
    ///
    /// # Errors
    /// [`RobotError::Open`] with a remedy.
    pub fn resolve(name: &str, bitrate: Bitrate) -> Result<Self, RobotError> {
        let kind = match name.strip_prefix(SOCKETCAN) {
            None => Kind::Slcan(adapter(name)?),
            #[cfg(feature = "socketcan")]
            Some(interface) => Kind::Socket { interface: interface.to_owned() },
            #[cfg(not(feature = "socketcan"))]
            Some(_) => {
                return Err(RobotError::Open {
                    port: name.to_owned(),
                    reason: "this build has no SocketCAN".to_owned(),
                    remedy: "Build with `cargo build --release --features socketcan`".to_owned(),
                });
            }
        };
        Ok(Self { name: name.to_owned(), bitrate, kind })
    }

    /// The port as configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens it; a connection over TCP may take `timeout`.
    ///
    /// # Errors
    /// [`RobotError`] with a remedy.
    pub fn open(&self, timeout: Duration) -> Result<Box<dyn Bus>, RobotError> {
        match &self.kind {
            Kind::Slcan(address) => {
                Ok(Box::new(Slcan::open(address, &self.name, self.bitrate, timeout)?))
            }
            #[cfg(feature = "socketcan")]
            Kind::Socket { interface } => {
                Ok(Box::new(super::socket::Socket::open(interface, &self.name)?))
            }
        }
    }
}

/// Understands `PATH`, `PATH@BAUD`, `tcp:HOST:PORT` and `tcp://HOST:PORT`.
fn adapter(name: &str) -> Result<Address, RobotError> {
    let line = |baud_rate| Line {
        baud_rate,
        unreachable: "Is the adapter's server running, the address right, and no other client connected?",
    };
    if let Some(address) = TCP.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        return Address::resolve(&format!("{}{address}", TCP[0]), line(BAUD_RATE));
    }
    let Some((path, baud)) = name.rsplit_once('@') else {
        return Address::resolve(name, line(BAUD_RATE));
    };
    let baud = baud.parse().map_err(|_| RobotError::Open {
        port: name.to_owned(),
        reason: format!("@{baud} is no line speed"),
        remedy: "Expected PATH@BAUD, for example /dev/ttyUSB0@2000000".to_owned(),
    })?;
    Address::resolve(path, line(baud))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_understood_with_and_without_a_speed() {
        for good in
            ["/dev/ttyACM0", "/dev/ttyUSB0@2000000", "tcp:127.0.0.1:3333", "tcp://127.0.0.1:3333"]
        {
            assert!(Port::resolve(good, Bitrate::M1).is_ok(), "{good}");
        }
        for bad in ["/dev/ttyUSB0@fast", "tcp:127.0.0.1", "tcp:"] {
            assert!(Port::resolve(bad, Bitrate::M1).is_err(), "{bad}");
        }
        let socket = Port::resolve("socketcan:can0", Bitrate::M1);
        assert_eq!(socket.is_ok(), cfg!(feature = "socketcan"));
    }
}
