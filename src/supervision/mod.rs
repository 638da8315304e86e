//! The arm's state machine and the stop ladder.
//!
//! ```text
//! Disarmed ─Armed→ Holding ⇄ Running ─→ Stopping ─AtRest→ Disarmed
//!                     └──────────┴──────────┴─ TorqueOff, Watchdog → Faulted (latched)
//! ```
//!
//! The ladder: clamp and count (in [`crate::limits`]) → hold → ramp to rest → stand → torque off. Each
//! rung has a cause, and each cause that ends a run has an exit code of its own. Beside the ladder
//! stands the [`Watchdog`], which stops the robot when nobody is left to climb it.

mod guards;
mod watchdog;

use serde::Serialize;
use sinew_firmware_interfaces::StopRequest;

pub use guards::{Guard, Guards, Watched};
pub use sinew_episodes::journal::ArmState;
pub use watchdog::{Heartbeat, Watchdog};

/// Why the arm holds although it was to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// The policy has not spoken yet.
    WaitingForPolicy,
    /// No chunk speaks for the present.
    PolicyStale,
    /// A driven joint's measurement is too old.
    StateStale,
    /// The link is down and being opened again.
    LinkDown,
    /// A cycle missed its deadline.
    Overrun,
}

impl HoldCause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::WaitingForPolicy,
        Self::PolicyStale,
        Self::StateStale,
        Self::LinkDown,
        Self::Overrun,
    ];

    /// Its number in the journal, from 1.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// A sentence for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::WaitingForPolicy => "waiting for the first action chunk",
            Self::PolicyStale => "no action chunk speaks for the present",
            Self::StateStale => "a joint's measurement is too old",
            Self::LinkDown => "the link to the robot is down and being opened again",
            Self::Overrun => "a cycle missed its deadline",
        }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// The configured duration is over.
    Completed,
    /// The operator asked for a stop (first Ctrl-C).
    Operator,
    /// The operator asked for torque off (second Ctrl-C).
    OperatorTorqueOff,
    /// The policy stayed stale.
    PolicyStale,
    /// Measurements stayed stale.
    StateStale,
    /// The arm did not follow its commands.
    TrackingError,
    /// A number was not finite.
    NonFinite,
    /// A joint stood outside its limits when the link came back.
    OutsideLimits,
    /// The driver gave up on the link.
    LinkLost,
    /// The ramp to rest did not arrive in time.
    RampTimeout,
    /// The control thread was stuck and the watchdog stopped the robot.
    ControlStalled,
    /// Too many deadlines were missed.
    Overrun,
    /// The limits had to change a joint's target for too long.
    PersistentClamp,
    /// A measured value left its bounds.
    Guard,
}

impl StopCause {
    /// Every cause.
    pub const ALL: [Self; 14] = [
        Self::Completed,
        Self::Operator,
        Self::OperatorTorqueOff,
        Self::PolicyStale,
        Self::StateStale,
        Self::TrackingError,
        Self::NonFinite,
        Self::OutsideLimits,
        Self::LinkLost,
        Self::RampTimeout,
        Self::ControlStalled,
        Self::Overrun,
        Self::PersistentClamp,
        Self::Guard,
    ];

    /// Its number in the journal, from 1.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Name in tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Operator => "operator",
            Self::OperatorTorqueOff => "operator_torque_off",
            Self::PolicyStale => "policy_stale",
            Self::StateStale => "state_stale",
            Self::TrackingError => "tracking_error",
            Self::NonFinite => "non_finite",
            Self::OutsideLimits => "outside_limits",
            Self::LinkLost => "link_lost",
            Self::RampTimeout => "ramp_timeout",
            Self::ControlStalled => "control_stalled",
            Self::Overrun => "overrun",
            Self::PersistentClamp => "persistent_clamp",
            Self::Guard => "guard",
        }
    }

    /// A sentence for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Completed => "the configured duration is over",
            Self::Operator => "the operator asked for a stop",
            Self::OperatorTorqueOff => "the operator asked for torque off",
            Self::PolicyStale => "the policy delivered no usable actions for too long",
            Self::StateStale => "the robot delivered no measurements for too long",
            Self::TrackingError => "the arm did not follow its commands",
            Self::NonFinite => "a number on the way to the robot was not finite",
            Self::OutsideLimits => "a joint stood outside its limits when the link came back",
            Self::LinkLost => "the driver lost the robot for good",
            Self::RampTimeout => "the ramp to rest did not arrive in time",
            Self::ControlStalled => {
                "the control thread was stuck and the watchdog stopped the robot"
            }
            Self::Overrun => "too many cycles missed their deadlines",
            Self::PersistentClamp => "the limits had to change a joint's target for too long",
            Self::Guard => "a measured value left the bounds of its guard",
        }
    }

    /// The process's exit code (`docs/exit-codes.md`).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Operator => 20,
            Self::OperatorTorqueOff => 21,
            Self::PolicyStale => 30,
            Self::StateStale => 31,
            Self::TrackingError => 32,
            Self::NonFinite => 33,
            Self::LinkLost => 34,
            Self::RampTimeout => 35,
            Self::OutsideLimits => 36,
            Self::ControlStalled => 37,
            Self::Overrun => 38,
            Self::PersistentClamp => 39,
            Self::Guard => 42,
        }
    }

    /// True where the ramp ends at a stand where the arm is, instead of at the rest pose: what
    /// is in the arm's way, or what its numbers mean, is then unknown.
    pub const fn stands_still(self) -> bool {
        matches!(
            self,
            Self::TrackingError
                | Self::NonFinite
                | Self::StateStale
                | Self::OutsideLimits
                | Self::RampTimeout
                | Self::Guard
        )
    }
}

/// What happened in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The robot is powered and measured.
    Armed,
    /// A target speaks for the present, measurements are fresh, the link is up.
    Ready,
    /// Something is late: hold.
    Hold(HoldCause),
    /// Stop with a ramp.
    Ramp(StopCause),
    /// Remove torque.
    TorqueOff(StopCause),
    /// The watchdog has stopped the robot.
    Watchdog,
    /// The ramp has arrived and the arm stands.
    AtRest,
}

/// What the caller must do about an event, beside following the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// The state changed: from, to.
    pub changed: Option<(ArmState, ArmState)>,
    /// Send this to the robot now.
    pub request: Option<StopRequest>,
}

/// The state machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supervisor {
    state: ArmState,
    hold: Option<HoldCause>,
    cause: Option<StopCause>,
}

impl Supervisor {
    /// The arm's state.
    pub const fn state(&self) -> ArmState {
        self.state
    }

    /// Why the arm holds, while it does.
    pub const fn hold(&self) -> Option<HoldCause> {
        self.hold
    }

    /// Why the run ends, once it does. The first cause stays, unless a later one is worse: one
    /// that [stands still](StopCause::stands_still) instead of going to rest, torque off, the
    /// watchdog.
    pub const fn cause(&self) -> Option<StopCause> {
        self.cause
    }

    /// Takes in one event.
    pub fn handle(&mut self, event: Event) -> Reaction {
        use ArmState::{Disarmed, Faulted, Holding, Running, Stopping};
        let (to, request) = match (self.state, event) {
            (Disarmed, Event::Armed) => {
                self.hold = Some(HoldCause::WaitingForPolicy);
                (Holding, None)
            }
            (Holding, Event::Ready) => {
                self.hold = None;
                (Running, None)
            }
            (Holding | Running, Event::Hold(cause)) => {
                self.hold = Some(cause);
                (Holding, None)
            }
            (Holding | Running, Event::Ramp(cause)) => {
                self.hold = None;
                self.cause = Some(cause);
                (Stopping, None)
            }
            // On the way to rest something turned up that makes the way unsafe: stand instead.
            (Stopping, Event::Ramp(cause))
                if cause.stands_still() && !self.cause.is_some_and(StopCause::stands_still) =>
            {
                self.cause = Some(cause);
                (Stopping, None)
            }
            (Holding | Running | Stopping, Event::TorqueOff(cause)) => {
                self.hold = None;
                self.cause = Some(cause);
                (Faulted, Some(StopRequest::TorqueOff))
            }
            (Holding | Running | Stopping, Event::Watchdog) => {
                self.hold = None;
                self.cause = Some(StopCause::ControlStalled);
                (Faulted, Some(StopRequest::Hold))
            }
            (Stopping, Event::AtRest) => (Disarmed, Some(StopRequest::Hold)),
            // Everything else changes nothing: a fault latches, a stop under way goes on.
            (state, _) => (state, None),
        };
        let changed = (to != self.state).then_some((self.state, to));
        self.state = to;
        Reaction { changed, request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let mut events = vec![Event::Armed, Event::Ready, Event::AtRest, Event::Watchdog];
        events.extend(HoldCause::ALL.map(Event::Hold));
        for cause in StopCause::ALL {
            events.push(Event::Ramp(cause));
            events.push(Event::TorqueOff(cause));
        }
        events
    }

    fn in_state(state: ArmState) -> Supervisor {
        let mut supervisor = Supervisor::default();
        let path: &[Event] = match state {
            ArmState::Disarmed => &[],
            ArmState::Holding => &[Event::Armed],
            ArmState::Running => &[Event::Armed, Event::Ready],
            ArmState::Stopping => &[Event::Armed, Event::Ramp(StopCause::Operator)],
            ArmState::Faulted => &[Event::Armed, Event::TorqueOff(StopCause::LinkLost)],
        };
        for event in path {
            supervisor.handle(*event);
        }
        assert_eq!(supervisor.state(), state);
        supervisor
    }

    /// The diagram, written as a table of its own: state, hold, cause and request after an event.
    fn expected(
        before: &Supervisor,
        event: Event,
    ) -> (ArmState, Option<HoldCause>, Option<StopCause>, Option<StopRequest>) {
        use ArmState::{Disarmed, Faulted, Holding, Running, Stopping};
        let same = (before.state, before.hold, before.cause, None);
        match before.state {
            Disarmed if event == Event::Armed => {
                (Holding, Some(HoldCause::WaitingForPolicy), before.cause, None)
            }
            Disarmed | Faulted => same,
            Holding | Running | Stopping if event == Event::Watchdog => {
                (Faulted, None, Some(StopCause::ControlStalled), Some(StopRequest::Hold))
            }
            Stopping => match event {
                Event::TorqueOff(cause) => {
                    (Faulted, None, Some(cause), Some(StopRequest::TorqueOff))
                }
                Event::AtRest => (Disarmed, None, before.cause, Some(StopRequest::Hold)),
                Event::Ramp(cause) => {
                    let worse =
                        cause.stands_still() && !before.cause.is_some_and(StopCause::stands_still);
                    (Stopping, None, if worse { Some(cause) } else { before.cause }, None)
                }
                _ => same,
            },
            Holding | Running => match event {
                Event::Ready => (Running, None, before.cause, None),
                Event::Hold(cause) => (Holding, Some(cause), before.cause, None),
                Event::Ramp(cause) => (Stopping, None, Some(cause), None),
                Event::TorqueOff(cause) => {
                    (Faulted, None, Some(cause), Some(StopRequest::TorqueOff))
                }
                _ => same,
            },
        }
    }

    /// Every supervisor that can come about, and every event upon each: all there is.
    #[test]
    fn every_state_meets_every_event_as_the_diagram_says() {
        let mut known = vec![Supervisor::default()];
        let mut next = 0;
        while let Some(before) = known.get(next).copied() {
            next += 1;
            for event in events() {
                let mut supervisor = before;
                let reaction = supervisor.handle(event);
                let (state, hold, cause, request) = expected(&before, event);
                assert_eq!(
                    (supervisor.state(), supervisor.hold(), supervisor.cause()),
                    (state, hold, cause),
                    "{before:?} {event:?}"
                );
                assert_eq!(reaction.request, request, "{before:?} {event:?}");
                let changed = (state != before.state).then_some((before.state, state));
                assert_eq!(reaction.changed, changed, "{before:?} {event:?}");
                if !known.contains(&supervisor) {
                    known.push(supervisor);
                }
            }
        }
        for state in ArmState::ALL {
            assert!(known.iter().any(|supervisor| supervisor.state == state), "{state:?}");
        }
        // Every cause was seen to stop and to fault, every hold cause to hold.
        assert!(known.len() > 2 * StopCause::ALL.len() + HoldCause::ALL.len(), "{}", known.len());
    }

    #[test]
    fn causes_have_names_messages_and_numbers_of_their_own() {
        let mut names: Vec<_> = StopCause::ALL.iter().map(|cause| cause.name()).collect();
        let mut messages: Vec<_> = StopCause::ALL.iter().map(|cause| cause.message()).collect();
        messages.extend(HoldCause::ALL.iter().map(|cause| cause.message()));
        for words in [&mut names, &mut messages] {
            let count = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), count);
            assert!(words.iter().all(|word| word.len() > 3));
        }
        for (index, cause) in StopCause::ALL.iter().enumerate() {
            assert_eq!(usize::from(cause.number()), index + 1);
        }
        for (index, cause) in HoldCause::ALL.iter().enumerate() {
            assert_eq!(usize::from(cause.number()), index + 1);
        }
        for (index, state) in ArmState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, index);
            assert_eq!(state.name(), format!("{state:?}").to_lowercase());
        }
    }

    #[test]
    fn only_what_makes_the_way_unsafe_ends_in_a_stand() {
        use StopCause::{Guard, NonFinite, OutsideLimits, RampTimeout, StateStale, TrackingError};
        for cause in StopCause::ALL {
            let stands = [TrackingError, NonFinite, StateStale, OutsideLimits, RampTimeout, Guard]
                .contains(&cause);
            assert_eq!(cause.stands_still(), stands, "{cause:?}");
        }
    }

    #[test]
    fn a_fault_latches_and_keeps_its_cause() {
        let mut supervisor = in_state(ArmState::Faulted);
        for event in events() {
            supervisor.handle(event);
            assert_eq!(supervisor.state(), ArmState::Faulted);
            assert_eq!(supervisor.cause(), Some(StopCause::LinkLost));
        }
    }

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        use StopCause as S;
        let codes = [
            (S::Completed, 0),
            (S::Operator, 20),
            (S::OperatorTorqueOff, 21),
            (S::PolicyStale, 30),
            (S::StateStale, 31),
            (S::TrackingError, 32),
            (S::NonFinite, 33),
            (S::LinkLost, 34),
            (S::RampTimeout, 35),
            (S::OutsideLimits, 36),
            (S::ControlStalled, 37),
            (S::Overrun, 38),
            (S::PersistentClamp, 39),
            (S::Guard, 42),
        ];
        assert_eq!(codes.len(), S::ALL.len());
        for (cause, code) in codes {
            assert_eq!(cause.exit_code(), code, "{cause:?}");
        }
    }
}
