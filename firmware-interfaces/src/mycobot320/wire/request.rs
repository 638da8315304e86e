//! Requests: what a client sends to the arm.

use super::field::messages;
use super::{Frame, ParseError};

messages! {
    /// A request. Angles are in 0.01°, lengths in 0.1 mm, joint limits in 0.1°, encoders in counts
    /// (2048 at zero), speeds in percent (1 to 100); poses are x, y, z, rx, ry, rz. Joints and axes
    /// count from 1. An `Option` is a byte that some firmware or clients leave out.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Request {
        /// Version of the main controller.
        0x02 GetSystemVersion {},
        /// Error of the last motion, see [`Answer::ErrorInformation`](super::Answer).
        0x07 GetErrorInformation {},
        /// Clears that error.
        0x08 ClearError {},
        /// Version of the Atom at the flange.
        0x09 GetAtomVersion {},
        /// Powers the servos.
        0x10 PowerOn {},
        /// Cuts the servos' power.
        0x11 PowerOff {},
        /// Whether the servos are powered.
        0x12 IsPowerOn {},
        /// Removes the torque of all servos; `undamped` 1 without damping.
        0x13 ReleaseAllServos { undamped: Option<u8> },
        /// Whether the Atom answers.
        0x14 IsControllerConnected {},
        /// Error codes of the six joints and the end.
        0x15 ReadNextError {},
        /// 1: the latest motion replaces earlier ones; 0: motions queue.
        0x16 SetFreshMode { mode: u8 },
        /// The fresh mode.
        0x17 GetFreshMode {},
        /// Self-test bits of each joint; the real firmware may take over a minute.
        0x19 GetRobotStatus {},
        /// Free movement by the button at the flange.
        0x1A SetFreeMode { mode: u8 },
        /// The free mode.
        0x1B IsFreeMode {},
        /// Avoids flipped postures in camera tracking.
        0x1D SetVisionMode { mode: u8 },
        /// Measured angles.
        0x20 GetAngles {},
        /// Moves one joint.
        0x21 SendAngle { joint: u8, angle: i16, speed: u8 },
        /// Moves all joints.
        0x22 SendAngles { angles: [i16; 6], speed: u8 },
        /// Measured pose, or the pose that `angles` would give.
        0x23 GetCoords { angles: Option<[i16; 6]> },
        /// Moves along one axis to a coordinate: 0.1 mm for axes 1 to 3, 0.01° for 4 to 6.
        0x24 SendCoord { axis: u8, value: i16, speed: u8 },
        /// Moves to a pose; `mode` 1 on a straight line.
        0x25 SendCoords { coords: [i16; 6], speed: u8, mode: Option<u8> },
        /// Halts the motion, to be resumed.
        0x26 Pause {},
        /// Whether a motion is paused.
        0x27 IsPaused {},
        /// Resumes a paused motion.
        0x28 Resume {},
        /// Stops and forgets the motion.
        0x29 Stop {},
        /// Whether the arm is at `target`: angles (`kind` 0) or a pose (1).
        0x2A IsInPosition { target: [i16; 6], kind: u8 },
        /// Whether the arm moves.
        0x2B IsMoving {},
        /// Turns a joint until stopped; `direction` 1 forward, 0 back.
        0x30 JogAngle { joint: u8, direction: u8, speed: u8 },
        /// Turns the end about a base axis (1 to 3) until stopped.
        0x31 JogRotation { axis: u8, direction: u8, speed: u8 },
        /// Moves the end along or about an axis (1 to 6) until stopped.
        0x32 JogCoord { axis: u8, direction: u8, speed: u8 },
        /// Turns a joint by an increment.
        0x33 JogIncrementAngle { joint: u8, increment: i16, speed: u8 },
        /// Moves the end by an increment along or about an axis.
        0x34 JogIncrementCoord { axis: u8, increment: i16, speed: u8 },
        /// Old form of ending a jog.
        0x34 JogStop {},
        /// Moves one joint (7: gripper) to an encoder count. Old firmware takes no speed.
        0x3A SetEncoder { joint: u8, encoder: u16, speed: Option<u8> },
        /// One joint's (7: gripper's) encoder count.
        0x3B GetEncoder { joint: u8 },
        /// Moves all joints to encoder counts.
        0x3C SetEncoders { encoders: [u16; 6], speed: u8 },
        /// All encoder counts.
        0x3D GetEncoders {},
        /// Moves all joints to encoder counts, each at its own speed in counts per second.
        0x3E SetEncodersDrag { encoders: [u16; 6], speeds: [u16; 6] },
        /// A joint's lower limit.
        0x4A GetJointMinimum { joint: u8 },
        /// A joint's upper limit.
        0x4B GetJointMaximum { joint: u8 },
        /// Sets a joint's lower limit.
        0x4C SetJointMinimum { joint: u8, limit: i16 },
        /// Sets a joint's upper limit.
        0x4D SetJointMaximum { joint: u8, limit: i16 },
        /// Whether a servo has torque.
        0x50 IsServoEnabled { joint: u8 },
        /// Whether all servos have torque.
        0x51 AreAllServosEnabled {},
        /// Writes one byte of a servo's memory.
        0x52 SetServoData { servo: u8, address: u8, value: u8 },
        /// Writes two bytes of a servo's memory (`mode` 1).
        0x52 SetServoDataWide { servo: u8, address: u8, value: i16, mode: u8 },
        /// Reads a servo's memory: one byte, or two with `mode` 1.
        0x53 GetServoData { servo: u8, address: u8, mode: Option<u8> },
        /// Makes a joint's present angle its zero.
        0x54 SetServoCalibration { joint: u8 },
        /// Brakes a joint.
        0x55 JointBrake { joint: u8 },
        /// Removes a joint's torque; `undamped` 1 without damping.
        0x56 ReleaseServo { joint: u8, undamped: Option<u8> },
        /// Gives a joint (0: all) its torque back.
        0x57 FocusServo { joint: u8 },
        /// Direction of a pin at the flange.
        0x60 SetPinMode { pin: u8, mode: u8 },
        /// Level of an output at the flange.
        0x61 SetDigitalOutput { pin: u8, level: u8 },
        /// Level of an input at the flange.
        0x62 GetDigitalInput { pin: u8 },
        /// Gripper opening, 0 to 100. Other arms send the gripper's kind along.
        0x65 GetGripperValue { kind: Option<u8> },
        /// 0 opens, 1 closes, 10 or 254 releases; `kind` 1 adaptive, 3 parallel, 4 flexible.
        0x66 SetGripperState { flag: u8, speed: u8, kind: Option<u8> },
        /// Opens the gripper to 0 to 100; `kind` as in `SetGripperState`.
        0x67 SetGripperValue { value: u8, speed: u8, kind: Option<u8> },
        /// Makes the gripper's present opening its zero.
        0x68 SetGripperCalibration {},
        /// Whether the gripper moves.
        0x69 IsGripperMoving {},
        /// Colour of the light at the flange.
        0x6A SetColor { red: u8, green: u8, blue: u8 },
        /// Electric gripper: 0 opens, 1 closes.
        0x6B SetElectricGripper { closed: u8 },
        /// Prepares the electric gripper.
        0x6C InitElectricGripper {},
        /// 0: gripper commands pass through; 1: by the port.
        0x6D SetGripperMode { mode: u8 },
        /// The gripper mode.
        0x6E GetGripperMode {},
        /// Tool frame seen from the flange.
        0x81 SetToolReference { coords: [i16; 6] },
        /// That frame.
        0x82 GetToolReference {},
        /// World frame seen from the base.
        0x83 SetWorldReference { coords: [i16; 6] },
        /// That frame.
        0x84 GetWorldReference {},
        /// Frame of Cartesian jogs: 0 base, 1 tool.
        0x85 SetReferenceFrame { frame: u8 },
        /// That choice.
        0x86 GetReferenceFrame {},
        /// 0 joint moves, 1 linear moves.
        0x87 SetMovementType { kind: u8 },
        /// That choice.
        0x88 GetMovementType {},
        /// Whose pose counts: 0 flange, 1 tool.
        0x89 SetEndType { end: u8 },
        /// That choice.
        0x8A GetEndType {},
        /// Angles for a pose, searched from `angles`.
        0x8D SolveInverseKinematics { coords: [i16; 6], angles: [i16; 6] },
        /// Level of an output at the base.
        0xA0 SetBasicOutput { pin: u8, level: u8 },
        /// Level of an input at the base.
        0xA1 GetBasicInput { pin: u8 },
        /// Announces Wi-Fi credentials, which follow as ASCII without a frame.
        0xB0 SetWifi {},
        /// Asks for the Wi-Fi credentials; the answer is ASCII without a frame.
        0xB1 GetWifi {},
        /// TCP port of the arm's own server.
        0xB2 SetServerPort { port: u16 },
        /// Distance sensor, if fitted.
        0xC0 GetTofDistance {},
        /// Version of the base board.
        0xC1 GetBasicVersion {},
        /// Angles and pose at once.
        0xD5 GetAnglesCoords {},
        /// How often the controller has started.
        0xD8 GetRebootCount {},
        /// Servo speeds in counts per second.
        0xE1 GetServoSpeeds {},
        /// Servo currents in mA.
        0xE2 GetServoCurrents {},
        /// Servo voltages in 0.1 V.
        0xE3 GetServoVoltages {},
        /// Servo status bits.
        0xE4 GetServoStatus {},
        /// Servo temperatures in °C.
        0xE5 GetServoTemperatures {},
        /// A servo's gains before their last change.
        0xE6 GetServoLastPdi { servo: u8 },
        /// Compensates for play: 1 on, 0 off.
        0xE7 SetVoidCompensation { mode: u8 },
        /// Writes a register of the force-controlled gripper.
        0xE8 SetProGripper { id: u8, address: i16, value: i16 },
        /// Reads a register of the force-controlled gripper.
        0xE9 GetProGripper { id: u8, address: i16 },
        /// Planned angles.
        0xF6 GetAnglesPlan {},
        /// Planned pose.
        0xF7 GetCoordsPlan {},
    }
}

impl Request {
    /// Reads a frame as a request.
    ///
    /// # Errors
    /// [`ParseError`] for an unknown command or a payload of the wrong length.
    pub fn parse(frame: &Frame) -> Result<Self, ParseError> {
        Self::parse_table(frame.command(), frame.payload())
    }

    /// True for requests that change something and are answered with one byte, or by old firmware
    /// not at all.
    pub const fn is_setter(&self) -> bool {
        is_setter(self.command())
    }
}

/// See [`Request::is_setter`].
pub(super) const fn is_setter(command: u8) -> bool {
    matches!(
        command,
        0x08 | 0x10
            | 0x11
            | 0x13
            | 0x16
            | 0x1A
            | 0x1D
            | 0x21
            | 0x22
            | 0x24
            | 0x25
            | 0x26
            | 0x28
            | 0x29
            | 0x30..=0x34
            | 0x3A
            | 0x3C
            | 0x3E
            | 0x4C
            | 0x4D
            | 0x52
            | 0x54..=0x57
            | 0x60
            | 0x61
            | 0x66..=0x68
            | 0x6A..=0x6D
            | 0x81
            | 0x83
            | 0x85
            | 0x87
            | 0x89
            | 0xA0
            | 0xB0
            | 0xB2
            | 0xE7
            | 0xE8
    )
}
