//! How grave an event is.

use crate::journal::{ArmState, CycleRecord, EventRecord};

/// Levels of `rcl_interfaces/msg/Log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Severity {
    Info = 20,
    Warn = 30,
    Error = 40,
}

/// Why runs end: what the numbers in [`CycleRecord::cause`] mean, which the runtime knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopCauses<'a> {
    /// Names in the order of their numbers, the first with number 1.
    pub names: &'a [&'a str],
    /// Names of those that are no fault: the run is over as planned, or the operator wants it so.
    pub intended: &'a [&'a str],
}

impl StopCauses<'_> {
    fn number(&self, cause: u8) -> Severity {
        match usize::from(cause).checked_sub(1).and_then(|index| self.names.get(index)) {
            Some(name) => self.name(name),
            // The arm stops, and nothing says why.
            None => Severity::Warn,
        }
    }

    /// Severity of the cause with this name, as summaries have it.
    pub(super) fn name(&self, name: &str) -> Severity {
        if self.intended.contains(&name) { Severity::Info } else { Severity::Error }
    }
}

const HOLDING: u8 = ArmState::Holding as u8;
const RUNNING: u8 = ArmState::Running as u8;
const STOPPING: u8 = ArmState::Stopping as u8;
const FAULTED: u8 = ArmState::Faulted as u8;

/// Severity of an event that follows the cycles `last` and, before it, `before`.
pub(super) fn of_event(
    event: &EventRecord,
    before: Option<&CycleMark>,
    last: Option<&CycleMark>,
    causes: &StopCauses<'_>,
) -> Severity {
    match event.kind.as_str() {
        // An event of a cycle carries the time at which the cycle was due.
        "state" | "stop" => match last.filter(|last| last.scheduled_ns == event.at_ns) {
            Some(CycleMark { state: FAULTED, .. }) => Severity::Error,
            Some(CycleMark { state: STOPPING, cause, .. }) => causes.number(*cause),
            Some(CycleMark { state: HOLDING, .. })
                if before.is_some_and(|before| before.state == RUNNING) =>
            {
                Severity::Warn
            }
            _ => Severity::Info,
        },
        "tracking" | "fault" | "watchdog" => Severity::Error,
        "hold" | "overrun" | "substituted" | "link" | "reconnect" | "policy" | "camera"
        | "recording" | "supervision" => Severity::Warn,
        _ => Severity::Info,
    }
}

/// What is remembered of a cycle.
#[derive(Clone, Copy, Debug)]
pub(super) struct CycleMark {
    pub scheduled_ns: u64,
    pub woke_ns: u64,
    pub state: u8,
    pub cause: u8,
}

impl From<&CycleRecord> for CycleMark {
    fn from(cycle: &CycleRecord) -> Self {
        let CycleRecord { scheduled_ns, woke_ns, state, cause, .. } = *cycle;
        Self { scheduled_ns, woke_ns, state, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: StopCauses<'static> =
        StopCauses { names: &["completed", "tracking_error"], intended: &["completed"] };

    fn mark(state: u8, cause: u8) -> CycleMark {
        CycleMark { scheduled_ns: 5, woke_ns: 6, state, cause }
    }

    fn severity(kind: &str, at_ns: u64, before: u8, last: (u8, u8)) -> Severity {
        let event = EventRecord { at_ns, kind: kind.into(), message: String::new() };
        let (before, last) = (mark(before, 0), mark(last.0, last.1));
        of_event(&event, Some(&before), Some(&last), &CAUSES)
    }

    #[test]
    fn a_stop_is_as_grave_as_its_cause() {
        assert_eq!(severity("state", 5, RUNNING, (STOPPING, 1)), Severity::Info);
        assert_eq!(severity("state", 5, RUNNING, (STOPPING, 2)), Severity::Error);
        assert_eq!(severity("state", 5, RUNNING, (STOPPING, 0)), Severity::Warn);
        assert_eq!(severity("state", 5, RUNNING, (STOPPING, 99)), Severity::Warn);
        assert_eq!(severity("state", 5, RUNNING, (FAULTED, 1)), Severity::Error);
        assert_eq!(severity("state", 5, STOPPING, (0, 2)), Severity::Info);
    }

    #[test]
    fn a_hold_warns_but_not_the_first_one() {
        assert_eq!(severity("state", 5, RUNNING, (HOLDING, 0)), Severity::Warn);
        assert_eq!(severity("state", 5, 0, (HOLDING, 0)), Severity::Info);
        assert_eq!(severity("hold", 5, 0, (HOLDING, 0)), Severity::Warn);
        assert_eq!(severity("overrun", 5, 0, (RUNNING, 0)), Severity::Warn);
        assert_eq!(severity("tracking", 5, 0, (STOPPING, 2)), Severity::Error);
        assert_eq!(severity("supervision", 5, 0, (RUNNING, 0)), Severity::Warn);
        assert_eq!(severity("watchdog", 5, 0, (RUNNING, 0)), Severity::Error);
        assert_eq!(severity("replay", 5, 0, (RUNNING, 0)), Severity::Info);
        assert_eq!(severity("note", 5, 0, (STOPPING, 2)), Severity::Info);
    }
}
