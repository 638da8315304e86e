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
    /// Which motor; a wrong name lists the models of the protocol
    /// [default: ak80-9, 4310, cybergear or d6374]
    #[arg(long)]
    model: Option<String>,
    /// Identifier that the motor listens to; repeat it for several motors on one bus
    /// [default: 1, of an odrive 0]
    #[arg(long = "id", value_name = "ID")]
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
        let name = self.model.as_deref().unwrap_or(protocol.usual_model());
        let model = Model::find(protocol, name).ok_or_else(|| {
            let known: Vec<_> = protocol.models().map(|model| model.name).collect();
            format!("--model {name}: {} has {}", self.protocol, known.join(", "))
        })?;
        let lowest = [*protocol.ids().start()];
        let ids = if self.ids.is_empty() { &lowest[..] } else { &self.ids };
        if !self.feedback_ids.is_empty() && self.feedback_ids.len() != ids.len() {
            return Err("--feedback-id: say it for every --id, or for none".to_owned());
        }
        let mut motors = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let allowed = protocol.ids();
            if !allowed.contains(id) {
                let (low, high) = (allowed.start(), allowed.end());
                return Err(format!("--id {id}: {} takes {low} to {high}", self.protocol));
            }
            if ids.iter().take(index).any(|other| other == id) {
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
    let names: Vec<_> = actuators
        .motors
        .iter()
        .map(|motor| format!("{} with id {}", motor.model.name, motor.id))
        .collect();
    let interrupted = until_interrupted();
    let emulator = match Emulator::spawn(EmulatorConfig { actuators, transport }) {
        Ok(emulator) => emulator,
        Err(error) => return fail(&error, 10, Format::Text),
    };
    say!("ready: {}", emulator.port());
    say!(
        "emulated {} behind an SLCAN adapter: {}; Ctrl-C ends it",
        arguments.protocol,
        names.join(", ")
    );
    serve(&interrupted, || emulator.port(), || Ok(()));
    0
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn motors(line: &str) -> Result<Vec<(&'static str, u16)>, String> {
        let words = std::iter::once("emulate").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let motors = line.arguments.actuators()?.motors;
        Ok(motors.iter().map(|motor| (motor.model.name, motor.id)).collect())
    }

    #[test]
    fn a_protocol_is_enough_and_more_may_be_said() {
        for (line, expected) in [
            ("--protocol mit --link /tmp/can", vec![("ak80-9", 1)]),
            ("--protocol damiao --link /tmp/can", vec![("4310", 1)]),
            ("--protocol robstride --tcp 127.0.0.1:3333", vec![("cybergear", 1)]),
            ("--protocol odrive --tcp 127.0.0.1", vec![("d6374", 0)]),
            ("--protocol damiao --model 8009 --id 2 --id 3", vec![("8009", 2), ("8009", 3)]),
        ] {
            assert_eq!(motors(line), Ok(expected), "{line}");
        }
        assert!(motors("--protocol damiao --model ak80-9").unwrap_err().contains("4310"));
        assert!(motors("--protocol damiao --id 16").unwrap_err().contains("1 to 15"));
        assert!(motors("--link /tmp/can").unwrap_err().contains("--protocol"));
    }
}
