//! The emulated cabinet and hand behind TCP and UDP, on one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Control, Counts, Faults, Hand};
use crate::franka::wire::{Errors, GRIPPER_PORT, MAX_REQUEST, ROBOT_PORT, RobotMode};
use crate::transport::EmulatorError;
use crate::{Clock, MonotonicClock, Timestamp};

/// Wait while there is no power.
const OFF_WAIT: Duration = Duration::from_millis(2);
/// Buffers read in one pass: a client that never stops sending must not keep states waiting.
const READS_PER_PASS: usize = 16;

/// Where clients find the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatorConfig {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port of the arm; 0 takes a free one, which no client but ours finds.
    pub robot_port: u16,
    /// Port of the hand.
    pub gripper_port: u16,
    /// Whether an address that other machines can reach is wanted: the protocol has no
    /// authentication.
    pub allow_remote: bool,
    /// For tests on busy computers: how long a cycle of a motion waits for its command, by the
    /// clock, before the command counts as lost. Emulated time stands still meanwhile. What a fault
    /// drops is lost at once. 0 is what the real arm does.
    pub patience: Duration,
}

impl EmulatorConfig {
    /// Franka's ports on an address of this machine.
    pub const fn new(bind: IpAddr) -> Self {
        Self {
            bind,
            robot_port: ROBOT_PORT,
            gripper_port: GRIPPER_PORT,
            allow_remote: false,
            patience: Duration::ZERO,
        }
    }
}

struct Devices {
    control: Control,
    hand: Hand,
}

struct Shared {
    devices: Mutex<Devices>,
    clock: MonotonicClock,
    stop: AtomicBool,
}

impl Shared {
    fn devices(&self) -> MutexGuard<'_, Devices> {
        // The devices are valid after any panic: a lock is held for whole cycles.
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
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
        change(self.shared.devices().control.faults_mut(), now);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.update(|faults, _| *faults = Faults::default());
    }
}

/// A running emulator. It stops when dropped.
pub struct Emulator {
    shared: Arc<Shared>,
    robot: SocketAddr,
    gripper: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Opens the ports and starts serving them.
    ///
    /// # Errors
    /// [`EmulatorError`] when a port or the thread cannot be made, or would be reachable from
    /// elsewhere unasked.
    pub fn spawn(
        control: Control,
        hand: Hand,
        config: EmulatorConfig,
    ) -> Result<Self, EmulatorError> {
        let robot = SocketAddr::new(config.bind, config.robot_port);
        if !config.bind.is_loopback() && !config.allow_remote {
            return Err(EmulatorError::RemoteAddress { address: robot });
        }
        let mut arm = Port::open(robot)?;
        let mut gripper = Port::open(SocketAddr::new(config.bind, config.gripper_port))?;
        let shared = Arc::new(Shared {
            devices: Mutex::new(Devices { control, hand }),
            clock: MonotonicClock::new(),
            stop: AtomicBool::new(false),
        });
        let addresses = (arm.address, gripper.address);
        let thread = std::thread::Builder::new()
            .name("franka-emu".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || serve(&shared, &mut arm, &mut gripper, config.patience)
            })
            .map_err(|source| EmulatorError::Thread { source })?;
        Ok(Self { shared, robot: addresses.0, gripper: addresses.1, thread: Some(thread) })
    }

    /// Where the arm listens.
    pub const fn robot_address(&self) -> SocketAddr {
        self.robot
    }

    /// Where the hand listens.
    pub const fn gripper_address(&self) -> SocketAddr {
        self.gripper
    }

    /// Switches faults while running.
    pub fn faults(&self) -> FaultSwitch {
        FaultSwitch { shared: Arc::clone(&self.shared) }
    }

    /// What the arm is doing.
    pub fn mode(&self) -> RobotMode {
        self.shared.devices().control.mode()
    }

    /// Positions of the joints, rad.
    pub fn positions(&self) -> [f64; 7] {
        self.shared.devices().control.positions()
    }

    /// What the arm has to recover from.
    pub fn errors(&self) -> Errors {
        self.shared.devices().control.errors()
    }

    /// What has happened since the start.
    pub fn counts(&self) -> Counts {
        self.shared.devices().control.counts()
    }
}

impl Drop for Emulator {
    /// Closes the ports.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// One TCP port with one client at a time, and the socket for its datagrams.
struct Port {
    listener: TcpListener,
    udp: UdpSocket,
    address: SocketAddr,
    client: Option<(TcpStream, IpAddr)>,
    /// What the client has not taken yet.
    pending: Vec<u8>,
}

impl Port {
    fn open(address: SocketAddr) -> Result<Self, EmulatorError> {
        let open = || -> std::io::Result<Self> {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let udp = UdpSocket::bind(SocketAddr::new(address.ip(), 0))?;
            udp.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, udp, address, client: None, pending: Vec::new() })
        };
        open().map_err(|source| EmulatorError::Listen { address, source })
    }

    /// Takes a client if there is none; others are sent away.
    fn accept(&mut self) {
        while let Ok((stream, peer)) = self.listener.accept() {
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            if self.client.is_none() && ready.is_ok() {
                self.pending.clear();
                self.client = Some((stream, peer.ip()));
            }
        }
    }

    /// Sends everybody away.
    fn refuse(&mut self) {
        self.client = None;
        while self.listener.accept().is_ok() {}
    }

    /// Passes what the client sends to `take`. False when the client has gone.
    fn read(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let Some((stream, _)) = &mut self.client else { return true };
        let mut buffer = [0; MAX_REQUEST];
        for _ in 0..READS_PER_PASS {
            match stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => take(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Passes the client's datagrams to `take`.
    fn datagrams(&self, mut take: impl FnMut(&[u8])) {
        let mut buffer = [0; 512];
        for _ in 0..READS_PER_PASS {
            match self.udp.recv_from(&mut buffer) {
                Ok((count, from)) => {
                    if self.client.as_ref().is_some_and(|(_, peer)| *peer == from.ip()) {
                        take(buffer.get(..count).unwrap_or_default());
                    }
                }
                // An answer that nobody listens shows as a refused connection here.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// Sends a datagram to the client. What does not go is lost, as on any network.
    fn send(&self, port: Option<u16>, bytes: &[u8]) {
        if let (Some((_, peer)), Some(port)) = (&self.client, port) {
            let _ = self.udp.send_to(bytes, SocketAddr::new(*peer, port));
        }
    }

    /// Writes what the client takes now. False when the client has gone.
    fn write(&mut self) -> bool {
        let Some((stream, _)) = &mut self.client else {
            self.pending.clear();
            return true;
        };
        while !self.pending.is_empty() {
            match stream.write(&self.pending) {
                Ok(0) => return false,
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

/// The thread: moves bytes between ports and devices until told to stop.
fn serve(shared: &Shared, arm: &mut Port, gripper: &mut Port, patience: Duration) {
    let mut datagram = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        let mut devices = shared.devices();
        let Devices { control, hand } = &mut *devices;
        let now = shared.clock.now();
        if control.is_powered(now) {
            arm.accept();
            gripper.accept();
        } else {
            control.hang_up();
            hand.hang_up();
            arm.refuse();
            gripper.refuse();
        }
        serve_arm(arm, control, &shared.clock, patience, &mut datagram);
        serve_hand(gripper, hand, &shared.clock, &mut datagram);
        let powered = control.is_powered(now);
        let cycle = due(control, patience);
        let due = control.next_state().map_or(cycle, |state| state.min(cycle));
        let due = due.min(hand.next_due());
        drop(devices);
        let wait = due.since(shared.clock.now());
        if !powered {
            std::thread::sleep(wait.min(OFF_WAIT));
        } else if !wait.is_zero() {
            sleep(arm, gripper, wait);
        }
    }
}

/// When the next cycle is due, with patience for a command that has not come.
fn due(control: &Control, patience: Duration) -> Timestamp {
    let patience = if control.awaits_command() { patience } else { Duration::ZERO };
    control.next_due().after(patience)
}

fn serve_arm(
    port: &mut Port,
    control: &mut Control,
    clock: &MonotonicClock,
    patience: Duration,
    datagram: &mut Vec<u8>,
) {
    let mut there = port.read(|bytes| control.receive(bytes));
    port.datagrams(|bytes| control.command(bytes));
    let now = clock.now();
    if now >= due(control, patience) {
        control.tick(now);
    }
    control.take_bytes(&mut port.pending);
    there &= port.write();
    datagram.clear();
    while control.transmit(now, datagram) {
        port.send(control.udp_port(), datagram);
        datagram.clear();
    }
    if !there || control.is_closing() {
        port.client = None;
        control.hang_up();
    }
}

fn serve_hand(port: &mut Port, hand: &mut Hand, clock: &MonotonicClock, datagram: &mut Vec<u8>) {
    let mut there = port.read(|bytes| hand.receive(bytes));
    let now = clock.now();
    if now >= hand.next_due() && hand.tick(now, datagram) {
        port.send(hand.udp_port(), datagram);
    }
    hand.take_bytes(&mut port.pending);
    there &= port.write();
    if !there || hand.is_closing() {
        port.client = None;
        hand.hang_up();
    }
}

/// Waits for bytes or a client, at most for `span`.
fn sleep(arm: &Port, gripper: &Port, span: Duration) {
    let timeout = Timespec {
        tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    };
    let mut fds = Vec::with_capacity(5);
    for port in [arm, gripper] {
        fds.push(PollFd::new(&port.listener, PollFlags::IN));
        if let Some((client, _)) = &port.client {
            fds.push(PollFd::new(client, PollFlags::IN));
        }
    }
    fds.push(PollFd::new(&arm.udp, PollFlags::IN));
    if poll(&mut fds, Some(&timeout)).is_err() {
        std::thread::sleep(span);
    }
}
