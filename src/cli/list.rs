//! `sinew list`

use clap::Args;

use super::Format;
use crate::config::RobotModel;
use crate::robots;

/// Policies and the formats they are read from.
const POLICIES: [(&str, &str); 3] = [
    (
        "act",
        "LeRobot folders, from 0.4 on (processors) and up to 0.3 (buffers); others by sinew policy convert",
    ),
    ("diffusion", "LeRobot folders, from 0.4 on (processors) and up to 0.3 (buffers)"),
    ("cnnmlp", "what sinew policy convert makes of checkpoints of the original ACT programs"),
];

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn list(arguments: &ListArguments) -> u8 {
    // Listing fails where the system offers no serial ports at all; that is an empty list.
    let ports: Vec<String> = serialport::available_ports()
        .unwrap_or_default()
        .into_iter()
        .map(|port| port.port_name)
        .collect();
    let robots: Vec<_> = RobotModel::ALL.iter().map(|model| robots::describe(*model)).collect();
    let policies = POLICIES;
    if arguments.format == Format::Json {
        let robots: Vec<_> = robots
            .iter()
            .map(|robot| {
                serde_json::json!({
                    "model": robot.model,
                    "joints": robot.joints.iter().map(|joint| &joint.name).collect::<Vec<_>>(),
                    "max_command_rate_hz": robot.max_command_rate_hz,
                })
            })
            .collect();
        say!("{}", serde_json::json!({ "ports": ports, "robots": robots, "policies": policies }));
        return 0;
    }
    say!("serial ports");
    if ports.is_empty() {
        say!("  none found; an emulator makes one: sinew emulate mycobot320");
    }
    for port in ports {
        say!("  {port}");
    }
    say!("robots");
    for robot in robots {
        if robot.joints.is_empty() {
            say!("  {:<12} the joints of its configuration", robot.model);
            continue;
        }
        let joints: Vec<&str> = robot.joints.iter().map(|joint| joint.name.as_str()).collect();
        say!(
            "  {:<12} {} joints ({}), at most {} commands a second, {}",
            robot.model,
            joints.len(),
            joints.join(", "),
            robot.max_command_rate_hz,
            match robot.on_silence {
                sinew_firmware_interfaces::OnSilence::Stops => "stops on silence",
                sinew_firmware_interfaces::OnSilence::Continues =>
                    "goes on to its target on silence",
                sinew_firmware_interfaces::OnSilence::Unknown => "behaviour on silence unknown",
            }
        );
    }
    say!("policies");
    for (kind, format) in policies {
        say!("  {kind:<12} {format}");
    }
    0
}
