//! What is the matter in this cycle: the events, worst first.

use std::time::Duration;

use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, Timestamp};

use super::{Cycle, CycleInputs, OperatorRequest, is_finite_at};
use crate::pacing::Verdict;
use crate::supervision::{ArmState, Event, HoldCause, StopCause};

/// What a cycle knows before it judges.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// The tick.
    pub now: Timestamp,
    /// Time since the last cycle in which the arm was looked after.
    pub cared: Duration,
    /// Whether a target speaks for the present.
    pub speaks: bool,
    /// What the missed deadlines lead to.
    pub verdict: Verdict,
}

impl Cycle {
    /// The event of this cycle: the worst thing that is the case.
    pub(super) fn judge(
        &mut self,
        state: &State,
        CycleInputs { operator, watchdog, finished, .. }: CycleInputs,
        Context { now, cared, speaks, verdict }: Context,
        offender: &mut Option<u8>,
    ) -> Option<Event> {
        if watchdog {
            return Some(Event::Watchdog);
        }
        if operator == OperatorRequest::TorqueOff {
            return Some(Event::TorqueOff(StopCause::OperatorTorqueOff));
        }
        if state.link == LinkStatus::Lost {
            return Some(Event::TorqueOff(StopCause::LinkLost));
        }
        match self.state() {
            ArmState::Disarmed | ArmState::Faulted => return None,
            ArmState::Stopping => {
                let stands_still = self.ends_in_a_stand();
                if self.cared.since(self.since) > self.settings.thresholds.ramp_timeout {
                    if stands_still || state.link != LinkStatus::Up {
                        return Some(Event::TorqueOff(StopCause::RampTimeout));
                    }
                    // Something is in the way of the rest pose: a stand where the arm is comes
                    // before torque off.
                    return Some(Event::Ramp(StopCause::RampTimeout));
                }
                // A ramp to a stand needs nothing more; one to the rest pose is motion like any.
                if stands_still {
                    return None;
                }
            }
            ArmState::Holding | ArmState::Running => {}
        }
        if let Some(joint) = (0..self.joints()).find(|joint| !is_finite_at(state, *joint)) {
            *offender = Some(joint as u8);
            return Some(Event::Ramp(StopCause::NonFinite));
        }
        if let Some(joint) = self.outside {
            *offender = Some(joint).filter(|joint| usize::from(*joint) < self.joints());
            return Some(Event::Ramp(StopCause::OutsideLimits));
        }
        let stopping = self.state() == ArmState::Stopping;
        if self.policy_failed && !stopping {
            return Some(Event::Ramp(StopCause::NonFinite));
        }
        if operator == OperatorRequest::Stop && !stopping {
            return Some(Event::Ramp(StopCause::Operator));
        }
        if let Some(joint) = self.strayed(state) {
            *offender = Some(joint as u8);
            return Some(Event::Ramp(StopCause::TrackingError));
        }
        // The time of a guard is the arm's own: it does not go on while the process is stopped.
        if let Some(guard) = self.guards.judge(state, self.cared) {
            *offender = Some(guard as u8);
            return Some(Event::Ramp(StopCause::Guard));
        }
        if verdict == Verdict::Stop && !stopping {
            return Some(Event::Ramp(StopCause::Overrun));
        }
        let thresholds = &self.settings.thresholds;
        let over = self.began.is_some_and(|began| now.since(began) >= self.settings.duration);
        if !stopping && (over || finished) {
            return Some(Event::Ramp(StopCause::Completed));
        }
        let age = (0..self.joints())
            .filter(|joint| self.settings.judged & (1 << joint) != 0)
            .map(|joint| state.captured[joint])
            .min()
            .map(|oldest| now.since(oldest))
            .unwrap_or_default();
        if age > thresholds.state_ramp && state.link == LinkStatus::Up {
            return Some(Event::Ramp(StopCause::StateStale));
        }
        if stopping {
            return None;
        }
        if state.link == LinkStatus::Down {
            return self.hold_for(HoldCause::LinkDown);
        }
        if age > thresholds.state_hold {
            return self.hold_for(HoldCause::StateStale);
        }
        if verdict == Verdict::Hold {
            return self.hold_for(HoldCause::Overrun);
        }
        if speaks {
            self.silent = Duration::ZERO;
            return (self.state() == ArmState::Holding).then_some(Event::Ready);
        }
        let holding_for_policy =
            matches!(self.hold(), Some(HoldCause::WaitingForPolicy | HoldCause::PolicyStale));
        if self.state() == ArmState::Holding {
            self.silent += cared;
            if self.silent > thresholds.policy_ramp {
                return Some(Event::Ramp(StopCause::PolicyStale));
            }
        }
        let overdue = self.overdue(now);
        if self.state() == ArmState::Running {
            return (overdue.is_none_or(|late| late > thresholds.policy_hold))
                .then_some(Event::Hold(HoldCause::PolicyStale));
        }
        if holding_for_policy { None } else { Some(Event::Hold(HoldCause::PolicyStale)) }
    }

    /// How long ago the newest chunk stopped speaking; `None` where there is none, or only one
    /// from before the last reconnect.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<Duration> {
        let current = self.timeline.observed()? >= self.connected;
        self.timeline.overdue(now).filter(|_| current)
    }

    /// The first joint that stands outside its limits by more than a servo at rest may, or the
    /// number of joints where the tool is outside its box.
    pub(super) fn outside(&self, state: &State) -> Option<u8> {
        let joint = self.settings.outside(state);
        let workspace = self.settings.workspace.as_ref();
        let tool = || {
            let positions = &state.position[..self.joints()];
            workspace.is_some_and(|it| !it.holds(positions, 0.0)).then(|| self.joints())
        };
        joint.or_else(tool).map(|joint| joint as u8)
    }

    /// A hold, unless the arm holds for that cause already.
    fn hold_for(&self, cause: HoldCause) -> Option<Event> {
        (self.hold() != Some(cause)).then_some(Event::Hold(cause))
    }

    /// The first joint that has been too far from its command for too long. Substituted
    /// measurements prove nothing and do not count; nor does a joint that nothing was sent to.
    fn strayed(&mut self, state: &State) -> Option<usize> {
        let thresholds = &self.settings.thresholds;
        let mut first = None;
        for joint in 0..self.settings.limits.len() {
            let error = (state.position[joint] - self.motions.motion(joint).position).abs();
            let sent = self.epoch.is_some() && state.link == LinkStatus::Up;
            let unknown = !sent || state.is_substituted(joint);
            if error <= thresholds.tracking[joint] || unknown {
                self.strayed[joint] = None;
            } else {
                let since = *self.strayed[joint].get_or_insert(self.cared);
                if self.cared.since(since) > thresholds.tracking_time && first.is_none() {
                    first = Some(joint);
                }
            }
        }
        first
    }

    /// The first joint whose target the limits have changed for too long without a break.
    pub(super) fn clamped(&mut self, clamps: &[u16; MAX_JOINTS]) -> Option<usize> {
        let longest = self.settings.thresholds.clamp_time;
        let mut first = None;
        for (joint, since) in self.clamped.iter_mut().enumerate().take(self.settings.limits.len()) {
            if clamps[joint] == 0 {
                *since = None;
            } else if self.cared.since(*since.get_or_insert(self.cared)) > longest
                && first.is_none()
            {
                first = Some(joint);
            }
        }
        first
    }
}
