//! `sinew emulate franka`

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sinew_firmware_interfaces::each_once;
use sinew_firmware_interfaces::franka::emulator::{
    Config, Control, Emulator, EmulatorConfig, Hand, RobotModel,
};
use sinew_firmware_interfaces::franka::wire::{GRIPPER_PORT, ROBOT_PORT};
use sinew_simulation::dynamics::Link;

use super::super::run::parse_duration;
use super::super::{Format, fail, until_interrupted};
use super::serve;

/// Which arm.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Robot {
    /// Franka Emika Robot (Panda), version 5 of the protocol
    Fer,
    /// Franka Research 3, version 10 of the protocol
    Fr3,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Which arm
    #[arg(long, value_enum, default_value = "fr3")]
    robot: Robot,
    /// Address to listen on: clients know no other ports than Franka's, so each arm needs its own
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Port of the arm; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = ROBOT_PORT)]
    robot_port: u16,
    /// Port of the hand; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = GRIPPER_PORT)]
    gripper_port: u16,
    /// Listen on an address that other machines can reach: the protocol has no authentication
    #[arg(long)]
    allow_remote: bool,
    /// Width of an object between the fingers, in m
    #[arg(long, value_name = "M", default_value_t = 0.0)]
    object: f64,
    /// Mass in kg that the arm carries 10 cm in front of its flange without having been told
    #[arg(long, value_name = "KG", default_value_t = 0.0)]
    payload: f64,
    /// Share of the joints' friction that the arm does not compensate, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    friction: f64,
    /// The shared library that a FER gives to clients that ask for its model
    #[arg(long, value_name = "FILE")]
    model_library: Option<PathBuf>,
    /// Misbehave, for example drop=0.05, drop-state=1/20, delay=2ms@3s, silence=2s@5s, reflex@5s,
    /// push=50@5s, guide=2s@5s, user-stop=2s@5s, power-off=2s@5s; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// For tests on busy computers, for example 200ms: how long a cycle of a motion waits for its
    /// command before it counts as lost; 0s is what the real arm does
    #[arg(long, value_name = "SPAN", default_value = "0s", value_parser = parse_duration)]
    patience: Duration,
    /// Seed of random faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is no share: write a number from 0 to 1")),
    }
}

pub(super) fn emulate(arguments: &Arguments) -> u8 {
    let robot = match arguments.robot {
        Robot::Fer => RobotModel::Fer,
        Robot::Fr3 => RobotModel::Fr3,
    };
    let payload =
        (arguments.payload != 0.0).then(|| Link::point(arguments.payload, [0.0, 0.0, 0.1]));
    let (seed, friction) = (arguments.seed, arguments.friction);
    let mut config = Config { seed, payload, friction, ..Config::new(robot) };
    if let Err(error) = each_once(arguments.faults.iter().map(String::as_str)) {
        return fail(&error, 2, Format::Text);
    }
    for fault in &arguments.faults {
        if let Err(error) = config.faults.add(fault) {
            return fail(&error, 2, Format::Text);
        }
    }
    if let Some(path) = &arguments.model_library {
        match std::fs::read(path) {
            Ok(library) => config.model_library = Some(library),
            Err(error) => {
                complain!("error: --model-library {}: {error}", path.display());
                return 2;
            }
        }
    }
    let control = match Control::new(config) {
        Ok(control) => control,
        Err(error) => return fail(&error, 2, Format::Text),
    };
    let config = EmulatorConfig {
        bind: arguments.bind,
        robot_port: arguments.robot_port,
        gripper_port: arguments.gripper_port,
        allow_remote: arguments.allow_remote,
        patience: arguments.patience,
    };
    let interrupted = until_interrupted();
    let emulator = match Emulator::spawn(control, Hand::new(arguments.object), config) {
        Ok(emulator) => emulator,
        Err(error) => return fail(&error, 10, Format::Text),
    };
    let port = || emulator.robot_address().to_string();
    say!("ready: {}", port());
    say!("hand: {}", emulator.gripper_address());
    say!("emulated {:?}, {}; Ctrl-C ends it", robot, robot.protocol());
    serve(&interrupted, port, || Ok(()));
    0
}
