//! What can go wrong between the driver and the arm.

use std::fmt;

use franka::{FrankaError, MoveStatus};

use crate::franka::RobotModel;
use crate::franka::wire::{Error, Errors, RobotMode};

/// Why the arm does not move.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// It could not be reached, or hung up: what the library said.
    Network(String),
    /// It speaks another version of the protocol.
    Version {
        /// Its version.
        server: u16,
        /// Which arm was expected.
        expected: RobotModel,
    },
    /// It sent no state for a second.
    Silent,
    /// It stopped by itself.
    Reflex(Errors),
    /// It cannot move as it is.
    Mode(RobotMode),
    /// The user stop was pressed in a motion.
    UserStop,
    /// Another program ended the motion.
    Preempted,
    /// The first command is not where the arm is.
    Start {
        /// Index of the joint.
        joint: usize,
        /// Where it is told to stay, rad.
        from: f64,
        /// The command, rad.
        to: f64,
    },
    /// It refused a request.
    Refused {
        /// Which.
        request: &'static str,
        /// What the library said.
        said: String,
    },
    /// Anything else that ended a motion.
    Ended(String),
    /// The hand does not answer.
    Gripper(String),
}

impl Failure {
    /// What `error` means at `request`.
    pub(super) fn of(request: &'static str, expected: RobotModel, error: FrankaError) -> Self {
        match error {
            FrankaError::IncompatibleVersion { server_version, .. } => {
                Self::Version { server: server_version, expected }
            }
            FrankaError::Network(said) if said.contains("UDP receive: Timeout") => Self::Silent,
            FrankaError::Network(said) => Self::Network(said),
            FrankaError::Control(exception) => {
                let errors = errors(&exception.last_motion_errors);
                match exception.move_status {
                    Some(MoveStatus::EmergencyAborted) => Self::UserStop,
                    Some(MoveStatus::Preempted) => Self::Preempted,
                    _ if !errors.is_empty() => Self::Reflex(errors),
                    _ => Self::Ended(first_line(&exception.message)),
                }
            }
            FrankaError::Command(said) => Self::Refused { request, said: first_line(&said) },
            other => Self::Ended(first_line(&other.to_string())),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Network(_) => {
                "Is the address right (robot.port), the arm on, FCI activated in Desk, and no other \
                 client connected?"
            }
            Self::Version { server: 5, .. } => "It is a FER: set robot.franka.arm = \"fer\"",
            Self::Version { server: 10, .. } => "It is an FR3: set robot.franka.arm = \"fr3\"",
            Self::Version { .. } => {
                "Update the arm's system: version 5 (FER 4.2.1 and later) and version 10 (FR3 5.9 and \
                 later) are spoken here"
            }
            Self::Silent => {
                "Does a firewall keep UDP from this computer, or is the network overloaded?"
            }
            Self::Reflex(_) => {
                "Look at the arm; then recover it in Desk, or set robot.franka.recover = true for the \
                 next arming"
            }
            Self::Mode(RobotMode::UserStopped) | Self::UserStop => "Release the user stop",
            Self::Mode(RobotMode::Guiding) => "Let go of the guiding buttons",
            Self::Mode(_) => "Open the brakes in Desk",
            Self::Preempted => "Let no other program, Desk included, stop this one's motions",
            Self::Start { .. } => "Nothing has moved; begin anew where the arm is now",
            Self::Refused { .. } => "Correct the setting, or the arm's end effector in Desk",
            Self::Ended(_) => "Look at the arm, and at Desk's log",
            Self::Gripper(_) => "Is it mounted and homed, and set as end effector in Desk?",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(said) => write!(formatter, "no connection: {said}"),
            Self::Version { server, expected } => write!(
                formatter,
                "it speaks version {server} of the protocol, and robot.franka.arm expects version {}",
                expected.protocol().version()
            ),
            Self::Silent => formatter.write_str("it sent no state for a second"),
            Self::Reflex(errors) => {
                formatter.write_str("the arm stopped by itself:")?;
                for (index, error) in errors.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(formatter, "{comma} {}", error.name())?;
                }
                Ok(())
            }
            Self::Mode(mode) => write!(
                formatter,
                "the arm cannot move: {}",
                match mode {
                    RobotMode::UserStopped => "the user stop is pressed",
                    RobotMode::Guiding => "it is led by hand",
                    RobotMode::Reflex => "it stopped by itself before",
                    RobotMode::AutomaticErrorRecovery => "it recovers from an error",
                    RobotMode::Other => "its brakes are closed",
                    RobotMode::Idle | RobotMode::Move => "it is not ready",
                }
            ),
            Self::UserStop => formatter.write_str("the user stop was pressed"),
            Self::Preempted => formatter.write_str("another program ended the motion"),
            Self::Start { joint, from, to } => write!(
                formatter,
                "the first command of joint{} is {to:.3} rad, and the arm stands at {from:.3} rad",
                joint + 1
            ),
            Self::Refused { request, said } => write!(formatter, "it refused {request}: {said}"),
            Self::Ended(said) => write!(formatter, "the motion ended: {said}"),
            Self::Gripper(said) => write!(formatter, "the hand does not answer: {said}"),
        }
    }
}

/// The library's flags as ours.
pub(super) fn errors(flags: &franka::Errors) -> Errors {
    let mut errors = Errors::NONE;
    for (index, flag) in flags.0.iter().enumerate() {
        if let Some(error) = Error::at(index).filter(|_| *flag) {
            errors.insert(error);
        }
    }
    errors
}

fn first_line(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    line.trim_start_matches("libfranka: ").trim_start_matches("libfranka robot: ").to_owned()
}
