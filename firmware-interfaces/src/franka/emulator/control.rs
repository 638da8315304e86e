//! The emulated control cabinet: one client, one motion at a time, a state each millisecond.

use std::collections::VecDeque;
use std::time::Duration;

use nalgebra::{Point3, Vector3};
use sinew_simulation::dynamics::{Chain, Joints, LinkError, Pose};
use sinew_simulation::kinematics::Transform;

use super::config::{Config, Counts};
use super::contact::{self, Contact, Thresholds};
use super::faults::Faults;
use super::judge;
use super::motion::{Drive, Motion, Progress};
use super::plant::{self, Desired, Plant, Stiffness};
use crate::faults::Window;
use crate::franka::wire::{
    CollisionBehavior, Controller, Error, Errors, Function, HeaderLayout, MessageReader, Outcome,
    Protocol, RobotCommand, RobotMode, reply,
};
use crate::{Random, Timestamp};

const PERIOD: Duration = Duration::from_millis(1);
/// A cycle that begins later than this moves those after it, so that the client has its whole
/// millisecond.
const LATE: Duration = Duration::from_micros(150);
/// How long a push lasts.
const PUSH: Duration = Duration::from_millis(200);
/// Thresholds until a client sets others: those of Franka's examples.
const COLLISION: CollisionBehavior = CollisionBehavior {
    lower_torque_acceleration: [20.0; 7],
    upper_torque_acceleration: [20.0; 7],
    lower_torque: [20.0; 7],
    upper_torque: [20.0; 7],
    lower_force_acceleration: [20.0; 6],
    upper_force_acceleration: [20.0; 6],
    lower_force: [20.0; 6],
    upper_force: [20.0; 6],
};
/// States that are delayed.
const OUTBOX: usize = 2000;

/// What clients can set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub joint_stiffness: [f64; 7],
    pub cartesian_stiffness: [f64; 6],
    pub collision: CollisionBehavior,
    /// End effector in the nominal end effector.
    pub ne_t_ee: Transform,
    /// Stiffness frame in the end effector.
    pub ee_t_k: Transform,
    pub load: crate::franka::wire::Load,
}

/// The arm's firmware: pure, with time as an argument.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) config: Config,
    pub(super) protocol: Protocol,
    pub(super) plant: Plant,
    pub(super) settings: Settings,
    /// To the end effector.
    pub(super) chain: Chain<7>,
    pub(super) desired: Desired,
    pub(super) motion: Option<Motion>,
    pub(super) mode: RobotMode,
    pub(super) errors: Errors,
    pub(super) reflex_reason: Errors,
    pub(super) message_id: u64,
    /// The last torques that a client commanded are over: N·m in the cycle before.
    pub(super) torques_before: Joints<7>,
    /// What comes from outside, as the arm estimates it.
    pub(super) contact: Contact,
    pub(super) inbox: MessageReader,
    pub(super) outbox: Vec<u8>,
    pub(super) udp_port: Option<u16>,
    pub(super) connected: bool,
    pub(super) closing: bool,
    command: Option<RobotCommand>,
    /// The last state is on its way to the client, and its command has not been dropped.
    expecting: bool,
    pub(super) counts: Counts,
    states: VecDeque<(Timestamp, Vec<u8>)>,
    random: Random,
    next: Timestamp,
}

/// Nominal end effector in the flange: the hand, as its maker mounts it.
pub(super) fn f_t_ne() -> Transform {
    Transform::from_xyz_rpy([0.0, 0.0, 0.1034], [0.0, 0.0, -std::f64::consts::FRAC_PI_4])
}

impl Control {
    /// An arm at rest, ready.
    ///
    /// # Errors
    /// [`LinkError`] when the payload cannot exist.
    pub fn new(config: Config) -> Result<Self, LinkError> {
        let plant =
            Plant::new(config.robot, config.positions, config.payload.as_ref(), config.friction)?;
        let chain = plant.bare().chain.clone().with_tool(&f_t_ne());
        Ok(Self {
            protocol: config.robot.protocol(),
            desired: Desired::at_rest(plant.positions),
            settings: Settings {
                joint_stiffness: [3000.0, 3000.0, 3000.0, 2500.0, 2500.0, 2000.0, 2000.0],
                cartesian_stiffness: [3000.0, 3000.0, 3000.0, 300.0, 300.0, 300.0],
                collision: COLLISION,
                ne_t_ee: Transform::IDENTITY,
                ee_t_k: Transform::IDENTITY,
                load: crate::franka::wire::Load::default(),
            },
            chain,
            motion: None,
            mode: RobotMode::Idle,
            errors: Errors::NONE,
            reflex_reason: Errors::NONE,
            message_id: 0,
            torques_before: plant.torques,
            contact: Contact::default(),
            inbox: MessageReader::new(HeaderLayout::Robot),
            outbox: Vec::new(),
            udp_port: None,
            connected: false,
            closing: false,
            command: None,
            expecting: false,
            counts: Counts::default(),
            states: VecDeque::new(),
            random: Random::new(config.seed),
            next: Timestamp::ZERO,
            plant,
            config,
        })
    }

    /// False while there is no power.
    pub fn is_powered(&self, now: Timestamp) -> bool {
        !holds(self.config.faults.power_off, now)
    }

    /// Whether the connection is to be closed: the client has sent nonsense.
    pub const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Where the client wants its states.
    pub const fn udp_port(&self) -> Option<u16> {
        self.udp_port
    }

    /// What the arm is doing.
    pub const fn mode(&self) -> RobotMode {
        self.mode
    }

    /// Positions of the joints, rad.
    pub fn positions(&self) -> [f64; 7] {
        self.plant.positions.into()
    }

    /// Velocities of the joints, rad/s.
    pub fn velocities(&self) -> [f64; 7] {
        self.plant.velocities.into()
    }

    /// What the arm has to recover from.
    pub const fn errors(&self) -> Errors {
        self.errors
    }

    /// Share of the last hundred commands of the present motion that came in time; 0 without one.
    pub fn success_rate(&self) -> f64 {
        self.motion.as_ref().map_or(0.0, Motion::success_rate)
    }

    /// What has happened since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether a command can still come for the last state: a motion has had its first, and neither
    /// the state nor its command has fallen to a fault. A server that is patient with slow
    /// computers waits with [`tick`](Self::tick) while this holds.
    pub fn awaits_command(&self) -> bool {
        self.expecting && self.motion.as_ref().is_some_and(Motion::has_begun)
    }

    /// To switch faults while running.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.config.faults
    }

    /// The client has gone: its motion ends.
    pub fn hang_up(&mut self) {
        if self.motion.is_some() {
            self.end_motion(Outcome::Aborted);
        }
        self.inbox.reset();
        self.outbox.clear();
        self.states.clear();
        self.command = None;
        self.udp_port = None;
        self.connected = false;
        self.closing = false;
    }

    /// Takes what goes to the client by TCP.
    pub fn take_bytes(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.outbox);
    }

    /// Takes a datagram of the client's. It counts if it answers the last state; others, and what
    /// is no command, are as good as lost.
    pub fn command(&mut self, bytes: &[u8]) {
        let Ok(command) = RobotCommand::parse(self.protocol, bytes) else { return };
        self.counts.commands += 1;
        let drawn = self.random.fraction();
        let dropped = self.config.faults.drop.happens(self.counts.commands, drawn);
        if self.motion.is_some() && command.message_id == self.message_id {
            self.expecting = false;
            self.command = if dropped { self.command } else { Some(command) };
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub const fn next_due(&self) -> Timestamp {
        self.next
    }

    /// One cycle: what was commanded happens, and a state is made. The cycle waits for its command
    /// until it is due, so call it no earlier.
    pub fn tick(&mut self, now: Timestamp) {
        self.next = if now.since(self.next) > LATE { now } else { self.next }.after(PERIOD);
        self.suffer(now);
        if self.mode == RobotMode::Other {
            self.plant.brake();
            self.desired = Desired::at_rest(self.plant.positions);
        } else {
            self.torques_before = self.plant.torques;
            let push = self.push(now);
            self.advance(&push);
            self.feel();
        }
        self.message_id += 1;
        self.counts.cycles += 1;
        self.command = None;
        self.expecting = self.send(now);
    }

    /// The next state for the client, if one is due: appends it to `out`.
    pub fn transmit(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
        if self.states.front().is_none_or(|(due, _)| *due > now) {
            return false;
        }
        let Some((_, state)) = self.states.pop_front() else { return false };
        out.extend_from_slice(&state);
        true
    }

    /// When [`transmit`](Self::transmit) has something.
    pub fn next_state(&self) -> Option<Timestamp> {
        self.states.front().map(|(due, _)| *due)
    }

    /// Faults that stop the arm.
    fn suffer(&mut self, now: Timestamp) {
        let faults = self.config.faults;
        let stopped = holds(faults.user_stop, now);
        if !self.is_powered(now) {
            if self.mode != RobotMode::Other {
                self.hang_up();
                self.mode = RobotMode::Other;
            }
        } else if stopped && self.mode != RobotMode::UserStopped {
            self.end_motion(Outcome::EmergencyAborted);
            self.mode = RobotMode::UserStopped;
        } else if !stopped && holds(faults.guide, now) {
            if matches!(self.mode, RobotMode::Idle | RobotMode::Move) {
                self.end_motion(Outcome::Aborted);
                self.mode = RobotMode::Guiding;
            }
        } else if !stopped
            && matches!(self.mode, RobotMode::Other | RobotMode::UserStopped | RobotMode::Guiding)
        {
            let sound = self.errors.is_empty();
            self.mode = if sound { RobotMode::Idle } else { RobotMode::Reflex };
        }
        if self.config.faults.reflex.take_if(|start| now >= *start).is_some() {
            self.fail(Error::CARTESIAN_REFLEX);
        }
    }

    fn advance(&mut self, push: &Joints<7>) {
        if self.mode == RobotMode::Guiding {
            self.plant.float(push);
            self.desired = Desired::at_rest(self.plant.positions);
            return;
        }
        let measured = self.plant.positions;
        let mut failed = None;
        match &mut self.motion {
            Some(motion) => {
                let command = self.command.take();
                self.counts.lost += u64::from(command.is_none() && motion.has_begun());
                let progress =
                    motion.step(command.as_ref(), &self.chain, &measured, &mut self.desired);
                match (progress, motion.drive()) {
                    (Progress::Failed(error), _) => failed = Some(error),
                    (_, Drive::Torques(torques)) => self.plant.drive(&torques, push),
                    (_, Drive::Impedance) => {
                        let stiffness = self.stiffness();
                        self.plant.follow(&self.desired, &stiffness, push);
                    }
                }
                if progress == Progress::Finished {
                    self.end_motion(Outcome::Success);
                }
            }
            None => {
                self.desired = judge::brake(self.config.robot, &self.desired);
                let stiffness = self.stiffness();
                self.plant.follow(&self.desired, &stiffness, push);
            }
        }
        if self.motion.is_some() && failed.is_none() {
            let (positions, velocities) = (&self.plant.positions, &self.plant.velocities);
            failed = judge::measured(self.config.robot, positions, velocities).err();
        }
        if let Some(error) = failed {
            self.fail(error);
        }
    }

    /// What pushes the arm, as torques of the joints.
    fn push(&self, now: Timestamp) -> Joints<7> {
        let push = self
            .config
            .faults
            .push
            .filter(|(_, start)| Window { start: *start, duration: Some(PUSH) }.contains(now));
        let down = Vector3::new(0.0, 0.0, -push.map_or(0.0, |(force, _)| force));
        contact::push(&down, &self.chain.at(&self.plant.positions).jacobian())
    }

    /// What the arm feels, and whether that is a collision.
    fn feel(&mut self) {
        let kinematics = self.chain.at(&self.plant.positions);
        let origin = Pose::from(self.settings.ee_t_k).translation.vector;
        let place = kinematics.tool() * Point3::from(origin);
        self.contact.observe(&self.plant.external, &kinematics.jacobian_at(7, &place.coords));
        if !matches!(self.mode, RobotMode::Idle | RobotMode::Move) {
            return;
        }
        let (_, collision) = self.thresholds();
        let any = |flags: &[f64]| flags.iter().any(|flag| *flag != 0.0);
        if any(&contact::beyond(&self.contact.torques.into(), &collision.torques)) {
            self.fail(Error::JOINT_REFLEX);
        }
        if any(&contact::beyond(&self.contact.wrench, &collision.forces)) {
            self.fail(Error::CARTESIAN_REFLEX);
        }
    }

    /// From which on a contact is one, and a collision is one.
    pub(super) fn thresholds(&self) -> (Thresholds, Thresholds) {
        contact::thresholds(&self.settings.collision, &self.desired.accelerations)
    }

    /// Of the arm's own controller.
    fn stiffness(&self) -> Stiffness {
        let settings = &self.settings;
        match &self.motion {
            Some(motion) if motion.controller == Controller::CartesianImpedance => {
                let positions = &self.plant.positions;
                plant::cartesian_stiffness(&settings.cartesian_stiffness, &self.chain, positions)
            }
            _ => plant::joint_stiffness(&settings.joint_stiffness),
        }
    }

    /// A reflex: the motion ends, the arm brakes and waits for a recovery.
    pub(super) fn fail(&mut self, error: Error) {
        self.counts.reflexes += u64::from(self.mode != RobotMode::Reflex);
        self.errors.insert(error);
        self.reflex_reason.insert(error);
        self.end_motion(Outcome::ReflexAborted);
        self.mode = RobotMode::Reflex;
    }

    /// Ends the motion, if there is one, and answers it for the second time.
    pub(super) fn end_motion(&mut self, outcome: Outcome) {
        let Some(motion) = self.motion.take() else { return };
        reply(self.protocol, Function::Move, motion.id, outcome, &[], &mut self.outbox);
        if motion.drive() != Drive::Impedance {
            // Nothing was desired but torques: braking begins where the arm is.
            self.desired = Desired {
                velocities: self.plant.velocities,
                ..Desired::at_rest(self.plant.positions)
            };
        }
        self.mode = RobotMode::Idle;
    }

    /// Makes a state. True when it is on its way at once.
    fn send(&mut self, now: Timestamp) -> bool {
        let faults = self.config.faults;
        let drawn = self.random.fraction();
        if self.udp_port.is_none()
            || holds(faults.silence, now)
            || faults.drop_state.happens(self.message_id, drawn)
            || self.states.len() >= OUTBOX
        {
            return false;
        }
        let delay = faults.delay.filter(|(_, start)| now >= *start);
        let due = now.after(delay.map_or(Duration::ZERO, |(span, _)| span));
        let mut bytes = Vec::with_capacity(self.protocol.state_size());
        self.state().encode(self.protocol, &mut bytes);
        self.states.push_back((due, bytes));
        delay.is_none()
    }
}

fn holds(window: Option<Window>, now: Timestamp) -> bool {
    window.is_some_and(|window| window.contains(now))
}
