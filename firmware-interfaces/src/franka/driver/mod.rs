//! The driver: a FER or FR3 behind `franka-rs` on a thread of its own.

mod config;
mod failure;
mod hand;
mod interface;
mod session;
mod stepped;

use std::sync::mpsc;
use std::time::Duration;

use hand::HandThreads;
use interface::Interface;

pub use config::{ARM_JOINTS, Config, ConfigError, GripperConfig, RATE_HZ};
pub use failure::Failure;
pub use stepped::SteppedFranka;

use crate::robot::{
    BusStatistics, Command, DeviceTick, Robot, RobotDescription, RobotError, State, StopHandle,
    StopRequest,
};
use crate::transport::{Driver, NotArmed};
use crate::{MonotonicClock, Timestamp};

/// How long connecting may take: the library gives the arm a second for each of its answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to deliver stops when the driver is dropped without [`Robot::disarm`].
const DROP_TIMEOUT: Duration = Duration::from_millis(500);

/// An arm on the network.
///
/// States come a thousand times a second and set the pace ([`Robot::wait`]). A motion begins with
/// [`Robot::arm`]: until the first command the arm is told to stay. A stop of either kind ends the
/// motion; the arm brakes and stands, held by its own controller: torque cannot be taken off it from
/// here, and it falls no more than its brakes let it. After a hold the next command begins another
/// motion where the arm is. What stops the arm by itself makes the link [`Lost`]: a person looks.
///
/// [`Lost`]: crate::LinkStatus::Lost
pub struct Franka {
    description: RobotDescription,
    address: String,
    driver: Driver<Failure>,
    hand: Option<HandThreads>,
}

impl Franka {
    /// Connects to the arm, and to its hand where one is used. Nothing moves before
    /// [`Robot::arm`]. `clock` is the run's.
    ///
    /// # Errors
    /// [`RobotError::Open`] when a setting is out of its range, [`RobotError::Device`] when the arm
    /// cannot be reached or is another one.
    pub fn open(config: Config, clock: MonotonicClock) -> Result<Self, RobotError> {
        let address = config.address.clone();
        let refused = |reason: String, remedy: &str| RobotError::Open {
            port: address.clone(),
            reason,
            remedy: remedy.to_owned(),
        };
        config
            .validate()
            .map_err(|error| refused(error.to_string(), "Correct the robot's configuration"))?;
        let description = config.description();
        let hand = match config.gripper {
            Some(gripper) => {
                let at = config.gripper_address.as_ref().unwrap_or(&config.address);
                let hand = HandThreads::open(at, gripper, config.arm, clock.clone());
                Some(hand.map_err(|failure| refused(failure.to_string(), failure.remedy()))?)
            }
            None => None,
        };
        let port = hand.as_ref().map(HandThreads::port);
        let (connected, outcome) = mpsc::channel();
        let own = clock.clone();
        let driver = Driver::spawn_waiting(clock, "franka", move |desk| {
            let robot = interface::connect(&config);
            let heard = connected.send(robot.as_ref().map(|_| ()).map_err(Failure::clone));
            // An arm that answers when nobody waits any more is let go.
            if let (Ok(robot), Ok(())) = (&robot, heard) {
                Interface::new(config, own, desk, port).run(robot);
            }
        })
        .map_err(|error| refused(error.to_string(), "The arm's thread could not be started"))?;
        match outcome.recv_timeout(CONNECT_TIMEOUT) {
            Ok(Ok(())) => Ok(Self { description, address, driver, hand }),
            Ok(Err(failure)) => Err(refused(failure.to_string(), failure.remedy())),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(refused(
                "its thread has ended".to_owned(),
                "Report that, with the lines before",
            )),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(RobotError::NoAnswer {
                port: address,
                request: "connect",
                waited: CONNECT_TIMEOUT,
                remedy: "Is it an arm of Franka's?".to_owned(),
            }),
        }
    }

    fn failure(&self) -> Option<Failure> {
        let hand = || self.hand.as_ref().and_then(HandThreads::failure);
        self.driver.failure().or_else(hand)
    }

    fn lost(&self) -> RobotError {
        let reason = self.last_failure().unwrap_or_else(|| "the driver has ended".to_owned());
        RobotError::Lost { port: self.address.clone(), reason }
    }
}

impl Robot for Franka {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.driver.arm(timeout).map_err(|error| match (error, self.driver.failure()) {
            (NotArmed::Ended, _) => self.lost(),
            (_, Some(failure)) => RobotError::Device {
                port: self.address.clone(),
                fault: failure.to_string(),
                remedy: failure.remedy().to_owned(),
            },
            (NotArmed::Failed(waited), None) => RobotError::NoAnswer {
                port: self.address.clone(),
                request: "begin of a motion",
                waited,
                remedy: "Is the network overloaded?".to_owned(),
            },
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
            port: self.address.clone(),
            request: "stop request",
            waited: timeout,
            remedy: "It stops by itself 20 ms after the last command. End this process before \
                     another one connects"
                .to_owned(),
        })
    }

    fn statistics(&self) -> BusStatistics {
        self.driver.statistics()
    }

    fn last_failure(&self) -> Option<String> {
        self.failure().map(|failure| failure.to_string())
    }
}

impl Drop for Franka {
    fn drop(&mut self) {
        self.driver.end(DROP_TIMEOUT);
    }
}

#[cfg(test)]
mod tests;
