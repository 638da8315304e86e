//! Replies: what the arm answers.

use super::field::messages;
use super::{Frame, ParseError, request};

messages! {
    /// What the arm measures or stores. Units are those of [`Request`](super::Request).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Answer {
        /// Version times 10.
        0x02 SystemVersion { tenths: u8 },
        /// 0 none; 1 to 6 joint over its limit; 16 to 19 collision protection; 32 no inverse
        /// kinematics solution; 33, 34 no solution next to the present posture.
        0x07 ErrorInformation { code: u8 },
        /// The same with a leading byte.
        0x07 ErrorInformationLong { first: u8, code: u8 },
        /// Version times 10.
        0x09 AtomVersion { tenths: u8 },
        /// 1 powered, 0 not.
        0x12 PoweredOn { on: u8 },
        /// 1 connected, 0 not.
        0x14 ControllerConnected { connected: u8 },
        /// Codes of joints 1 to 6 and the end: 0 none, 16 to 22 link lost, 23 to 28 unstable,
        /// 32 to 111 servo fault.
        0x15 NextError { codes: [u8; 7] },
        /// 1 latest wins, 0 queue.
        0x17 FreshMode { mode: u8 },
        /// Bits per joint.
        0x19 RobotStatus { joints: [u16; 6] },
        /// 1 free, 0 not.
        0x1B FreeMode { mode: u8 },
        /// Measured angles.
        0x20 Angles { angles: [i16; 6] },
        /// A pose.
        0x23 Coords { coords: [i16; 6] },
        /// 1 paused, 0 not.
        0x27 Paused { paused: u8 },
        /// 1 there, 0 not.
        0x2A InPosition { there: u8 },
        /// 1 moving, 0 not.
        0x2B Moving { moving: u8 },
        /// One encoder.
        0x3B Encoder { encoder: u16 },
        /// All encoders.
        0x3D Encoders { encoders: [u16; 6] },
        /// A lower limit.
        0x4A JointMinimum { limit: i16 },
        /// The same with the joint.
        0x4A JointMinimumLong { joint: u8, limit: i16 },
        /// An upper limit.
        0x4B JointMaximum { limit: i16 },
        /// The same with the joint.
        0x4B JointMaximumLong { joint: u8, limit: i16 },
        /// 1 torque, 0 none.
        0x50 ServoEnabled { joint: u8, enabled: u8 },
        /// 1 all have torque, 0 not all.
        0x51 AllServosEnabled { enabled: u8 },
        /// One byte of a servo's memory.
        0x53 ServoData { value: u8 },
        /// Two bytes of a servo's memory.
        0x53 ServoDataWide { value: i16 },
        /// Level of an input at the flange.
        0x62 DigitalInput { pin: u8, level: u8 },
        /// 0 to 100, or 255 for a failed read.
        0x65 GripperValue { value: u8 },
        /// 1 moving, 0 not.
        0x69 GripperMoving { moving: u8 },
        /// 0 transparent, 1 port.
        0x6E GripperMode { mode: u8 },
        /// Tool frame.
        0x82 ToolReference { coords: [i16; 6] },
        /// World frame.
        0x84 WorldReference { coords: [i16; 6] },
        /// 0 base, 1 tool.
        0x86 ReferenceFrame { frame: u8 },
        /// 0 joint, 1 linear.
        0x88 MovementType { kind: u8 },
        /// 0 flange, 1 tool.
        0x8A EndType { end: u8 },
        /// Angles, or [`NO_SOLUTION`](super::NO_SOLUTION) six times.
        0x8D InverseKinematics { angles: [i16; 6] },
        /// Level of an input at the base.
        0xA1 BasicInput { pin: u8, level: u8 },
        /// Distance in mm.
        0xC0 TofDistance { millimetres: i16 },
        /// Version times 10.
        0xC1 BasicVersion { tenths: u8 },
        /// Angles and pose.
        0xD5 AnglesCoords { angles: [i16; 6], coords: [i16; 6] },
        /// Starts of the controller.
        0xD8 RebootCount { count: u16 },
        /// Counts per second.
        0xE1 ServoSpeeds { speeds: [i16; 6] },
        /// mA.
        0xE2 ServoCurrents { currents: [i16; 6] },
        /// 0.1 V.
        0xE3 ServoVoltages { voltages: [u8; 6] },
        /// Bits: 0 voltage, 1 magnetic encoder, 2 temperature, 3 current, 5 overload.
        0xE4 ServoStatus { joints: [u8; 6] },
        /// °C.
        0xE5 ServoTemperatures { temperatures: [u8; 6] },
        /// Gains P, D, I.
        0xE6 ServoLastPdi { gains: [u8; 3] },
        /// An acknowledgement that repeats the write. Seen from other emulators; the vendor's
        /// client cannot read it.
        0xE8 ProGripperEcho { id: u8, address: i16, value: i16 },
        /// A register of the force-controlled gripper; -1 when it was not ready.
        0xE9 ProGripper { id: u8, address: i16, value: i16 },
        /// Planned angles.
        0xF6 AnglesPlan { angles: [i16; 6] },
        /// Planned pose.
        0xF7 CoordsPlan { coords: [i16; 6] },
    }
}

/// A reply: an acknowledgement of a setter or an answer to a getter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A setter was received; `result` is 1 if it was accepted.
    Acknowledged {
        /// The setter's command byte.
        command: u8,
        /// 1 accepted, 0 refused.
        result: u8,
    },
    /// A getter's answer.
    Answer(Answer),
}

impl Reply {
    /// Reads a frame as a reply.
    ///
    /// # Errors
    /// [`ParseError`] for a command that has no reply or a payload of the wrong length.
    pub fn parse(frame: &Frame) -> Result<Self, ParseError> {
        let command = frame.command();
        match frame.payload() {
            [result] if request::is_setter(command) => {
                Ok(Self::Acknowledged { command, result: *result })
            }
            payload => match Answer::parse_table(command, payload) {
                Err(ParseError::UnknownCommand { .. }) if request::is_setter(command) => {
                    Err(ParseError::Length { command, length: payload.len() })
                }
                other => other.map(Self::Answer),
            },
        }
    }

    /// The reply as a frame.
    pub fn encode(&self) -> Frame {
        match self {
            Self::Acknowledged { command, result } => {
                let mut frame = Frame::empty(*command);
                frame.append(*result);
                frame
            }
            Self::Answer(answer) => answer.encode(),
        }
    }

    /// The command byte of the request that this answers.
    pub const fn command(&self) -> u8 {
        match self {
            Self::Acknowledged { command, .. } => *command,
            Self::Answer(answer) => answer.command(),
        }
    }
}
