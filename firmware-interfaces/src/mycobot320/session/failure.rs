//! What went wrong last, as plain data: no text is made where it happens.

use std::fmt;
use std::io::ErrorKind;

use crate::mycobot320::wire::{ParseError, scaling};

/// A failure of link or device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A request stayed without an answer, so often in a row.
    NoAnswer {
        /// The request's name.
        request: &'static str,
        /// Times it was sent.
        tries: u32,
    },
    /// The port reported an error.
    Port(ErrorKind),
    /// A reply was framed well and not understood.
    Malformed(ParseError),
    /// A measured angle lies outside the joint's range.
    OutOfRange {
        /// Joint, from 1.
        joint: usize,
        /// Angle on the wire.
        angle: i16,
        /// Largest angle on the wire, both ways.
        most: i16,
    },
    /// A measured angle lies further from the one before than the joint can have moved.
    Jump {
        /// Joint, from 1.
        joint: usize,
        /// Angle before, on the wire.
        from: i16,
        /// Angle now, on the wire.
        to: i16,
    },
    /// A commanded angle was not finite or outside the joint's range, and was not sent.
    BadCommand {
        /// Joint, from 1; 7 is the gripper.
        joint: usize,
    },
    /// The firmware answered a setter with a refusal.
    Refused {
        /// The setter's name.
        request: &'static str,
    },
    /// After a reconnect the servos had no power.
    PowerLost,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let degrees = scaling::degrees_from_angle;
        match self {
            Self::NoAnswer { request, tries } => {
                write!(formatter, "no answer to {request} after {tries} tries")
            }
            Self::Port(kind) => write!(formatter, "port: {kind}"),
            Self::Malformed(error) => write!(formatter, "reply not understood: {error}"),
            Self::OutOfRange { joint, angle, most } => write!(
                formatter,
                "joint{joint} reads {:.2} deg, outside -{most:.2} to {most:.2} deg",
                degrees(*angle),
                most = degrees(*most)
            ),
            Self::Jump { joint, from, to } => write!(
                formatter,
                "joint{joint} reads {:.2} deg right after {:.2} deg, faster than it can move",
                degrees(*to),
                degrees(*from)
            ),
            Self::BadCommand { joint } => {
                write!(formatter, "command for joint {joint} is not finite or out of its range")
            }
            Self::Refused { request } => write!(formatter, "the arm refused {request}"),
            Self::PowerLost => {
                formatter.write_str("the arm's servos had no power after the reconnect")
            }
        }
    }
}
