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

use super::server::{EmulatorError, check_link};

/// After this long without a byte the line's exclusive flag is cleared, see [`PtyEndpoint::read`].
const QUIET: Duration = Duration::from_secs(2);

pub(super) enum Endpoint {
    Pty(PtyEndpoint),
    Tcp(TcpEndpoint),
}

impl Endpoint {
    pub(super) fn port(&self) -> String {
        match self {
            Self::Pty(pty) => pty.link.as_ref().unwrap_or(&pty.path).display().to_string(),
            Self::Tcp(tcp) => format!("tcp://{}", tcp.address),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        match self {
            Self::Pty(pty) => pty.pair.is_some(),
            Self::Tcp(tcp) => tcp.listener.is_some(),
        }
    }

    /// Closes the port: a client sees a hang-up.
    pub(super) fn close(&mut self) {
        match self {
            Self::Pty(pty) => pty.pair = None,
            Self::Tcp(tcp) => {
                tcp.client = None;
                tcp.listener = None;
            }
        }
    }

    /// Opens it again; false if that must be tried later.
    pub(super) fn reopen(&mut self) -> bool {
        match self {
            Self::Pty(pty) => pty.create().is_ok(),
            Self::Tcp(tcp) => tcp.listen().is_ok(),
        }
    }

    /// True once after a client has gone whose unfinished business must be forgotten.
    pub(super) fn client_left(&mut self) -> bool {
        match self {
            // The line does not tell; the next client flushes it, as on a real port.
            Self::Pty(_) => false,
            Self::Tcp(tcp) => std::mem::take(&mut tcp.left),
        }
    }

    /// Bytes read, if there are any.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Self::Pty(pty) => pty.read(buffer),
            Self::Tcp(tcp) => tcp.read(buffer),
        }
    }

    /// Writes what fits; the rest is lost, as on a line without flow control.
    pub(super) fn write(&mut self, bytes: &[u8]) {
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
    pub(super) fn wait(&self, span: Duration) {
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

pub(super) struct PtyEndpoint {
    pair: Option<Pair>,
    path: PathBuf,
    link: Option<PathBuf>,
    last_byte: Instant,
    exclusive_cleared: bool,
}

impl PtyEndpoint {
    pub(super) fn open(link: Option<PathBuf>) -> Result<Self, EmulatorError> {
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

pub(super) struct TcpEndpoint {
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
    address: SocketAddr,
    left: bool,
}

impl TcpEndpoint {
    pub(super) fn open(address: SocketAddr) -> Result<Self, EmulatorError> {
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
