//! Driver and emulated arm coupled directly in virtual time: the same session and the same firmware,
//! the protocol's bytes between them, no sockets, no threads and no clock.

use std::time::Duration;

use sinew_simulation::dynamics::LinkError;

use super::config::{Config, GripperConfig, width};
use super::failure::Failure;
use super::hand::{ANY_WIDTH, Fingers, Order};
use super::session::{Outgoing, Sample, Session};
use crate::franka::emulator::{self, Control, Hand};
use crate::franka::wire::{
    Controller, Generator, GripperRequest, HeaderLayout, MessageReader, MoveRequest, Protocol,
    Request, RobotCommand, RobotMode, RobotState,
};
use crate::robot::{
    BusStatistics, Command, ControlMode, Robot, RobotDescription, RobotError, State, StopRequest,
};
use crate::{Clock, SimulatedClock, Timestamp};

const PORT: &str = "virtual";
const PERIOD: Duration = Duration::from_millis(1);
/// As long as the driver's library waits for a state.
const SILENCE: Duration = Duration::from_secs(1);
/// Deviations that libfranka allows in every motion: m, rad, rad.
const DEVIATION: [f64; 3] = [10.0, 3.12, std::f64::consts::TAU];

/// A FER or FR3 and its driver in virtual time.
///
/// [`Robot::read`] brings both up to its `now`; [`Robot::arm`] and [`Robot::disarm`] move the
/// simulated clock on for as long as they take. There is no [`stop_handle`](Robot::stop_handle):
/// virtual time runs on one thread, and nothing moves while that one is stuck.
pub struct SteppedFranka {
    description: RobotDescription,
    session: Session,
    control: Control,
    protocol: Protocol,
    fingers: Option<(Hand, Fingers, f64)>,
    clock: SimulatedClock,
    now: Timestamp,
    reader: MessageReader,
    requests: u32,
    /// The request that began the motion.
    motion: Option<u32>,
    last_state: Timestamp,
    /// Why a motion did not begin: the next state may say more.
    refused: Option<Failure>,
    datagram: Vec<u8>,
}

impl SteppedFranka {
    /// An arm on `clock`, connected at its present time. `object` is the width of what stands
    /// between the fingers, in m.
    ///
    /// # Errors
    /// [`LinkError`] when the emulated payload cannot exist.
    pub fn new(
        config: Config,
        emulated: emulator::Config,
        object: f64,
        clock: SimulatedClock,
    ) -> Result<Self, LinkError> {
        let protocol = emulated.robot.protocol();
        let now = clock.now();
        let mut fingers = config.gripper.map(|gripper: GripperConfig| {
            (Hand::new(object), Fingers::new(&gripper), gripper.speed)
        });
        if let Some((hand, ..)) = &mut fingers {
            ask_hand(
                hand,
                0,
                &GripperRequest::Connect { version: GripperRequest::VERSION, udp_port: 1 },
            );
        }
        let mut arm = Self {
            description: config.description(),
            session: Session::new(config),
            control: Control::new(emulated)?,
            protocol,
            fingers,
            clock,
            now,
            reader: MessageReader::new(HeaderLayout::Robot),
            requests: 0,
            motion: None,
            last_state: now,
            refused: None,
            datagram: Vec::new(),
        };
        let version = arm.session.config().arm.protocol().version();
        if let Some((_, status)) = arm.ask(&Request::Connect { version, udp_port: 1 })
            && status != 0
        {
            let expected = arm.session.config().arm;
            arm.session.failed(Failure::Version { server: protocol.version(), expected });
        }
        arm.tick();
        Ok(arm)
    }

    /// The emulated arm, to switch faults and to see the truth.
    pub const fn control_mut(&mut self) -> &mut Control {
        &mut self.control
    }

    fn reason(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no answer".to_owned())
    }

    /// Asks the arm; its answer's number and status.
    fn ask(&mut self, request: &Request) -> Option<(u32, u8)> {
        let id = self.requests;
        self.requests += 1;
        let mut bytes = Vec::new();
        // What this version of the protocol does not know is not asked.
        request.encode(self.protocol, id, &mut bytes).ok()?;
        self.control.receive(&bytes);
        bytes.clear();
        self.control.take_bytes(&mut bytes);
        self.reader.push(&bytes);
        let mut status = None;
        while let Ok(Some(message)) = self.reader.take_message() {
            if message.header.id == id {
                status = message.payload.first().copied();
            }
        }
        status.map(|status| (id, status))
    }

    fn demand(&mut self, name: &'static str, request: &Request) -> Result<u32, Failure> {
        match self.ask(request) {
            Some((id, status)) if status <= u8::from(matches!(request, Request::Move(_))) => Ok(id),
            Some((_, status)) => {
                Err(Failure::Refused { request: name, said: format!("status {status}") })
            }
            None => Err(Failure::Network("no answer".to_owned())),
        }
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        if self.session.must_recover()? {
            self.demand("automatic error recovery", &Request::AutomaticErrorRecovery)?;
        }
        let config = self.session.config().clone();
        if let Some(collision) = config.collision {
            let request = Request::SetCollisionBehavior(Box::new(collision));
            self.demand("the collision behaviour", &request)?;
        }
        if let Some(stiffness) = config.joint_stiffness {
            self.demand("the joint impedance", &Request::SetJointImpedance(stiffness))?;
        }
        if let Some(load) = config.load {
            self.demand("the load", &Request::SetLoad(load))?;
        }
        Ok(())
    }

    /// Begins a motion where the arm is.
    fn begin(&mut self) -> Result<(), Failure> {
        let (controller, generator) = match (self.session.config().mode, self.protocol) {
            (ControlMode::Position, _) => (Controller::JointImpedance, Generator::JointPosition),
            (ControlMode::Effort, Protocol::V5) => (Controller::External, Generator::JointVelocity),
            (ControlMode::Effort, Protocol::V10) => (Controller::External, Generator::None),
        };
        let request = Request::Move(MoveRequest {
            controller,
            generator,
            path_deviation: DEVIATION,
            goal_deviation: DEVIATION,
            asynchronous: false,
            max_velocity: [0.0; 7],
        });
        let id = self.demand("a motion", &request)?;
        self.tick();
        self.motion = Some(id);
        self.session.begin();
        Ok(())
    }

    /// Ends the motion; the arm brakes and stands.
    fn end(&mut self) {
        if self.motion.take().is_some() {
            self.ask(&Request::StopMove);
            self.session.end();
        }
        if let Some((hand, fingers, _)) = &mut self.fingers
            && hand.is_moving()
            && !fingers.holds()
        {
            ask_hand(hand, 2, &GripperRequest::Stop);
            fingers.forget();
        }
    }

    /// One cycle of the arm's, at the present time.
    fn tick(&mut self) {
        if let Some(failure) = self.session.far_start() {
            self.ask(&Request::StopMove);
            self.motion = None;
            self.session.failed(failure);
        }
        if let Some(outgoing) = self.session.outgoing()
            && let Some(sample) = self.session.sample()
        {
            let mut command =
                RobotCommand { message_id: sample.message_id, ..RobotCommand::default() };
            match outgoing {
                Outgoing::Positions(positions) => command.q_c = positions,
                Outgoing::Torques(torques) => command.tau_j_d = torques,
            }
            self.datagram.clear();
            command.encode(self.protocol, &mut self.datagram);
            self.control.command(&self.datagram);
        }
        self.control.tick(self.now);
        self.datagram.clear();
        while self.control.transmit(self.now, &mut self.datagram) {
            if let Ok(state) = RobotState::parse(self.protocol, &self.datagram) {
                self.last_state = self.now;
                self.session.receive(self.now, &sample(&state));
            }
            self.datagram.clear();
        }
        self.judge();
        self.move_fingers();
    }

    /// What ends a motion, or the connection.
    fn judge(&mut self) {
        if self.session.is_lost() {
            return;
        }
        if self.now.since(self.last_state) > SILENCE {
            self.motion = None;
            return self.session.failed(Failure::Silent);
        }
        let Some(sample) = self.session.sample() else { return };
        if self.last_state == self.now
            && let Some(refused) = self.refused.take()
        {
            let failure = match sample.errors {
                errors if errors.is_empty() => refused,
                errors => Failure::Reflex(errors),
            };
            return self.session.failed(failure);
        }
        if self.motion.is_none() || sample.mode == RobotMode::Move {
            return;
        }
        let failure = match sample.mode {
            RobotMode::UserStopped => Failure::UserStop,
            RobotMode::Reflex => Failure::Reflex(sample.errors),
            RobotMode::Other => Failure::Network("the arm hung up".to_owned()),
            mode => Failure::Ended(format!("{mode:?}")),
        };
        self.motion = None;
        self.session.failed(failure);
    }

    fn move_fingers(&mut self) {
        let Some((hand, fingers, speed)) = &mut self.fingers else { return };
        if self.now < hand.next_due() {
            return;
        }
        let wanted = self.session.wanted_opening().map_or(f64::NAN, width);
        let (measured, speed) = (hand.width(), *speed);
        if !hand.is_moving() || fingers.turns(wanted, measured) {
            match fingers.order(wanted, measured) {
                Some(Order::Move(width)) => {
                    ask_hand(hand, 1, &GripperRequest::Move { width, speed })
                }
                Some(Order::Grasp(width, force)) => ask_hand(
                    hand,
                    1,
                    &GripperRequest::Grasp {
                        width,
                        inner: ANY_WIDTH,
                        outer: ANY_WIDTH,
                        speed,
                        force,
                    },
                ),
                None => {}
            }
        }
        if hand.tick(self.now, &mut self.datagram) {
            self.session.receive_width(self.now, hand.width());
        }
    }

    fn advance(&mut self, until: Timestamp) {
        while self.now.after(PERIOD) <= until {
            self.now = self.now.after(PERIOD);
            self.tick();
        }
    }
}

fn ask_hand(hand: &mut Hand, id: u32, request: &GripperRequest) {
    let mut bytes = Vec::new();
    request.encode(id, &mut bytes);
    hand.receive(&bytes);
    bytes.clear();
    hand.take_bytes(&mut bytes);
}

fn sample(state: &RobotState) -> Sample {
    Sample {
        message_id: state.message_id,
        mode: state.robot_mode,
        positions: state.q,
        velocities: state.dq,
        torques: state.tau_j,
        desired: state.q_d,
        external_torques: state.tau_ext_hat_filtered,
        external_force: state.o_f_ext_hat_k,
        success_rate: state.control_command_success_rate,
        errors: state.errors,
    }
}

impl Robot for SteppedFranka {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, _timeout: Duration) -> Result<(), RobotError> {
        let armed = if self.session.is_lost() {
            Ok(())
        } else {
            self.prepare().and_then(|()| {
                self.session.arm();
                self.now = self.now.after(PERIOD);
                let begun = self.begin();
                self.clock.advance_to(self.now);
                begun
            })
        };
        if let Err(failure) = armed {
            self.session.refused(failure);
        }
        match self.session.failure() {
            None => Ok(()),
            Some(failure) => Err(RobotError::Device {
                port: PORT.to_owned(),
                fault: failure.to_string(),
                remedy: failure.remedy().to_owned(),
            }),
        }
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        self.advance(now);
        *state = *self.session.state();
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        if self.session.wants_motion(command) && self.refused.is_none() {
            self.refused = self.begin().err();
            return;
        }
        self.session.command(command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.end();
        if request == StopRequest::TorqueOff {
            self.session.disarm();
        }
    }

    fn disarm(&mut self, _timeout: Duration) -> Result<(), RobotError> {
        self.end();
        self.session.disarm();
        if self.session.is_lost() {
            return Err(RobotError::Lost { port: PORT.to_owned(), reason: self.reason() });
        }
        Ok(())
    }

    fn statistics(&self) -> BusStatistics {
        *self.session.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.session.failure().map(Failure::to_string)
    }
}
