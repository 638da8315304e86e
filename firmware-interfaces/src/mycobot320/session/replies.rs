//! What received bytes mean.

use super::{Arming, Failure, INTER_BYTE_TIMEOUT, Phase, Purpose, Session};
use crate::Timestamp;
use crate::mycobot320::wire::{ARM_JOINTS, Answer, Frame, Reply, scaling};

/// What a gripper is said to be as long as nothing is known of it: open, which is how one starts its
/// day.
const UNSEEN: f64 = 1.0;

impl Session {
    /// Takes bytes received at `now`.
    pub fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.end_overdue_frame(now);
        self.last_byte = now;
        let mut rest = bytes;
        while let Some(frame) = self.reader.next(&mut rest) {
            self.frame(now, &frame);
        }
        self.count_garbage();
    }

    /// Stops waiting for the rest of a frame that was cut, and looks for others behind its start.
    pub(super) fn end_overdue_frame(&mut self, now: Timestamp) {
        while self.reader.is_partial() && now.since(self.last_byte) > INTER_BYTE_TIMEOUT {
            self.reader.give_up();
            let mut nothing: &[u8] = &[];
            while let Some(frame) = self.reader.next(&mut nothing) {
                self.frame(now, &frame);
            }
        }
        self.count_garbage();
    }

    fn frame(&mut self, now: Timestamp, frame: &Frame) {
        if self.phase == Phase::Closed || self.phase == Phase::Lost && !self.is_stopping() {
            return;
        }
        let reply = match Reply::parse(frame) {
            Ok(reply) => reply,
            Err(error) => return self.refuse(Failure::Malformed(error)),
        };
        // An answer to the outstanding request ends the wait for it; others may be late.
        let answered = self.outstanding.filter(|asked| asked.command == reply.command());
        if answered.is_some() {
            self.outstanding = None;
            self.failures = 0;
        }
        let purpose = answered.map(|asked| asked.purpose);
        match reply {
            Reply::Acknowledged { result: 0, .. } if purpose.is_some_and(Purpose::is_stop) => {
                self.statistics.replies += 1;
                if let Some(asked) = answered {
                    self.refuse(Failure::Refused { request: asked.name });
                    self.stop_tried(asked.purpose);
                }
            }
            Reply::Acknowledged { command, result } => {
                self.statistics.replies += 1;
                self.acknowledged(command, purpose);
                if let (0, Some(asked)) = (result, answered) {
                    self.refuse(Failure::Refused { request: asked.name });
                }
            }
            Reply::Answer(Answer::Angles { angles }) => self.angles(now, &angles),
            Reply::Answer(answer) => match (answered, answer) {
                (Some(asked), Answer::GripperValue { value }) => {
                    self.statistics.replies += 1;
                    self.gripper_value(asked.sent, value);
                }
                (Some(_), Answer::PoweredOn { on }) => {
                    self.statistics.replies += 1;
                    self.powered(now, on != 0);
                }
                (Some(_), Answer::AllServosEnabled { enabled }) => {
                    self.statistics.replies += 1;
                    if self.phase == Phase::CheckTorque {
                        self.phase = if enabled == 1 { Phase::FreshMode } else { Phase::Focus };
                    }
                }
                // Nobody asked, or not any more.
                _ => self.statistics.rejected += 1,
            },
        }
    }

    fn acknowledged(&mut self, command: u8, purpose: Option<Purpose>) {
        // Acknowledgements of commands count even when they are late.
        match command {
            0x22 => self.arm.acknowledge(),
            0x67 => self.gripper.acknowledge(),
            0x29 => self.stops.hold = 0,
            0x13 => self.stops.release = 0,
            0x11 => self.stops.power_off = 0,
            _ => {}
        }
        match purpose {
            Some(stop) if stop.is_stop() => self.stop_delivered(),
            Some(purpose) => self.setter_done(purpose),
            None => {}
        }
    }

    fn powered(&mut self, now: Timestamp, on: bool) {
        if !matches!(self.phase, Phase::Identify | Phase::Unpowered) {
            return;
        }
        self.setter_tries = 0;
        match self.arming {
            Arming::Wanted(_) if !on || self.torque_removed => self.phase = Phase::PowerOn,
            Arming::Wanted(_) => self.phase = Phase::CheckTorque,
            Arming::Armed if on => self.phase = Phase::FreshMode,
            Arming::Armed => {
                // Somebody cut the power while we were away. Giving it back is for a person.
                self.failure = Some(Failure::PowerLost);
                self.give_up();
            }
            Arming::Disarmed if on && !self.torque_removed => self.phase = Phase::FreshMode,
            Arming::Disarmed => {
                self.phase = Phase::Unpowered;
                self.link_is_up();
            }
        }
        if self.phase == Phase::PowerOn {
            // Asked again some time after the power was switched.
            self.next_power = now.after(super::POWER_POLL);
        }
    }

    fn angles(&mut self, now: Timestamp, angles: &[i16; ARM_JOINTS]) {
        let limit = self.config.reply_timeout.saturating_mul(self.config.retries + 2);
        let Some(captured) = self.unanswered.match_answer(now, limit) else {
            self.statistics.rejected += 1;
            return;
        };
        if self.phase != Phase::Running {
            return;
        }
        if let Err(failure) = self.filter.check(angles, captured) {
            return self.refuse(failure);
        }
        self.statistics.replies += 1;
        let round_trip = now.since(captured).as_nanos() as u64;
        self.statistics.reads += 1;
        self.statistics.read_ns_sum += round_trip;
        self.statistics.read_ns_max = self.statistics.read_ns_max.max(round_trip);
        for (joint, angle) in angles.iter().enumerate() {
            self.state.position[joint] = scaling::radians_from_angle(*angle);
            self.state.captured[joint] = captured;
        }
        if std::mem::take(&mut self.epoch_ends) {
            self.state.epoch += 1;
            if self.connected_before && self.down_since.is_some() {
                self.statistics.reconnects += 1;
            }
            self.connected_before = true;
        }
        self.state.sequence += 1;
        self.link_is_up();
        self.finish_arming();
    }

    fn gripper_value(&mut self, captured: Timestamp, value: u8) {
        let Some(index) = self.config.gripper_index() else { return };
        match scaling::opening_from_gripper(value) {
            Some(opening) => {
                self.gripper_failures = 0;
                self.gripper_seen = Some(opening);
                self.state.position[index] = opening;
                self.state.captured[index] = captured;
                self.state.substituted &= !(1 << index);
                self.state.sequence += 1;
            }
            // The gripper answers, so it is asked as often as before.
            None => self.substitute_gripper(captured),
        }
        self.finish_arming();
    }

    /// Reports the gripper where it was last sent, or last seen if it was never sent anywhere.
    pub(super) fn substitute_gripper(&mut self, captured: Timestamp) {
        let Some(index) = self.config.gripper_index() else { return };
        let known = self.gripper_commanded.or(self.gripper_seen);
        self.state.position[index] = known.unwrap_or(UNSEEN);
        self.state.captured[index] = captured;
        self.state.substituted |= 1 << index;
        self.state.sequence += 1;
        self.statistics.substituted += 1;
        self.finish_arming();
    }

    /// Armed once every joint has been read, or substituted, since arming was asked for.
    fn finish_arming(&mut self) {
        let Arming::Wanted(since) = self.arming else { return };
        let joints = ARM_JOINTS + usize::from(self.config.gripper);
        // A clock may begin with the arming: what was captured at 0 was never captured.
        let since = since.max(Timestamp::from_nanos(1));
        let read = self.state.captured.iter().take(joints).all(|captured| *captured >= since);
        if self.phase == Phase::Running && !self.epoch_ends && read {
            self.arming = Arming::Armed;
        }
    }
}
