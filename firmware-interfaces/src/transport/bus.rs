//! The thread that owns a device's port: what the mailboxes hold goes to the protocol engine, what
//! the engine wants goes out.

use std::time::Duration;

use super::RECONNECT_TIMEOUT;
use super::desk::{Desk, Published};
use super::driver::Opened;
use super::engine::{Engine, Port, Step};
use crate::robot::LinkStatus;
use crate::{Clock, MonotonicClock, Timestamp};

/// Pause before the port is opened again, growing from the first to the last.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LAST_BACK_OFF: Duration = Duration::from_millis(500);
/// How long a link that was given up stays open for stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The bus thread's side.
pub(super) struct Bus<E: Engine> {
    engine: E,
    port: E::Port,
    link: Option<<E::Port as Port<E::Packet>>::Link>,
    granularity: Duration,
    clock: MonotonicClock,
    desk: Desk<E::Failure>,
    reopen_at: Timestamp,
    back_off: Duration,
    lost_since: Option<Timestamp>,
}

impl<E: Engine> Bus<E> {
    pub(super) fn new(opened: Opened<E>, clock: MonotonicClock, desk: Desk<E::Failure>) -> Self {
        Self {
            engine: opened.engine,
            port: opened.port,
            link: Some(opened.link),
            granularity: opened.granularity,
            clock,
            desk,
            reopen_at: Timestamp::ZERO,
            back_off: FIRST_BACK_OFF,
            lost_since: None,
        }
    }

    /// Runs until told to quit.
    pub(super) fn run(mut self) {
        self.engine.connected(self.clock.now());
        loop {
            let quits = self.desk.quits();
            self.take_requests();
            self.reopen();
            let wait = self.talk();
            self.publish();
            if let Some(by) = quits {
                let delivered = !self.engine.is_stopping();
                let mute = self.is_lost() && self.link.is_none();
                if delivered || mute || self.clock.now() >= by {
                    self.desk.delivered(delivered && !self.engine.is_unheard());
                    return;
                }
            }
            self.listen(wait);
        }
    }

    /// Looks into the mailboxes.
    fn take_requests(&mut self) {
        let now = self.clock.now();
        if let Some(request) = self.desk.take_stop() {
            self.engine.stop(now, request);
        }
        if self.desk.take_arming() {
            self.engine.arm(now);
        }
        if self.desk.is_arming_cancelled() {
            self.engine.cancel_arming();
        }
        if let Some(command) = self.desk.take_command() {
            self.engine.command(now, &command);
        }
    }

    /// Opens a closed port when it is time to try again.
    fn reopen(&mut self) {
        let now = self.clock.now();
        // A link that was given up is never opened again: by now another device may be behind its
        // name.
        if self.link.is_some() || self.is_lost() || now < self.reopen_at {
            return;
        }
        match self.port.open(RECONNECT_TIMEOUT) {
            Ok(link) => {
                self.link = Some(link);
                self.engine.connected(self.clock.now());
            }
            Err(_) => self.retry_later(),
        }
    }

    /// Closes a link that was given up, but not at once: whoever learns of it may still want to say
    /// a stop, and the device may still be listening.
    fn hang_up(&mut self, now: Timestamp) {
        if !self.is_lost() {
            return;
        }
        let since = *self.lost_since.get_or_insert(now);
        if now.since(since) > LAST_WORDS && !self.engine.is_stopping() {
            self.link = None;
        }
    }

    fn is_lost(&self) -> bool {
        self.engine.state().link == LinkStatus::Lost
    }

    fn retry_later(&mut self) {
        self.reopen_at = self.clock.now().after(self.back_off);
        self.back_off = (self.back_off * 2).min(LAST_BACK_OFF);
    }

    /// Sends what the engine wants sent; returns how long it has nothing to send.
    fn talk(&mut self) -> Duration {
        loop {
            if self.is_lost() && self.link.is_none() {
                return self.granularity;
            }
            let now = self.clock.now();
            match self.engine.poll(now) {
                Step::Wait(due) => {
                    self.hang_up(now);
                    return due.since(now);
                }
                Step::Transmit(packet) => {
                    let Some(link) = &mut self.link else { return self.granularity };
                    if let Err(kind) = E::Port::send(link, &packet) {
                        self.close(E::port_failed(kind));
                    }
                }
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    /// Waits for something to arrive, but not long.
    fn listen(&mut self, wait: Duration) {
        let wait = wait.min(self.granularity);
        let Some(link) = &mut self.link else { return std::thread::sleep(self.granularity) };
        let (engine, clock) = (&mut self.engine, &self.clock);
        let heard = E::Port::receive(link, wait, &mut |news| engine.receive(clock.now(), news));
        if let Err(kind) = heard {
            self.close(E::port_failed(kind));
        }
    }

    fn close(&mut self, failure: E::Failure) {
        self.link = None;
        self.engine.disconnected(self.clock.now(), failure);
        self.retry_later();
    }

    /// Shows state, counters and failure to the other side.
    fn publish(&mut self) {
        let published = Published { state: *self.engine.state(), beat: self.engine.beat() };
        if published.state.link == LinkStatus::Up {
            self.back_off = FIRST_BACK_OFF;
        }
        self.desk.publish(published, self.engine.statistics(), self.engine.failure());
        if self.engine.arming_failed() {
            self.desk.answer_arming(false);
        }
        if self.engine.is_armed() {
            self.desk.answer_arming(true);
        }
    }
}
