//! ODrive's CANSimple: a standard identifier of 6 bits node and 5 bits command, little-endian data,
//! positions in turns.
//!
//! Source: `docs/figures/can-protocol.csv` of odriverobotics/ODrive, and for temperatures and torques,
//! which firmware 0.6 added, ODrive's documentation. Getters are asked with remote frames.

use crate::can::{Frame, Id, MAX_DATA};

/// Largest node number; 63 is the one of a node that has none yet.
pub const MAX_NODE: u8 = 62;
/// Units of velocity and torque feed-forward in [`Message::InputPosition`].
pub const FEED_FORWARD_UNIT: f64 = 0.001;

/// Commands, as in the published table.
pub mod command {
    /// Axis error, state and flags; sent by itself.
    pub const HEARTBEAT: u8 = 0x01;
    /// Stop at once with an error.
    pub const ESTOP: u8 = 0x02;
    /// Ask for a state.
    pub const AXIS_STATE: u8 = 0x07;
    /// Position and velocity.
    pub const ENCODER: u8 = 0x09;
    /// Control and input mode.
    pub const CONTROLLER_MODE: u8 = 0x0B;
    /// Position with feed-forward.
    pub const INPUT_POSITION: u8 = 0x0C;
    /// Velocity with feed-forward.
    pub const INPUT_VELOCITY: u8 = 0x0D;
    /// Torque.
    pub const INPUT_TORQUE: u8 = 0x0E;
    /// Velocity and current limits.
    pub const LIMITS: u8 = 0x0F;
    /// Currents.
    pub const IQ: u8 = 0x14;
    /// Temperatures (firmware 0.6; sensorless estimates before).
    pub const TEMPERATURE: u8 = 0x15;
    /// Supply voltage and current (voltage alone before firmware 0.6).
    pub const SUPPLY: u8 = 0x17;
    /// Forget errors.
    pub const CLEAR_ERRORS: u8 = 0x18;
    /// Gain of the position loop.
    pub const POSITION_GAIN: u8 = 0x1A;
    /// Gains of the velocity loop.
    pub const VELOCITY_GAINS: u8 = 0x1B;
}

/// State of an axis without torque.
pub const IDLE: u32 = 1;
/// State of an axis that takes commands.
pub const CLOSED_LOOP: u32 = 8;
/// Control mode of torques.
pub const TORQUE_CONTROL: u32 = 1;
/// Control mode of velocities.
pub const VELOCITY_CONTROL: u32 = 2;
/// Control mode of positions.
pub const POSITION_CONTROL: u32 = 3;
/// Input mode that takes setpoints as they come.
pub const PASSTHROUGH: u32 = 1;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message {
    /// Sent by the axis every 100 ms.
    Heartbeat {
        /// Error bits; 0 is none.
        error: u32,
        /// State of the axis.
        state: u8,
        /// Flags of motor, encoder, controller; trajectory done.
        flags: [u8; 3],
    },
    /// Stop at once.
    Estop,
    /// Ask for a state.
    AxisState(u32),
    /// In turns and turns/s.
    Encoder {
        /// Turns.
        position: f32,
        /// Turns/s.
        velocity: f32,
    },
    /// Choose the mode.
    ControllerMode {
        /// 1 torque, 2 velocity, 3 position.
        control: u32,
        /// 1 pass-through.
        input: u32,
    },
    /// Position in turns, with feed-forward in units of [`FEED_FORWARD_UNIT`].
    InputPosition {
        /// Turns.
        position: f32,
        /// 0.001 turns/s.
        velocity: i16,
        /// 0.001 N·m.
        torque: i16,
    },
    /// Velocity in turns/s, with torque in N·m.
    InputVelocity {
        /// Turns/s.
        velocity: f32,
        /// N·m.
        torque: f32,
    },
    /// Torque in N·m.
    InputTorque(f32),
    /// Limits.
    Limits {
        /// Turns/s.
        velocity: f32,
        /// A.
        current: f32,
    },
    /// Currents in A.
    Iq {
        /// Wanted.
        setpoint: f32,
        /// Measured.
        measured: f32,
    },
    /// In °C.
    Temperature {
        /// Power stage.
        driver: f32,
        /// Motor.
        motor: f32,
    },
    /// Supply.
    Supply {
        /// V.
        voltage: f32,
        /// A; 0 where the firmware does not say it.
        current: f32,
    },
    /// Forget errors.
    ClearErrors,
    /// (turns/s)/turn.
    PositionGain(f32),
    /// Velocity loop.
    VelocityGains {
        /// N·m/(turn/s).
        proportional: f32,
        /// N·m/(turn/s)/s.
        integral: f32,
    },
}

/// Node and command of an identifier; `None` for an extended one.
pub fn address(id: Id) -> Option<(u8, u8)> {
    match id {
        Id::Standard(id) => Some(((id >> 5) as u8, id as u8 & 0x1F)),
        Id::Extended(_) => None,
    }
}

const fn identifier(node: u8, command: u8) -> u16 {
    (node as u16) << 5 | command as u16
}

/// A remote frame that asks `node` for the answer to `command`.
pub fn ask(node: u8, command: u8) -> Option<Frame> {
    Frame::remote(Id::Standard(identifier(node, command)), MAX_DATA as u8)
}

impl Message {
    /// Its command number.
    pub const fn command(&self) -> u8 {
        match self {
            Self::Heartbeat { .. } => command::HEARTBEAT,
            Self::Estop => command::ESTOP,
            Self::AxisState(_) => command::AXIS_STATE,
            Self::Encoder { .. } => command::ENCODER,
            Self::ControllerMode { .. } => command::CONTROLLER_MODE,
            Self::InputPosition { .. } => command::INPUT_POSITION,
            Self::InputVelocity { .. } => command::INPUT_VELOCITY,
            Self::InputTorque(_) => command::INPUT_TORQUE,
            Self::Limits { .. } => command::LIMITS,
            Self::Iq { .. } => command::IQ,
            Self::Temperature { .. } => command::TEMPERATURE,
            Self::Supply { .. } => command::SUPPLY,
            Self::ClearErrors => command::CLEAR_ERRORS,
            Self::PositionGain(_) => command::POSITION_GAIN,
            Self::VelocityGains { .. } => command::VELOCITY_GAINS,
        }
    }

    /// As a frame of or for `node`.
    pub fn encode(&self, node: u8) -> Frame {
        let two = |first: [u8; 4], second: [u8; 4]| {
            let [a, b, c, d] = first;
            let [e, f, g, h] = second;
            ([a, b, c, d, e, f, g, h], 8)
        };
        let one = |value: [u8; 4]| (two(value, [0; 4]).0, 4);
        let (bytes, length) = match *self {
            Self::Heartbeat { error, state, flags: [f, g, h] } => {
                two(error.to_le_bytes(), [state, f, g, h])
            }
            Self::Estop | Self::ClearErrors => ([0; MAX_DATA], 0),
            Self::AxisState(state) => one(state.to_le_bytes()),
            Self::ControllerMode { control, input } => {
                two(control.to_le_bytes(), input.to_le_bytes())
            }
            Self::InputPosition { position, velocity, torque } => {
                let [e, f] = velocity.to_le_bytes();
                let [g, h] = torque.to_le_bytes();
                two(position.to_le_bytes(), [e, f, g, h])
            }
            Self::InputTorque(value) | Self::PositionGain(value) => one(value.to_le_bytes()),
            Self::Encoder { position: first, velocity: second }
            | Self::InputVelocity { velocity: first, torque: second }
            | Self::Limits { velocity: first, current: second }
            | Self::Iq { setpoint: first, measured: second }
            | Self::Temperature { driver: first, motor: second }
            | Self::Supply { voltage: first, current: second }
            | Self::VelocityGains { proportional: first, integral: second } => {
                two(first.to_le_bytes(), second.to_le_bytes())
            }
        };
        Frame::standard(identifier(node, self.command()), bytes).shortened(length)
    }

    /// From a data frame: the node and the message. `None` for remote frames, for commands that are
    /// not used here, for data that is too short, and for numbers that are not finite.
    pub fn parse(frame: &Frame) -> Option<(u8, Self)> {
        let (node, command) = address(frame.id())?;
        if frame.is_remote() {
            return None;
        }
        let bytes = frame.data();
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok();
        let whole = |at| word(at).map(u32::from_le_bytes);
        let real = |at| word(at).map(f32::from_le_bytes).filter(|value| value.is_finite());
        let short = |at: usize| Some(i16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let message = match command {
            command::HEARTBEAT => {
                let flags = |at| bytes.get(at).copied().unwrap_or_default();
                Self::Heartbeat {
                    error: whole(0)?,
                    state: *bytes.get(4)?,
                    flags: [flags(5), flags(6), flags(7)],
                }
            }
            command::ESTOP => Self::Estop,
            command::AXIS_STATE => Self::AxisState(whole(0)?),
            command::ENCODER => Self::Encoder { position: real(0)?, velocity: real(4)? },
            command::CONTROLLER_MODE => {
                Self::ControllerMode { control: whole(0)?, input: whole(4)? }
            }
            command::INPUT_POSITION => {
                Self::InputPosition { position: real(0)?, velocity: short(4)?, torque: short(6)? }
            }
            command::INPUT_VELOCITY => Self::InputVelocity { velocity: real(0)?, torque: real(4)? },
            command::INPUT_TORQUE => Self::InputTorque(real(0)?),
            command::LIMITS => Self::Limits { velocity: real(0)?, current: real(4)? },
            command::IQ => Self::Iq { setpoint: real(0)?, measured: real(4)? },
            command::TEMPERATURE => Self::Temperature { driver: real(0)?, motor: real(4)? },
            command::SUPPLY => {
                Self::Supply { voltage: real(0)?, current: real(4).unwrap_or_default() }
            }
            command::CLEAR_ERRORS => Self::ClearErrors,
            command::POSITION_GAIN => Self::PositionGain(real(0)?),
            command::VELOCITY_GAINS => {
                Self::VelocityGains { proportional: real(0)?, integral: real(4)? }
            }
            _ => return None,
        };
        Some((node, message))
    }
}
