//! One actuator's protocol, as the session needs it: what to send, and what an answer says.
//!
//! Positions, velocities and torques are the actuator's own here.

use std::f64::consts::TAU;
use std::time::Duration;

use super::super::config::{Config, JointConfig};
use super::super::models::Protocol;
use super::super::wire::damiao::{self, Access, Register, RegisterReply, Status};
use super::super::wire::mit::{self, Control};
use super::super::wire::robstride::{self, parameter};
use super::super::wire::{OutOfSpan, odrive};
use crate::can::{Frame, Id};

/// Most frames that one turn takes.
const MOST_FRAMES: usize = 4;
/// Frames of one turn, in order.
pub(super) type Frames = [Option<Frame>; MOST_FRAMES];

/// What an actuator is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// Go there with its own PD law, in rad.
    Position(f64),
    /// Give this torque and nothing else, in N·m.
    Torque(f64),
}

/// What an answer says; `None` for what it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) position: Option<f64>,
    pub(super) velocity: Option<f64>,
    pub(super) torque: Option<f64>,
    /// In °C.
    pub(super) temperature: Option<f64>,
    pub(super) rotor_temperature: Option<f64>,
    /// In V.
    pub(super) supply: Option<f64>,
    /// Whether it has torque.
    pub(super) enabled: Option<bool>,
    pub(super) fault: Option<&'static str>,
    /// A register with its value.
    pub(super) register: Option<(u8, [u8; 4])>,
}

/// Whose frame it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Parsed {
    NotMine,
    /// This actuator's, and nothing that can be used.
    Unusable,
    Reading(Reading),
}

/// What must come before the next step of switching on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Check {
    /// Nothing: the frame is not answered.
    None,
    /// Any answer with a position.
    State,
    /// An answer that says it has torque; for actuators that do not say, any.
    Enabled,
    /// The echo of a register that was written.
    Written(u8),
    /// A register with this value.
    Equals(Register, f64),
}

/// The actuator.
#[derive(Clone, Debug)]
pub(super) struct Device {
    config: JointConfig,
    host: u8,
    watchdog: Duration,
    /// ODrive's mode as it was set last.
    mode: Option<u32>,
    /// Which of the slow quantities is asked next.
    slow: u8,
}

impl Device {
    pub(super) fn new(config: &JointConfig, bus: &Config) -> Self {
        Self {
            config: config.clone(),
            host: bus.host_id,
            watchdog: bus.watchdog,
            mode: None,
            slow: 0,
        }
    }

    /// It may have forgotten what it was told.
    pub(super) const fn reset(&mut self) {
        self.mode = None;
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.config.model.protocol
    }

    /// The step of switching on; `None` past the last. `measured` is where the actuator stands. The
    /// last one is the first that gives torque.
    pub(super) fn switch_on(&self, step: usize, measured: f64) -> Option<(Frame, Check)> {
        let id = self.config.id;
        let ranges = &self.config.model.ranges;
        let register = |register: Register| Access::Read { number: register.number() }.encode(id);
        let write = |register: Register, value: u32| {
            let access = Access::Write { number: register.number(), value: value.to_le_bytes() };
            (access.encode(id), Check::Written(register.number()))
        };
        let says = |name, value| Some((register(name), Check::Equals(name, value)));
        match self.protocol() {
            Protocol::Mit => match step {
                0 => Some((Frame::standard(id, mit::ENABLE), Check::Enabled)),
                _ => None,
            },
            Protocol::Damiao => match step {
                0 => Some((Access::Refresh.encode(id), Check::State)),
                1 => says(Register::PositionRange, ranges.position.high),
                2 => says(Register::VelocityRange, ranges.velocity.high),
                3 => says(Register::TorqueRange, ranges.torque.high),
                4 => Some(write(Register::ControlMode, damiao::MODE_MIT)),
                5 => says(Register::ControlMode, damiao::MODE_MIT.into()),
                6 => Some(write(Register::Timeout, self.timeout_units())),
                7 => says(Register::Timeout, self.timeout_units().into()),
                8 => Some((Frame::standard(id, mit::ENABLE), Check::Enabled)),
                _ => None,
            },
            Protocol::Robstride => {
                let mit_mode =
                    robstride::Request::Write { index: parameter::RUN_MODE, value: [0; 4] };
                match step {
                    0 => Some((self.robstride(mit_mode), Check::State)),
                    1 => Some((self.robstride(robstride::Request::Enable), Check::Enabled)),
                    _ => None,
                }
            }
            Protocol::Odrive => {
                let send = |message: odrive::Message| Some((message.encode(id as u8), Check::None));
                let [stiffness, damping] = self.config.gains();
                match step {
                    0 => self.odrive_ask(odrive::command::ENCODER).map(|it| (it, Check::State)),
                    // torque = velocity_gain · (position_gain · (position - q) - dq), in turns.
                    1 => send(odrive::Message::VelocityGains {
                        proportional: (damping * TAU) as f32,
                        integral: 0.0,
                    }),
                    2 => send(odrive::Message::PositionGain((stiffness / damping) as f32)),
                    3 => send(POSITION_MODE),
                    4 => send(self.odrive_position(measured)),
                    5 => Some((
                        odrive::Message::AxisState(odrive::CLOSED_LOOP).encode(id as u8),
                        Check::Enabled,
                    )),
                    _ => None,
                }
            }
        }
    }

    /// True for the step of [`switch_on`](Self::switch_on) that gives torque.
    pub(super) fn is_last(&self, step: usize) -> bool {
        self.switch_on(step, 0.0).is_some() && self.switch_on(step + 1, 0.0).is_none()
    }

    /// Forgets faults, where the protocol can say that.
    pub(super) fn clear(&self) -> Option<Frame> {
        let id = self.config.id;
        match self.protocol() {
            Protocol::Mit => None,
            Protocol::Damiao => Some(Frame::standard(id, mit::CLEAR)),
            Protocol::Robstride => Some(self.robstride(robstride::Request::Stop { clear: true })),
            Protocol::Odrive => Some(odrive::Message::ClearErrors.encode(id as u8)),
        }
    }

    /// Frames of a turn with torque: the command, and the question where it is not answered.
    pub(super) fn command(&mut self, target: Target) -> Result<Frames, OutOfSpan> {
        let [stiffness, damping] = self.config.gains();
        let control = match target {
            Target::Position(position) => {
                Control { position, stiffness, damping, ..Control::default() }
            }
            Target::Torque(torque) => Control { torque, ..Control::default() },
        };
        let ranges = &self.config.model.ranges;
        match self.protocol() {
            Protocol::Mit | Protocol::Damiao => {
                let bytes = mit::Request::Control(control).encode(ranges)?;
                Ok([Some(Frame::standard(self.config.id, bytes)), None, None, None])
            }
            Protocol::Robstride => {
                let request = robstride::Request::Control(control);
                let frame = request.encode(self.config.id as u8, self.host, ranges)?;
                Ok([Some(frame), None, None, None])
            }
            Protocol::Odrive => {
                let node = self.config.id as u8;
                let (mode, switch, input) = match target {
                    Target::Position(position) => {
                        ranges.position.encode(position)?;
                        let input = self.odrive_position(position);
                        (odrive::POSITION_CONTROL, POSITION_MODE, input)
                    }
                    Target::Torque(torque) => {
                        ranges.torque.encode(torque)?;
                        let input = odrive::Message::InputTorque(torque as f32);
                        (odrive::TORQUE_CONTROL, TORQUE_MODE, input)
                    }
                };
                // The setpoint first: in the new mode the old one must not count for a moment.
                let switched = (self.mode.replace(mode) != Some(mode)).then(|| switch.encode(node));
                let [first, second] = match switched {
                    Some(switch) => [Some(input.encode(node)), Some(switch)],
                    None => [Some(input.encode(node)), None],
                };
                let encoder = self.odrive_ask(odrive::command::ENCODER);
                Ok([first, second, encoder, self.odrive_ask(odrive::command::IQ)])
            }
        }
    }

    /// Asks how it is without changing anything; `None` where the protocol has no such question.
    /// `off` says that its torque was removed by us.
    pub(super) fn ask(&self, off: bool) -> Option<Frame> {
        match self.protocol() {
            Protocol::Mit => off.then(|| self.disable()),
            Protocol::Damiao => Some(Access::Refresh.encode(self.config.id)),
            Protocol::Robstride => {
                Some(self.robstride(robstride::Request::Read { index: parameter::POSITION }))
            }
            Protocol::Odrive => self.odrive_ask(odrive::command::ENCODER),
        }
    }

    /// Asks an actuator with torque how it is without telling it where to go. The MIT family answers
    /// nothing but commands: it is told to resist motion.
    pub(super) fn inquire(&self) -> Option<Frame> {
        if self.protocol() != Protocol::Mit {
            return self.ask(false);
        }
        let [_, damping] = self.config.gains();
        let brake = mit::Request::Control(Control { damping, ..Control::default() });
        let bytes = brake.encode(&self.config.model.ranges).ok()?;
        Some(Frame::standard(self.config.id, bytes))
    }

    /// A question about something slow; `None` where answers say everything anyway.
    pub(super) fn ask_slow(&mut self) -> Option<Frame> {
        self.slow = self.slow.wrapping_add(1);
        match self.protocol() {
            Protocol::Mit | Protocol::Damiao => None,
            Protocol::Robstride => {
                Some(self.robstride(robstride::Request::Read { index: parameter::SUPPLY }))
            }
            Protocol::Odrive => {
                let temperature = self.slow.is_multiple_of(2);
                let command = if temperature {
                    odrive::command::TEMPERATURE
                } else {
                    odrive::command::SUPPLY
                };
                self.odrive_ask(command)
            }
        }
    }

    /// Removes torque.
    pub(super) fn disable(&self) -> Frame {
        let id = self.config.id;
        match self.protocol() {
            Protocol::Mit | Protocol::Damiao => Frame::standard(id, mit::DISABLE),
            Protocol::Robstride => self.robstride(robstride::Request::Stop { clear: false }),
            Protocol::Odrive => odrive::Message::AxisState(odrive::IDLE).encode(id as u8),
        }
    }

    /// Whether an answer to [`disable`](Self::disable) proves that there is no torque. MIT motors do
    /// not say whether they have any: that they answer must do. Damiao's take it off at a fault.
    pub(super) fn shows_off(&self, reading: &Reading) -> bool {
        match (reading.enabled, self.protocol()) {
            (Some(enabled), _) => !enabled,
            (None, Protocol::Mit) => reading.position.is_some(),
            (None, Protocol::Damiao) => reading.fault.is_some(),
            (None, Protocol::Robstride | Protocol::Odrive) => false,
        }
    }

    /// What a frame says, if it is this actuator's. `awaited` is the register that was asked for: a
    /// Damiao's answer about one looks like any other.
    pub(super) fn parse(&self, frame: &Frame, awaited: Option<u8>) -> Parsed {
        let ranges = &self.config.model.ranges;
        match self.protocol() {
            Protocol::Mit => {
                let owner = frame.data().first().copied().map(u16::from);
                if frame.id() != Id::Standard(self.config.feedback_id)
                    || owner != Some(self.config.id)
                {
                    return Parsed::NotMine;
                }
                let Some(feedback) = mit::Feedback::parse(frame.data(), ranges) else {
                    return Parsed::Unusable;
                };
                let fault = feedback.health.and_then(|(_, fault)| fault.words());
                let temperature = feedback.health.map(|(temperature, _)| f64::from(temperature));
                Parsed::Reading(Reading { temperature, fault, ..measured(&feedback.measured) })
            }
            Protocol::Damiao => self.parse_damiao(frame, awaited),
            Protocol::Robstride => self.parse_robstride(frame),
            Protocol::Odrive => self.parse_odrive(frame),
        }
    }

    fn parse_damiao(&self, frame: &Frame, awaited: Option<u8>) -> Parsed {
        if frame.id() != Id::Standard(self.config.feedback_id) {
            return Parsed::NotMine;
        }
        let Some(bytes) = frame.eight() else { return Parsed::Unusable };
        if let Some(reply) = RegisterReply::parse(&bytes, self.config.id)
            && awaited == Some(reply.number)
        {
            let register = Some((reply.number, reply.value));
            return Parsed::Reading(Reading { register, ..Reading::default() });
        }
        let feedback = damiao::Feedback::parse(&bytes, &self.config.model.ranges);
        if u16::from(feedback.id) != self.config.id & 0xF {
            return Parsed::NotMine;
        }
        let enabled = match feedback.status {
            Status::Enabled => Some(true),
            Status::Disabled => Some(false),
            _ => None,
        };
        Parsed::Reading(Reading {
            temperature: Some(feedback.driver_temperature.into()),
            rotor_temperature: Some(feedback.rotor_temperature.into()),
            enabled,
            fault: feedback.status.fault(),
            ..measured(&feedback.measured)
        })
    }

    fn parse_robstride(&self, frame: &Frame) -> Parsed {
        let Some(reply) = robstride::Reply::parse(frame, self.host, &self.config.model.ranges)
        else {
            return Parsed::NotMine;
        };
        let mine = |id: u8| u16::from(id) == self.config.id;
        match reply {
            robstride::Reply::Feedback(feedback) if mine(feedback.id) => Parsed::Reading(Reading {
                temperature: Some(feedback.temperature),
                enabled: Some(feedback.mode == robstride::Mode::Run),
                fault: feedback.faults.words(),
                ..measured(&feedback.measured)
            }),
            robstride::Reply::Parameter { id, index, value } if mine(id) => {
                let value = f64::from(f32::from_le_bytes(value));
                let value = value.is_finite().then_some(value);
                match index {
                    parameter::POSITION => {
                        Parsed::Reading(Reading { position: value, ..Reading::default() })
                    }
                    parameter::SUPPLY => {
                        Parsed::Reading(Reading { supply: value, ..Reading::default() })
                    }
                    _ => Parsed::Unusable,
                }
            }
            robstride::Reply::Fault { id, bits } if mine(id) => {
                let fault = (bits != 0).then_some("a fault (its fault frame came)");
                Parsed::Reading(Reading { fault, ..Reading::default() })
            }
            robstride::Reply::Id { id, .. } if mine(id) => Parsed::Unusable,
            _ => Parsed::NotMine,
        }
    }

    fn parse_odrive(&self, frame: &Frame) -> Parsed {
        if odrive::address(frame.id()).map(|(node, _)| u16::from(node)) != Some(self.config.id) {
            return Parsed::NotMine;
        }
        let Some((_, message)) = odrive::Message::parse(frame) else { return Parsed::Unusable };
        let nothing = Reading::default();
        Parsed::Reading(match message {
            odrive::Message::Heartbeat { error, state, .. } => Reading {
                enabled: Some(u32::from(state) == odrive::CLOSED_LOOP),
                fault: (error != 0).then_some("an axis error (read it with odrivetool)"),
                ..nothing
            },
            odrive::Message::Encoder { position, velocity } => Reading {
                position: Some(f64::from(position) * TAU),
                velocity: Some(f64::from(velocity) * TAU),
                ..nothing
            },
            odrive::Message::Iq { measured, .. } => {
                let torque = f64::from(measured) * self.config.model.torque_constant;
                Reading { torque: Some(torque), ..nothing }
            }
            odrive::Message::Temperature { driver, motor } => Reading {
                temperature: Some(driver.into()),
                rotor_temperature: Some(motor.into()),
                ..nothing
            },
            odrive::Message::Supply { voltage, .. } => {
                Reading { supply: Some(voltage.into()), ..nothing }
            }
            _ => return Parsed::Unusable,
        })
    }

    fn robstride(&self, request: robstride::Request) -> Frame {
        let ranges = &self.config.model.ranges;
        request
            .encode(self.config.id as u8, self.host, ranges)
            // Only control has numbers that may not fit, and that does not come this way.
            .unwrap_or_else(|_| Frame::extended(0, [0; 8]))
    }

    fn odrive_ask(&self, command: u8) -> Option<Frame> {
        odrive::ask(self.config.id as u8, command)
    }

    fn odrive_position(&self, position: f64) -> odrive::Message {
        odrive::Message::InputPosition { position: (position / TAU) as f32, velocity: 0, torque: 0 }
    }

    fn timeout_units(&self) -> u32 {
        let micros = self.watchdog.as_micros() as u64;
        u32::try_from(micros / damiao::TIMEOUT_UNIT_US).unwrap_or(u32::MAX)
    }
}

const POSITION_MODE: odrive::Message = odrive::Message::ControllerMode {
    control: odrive::POSITION_CONTROL,
    input: odrive::PASSTHROUGH,
};
const TORQUE_MODE: odrive::Message =
    odrive::Message::ControllerMode { control: odrive::TORQUE_CONTROL, input: odrive::PASSTHROUGH };

fn measured(measured: &mit::Measured) -> Reading {
    Reading {
        position: Some(measured.position),
        velocity: Some(measured.velocity),
        torque: Some(measured.torque),
        ..Reading::default()
    }
}

/// The value of a register as a number.
pub(super) fn register_value(register: Register, value: [u8; 4]) -> f64 {
    if register.is_whole() {
        u32::from_le_bytes(value).into()
    } else {
        f32::from_le_bytes(value).into()
    }
}
