//! What went wrong last, as plain data.

use std::fmt;

/// What went wrong last. No text is made where it happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    NotArmed,
    OldEpoch,
    NotFinite { joint: usize },
    OutOfRange { joint: usize, position: f64 },
    Damaged,
    Disconnected,
    Lost,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotArmed => formatter.write_str("a command came while the arm was not armed"),
            Self::OldEpoch => {
                formatter.write_str("a command came that was made for another connection")
            }
            Self::NotFinite { joint } => {
                write!(formatter, "the command for joint{joint} is not a finite number")
            }
            Self::OutOfRange { joint, position } => write!(
                formatter,
                "the command for joint{joint}, {position:.4} rad, is out of the joint's range"
            ),
            Self::Damaged => formatter.write_str("a sample was damaged on the way"),
            Self::Disconnected => formatter.write_str("the link was interrupted"),
            Self::Lost => formatter.write_str("the link did not come back"),
        }
    }
}
