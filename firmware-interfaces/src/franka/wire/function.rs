//! Versions of the protocol, and which functions have which numbers in each.

use std::fmt;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Version 5: FER (Panda) with system 4.2.1 or later, libfranka 0.9.
    V5,
    /// Version 10: FR3 with system 5.9 or later, libfranka 0.18 to 0.21.
    V10,
}

impl Protocol {
    /// The number in the handshake.
    pub const fn version(self) -> u16 {
        match self {
            Self::V5 => 5,
            Self::V10 => 10,
        }
    }

    /// Bytes of a [`RobotState`](super::RobotState).
    pub const fn state_size(self) -> usize {
        match self {
            Self::V5 => 2373,
            Self::V10 => 1377,
        }
    }

    /// Bytes of a [`RobotCommand`](super::RobotCommand).
    pub const fn command_size(self) -> usize {
        match self {
            Self::V5 => 370,
            Self::V10 => 371,
        }
    }

    /// The functions, each at its number.
    pub const fn functions(self) -> &'static [Function] {
        use Function::*;
        match self {
            Self::V5 => &[
                Connect,
                Move,
                StopMove,
                GetCartesianLimit,
                SetCollisionBehavior,
                SetJointImpedance,
                SetCartesianImpedance,
                SetGuidingMode,
                SetEeToK,
                SetNeToEe,
                SetLoad,
                SetFilters,
                AutomaticErrorRecovery,
                LoadModelLibrary,
            ],
            Self::V10 => &[
                Connect,
                Move,
                StopMove,
                SetCollisionBehavior,
                SetJointImpedance,
                SetCartesianImpedance,
                SetGuidingMode,
                SetEeToK,
                SetNeToEe,
                SetLoad,
                AutomaticErrorRecovery,
                GetRobotModel,
            ],
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "version {} of the protocol", self.version())
    }
}

/// What the arm can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Handshake.
    Connect,
    /// Begin a motion.
    Move,
    /// End the motion.
    StopMove,
    /// A limit of the workspace, version 5 only.
    GetCartesianLimit,
    /// Thresholds of contacts and collisions.
    SetCollisionBehavior,
    /// Stiffness of the joints.
    SetJointImpedance,
    /// Stiffness of the end effector.
    SetCartesianImpedance,
    /// What hand guiding may move.
    SetGuidingMode,
    /// Stiffness frame in the end effector.
    SetEeToK,
    /// End effector in the nominal end effector.
    SetNeToEe,
    /// What the arm carries.
    SetLoad,
    /// Cut-off frequencies, version 5 only.
    SetFilters,
    /// End a reflex.
    AutomaticErrorRecovery,
    /// The model as a shared library, version 5 only.
    LoadModelLibrary,
    /// The model as a URDF, version 10 only.
    GetRobotModel,
}

impl Function {
    /// The function with this number.
    pub fn of(command: u32, protocol: Protocol) -> Option<Self> {
        protocol.functions().get(usize::try_from(command).ok()?).copied()
    }

    /// Its number, if `protocol` has it.
    pub fn command(self, protocol: Protocol) -> Option<u32> {
        let index = protocol.functions().iter().position(|function| *function == self)?;
        u32::try_from(index).ok()
    }

    /// Bytes behind the header of a request.
    pub const fn payload_size(self, protocol: Protocol) -> usize {
        const REAL: usize = 8;
        match self {
            Self::Connect | Self::GetCartesianLimit => 4,
            Self::Move => match protocol {
                Protocol::V5 => 8 + 6 * REAL,
                Protocol::V10 => 8 + 6 * REAL + 1 + 7 * REAL,
            },
            Self::StopMove | Self::AutomaticErrorRecovery | Self::GetRobotModel => 0,
            Self::SetCollisionBehavior => (4 * 7 + 4 * 6) * REAL,
            Self::SetJointImpedance => 7 * REAL,
            Self::SetCartesianImpedance => 6 * REAL,
            Self::SetGuidingMode => 7,
            Self::SetEeToK | Self::SetNeToEe => 16 * REAL,
            Self::SetLoad => 13 * REAL,
            Self::SetFilters => 5 * REAL,
            Self::LoadModelLibrary => 2,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "Connect",
            Self::Move => "Move",
            Self::StopMove => "StopMove",
            Self::GetCartesianLimit => "GetCartesianLimit",
            Self::SetCollisionBehavior => "SetCollisionBehavior",
            Self::SetJointImpedance => "SetJointImpedance",
            Self::SetCartesianImpedance => "SetCartesianImpedance",
            Self::SetGuidingMode => "SetGuidingMode",
            Self::SetEeToK => "SetEEToK",
            Self::SetNeToEe => "SetNEToEE",
            Self::SetLoad => "SetLoad",
            Self::SetFilters => "SetFilters",
            Self::AutomaticErrorRecovery => "AutomaticErrorRecovery",
            Self::LoadModelLibrary => "LoadModelLibrary",
            Self::GetRobotModel => "GetRobotModel",
        }
    }
}
