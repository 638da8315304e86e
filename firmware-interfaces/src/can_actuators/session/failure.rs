//! What went wrong last, as plain data: no text is made where it happens.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use crate::can::Id;
use crate::robot::RobotError;

/// A failure of bus or actuator. Joints are indices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failure {
    /// An actuator stayed silent, so often in a row.
    NoAnswer {
        /// Which joint.
        joint: usize,
        /// Answers missed.
        tries: u32,
    },
    /// The port reported an error.
    Port(ErrorKind),
    /// The controller has left the bus because of its errors.
    BusOff,
    /// The controller hears errors and no longer reports them.
    ErrorPassive,
    /// The adapter's queue was full: frames were lost.
    Overrun,
    /// A frame of nobody who is configured.
    UnknownId(Id),
    /// An actuator reports a fault.
    Fault {
        /// Which joint.
        joint: usize,
        /// In words.
        fault: &'static str,
    },
    /// An actuator without torque that should have some.
    Disabled {
        /// Which joint.
        joint: usize,
    },
    /// A register does not have the value that the configuration says.
    Register {
        /// Which joint.
        joint: usize,
        /// The maker's name of it.
        name: &'static str,
        /// What it says.
        found: f64,
        /// What is configured.
        configured: f64,
    },
    /// A position further from the one before than the joint can have moved.
    Jump {
        /// Which joint.
        joint: usize,
        /// Position before, in rad.
        from: f64,
        /// Position now, in rad.
        to: f64,
    },
    /// A command that is not finite or outside the actuator's range; it was not sent.
    BadCommand {
        /// Which joint.
        joint: usize,
    },
}

impl Failure {
    /// The failure with the joints' names.
    pub fn named<'a>(&self, names: &'a [String]) -> Named<'a> {
        Named { failure: *self, names }
    }
}

/// A failure in words.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    failure: Failure,
    names: &'a [String],
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |joint: usize| self.names.get(joint).map_or("?", String::as_str);
        match self.failure {
            Failure::NoAnswer { joint, tries } => {
                write!(formatter, "{}: no answer, {tries} times in a row", name(joint))
            }
            Failure::Port(kind) => write!(formatter, "port: {kind}"),
            Failure::BusOff => formatter.write_str(
                "the CAN controller is bus-off: nobody acknowledges, or the wiring or bit rate is wrong",
            ),
            Failure::ErrorPassive => {
                formatter.write_str("the CAN controller is error-passive: the bus is disturbed")
            }
            Failure::Overrun => formatter.write_str("frames were lost in the CAN adapter's queue"),
            Failure::UnknownId(id) => {
                write!(formatter, "a frame with id {id} came, which belongs to no configured actuator")
            }
            Failure::Fault { joint, fault } => write!(formatter, "{} reports {fault}", name(joint)),
            Failure::Disabled { joint } => {
                write!(formatter, "{} has no torque although it was enabled", name(joint))
            }
            Failure::Register { joint, name: register, found, configured } => write!(
                formatter,
                "{}: its register {register} says {found}, the configuration {configured}",
                name(joint)
            ),
            Failure::Jump { joint, from, to } => write!(
                formatter,
                "{} reads {to:.4} rad right after {from:.4} rad, faster than it can move",
                name(joint)
            ),
            Failure::BadCommand { joint } => {
                write!(formatter, "the command for {} is not finite or out of range", name(joint))
            }
        }
    }
}

/// Why arming has failed, from the last failure.
pub(in super::super) fn arming_error(
    port: &str,
    failure: Option<Failure>,
    names: &[String],
    waited: Duration,
) -> RobotError {
    let port = port.to_owned();
    let Some(failure) = failure else {
        return RobotError::NoAnswer {
            port,
            request: "switching on",
            waited,
            remedy: "Have the actuators power, and is robot.arm_timeout_ms long enough?".to_owned(),
        };
    };
    let said = failure.named(names).to_string();
    let remedy = match failure {
        Failure::Port(_) => return RobotError::Lost { port, reason: said },
        Failure::NoAnswer { .. } => {
            "Have the actuators power, are protocol, id and feedback_id right, and the bit rate and \
             the termination (120 ohm at both ends)?"
        }
        Failure::BusOff | Failure::ErrorPassive | Failure::Overrun => {
            "Check the wiring, the termination (120 ohm at both ends) and the bit rate"
        }
        Failure::UnknownId(_) => "Give every actuator on the bus its entry, or its own id",
        Failure::Register { .. } => "Choose the model that the motor is, or set its register",
        Failure::Fault { .. } | Failure::Disabled { .. } => {
            "Find and mend the cause, switch the actuator off and on, and arm again"
        }
        Failure::Jump { .. } => "Is the encoder sound, or has the position wrapped around?",
        Failure::BadCommand { .. } => "Check the limits of the configuration",
    };
    RobotError::Device { port, fault: said, remedy: remedy.to_owned() }
}
