//! Runs the emulated Franka until standard input closes.
//!
//! ```text
//! cargo run --example emulate_franka -- --robot fr3 --bind 127.0.0.2 --fault drop=0.05
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use sinew_firmware_interfaces::franka::emulator::{
    Config, Control, Emulator, EmulatorConfig, Hand, RobotModel,
};

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
    let mut robot = RobotModel::Fr3;
    let mut bind = "127.0.0.1".to_owned();
    let mut faults = Vec::new();
    let mut patience = Duration::ZERO;
    let mut library = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        match (option.as_str(), value.as_str()) {
            ("--robot", "fer") => robot = RobotModel::Fer,
            ("--robot", "fr3") => robot = RobotModel::Fr3,
            ("--bind", _) => bind = value,
            ("--fault", _) => faults.push(value),
            ("--patience-ms", _) => patience = Duration::from_millis(value.parse()?),
            ("--model-library", _) => library = Some(std::fs::read(value)?),
            _ => {
                return Err(format!(
                    "{option} {value}: expected --robot fer or fr3, --bind, --fault, --patience-ms or --model-library"
                )
                .into());
            }
        }
    }
    let mut config = Config { model_library: library, ..Config::new(robot) };
    for fault in &faults {
        config.faults.add(fault)?;
    }
    let control = Control::new(config)?;
    let config = EmulatorConfig { patience, ..EmulatorConfig::new(bind.parse()?) };
    let emulator = Emulator::spawn(control, Hand::new(0.0), config)?;
    println!("ready: {}", emulator.robot_address());
    std::io::stdout().flush()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
