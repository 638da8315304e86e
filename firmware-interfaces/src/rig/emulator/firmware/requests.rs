//! What the firmware makes of requests.

use std::fmt::Write;
use std::time::Duration;

use super::super::message::Message;
use super::{Firmware, period};
use crate::Timestamp;
use crate::rig::wire::{self, Frame, Identity, KEEP, Mode, Reason, Report, Request, WireError};

impl Firmware {
    pub(super) fn take_frame(&mut self, now: Timestamp, frame: &Frame) {
        let (kind, sequence) = (frame.kind(), frame.sequence());
        let followed = match Request::parse(frame) {
            Ok(request) => {
                self.motor.hear(now);
                self.follow(now, request)
            }
            Err(WireError::UnknownType { .. }) => Err(Reason::UnknownType),
            Err(WireError::Length { .. }) => Err(Reason::Length),
            Err(_) => Err(Reason::Value),
        };
        if let Err(reason) = followed {
            self.refused = self.refused.wrapping_add(1);
            self.report(now, &Report::Refusal { kind, sequence, reason });
        }
    }

    pub(super) fn take_line(&mut self, now: Timestamp, request: Result<Request, WireError>) {
        let mut note = Message::EMPTY;
        let followed = match request {
            Ok(request) => {
                self.motor.hear(now);
                let moves = matches!(request, Request::Position(_) | Request::Torque(_));
                // A sketch that knows nothing but angles has torque from the first one on.
                if moves && self.motor.mode() == Mode::Off && self.motor.faults() == 0 {
                    let _ = self.motor.arm(self.measured.encoder, self.is_hot(now));
                }
                self.follow(now, request).map_err(Reason::words)
            }
            Err(WireError::NotFinite { .. } | WireError::NotANumber { .. }) => {
                Err(Reason::Value.words())
            }
            Err(_) => Err("not a command"),
        };
        if let Err(words) = followed {
            self.refused = self.refused.wrapping_add(1);
            let _ = write!(note, "# refused: {words}\r\n");
            self.send(now, note);
        }
    }

    fn follow(&mut self, now: Timestamp, request: Request) -> Result<(), Reason> {
        let measured = self.measured.encoder;
        match request {
            Request::Hello => self.introduce(now),
            Request::Configure { rate_hz, watchdog_ms } => {
                if rate_hz > self.config.max_rate_hz {
                    return Err(Reason::Value);
                }
                if rate_hz != 0 {
                    self.period = period(rate_hz);
                    self.next = now.after(self.period).min(self.next.after(self.period));
                }
                if watchdog_ms != KEEP {
                    self.motor.watchdog = Duration::from_millis(watchdog_ms.into());
                }
            }
            Request::Arm => return self.motor.arm(measured, self.is_hot(now)),
            Request::Position(angle) => return self.motor.go_to(angle),
            Request::Torque(torque) => return self.motor.push(torque),
            Request::Hold => self.motor.hold(measured),
            Request::Off => self.motor.off(),
            Request::Heartbeat => {}
        }
        Ok(())
    }

    fn introduce(&mut self, now: Timestamp) {
        let rate = (1.0 / self.period.as_secs_f64()).round();
        if self.config.text {
            let mut line = Message::EMPTY;
            // A message takes more than these lines.
            let _ = write!(line, "# sinew rig, protocol {}, {rate} Hz\r\n", wire::VERSION);
            let _ = wire::header(&mut line);
            line.extend(b"\r\n");
            return self.send(now, line);
        }
        let identity = Identity {
            version: wire::VERSION,
            rate_hz: rate as u16,
            max_rate_hz: self.config.max_rate_hz,
            watchdog_ms: self.motor.watchdog.as_millis().min(KEEP.into()) as u16,
            max_torque: self.config.actuator.stall_torque,
            name: Identity::named("emulated-rig"),
        };
        self.report(now, &Report::Identity(identity));
    }

    fn report(&mut self, now: Timestamp, report: &Report) {
        let mut message = Message::EMPTY;
        message.extend(report.frame(self.sequence).as_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.send(now, message);
    }
}
