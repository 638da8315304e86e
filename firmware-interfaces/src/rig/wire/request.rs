//! What the device is told.

use std::fmt::Write;

use super::field::{Fields, real};
use super::{Frame, MAX_FRAME, VERSION, WireError};

/// Type bytes of requests.
mod kind {
    pub(super) const HELLO: u8 = 0x10;
    pub(super) const CONFIGURE: u8 = 0x11;
    pub(super) const ARM: u8 = 0x12;
    pub(super) const POSITION: u8 = 0x13;
    pub(super) const TORQUE: u8 = 0x14;
    pub(super) const HOLD: u8 = 0x15;
    pub(super) const OFF: u8 = 0x16;
    pub(super) const HEARTBEAT: u8 = 0x17;
}

/// What the device is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request {
    /// Say who you are.
    Hello,
    /// How often to send state, and how long to bear silence.
    Configure {
        /// States a second; 0 leaves the rate as it is.
        rate_hz: u16,
        /// Silence until the device holds by itself, in ms; 0 for never.
        watchdog_ms: u16,
    },
    /// Give torque, stay where you are, forget faults that have gone.
    Arm,
    /// Go to this angle, in rad.
    Position(f64),
    /// Give this torque, in N·m.
    Torque(f64),
    /// Stay where you are.
    Hold,
    /// Take torque off.
    Off,
    /// I am still here.
    Heartbeat,
}

/// Bytes that go out together: a frame, or a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    bytes: [u8; MAX_FRAME],
    length: usize,
}

impl Packet {
    const EMPTY: Self = Self { bytes: [0; MAX_FRAME], length: 0 };

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Another packet behind this one; what does not fit is left out.
    #[must_use]
    pub fn followed_by(mut self, other: &[u8]) -> Self {
        for byte in other {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
        self
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<Frame> for Packet {
    fn from(frame: Frame) -> Self {
        Self::EMPTY.followed_by(frame.as_bytes())
    }
}

impl Write for Packet {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        *self = self.followed_by(text.as_bytes());
        Ok(())
    }
}

impl Request {
    /// The type byte.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Hello => kind::HELLO,
            Self::Configure { .. } => kind::CONFIGURE,
            Self::Arm => kind::ARM,
            Self::Position(_) => kind::POSITION,
            Self::Torque(_) => kind::TORQUE,
            Self::Hold => kind::HOLD,
            Self::Off => kind::OFF,
            Self::Heartbeat => kind::HEARTBEAT,
        }
    }

    /// The name of the request with this type byte, for messages.
    pub const fn name_of(kind: u8) -> &'static str {
        match kind {
            kind::HELLO => "hello",
            kind::CONFIGURE => "configure",
            kind::ARM => "arm",
            kind::POSITION => "position",
            kind::TORQUE => "torque",
            kind::HOLD => "hold",
            kind::OFF => "torque off",
            kind::HEARTBEAT => "heartbeat",
            _ => "unknown request",
        }
    }

    /// True for the type byte of a request that moves the motor.
    pub const fn is_motion_kind(kind: u8) -> bool {
        matches!(kind, kind::POSITION | kind::TORQUE)
    }

    /// The frame that asks for it.
    pub fn frame(&self, sequence: u8) -> Frame {
        let kind = self.kind();
        let frame = match self {
            Self::Hello => Frame::new(kind, sequence, &[VERSION]),
            Self::Configure { rate_hz, watchdog_ms } => {
                let [a, b] = rate_hz.to_le_bytes();
                let [c, d] = watchdog_ms.to_le_bytes();
                Frame::new(kind, sequence, &[a, b, c, d])
            }
            Self::Position(value) | Self::Torque(value) => {
                Frame::new(kind, sequence, &real(*value))
            }
            Self::Arm | Self::Hold | Self::Off | Self::Heartbeat => Frame::new(kind, sequence, &[]),
        };
        // No payload above is longer than a frame's.
        frame.unwrap_or_else(|| Frame::empty(sequence))
    }

    /// What a frame asks for.
    ///
    /// # Errors
    /// [`WireError`] for a type, a length or a value that no host sends.
    pub fn parse(frame: &Frame) -> Result<Self, WireError> {
        let payload = frame.payload();
        let expect = |expected| {
            let (kind, length) = (frame.kind(), payload.len());
            if length == expected {
                Ok(Fields::new(payload))
            } else {
                Err(WireError::Length { kind, length, expected })
            }
        };
        match frame.kind() {
            kind::HELLO => expect(1).map(|_| Self::Hello),
            kind::CONFIGURE => expect(4).map(|mut fields| Self::Configure {
                rate_hz: fields.u16(),
                watchdog_ms: fields.u16(),
            }),
            kind::ARM => expect(0).map(|_| Self::Arm),
            kind::POSITION => expect(4)?.real("position").map(Self::Position),
            kind::TORQUE => expect(4)?.real("torque").map(Self::Torque),
            kind::HOLD => expect(0).map(|_| Self::Hold),
            kind::OFF => expect(0).map(|_| Self::Off),
            kind::HEARTBEAT => expect(0).map(|_| Self::Heartbeat),
            kind => Err(WireError::UnknownType { kind }),
        }
    }

    /// The line that asks for it. Angles are in degrees there.
    pub fn line(&self) -> Packet {
        let mut line = Packet::EMPTY;
        // A packet takes more than any of these lines.
        let _ = match self {
            Self::Hello => writeln!(line, "?"),
            Self::Configure { rate_hz, watchdog_ms } => {
                writeln!(line, "R{rate_hz}\nW{watchdog_ms}")
            }
            Self::Arm => writeln!(line, "E"),
            Self::Position(angle) => writeln!(line, "A{:.4}", angle.to_degrees()),
            Self::Torque(torque) => writeln!(line, "T{torque:.5}"),
            Self::Hold => writeln!(line, "H"),
            Self::Off => writeln!(line, "O"),
            Self::Heartbeat => writeln!(line, "B"),
        };
        line
    }

    /// What a line (without its end) asks for.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn parse_line(line: &[u8]) -> Result<Self, WireError> {
        let (letter, rest) = line.split_first().ok_or(WireError::NotACommand)?;
        let rest = std::str::from_utf8(rest).map_err(|_| WireError::NotACommand)?.trim();
        let whole = |field| rest.parse().map_err(|_| WireError::NotANumber { field });
        let real = |field| {
            let value: f64 = rest.parse().map_err(|_| WireError::NotANumber { field })?;
            if value.is_finite() { Ok(value) } else { Err(WireError::NotFinite { field }) }
        };
        match letter {
            b'A' => real("position").map(|degrees| Self::Position(degrees.to_radians())),
            b'T' => real("torque").map(Self::Torque),
            b'R' => whole("rate").map(|rate_hz| Self::Configure { rate_hz, watchdog_ms: KEEP }),
            b'W' => {
                whole("watchdog").map(|watchdog_ms| Self::Configure { rate_hz: 0, watchdog_ms })
            }
            _ if !rest.is_empty() => Err(WireError::NotACommand),
            b'?' => Ok(Self::Hello),
            b'E' => Ok(Self::Arm),
            b'H' => Ok(Self::Hold),
            b'O' => Ok(Self::Off),
            b'B' => Ok(Self::Heartbeat),
            _ => Err(WireError::NotACommand),
        }
    }
}

/// A watchdog that is left as it is.
pub const KEEP: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [Request; 5] =
        [Request::Hello, Request::Arm, Request::Hold, Request::Off, Request::Heartbeat];

    #[test]
    fn requests_have_the_documented_bytes_and_lines() {
        let configure = Request::Configure { rate_hz: 1000, watchdog_ms: 100 };
        assert_eq!(configure.frame(3).payload(), [0xE8, 0x03, 100, 0]);
        assert_eq!(Request::Position(0.5).frame(0).payload(), 0.5_f32.to_le_bytes());
        assert_eq!(Request::Hello.frame(0).payload(), [1]);
        assert_eq!(Request::Position(0.5).line().as_bytes(), b"A28.6479\n");
        assert_eq!(Request::Torque(-0.25).line().as_bytes(), b"T-0.25000\n");
        assert_eq!(configure.line().as_bytes(), b"R1000\nW100\n");
        let kinds: Vec<u8> = PLAIN.iter().map(Request::kind).collect();
        assert_eq!(kinds, [0x10, 0x12, 0x15, 0x16, 0x17]);
    }

    #[test]
    fn each_request_that_means_nothing_has_its_error() {
        let parse = |kind, payload: &[u8]| Request::parse(&Frame::new(kind, 0, payload).unwrap());
        assert_eq!(parse(0x01, &[]), Err(WireError::UnknownType { kind: 1 }));
        assert_eq!(
            parse(0x15, &[1]),
            Err(WireError::Length { kind: 0x15, length: 1, expected: 0 })
        );
        let nan = f32::NAN.to_le_bytes();
        assert_eq!(parse(0x14, &nan), Err(WireError::NotFinite { field: "torque" }));
        for line in [&b""[..], b"X", b"H1", b"hello", b"\xFF\xFF", b"A\xFF"] {
            assert_eq!(Request::parse_line(line), Err(WireError::NotACommand), "{line:?}");
        }
        let bad = Request::parse_line(b"A12,5");
        assert_eq!(bad, Err(WireError::NotANumber { field: "position" }));
        let bad = Request::parse_line(b"Tinf");
        assert_eq!(bad, Err(WireError::NotFinite { field: "torque" }));
    }

    proptest! {
        #[test]
        fn a_request_is_read_again_from_frame_and_line(
            value in -100.0..100.0f64, rate_hz: u16, watchdog_ms: u16, sequence: u8,
        ) {
            let configure = Request::Configure { rate_hz, watchdog_ms };
            for request in PLAIN.into_iter().chain([configure]) {
                prop_assert_eq!(Request::parse(&request.frame(sequence)), Ok(request));
            }
            for request in PLAIN {
                let line = request.line();
                prop_assert_eq!(Request::parse_line(line.as_bytes().trim_ascii()), Ok(request));
            }
            for request in [Request::Position(value), Request::Torque(value)] {
                let near = |read: Result<Request, WireError>, margin: f64| match (request, read) {
                    (Request::Position(a), Ok(Request::Position(b)))
                    | (Request::Torque(a), Ok(Request::Torque(b))) => (a - b).abs() <= margin,
                    _ => false,
                };
                prop_assert!(near(Request::parse(&request.frame(sequence)), 1e-5));
                let line = request.line();
                prop_assert!(near(Request::parse_line(line.as_bytes().trim_ascii()), 1e-5));
            }
        }

        #[test]
        fn any_request_is_survived(kind: u8, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Request::parse(&Frame::new(kind, 0, &bytes).unwrap());
            let _ = Request::parse_line(&bytes);
        }
    }
}
