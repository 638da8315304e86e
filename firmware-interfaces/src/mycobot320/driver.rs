//! The driver: a [`Session`] on a thread of its own.

use std::io::ErrorKind;
use std::time::Duration;

use super::config::Config;
use super::session::{Failure, Session, Step};
use super::wire::Frame;
use crate::robot::{
    BusStatistics, Command, Robot, RobotDescription, RobotError, State, StopHandle, StopRequest,
};
use crate::transport::{Address, CONNECT_TIMEOUT, Driver, Engine, Line, NotArmed, Opened};
use crate::{MonotonicClock, Timestamp};

/// Faster figures in circulation belong to another arm of the family.
const LINE: Line = Line {
    baud_rate: 115_200,
    unreachable: "Is the arm's socket server running, the address right, and no other client \
                  connected?",
};
/// Longest time between two looks into the mailboxes.
const GRANULARITY: Duration = Duration::from_millis(1);
/// Time to deliver stops when the driver is dropped without [`Robot::disarm`].
const DROP_TIMEOUT: Duration = Duration::from_millis(500);

/// A myCobot 320 on a serial port or TCP address.
pub struct MyCobot320 {
    description: RobotDescription,
    port: String,
    driver: Driver<Failure>,
}

impl MyCobot320 {
    /// Opens the port and starts the bus thread, which begins to read. The arm is neither powered
    /// nor moved before [`Robot::arm`]. `clock` is the run's.
    ///
    /// # Errors
    /// [`RobotError::Open`] when a setting is out of its range or the port cannot be opened.
    pub fn open(config: Config, clock: MonotonicClock) -> Result<Self, RobotError> {
        let port = config.port.clone();
        let refused = |reason: String, remedy: &str| RobotError::Open {
            port: port.clone(),
            reason,
            remedy: remedy.to_owned(),
        };
        config
            .validate()
            .map_err(|error| refused(error.to_string(), "Correct the robot's configuration"))?;
        let address = Address::resolve(&config.port, LINE)?;
        let link = address.open(CONNECT_TIMEOUT)?;
        let description = config.description();
        let engine = Session::new(config);
        let opened = Opened { engine, port: address, link, granularity: GRANULARITY };
        let driver = Driver::spawn(opened, clock, "mycobot320-bus")
            .map_err(|error| refused(error.to_string(), "The bus thread could not be started"))?;
        Ok(Self { description, port, driver })
    }

    fn lost(&self) -> RobotError {
        let reason = self.last_failure().unwrap_or_else(|| "the driver has ended".to_owned());
        RobotError::Lost { port: self.port.clone(), reason }
    }

    fn arming_failed(&self, waited: Duration) -> RobotError {
        let port = self.port.clone();
        match self.driver.failure() {
            Some(failure @ (Failure::OutOfRange { .. } | Failure::Refused { .. })) => {
                RobotError::Device {
                    port,
                    fault: failure.to_string(),
                    remedy: "Move the arm into its range by hand, or update its firmware"
                        .to_owned(),
                }
            }
            Some(Failure::NoAnswer { request, .. }) => RobotError::NoAnswer {
                port,
                request,
                waited,
                remedy: "Select Transponder > USB UART on the arm's screen and stay there; check \
                         the 24 V supply"
                    .to_owned(),
            },
            Some(failure @ Failure::Port(_)) => {
                RobotError::Lost { port, reason: failure.to_string() }
            }
            Some(failure @ Failure::PowerLost) => RobotError::Device {
                port,
                fault: failure.to_string(),
                remedy: "Check the 24 V supply, and arm again".to_owned(),
            },
            Some(failure) => RobotError::Device {
                port,
                fault: failure.to_string(),
                remedy: "Does another program talk to the arm, or is the cable noisy?".to_owned(),
            },
            None => RobotError::NoAnswer {
                port,
                request: "GetAngles",
                waited,
                remedy: "Is the timeout too short, or the arm without power?".to_owned(),
            },
        }
    }
}

impl Robot for MyCobot320 {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.driver.arm(timeout).map_err(|error| match error {
            NotArmed::Ended => self.lost(),
            NotArmed::Failed(waited) => self.arming_failed(waited),
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
            remedy: "The arm may still be moving: cut its power".to_owned(),
        })
    }

    fn statistics(&self) -> BusStatistics {
        self.driver.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.driver.failure().map(|failure| failure.to_string())
    }
}

impl Drop for MyCobot320 {
    fn drop(&mut self) {
        self.driver.end(DROP_TIMEOUT);
    }
}

impl Engine for Session {
    type Port = Address;
    type Packet = Frame;
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

    fn command(&mut self, _now: Timestamp, command: &Command) {
        self.command(command);
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

    fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        self.receive(now, bytes);
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
