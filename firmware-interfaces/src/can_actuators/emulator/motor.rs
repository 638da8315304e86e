//! One emulated motor: its controller's side of the protocol, and the plant behind it.

use std::f64::consts::TAU;
use std::time::Duration;

use sinew_simulation::actuator::{ActuatorConfig, ActuatorPlant, Drive, SensorConfig};

use super::super::models::{Model, Protocol};
use super::super::wire::damiao::{self, Access, Register, RegisterReply, Status};
use super::super::wire::mit::{self, Measured, Ranges};
use super::super::wire::robstride::{self, parameter};
use super::super::wire::{Span, odrive};
use crate::Timestamp;
use crate::can::{Frame, Id};

/// Time between two heartbeats of an ODrive, and between two of its encoder messages.
const HEARTBEAT_PERIOD: Duration = Duration::from_millis(100);
const ENCODER_PERIOD: Duration = Duration::from_millis(10);
/// An ODrive's error bit for an over-temperature of its motor (`MOTOR_OVER_TEMP`, firmware 0.6).
const ODRIVE_OVER_TEMPERATURE: u32 = 0x10_0000;

/// One motor.
#[derive(Clone, Debug, PartialEq)]
pub struct MotorConfig {
    /// What it is.
    pub model: &'static Model,
    /// Identifier that it listens to.
    pub id: u16,
    /// Identifier on which it answers, where its protocol has one.
    pub feedback_id: u16,
    /// Where it stands at the start, in rad.
    pub position: f64,
}

/// A plant of the size of a model: torque and speed are the model's, inertia and friction in
/// proportion to the torque.
pub fn plant_config(model: &Model) -> ActuatorConfig {
    let torque = model.ranges.torque.high;
    ActuatorConfig {
        inertia: 0.0015 * torque,
        rotor_inertia: 0.0005 * torque,
        delay: 0.0005,
        torque_lag: 0.0005,
        stall_torque: torque,
        no_load_speed: 1.2 * model.ranges.velocity.high,
        supply: 24.0,
        supply_sag: 0.02,
        coulomb: 0.003 * torque,
        breakaway: 0.004 * torque,
        stribeck_speed: 0.2,
        viscous: 0.0005 * torque,
        backlash: 0.0003,
        transmission_stiffness: 60.0 * torque,
        transmission_damping: 0.05 * torque,
        spring_stiffness: 0.0,
        unbalance: 0.0,
        tilt: 0.0,
        ambient: 25.0,
        stall_heat: 12.0 * torque,
        heat_capacity: 20.0 * torque,
        thermal_resistance: 20.0 / torque,
        sensors: SensorConfig {
            encoder_counts: 65_536,
            encoder_noise: 0.000_05,
            ..SensorConfig::default()
        },
        ..ActuatorConfig::default()
    }
}

/// The motor in motion.
#[derive(Clone, Debug)]
pub(super) struct Motor {
    pub(super) config: MotorConfig,
    /// As its registers say; the model's at the start.
    ranges: Ranges,
    plant: ActuatorPlant,
    now: Timestamp,
    drive: Drive,
    enabled: bool,
    /// It says that it is too hot, and has no torque.
    hot: bool,
    /// It has stopped because nothing came.
    lost: bool,
    last_heard: Timestamp,
    /// What its encoder adds to the truth, in rad.
    encoder_offset: f64,
    zero: f64,
    /// Registers or parameters that were written.
    memory: Vec<(u16, [u8; 4])>,
    host: u8,
    control_mode: u32,
    next_heartbeat: Timestamp,
    next_encoder: Timestamp,
}

impl Motor {
    pub(super) fn new(config: MotorConfig, seed: u64) -> Self {
        let plant = ActuatorPlant::new(plant_config(config.model), seed)
            .or_else(|_| ActuatorPlant::new(ActuatorConfig::default(), seed));
        // The default plant is valid; a scaled one is, for every model of the table (a test says so).
        let mut plant = match plant {
            Ok(plant) => plant,
            Err(error) => unreachable!("{error}"),
        };
        plant.place(config.position);
        let ranges = config.model.ranges;
        Self {
            memory: defaults(&config, &ranges),
            ranges,
            plant,
            now: Timestamp::ZERO,
            drive: Drive::Off,
            enabled: false,
            hot: false,
            lost: false,
            last_heard: Timestamp::ZERO,
            encoder_offset: 0.0,
            zero: 0.0,
            host: 0,
            control_mode: odrive::POSITION_CONTROL,
            next_heartbeat: Timestamp::ZERO,
            next_encoder: Timestamp::ZERO,
            config,
        }
    }

    /// Where it really stands, in rad.
    pub(super) const fn position(&self) -> f64 {
        self.plant.truth().motor_angle
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Too hot from now on.
    pub(super) const fn overheat(&mut self) {
        self.hot = true;
        self.switch(false);
    }

    pub(super) const fn shift_encoder(&mut self, offset: f64) {
        self.encoder_offset = offset;
    }

    const fn switch(&mut self, on: bool) {
        self.enabled = on && !self.hot && !self.lost;
        self.drive = Drive::Off;
    }

    /// Brings it up to `now`; its watchdog may end its torque on the way.
    pub(super) fn advance_to(&mut self, now: Timestamp) {
        let watchdog = self.watchdog();
        if let Some(span) = watchdog.filter(|_| self.enabled) {
            let due = self.last_heard.after(span);
            if now > due {
                self.plant.step(due.since(self.now), self.drive);
                self.now = self.now.max(due);
                self.lost = true;
                self.switch(false);
            }
        }
        self.plant.step(now.since(self.now), self.drive);
        self.now = self.now.max(now);
    }

    fn watchdog(&self) -> Option<Duration> {
        if self.config.model.protocol != Protocol::Damiao {
            return None;
        }
        let units = u32::from_le_bytes(self.memory(Register::Timeout.number().into())?);
        let span = Duration::from_micros(u64::from(units) * damiao::TIMEOUT_UNIT_US);
        (!span.is_zero()).then_some(span)
    }

    fn memory(&self, number: u16) -> Option<[u8; 4]> {
        self.memory.iter().find(|(it, _)| *it == number).map(|(_, value)| *value)
    }

    fn remember(&mut self, number: u16, value: [u8; 4]) {
        match self.memory.iter_mut().find(|(it, _)| *it == number) {
            Some((_, place)) => *place = value,
            None => self.memory.push((number, value)),
        }
    }

    fn real(&self, number: u16) -> f64 {
        self.memory(number).map_or(0.0, |value| f32::from_le_bytes(value).into())
    }

    /// Takes a frame at `now`, and answers through `answer`.
    pub(super) fn receive(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        match self.config.model.protocol {
            Protocol::Mit => self.receive_mit(frame, answer),
            Protocol::Damiao => self.receive_damiao(frame, answer),
            Protocol::Robstride => self.receive_robstride(frame, answer),
            Protocol::Odrive => self.receive_odrive(frame, answer),
        }
    }

    /// What it says by itself.
    pub(super) fn speak(&mut self, answer: &mut dyn FnMut(Frame)) {
        if self.config.model.protocol != Protocol::Odrive {
            return;
        }
        if self.now >= self.next_heartbeat {
            self.next_heartbeat = self.now.after(HEARTBEAT_PERIOD);
            answer(self.heartbeat());
        }
        if self.now >= self.next_encoder {
            self.next_encoder = self.now.after(ENCODER_PERIOD);
            answer(self.encoder());
        }
    }

    /// When it will say something by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        (self.config.model.protocol == Protocol::Odrive)
            .then(|| self.next_heartbeat.min(self.next_encoder))
    }

    fn measured(&mut self) -> Measured {
        let sensed = self.plant.sense();
        let truth = self.plant.truth();
        Measured {
            position: sensed.motor_encoder + self.encoder_offset - self.zero,
            velocity: truth.motor_velocity,
            torque: truth.motor_torque,
        }
    }

    fn temperature(&self) -> f64 {
        if self.hot { 120.0 } else { self.plant.truth().temperature }
    }

    fn impedance(&mut self, control: &mit::Control) {
        if self.enabled {
            self.drive = Drive::Impedance {
                position: control.position + self.zero - self.encoder_offset,
                velocity: control.velocity,
                stiffness: control.stiffness,
                damping: control.damping,
                torque: control.torque,
            };
        }
    }

    /// The commands that both families of MIT frames have; true if it was one.
    fn mit_request(&mut self, frame: &Frame) -> bool {
        let Some(bytes) = frame.eight().filter(|_| frame.id() == Id::Standard(self.config.id))
        else {
            return false;
        };
        self.last_heard = self.now;
        match mit::Request::parse(&bytes, &self.ranges) {
            mit::Request::Enable => self.switch(true),
            mit::Request::Disable => {
                self.lost = false;
                self.switch(false);
            }
            mit::Request::Zero => self.zero = self.position() + self.encoder_offset,
            mit::Request::Clear => {
                self.lost = false;
            }
            mit::Request::Control(control) => self.impedance(&control),
        }
        true
    }

    fn receive_mit(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        if !self.mit_request(frame) {
            return;
        }
        let measured = self.measured();
        let fault = if self.hot { mit::Fault::OverTemperature } else { mit::Fault::None };
        let temperature = self.temperature().round().clamp(-128.0, 127.0) as i8;
        let feedback = mit::Feedback {
            id: self.config.id as u8,
            measured,
            health: Some((temperature, fault)),
        };
        let (bytes, length) = feedback.encode(&self.ranges);
        answer(Frame::standard(self.config.feedback_id, bytes).shortened(length));
    }

    fn receive_damiao(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        if self.mit_request(frame) {
            return answer(self.damiao_feedback());
        }
        if frame.id() != Id::Standard(damiao::REGISTERS) {
            return;
        }
        let Some((id, access)) = frame.eight().and_then(|bytes| Access::parse(&bytes)) else {
            return;
        };
        if id != self.config.id {
            return;
        }
        self.last_heard = self.now;
        let (number, written) = match access {
            Access::Refresh => return answer(self.damiao_feedback()),
            // Nothing here survives a loss of power.
            Access::Save => return,
            Access::Read { number } => (number, false),
            Access::Write { number, value } => {
                if !self.write_register(number, value) {
                    return;
                }
                (number, true)
            }
        };
        let measured = self.measured().position as f32;
        let value = match number {
            60 => Some((self.plant.truth().supply as f32).to_le_bytes()),
            61 | 62 => Some((self.temperature() as f32).to_le_bytes()),
            80 | 81 => Some(measured.to_le_bytes()),
            _ => self.memory(number.into()),
        };
        if let Some(value) = value {
            let reply = RegisterReply { id, number, value, written };
            answer(Frame::standard(self.config.feedback_id, reply.encode()));
        }
    }

    /// False for a register that cannot be written, or not with this value.
    fn write_register(&mut self, number: u8, value: [u8; 4]) -> bool {
        let whole = u32::from_le_bytes(value);
        let real = f64::from(f32::from_le_bytes(value));
        let range = |span: &mut Span| {
            let good = real.is_finite() && real > 0.0;
            if good {
                (span.low, span.high) = (-real, real);
            }
            good
        };
        let good = match Register::from_number(number) {
            Some(Register::MasterId) => {
                let good = whole <= 0x7FF;
                self.config.feedback_id = if good { whole as u16 } else { self.config.feedback_id };
                good
            }
            Some(Register::ControlMode) => (1..=4).contains(&whole),
            Some(Register::Timeout) => true,
            Some(Register::PositionRange) => range(&mut self.ranges.position),
            Some(Register::VelocityRange) => range(&mut self.ranges.velocity),
            Some(Register::TorqueRange) => range(&mut self.ranges.torque),
            _ => matches!(number, 0..=6 | 24..=34) && real.is_finite(),
        };
        if good {
            self.remember(number.into(), value);
        }
        good
    }

    fn damiao_feedback(&mut self) -> Frame {
        let measured = self.measured();
        let status = if self.hot {
            Status::DriverOverTemperature
        } else if self.lost {
            Status::LostCommunication
        } else if self.enabled {
            Status::Enabled
        } else {
            Status::Disabled
        };
        let temperature = self.temperature().round() as u8;
        let feedback = damiao::Feedback {
            id: self.config.id as u8 & 0xF,
            status,
            measured,
            driver_temperature: temperature,
            rotor_temperature: temperature,
        };
        Frame::standard(self.config.feedback_id, feedback.encode(&self.ranges))
    }

    fn receive_robstride(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        let Some((id, host, request)) = robstride::Request::parse(frame, &self.ranges) else {
            return;
        };
        if u16::from(id) != self.config.id {
            return;
        }
        if !matches!(request, robstride::Request::Control(_)) {
            self.host = host;
        }
        let reply = match request {
            robstride::Request::GetId => {
                let unique = [b'S', b'I', b'N', b'E', b'W', 0, 0, id];
                robstride::Reply::Id { id, unique }
            }
            robstride::Request::SetId { id: new } => {
                self.config.id = u16::from(new & 0x7F);
                robstride::Reply::Id { id: new & 0x7F, unique: [0; 8] }
            }
            robstride::Request::Read { index } => {
                let Some(value) = self.parameter(index) else { return };
                robstride::Reply::Parameter { id, index, value }
            }
            robstride::Request::Control(control) => {
                if self.memory(parameter::RUN_MODE) == Some([0; 4]) {
                    self.impedance(&control);
                }
                self.robstride_feedback(id)
            }
            robstride::Request::Enable => {
                self.switch(true);
                self.robstride_feedback(id)
            }
            robstride::Request::Stop { .. } => {
                self.switch(false);
                self.robstride_feedback(id)
            }
            robstride::Request::Zero => {
                self.zero = self.position() + self.encoder_offset;
                self.robstride_feedback(id)
            }
            robstride::Request::Write { index, value } => {
                self.remember(index, value);
                self.follow_parameters();
                self.robstride_feedback(id)
            }
        };
        answer(reply.encode(self.host, &self.ranges));
    }

    fn parameter(&mut self, index: u16) -> Option<[u8; 4]> {
        let measured = self.measured();
        let value = match index {
            parameter::POSITION => measured.position,
            parameter::VELOCITY => measured.velocity,
            parameter::SUPPLY => self.plant.truth().supply,
            _ => return self.memory(index),
        };
        Some((value as f32).to_le_bytes())
    }

    /// Modes 1 and 2: a velocity loop, and a position loop around it.
    fn follow_parameters(&mut self) {
        let mode = self.memory(parameter::RUN_MODE).map_or(0, |[mode, ..]| mode);
        let damping = self.real(parameter::SPEED_GAIN);
        match mode {
            1 => self.impedance(&mit::Control {
                position: self.real(parameter::POSITION_REF),
                stiffness: damping * self.real(parameter::POSITION_GAIN),
                damping,
                ..mit::Control::default()
            }),
            2 => self.impedance(&mit::Control {
                velocity: self.real(parameter::SPEED_REF),
                damping,
                ..mit::Control::default()
            }),
            _ => {}
        }
    }

    fn robstride_feedback(&mut self, id: u8) -> robstride::Reply {
        robstride::Reply::Feedback(robstride::Feedback {
            id,
            mode: if self.enabled { robstride::Mode::Run } else { robstride::Mode::Reset },
            faults: robstride::Faults(if self.hot {
                robstride::Faults::OVER_TEMPERATURE
            } else {
                0
            }),
            measured: self.measured(),
            temperature: self.temperature(),
        })
    }

    fn receive_odrive(&mut self, frame: &Frame, answer: &mut dyn FnMut(Frame)) {
        let Some((node, command)) = odrive::address(frame.id()) else { return };
        if u16::from(node) != self.config.id {
            return;
        }
        if frame.is_remote() {
            let temperature = self.temperature() as f32;
            let torque = self.plant.truth().motor_torque / self.config.model.torque_constant;
            let iq = torque as f32;
            let voltage = self.plant.truth().supply as f32;
            return answer(match command {
                odrive::command::HEARTBEAT => self.heartbeat(),
                odrive::command::ENCODER => self.encoder(),
                odrive::command::IQ => {
                    odrive::Message::Iq { setpoint: iq, measured: iq }.encode(node)
                }
                odrive::command::TEMPERATURE => {
                    odrive::Message::Temperature { driver: temperature, motor: temperature }
                        .encode(node)
                }
                odrive::command::SUPPLY => {
                    odrive::Message::Supply { voltage, current: 0.0 }.encode(node)
                }
                _ => return,
            });
        }
        let Some((_, message)) = odrive::Message::parse(frame) else { return };
        self.last_heard = self.now;
        match message {
            odrive::Message::AxisState(state) => self.switch(state == odrive::CLOSED_LOOP),
            odrive::Message::Estop => {
                self.lost = true;
                self.switch(false);
            }
            odrive::Message::ClearErrors => self.lost = false,
            odrive::Message::ControllerMode { control, .. } => {
                self.control_mode = control;
                self.follow_inputs();
            }
            odrive::Message::InputPosition { position, .. } => {
                self.remember(odrive::command::INPUT_POSITION.into(), position.to_le_bytes());
                self.follow_inputs();
            }
            odrive::Message::InputVelocity { velocity, .. } => {
                self.remember(odrive::command::INPUT_VELOCITY.into(), velocity.to_le_bytes());
                self.follow_inputs();
            }
            odrive::Message::InputTorque(torque) => {
                self.remember(odrive::command::INPUT_TORQUE.into(), torque.to_le_bytes());
                self.follow_inputs();
            }
            odrive::Message::PositionGain(gain) => {
                self.remember(odrive::command::POSITION_GAIN.into(), gain.to_le_bytes());
            }
            odrive::Message::VelocityGains { proportional, .. } => {
                self.remember(odrive::command::VELOCITY_GAINS.into(), proportional.to_le_bytes());
            }
            _ => {}
        }
    }

    fn follow_inputs(&mut self) {
        let damping = self.real(odrive::command::VELOCITY_GAINS.into()) / TAU;
        let velocity = self.real(odrive::command::INPUT_VELOCITY.into()) * TAU;
        let torque = self.real(odrive::command::INPUT_TORQUE.into());
        let nothing = mit::Control::default();
        let control = match self.control_mode {
            odrive::TORQUE_CONTROL => mit::Control { torque, ..nothing },
            odrive::VELOCITY_CONTROL => mit::Control { velocity, damping, ..nothing },
            odrive::POSITION_CONTROL => mit::Control {
                position: self.real(odrive::command::INPUT_POSITION.into()) * TAU,
                stiffness: damping * self.real(odrive::command::POSITION_GAIN.into()),
                damping,
                ..nothing
            },
            _ => nothing,
        };
        self.impedance(&control);
    }

    fn heartbeat(&self) -> Frame {
        let error = if self.hot { ODRIVE_OVER_TEMPERATURE } else { u32::from(self.lost) };
        let state = if self.enabled { odrive::CLOSED_LOOP } else { odrive::IDLE };
        odrive::Message::Heartbeat { error, state: state as u8, flags: [0, 0, 1] }
            .encode(self.config.id as u8)
    }

    fn encoder(&mut self) -> Frame {
        let measured = self.measured();
        odrive::Message::Encoder {
            position: (measured.position / TAU) as f32,
            velocity: (measured.velocity / TAU) as f32,
        }
        .encode(self.config.id as u8)
    }
}

/// What registers and parameters hold at the start.
fn defaults(config: &MotorConfig, ranges: &Ranges) -> Vec<(u16, [u8; 4])> {
    let whole = |number: u16, value: u32| (number, value.to_le_bytes());
    let real = |number: u16, value: f64| (number, (value as f32).to_le_bytes());
    match config.model.protocol {
        Protocol::Mit => Vec::new(),
        Protocol::Damiao => vec![
            real(0, 15.0),
            real(2, 100.0),
            whole(Register::MasterId.number().into(), config.feedback_id.into()),
            whole(Register::MotorId.number().into(), config.id.into()),
            whole(Register::Timeout.number().into(), 0),
            whole(Register::ControlMode.number().into(), damiao::MODE_MIT),
            whole(14, 5013),
            real(Register::GearRatio.number().into(), 10.0),
            real(Register::PositionRange.number().into(), ranges.position.high),
            real(Register::VelocityRange.number().into(), ranges.velocity.high),
            real(Register::TorqueRange.number().into(), ranges.torque.high),
            whole(35, 4),
        ],
        Protocol::Robstride => vec![
            whole(parameter::RUN_MODE, 0),
            real(parameter::IQ_REF, 0.0),
            real(parameter::SPEED_REF, 0.0),
            real(parameter::TORQUE_LIMIT, ranges.torque.high),
            real(parameter::POSITION_REF, 0.0),
            real(parameter::SPEED_LIMIT, 2.0),
            real(parameter::CURRENT_LIMIT, 23.0),
            real(parameter::POSITION_GAIN, 30.0),
            real(parameter::SPEED_GAIN, 1.0),
            real(parameter::SPEED_INTEGRAL, 0.0),
        ],
        // An ODrive's gains as it leaves the factory.
        Protocol::Odrive => vec![
            real(odrive::command::POSITION_GAIN.into(), 20.0),
            real(odrive::command::VELOCITY_GAINS.into(), 1.0 / 6.0),
        ],
    }
}
