//! An emulated SLCAN adapter on the motors' bus.

use std::collections::VecDeque;

use super::network::Actuators;
use super::{Faults, Rate};
use crate::Timestamp;
use crate::can::wire::{Flags, Line, LineReader, Reply, Request, Text};
use crate::can::{Condition, Frame};
use crate::random::Random;
use crate::transport::Served;

const OUTBOX: usize = 256;
const LONGEST_GARBAGE: usize = 12;
/// Times of received frames are counted modulo a minute.
const MINUTE_MS: u64 = 60_000;

/// Bytes that go out together.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    garbage: [u8; LONGEST_GARBAGE],
    length: usize,
    text: Text,
    bytes: [u8; LONGEST_GARBAGE + crate::can::wire::MAX_LINE + 1],
    total: usize,
}

impl Bytes {
    fn new(text: Text) -> Self {
        let mut made = Self {
            garbage: [0; LONGEST_GARBAGE],
            length: 0,
            text,
            bytes: [0; LONGEST_GARBAGE + crate::can::wire::MAX_LINE + 1],
            total: 0,
        };
        made.join();
        made
    }

    fn join(&mut self) {
        let garbage = self.garbage.iter().take(self.length);
        self.total = 0;
        for (place, byte) in self.bytes.iter_mut().zip(garbage.chain(self.text.as_bytes())) {
            *place = *byte;
            self.total += 1;
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.total).unwrap_or_default()
    }
}

/// The adapter with its bus: bytes and time in, bytes and time out.
#[derive(Clone, Debug)]
pub struct Adapter {
    actuators: Actuators,
    reader: LineReader,
    open: bool,
    listen: bool,
    times: bool,
    was_off: bool,
    outbox: VecDeque<Text>,
    random: Random,
    received: u64,
}

impl Adapter {
    /// An adapter that has not joined the bus.
    pub fn new(actuators: Actuators, seed: u64) -> Self {
        Self {
            actuators,
            reader: LineReader::new(),
            open: false,
            listen: false,
            times: false,
            was_off: false,
            outbox: VecDeque::with_capacity(OUTBOX),
            random: Random::new(seed),
            received: 0,
        }
    }

    /// The motors.
    pub const fn actuators(&self) -> &Actuators {
        &self.actuators
    }

    /// The motors, to switch faults.
    pub const fn actuators_mut(&mut self) -> &mut Actuators {
        &mut self.actuators
    }

    fn is_off(&self, now: Timestamp) -> bool {
        Faults::holds(self.actuators.faults.bus_off, now)
    }

    fn say(&mut self, reply: Reply) {
        if self.outbox.len() < OUTBOX {
            self.outbox.push_back(reply.encode());
        }
    }

    fn serve(&mut self, now: Timestamp, line: &Line) {
        let reply = match Request::parse(line.as_bytes()) {
            None => Reply::Refused,
            Some(Request::Empty) => return,
            Some(Request::Close) => {
                (self.open, self.listen) = (false, false);
                self.actuators.hang_up();
                Reply::Done
            }
            // A channel that is open already is opened again by python-can.
            Some(request @ (Request::Open | Request::Listen)) => {
                (self.open, self.listen) = (true, request == Request::Listen);
                self.actuators.hang_up();
                Reply::Done
            }
            Some(Request::Bitrate(_) | Request::Timing(_) | Request::Times(_)) if self.open => {
                Reply::Refused
            }
            Some(Request::Times(on)) => {
                self.times = on;
                Reply::Done
            }
            // Whatever it is set to, the motors have the same.
            Some(Request::Bitrate(_) | Request::Timing(_)) => Reply::Done,
            Some(Request::Flags) => {
                let off = Flags::BUS_ERROR | Flags::TRANSMIT_FULL;
                Reply::Flags(Flags(if self.is_off(now) { off } else { 0 }))
            }
            Some(Request::Version) => Reply::Version(*b"1013"),
            Some(Request::Serial) => Reply::Serial(*b"A123"),
            Some(Request::Transmit(_)) if !self.open || self.listen || self.is_off(now) => {
                Reply::Refused
            }
            Some(Request::Transmit(frame)) => {
                self.actuators.receive(now, &frame);
                Reply::sent(frame.id())
            }
        };
        self.say(reply);
    }

    fn received(&mut self, now: Timestamp, frame: Frame) -> Bytes {
        let milliseconds = now.as_nanos() / 1_000_000 % MINUTE_MS;
        let time = self.times.then_some(milliseconds as u16);
        let mut bytes = Bytes::new(Reply::Received { frame, time }.encode());
        self.received += 1;
        let drawn = self.random.fraction();
        let rate: Rate = self.actuators.faults.garbage;
        if rate.happens(self.received, drawn) {
            bytes.length = 1 + self.random.below(LONGEST_GARBAGE);
            for byte in bytes.garbage.iter_mut().take(bytes.length) {
                *byte = self.random.next() as u8;
            }
            bytes.join();
        }
        bytes
    }
}

impl Served for Adapter {
    type Message = Bytes;

    fn is_connected(&self, now: Timestamp) -> bool {
        !Faults::holds(self.actuators.faults.disconnect, now)
    }

    fn hang_up(&mut self) {
        // The channel stays open, as it does when a program ends without closing it.
        self.reader.reset();
        self.outbox.clear();
        self.actuators.hang_up();
    }

    fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(line) = self.reader.next(&mut rest) {
            self.serve(now, &line);
        }
    }

    fn transmit(&mut self, now: Timestamp) -> Option<Bytes> {
        let off = self.is_off(now);
        if off && !std::mem::replace(&mut self.was_off, off) && self.open {
            let state = Reply::State {
                condition: Condition::BusOff,
                receive_errors: 0,
                transmit_errors: 255,
            };
            self.say(state);
        }
        self.was_off = off;
        if let Some(text) = self.outbox.pop_front() {
            return Some(Bytes::new(text));
        }
        while let Some(frame) = self.actuators.transmit(now) {
            if self.open && !off {
                return Some(self.received(now, frame));
            }
        }
        None
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.actuators.next_due()
    }
}
