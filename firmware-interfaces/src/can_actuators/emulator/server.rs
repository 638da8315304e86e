//! Serves the adapter on a pseudo-terminal or a TCP port.

use super::adapter::Adapter;
use super::faults::Faults;
use super::network::{Actuators, ActuatorsConfig};
use crate::Timestamp;
use crate::transport::{Access, EmulatorError, Server, Transport};

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub struct EmulatorConfig {
    /// The motors and their bus.
    pub actuators: ActuatorsConfig,
    /// The port.
    pub transport: Transport,
}

/// Switches the faults of a running emulator.
#[derive(Clone)]
pub struct FaultSwitch {
    access: Access<Adapter>,
}

impl FaultSwitch {
    /// Changes the faults. The second argument is the emulator's present time.
    pub fn update(&self, change: impl FnOnce(&mut Faults, Timestamp)) {
        self.access.with(|adapter, now| change(adapter.actuators_mut().faults_mut(), now));
    }
}

/// A running emulator. It stops when dropped.
pub struct Emulator {
    server: Server<Adapter>,
}

impl Emulator {
    /// Opens the port and starts serving it.
    ///
    /// # Errors
    /// [`EmulatorError`] when the port, the link or the thread cannot be made.
    pub fn spawn(config: EmulatorConfig) -> Result<Self, EmulatorError> {
        let seed = config.actuators.seed;
        let adapter = Adapter::new(Actuators::new(config.actuators), seed);
        Ok(Self { server: Server::spawn(adapter, config.transport, "can-emu")? })
    }

    /// The port as the driver takes it: a path, or `tcp://ADDRESS:PORT`.
    pub fn port(&self) -> String {
        self.server.port()
    }

    /// Switches faults while running.
    pub fn faults(&self) -> FaultSwitch {
        FaultSwitch { access: self.server.access() }
    }

    /// Where motor `index` really stands now, in rad.
    pub fn position(&self, index: usize) -> Option<f64> {
        self.server.access().with(|adapter, now| {
            adapter.actuators_mut().advance_to(now);
            adapter.actuators().position(index)
        })
    }

    /// True while motor `index` has torque.
    pub fn is_enabled(&self, index: usize) -> bool {
        self.server.access().with(|adapter, now| {
            adapter.actuators_mut().advance_to(now);
            adapter.actuators().is_enabled(index)
        })
    }
}
