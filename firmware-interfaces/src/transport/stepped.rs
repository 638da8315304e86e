//! A protocol engine and an emulated device in virtual time: no port between them, no threads and no
//! clock.

use std::io::ErrorKind;
use std::time::Duration;

use super::engine::{Engine, News, Step};
use crate::robot::{LinkStatus, State};
use crate::{Clock, SimulatedClock, Timestamp};

/// How finely the end of something that is waited for is noticed.
const WAITING_STEP: Duration = Duration::from_millis(1);
/// Pause before a closed connection is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(50);

/// An emulated device with the line to it.
pub(crate) trait Device<E: Engine> {
    /// Longest step: how finely faults are noticed.
    const LONGEST_STEP: Duration;
    /// Shortest step: what guarantees that time goes on.
    const SHORTEST_STEP: Duration;

    /// False while a fault keeps the connection closed.
    fn is_connected(&self, now: Timestamp) -> bool;

    /// The connection has gone: what was on its way is lost.
    fn hang_up(&mut self);

    /// When the line takes the next packet.
    fn free_at(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// Takes a packet of the engine's.
    fn receive(&mut self, now: Timestamp, packet: &E::Packet);

    /// Hands over everything that has arrived by `now`.
    fn transmit(&mut self, now: Timestamp, take: &mut dyn FnMut(&News<E>));

    /// When there is something to do next.
    fn next_due(&self) -> Option<Timestamp>;
}

/// An engine and a device that are joined to each other.
pub(crate) struct Stepped<E, D> {
    pub(crate) engine: E,
    pub(crate) device: D,
    clock: SimulatedClock,
    now: Timestamp,
    open: bool,
    reopen_at: Timestamp,
}

impl<E: Engine, D: Device<E>> Stepped<E, D> {
    /// Both at the present time of `clock`, connected, not armed.
    pub(crate) fn new(mut engine: E, device: D, clock: SimulatedClock) -> Self {
        let now = clock.now();
        engine.connected(now);
        Self { engine, device, clock, now, open: true, reopen_at: now }
    }

    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Asks for torque and goes on until it is there, cannot be, or `timeout` is over. False if it is
    /// not there.
    pub(crate) fn arm(&mut self, timeout: Duration) -> bool {
        self.engine.arm(self.now);
        self.go_on(timeout, |engine| {
            engine.is_armed() || engine.arming_failed() || engine.state().link == LinkStatus::Lost
        });
        let armed = self.engine.is_armed();
        if !armed {
            self.engine.cancel_arming();
        }
        armed
    }

    /// Brings both up to `now`.
    pub(crate) fn read(&mut self, now: Timestamp) -> &State {
        self.pump(now);
        self.engine.state()
    }

    /// Goes on until stops are delivered; false if they were not.
    pub(crate) fn disarm(&mut self, timeout: Duration) -> bool {
        self.go_on(timeout, |engine| !engine.is_stopping()) && !self.engine.is_unheard()
    }

    fn pump(&mut self, until: Timestamp) {
        loop {
            self.connect();
            let (now, open, engine) = (self.now, self.open, &mut self.engine);
            self.device.transmit(now, &mut |news| {
                if open {
                    engine.receive(now, news);
                }
            });
            let due = self.talk();
            if self.now >= until {
                return;
            }
            let next = self.device.next_due().map_or(due, |next| next.min(due));
            let earliest = self.now.after(D::SHORTEST_STEP);
            let latest = self.now.after(D::LONGEST_STEP);
            self.now = next.clamp(earliest, latest).min(until);
        }
    }

    /// Sends what the engine wants sent.
    fn talk(&mut self) -> Timestamp {
        loop {
            let free = self.device.free_at();
            if self.open && free > self.now {
                return free;
            }
            match self.engine.poll(self.now) {
                Step::Wait(due) => return due,
                Step::Transmit(packet) if self.open => self.device.receive(self.now, &packet),
                Step::Transmit(_) => {}
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    fn connect(&mut self) {
        let there = self.device.is_connected(self.now);
        if self.open && !there {
            self.close(E::port_failed(ErrorKind::BrokenPipe));
        } else if !self.open && there && self.now >= self.reopen_at {
            self.open = true;
            self.engine.connected(self.now);
        }
    }

    fn close(&mut self, failure: E::Failure) {
        self.open = false;
        self.reopen_at = self.now.after(REOPEN_AFTER);
        self.device.hang_up();
        self.engine.disconnected(self.now, failure);
    }

    /// Goes on in small steps until `done` or `timeout`; moves the clock along.
    fn go_on(&mut self, timeout: Duration, done: impl Fn(&E) -> bool) -> bool {
        let by = self.now.after(timeout);
        while !done(&self.engine) && self.now < by {
            self.pump(self.now.after(WAITING_STEP).min(by));
            self.clock.advance_to(self.now);
        }
        done(&self.engine)
    }
}
