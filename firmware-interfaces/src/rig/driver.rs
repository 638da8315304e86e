//! The driver: a [`Session`] on a thread of its own.

use std::io::ErrorKind;
use std::time::Duration;

use super::config::Config;
use super::session::{Failure, Session, Step};
use super::wire::Packet;
use crate::robot::{
    BusStatistics, Command, DeviceTick, Robot, RobotDescription, RobotError, State, StopHandle,
    StopRequest,
};
use crate::transport::{Address, CONNECT_TIMEOUT, Driver, Engine, Line, NotArmed, Opened};
use crate::{MonotonicClock, Timestamp};

/// Longest time from a command to its first byte on the line, beside what the operating system
/// takes: a quarter of a period at 1 kHz.
const GRANULARITY: Duration = Duration::from_micros(250);
/// Time to deliver stops when the driver is dropped without [`Robot::disarm`].
const DROP_TIMEOUT: Duration = Duration::from_millis(500);
const UNREACHABLE: &str = "Is the rig's controller or serial server running, the address right, and no other client \
     connected?";

/// A rig on a serial port or TCP address.
pub struct Rig {
    description: RobotDescription,
    port: String,
    driver: Driver<Failure>,
}

impl Rig {
    /// Opens the port and starts the bus thread, which asks who is there and begins to read. The
    /// motor has no torque before [`Robot::arm`]. `clock` is the run's.
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
        let line = Line { baud_rate: config.baud_rate, unreachable: UNREACHABLE };
        let address = Address::resolve(&config.port, line)?;
        let link = address.open(CONNECT_TIMEOUT)?;
        let description = config.description();
        let engine = Session::new(config);
        let opened = Opened { engine, port: address, link, granularity: GRANULARITY };
        let driver = Driver::spawn(opened, clock, "rig-bus")
            .map_err(|error| refused(error.to_string(), "The bus thread could not be started"))?;
        Ok(Self { description, port, driver })
    }

    fn lost(&self) -> RobotError {
        let reason = self.last_failure().unwrap_or_else(|| "the driver has ended".to_owned());
        RobotError::Lost { port: self.port.clone(), reason }
    }

    fn arming_failed(&self, waited: Duration) -> RobotError {
        let port = self.port.clone();
        let (fault, remedy) = match self.driver.failure() {
            None | Some(Failure::Silent) => {
                return RobotError::NoAnswer {
                    port,
                    request: "hello",
                    waited,
                    remedy:
                        "Does the device speak this protocol (robot.rig.protocol) at this speed \
                             (robot.rig.baud_rate)?"
                            .to_owned(),
                };
            }
            Some(failure @ Failure::Port(_)) => {
                return RobotError::Lost { port, reason: failure.to_string() };
            }
            Some(failure @ Failure::Rate { .. }) => (failure, "Lower robot.rig.rate_hz"),
            Some(failure @ Failure::Torque { .. }) => {
                (failure, "Lower robot.rig.max_torque_nm, or raise the device's own limit")
            }
            Some(failure @ Failure::NoSensor { .. }) => (
                failure,
                "Let it send that (in lines, a column Temperature_C or Supply_V; in frames, not 0), or \
                 set the key to false",
            ),
            Some(failure @ Failure::Clock { .. }) => (failure, "Mend the device's clock"),
            Some(failure @ Failure::Version { .. }) => (failure, "Update the device's firmware"),
            Some(failure @ Failure::OutOfRange { .. }) => {
                (failure, "Turn the load into its travel by hand, or correct robot.rig.travel_rad")
            }
            Some(failure @ (Failure::GyroRange { .. } | Failure::GyroJump { .. })) => (
                failure,
                "Check the gyroscope and its wiring, or correct robot.rig.gyro_range_rad_s",
            ),
            Some(failure @ Failure::Faulty { .. }) => {
                (failure, "Let the motor cool down, check supply and sensors, and arm again")
            }
            Some(failure) => (failure, "Does another program talk to it, or is the line noisy?"),
        };
        RobotError::Device { port, fault: fault.to_string(), remedy: remedy.to_owned() }
    }
}

impl Robot for Rig {
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

    fn wait(&mut self, timeout: Duration) -> Option<DeviceTick> {
        self.driver.wait(timeout)
    }

    fn stop_handle(&self) -> Option<Box<dyn StopHandle>> {
        Some(self.driver.stop_handle())
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        self.driver.write(command);
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.driver.stop(request);
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
            remedy: "The motor may still have torque: cut its power".to_owned(),
        })
    }

    fn statistics(&self) -> BusStatistics {
        self.driver.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.driver.failure().map(|failure| failure.to_string())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.driver.end(DROP_TIMEOUT);
    }
}

impl Engine for Session {
    type Port = Address;
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

    fn command(&mut self, now: Timestamp, command: &Command) {
        self.command(now, command);
    }

    fn stop(&mut self, now: Timestamp, request: StopRequest) {
        self.stop(now, request);
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

    fn beat(&self) -> Option<DeviceTick> {
        self.beat()
    }

    fn statistics(&self) -> &BusStatistics {
        self.statistics()
    }

    fn failure(&self) -> Option<Failure> {
        self.failure()
    }
}
