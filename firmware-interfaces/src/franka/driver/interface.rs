//! The thread that talks to the arm, through `franka-rs`.
//!
//! That library's `ActiveControl` reads a state, and takes its answer when we have it; it may wait
//! for a state for a second and stays on the thread that began it. So it has a thread of its own,
//! and the control thread's desk stands beside it.

use std::time::Duration;

use franka::{
    ActiveMotionGenerator, ActiveTorqueControl, FciVersion, FrankaError, JointPositions,
    MoveControllerMode, RealtimeConfig, RobotOptions, RobotState, Torques, VersionPolicy,
};

use super::config::Config;
use super::failure::{self, Failure};
use super::hand::HandPort;
use super::session::{Outgoing, Sample, Session};
use crate::franka::RobotModel;
use crate::franka::wire::RobotMode;
use crate::robot::{ControlMode, StopRequest};
use crate::transport::{Desk, Published};
use crate::{Clock, MonotonicClock, Timestamp};

/// How often a lost arm's desk is looked at.
const LOST: Duration = Duration::from_millis(2);

/// Both sides of the thread.
pub(super) struct Interface {
    session: Session,
    clock: MonotonicClock,
    desk: Desk<Failure>,
    hand: Option<HandPort>,
}

impl Interface {
    pub fn new(
        config: Config,
        clock: MonotonicClock,
        desk: Desk<Failure>,
        hand: Option<HandPort>,
    ) -> Self {
        Self { session: Session::new(config), clock, desk, hand }
    }

    /// Serves the desk until told to quit.
    pub fn run(mut self, robot: &franka::Robot) {
        while self.desk.quits().is_none() {
            if self.session.is_lost() {
                let _ = self.desk.take_stop();
                if self.desk.take_arming() {
                    self.desk.answer_arming(false);
                }
                self.desk.wait(LOST);
                continue;
            }
            let result = match self.idle(robot) {
                Ok(true) => self.drive(robot),
                Ok(false) => Ok(()),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = result {
                self.session.failed(failure);
                self.publish();
            }
        }
        self.desk.delivered(!self.session.is_lost());
    }

    /// One state of an arm that stands. True when a motion shall begin.
    fn idle(&mut self, robot: &franka::Robot) -> Result<bool, Failure> {
        let state = robot.read_once().map_err(|error| self.failure("reading", error))?;
        self.receive(self.clock.now(), &state);
        self.publish();
        // An arm that stands has stopped; torque cannot be taken off it from here.
        if self.desk.take_stop() == Some(StopRequest::TorqueOff) {
            self.session.disarm();
        }
        if self.desk.take_arming() {
            return match self.prepare(robot) {
                // A stop that has come meanwhile, or nobody who waits any more.
                Ok(()) if self.is_called_off() => {
                    self.desk.answer_arming(false);
                    Ok(false)
                }
                Ok(()) => {
                    self.session.arm();
                    Ok(true)
                }
                Err(failure) => {
                    self.session.refused(failure);
                    self.publish();
                    self.desk.answer_arming(false);
                    Ok(false)
                }
            };
        }
        let command = self.desk.take_command();
        let again = command.is_some_and(|command| self.session.wants_motion(&command));
        if again {
            self.session.begins();
            self.publish();
        }
        Ok(again)
    }

    /// True when the last request to arm is void.
    fn is_called_off(&self) -> bool {
        self.desk.is_latched() || self.desk.is_arming_cancelled() || self.desk.quits().is_some()
    }

    /// Brings the arm into a state in which it can move, and tells it how.
    fn prepare(&mut self, robot: &franka::Robot) -> Result<(), Failure> {
        if let Some(failure) = self.hand.as_ref().and_then(HandPort::failure) {
            return Err(failure);
        }
        let failed = |request, error| self.failure(request, error);
        let config = self.session.config();
        if self.session.must_recover()? {
            robot
                .automatic_error_recovery()
                .map_err(|error| failed("automatic error recovery", error))?;
        }
        if let Some(collision) = &config.collision {
            robot
                .set_collision_behavior(
                    collision.lower_torque_acceleration,
                    collision.upper_torque_acceleration,
                    collision.lower_torque,
                    collision.upper_torque,
                    collision.lower_force_acceleration,
                    collision.upper_force_acceleration,
                    collision.lower_force,
                    collision.upper_force,
                )
                .map_err(|error| failed("the collision behaviour", error))?;
        }
        if let Some(stiffness) = config.joint_stiffness {
            robot
                .set_joint_impedance(stiffness)
                .map_err(|error| failed("the joint impedance", error))?;
        }
        if let Some(load) = &config.load {
            robot
                .set_load(load.mass, load.center, load.inertia)
                .map_err(|error| failed("the load", error))?;
        }
        Ok(())
    }

    /// A motion from its beginning to its end.
    fn drive(&mut self, robot: &franka::Robot) -> Result<(), Failure> {
        let begun = Motion::begin(robot, self.session.config().mode);
        let mut motion = match begun {
            Ok(motion) => motion,
            Err(error) => {
                // The library says that a reflex has come between, but not which.
                if let Ok(state) = robot.read_once() {
                    self.receive(self.clock.now(), &state);
                }
                let failure = self.failure("a motion", error);
                let errors = self.session.sample().map(|sample| sample.errors);
                return Err(match errors.filter(|errors| !errors.is_empty()) {
                    Some(errors) => Failure::Reflex(errors),
                    None => failure,
                });
            }
        };
        let mut begins = true;
        loop {
            let state = match motion.read() {
                Ok(state) => state,
                Err(error) => return Err(self.failure("a motion", error)),
            };
            let arrived = self.clock.now();
            self.receive(arrived, &state);
            if begins {
                self.session.begin();
            }
            self.publish();
            if std::mem::take(&mut begins) {
                self.desk.answer_arming(true);
            }
            if self.await_answer(arrived) || self.session.is_forsaken() {
                // Dropping the motion stops the arm, whatever the library makes of it.
                drop(motion);
                self.session.end();
                return self.see_it_stand(robot);
            }
            if let Some(failure) = self.session.far_start() {
                return Err(failure);
            }
            if let Some(outgoing) = self.session.outgoing() {
                if let Err(error) = motion.write(&outgoing) {
                    return Err(self.failure("a command", error));
                }
                self.session.answered(self.clock.now().since(arrived));
            }
            if let (Some(hand), Some(opening)) = (&self.hand, self.session.wanted_opening()) {
                hand.want(opening);
            }
        }
    }

    /// A motion that was stopped must have ended.
    fn see_it_stand(&mut self, robot: &franka::Robot) -> Result<(), Failure> {
        let state = robot.read_once().map_err(|error| self.failure("reading", error))?;
        self.receive(self.clock.now(), &state);
        match self.session.sample().map(|sample| (sample.mode, sample.errors)) {
            Some((RobotMode::Reflex, errors)) => Err(Failure::Reflex(errors)),
            Some((RobotMode::Idle, _)) => Ok(()),
            Some((mode, _)) => Err(Failure::Mode(mode)),
            None => Err(Failure::Silent),
        }
    }

    /// Waits for the command that answers the state that has arrived. True when the motion is to
    /// end.
    fn await_answer(&mut self, arrived: Timestamp) -> bool {
        let within = self.session.config().answer_within;
        loop {
            let stop = self.desk.take_stop();
            if stop.is_some() || self.desk.quits().is_some() {
                if let Some(hand) = &self.hand {
                    hand.halt();
                }
                if stop == Some(StopRequest::TorqueOff) {
                    self.session.disarm();
                }
                return true;
            }
            if self.desk.take_arming() {
                self.desk.answer_arming(true);
            }
            if let Some(command) = self.desk.take_command() {
                self.session.command(&command);
            }
            let left = within.checked_sub(self.clock.now().since(arrived));
            let Some(left) = left.filter(|left| !left.is_zero() && self.session.waits()) else {
                return false;
            };
            self.desk.wait(left);
        }
    }

    fn receive(&mut self, now: Timestamp, state: &RobotState) {
        self.session.receive(now, &sample(state));
        match self.hand.as_ref().and_then(HandPort::width) {
            Some((at, width)) => self.session.receive_width(at, width),
            None => self.session.lose_width(),
        }
    }

    fn publish(&mut self) {
        let published = Published { state: *self.session.state(), beat: self.session.beat() };
        let failure = self.session.failure().cloned();
        self.desk.publish(published, self.session.statistics(), failure);
    }

    fn failure(&self, request: &'static str, error: FrankaError) -> Failure {
        Failure::of(request, self.session.config().arm, error)
    }
}

/// Connects to the arm. The library raises the calling thread to the highest priority that the
/// operating system lets it have.
pub(super) fn connect(config: &Config) -> Result<franka::Robot, Failure> {
    let version = match config.arm {
        RobotModel::Fer => FciVersion::V5,
        RobotModel::Fr3 => FciVersion::V10,
    };
    let options =
        RobotOptions::new(RealtimeConfig::Ignore).with_version(VersionPolicy::Exact(version));
    franka::Robot::with_options(&config.address, options)
        .map_err(|error| Failure::of("the connection", config.arm, error))
}

/// A motion under way.
enum Motion<'a> {
    Positions(ActiveMotionGenerator<'a, JointPositions>),
    Torques(ActiveTorqueControl<'a>),
}

impl<'a> Motion<'a> {
    fn begin(robot: &'a franka::Robot, mode: ControlMode) -> Result<Self, FrankaError> {
        Ok(match mode {
            ControlMode::Position => Self::Positions(
                robot.start_joint_position_control(MoveControllerMode::JointImpedance)?,
            ),
            ControlMode::Effort => Self::Torques(robot.start_torque_control()?),
        })
    }

    fn read(&mut self) -> Result<RobotState, FrankaError> {
        let (state, _) = match self {
            Self::Positions(motion) => motion.read_once()?,
            Self::Torques(motion) => motion.read_once()?,
        };
        Ok(state)
    }

    fn write(&mut self, outgoing: &Outgoing) -> Result<(), FrankaError> {
        match (self, outgoing) {
            (Self::Positions(motion), Outgoing::Positions(positions)) => {
                motion.write_once(&JointPositions::new(*positions), None)
            }
            (Self::Torques(motion), Outgoing::Torques(torques)) => {
                motion.write_once(&Torques::new(*torques))
            }
            // A session's commands are of the mode that its motion was begun in.
            _ => Ok(()),
        }
    }
}

/// The library's state in our words.
fn sample(state: &RobotState) -> Sample {
    Sample {
        message_id: state.time.as_millis(),
        mode: match state.robot_mode {
            franka::RobotMode::Other => RobotMode::Other,
            franka::RobotMode::Idle => RobotMode::Idle,
            franka::RobotMode::Move => RobotMode::Move,
            franka::RobotMode::Guiding => RobotMode::Guiding,
            franka::RobotMode::Reflex => RobotMode::Reflex,
            franka::RobotMode::UserStopped => RobotMode::UserStopped,
            franka::RobotMode::AutomaticErrorRecovery => RobotMode::AutomaticErrorRecovery,
        },
        positions: state.q,
        velocities: state.dq,
        torques: state.tau_J,
        desired: state.q_d,
        external_torques: state.tau_ext_hat_filtered,
        external_force: state.O_F_ext_hat_K,
        success_rate: state.control_command_success_rate,
        errors: failure::errors(&state.current_errors),
    }
}
