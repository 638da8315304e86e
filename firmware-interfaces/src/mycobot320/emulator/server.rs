//! Runs the emulated firmware on a thread, behind a pseudo-terminal or a TCP port.

use std::time::Duration;

use super::faults::Faults;
use super::firmware::{Firmware, FirmwareConfig, Message};
use crate::Timestamp;
use crate::faults::Window;
use crate::mycobot320::wire::ARM_JOINTS;
use crate::transport::{Access, EmulatorError, Served, Server, Transport};

/// TCP port of the vendor's own socket server.
pub const DEFAULT_TCP_PORT: u16 = 9000;

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

impl Served for Firmware {
    type Message = Message;

    fn is_connected(&self, now: Timestamp) -> bool {
        self.is_connected(now)
    }

    fn hang_up(&mut self) {
        self.hang_up();
    }

    fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        self.receive(now, bytes);
    }

    fn transmit(&mut self, now: Timestamp) -> Option<Message> {
        self.transmit(now)
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.next_due()
    }
}

/// Switches the faults of a running emulator.
#[derive(Clone)]
pub struct FaultSwitch {
    access: Access<Firmware>,
}

impl FaultSwitch {
    /// Changes the faults. The second argument is the emulator's present time.
    pub fn update(&self, change: impl FnOnce(&mut Faults, Timestamp)) {
        self.access.with(|firmware, now| change(firmware.faults_mut(), now));
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
    server: Server<Firmware>,
}

impl Emulator {
    /// Opens the port and starts serving it.
    ///
    /// # Errors
    /// [`EmulatorError`] when the port, the link or the thread cannot be made.
    pub fn spawn(config: EmulatorConfig) -> Result<Self, EmulatorError> {
        let firmware = Firmware::new(config.firmware);
        let server = Server::spawn(firmware, config.transport, "mycobot320-emu")?;
        Ok(Self { server })
    }

    /// The port as the driver takes it: a path, or `tcp://ADDRESS:PORT`.
    pub fn port(&self) -> String {
        self.server.port()
    }

    /// Switches faults while running.
    pub fn faults(&self) -> FaultSwitch {
        FaultSwitch { access: self.server.access() }
    }

    /// Where the joints (rad) and the gripper (opening) really are now.
    pub fn plant_positions(&self) -> [f64; ARM_JOINTS + 1] {
        self.server.access().with(Firmware::plant_positions)
    }

    /// True while every joint has torque.
    pub fn has_torque(&self) -> bool {
        self.server.access().with(|firmware, _| firmware.has_torque())
    }

    /// Closes the port and removes the link.
    pub fn stop(self) {
        drop(self);
    }
}
