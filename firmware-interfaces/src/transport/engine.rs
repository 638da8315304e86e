//! A device's protocol as a state machine, and the way to the device: what a driver's thread and
//! virtual time both run.

use std::io::ErrorKind;
use std::time::Duration;

use super::{Address, Link};
use crate::Timestamp;
use crate::robot::{BusStatistics, Command, DeviceTick, RobotError, State, StopRequest};

/// What the owner of a protocol engine does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<P, F> {
    /// Send this now and poll again.
    Transmit(P),
    /// Nothing before this time, unless something arrives.
    Wait(Timestamp),
    /// Close the port, and open it again.
    Disconnect(F),
}

/// A device's protocol as a state machine without I/O and clock.
pub(crate) trait Engine: Send + 'static {
    /// The way to the device.
    type Port: Port<Self::Packet>;
    /// What goes out together.
    type Packet;
    /// What can go wrong.
    type Failure: Copy + PartialEq + Send + 'static;

    fn port_failed(kind: ErrorKind) -> Self::Failure;
    fn connected(&mut self, now: Timestamp);
    fn disconnected(&mut self, now: Timestamp, failure: Self::Failure);
    fn arm(&mut self, now: Timestamp);
    fn cancel_arming(&mut self);
    fn is_armed(&self) -> bool;
    /// True when arming has failed for a reason that waiting does not mend.
    fn arming_failed(&self) -> bool {
        false
    }
    fn command(&mut self, now: Timestamp, command: &Command);
    fn stop(&mut self, now: Timestamp, request: StopRequest);
    fn is_stopping(&self) -> bool;
    fn is_unheard(&self) -> bool;
    fn receive(&mut self, now: Timestamp, news: &News<Self>);
    fn poll(&mut self, now: Timestamp) -> Step<Self::Packet, Self::Failure>;
    fn state(&self) -> &State;
    /// The newest beat of a device that sets the pace.
    fn beat(&self) -> Option<DeviceTick> {
        None
    }
    fn statistics(&self) -> &BusStatistics;
    fn failure(&self) -> Option<Self::Failure>;
}

/// What arrives for an engine.
pub(crate) type News<E> = <<E as Engine>::Port as Port<<E as Engine>::Packet>>::News;

/// Where a device is. It can be opened again and again.
pub(crate) trait Port<P>: Send + 'static {
    /// The open way.
    type Link: Send;
    /// What arrives together.
    type News: ?Sized;

    /// # Errors
    /// [`RobotError::Open`] with a remedy.
    fn open(&self, timeout: Duration) -> Result<Self::Link, RobotError>;

    /// # Errors
    /// The port's error: it must be opened again.
    fn send(link: &mut Self::Link, packet: &P) -> Result<(), ErrorKind>;

    /// Waits up to `wait` for something to arrive, and hands it to `take`.
    ///
    /// # Errors
    /// The port's error: it must be opened again.
    fn receive(
        link: &mut Self::Link,
        wait: Duration,
        take: &mut dyn FnMut(&Self::News),
    ) -> Result<(), ErrorKind>;
}

impl<P: AsRef<[u8]>> Port<P> for Address {
    type Link = Link;
    type News = [u8];

    fn open(&self, timeout: Duration) -> Result<Link, RobotError> {
        self.open(timeout)
    }

    fn send(link: &mut Link, packet: &P) -> Result<(), ErrorKind> {
        link.send(packet.as_ref())
    }

    fn receive(
        link: &mut Link,
        wait: Duration,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ErrorKind> {
        let mut buffer = [0; 1024];
        let count = link.receive(&mut buffer, wait)?;
        take(buffer.get(..count).unwrap_or_default());
        Ok(())
    }
}
