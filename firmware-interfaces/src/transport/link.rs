//! The byte stream to a device: a serial port or a TCP connection. No call blocks without a limit.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits, TTYPort};

use crate::robot::RobotError;

/// Prefix of a port that is a TCP address.
const TCP_PREFIX: &str = "tcp://";
/// How long a first connection may take, and one that is made again while others wait.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const RECONNECT_TIMEOUT: Duration = Duration::from_millis(200);
const WRITE_TIMEOUT: Duration = Duration::from_millis(50);

/// What is special about a device's line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Speed of a serial port, in bits per second.
    pub(crate) baud_rate: u32,
    /// What to look at when nobody answers on TCP.
    pub(crate) unreachable: &'static str,
}

/// Where a device is. Names are resolved once: asking for them may take any time.
pub(crate) struct Address {
    /// As written in the configuration.
    port: String,
    line: Line,
    /// Empty for a serial port.
    sockets: Vec<SocketAddr>,
}

impl Address {
    /// Understands a port as written in the configuration.
    ///
    /// # Errors
    /// [`RobotError::Open`] with a remedy.
    pub(crate) fn resolve(port: &str, line: Line) -> Result<Self, RobotError> {
        let mut sockets = Vec::new();
        if let Some(address) = port.strip_prefix(TCP_PREFIX) {
            let form = "Expected tcp://ADDRESS:PORT, for example tcp://192.168.1.10:9000";
            let found = address.to_socket_addrs().map_err(|error| failed(port, &error, form))?;
            sockets.extend(found);
            if sockets.is_empty() {
                return Err(failed(port, &ErrorKind::NotFound.into(), form));
            }
        }
        Ok(Self { port: port.to_owned(), line, sockets })
    }

    /// Opens it; every address of a name gets `timeout`.
    ///
    /// # Errors
    /// [`RobotError::Open`] with a remedy.
    pub(crate) fn open(&self, timeout: Duration) -> Result<Link, RobotError> {
        if self.sockets.is_empty() {
            open_serial(&self.port, self.line.baud_rate).map(Link::Serial)
        } else {
            self.open_tcp(timeout).map(Link::Tcp)
        }
    }

    fn open_tcp(&self, timeout: Duration) -> Result<TcpStream, RobotError> {
        let mut last = ErrorKind::NotFound.into();
        for socket in &self.sockets {
            match TcpStream::connect_timeout(socket, timeout) {
                Ok(stream) => {
                    // Small frames must not wait for each other.
                    return stream
                        .set_nodelay(true)
                        .and_then(|()| stream.set_nonblocking(true))
                        .map(|()| stream)
                        .map_err(|error| failed(&self.port, &error, self.line.unreachable));
                }
                Err(error) => last = error,
            }
        }
        Err(failed(&self.port, &last, self.line.unreachable))
    }
}

/// An open port.
pub(crate) enum Link {
    Serial(TTYPort),
    Tcp(TcpStream),
}

impl Link {
    /// Reads what has arrived, waiting up to `wait` for the first byte; 0 if there was none.
    ///
    /// # Errors
    /// The port's error; [`ErrorKind::UnexpectedEof`] when the other side has closed it.
    pub(crate) fn receive(
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

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The port's error, or [`ErrorKind::TimedOut`] when nobody takes the bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
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

fn open_serial(port: &str, baud_rate: u32) -> Result<TTYPort, RobotError> {
    // Exclusive, so that a second run on the same port is refused instead of mixing its bytes in.
    let mut opened = serialport::new(port, baud_rate)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .timeout(WRITE_TIMEOUT)
        .open_native()
        .map_err(|error| refused(port, &error))?;
    // RTS resets some controllers; a pseudo-terminal has none and says so.
    let _ = opened.write_request_to_send(false);
    // What an earlier client did not read is not for us.
    let _ = opened.clear(ClearBuffer::Input);
    Ok(opened)
}

fn refused(port: &str, error: &serialport::Error) -> RobotError {
    let remedy = match error.kind() {
        serialport::ErrorKind::Io(ErrorKind::NotFound) => {
            format!("{} Check the cable and the port's name", ports_present())
        }
        serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => {
            "Your user may not open it: `sudo usermod -aG dialout $USER` and log in again, or add \
             a udev rule for the adapter"
                .to_owned()
        }
        // The crate reports a port that is exclusively open elsewhere, or locked, as no device.
        serialport::ErrorKind::NoDevice | serialport::ErrorKind::Io(ErrorKind::WouldBlock)
            if std::path::Path::new(port).exists() =>
        {
            "Another program or another run holds the port: end it first".to_owned()
        }
        serialport::ErrorKind::NoDevice => {
            format!("{} Check the cable and the port's name", ports_present())
        }
        _ => "Is this a serial port?".to_owned(),
    };
    RobotError::Open { port: port.to_owned(), reason: error.description.clone(), remedy }
}

fn ports_present() -> String {
    let names: Vec<_> = serialport::available_ports()
        .unwrap_or_default()
        .into_iter()
        .map(|port| port.port_name)
        .collect();
    if names.is_empty() {
        "There is no serial port at present.".to_owned()
    } else {
        format!("Serial ports present: {}.", names.join(", "))
    }
}

fn failed(port: &str, error: &std::io::Error, remedy: &str) -> RobotError {
    let (port, reason) = (port.to_owned(), error.to_string());
    RobotError::Open { port, reason, remedy: remedy.to_owned() }
}
