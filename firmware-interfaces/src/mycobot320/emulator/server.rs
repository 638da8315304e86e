//! Runs the emulated firmware on a thread, behind a pseudo-terminal or a TCP port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::endpoint::{Endpoint, PtyEndpoint, TcpEndpoint};
use super::faults::Faults;
use super::firmware::{Firmware, FirmwareConfig};
use crate::faults::Window;
use crate::mycobot320::wire::ARM_JOINTS;
use crate::{Clock, MonotonicClock, Timestamp};

/// TCP port of the vendor's own socket server.
pub const DEFAULT_TCP_PORT: u16 = 9000;

/// Longest wait of the thread: how fast it notices a stop or a switched fault.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// Wait while the connection is closed by a fault.
const CLOSED_WAIT: Duration = Duration::from_millis(2);
/// Buffers read before answers are sent.
const READS_PER_PASS: usize = 16;

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
        /// authentication: anybody who connects moves the arm.
        allow_remote: bool,
    },
}

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub struct EmulatorConfig {
    /// The arm.
    pub firmware: FirmwareConfig,
    /// The port.
    pub transport: Transport,
}

impl Default for EmulatorConfig {
    /// The default arm on a pseudo-terminal without a link.
    fn default() -> Self {
        Self { firmware: FirmwareConfig::default(), transport: Transport::Pty { link: None } }
    }
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

struct Shared {
    firmware: Mutex<Firmware>,
    port: Mutex<String>,
    clock: MonotonicClock,
    stop: AtomicBool,
}

impl Shared {
    fn firmware(&self) -> MutexGuard<'_, Firmware> {
        // The firmware is valid after any panic: a lock is held for single calls only.
        self.firmware.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> MutexGuard<'_, String> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Switches the faults of a running emulator.
#[derive(Clone)]
pub struct FaultSwitch {
    shared: Arc<Shared>,
}

impl FaultSwitch {
    /// Changes the faults. The second argument is the emulator's present time.
    pub fn update(&self, change: impl FnOnce(&mut Faults, Timestamp)) {
        let now = self.shared.clock.now();
        change(self.shared.firmware().faults_mut(), now);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.update(|faults, _| *faults = Faults::default());
    }

    /// No answers from now on, for `duration` or for good.
    pub fn silence(&self, duration: Option<Duration>) {
        self.update(|faults, now| faults.silence = Some(Window { start: now, duration }));
    }

    /// Connection closed from now on, for `duration` or for good.
    pub fn disconnect(&self, duration: Option<Duration>) {
        self.update(|faults, now| faults.disconnect = Some(Window { start: now, duration }));
    }

    /// The controller starts again now.
    pub fn reset(&self) {
        self.update(|faults, now| faults.reset = Some(now));
    }
}

/// A running emulator. It stops when dropped.
pub struct Emulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Opens the port and starts serving it.
    ///
    /// # Errors
    /// [`EmulatorError`] when the port, the link or the thread cannot be made.
    pub fn spawn(config: EmulatorConfig) -> Result<Self, EmulatorError> {
        let endpoint = match config.transport {
            Transport::Pty { link } => Endpoint::Pty(PtyEndpoint::open(link)?),
            Transport::Tcp { address, allow_remote } => {
                if !address.ip().is_loopback() && !allow_remote {
                    return Err(EmulatorError::RemoteAddress { address });
                }
                Endpoint::Tcp(TcpEndpoint::open(address)?)
            }
        };
        let shared = Arc::new(Shared {
            firmware: Mutex::new(Firmware::new(config.firmware)),
            port: Mutex::new(endpoint.port()),
            clock: MonotonicClock::new(),
            stop: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new()
            .name("mycobot320-emu".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || serve(&shared, endpoint)
            })
            .map_err(|source| EmulatorError::Thread { source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The port as the driver takes it: a path, or `tcp://ADDRESS:PORT`.
    pub fn port(&self) -> String {
        self.shared.port().clone()
    }

    /// Switches faults while running.
    pub fn faults(&self) -> FaultSwitch {
        FaultSwitch { shared: Arc::clone(&self.shared) }
    }

    /// Where the joints (rad) and the gripper (opening) really are now.
    pub fn plant_positions(&self) -> [f64; ARM_JOINTS + 1] {
        let now = self.shared.clock.now();
        self.shared.firmware().plant_positions(now)
    }

    /// True while every joint has torque.
    pub fn has_torque(&self) -> bool {
        self.shared.firmware().has_torque()
    }

    /// Closes the port and removes the link.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread: moves bytes between endpoint and firmware until told to stop.
fn serve(shared: &Shared, mut endpoint: Endpoint) {
    let mut buffer = [0; 256];
    while !shared.stop.load(Ordering::Acquire) {
        let now = shared.clock.now();
        if !shared.firmware().is_connected(now) {
            endpoint.close();
            shared.firmware().hang_up();
            std::thread::sleep(CLOSED_WAIT);
            continue;
        }
        if !endpoint.is_open() {
            if !endpoint.reopen() {
                std::thread::sleep(CLOSED_WAIT);
                continue;
            }
            *shared.port() = endpoint.port();
        }
        if endpoint.client_left() {
            shared.firmware().hang_up();
        }
        // Bounded: a client that never stops sending must not keep answers and the end waiting.
        for _ in 0..READS_PER_PASS {
            let Some(count) = endpoint.read(&mut buffer) else { break };
            let bytes = buffer.get(..count).unwrap_or_default();
            shared.firmware().receive(shared.clock.now(), bytes);
        }
        loop {
            let message = shared.firmware().transmit(shared.clock.now());
            let Some(message) = message else { break };
            endpoint.write(message.as_bytes());
        }
        let next = shared.firmware().next_due();
        let wait = next.map_or(LONGEST_WAIT, |due| due.since(shared.clock.now()));
        endpoint.wait(wait.min(LONGEST_WAIT));
    }
}

/// Refuses a path at which something stands that an emulator has not left behind: anything but a
/// symbolic link to a pseudo-terminal that is gone, or one that leads nowhere.
pub(super) fn check_link(path: &Path) -> Result<(), EmulatorError> {
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
