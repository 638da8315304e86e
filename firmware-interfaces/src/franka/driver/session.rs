//! What is known of the arm, and what it is told next: without sockets, threads and clock.

use super::config::{ARM_JOINTS, Config, GRIPPER, opening};
use super::failure::Failure;
use crate::Timestamp;
use crate::franka::wire::{Errors, RobotMode};
use crate::robot::{
    BusStatistics, Command, ControlMode, DeviceTick, LinkStatus, MAX_JOINTS, State,
};

/// Cycles in which what the arm's own controller leaves between wanted and measured place is faded
/// out: slowly enough to add nothing to speed and acceleration.
const FADE: f64 = 5000.0;

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
    /// That less where the joints were measured.
    offset: [f64; ARM_JOINTS],
    /// Cycles since the first command.
    cycles: u32,
    /// True once a command has come.
    commanded: bool,
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
    }

    /// A motion has begun with the last state: commands begin where the arm is.
    pub fn begin(&mut self) {
        let Some(sample) = &self.sample else { return };
        let offset = std::array::from_fn(|i| sample.desired[i] - sample.positions[i]);
        self.motion = Some(Motion { start: sample.desired, offset, cycles: 0, commanded: false });
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
            return Some(match self.config.mode {
                ControlMode::Position => Outgoing::Positions(motion.start),
                ControlMode::Effort => Outgoing::Torques([0.0; ARM_JOINTS]),
            });
        };
        motion.commanded = true;
        motion.cycles = motion.cycles.saturating_add(1);
        self.statistics.commands += 1;
        let arm = |values: &[f64; MAX_JOINTS]| std::array::from_fn(|joint| values[joint]);
        Some(match self.config.mode {
            ControlMode::Effort => Outgoing::Torques(arm(&command.effort)),
            ControlMode::Position => {
                let left = 1.0 - smooth(f64::from(motion.cycles - 1) / FADE);
                let wanted: [f64; ARM_JOINTS] = arm(&command.position);
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
