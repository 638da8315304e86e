//! From a port's name to an open bus.

use std::time::Duration;

use super::bus::Bus;
use super::slcan::Slcan;
use super::stream::Address;
use super::wire::Bitrate;
use crate::robot::RobotError;

/// Prefix of a Linux network interface.
const SOCKETCAN: &str = "socketcan:";

/// Where a bus is.
#[derive(Clone, Debug)]
pub struct Port {
    /// As written in the configuration.
    name: String,
    bitrate: Bitrate,
    kind: Kind,
}

#[derive(Clone, Debug)]
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
            None => Kind::Slcan(Address::resolve(name)?),
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
