//! The byte stream to an adapter: a serial port or a TCP connection. No call blocks without a
//! limit.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits, TTYPort};

use crate::robot::RobotError;

/// Line speed where none is said. USB adapters take any.
const BAUD_RATE: u32 = 115_200;
const WRITE_TIMEOUT: Duration = Duration::from_millis(50);

/// Where an adapter is. Names are resolved once: asking for them may take any time.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Serial { path: String, baud_rate: u32 },
    Tcp { sockets: Vec<SocketAddr> },
}

impl Address {
    /// Understands `PATH`, `PATH@BAUD`, `tcp:HOST:PORT` and `tcp://HOST:PORT`.
    pub(super) fn resolve(port: &str) -> Result<Self, RobotError> {
        let failed = |reason: String, remedy: &str| RobotError::Open {
            port: port.to_owned(),
            reason,
            remedy: remedy.to_owned(),
        };
        if let Some(address) = port.strip_prefix("tcp:") {
            let form = "Expected tcp:HOST:PORT, for example tcp:192.168.1.10:3333";
            let address = address.trim_start_matches('/');
            let sockets: Vec<_> = address
                .to_socket_addrs()
                .map_err(|error| failed(error.to_string(), form))?
                .collect();
            if sockets.is_empty() {
                return Err(failed("no such host".to_owned(), form));
            }
            return Ok(Self::Tcp { sockets });
        }
        let (path, baud_rate) = match port.rsplit_once('@') {
            None => (port, BAUD_RATE),
            Some((path, baud)) => {
                let form = "Expected PATH@BAUD, for example /dev/ttyUSB0@2000000";
                let baud = baud.parse().map_err(|_| failed(format!("@{baud} is no speed"), form))?;
                (path, baud)
            }
        };
        Ok(Self::Serial { path: path.to_owned(), baud_rate })
    }

    /// Opens it; every address of a name gets `timeout`.
    pub(super) fn open(&self, port: &str, timeout: Duration) -> Result<Stream, RobotError> {
        match self {
            Self::Serial { path, baud_rate } => {
                open_serial(port, path, *baud_rate).map(Stream::Serial)
            }
            Self::Tcp { sockets } => open_tcp(port, sockets, timeout).map(Stream::Tcp),
        }
    }
}

/// An open stream.
pub(super) enum Stream {
    Serial(TTYPort),
    Tcp(TcpStream),
}

impl Stream {
    /// Reads what has arrived, waiting up to `wait` for the first byte; 0 if there was none.
    /// [`ErrorKind::UnexpectedEof`] when the other side has closed it.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<usize, ErrorKind> {
        let read = match self {
            Self::Serial(port) => {
                port.set_timeout(wait).map_err(Into::into).and_then(|()| port.read(buffer))
            }
            Self::Tcp(stream) => {
                let timeout = Timespec {
                    tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
                    tv_nsec: wait.subsec_nanos().into(),
                };
                let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
                match poll(&mut fds, Some(&timeout)) {
                    Ok(0) => return Ok(0),
                    Ok(_) => stream.read(buffer),
                    Err(error) => Err(error.into()),
                }
            }
        };
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof),
            Ok(count) => Ok(count),
            Err(error) => match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(0),
                kind => Err(kind),
            },
        }
    }

    /// Sends all of `bytes`; [`ErrorKind::TimedOut`] when nobody takes them.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let sent = match self {
            Self::Serial(port) => port
                .set_timeout(WRITE_TIMEOUT)
                .map_err(Into::into)
                .and_then(|()| port.write_all(bytes)),
            // A frame is far smaller than the socket's buffer; one that does not fit has no peer.
            Self::Tcp(stream) => stream.write_all(bytes),
        };
        sent.map_err(|error| error.kind())
    }
}

fn open_serial(port: &str, path: &str, baud_rate: u32) -> Result<TTYPort, RobotError> {
    // Exclusive, so that a second run on the same port is refused instead of mixing its bytes in.
    let opened = serialport::new(path, baud_rate)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .timeout(WRITE_TIMEOUT)
        .open_native()
        .map_err(|error| refused(port, path, &error))?;
    // What an earlier client did not read is not for us.
    let _ = opened.clear(ClearBuffer::Input);
    Ok(opened)
}

fn refused(port: &str, path: &str, error: &serialport::Error) -> RobotError {
    let remedy = match error.kind() {
        serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => {
            "Your user may not open it: `sudo usermod -aG dialout $USER` and log in again"
        }
        // The crate reports a port that is exclusively open elsewhere, or locked, as no device.
        serialport::ErrorKind::NoDevice | serialport::ErrorKind::Io(ErrorKind::WouldBlock)
            if std::path::Path::new(path).exists() =>
        {
            "Another program or another run holds the port: end it first"
        }
        serialport::ErrorKind::NoDevice | serialport::ErrorKind::Io(ErrorKind::NotFound) => {
            "Is the CAN adapter plugged in? Its port is often /dev/ttyACM0 or /dev/ttyUSB0"
        }
        _ => "Is this a serial port?",
    };
    RobotError::Open {
        port: port.to_owned(),
        reason: error.description.clone(),
        remedy: remedy.to_owned(),
    }
}

fn open_tcp(
    port: &str,
    sockets: &[SocketAddr],
    timeout: Duration,
) -> Result<TcpStream, RobotError> {
    let failed = |error: &std::io::Error| RobotError::Open {
        port: port.to_owned(),
        reason: error.to_string(),
        remedy: "Is the adapter's server running, the address right, and no other client connected?"
            .to_owned(),
    };
    let mut last = ErrorKind::NotFound.into();
    for socket in sockets {
        match TcpStream::connect_timeout(socket, timeout) {
            Ok(stream) => {
                // Small frames must not wait for each other.
                return stream
                    .set_nodelay(true)
                    .and_then(|()| stream.set_nonblocking(true))
                    .map(|()| stream)
                    .map_err(|error| failed(&error));
            }
            Err(error) => last = error,
        }
    }
    Err(failed(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_understood_with_and_without_a_speed() {
        let serial = |port: &str| match Address::resolve(port).unwrap() {
            Address::Serial { path, baud_rate } => (path, baud_rate),
            Address::Tcp { .. } => panic!("{port}"),
        };
        assert_eq!(serial("/dev/ttyACM0"), ("/dev/ttyACM0".to_owned(), BAUD_RATE));
        assert_eq!(serial("/dev/ttyUSB0@2000000"), ("/dev/ttyUSB0".to_owned(), 2_000_000));
        for port in ["tcp:127.0.0.1:3333", "tcp://127.0.0.1:3333"] {
            assert!(matches!(Address::resolve(port), Ok(Address::Tcp { .. })), "{port}");
        }
        for port in ["/dev/ttyUSB0@fast", "tcp:127.0.0.1", "tcp:"] {
            assert!(Address::resolve(port).is_err(), "{port}");
        }
    }
}
