//! `sinew emulate`

mod can_actuator;
mod franka;
mod rig;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand};
use sinew_firmware_interfaces::each_once;
use sinew_firmware_interfaces::mycobot320::emulator::{
    DEFAULT_TCP_PORT, Emulator, EmulatorConfig, FirmwareConfig, Transport,
};

use super::{Format, fail, until_interrupted};

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Elephant Robotics myCobot 320, on a pseudo-terminal or a TCP port
    Mycobot320(Mycobot320Arguments),
    /// One actuator on a test rig with an inertial unit, on a pseudo-terminal or a TCP port
    Rig(rig::Arguments),
    /// Motors on a CAN bus behind an SLCAN adapter, on a pseudo-terminal or a TCP port
    CanActuator(can_actuator::Arguments),
    /// Franka's FER (Panda) or FR3 with its hand, behind the research interface (TCP and UDP)
    Franka(franka::Arguments),
}

/// Where clients find an emulator.
#[derive(Debug, Args)]
struct Port {
    /// Make this symbolic link to the pseudo-terminal
    #[arg(long, value_name = "PATH", conflicts_with = "tcp")]
    link: Option<PathBuf>,
    /// Listen on TCP instead, for example 127.0.0.1:9000
    #[arg(long, value_name = "ADDR:PORT")]
    tcp: Option<String>,
    /// Listen on an address that other machines can reach: the protocol has no authentication
    #[arg(long, requires = "tcp")]
    allow_remote: bool,
}

impl Port {
    /// The port, or what is wrong with it. `default` is the TCP port where none is said.
    fn transport(&self, default: u16) -> Result<Transport, String> {
        let Some(address) = &self.tcp else {
            return Ok(Transport::Pty { link: self.link.clone() });
        };
        let address = tcp_address(address, default)
            .map_err(|message| format!("--tcp {address}: {message}"))?;
        Ok(Transport::Tcp { address, allow_remote: self.allow_remote })
    }
}

#[derive(Debug, Args)]
pub(super) struct Mycobot320Arguments {
    #[command(flatten)]
    port: Port,
    /// Misbehave, for example drop=0.05, delay=200ms@3s, silence=2s@5s, disconnect=1s@5s,
    /// reset@5s, gripper255; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// Seed of latency jitter and random faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How often to look for Ctrl-C and for a port that has changed.
const POLL: Duration = Duration::from_millis(50);

pub(super) fn emulate(device: &Device) -> u8 {
    match device {
        Device::Mycobot320(arguments) => mycobot320(arguments),
        Device::Rig(arguments) => rig::emulate(arguments),
        Device::CanActuator(arguments) => can_actuator::emulate(arguments),
        Device::Franka(arguments) => franka::emulate(arguments),
    }
}

fn mycobot320(arguments: &Mycobot320Arguments) -> u8 {
    let mut firmware = FirmwareConfig { seed: arguments.seed, ..FirmwareConfig::default() };
    if let Err(error) = each_once(arguments.faults.iter().map(String::as_str)) {
        return fail(&error, 2, Format::Text);
    }
    for fault in &arguments.faults {
        if let Err(error) = firmware.faults.add(fault) {
            return fail(&error, 2, Format::Text);
        }
    }
    if firmware.faults.stall.is_some() {
        complain!("{STALL}");
        return 2;
    }
    let transport = match arguments.port.transport(DEFAULT_TCP_PORT) {
        Ok(transport) => transport,
        Err(message) => {
            complain!("error: {message}");
            return 2;
        }
    };
    let interrupted = until_interrupted();
    let emulator = match Emulator::spawn(EmulatorConfig { firmware, transport }) {
        Ok(emulator) => emulator,
        Err(error) => return fail(&error, 10, Format::Text),
    };
    say!("ready: {}", emulator.port());
    say!("emulated myCobot 320; Ctrl-C ends it");
    serve(&interrupted, || emulator.port(), || Ok(()));
    emulator.stop();
    0
}

/// Why `stall` is refused here.
const STALL: &str = "error: --fault stall: it blocks the control thread of a run, which this \
                     program has not. Set it there: --set 'emulator.faults=[\"stall=2s@3s\"]' with \
                     robot.port = \"emulator\"";

/// Waits for Ctrl-C; says when the port has changed, and calls `work` again and again. False when
/// that fails.
fn serve(
    interrupted: &AtomicBool,
    port: impl Fn() -> String,
    mut work: impl FnMut() -> Result<(), ()>,
) -> bool {
    let mut known = port();
    while !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(POLL);
        let present = port();
        if present != known {
            say!("ready: {present}");
            known = present;
        }
        if work().is_err() {
            return false;
        }
    }
    true
}

/// `ADDR:PORT`, or an address alone with the device's usual port.
fn tcp_address(text: &str, default: u16) -> Result<SocketAddr, String> {
    let with_port = if text.contains(':') { text.to_owned() } else { format!("{text}:{default}") };
    with_port
        .to_socket_addrs()
        .map_err(|error| format!("{error}; write for example 127.0.0.1:{default}"))?
        .next()
        .ok_or_else(|| "no such address".to_owned())
}
