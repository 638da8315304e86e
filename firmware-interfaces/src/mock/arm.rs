//! The arm as the runtime sees it: the driver's side, and the line to the device.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::beats::Beats;
use super::device::Device;
use super::failure::Failure;
use super::faults::{Fate, holds};
use super::sample::Sample;
use super::stops::{Handle, Stops};
use super::{Config, Faults, Stall};
use crate::robot::{
    BusStatistics, Command, ControlMode, DeviceTick, LinkStatus, Robot, RobotDescription,
    RobotError, State, StopHandle, StopRequest,
};
use crate::{Clock, Timestamp};

const PORT: &str = "mock arm";
/// Time between two looks at an arm that is waited for.
const NAP: Duration = Duration::from_millis(1);
/// Beats this much older than the present are gone through one by one: longer than a sample is on
/// its way.
const WALKED: Duration = Duration::from_secs(60);
/// Longest wait for a beat: more would be a long search where none ever comes.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The arm. It lives on the control thread: no bus, no other thread.
///
/// [`arm`](Robot::arm) and [`disarm`](Robot::disarm) wait in real time only: on a simulated clock,
/// which does not move while somebody waits, what is not there at once is an error.
///
/// The answer to arming is a sample of its own, which faults with a rate do not touch.
///
/// Commands that are refused count as [`rejected`](BusStatistics::rejected), and so do samples
/// that were damaged on the way. Samples that never came are
/// [`timeouts`](BusStatistics::timeouts); the round trip of a read is the age at which a sample
/// arrived.
pub struct MockArm {
    description: RobotDescription,
    clock: Arc<dyn Clock>,
    device: Device,
    beats: Beats,
    /// The next beat that the device has not come to.
    next: u64,
    /// The next beat that nobody has waited for.
    awaited: u64,
    faults: Faults,
    stall: Option<Stall>,
    seed: u64,
    reconnect_window: Duration,
    in_flight: VecDeque<Sample>,
    state: State,
    armed: bool,
    /// A stop that the device has not heard.
    unheard: Option<StopRequest>,
    stops: Arc<Stops>,
    served: u8,
    statistics: BusStatistics,
    failure: Option<Failure>,
}

impl MockArm {
    /// An arm on `clock`, the run's: real or simulated. Its own clock, and the times of its faults,
    /// begin now.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Self {
        let description = config.description();
        let now = clock.now();
        let beats = Beats::new(now, config.rate_hz, config.drift_ppm);
        let longest = config.faults.delay.map_or(Duration::ZERO, |(span, _)| span);
        let on_their_way = longest.as_secs_f64() * config.rate_hz.max(0.0) * 1.01;
        let link = config.faults.link(Timestamp::ZERO, config.reconnect_window);
        Self {
            device: Device::new(&config, description.joints.len(), now),
            description,
            clock,
            beats,
            next: 0,
            awaited: 0,
            faults: config.faults,
            stall: config.faults.stall,
            seed: config.seed,
            reconnect_window: config.reconnect_window,
            in_flight: VecDeque::with_capacity(on_their_way as usize + 4),
            state: State { link, ..State::default() },
            armed: false,
            unheard: None,
            stops: Arc::new(Stops::new()),
            served: 0,
            statistics: BusStatistics::default(),
            failure: None,
        }
    }

    /// Goes through every beat up to `now`. Where that is far away, the clock has jumped: then
    /// samples in between, which newer ones would replace, are not taken.
    fn catch_up(&mut self, now: Timestamp) {
        let near = self.near(now);
        while self.beats.due(self.next) <= now {
            let elapsed = self.beats.elapsed(self.beats.due(self.next));
            self.beat(self.next);
            self.next += 1;
            if self.next < near && !self.device.is_commanded() {
                let edges = self.faults.edges().filter(|edge| *edge > elapsed);
                let beats = edges.map(|edge| self.beats.at_elapsed(edge));
                self.next = beats.fold(near, u64::min).max(self.next);
            }
        }
        self.take_in(now);
    }

    /// The first beat from which on every one is gone through, at `now`.
    fn near(&self, now: Timestamp) -> u64 {
        self.beats.index(now).saturating_sub(self.beats.count(WALKED))
    }

    fn beat(&mut self, index: u64) {
        let due = self.beats.due(index);
        let elapsed = self.beats.elapsed(due);
        self.device.advance_to(due);
        self.device.beat(&self.faults, elapsed);
        if let Some(request) = self.stops.take(due, &mut self.served) {
            self.ask(request);
        }
        self.connect(elapsed);
        if self.state.link != LinkStatus::Up {
            self.in_flight.clear();
            return;
        }
        self.deliver_stop(due);
        if holds(self.faults.silence, elapsed) {
            self.statistics.timeouts += 1;
            return;
        }
        let mut sample = self.device.measure(&self.faults, elapsed);
        sample.arrives = due.after(self.faults.delay_at(elapsed));
        let (fate, mut random) = self.faults.fate(self.seed, index);
        match fate {
            Fate::Sound => {}
            Fate::Dropped => {
                self.statistics.timeouts += 1;
                return;
            }
            Fate::Corrupt => sample.flip(&mut random),
            Fate::Garbage => {
                self.statistics.garbage_bytes += sample.scramble(&mut random);
            }
        }
        if self.in_flight.len() < self.in_flight.capacity() {
            self.in_flight.push_back(sample);
        }
        self.take_in(due);
    }

    /// Follows the link through its ups and downs.
    fn connect(&mut self, elapsed: Timestamp) {
        let link = self.faults.link(elapsed, self.reconnect_window);
        match (self.state.link, link) {
            (LinkStatus::Up, LinkStatus::Down) => self.failure = Some(Failure::Disconnected),
            (LinkStatus::Down, LinkStatus::Up) => {
                self.state.epoch += 1;
                self.statistics.reconnects += 1;
            }
            (LinkStatus::Up | LinkStatus::Down, LinkStatus::Lost) => {
                self.armed = false;
                self.failure = Some(Failure::Lost);
            }
            _ => {}
        }
        self.state.link = link;
    }

    /// Takes in the samples that have arrived by `now`.
    fn take_in(&mut self, now: Timestamp) {
        while let Some(sample) = self.in_flight.pop_front_if(|sample| sample.arrives <= now) {
            if !sample.is_sound() {
                self.statistics.rejected += 1;
                self.failure = Some(Failure::Damaged);
                continue;
            }
            self.accept(&sample);
        }
    }

    /// Shows a sample, unless a newer one is shown already.
    fn accept(&mut self, sample: &Sample) {
        let statistics = &mut self.statistics;
        let age = sample.arrives.since(sample.captured).as_nanos() as u64;
        statistics.replies += 1;
        statistics.reads += 1;
        statistics.read_ns_sum += age;
        statistics.read_ns_max = statistics.read_ns_max.max(age);
        if self.state.sequence == 0 || sample.captured > self.state.captured[0] {
            self.state.position = sample.position;
            self.state.velocity = sample.velocity;
            self.state.effort = sample.effort;
            self.state.captured.fill(sample.captured);
            self.state.sequence += 1;
        }
    }

    /// When the sample of beat `index` arrives, if it ever does.
    fn arrival(&self, index: u64) -> Option<Timestamp> {
        let due = self.beats.due(index);
        let elapsed = self.beats.elapsed(due);
        let arrives = due.after(self.faults.delay_at(elapsed));
        let up = |time| self.faults.link(time, self.reconnect_window) == LinkStatus::Up;
        let comes = up(elapsed)
            && up(self.beats.elapsed(arrives))
            && !holds(self.faults.silence, elapsed)
            && self.faults.fate(self.seed, index).0 == Fate::Sound;
        comes.then_some(arrives)
    }

    /// Remembers a stop until the device has heard it.
    fn ask(&mut self, request: StopRequest) {
        if request == StopRequest::TorqueOff {
            self.armed = false;
        }
        if self.unheard != Some(StopRequest::TorqueOff) {
            self.unheard = Some(request);
        }
    }

    fn deliver_stop(&mut self, now: Timestamp) {
        let deaf = holds(self.faults.silence, self.beats.elapsed(now));
        if self.state.link == LinkStatus::Up
            && !deaf
            && let Some(request) = self.unheard.take()
        {
            self.statistics.requests += 1;
            self.device.stop(request);
        }
    }

    fn check(&self, command: &Command) -> Result<(), Failure> {
        if !self.armed || self.stops.is_latched() {
            return Err(Failure::NotArmed);
        }
        if command.epoch != self.state.epoch || self.state.link != LinkStatus::Up {
            return Err(Failure::OldEpoch);
        }
        for (index, joint) in self.description.joints.iter().enumerate() {
            let (position, effort) = (command.position[index], command.effort[index]);
            if !position.is_finite() || !effort.is_finite() {
                return Err(Failure::NotFinite { joint: index + 1 });
            }
            if command.mode == ControlMode::Position && !joint.limits.position.contains(&position) {
                return Err(Failure::OutOfRange { joint: index + 1, position });
            }
        }
        Ok(())
    }

    fn reason(&self) -> String {
        self.last_failure().unwrap_or_else(|| "no sample came".to_owned())
    }

    fn lost(&self) -> RobotError {
        RobotError::Lost { port: PORT.to_owned(), reason: self.reason() }
    }
}

impl Robot for MockArm {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        let started = self.clock.now();
        self.armed = false;
        self.unheard = None;
        self.stops.release();
        self.served = 0;
        loop {
            let now = self.clock.now();
            self.catch_up(now);
            let elapsed = self.beats.elapsed(now);
            match self.state.link {
                LinkStatus::Lost => return Err(self.lost()),
                LinkStatus::Up if !holds(self.faults.silence, elapsed) => {
                    // The answer to arming is a sample; one that is lost or damaged is asked for
                    // again.
                    self.device.advance_to(now);
                    let answer = self.device.measure(&self.faults, elapsed);
                    self.accept(&answer);
                    break;
                }
                _ => {}
            }
            let waited = now.since(started);
            if self.clock.is_simulated() || waited >= timeout {
                return Err(RobotError::NoAnswer {
                    port: PORT.to_owned(),
                    request: "arming",
                    waited,
                    remedy: format!("Look at emulator.faults: {}", self.reason()),
                });
            }
            std::thread::sleep(NAP);
        }
        if self.stops.wants_torque_off() {
            return Err(RobotError::Device {
                port: PORT.to_owned(),
                fault: "torque off was asked for while arming".to_owned(),
                remedy: "Arm again".to_owned(),
            });
        }
        self.device.power();
        self.armed = true;
        self.failure = None;
        self.state.epoch += 1;
        Ok(())
    }

    fn read(&mut self, now: Timestamp, state: &mut State) {
        if self.stall.is_some() && !self.clock.is_simulated() {
            Stall::block(&mut self.stall, self.beats.elapsed(now));
        }
        self.catch_up(now);
        *state = self.state;
    }

    /// Waits for the newest beat whose sample arrives, at most 10 s. A caller who is late gets the
    /// newest of those that have arrived, at once: the others are a gap in the index, as are beats
    /// whose sample never came or was damaged. The beat's arrival is that of its sample, not the
    /// moment at which this thread woke.
    ///
    /// On a simulated clock nobody sleeps: the next beat is returned with the time at which it will
    /// arrive, and it is for the caller to move the clock there.
    fn wait(&mut self, timeout: Duration) -> Option<DeviceTick> {
        let now = self.clock.now();
        let mut newest = None;
        self.awaited = self.awaited.max(self.near(now));
        loop {
            match self.arrival(self.awaited) {
                Some(arrived) if arrived <= now => {
                    newest = Some(DeviceTick { index: self.awaited, arrived });
                }
                None if self.beats.due(self.awaited) <= now => {}
                _ => break,
            }
            self.awaited += 1;
        }
        if newest.is_some() {
            return newest;
        }
        let timeout = timeout.min(LONGEST_WAIT);
        let deadline = now.after(timeout);
        let tick = (self.awaited..)
            .take_while(|index| self.beats.due(*index) <= deadline)
            .find_map(|index| Some(DeviceTick { index, arrived: self.arrival(index)? }))
            .filter(|tick| tick.arrived <= deadline);
        if !self.clock.is_simulated() {
            let until = tick.map_or(deadline, |tick| tick.arrived);
            std::thread::sleep(until.since(self.clock.now()));
        }
        if let Some(tick) = tick {
            self.awaited = tick.index + 1;
        }
        tick
    }

    fn stop_handle(&self) -> Option<Box<dyn StopHandle>> {
        let (stops, clock) = (Arc::clone(&self.stops), Arc::clone(&self.clock));
        Some(Box::new(Handle { stops, clock }))
    }

    fn write(&mut self, now: Timestamp, command: &Command) {
        self.catch_up(now);
        if let Err(failure) = self.check(command) {
            self.statistics.rejected += 1;
            self.failure = Some(failure);
            return;
        }
        self.statistics.requests += 1;
        self.statistics.commands += 1;
        if !holds(self.faults.silence, self.beats.elapsed(now)) {
            self.device.advance_to(now);
            self.device.follow(command);
        }
    }

    fn stop(&mut self, now: Timestamp, request: StopRequest) {
        self.catch_up(now);
        self.device.advance_to(now);
        self.ask(request);
        self.deliver_stop(now);
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        let started = self.clock.now();
        loop {
            let now = self.clock.now();
            self.catch_up(now);
            self.device.advance_to(now);
            if let Some(request) = self.stops.take(now, &mut self.served) {
                self.ask(request);
            }
            self.deliver_stop(now);
            if self.unheard.is_none() {
                break;
            }
            if self.state.link == LinkStatus::Lost {
                return Err(self.lost());
            }
            let waited = now.since(started);
            if self.clock.is_simulated() || waited >= timeout {
                return Err(RobotError::NoAnswer {
                    port: PORT.to_owned(),
                    request: "stop request",
                    waited,
                    remedy:
                        "Without commands the device holds by itself; if torque must go, cut its \
                             power"
                            .to_owned(),
                });
            }
            std::thread::sleep(NAP);
        }
        self.armed = false;
        Ok(())
    }

    fn statistics(&self) -> BusStatistics {
        self.statistics
    }

    fn last_failure(&self) -> Option<String> {
        self.failure.map(|failure| failure.to_string())
    }
}
