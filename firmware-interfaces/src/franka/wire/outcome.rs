//! How requests end: the status byte of each answer, whose numbers differ between functions and
//! versions.

use super::{Function, Header, HeaderLayout, Protocol};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; of a motion: finished.
    Success,
    /// The motion runs: the first of the two answers to Move.
    MotionStarted,
    /// Another request ended the motion.
    Preempted,
    /// Not in this mode.
    NotPossible,
    /// The motion would begin at a singular pose.
    StartAtSingularPose,
    /// An argument outside its range; of a model: there is none.
    InvalidArgument,
    /// Only a person can end this error.
    ManualRecoveryRequired,
    /// A reflex ended it.
    ReflexAborted,
    /// The user stop ended it.
    EmergencyAborted,
    /// The commands were wrong.
    InputErrorAborted,
    /// It ended for another reason.
    Aborted,
}

impl Outcome {
    /// The status byte. An outcome that a function has no number for is "not possible" there.
    pub const fn code(self, function: Function, protocol: Protocol) -> u8 {
        let safety = matches!(protocol, Protocol::V10);
        match function {
            Function::Move => self.of_move(safety),
            Function::StopMove => match self {
                Self::Success => 0,
                Self::EmergencyAborted => 2 + safety as u8,
                Self::ReflexAborted => 3 + safety as u8,
                Self::Aborted => 4 + safety as u8,
                _ => 1,
            },
            Function::AutomaticErrorRecovery => match self {
                Self::Success => 0,
                Self::ManualRecoveryRequired => 2 + safety as u8,
                Self::ReflexAborted => 3 + safety as u8,
                Self::EmergencyAborted => 4 + safety as u8,
                Self::Aborted => 5 + safety as u8,
                _ => 1,
            },
            Function::Connect | Function::LoadModelLibrary | Function::GetRobotModel => {
                !matches!(self, Self::Success) as u8
            }
            _ => match self {
                Self::Success => 0,
                Self::InvalidArgument => 2,
                _ => 1,
            },
        }
    }

    const fn of_move(self, safety: bool) -> u8 {
        // Version 6 put two outcomes of safety functions before the others.
        let shift = if safety { 2 } else { 0 };
        match self {
            Self::Success => 0,
            Self::MotionStarted => 1,
            Self::Preempted => 2,
            Self::NotPossible | Self::ManualRecoveryRequired => 3 + shift,
            Self::StartAtSingularPose => 4 + shift,
            Self::InvalidArgument => 5 + shift,
            Self::ReflexAborted => 6 + shift,
            Self::EmergencyAborted => 7 + shift,
            Self::InputErrorAborted => 8 + shift,
            Self::Aborted => 9 + shift,
        }
    }
}

/// Appends an answer of the arm: status, then `data`.
pub fn reply(
    protocol: Protocol,
    function: Function,
    id: u32,
    outcome: Outcome,
    data: &[u8],
    out: &mut Vec<u8>,
) {
    let size = HeaderLayout::Robot.size() + 1 + data.len();
    // Functions come from requests of the same version.
    let command = function.command(protocol).unwrap_or(u32::MAX);
    let header = Header { command, id, size: u32::try_from(size).unwrap_or(u32::MAX) };
    header.encode(HeaderLayout::Robot, out);
    out.push(outcome.code(function, protocol));
    out.extend_from_slice(data);
}

/// Appends the answer to Connect: whether the versions agree, and the arm's.
pub fn connect_reply(protocol: Protocol, id: u32, agree: bool, out: &mut Vec<u8>) {
    let outcome = if agree { Outcome::Success } else { Outcome::Aborted };
    reply(protocol, Function::Connect, id, outcome, &protocol.version().to_le_bytes(), out);
}
