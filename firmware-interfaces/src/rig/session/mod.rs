//! The driver's protocol engine: a state machine without I/O and without a clock.
//!
//! Its owner opens the port and calls [`Session::connected`], feeds received bytes to
//! [`Session::receive`], and does what [`Session::poll`] says. Everything else is decided here, in
//! virtual and in real time alike.
//!
//! The device sends its state by itself; nothing is asked for in between. Commands go out as they
//! come, the newest only, and are confirmed by the states that follow.

mod device_time;
mod failure;
mod filter;
mod gyro;
mod samples;
mod schedule;
#[cfg(test)]
mod tests;

use device_time::DeviceTime;
pub use failure::Failure;
use filter::Filter;
use gyro::GyroFilter;

use super::config::{Config, Protocol};
use super::wire::{Columns, FrameReader, LineReader, Mode, Packet, Request};
use crate::Timestamp;
use crate::robot::{
    BusStatistics, Command, ControlMode, DeviceTick, LinkStatus, State, StopRequest,
};
use crate::transport;

/// What the owner of a [`Session`] does next.
pub type Step = transport::Step<Packet, Failure>;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The port is closed.
    Closed,
    /// Asking who is there.
    Identify,
    /// State arrives.
    Running,
    /// Given up.
    Lost,
}

/// Whether commands are wanted and passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    Disarmed,
    /// Since this time; done when a state taken after it says that the motor has torque.
    Wanted(Timestamp),
    Armed,
}

/// A stop on its way.
#[derive(Clone, Copy, Debug)]
struct Stop {
    request: StopRequest,
    tries: u32,
    sent: Timestamp,
}

/// How the device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Unknown,
    Binary,
    Text,
}

/// The protocol engine. See the [module](self).
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    speech: Speech,
    arming: Arming,
    stop: Option<Stop>,
    /// A stop was sent as often as it may without a state that confirms it.
    unheard: bool,
    frames: FrameReader,
    lines: LineReader,
    columns: Columns,
    garbage_before: u64,
    damaged_before: u64,
    filter: Filter,
    gyro: GyroFilter,
    /// States in a row that had something in them that is no number.
    unusable: u32,
    time: DeviceTime,
    /// The device's last count of periods, as it came.
    last_index: Option<u32>,
    /// The newest beat, counted without wrapping; 0 before the first.
    beat: DeviceTick,
    /// A time of the device's that may be the first after a restart, or damage.
    suspect: Option<u64>,
    /// What the motor follows, as the device said last, and when that was so.
    mode: Mode,
    mode_at: Timestamp,
    /// The last sample said what ends a link if the next one says it too.
    bad_news: bool,
    /// The last sample lacked something that the device should measure.
    lacks: bool,
    pending: Option<Request>,
    /// The last request that went out was a motion.
    sent_motion: bool,
    sequence: u8,
    /// When something valid came last, or the port was opened.
    heard: Timestamp,
    sent: Timestamp,
    next_hello: Timestamp,
    /// The device was told rate and watchdog on this connection.
    configured: bool,
    next_arm: Timestamp,
    down_since: Option<Timestamp>,
    /// The next sample begins a new epoch.
    epoch_ends: bool,
    connected_before: bool,
    failure: Option<Failure>,
    state: State,
    statistics: BusStatistics,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: Config) -> Self {
        Self {
            phase: Phase::Closed,
            speech: speech(config.protocol),
            arming: Arming::Disarmed,
            stop: None,
            unheard: false,
            frames: FrameReader::new(),
            lines: LineReader::new(),
            columns: Columns::default(),
            garbage_before: 0,
            damaged_before: 0,
            filter: Filter::new(&config),
            gyro: GyroFilter::new(&config),
            unusable: 0,
            time: DeviceTime::default(),
            last_index: None,
            beat: DeviceTick { index: 0, arrived: Timestamp::ZERO },
            suspect: None,
            mode: Mode::Off,
            mode_at: Timestamp::ZERO,
            bad_news: false,
            lacks: false,
            pending: None,
            sent_motion: false,
            sequence: 0,
            heard: Timestamp::ZERO,
            sent: Timestamp::ZERO,
            next_hello: Timestamp::ZERO,
            configured: false,
            next_arm: Timestamp::ZERO,
            down_since: None,
            epoch_ends: true,
            connected_before: false,
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
        self.speech = speech(self.config.protocol);
        self.columns = Columns::default();
        self.configured = false;
        self.heard = now;
        self.sent = now;
        self.next_hello = now;
        self.next_arm = now;
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
        self.pending = None;
        self.epoch_ends = true;
        self.filter.reset();
        self.gyro.reset();
        self.time.reset();
        self.suspect = None;
        // Silence was the first sign that it may have held.
        self.bad_news = true;
        self.last_index = None;
        self.frames.reset();
        self.lines.reset();
        self.count_garbage();
    }

    /// Gives the motor torque where it stands, and passes commands on once it has it.
    pub fn arm(&mut self, now: Timestamp) {
        if self.phase != Phase::Lost {
            self.arming = Arming::Wanted(now);
            self.failure = None;
            self.next_arm = now;
        }
    }

    /// Ends an arming that has not succeeded in time. The motor may have got torque by then.
    pub fn cancel_arming(&mut self) {
        if matches!(self.arming, Arming::Wanted(_)) {
            self.stop(self.sent, StopRequest::TorqueOff);
        }
    }

    /// True once [`Session::arm`] has been served, until torque off.
    pub fn is_armed(&self) -> bool {
        self.arming == Arming::Armed
    }

    /// Takes a command. It is dropped unless the motor is armed, the command was made for the
    /// present connection and its value is finite and in range. A torque that is not ends the one
    /// before: the device holds.
    pub fn command(&mut self, now: Timestamp, command: &Command) {
        if !self.is_armed() || command.epoch != self.state.epoch || self.epoch_ends {
            return;
        }
        let (value, most) = match command.mode {
            ControlMode::Position => (command.position[0], self.config.travel),
            ControlMode::Effort => (command.effort[0], self.config.max_effort),
        };
        // What is no number is in no range.
        if !(-most..=most).contains(&value) {
            self.statistics.rejected += 1;
            self.failure = Some(Failure::BadCommand { value, most });
            if command.mode == ControlMode::Effort {
                self.stop(now, StopRequest::Hold);
            }
            return;
        }
        let request = match command.mode {
            ControlMode::Position => Request::Position(value),
            ControlMode::Effort => Request::Torque(value),
        };
        self.statistics.superseded += u64::from(self.pending.replace(request).is_some());
    }

    /// Takes a stop request. An unsent command is dropped. A motor without torque gets none to hold
    /// with.
    pub fn stop(&mut self, now: Timestamp, request: StopRequest) {
        self.pending = None;
        if request == StopRequest::Hold && self.arming == Arming::Disarmed {
            return;
        }
        self.unheard = false;
        if request == StopRequest::TorqueOff {
            self.arming = Arming::Disarmed;
        }
        let off = self.stop.is_some_and(|stop| stop.request == StopRequest::TorqueOff);
        if !off || request == StopRequest::TorqueOff {
            self.stop = Some(Stop { request, tries: 0, sent: now });
        }
    }

    /// True while a stop request is still to be delivered.
    pub const fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// True when the last stop went out as often as it may and no state confirmed it.
    pub const fn is_unheard(&self) -> bool {
        self.unheard
    }

    /// The latest state.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The newest beat of the device; `None` before the first.
    pub fn beat(&self) -> Option<DeviceTick> {
        (self.beat.index > 0).then_some(self.beat)
    }

    /// Counters so far.
    pub const fn statistics(&self) -> &BusStatistics {
        &self.statistics
    }

    /// The last failure, if any.
    pub const fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Gives up: nothing but stops is sent any more.
    pub fn give_up(&mut self, failure: Option<Failure>) {
        if failure.is_some() {
            self.failure = failure;
        }
        self.phase = Phase::Lost;
        self.state.link = LinkStatus::Lost;
        self.arming = Arming::Disarmed;
        self.pending = None;
    }

    fn refuse(&mut self, failure: Failure) {
        self.statistics.rejected += 1;
        self.failure = Some(failure);
    }

    fn count_garbage(&mut self) {
        let garbage = match self.speech {
            Speech::Text => self.lines.skipped(),
            Speech::Binary | Speech::Unknown => self.frames.skipped(),
        };
        self.statistics.garbage_bytes += garbage.saturating_sub(self.garbage_before);
        self.garbage_before = garbage;
        let damaged = self.frames.damaged();
        self.statistics.rejected += damaged - self.damaged_before;
        self.damaged_before = damaged;
    }
}

const fn speech(protocol: Protocol) -> Speech {
    match protocol {
        Protocol::Auto => Speech::Unknown,
        Protocol::Binary => Speech::Binary,
        Protocol::Text => Speech::Text,
    }
}
