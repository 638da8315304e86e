//! `sinew emulate rig`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sinew_firmware_interfaces::each_once;
use sinew_firmware_interfaces::rig::emulator::{
    DEFAULT_TCP_PORT, Emulator, Firmware, FirmwareConfig, TRUTH_HEADER, TruthRow,
};

use sinew_simulation::actuator::ActuatorConfig;

use super::super::{Format, fail, until_interrupted};
use super::{Port, STALL, serve};

/// States a second of text where nothing is said: what 115200 baud carry.
const TEXT_RATE_HZ: u16 = 100;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    port: Port,
    /// Speak lines of text instead of frames
    #[arg(long)]
    text: bool,
    /// States a second at start, 1 to 2000 [default: 1000, in text 100]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u16).range(1..=2000))]
    rate: Option<u16>,
    /// Send no faster than a line of this speed, in bits per second
    #[arg(long, value_name = "BAUD", value_parser = clap::value_parser!(u32).range(1200..))]
    baud: Option<u32>,
    /// Total inertia that turns with the load, in kg·m²
    #[arg(long, value_name = "KG_M2", default_value_t = 0.010)]
    inertia: f64,
    /// A drive that gives the torque it is told to, instead of a hobby servo
    #[arg(long)]
    direct: bool,
    /// Distance of the accelerometer from the axis, in m
    #[arg(long, value_name = "M", default_value_t = 0.1)]
    radius: f64,
    /// Angle at the start, in rad
    #[arg(long, value_name = "RAD", default_value_t = 0.0, allow_negative_numbers = true)]
    angle: f64,
    /// Write what no sensor shows beside what the sensors show, as CSV
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Misbehave, for example drop=0.05, corrupt=1/20, garbage=0.1, glitch=1/500, delay=5ms@3s,
    /// silence=2s@5s, disconnect=1s@5s, reset@5s, jump=0.5@5s, gyro-glitch=1/500,
    /// gyro-stuck=20@5s, drift=-5000@5s, overheat@5s; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// Seed of noise and random faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn emulate(arguments: &Arguments) -> u8 {
    let rate = if arguments.text { TEXT_RATE_HZ } else { 1000 };
    let mut config = FirmwareConfig {
        text: arguments.text,
        rate_hz: arguments.rate.unwrap_or(rate),
        baud_rate: arguments.baud,
        angle: arguments.angle,
        keep_truth: arguments.truth.is_some(),
        seed: arguments.seed,
        ..FirmwareConfig::default()
    };
    if arguments.direct {
        config.actuator = ActuatorConfig::direct_drive();
    }
    config.actuator.inertia = arguments.inertia;
    config.actuator.sensors.radius = arguments.radius;
    if let Err(error) = each_once(arguments.faults.iter().map(String::as_str)) {
        return fail(&error, 2, Format::Text);
    }
    for fault in &arguments.faults {
        if let Err(error) = config.faults.add(fault) {
            return fail(&error, 2, Format::Text);
        }
    }
    if config.faults.stall.is_some() {
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
    let firmware = match Firmware::new(config) {
        Ok(firmware) => firmware,
        Err(error) => return fail(&error, 2, Format::Text),
    };
    let mut truth = match arguments.truth.as_deref().map(TruthFile::create).transpose() {
        Ok(truth) => truth,
        Err(code) => return code,
    };
    let interrupted = until_interrupted();
    let emulator = match Emulator::spawn(firmware, transport) {
        Ok(emulator) => emulator,
        Err(error) => return fail(&error, 10, Format::Text),
    };
    say!("ready: {}", emulator.port());
    say!("emulated test rig, {} kg·m²; Ctrl-C ends it", arguments.inertia);
    let served = serve(
        &interrupted,
        || emulator.port(),
        || match &mut truth {
            Some(truth) => truth.append(&emulator.take_truth()),
            None => Ok(()),
        },
    );
    if served { 0 } else { 10 }
}

/// A CSV file of truth, complete up to the last call at any time.
struct TruthFile<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> TruthFile<'a> {
    fn create(path: &'a Path) -> Result<Self, u8> {
        let written = File::create(path).and_then(|file| {
            let mut file = BufWriter::new(file);
            writeln!(file, "{TRUTH_HEADER}")?;
            Ok(file)
        });
        match written {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => {
                complain!("error: --truth {}: {error}", path.display());
                Err(2)
            }
        }
    }

    fn append(&mut self, rows: &[TruthRow]) -> Result<(), ()> {
        let written = rows
            .iter()
            .try_for_each(|row| writeln!(self.file, "{row}"))
            .and_then(|()| self.file.flush());
        written.map_err(|error| complain!("error: --truth {}: {error}", self.path.display()))
    }
}
