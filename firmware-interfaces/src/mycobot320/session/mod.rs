//! The driver's protocol engine: a state machine without I/O and without a clock.
//!
//! Its owner opens the port and calls [`Session::connected`], feeds received bytes to
//! [`Session::receive`], and does what [`Session::poll`] says. Everything else, from retries to
//! the distance between arm and gripper commands, is decided here, in virtual and in real time
//! alike.
//!
//! One request is outstanding at a time, because the firmware mixes up what arrives while it is
//! busy. Only stops do not wait.

mod failure;
mod replies;
mod samples;
mod schedule;
mod slot;

use std::time::Duration;

pub use failure::Failure;
use samples::{SampleFilter, Unanswered};
use slot::Slot;

use super::arm;
use super::config::Config;
use super::wire::{ARM_JOINTS, Frame, FrameReader, scaling};
use crate::Timestamp;
use crate::robot::{BusStatistics, Command, ControlMode, LinkStatus, State, StopRequest};
use crate::transport;

/// Bytes of one reply further apart than this belong to different replies.
const INTER_BYTE_TIMEOUT: Duration = Duration::from_millis(20);
/// How often the arm is asked whether it has power while it has none.
const POWER_POLL: Duration = Duration::from_millis(200);
/// How often a stop is sent that nobody acknowledges.
const STOP_TRIES: u32 = 3;

/// What the owner of a [`Session`] does next.
pub type Step = transport::Step<Frame, Failure>;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The port is closed.
    Closed,
    /// Asking whether the servos have power.
    Identify,
    /// Giving them power.
    PowerOn,
    /// Asking whether all have torque.
    CheckTorque,
    /// Giving all torque.
    Focus,
    /// Selecting that the latest motion wins.
    FreshMode,
    /// Reading, and commanding when armed.
    Running,
    /// Without power; asking now and then whether that has changed.
    Unpowered,
    /// Given up.
    Lost,
}

/// Why a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Power,
    PowerOn,
    Torque,
    Focus,
    FreshMode,
    Angles,
    Gripper,
    ArmCommand,
    GripperCommand,
    Hold,
    Release,
    PowerOff,
}

impl Purpose {
    const fn is_stop(self) -> bool {
        matches!(self, Self::Hold | Self::Release | Self::PowerOff)
    }

    const fn is_setter(self) -> bool {
        !matches!(self, Self::Power | Self::Torque | Self::Angles | Self::Gripper)
    }
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    purpose: Purpose,
    command: u8,
    name: &'static str,
    sent: Timestamp,
    deadline: Timestamp,
}

/// The stop requests that are still to be delivered: tries left of each.
#[derive(Clone, Copy, Debug, Default)]
struct Stops {
    hold: u32,
    release: u32,
    power_off: u32,
}

impl Stops {
    const fn next(self) -> Option<Purpose> {
        if self.release > 0 {
            Some(Purpose::Release)
        } else if self.power_off > 0 {
            Some(Purpose::PowerOff)
        } else if self.hold > 0 {
            Some(Purpose::Hold)
        } else {
            None
        }
    }
}

/// Whether commands are wanted and passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    Disarmed,
    /// Since this time; done when every joint has been read after it.
    Wanted(Timestamp),
    Armed,
}

/// The protocol engine. See the [module](self).
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    command_period: Duration,
    phase: Phase,
    arming: Arming,
    stops: Stops,
    /// A stop was tried for the last time without an acknowledgement.
    unheard: bool,
    outstanding: Option<Outstanding>,
    reader: FrameReader,
    skipped_before: u64,
    last_byte: Timestamp,
    /// Nothing but stops is sent before this time.
    quiet_until: Timestamp,
    arm: Slot<[i16; ARM_JOINTS]>,
    gripper: Slot<u8>,
    filter: SampleFilter,
    unanswered: Unanswered,
    next_angles: Timestamp,
    /// Requests sent since the last one for angles.
    since_angles: u32,
    next_gripper: Timestamp,
    next_power: Timestamp,
    /// Where the gripper was last sent, and where it was last seen.
    gripper_commanded: Option<f64>,
    gripper_seen: Option<f64>,
    gripper_failures: u32,
    /// Requests without an answer in a row.
    failures: u32,
    /// How often the present phase's setter was sent without an acknowledgement.
    setter_tries: u32,
    down_since: Option<Timestamp>,
    /// The next sample begins a new epoch.
    epoch_ends: bool,
    connected_before: bool,
    /// Torque was removed by us, so power must be given whatever the arm says.
    torque_removed: bool,
    failure: Option<Failure>,
    state: State,
    statistics: BusStatistics,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: Config) -> Self {
        let rate = config.max_command_rate_hz;
        let period = if rate.is_finite() && rate > 0.0 { 1.0 / rate } else { 1.0 };
        Self {
            command_period: Duration::try_from_secs_f64(period).unwrap_or(Duration::from_secs(1)),
            phase: Phase::Closed,
            arming: Arming::Disarmed,
            stops: Stops::default(),
            unheard: false,
            outstanding: None,
            reader: FrameReader::new(),
            skipped_before: 0,
            last_byte: Timestamp::ZERO,
            quiet_until: Timestamp::ZERO,
            arm: Slot::new(),
            gripper: Slot::new(),
            filter: SampleFilter::new(&config),
            unanswered: Unanswered::new(),
            next_angles: Timestamp::ZERO,
            since_angles: 0,
            next_gripper: Timestamp::ZERO,
            next_power: Timestamp::ZERO,
            gripper_commanded: None,
            gripper_seen: None,
            gripper_failures: 0,
            failures: 0,
            setter_tries: 0,
            down_since: None,
            epoch_ends: true,
            connected_before: false,
            torque_removed: false,
            failure: None,
            state: State::default(),
            statistics: BusStatistics::default(),
            config,
        }
    }

    /// The port has been opened.
    pub fn connected(&mut self, now: Timestamp) {
        if self.phase == Phase::Lost {
            return;
        }
        self.down_since.get_or_insert(now);
        self.phase = Phase::Identify;
        self.setter_tries = 0;
        self.next_power = now;
        self.next_angles = now;
        self.next_gripper = now;
        self.quiet_until = now;
    }

    /// The port has been closed, or could not be opened. Commands that were not sent are dropped;
    /// stops stay and go out first after the next [`Session::connected`].
    pub fn disconnected(&mut self, now: Timestamp, failure: Failure) {
        if self.phase == Phase::Lost {
            return;
        }
        self.failure = Some(failure);
        self.phase = Phase::Closed;
        self.state.link = LinkStatus::Down;
        self.down_since.get_or_insert(now);
        self.outstanding = None;
        self.failures = 0;
        self.epoch_ends = true;
        self.arm.clear();
        self.gripper.clear();
        self.filter.reset();
        self.unanswered.clear();
        self.skip_partial();
    }

    /// Powers the arm if needed and passes commands on once every joint has been read.
    pub fn arm(&mut self, now: Timestamp) {
        if matches!(self.phase, Phase::Lost) {
            return;
        }
        self.arming = Arming::Wanted(now);
        self.failure = None;
        self.next_power = now;
        self.next_angles = now;
        self.next_gripper = now;
        if self.phase != Phase::Closed {
            self.phase = Phase::Identify;
        }
    }

    /// Ends an arming that has not succeeded in time.
    pub fn cancel_arming(&mut self) {
        if matches!(self.arming, Arming::Wanted(_)) {
            self.arming = Arming::Disarmed;
            if self.phase == Phase::PowerOn {
                self.phase = Phase::Identify;
            }
        }
    }

    /// True once [`Session::arm`] has been served, until torque off.
    pub fn is_armed(&self) -> bool {
        self.arming == Arming::Armed
    }

    /// Takes a command. It is dropped unless the arm is armed, the command was made for the
    /// present connection and every value is finite and in range.
    pub fn command(&mut self, command: &Command) {
        if command.mode != ControlMode::Position
            || !self.is_armed()
            || command.epoch != self.state.epoch
            || self.epoch_ends
        {
            return;
        }
        let mut angles = [0; ARM_JOINTS];
        for (joint, (angle, position)) in angles.iter_mut().zip(&command.position).enumerate() {
            let Some(wire) = wire_angle(joint, *position) else {
                return self.refuse(Failure::BadCommand { joint: joint + 1 });
            };
            *angle = wire;
        }
        let gripper = self.config.gripper_index();
        let opening = gripper.map(|index| (command.position[index], self.state.position[index]));
        if opening.is_some_and(|(opening, _)| !opening.is_finite()) {
            return self.refuse(Failure::BadCommand { joint: ARM_JOINTS + 1 });
        }
        let mut superseded = u64::from(self.arm.offer(angles));
        if let Some((opening, said)) = opening {
            let value = scaling::gripper_from_opening(opening);
            let known = self.gripper_commanded.is_some() || self.gripper_seen.is_some();
            // A gripper that nobody has seen may hold something: it is left alone until something
            // else is asked of it than to stay where it is said to be.
            if known || value != scaling::gripper_from_opening(said) {
                superseded += u64::from(self.gripper.offer(value));
            }
        }
        self.statistics.superseded += superseded;
    }

    /// Takes a stop request. Unsent commands are dropped.
    pub fn stop(&mut self, request: StopRequest) {
        self.arm.clear();
        self.gripper.clear();
        self.unheard = false;
        match request {
            StopRequest::Hold => self.stops.hold = STOP_TRIES,
            StopRequest::TorqueOff => {
                self.arming = Arming::Disarmed;
                self.torque_removed = true;
                self.stops = Stops { hold: 0, release: STOP_TRIES, power_off: STOP_TRIES };
            }
        }
    }

    /// True while a stop request is still to be delivered.
    pub const fn is_stopping(&self) -> bool {
        self.stops.next().is_some()
    }

    /// True when the last stop went out as often as it may and the arm, which acknowledges, never
    /// said that it heard it.
    pub const fn is_unheard(&self) -> bool {
        self.unheard && self.config.expect_ack
    }

    /// The latest state.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Counters so far.
    pub const fn statistics(&self) -> &BusStatistics {
        &self.statistics
    }

    /// The last failure, if any.
    pub const fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Gives up: nothing is sent any more.
    pub fn give_up(&mut self) {
        self.phase = Phase::Lost;
        self.state.link = LinkStatus::Lost;
        self.arming = Arming::Disarmed;
        self.outstanding = None;
    }

    fn refuse(&mut self, failure: Failure) {
        self.statistics.rejected += 1;
        self.failure = Some(failure);
    }

    fn skip_partial(&mut self) {
        self.reader.reset();
        self.count_garbage();
    }

    fn count_garbage(&mut self) {
        let skipped = self.reader.skipped();
        self.statistics.garbage_bytes += skipped - self.skipped_before;
        self.skipped_before = skipped;
    }
}

/// A commanded angle as sent; `None` if it is not finite or outside the joint's range.
fn wire_angle(joint: usize, radians: f64) -> Option<i16> {
    let most = scaling::angle_from_degrees(*arm::JOINT_RANGE_DEGREES.get(joint)?);
    let angle = scaling::angle_from_radians(radians);
    (radians.is_finite() && (-most..=most).contains(&angle)).then_some(angle)
}
