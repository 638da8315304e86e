//! What is sent, and when.

use std::time::Duration;

use super::{Arming, Failure, Phase, Session, Speech, Step};
use crate::Timestamp;
use crate::rig::wire::{Mode, Packet, Request};
use crate::robot::{LinkStatus, StopRequest};

/// How often somebody is asked who they are. A board that resets when its port is opened takes a
/// second or two to answer.
const HELLO_PERIOD: Duration = Duration::from_millis(100);
/// Silence of a device that has not answered yet, after which the port is opened again.
const BOOT: Duration = Duration::from_secs(3);
/// Time after which a request that no state confirms is sent again.
pub(super) const RESEND: Duration = Duration::from_millis(20);
/// How often a stop is sent that no state confirms; and where states cannot confirm it.
const STOP_TRIES: u32 = 10;
const BLIND_STOP_TRIES: u32 = 3;
/// A time that is far away.
const LATER: Duration = Duration::from_millis(100);

impl Session {
    /// What to do next.
    pub fn poll(&mut self, now: Timestamp) -> Step {
        if self.phase == Phase::Closed {
            self.give_up_in_time(now);
            return Step::Wait(now.after(LATER));
        }
        if let Some(request) = self.due_stop(now) {
            return self.transmit(now, request);
        }
        if self.phase == Phase::Lost {
            return Step::Wait(now.after(if self.stop.is_some() { RESEND } else { LATER }));
        }
        let patience = if self.phase == Phase::Identify { BOOT } else { self.config.silence };
        if now.since(self.heard) > patience {
            return Step::Disconnect(Failure::Silent);
        }
        self.give_up_in_time(now);
        if self.phase == Phase::Identify && now >= self.next_hello {
            return self.introduce(now);
        }
        if self.may_arm() && self.stop.is_none() && now >= self.next_arm {
            self.next_arm = now.after(RESEND);
            return self.transmit(now, Request::Arm);
        }
        if self.stop.is_none()
            && let Some(request) = self.pending.take()
        {
            self.statistics.commands += 1;
            return self.transmit(now, request);
        }
        let beat = self.next_heartbeat();
        if beat.is_some_and(|beat| now >= beat) {
            return self.transmit(now, Request::Heartbeat);
        }
        Step::Wait(self.next_time(now, beat, patience))
    }

    /// A motor gets torque only where it is known where it stands, since it was asked for, and where
    /// the device measures what it should.
    pub(super) fn may_arm(&self) -> bool {
        let Arming::Wanted(since) = self.arming else { return false };
        let known = self.state.link == LinkStatus::Up && self.state.captured[0] > since;
        self.phase == Phase::Running && known && !self.lacks
    }

    /// True where states say what the motor follows.
    pub(super) fn speaks_of_mode(&self) -> bool {
        self.speech == Speech::Binary || self.columns.has_mode()
    }

    /// When to say that somebody is here. Not while the motor follows torques: there the stream of
    /// commands says it, and when that ends, the device is to hold.
    fn next_heartbeat(&self) -> Option<Timestamp> {
        let quiet = self.phase == Phase::Running && self.mode != Mode::Torque;
        quiet.then(|| self.sent.after(self.config.watchdog / 4))
    }

    fn next_time(&self, now: Timestamp, beat: Option<Timestamp>, patience: Duration) -> Timestamp {
        let mut next = self.heard.after(patience + Duration::from_micros(1));
        if self.phase == Phase::Identify {
            next = next.min(self.next_hello);
        }
        if let Some(beat) = beat {
            next = next.min(beat);
        }
        if self.may_arm() {
            next = next.min(self.next_arm);
        }
        if let Some(stop) = self.stop {
            next = next.min(stop.sent.after(RESEND));
        }
        next.max(now)
    }

    /// The stop that is to be sent now. One that the device has confirmed, or that was sent often
    /// enough, is over.
    fn due_stop(&mut self, now: Timestamp) -> Option<Request> {
        let has_mode = self.speaks_of_mode();
        let (mode, mode_at) = (self.mode, self.mode_at);
        let stop = self.stop.as_mut()?;
        let stopped = match stop.request {
            StopRequest::TorqueOff => mode == Mode::Off,
            StopRequest::Hold => matches!(mode, Mode::Hold | Mode::Off),
        };
        if has_mode && stop.tries > 0 && stopped && mode_at > stop.sent {
            self.stop = None;
            return None;
        }
        if stop.tries > 0 && now < stop.sent.after(RESEND) {
            return None;
        }
        let most = if has_mode { STOP_TRIES } else { BLIND_STOP_TRIES };
        if stop.tries >= most {
            self.unheard = has_mode;
            self.stop = None;
            return None;
        }
        stop.tries += 1;
        stop.sent = now;
        Some(match stop.request {
            StopRequest::Hold => Request::Hold,
            StopRequest::TorqueOff => Request::Off,
        })
    }

    /// Says what is wanted, and asks who is there: the answer confirms it.
    fn introduce(&mut self, now: Timestamp) -> Step {
        self.next_hello = now.after(HELLO_PERIOD);
        self.configured = self.speech != Speech::Unknown;
        let packet = match self.speech {
            Speech::Binary => {
                let configuration = self.configuration().frame(self.next_sequence());
                let hello = Request::Hello.frame(self.next_sequence());
                Packet::from(configuration).followed_by(hello.as_bytes())
            }
            Speech::Text => {
                let hello = Request::Hello.line();
                self.configuration().line().followed_by(hello.as_bytes())
            }
            Speech::Unknown => {
                // A frame for whoever reads frames; a line of its own for whoever reads lines.
                let hello = Request::Hello.frame(self.next_sequence());
                Packet::from(hello).followed_by(b"\n?\n")
            }
        };
        self.transmit_packet(now, packet)
    }

    fn configuration(&self) -> Request {
        Request::Configure { rate_hz: self.config.rate_hz, watchdog_ms: self.watchdog_ms() }
    }

    fn next_sequence(&mut self) -> u8 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn transmit(&mut self, now: Timestamp, request: Request) -> Step {
        self.sent_motion = Request::is_motion_kind(request.kind());
        let packet = if self.speech == Speech::Text {
            request.line()
        } else {
            Packet::from(request.frame(self.next_sequence()))
        };
        self.transmit_packet(now, packet)
    }

    fn transmit_packet(&mut self, now: Timestamp, packet: Packet) -> Step {
        self.sent = now;
        self.statistics.requests += 1;
        Step::Transmit(packet)
    }

    fn give_up_in_time(&mut self, now: Timestamp) {
        let Some(since) = self.down_since else { return };
        if self.connected_before && now.since(since) > self.config.reconnect_window {
            self.give_up(None);
        }
    }
}
