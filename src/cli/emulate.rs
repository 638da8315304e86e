//! `sinew emulate`

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
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
}

#[derive(Debug, Args)]
pub(super) struct Mycobot320Arguments {
    /// Make this symbolic link to the pseudo-terminal
    #[arg(long, value_name = "PATH", conflicts_with = "tcp")]
    link: Option<PathBuf>,
    /// Listen on TCP instead, for example 127.0.0.1:9000
    #[arg(long, value_name = "ADDR:PORT")]
    tcp: Option<String>,
    /// Listen on an address that other machines can reach: the protocol has no authentication
    #[arg(long, requires = "tcp")]
    allow_remote: bool,
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
    let Device::Mycobot320(arguments) = device;
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
        complain!(
            "error: --fault stall: it blocks the control thread of a run, which this program has \
             not. Set it there: --set 'emulator.faults=[\"stall=2s@3s\"]' with robot.port = \"emulator\""
        );
        return 2;
    }
    let transport = match &arguments.tcp {
        None => Transport::Pty { link: arguments.link.clone() },
        Some(address) => match tcp_address(address) {
            Ok(address) => Transport::Tcp { address, allow_remote: arguments.allow_remote },
            Err(message) => {
                complain!("error: --tcp {address}: {message}");
                return 2;
            }
        },
    };
    let interrupted = until_interrupted();
    let emulator = match Emulator::spawn(EmulatorConfig { firmware, transport }) {
        Ok(emulator) => emulator,
        Err(error) => return fail(&error, 10, Format::Text),
    };
    let mut port = emulator.port();
    say!("ready: {port}");
    say!("emulated myCobot 320; Ctrl-C ends it");
    while !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(POLL);
        if emulator.port() != port {
            port = emulator.port();
            say!("ready: {port}");
        }
    }
    emulator.stop();
    0
}

/// `ADDR:PORT`, or an address alone with the vendor's port.
fn tcp_address(text: &str) -> Result<SocketAddr, String> {
    let with_port =
        if text.contains(':') { text.to_owned() } else { format!("{text}:{DEFAULT_TCP_PORT}") };
    with_port
        .to_socket_addrs()
        .map_err(|error| format!("{error}; write for example 127.0.0.1:{DEFAULT_TCP_PORT}"))?
        .next()
        .ok_or_else(|| "no such address".to_owned())
}
