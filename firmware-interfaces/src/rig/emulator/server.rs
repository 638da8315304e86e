//! The emulated firmware on a thread, behind a pseudo-terminal or a TCP port.

use std::time::Duration;

use sinew_simulation::actuator::Truth;

use super::faults::Faults;
use super::firmware::Firmware;
use super::truth::TruthRow;
use crate::Timestamp;
use crate::faults::Window;
use crate::rig::wire::Mode;
use crate::transport::{Access, EmulatorError, Server, Transport};

/// TCP port where nobody says another: a raw serial port on a network.
pub const DEFAULT_TCP_PORT: u16 = 9100;

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

    /// Deaf and dumb from now on, for `duration` or for good.
    pub fn silence(&self, duration: Option<Duration>) {
        self.update(|faults, now| faults.silence = Some(Window { start: now, duration }));
    }

    /// Connection closed from now on, for `duration` or for good.
    pub fn disconnect(&self, duration: Option<Duration>) {
        self.update(|faults, now| faults.disconnect = Some(Window { start: now, duration }));
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
    pub fn spawn(firmware: Firmware, transport: Transport) -> Result<Self, EmulatorError> {
        Server::spawn(firmware, transport, "rig-emu").map(|server| Self { server })
    }

    /// The port as the driver takes it: a path, or `tcp://ADDRESS:PORT`.
    pub fn port(&self) -> String {
        self.server.port()
    }

    /// Switches faults while running.
    pub fn faults(&self) -> FaultSwitch {
        FaultSwitch { access: self.server.access() }
    }

    /// What no sensor shows, now.
    pub fn truth(&self) -> Truth {
        self.server.access().with(|firmware, _| *firmware.truth())
    }

    /// The rows of truth since the last call, if the firmware keeps them.
    pub fn take_truth(&self) -> Vec<TruthRow> {
        self.server.access().with(|firmware, _| firmware.take_truth())
    }

    /// What the motor follows.
    pub fn mode(&self) -> Mode {
        self.server.access().with(|firmware, _| firmware.mode())
    }
}
