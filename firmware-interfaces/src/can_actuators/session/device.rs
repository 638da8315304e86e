//! One actuator's protocol, as the session needs it: what to send, and what an [answer](answers) says.
//!
//! Positions, velocities and torques are the actuator's own here.

mod answers;

pub(super) use answers::{Parsed, Reading, register_value};

use std::f64::consts::TAU;
use std::time::Duration;

use super::super::config::{Config, JointConfig};
use super::super::models::Protocol;
use super::super::wire::damiao::{self, Access, Register};
use super::super::wire::mit::{self, Control};
use super::super::wire::robstride::{self, parameter};
use super::super::wire::{OutOfSpan, odrive};
use crate::can::Frame;

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
                    1 => send(odrive::Message::ClearErrors),
                    // torque = velocity_gain · (position_gain · (position - q) - dq), in turns.
                    2 => send(odrive::Message::VelocityGains {
                        proportional: (damping * TAU) as f32,
                        integral: 0.0,
                    }),
                    3 => send(odrive::Message::PositionGain((stiffness / damping) as f32)),
                    4 => send(POSITION_MODE),
                    // Where it stands now, for it goes there once it has torque.
                    5 => self.odrive_ask(odrive::command::ENCODER).map(|it| (it, Check::State)),
                    6 => send(self.odrive_position(measured)),
                    7 => Some((
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
