//! A bus behind an SLCAN adapter, on a serial port or over TCP.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::bus::{Bus, BusError, Event};
use super::frame::Frame;
use super::wire::{Bitrate, Flags, LineReader, Reply, Request};
use crate::robot::RobotError;
use crate::transport::{Address, Link};

/// How long an adapter may take to answer while it is opened. Some answer nothing at all.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(100);
/// What arrives within this after the channel was closed belongs to whoever had it before.
const SETTLING: Duration = Duration::from_millis(20);

/// An open SLCAN channel.
pub(super) struct Slcan {
    link: Link,
    reader: LineReader,
    buffer: [u8; 512],
    /// The part of the buffer that has not been looked at.
    pending: std::ops::Range<usize>,
    skipped: u64,
}

impl Slcan {
    /// Opens the port, sets the bit rate and joins the bus.
    pub(super) fn open(
        address: &Address,
        port: &str,
        bitrate: Bitrate,
        timeout: Duration,
    ) -> Result<Self, RobotError> {
        let mut adapter = Self {
            link: address.open(timeout)?,
            reader: LineReader::new(),
            buffer: [0; 512],
            pending: 0..0,
            skipped: 0,
        };
        adapter.join(port, bitrate)?;
        Ok(adapter)
    }

    fn join(&mut self, port: &str, bitrate: Bitrate) -> Result<(), RobotError> {
        let lost = |kind: ErrorKind| RobotError::Lost {
            port: port.to_owned(),
            reason: format!("the adapter's port: {kind}"),
        };
        // Whatever line an earlier program left unfinished ends here. Closing a closed channel may be
        // refused; that is no matter.
        self.write(Request::Empty).and_then(|()| self.write(Request::Close)).map_err(lost)?;
        let until = Instant::now() + SETTLING;
        while Instant::now() < until {
            self.fill(SETTLING).map_err(lost)?;
            self.pending = 0..0;
        }
        self.reader.reset();
        for (request, what) in
            [(Request::Bitrate(bitrate), "set the bit rate"), (Request::Open, "open the channel")]
        {
            self.write(request).map_err(lost)?;
            if self.is_refused().map_err(lost)? {
                return Err(RobotError::Device {
                    port: port.to_owned(),
                    fault: format!(
                        "the CAN adapter refused to {what} ({} kbit/s)",
                        bitrate.bits_per_second() / 1000
                    ),
                    remedy: "Does it speak SLCAN, and know this bit rate?".to_owned(),
                });
            }
        }
        self.skipped = self.reader.skipped();
        Ok(())
    }

    /// Whether the next answer is a refusal; an adapter that says nothing has not refused.
    fn is_refused(&mut self) -> Result<bool, ErrorKind> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        loop {
            while let Some(reply) = self.next_reply() {
                match reply {
                    Reply::Refused => return Ok(true),
                    Reply::Done => return Ok(false),
                    // Frames of a bus that is alive.
                    _ => {}
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.fill(left)?;
        }
    }

    fn write(&mut self, request: Request) -> Result<(), ErrorKind> {
        self.link.send(request.encode().as_bytes())
    }

    fn fill(&mut self, wait: Duration) -> Result<(), ErrorKind> {
        let count = self.link.receive(&mut self.buffer, wait)?;
        self.pending = 0..count;
        Ok(())
    }

    /// The next reply among the bytes that are here.
    fn next_reply(&mut self) -> Option<Reply> {
        loop {
            let mut rest = self.buffer.get(self.pending.clone()).unwrap_or_default();
            let line = self.reader.next(&mut rest);
            self.pending.start = self.pending.end - rest.len();
            let line = line?;
            match Reply::parse(&line) {
                Some(reply) => return Some(reply),
                None => self.reader.skip(&line),
            }
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        while let Some(reply) = self.next_reply() {
            match reply {
                Reply::Received { frame, .. } => return Some(Event::Frame(frame)),
                Reply::State { condition, .. } => return Some(Event::Condition(condition)),
                Reply::Flags(flags) if flags.has(Flags::OVERRUN | Flags::RECEIVE_FULL) => {
                    return Some(Event::Overrun);
                }
                Reply::Flags(flags) => return Some(Event::Condition(flags.condition())),
                Reply::Refused => return Some(Event::Refused),
                Reply::Done | Reply::Sent { .. } | Reply::Version(_) | Reply::Serial(_) => {}
            }
        }
        let skipped = self.reader.skipped() - self.skipped;
        self.skipped += skipped;
        (skipped > 0).then_some(Event::Garbage(skipped))
    }
}

impl Bus for Slcan {
    fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        self.write(Request::Transmit(*frame)).map_err(BusError::Port)
    }

    fn receive(&mut self, wait: Duration) -> Result<Option<Event>, BusError> {
        if let Some(event) = self.next_event() {
            return Ok(Some(event));
        }
        self.fill(wait).map_err(BusError::Port)?;
        Ok(self.next_event())
    }

    fn ask_condition(&mut self) -> Result<(), BusError> {
        self.write(Request::Flags).map_err(BusError::Port)
    }
}

impl Drop for Slcan {
    fn drop(&mut self) {
        // Leaves the bus, so that an adapter without a host does not acknowledge frames for ever. The
        // port may be gone.
        let _ = self.write(Request::Close);
    }
}
