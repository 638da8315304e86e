//! `sinew emulate can-actuator`

use clap::Args;
use sinew_firmware_interfaces::can::Bitrate;
use sinew_firmware_interfaces::can_actuators::emulator::{
    ActuatorsConfig, Emulator, EmulatorConfig, Faults, MotorConfig,
};
use sinew_firmware_interfaces::can_actuators::{Model, Protocol};
use sinew_firmware_interfaces::each_once;

use super::{Port, STALL, serve};
use crate::cli::{Format, fail, until_interrupted};

/// TCP port where none is said.
const DEFAULT_TCP_PORT: u16 = 3333;
/// What is added to a motor's identifier for its answers where nobody says it.
const FEEDBACK_OFFSET: u16 = 0x10;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// How it is spoken to: mit, damiao, robstride or odrive
    #[arg(long, value_parser = ["mit", "damiao", "robstride", "odrive"])]
    protocol: String,
    /// Which motor, for example 4310; a wrong name lists the models of the protocol
    #[arg(long)]
    model: String,
    /// Identifier that the motor listens to; repeat it for several motors on one bus
    #[arg(long = "id", value_name = "ID", required = true)]
    ids: Vec<u16>,
    /// Identifier on which it answers (mit, damiao): by default 16 more than its own
    #[arg(long = "feedback-id", value_name = "ID")]
    feedback_ids: Vec<u16>,
    #[command(flatten)]
    port: Port,
    /// Misbehave, for example drop=0.05, corrupt=1/50, garbage=1/50, unknown=1/50, silence=1s@5s,
    /// disconnect=1s@5s, bus-off=1s@5s, over-temperature@5s, jump=0.7@5s; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// Seed of sensor noise and random faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    fn actuators(&self) -> Result<ActuatorsConfig, String> {
        let protocol = Protocol::from_name(&self.protocol)
            .ok_or_else(|| format!("--protocol {}: unknown", self.protocol))?;
        let model = Model::find(protocol, &self.model).ok_or_else(|| {
            let known: Vec<_> = protocol.models().map(|model| model.name).collect();
            format!("--model {}: {} has {}", self.model, self.protocol, known.join(", "))
        })?;
        if !self.feedback_ids.is_empty() && self.feedback_ids.len() != self.ids.len() {
            return Err("--feedback-id: say it for every --id, or for none".to_owned());
        }
        let mut motors = Vec::new();
        for (index, id) in self.ids.iter().enumerate() {
            let allowed = protocol.ids();
            if !allowed.contains(id) {
                let (low, high) = (allowed.start(), allowed.end());
                return Err(format!("--id {id}: {} takes {low} to {high}", self.protocol));
            }
            if self.ids.iter().take(index).any(|other| other == id) {
                return Err(format!("--id {id}: said twice"));
            }
            let feedback_id = self.feedback_ids.get(index).copied();
            let feedback_id = feedback_id.unwrap_or(id + FEEDBACK_OFFSET);
            motors.push(MotorConfig { model, id: *id, feedback_id, position: 0.0 });
        }
        let descriptions = self.faults.iter().map(String::as_str);
        each_once(descriptions.clone()).map_err(|error| error.to_string())?;
        let mut faults = Faults::default();
        for fault in descriptions {
            faults.add(fault).map_err(|error| error.to_string())?;
        }
        Ok(ActuatorsConfig { motors, bitrate: Bitrate::M1, seed: self.seed, faults })
    }
}

pub(super) fn emulate(arguments: &Arguments) -> u8 {
    let actuators = match arguments.actuators() {
        Ok(actuators) => actuators,
        Err(message) => {
            complain!("error: {message}");
            return 2;
        }
    };
    if actuators.faults.stall.is_some() {
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
    let emulator = match Emulator::spawn(EmulatorConfig { actuators, transport }) {
        Ok(emulator) => emulator,
        Err(error) => return fail(&error, 10, Format::Text),
    };
    say!("ready: {}", emulator.port());
    let motors = arguments.ids.len();
    say!(
        "emulated {} {} ({motors}) behind an SLCAN adapter; Ctrl-C ends it",
        arguments.protocol,
        arguments.model
    );
    serve(&interrupted, || emulator.port(), || Ok(()));
    0
}
