//! What is known of the arm, and what it is told next: without sockets, threads and clock.

use super::config::{ARM_JOINTS, Config, GRIPPER, opening};
use super::failure::Failure;
use crate::Timestamp;
use crate::franka::wire::{Errors, RobotMode};
use crate::robot::{BusStatistics, Command, ControlMode, DeviceTick, LinkStatus, State};

/// Cycles in which what the arm's own controller leaves between wanted and measured place is faded
/// out: slowly enough to add nothing to speed and acceleration.
const FADE: f64 = 5000.0;

/// Largest change of a torque from one command to the next, N·m: the arm allows 1.
const MOST_CHANGE: f64 = 0.99;
/// States that a motion in torque goes on for without a command: until it comes, nothing but its own
/// model holds the arm.
const MOST_WAITED: u32 = 300;
/// Farthest that the first command may be from where the arm is told to stay, rad.
const NEAR: f64 = 0.1;

/// What a state of the arm's says, in SI units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Milliseconds since the arm started.
    pub message_id: u64,
    pub mode: RobotMode,
    pub positions: [f64; ARM_JOINTS],
    pub velocities: [f64; ARM_JOINTS],
    /// Measured, gravity included.
    pub torques: [f64; ARM_JOINTS],
    /// Where the arm's own controller wants its joints.
    pub desired: [f64; ARM_JOINTS],
    pub external_torques: [f64; ARM_JOINTS],
    /// On the end effector, in the axes of the base.
    pub external_force: [f64; 6],
    pub success_rate: f64,
    pub errors: Errors,
}

/// What goes to the arm in one cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outgoing {
    Positions([f64; ARM_JOINTS]),
    Torques([f64; ARM_JOINTS]),
}

/// A motion that has begun.
#[derive(Clone, Copy, Debug)]
struct Motion {
    /// Where the arm's own controller wanted it then.
    start: [f64; ARM_JOINTS],
    /// That less the first command.
    offset: [f64; ARM_JOINTS],
    /// Cycles since the first command.
    cycles: u32,
    /// True once a command has come.
    commanded: bool,
    /// States that were answered without one.
    waited: u32,
    /// Torques that were sent last.
    torques: [f64; ARM_JOINTS],
}

/// The driver's knowledge.
#[derive(Debug)]
pub(super) struct Session {
    config: Config,
    state: State,
    beat: Option<DeviceTick>,
    statistics: BusStatistics,
    failure: Option<Failure>,
    armed: bool,
    sample: Option<Sample>,
    motion: Option<Motion>,
    /// The answer to the last state.
    command: Option<Command>,
    /// The opening that was commanded last.
    opening: Option<f64>,
}

impl Session {
    pub fn new(config: Config) -> Self {
        let mut state = State { epoch: 1, ..State::default() };
        if config.gripper.is_some() {
            state.substituted = 1 << GRIPPER;
        }
        Self {
            config,
            state,
            beat: None,
            statistics: BusStatistics::default(),
            failure: None,
            armed: false,
            sample: None,
            motion: None,
            command: None,
            opening: None,
        }
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    pub const fn state(&self) -> &State {
        &self.state
    }

    pub const fn beat(&self) -> Option<DeviceTick> {
        self.beat
    }

    pub const fn statistics(&self) -> &BusStatistics {
        &self.statistics
    }

    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// The last state.
    pub const fn sample(&self) -> Option<&Sample> {
        self.sample.as_ref()
    }

    pub fn is_lost(&self) -> bool {
        self.state.link == LinkStatus::Lost
    }

    /// Takes a state that arrived at `now`.
    pub fn receive(&mut self, now: Timestamp, sample: &Sample) {
        let passed = match &self.sample {
            Some(before) => sample.message_id.saturating_sub(before.message_id).max(1),
            None => 1,
        };
        self.statistics.timeouts += passed - 1;
        self.statistics.replies += 1;
        let state = &mut self.state;
        state.position[..ARM_JOINTS].copy_from_slice(&sample.positions);
        state.velocity[..ARM_JOINTS].copy_from_slice(&sample.velocities);
        state.effort[..ARM_JOINTS].copy_from_slice(&sample.torques);
        state.captured[..ARM_JOINTS].fill(now);
        state.sensors[..ARM_JOINTS].copy_from_slice(&sample.external_torques);
        state.sensors[ARM_JOINTS..ARM_JOINTS + 6].copy_from_slice(&sample.external_force);
        state.sensors[ARM_JOINTS + 6] = sample.success_rate;
        state.sequence += passed;
        if state.link == LinkStatus::Down {
            state.link = LinkStatus::Up;
        }
        self.beat = Some(DeviceTick { index: sample.message_id, arrived: now });
        self.sample = Some(*sample);
        self.command = None;
    }

    /// Takes a width of the hand's, in m, measured at `now`.
    pub const fn receive_width(&mut self, now: Timestamp, width: f64) {
        if self.config.gripper.is_some() {
            self.state.position[GRIPPER] = opening(width);
            self.state.captured[GRIPPER] = now;
            self.state.sensors[ARM_JOINTS + 7] = width;
            self.state.substituted = 0;
        }
    }

    /// Whether the arm has to be recovered from an error before it can be armed.
    ///
    /// # Errors
    /// Why it cannot be armed.
    pub fn must_recover(&self) -> Result<bool, Failure> {
        match self.sample.as_ref().map(|sample| (sample.mode, sample.errors)) {
            Some((RobotMode::Idle | RobotMode::Move, _)) => Ok(false),
            Some((RobotMode::Reflex, _)) if self.config.recover => Ok(true),
            Some((RobotMode::Reflex, errors)) => Err(Failure::Reflex(errors)),
            Some((mode, _)) => Err(Failure::Mode(mode)),
            None => Err(Failure::Silent),
        }
    }

    /// Commands are wanted from now on.
    pub fn arm(&mut self) {
        self.armed = true;
        self.failure = None;
    }

    /// No command is sent any more until the next arming.
    pub fn disarm(&mut self) {
        self.armed = false;
        self.motion = None;
    }

    /// The motion has ended in good order; the next command begins another one.
    pub fn end(&mut self) {
        self.motion = None;
        self.opening = None;
    }

    /// A motion has begun with the last state: commands begin where the arm is.
    pub fn begin(&mut self) {
        let Some(sample) = &self.sample else { return };
        self.motion = Some(Motion {
            start: sample.desired,
            offset: [0.0; ARM_JOINTS],
            cycles: 0,
            commanded: false,
            waited: 0,
            torques: [0.0; ARM_JOINTS],
        });
        self.state.epoch += 1;
        self.command = None;
    }

    /// True when an armed arm is told to move, and no motion has begun.
    pub fn wants_motion(&self, command: &Command) -> bool {
        self.armed && self.motion.is_none() && command.epoch == self.state.epoch
    }

    /// Takes a command. One that does not answer the last state comes too late: the arm has gone on
    /// without. Only the first of a motion may: the arm is told to stay until it comes, and a way
    /// that had begun without the arm would end in a jump.
    pub fn command(&mut self, command: &Command) {
        let arrived = match self.beat {
            Some(beat) if self.motion.is_some_and(|motion| motion.commanded) => beat.arrived,
            _ => Timestamp::ZERO,
        };
        if command.epoch != self.state.epoch || command.mode != self.config.mode {
            return;
        }
        if command.issued < arrived {
            self.statistics.superseded += 1;
            return;
        }
        self.command = Some(*command);
        if self.config.gripper.is_some() {
            self.opening = Some(command.position[GRIPPER]);
        }
    }

    /// True while the last state waits for its command: until the first one comes, the arm is told
    /// to stay.
    pub fn waits(&self) -> bool {
        self.command.is_none() && self.motion.is_some_and(|motion| motion.commanded)
    }

    /// True when a motion in torque is to end because nobody commands it.
    pub fn is_forsaken(&self) -> bool {
        let waited = self.motion.is_some_and(|it| !it.commanded && it.waited >= MOST_WAITED);
        waited && self.config.mode == ControlMode::Effort
    }

    /// Where a first command is too far from the arm to be followed.
    pub fn far_start(&self) -> Option<Failure> {
        let (motion, command) = (self.motion.as_ref()?, self.command.as_ref()?);
        if motion.commanded || self.config.mode != ControlMode::Position {
            return None;
        }
        let far = |joint: &usize| (motion.start[*joint] - command.position[*joint]).abs() > NEAR;
        let joint = (0..ARM_JOINTS).find(far)?;
        let (from, to) = (motion.start[joint], command.position[joint]);
        Some(Failure::Start { joint, from, to })
    }

    /// A motion is about to begin: until its first state nothing is known.
    pub fn begins(&mut self) {
        if self.state.link == LinkStatus::Up {
            self.state.link = LinkStatus::Down;
        }
    }

    /// The hand's width is not known any more.
    pub const fn lose_width(&mut self) {
        if self.config.gripper.is_some() {
            self.state.substituted = 1 << GRIPPER;
        }
    }

    /// The opening that is wanted of the hand, 0 to 1.
    pub const fn wanted_opening(&self) -> Option<f64> {
        self.opening
    }

    /// What to answer the last state; `None` where its command did not come in time.
    pub fn outgoing(&mut self) -> Option<Outgoing> {
        let motion = self.motion.as_mut()?;
        let Some(command) = self.command.take() else {
            if motion.commanded {
                return None;
            }
            motion.waited += 1;
            return Some(match self.config.mode {
                ControlMode::Position => Outgoing::Positions(motion.start),
                ControlMode::Effort => Outgoing::Torques([0.0; ARM_JOINTS]),
            });
        };
        let first = !std::mem::replace(&mut motion.commanded, true);
        motion.cycles = motion.cycles.saturating_add(1);
        self.statistics.commands += 1;
        Some(match self.config.mode {
            ControlMode::Effort => {
                let wanted: [f64; ARM_JOINTS] = std::array::from_fn(|i| command.effort[i]);
                for (torque, wanted) in motion.torques.iter_mut().zip(wanted) {
                    // The arm has kept the torques of the last command that it took.
                    let change = (wanted - *torque).clamp(-MOST_CHANGE, MOST_CHANGE);
                    self.statistics.substituted += u64::from(change != wanted - *torque);
                    *torque += change;
                }
                Outgoing::Torques(motion.torques)
            }
            ControlMode::Position => {
                let wanted: [f64; ARM_JOINTS] = std::array::from_fn(|i| command.position[i]);
                if first {
                    motion.offset = std::array::from_fn(|i| motion.start[i] - wanted[i]);
                }
                let left = 1.0 - smooth(f64::from(motion.cycles - 1) / FADE);
                Outgoing::Positions(std::array::from_fn(|i| wanted[i] + left * motion.offset[i]))
            }
        })
    }

    /// `span` after a state its answer is on its way.
    pub fn answered(&mut self, span: std::time::Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.statistics.requests += 1;
        self.statistics.reads += 1;
        self.statistics.read_ns_sum += span;
        self.statistics.read_ns_max = self.statistics.read_ns_max.max(span);
    }

    /// Arming has failed; the arm may be armed again.
    pub fn refused(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.disarm();
    }

    /// The arm is lost until the driver is opened again. Where a motion was lost, the arm has stopped
    /// by itself: a person looks first.
    pub fn failed(&mut self, failure: Failure) {
        self.refused(failure);
        self.state.link = LinkStatus::Lost;
    }
}

/// From 0 to 1 without a jump in speed or acceleration at either end.
fn smooth(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * x * (10.0 + x * (6.0 * x - 15.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robot::MAX_JOINTS;

    fn sample(message_id: u64) -> Sample {
        Sample {
            message_id,
            mode: RobotMode::Move,
            positions: [0.1; 7],
            velocities: [0.0; 7],
            torques: [0.0; 7],
            desired: [0.101; 7],
            external_torques: [0.0; 7],
            external_force: [0.0; 6],
            success_rate: 1.0,
            errors: Errors::NONE,
        }
    }

    fn command(session: &Session, position: f64, at: Timestamp) -> Command {
        Command {
            mode: ControlMode::Position,
            position: [position; MAX_JOINTS],
            effort: [0.0; MAX_JOINTS],
            issued: at,
            epoch: session.state().epoch,
        }
    }

    fn begun() -> Session {
        let mut session = Session::new(Config::default());
        session.arm();
        session.receive(Timestamp::from_nanos(1_000_000), &sample(1));
        session.begin();
        session
    }

    #[test]
    fn commands_begin_where_the_arms_controller_wants_it_and_end_up_as_said() {
        let mut session = begun();
        assert_eq!(session.outgoing(), Some(Outgoing::Positions([0.101; 7])), "until one comes");
        let mut last = 0.101;
        for cycle in 2..6000_u64 {
            let now = Timestamp::from_nanos(cycle * 1_000_000);
            session.receive(now, &sample(cycle));
            session.command(&command(&session, 0.1, now));
            let Some(Outgoing::Positions(told)) = session.outgoing() else { panic!("{cycle}") };
            assert!((told[3] - last).abs() < 1e-6, "{cycle}: {} after {last}", told[3]);
            last = told[3];
        }
        assert_eq!(last, 0.1);
        assert_eq!(session.statistics().timeouts, 0);
    }

    #[test]
    fn a_motion_begins_without_a_jump_wherever_the_arm_has_sagged_to() {
        let mut session = begun();
        assert_eq!(session.outgoing(), Some(Outgoing::Positions([0.101; 7])));
        let now = Timestamp::from_nanos(400_000_000);
        session.receive(now, &Sample { positions: [0.097; 7], ..sample(400) });
        session.command(&command(&session, 0.097, now));
        assert_eq!(session.far_start(), None);
        assert_eq!(session.outgoing(), Some(Outgoing::Positions([0.101; 7])));
        let mut session = begun();
        session.command(&command(&session, 0.3, now));
        assert!(matches!(session.far_start(), Some(Failure::Start { joint: 0, .. })));
    }

    #[test]
    fn torques_change_slowly_from_the_last_that_the_arm_took_and_not_without_end() {
        let mut session = Session::new(Config { mode: ControlMode::Effort, ..Config::default() });
        session.arm();
        session.receive(Timestamp::from_nanos(1), &sample(1));
        session.begin();
        let told = |session: &mut Session, effort, cycle: u64| {
            let now = Timestamp::from_nanos(cycle * 1_000_000);
            session.receive(now, &sample(cycle));
            let mode = ControlMode::Effort;
            let effort = [effort; MAX_JOINTS];
            session.command(&Command { mode, effort, ..command(session, 0.0, now) });
            session.outgoing()
        };
        assert_eq!(told(&mut session, 0.5, 2), Some(Outgoing::Torques([0.5; 7])));
        assert_eq!(told(&mut session, 3.0, 4), Some(Outgoing::Torques([1.49; 7])));
        assert_eq!(session.statistics().substituted, 7);
        session.begin();
        assert!(!session.is_forsaken());
        (0..400).for_each(|_| assert!(session.outgoing().is_some()));
        assert!(session.is_forsaken());
    }

    #[test]
    fn a_command_for_an_older_state_or_connection_is_not_sent() {
        let mut session = begun();
        let now = Timestamp::from_nanos(2_000_000);
        session.receive(now, &sample(2));
        session.command(&command(&session, 0.1, now));
        assert!(session.outgoing().is_some());
        session.receive(Timestamp::from_nanos(3_000_000), &sample(4));
        assert_eq!(session.statistics().timeouts, 1, "a state was lost");
        assert!(session.waits());
        session.command(&command(&session, 0.1, now));
        assert_eq!((session.outgoing(), session.statistics().superseded), (None, 1));
        let old = Command { epoch: 1, ..command(&session, 0.1, Timestamp::from_nanos(4_000_000)) };
        session.command(&old);
        assert_eq!(session.outgoing(), None);
    }

    #[test]
    fn what_fails_is_lost_until_it_is_opened_again() {
        let mut session = begun();
        session.failed(Failure::UserStop);
        assert!(session.is_lost());
        assert_eq!(session.outgoing(), None);
        let next = command(&session, 0.1, Timestamp::from_nanos(9_000_000));
        assert!(!session.wants_motion(&next));
        assert_eq!(session.failure(), Some(&Failure::UserStop));
    }
}
