//! The two kinds of port the emulator can be reached by. Reads and writes never block.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, ioctl_tiocnxcl, tcgetattr, tcsetattr};

/// After this long without a byte the line's exclusive flag is cleared, see [`PtyEndpoint::read`].
const QUIET: Duration = Duration::from_secs(2);

/// Where clients find the emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A pseudo-terminal, like a serial port.
    Pty {
        /// A symbolic link to create to it; removed at the end.
        link: Option<PathBuf>,
    },
    /// A TCP port; one client at a time.
    Tcp {
        /// Address to listen on; port 0 takes a free one.
        address: SocketAddr,
        /// Whether an address that other machines can reach is wanted. The protocol has no
        /// authentication: anybody who connects moves the device.
        allow_remote: bool,
    },
}

/// Why the emulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// No pseudo-terminal could be made.
    #[error("cannot create a pseudo-terminal: {source}. Is /dev/pts mounted?")]
    Pty {
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something that is not a symbolic link stands where the link should be.
    #[error(
        "link {path}: exists and is not a symbolic link to a pseudo-terminal. Choose another path or remove it"
    )]
    LinkTaken {
        /// The link's path.
        path: String,
    },
    /// Another emulator is reached by this link.
    #[error(
        "link {path}: leads to {terminal}, which is open: another emulator uses it. Choose another \
         path, or remove the link if no emulator is behind it"
    )]
    LinkInUse {
        /// The link's path.
        path: String,
        /// The pseudo-terminal.
        terminal: String,
    },
    /// The link could not be created.
    #[error("link {path}: {source}. Choose a folder that you may write to")]
    Link {
        /// The link's path.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The address could not be listened on.
    #[error(
        "cannot listen on {address}: {source}. Choose a free port on an address of this machine"
    )]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Other machines could reach the address, and nobody said that they should.
    #[error(
        "address {address} is reachable from other machines, and the protocol has no \
         authentication. Use 127.0.0.1, or allow remote clients explicitly (--allow-remote)"
    )]
    RemoteAddress {
        /// The address as configured.
        address: SocketAddr,
    },
    /// The thread could not be started.
    #[error("cannot start the emulator's thread: {source}")]
    Thread {
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// An open port of an emulator.
pub(crate) enum Endpoint {
    Pty(PtyEndpoint),
    Tcp(TcpEndpoint),
}

impl Endpoint {
    /// Opens the port.
    ///
    /// # Errors
    /// [`EmulatorError`] when it cannot be made, or would be reachable from elsewhere unasked.
    pub(crate) fn open(transport: Transport) -> Result<Self, EmulatorError> {
        match transport {
            Transport::Pty { link } => PtyEndpoint::open(link).map(Self::Pty),
            Transport::Tcp { address, allow_remote } => {
                if !address.ip().is_loopback() && !allow_remote {
                    return Err(EmulatorError::RemoteAddress { address });
                }
                TcpEndpoint::open(address).map(Self::Tcp)
            }
        }
    }

    pub(crate) fn port(&self) -> String {
        match self {
            Self::Pty(pty) => pty.link.as_ref().unwrap_or(&pty.path).display().to_string(),
            Self::Tcp(tcp) => format!("tcp://{}", tcp.address),
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        match self {
            Self::Pty(pty) => pty.pair.is_some(),
            Self::Tcp(tcp) => tcp.listener.is_some(),
        }
    }

    /// Closes the port: a client sees a hang-up.
    pub(crate) fn close(&mut self) {
        match self {
            Self::Pty(pty) => pty.pair = None,
            Self::Tcp(tcp) => {
                tcp.client = None;
                tcp.listener = None;
            }
        }
    }

    /// Opens it again; false if that must be tried later.
    pub(crate) fn reopen(&mut self) -> bool {
        match self {
            Self::Pty(pty) => pty.create().is_ok(),
            Self::Tcp(tcp) => tcp.listen().is_ok(),
        }
    }

    /// True once after a client has gone whose unfinished business must be forgotten.
    pub(crate) fn client_left(&mut self) -> bool {
        match self {
            // The line does not tell; the next client flushes it, as on a real port.
            Self::Pty(_) => false,
            Self::Tcp(tcp) => std::mem::take(&mut tcp.left),
        }
    }

    /// Bytes read, if there are any.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Self::Pty(pty) => pty.read(buffer),
            Self::Tcp(tcp) => tcp.read(buffer),
        }
    }

    /// Writes what fits; the rest is lost, as on a line without flow control.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Pty(pty) => {
                if let Some(pair) = &pty.pair {
                    // Nobody reads: the bytes are lost.
                    let _ = rustix::io::write(&pair.controller, bytes);
                }
            }
            Self::Tcp(tcp) => {
                if let Some(client) = &mut tcp.client
                    && client.write_all(bytes).is_err()
                {
                    tcp.drop_client();
                }
            }
        }
    }

    /// Waits for a byte or a client, at most for `span`.
    pub(crate) fn wait(&self, span: Duration) {
        let fd: Option<BorrowedFd<'_>> = match self {
            Self::Pty(pty) => pty.pair.as_ref().map(|pair| pair.controller.as_fd()),
            Self::Tcp(tcp) => match (&tcp.client, &tcp.listener) {
                (Some(client), _) => Some(client.as_fd()),
                (None, Some(listener)) => Some(listener.as_fd()),
                (None, None) => None,
            },
        };
        let Some(fd) = fd else { return std::thread::sleep(span) };
        let timeout = Timespec {
            tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        if poll(&mut fds, Some(&timeout)).is_err() {
            std::thread::sleep(span);
        }
    }
}

struct Pair {
    controller: OwnedFd,
    /// Held open so that the line keeps its settings and stays up between clients.
    device: OwnedFd,
}

pub(crate) struct PtyEndpoint {
    pair: Option<Pair>,
    path: PathBuf,
    link: Option<PathBuf>,
    last_byte: Instant,
    exclusive_cleared: bool,
}

impl PtyEndpoint {
    pub(crate) fn open(link: Option<PathBuf>) -> Result<Self, EmulatorError> {
        if let Some(link) = &link {
            check_link(link)?;
        }
        let mut endpoint = Self {
            pair: None,
            path: PathBuf::new(),
            link: None,
            last_byte: Instant::now(),
            exclusive_cleared: false,
        };
        endpoint.create().map_err(|source| EmulatorError::Pty { source })?;
        if let Some(link) = link {
            point_link(&link, &endpoint.path).map_err(|source| EmulatorError::Link {
                path: link.display().to_string(),
                source,
            })?;
            endpoint.link = Some(link);
        }
        Ok(endpoint)
    }

    /// Makes a new pseudo-terminal in raw mode and points the link to it.
    fn create(&mut self) -> std::io::Result<()> {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let name = ptsname(&controller, Vec::new())?;
        self.path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = rustix::fs::open(&self.path, flags, Mode::empty())?;
        let mut settings = tcgetattr(&device)?;
        settings.make_raw();
        tcsetattr(&device, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&controller, true)?;
        if let Some(link) = &self.link {
            point_link(link, &self.path)?;
        }
        self.pair = Some(Pair { controller, device });
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let pair = self.pair.as_ref()?;
        let count = rustix::io::read(&pair.controller, &mut *buffer).ok().filter(|n| *n > 0);
        if count.is_some() {
            self.last_byte = Instant::now();
            self.exclusive_cleared = false;
        } else if !self.exclusive_cleared && self.last_byte.elapsed() > QUIET {
            // A client that opened the line exclusively and died leaves the flag behind, because
            // we hold the line open; nobody but root could open it again. Clients that are alive
            // keep others out by their file lock as well.
            let _ = ioctl_tiocnxcl(&pair.device);
            self.exclusive_cleared = true;
        }
        count
    }
}

impl Drop for PtyEndpoint {
    fn drop(&mut self) {
        if let Some(link) = &self.link
            && std::fs::read_link(link).is_ok_and(|target| target == self.path)
        {
            // It may have been removed by somebody else in between.
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Points `link` to `target` in one step, so that no client sees it missing.
fn point_link(link: &Path, target: &Path) -> std::io::Result<()> {
    let mut name = link.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = link.with_file_name(name);
    std::os::unix::fs::symlink(target, &fresh)?;
    std::fs::rename(&fresh, link).inspect_err(|_| {
        let _ = std::fs::remove_file(&fresh);
    })
}

pub(crate) struct TcpEndpoint {
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
    address: SocketAddr,
    left: bool,
}

impl TcpEndpoint {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, EmulatorError> {
        let mut endpoint = Self { listener: None, client: None, address, left: false };
        endpoint.listen().map_err(|source| EmulatorError::Listen { address, source })?;
        Ok(endpoint)
    }

    fn listen(&mut self) -> std::io::Result<()> {
        let listener = TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        // A port of 0 has become a real one, and is kept when the listener is opened again.
        self.address = listener.local_addr()?;
        self.listener = Some(listener);
        Ok(())
    }

    fn drop_client(&mut self) {
        self.client = None;
        self.left = true;
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.client.is_none() {
            let (client, _) = self.listener.as_ref()?.accept().ok()?;
            client.set_nonblocking(true).ok()?;
            // Without it small replies wait for each other.
            client.set_nodelay(true).ok()?;
            self.client = Some(client);
        }
        match self.client.as_mut()?.read(buffer) {
            Ok(0) => {
                self.drop_client();
                None
            }
            Ok(count) => Some(count),
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                    self.drop_client();
                }
                None
            }
        }
    }
}

/// Refuses a path at which something stands that an emulator has not left behind: anything but a
/// symbolic link to a pseudo-terminal that is gone, or one that leads nowhere.
fn check_link(path: &Path) -> Result<(), EmulatorError> {
    let shown = path.display().to_string();
    match std::fs::read_link(path) {
        // A terminal's name goes with whoever made it.
        Ok(_) if !path.exists() => Ok(()),
        Ok(target) if target.starts_with("/dev/pts") => {
            let terminal = target.display().to_string();
            Err(EmulatorError::LinkInUse { path: shown, terminal })
        }
        Err(_) if path.symlink_metadata().is_err() => Ok(()),
        _ => Err(EmulatorError::LinkTaken { path: shown }),
    }
}
