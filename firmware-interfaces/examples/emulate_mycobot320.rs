//! Runs the emulated myCobot 320 until standard input closes.
//!
//! ```text
//! cargo run --example emulate_mycobot320 -- --link /tmp/mycobot
//! cargo run --example emulate_mycobot320 -- --tcp 127.0.0.1:9000 --fault drop=0.05
//! ```

use std::io::Write;
use std::process::ExitCode;

use sinew_firmware_interfaces::mycobot320::emulator::{Emulator, EmulatorConfig, Transport};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = EmulatorConfig::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--link" => config.transport = Transport::Pty { link: Some(value.into()) },
            "--tcp" => {
                config.transport = Transport::Tcp { address: value.parse()?, allow_remote: false };
            }
            "--fault" => config.firmware.faults.add(&value)?,
            _ => return Err(format!("{option}: expected --link, --tcp or --fault").into()),
        }
    }
    let emulator = Emulator::spawn(config)?;
    println!("ready: {}", emulator.port());
    std::io::stdout().flush()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    emulator.stop();
    Ok(())
}
