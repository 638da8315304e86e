//! The driver's protocol engine: a state machine without I/O and without a clock.
//!
//! Its owner opens the bus and calls [`Session::connected`], feeds frames to [`Session::receive`]
//! and does what [`Session::poll`] says.
//!
//! Each actuator has at most one question open, so an answer belongs to it beyond doubt and its
//! sample has the time at which it was asked for. A command is a question, too: it is answered with
//! the state. It is repeated at the bus's own rate, because what these motors have as a watchdog
//! wants to hear something.

mod device;
mod failure;
mod joint;
mod readings;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub(super) use failure::arming_error;
pub use failure::{Failure, Named};

use device::{Device, Target};
use joint::{Joint, Phase};

use super::config::{Config, JointConfig};
use crate::Timestamp;
use crate::can::{Condition, Event, Frame};
use crate::robot::{BusStatistics, Command, ControlMode, LinkStatus, State, StopRequest};
use crate::transport;

/// How often slow quantities and the adapter's flags are asked for.
const SLOW_PERIOD: Duration = Duration::from_millis(250);
/// How often torque off is sent to an actuator that does not say that it has none.
const DISABLE_TRIES: u32 = 10;
/// By how much the speed may change from one reading to the next, in rad/s of the joint: 2000 rad/s²
/// for 10 ms.
const SPEED_CHANGE: f64 = 20.0;
/// Readings that jump in a row until they are taken for a broken encoder.
const MOST_JUMPS: u32 = 5;
/// Frames that can wait to be sent.
const QUEUE: usize = 256;

/// What goes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packet {
    /// A frame on the bus.
    Frame(Frame),
    /// The question to the adapter how the bus is.
    AskCondition,
}

/// What the owner of a [`Session`] does next.
pub type Step = transport::Step<Packet, Failure>;

/// Whether commands are wanted and passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    Disarmed,
    /// Since this time; done when every actuator has torque and has been read.
    Wanted(Timestamp),
    /// It was wanted and cannot be.
    Failed,
    Armed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Closed,
    Open,
    /// Given up.
    Lost,
}

/// The protocol engine. See the [module](self).
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    names: Vec<String>,
    period: Duration,
    joints: Vec<Joint>,
    /// Where each joint's temperature, rotor temperature and supply go.
    sensors: Vec<[Option<usize>; 3]>,
    link: Link,
    arming: Arming,
    queue: VecDeque<Frame>,
    next_turn: Timestamp,
    next_slow: Timestamp,
    ask_condition: bool,
    last_command: Timestamp,
    /// A command that no turn has sent yet.
    unsent: bool,
    /// Joints that have not been told to hold yet, and those that have not answered to it, as bit
    /// sets.
    holding: u32,
    hold_sent: u32,
    down_since: Option<Timestamp>,
    epoch_ends: bool,
    connected_before: bool,
    bus_off: bool,
    failure: Option<Failure>,
    state: State,
    statistics: BusStatistics,
}

impl Session {
    /// A session without a connection, for a configuration that is valid.
    pub fn new(config: Config) -> Self {
        let period = Duration::from_secs_f64(1.0 / config.command_rate_hz());
        Self {
            names: config.joints.iter().map(|joint| joint.name.clone()).collect(),
            period,
            joints: config.joints.iter().map(|it| Joint::new(Device::new(it, &config))).collect(),
            sensors: config.sensor_places(),
            link: Link::Closed,
            arming: Arming::Disarmed,
            queue: VecDeque::with_capacity(QUEUE),
            next_turn: Timestamp::ZERO,
            next_slow: Timestamp::ZERO,
            ask_condition: false,
            last_command: Timestamp::ZERO,
            unsent: false,
            holding: 0,
            hold_sent: 0,
            down_since: None,
            epoch_ends: true,
            connected_before: false,
            bus_off: false,
            failure: None,
            state: State::default(),
            statistics: BusStatistics::default(),
            config,
        }
    }

    /// Names of the joints, for [`Failure::named`].
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The bus has been opened.
    pub fn connected(&mut self, now: Timestamp) {
        if self.link == Link::Lost {
            return;
        }
        self.down_since.get_or_insert(now);
        self.link = Link::Open;
        self.bus_off = false;
        self.next_turn = now;
        self.next_slow = now.after(SLOW_PERIOD);
    }

    /// The bus has been closed, or could not be opened. What the actuators were told is forgotten:
    /// after the next [`Session::connected`] each is asked where it stands, and stays there. Torque
    /// off stays and goes out first after the next [`Session::connected`].
    pub fn disconnected(&mut self, now: Timestamp, failure: Failure) {
        if self.link == Link::Lost {
            return;
        }
        self.failure = Some(failure);
        self.link = Link::Closed;
        self.state.link = LinkStatus::Down;
        self.down_since.get_or_insert(now);
        self.epoch_ends = true;
        self.unsent = false;
        self.queue.clear();
        self.joints.iter_mut().for_each(Joint::disconnected);
        if let Arming::Wanted(since) = self.arming {
            self.arm(since);
            self.failure = Some(failure);
        }
    }

    /// Switches every actuator on and passes commands on once all have torque and have been read.
    pub fn arm(&mut self, now: Timestamp) {
        if self.link == Link::Lost {
            return;
        }
        self.arming = Arming::Wanted(now);
        self.failure = None;
        self.holding = 0;
        self.hold_sent = 0;
        for joint in &mut self.joints {
            joint.phase = Phase::SwitchingOn(0);
            joint.disable = 0;
            joint.unheard = false;
            joint.stale = false;
            joint.off = false;
            joint.seen_on = false;
            joint.missed = 0;
            joint.question = None;
            joint.target = None;
            joint.believed = None;
            joint.jumps = 0;
            joint.device.reset();
        }
        self.next_turn = now;
    }

    /// Ends an arming that has not succeeded in time: whatever has torque already loses it.
    pub fn cancel_arming(&mut self) {
        if matches!(self.arming, Arming::Wanted(_)) {
            self.switch_off();
        }
    }

    /// True once [`Session::arm`] has been served, until torque off.
    pub fn is_armed(&self) -> bool {
        self.arming == Arming::Armed
    }

    /// True when arming has failed for a reason that waiting does not mend.
    pub fn arming_failed(&self) -> bool {
        self.arming == Arming::Failed
    }

    /// Takes a command. It is dropped unless the actuators are armed, the command was made for the
    /// present connection and every value is finite and in range.
    pub fn command(&mut self, now: Timestamp, command: &Command) {
        if !self.is_armed() || command.epoch != self.state.epoch || self.epoch_ends {
            return;
        }
        let joints = self.config.joints.iter().enumerate();
        // Nobody gets half a command.
        if let Some(joint) = joints
            .clone()
            .find_map(|(at, joint)| target(joint, command, at).is_none().then_some(at))
        {
            self.statistics.rejected += 1;
            self.failure = Some(Failure::BadCommand { joint });
            // A torque would go on as it was.
            if command.mode == ControlMode::Effort {
                self.hold();
            }
            return;
        }
        for (at, config) in joints {
            if let Some(joint) = self.joints.get_mut(at) {
                joint.target = target(config, command, at);
            }
        }
        self.statistics.superseded += u64::from(std::mem::replace(&mut self.unsent, true));
        self.last_command = now;
        self.holding = 0;
        self.hold_sent = 0;
    }

    /// Takes a stop request. Commands that were not sent are dropped.
    pub fn stop(&mut self, request: StopRequest) {
        match request {
            StopRequest::Hold => {
                if self.is_armed() {
                    self.hold();
                }
            }
            StopRequest::TorqueOff => self.switch_off(),
        }
    }

    /// Every actuator stays where it is, by its own PD law.
    fn hold(&mut self) {
        self.unsent = false;
        self.holding = 0;
        self.hold_sent = 0;
        for (at, joint) in self.joints.iter_mut().enumerate() {
            if let Some(measured) = joint.measured {
                let span = &self.config.joints[at].model.ranges.position;
                joint.target = Some(Target::Position(measured.clamp(span.low, span.high)));
                self.holding |= 1 << at;
            }
        }
    }

    fn switch_off(&mut self) {
        self.arming = Arming::Disarmed;
        self.holding = 0;
        self.hold_sent = 0;
        self.unsent = false;
        self.queue.clear();
        self.joints.iter_mut().for_each(|joint| joint.switch_off(DISABLE_TRIES));
        self.next_turn = Timestamp::ZERO;
    }

    /// True while a stop request is still to be delivered.
    pub fn is_stopping(&self) -> bool {
        let last = |joint: &Joint| joint.unheard && joint.question.is_some();
        self.holding | self.hold_sent != 0
            || self.joints.iter().any(|joint| joint.disable > 0 || last(joint))
    }

    /// True when torque off went out as often as it may and an actuator never said that it heard it.
    pub fn is_unheard(&self) -> bool {
        self.joints.iter().any(|joint| joint.unheard)
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

    /// Takes something that came from the bus or its adapter.
    pub fn receive(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Frame(frame) => self.frame(now, &frame),
            Event::Condition(Condition::BusOff) => self.bus_off = true,
            Event::Condition(Condition::Passive) => self.failure = Some(Failure::ErrorPassive),
            Event::Condition(_) => {}
            Event::Overrun => {
                self.statistics.rejected += 1;
                self.failure = Some(Failure::Overrun);
            }
            // A frame that did not leave is one that is not answered.
            Event::Refused => self.statistics.rejected += 1,
            Event::Garbage(bytes) => self.statistics.garbage_bytes += bytes,
        }
    }

    /// Nothing is sent any more but stops.
    fn give_up(&mut self) {
        if self.link == Link::Closed {
            // There is no way to the actuators.
            for joint in &mut self.joints {
                joint.unheard |= std::mem::take(&mut joint.disable) > 0;
            }
            self.holding = 0;
            self.hold_sent = 0;
        }
        self.link = Link::Lost;
        self.state.link = LinkStatus::Lost;
        self.arming = Arming::Disarmed;
        self.joints.iter_mut().for_each(|joint| joint.question = None);
    }

    /// An actuator is not what it should be: all lose their torque, and a person must look.
    fn fault(&mut self, failure: Failure) {
        self.failure = Some(failure);
        let arming = matches!(self.arming, Arming::Wanted(_));
        self.switch_off();
        if arming {
            self.arming = Arming::Failed;
        } else {
            self.give_up();
        }
    }
}

/// What joint `at` of a command means to its actuator; `None` for what it cannot be told.
fn target(config: &JointConfig, command: &Command, at: usize) -> Option<Target> {
    /// An end of a range may be passed by the error of two conversions.
    const ROUNDING: f64 = 1e-9;
    let ranges = &config.model.ranges;
    match command.mode {
        ControlMode::Position => {
            let position = config.to_actuator(*command.position.get(at)?);
            let span = &ranges.position;
            let good = (span.low - ROUNDING..=span.high + ROUNDING).contains(&position);
            good.then(|| Target::Position(position.clamp(span.low, span.high)))
        }
        ControlMode::Effort => {
            let torque = config.sign() * *command.effort.get(at)? / config.gear_ratio;
            let span = &ranges.torque;
            let good = (span.low - ROUNDING..=span.high + ROUNDING).contains(&torque);
            good.then(|| Target::Torque(torque.clamp(span.low, span.high)))
        }
    }
}
