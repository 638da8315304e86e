//! The driver: a [`Session`] on a thread of its own.

use std::io::ErrorKind;
use std::time::Duration;

use super::config::Config;
use super::session::{Failure, Packet, Session, Step, arming_error};
use crate::can::{Bus, BusError, Event, Port};
use crate::robot::{
    BusStatistics, Command, Robot, RobotDescription, RobotError, State, StopHandle, StopRequest,
};
use crate::transport::{self, CONNECT_TIMEOUT, Driver, Engine, NotArmed, Opened};
use crate::{MonotonicClock, Timestamp};

/// Longest time between two looks into the mailboxes.
const GRANULARITY: Duration = Duration::from_micros(500);
/// Most events taken before the mailboxes are looked into again.
const EVENTS_PER_PASS: usize = 64;
/// Time to deliver stops when the driver is dropped without [`Robot::disarm`].
const DROP_TIMEOUT: Duration = Duration::from_millis(500);

/// Actuators on a CAN bus.
pub struct CanActuators {
    description: RobotDescription,
    port: String,
    names: Vec<String>,
    driver: Driver<Failure>,
}

impl CanActuators {
    /// Opens the port and starts the bus thread, which begins to read. No
    /// actuator is switched on or moved before [`Robot::arm`]. `clock` is the run's.
    ///
    /// # Errors
    /// [`RobotError::Open`] when a setting is out of its range or the port cannot be opened.
    pub fn open(config: Config, clock: MonotonicClock) -> Result<Self, RobotError> {
        let name = config.port.clone();
        let refused = |reason: String, remedy: &str| RobotError::Open {
            port: name.clone(),
            reason,
            remedy: remedy.to_owned(),
        };
        config
            .validate()
            .map_err(|error| refused(error.to_string(), "Correct the robot's configuration"))?;
        let port = Port::resolve(&config.port, config.bitrate)?;
        let link = port.open(CONNECT_TIMEOUT)?;
        let description = config.description();
        let engine = Session::new(config);
        let names = engine.names().to_vec();
        let opened = Opened { engine, port, link, granularity: GRANULARITY };
        let driver = Driver::spawn(opened, clock, "can-bus")
            .map_err(|error| refused(error.to_string(), "The bus thread could not be started"))?;
        Ok(Self { description, port: name, names, driver })
    }

    fn lost(&self) -> RobotError {
        let reason = self.last_failure().unwrap_or_else(|| "the driver has ended".to_owned());
        RobotError::Lost { port: self.port.clone(), reason }
    }
}

impl Robot for CanActuators {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.driver.arm(timeout).map_err(|error| match error {
            NotArmed::Ended => self.lost(),
            NotArmed::Failed(waited) => {
                arming_error(&self.port, self.driver.failure(), &self.names, waited)
            }
        })
    }

    fn read(&mut self, _now: Timestamp, state: &mut State) {
        *state = *self.driver.read();
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        self.driver.write(command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.driver.stop(request);
    }

    fn stop_handle(&self) -> Option<Box<dyn StopHandle>> {
        Some(self.driver.stop_handle())
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.driver.end(timeout) {
            return Ok(());
        }
        if self.driver.is_lost() {
            return Err(self.lost());
        }
        Err(RobotError::NoAnswer {
            port: self.port.clone(),
            request: "stop request",
            waited: timeout,
            remedy: "The actuators may still have torque: cut their power".to_owned(),
        })
    }

    fn statistics(&self) -> BusStatistics {
        self.driver.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.driver.failure().map(|failure| failure.named(&self.names).to_string())
    }
}

impl Drop for CanActuators {
    fn drop(&mut self) {
        self.driver.end(DROP_TIMEOUT);
    }
}

impl transport::Port<Packet> for Port {
    type Link = Box<dyn Bus>;
    type News = Event;

    fn open(&self, timeout: Duration) -> Result<Box<dyn Bus>, RobotError> {
        self.open(timeout)
    }

    fn send(link: &mut Box<dyn Bus>, packet: &Packet) -> Result<(), ErrorKind> {
        let sent = match packet {
            Packet::Frame(frame) => link.send(frame),
            Packet::AskCondition => link.ask_condition(),
        };
        sent.map_err(|BusError::Port(kind)| kind)
    }

    fn receive(
        link: &mut Box<dyn Bus>,
        wait: Duration,
        take: &mut dyn FnMut(&Event),
    ) -> Result<(), ErrorKind> {
        let mut wait = wait;
        for _ in 0..EVENTS_PER_PASS {
            match link.receive(wait).map_err(|BusError::Port(kind)| kind)? {
                Some(event) => take(&event),
                None => break,
            }
            // What has arrived together is taken together.
            wait = Duration::ZERO;
        }
        Ok(())
    }
}

impl Engine for Session {
    type Port = Port;
    type Packet = Packet;
    type Failure = Failure;

    fn port_failed(kind: ErrorKind) -> Failure {
        Failure::Port(kind)
    }

    fn connected(&mut self, now: Timestamp) {
        self.connected(now);
    }

    fn disconnected(&mut self, now: Timestamp, failure: Failure) {
        self.disconnected(now, failure);
    }

    fn arm(&mut self, now: Timestamp) {
        self.arm(now);
    }

    fn cancel_arming(&mut self) {
        self.cancel_arming();
    }

    fn is_armed(&self) -> bool {
        self.is_armed()
    }

    fn arming_failed(&self) -> bool {
        self.arming_failed()
    }

    fn command(&mut self, now: Timestamp, command: &Command) {
        self.command(now, command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.stop(request);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping()
    }

    fn is_unheard(&self) -> bool {
        self.is_unheard()
    }

    fn receive(&mut self, now: Timestamp, event: &Event) {
        self.receive(now, *event);
    }

    fn poll(&mut self, now: Timestamp) -> Step {
        self.poll(now)
    }

    fn state(&self) -> &State {
        self.state()
    }

    fn statistics(&self) -> &BusStatistics {
        self.statistics()
    }

    fn failure(&self) -> Option<Failure> {
        self.failure()
    }
}
