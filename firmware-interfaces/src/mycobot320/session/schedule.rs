//! What is sent when.

use super::{
    Arming, Failure, INTER_BYTE_TIMEOUT, Outstanding, POWER_POLL, Phase, Purpose, Session, Step,
};
use crate::Timestamp;
use crate::mycobot320::wire::{Request, scaling};
use crate::robot::LinkStatus;

/// Longest time a gripper reading is waited for; its failures are common and must not hold up
/// the arm's readings.
const GRIPPER_REPLY_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(60);
/// Requests that may go before a reading of the arm that is due. On a slow line there is always a
/// command to send; without its readings the arm would be taken for dead.
const MOST_AHEAD: u32 = 2;
/// A gripper that does not answer is asked up to this many times less often.
const GRIPPER_BACK_OFF: u32 = 8;

impl Session {
    /// What to do at `now`. Call it again after every [`Step::Transmit`], when the time of a
    /// [`Step::Wait`] has come, and when bytes have been received.
    pub fn poll(&mut self, now: Timestamp) -> Step {
        if self.phase == Phase::Lost {
            return self.last_words(now);
        }
        if let Some(since) = self.down_since
            && now.since(since) > self.config.reconnect_window
        {
            self.give_up();
            return Step::Wait(now.after(POWER_POLL));
        }
        if self.phase == Phase::Closed {
            return Step::Wait(now.after(POWER_POLL));
        }
        self.end_overdue_frame(now);

        if let Some(stop) = self.stops.next()
            && self.outstanding.is_none_or(|outstanding| !outstanding.purpose.is_stop())
        {
            // Overtakes whatever is under way; a late answer to that is recognised as such.
            self.outstanding = None;
            return self.transmit(now, stop);
        }
        if let Some(outstanding) = self.outstanding {
            if now < outstanding.deadline {
                return Step::Wait(self.wake(outstanding.deadline));
            }
            self.outstanding = None;
            if let Some(failure) = self.overdue(&outstanding) {
                return Step::Disconnect(failure);
            }
            // A stop that nobody acknowledged may have to go out again.
            if let Some(stop) = self.stops.next() {
                return self.transmit(now, stop);
            }
        }
        if now < self.quiet_until {
            return Step::Wait(self.wake(self.quiet_until));
        }
        match self.next(now) {
            Ok(purpose) => self.transmit(now, purpose),
            Err(due) => Step::Wait(self.wake(due)),
        }
    }

    /// Once the link was given up nothing but stops goes out: the arm may still be listening.
    fn last_words(&mut self, now: Timestamp) -> Step {
        if let Some(outstanding) = self.outstanding {
            if now < outstanding.deadline {
                return Step::Wait(outstanding.deadline);
            }
            self.outstanding = None;
            self.stop_tried(outstanding.purpose);
        }
        match self.stops.next() {
            Some(stop) => self.transmit(now, stop),
            None => Step::Wait(now.after(POWER_POLL)),
        }
    }

    /// A wake-up time that is early enough to end an overdue frame.
    fn wake(&self, due: Timestamp) -> Timestamp {
        if self.reader.is_partial() {
            due.min(self.last_byte.after(INTER_BYTE_TIMEOUT))
        } else {
            due
        }
    }

    /// The next purpose, or when there will be one.
    fn next(&self, now: Timestamp) -> Result<Purpose, Timestamp> {
        match self.phase {
            Phase::PowerOn => Ok(Purpose::PowerOn),
            Phase::CheckTorque => Ok(Purpose::Torque),
            Phase::Focus => Ok(Purpose::Focus),
            Phase::FreshMode => Ok(Purpose::FreshMode),
            Phase::Identify | Phase::Unpowered if now >= self.next_power => Ok(Purpose::Power),
            Phase::Identify | Phase::Unpowered => Err(self.next_power),
            Phase::Closed | Phase::Lost => Err(now.after(POWER_POLL)),
            Phase::Running => self.next_running(now),
        }
    }

    fn next_running(&self, now: Timestamp) -> Result<Purpose, Timestamp> {
        let angles = self.next_angles.max(self.unanswered.next_request());
        if angles <= now && self.since_angles >= MOST_AHEAD {
            return Ok(Purpose::Angles);
        }
        let gap = self.config.gripper_gap;
        let after = |sent: Option<Timestamp>| sent.map_or(Timestamp::ZERO, |sent| sent.after(gap));
        let arm = self
            .arm
            .due(self.command_period, self.config.retries)
            .map(|due| due.max(after(self.gripper.last_sent())));
        let gripper = self
            .gripper
            .due(self.config.gripper_command_period, self.config.retries)
            .map(|due| due.max(after(self.arm.last_sent())));
        let ready = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        if ready(gripper) && (!ready(arm) || self.gripper.last_sent() < self.arm.last_sent()) {
            return Ok(Purpose::GripperCommand);
        }
        if ready(arm) {
            return Ok(Purpose::ArmCommand);
        }
        let gripper_read = self.config.gripper.then_some(self.next_gripper);
        if ready(gripper_read) {
            return Ok(Purpose::Gripper);
        }
        if angles <= now {
            return Ok(Purpose::Angles);
        }
        let due = [arm, gripper, gripper_read].into_iter().flatten().min();
        Err(due.map_or(angles, |due| due.min(angles)))
    }

    fn transmit(&mut self, now: Timestamp, purpose: Purpose) -> Step {
        let Some(request) = self.request(now, purpose) else {
            // Unreachable by construction of `next`; waiting is harmless.
            return Step::Wait(now.after(self.config.setter_gap));
        };
        let config = &self.config;
        let patience = if purpose.is_stop() || (purpose.is_setter() && config.expect_ack) {
            config.ack_timeout
        } else if purpose.is_setter() {
            config.setter_gap
        } else if purpose == Purpose::Gripper {
            config.reply_timeout.min(GRIPPER_REPLY_TIMEOUT)
        } else {
            config.reply_timeout
        };
        self.since_angles = self.since_angles.saturating_add(1);
        match purpose {
            Purpose::Angles => {
                self.since_angles = 0;
                self.unanswered.push(now);
                self.next_angles = now.after(config.poll_period);
            }
            Purpose::Gripper => {
                let back_off = (1 + self.gripper_failures).min(GRIPPER_BACK_OFF);
                self.next_gripper = now.after(config.gripper_read_period.saturating_mul(back_off));
            }
            Purpose::GripperCommand => self.quiet_until = now.after(config.gripper_gap),
            Purpose::Power => self.next_power = now.after(POWER_POLL),
            _ => {}
        }
        // Bytes of an unfinished reply cannot belong to what is asked now.
        self.skip_partial();
        self.statistics.requests += 1;
        self.outstanding = Some(Outstanding {
            purpose,
            command: request.command(),
            name: request.name(),
            sent: now,
            deadline: now.after(patience),
        });
        Step::Transmit(request.encode())
    }

    fn request(&mut self, now: Timestamp, purpose: Purpose) -> Option<Request> {
        Some(match purpose {
            Purpose::Power => Request::IsPowerOn {},
            Purpose::PowerOn => Request::PowerOn {},
            Purpose::Torque => Request::AreAllServosEnabled {},
            Purpose::Focus => Request::FocusServo { joint: 0 },
            Purpose::FreshMode => Request::SetFreshMode { mode: 1 },
            Purpose::Angles => Request::GetAngles {},
            Purpose::Gripper => Request::GetGripperValue { kind: None },
            Purpose::Hold => Request::Stop {},
            Purpose::Release => Request::ReleaseAllServos { undamped: None },
            Purpose::PowerOff => Request::PowerOff {},
            Purpose::ArmCommand => {
                let (angles, again) = self.arm.take(now)?;
                self.count_command(again);
                Request::SendAngles { angles, speed: self.config.speed }
            }
            Purpose::GripperCommand => {
                let (value, again) = self.gripper.take(now)?;
                self.gripper_commanded = scaling::opening_from_gripper(value);
                self.count_command(again);
                let (speed, kind) = (self.config.gripper_speed, self.config.gripper_kind);
                Request::SetGripperValue { value, speed, kind }
            }
        })
    }

    const fn count_command(&mut self, again: bool) {
        if again {
            self.statistics.retries += 1;
        } else {
            self.statistics.commands += 1;
        }
    }

    /// A request has stayed without an answer. Returns the failure that ends the connection.
    fn overdue(&mut self, outstanding: &Outstanding) -> Option<Failure> {
        let purpose = outstanding.purpose;
        if purpose.is_stop() {
            self.statistics.timeouts += 1;
            self.stop_tried(purpose);
            return None;
        }
        if purpose.is_setter() && !self.config.expect_ack {
            // The phases' setters matter: without the fresh mode commands would queue up. Where
            // nobody says that one arrived it goes out again.
            self.setter_tries += 1;
            if self.setter_tries > self.config.retries {
                self.setter_done(purpose);
            }
            return None;
        }
        self.statistics.timeouts += 1;
        if purpose == Purpose::Gripper {
            self.gripper_failures = self.gripper_failures.saturating_add(1);
            self.substitute_gripper(outstanding.sent);
            return None;
        }
        self.failures += 1;
        let failure = Failure::NoAnswer { request: outstanding.name, tries: self.failures };
        self.failure = Some(failure);
        if self.failures > self.config.retries {
            return Some(failure);
        }
        match purpose {
            // Old firmware may not know this question; do without the answer.
            Purpose::Torque => self.phase = Phase::FreshMode,
            Purpose::Angles => {
                self.statistics.retries += 1;
                self.next_angles = outstanding.sent;
            }
            Purpose::Power => {
                self.statistics.retries += 1;
                self.next_power = outstanding.sent;
            }
            // The slot repeats it by itself; the other setters belong to a phase, which lasts.
            Purpose::ArmCommand | Purpose::GripperCommand => {}
            _ => self.statistics.retries += 1,
        }
        None
    }

    /// Counts one try of a stop; after the last it counts as delivered.
    pub(super) fn stop_tried(&mut self, purpose: Purpose) {
        let tries = match purpose {
            Purpose::Hold => &mut self.stops.hold,
            Purpose::Release => &mut self.stops.release,
            Purpose::PowerOff => &mut self.stops.power_off,
            _ => return,
        };
        *tries = tries.saturating_sub(1);
        self.unheard |= *tries == 0;
        self.stop_delivered();
    }

    /// After torque off there is nothing to read or command until the next arming.
    pub(super) fn stop_delivered(&mut self) {
        let off = self.torque_removed && self.stops.release == 0 && self.stops.power_off == 0;
        if off && self.arming == Arming::Disarmed {
            self.phase = Phase::Unpowered;
            self.epoch_ends = true;
            self.filter.reset();
            self.unanswered.clear();
        }
    }

    /// A setter was acknowledged, or is taken to have been executed.
    pub(super) fn setter_done(&mut self, purpose: Purpose) {
        self.setter_tries = 0;
        match (purpose, self.phase) {
            (Purpose::PowerOn, Phase::PowerOn) => {
                // Believed when the arm says so itself.
                self.torque_removed = false;
                self.phase = Phase::Identify;
            }
            (Purpose::Focus, Phase::Focus) => self.phase = Phase::FreshMode,
            (Purpose::FreshMode, Phase::FreshMode) => self.phase = Phase::Running,
            _ => {}
        }
    }

    /// The link answers.
    pub(super) fn link_is_up(&mut self) {
        self.state.link = LinkStatus::Up;
        self.down_since = None;
    }
}
