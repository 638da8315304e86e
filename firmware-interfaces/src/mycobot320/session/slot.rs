//! A latest-wins slot for commands of one class.

use std::time::Duration;

use crate::Timestamp;

/// Time after which a command without acknowledgement is sent again.
const RESEND_AFTER: Duration = Duration::from_millis(200);

/// The newest command of its class, and the one sent last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<T> {
    pending: Option<T>,
    sent: Option<T>,
    last_sent: Option<Timestamp>,
    acknowledged: bool,
    resends: u32,
}

impl<T: Copy + PartialEq> Slot<T> {
    pub(super) const fn new() -> Self {
        Self { pending: None, sent: None, last_sent: None, acknowledged: true, resends: 0 }
    }

    /// Takes a command; returns true if an unsent one was replaced. What equals the command sent
    /// last needs no sending.
    pub(super) fn offer(&mut self, command: T) -> bool {
        if self.pending == Some(command) {
            return false;
        }
        let replaced = self.pending.is_some();
        self.pending = (self.sent != Some(command)).then_some(command);
        replaced
    }

    /// Forgets pending and sent commands; the next one is sent whatever it is.
    pub(super) fn clear(&mut self) {
        self.pending = None;
        self.sent = None;
        self.acknowledged = true;
    }

    /// When something can be sent, at most once per `period`; `None` if there is nothing.
    pub(super) fn due(&self, period: Duration, retries: u32) -> Option<Timestamp> {
        let after = |span| self.last_sent.map_or(Timestamp::ZERO, |last| last.after(span));
        if self.pending.is_some() {
            return Some(after(period));
        }
        let unconfirmed = self.sent.is_some() && !self.acknowledged && self.resends < retries;
        unconfirmed.then(|| after(RESEND_AFTER.max(period)))
    }

    /// The command to send now; true if it is a repetition.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(T, bool)> {
        let again = self.pending.is_none();
        let command = self.pending.take().or(self.sent)?;
        self.resends = if again { self.resends + 1 } else { 0 };
        self.sent = Some(command);
        self.last_sent = Some(now);
        self.acknowledged = false;
        Some((command, again))
    }

    pub(super) const fn acknowledge(&mut self) {
        self.acknowledged = true;
    }

    pub(super) const fn last_sent(&self) -> Option<Timestamp> {
        self.last_sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(50);

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_nanos(milliseconds * 1_000_000)
    }

    #[test]
    fn the_latest_command_wins_and_a_repeated_one_is_not_sent() {
        let mut slot = Slot::new();
        assert!(!slot.offer(1));
        assert!(slot.offer(2));
        assert_eq!(slot.take(at(10)), Some((2, false)));
        slot.acknowledge();
        assert!(!slot.offer(2));
        assert_eq!(slot.due(PERIOD, 2), None);
        slot.offer(3);
        assert_eq!(slot.due(PERIOD, 2), Some(at(60)));
        // Back to what was sent: nothing to send after all.
        assert!(slot.offer(2));
        assert_eq!(slot.due(PERIOD, 2), None);
    }

    #[test]
    fn an_unconfirmed_command_is_repeated_so_often_and_no_more() {
        let mut slot = Slot::new();
        slot.offer(1);
        slot.take(at(0));
        for round in 1..=2 {
            assert_eq!(slot.due(PERIOD, 2), Some(at(round * 200)));
            assert_eq!(slot.take(at(round * 200)), Some((1, true)), "{round}");
        }
        assert_eq!(slot.due(PERIOD, 2), None);
    }

    #[test]
    fn a_cleared_slot_sends_even_what_it_sent_before() {
        let mut slot = Slot::new();
        slot.offer(1);
        slot.take(at(0));
        slot.clear();
        assert_eq!(slot.due(PERIOD, 2), None);
        slot.offer(1);
        assert_eq!(slot.due(PERIOD, 2), Some(at(50)));
    }
}
