//! What the device says.

use super::field::{Fields, real};
use super::{Frame, WireError};

/// Type bytes of reports.
mod kind {
    pub(super) const STATE: u8 = 0x01;
    pub(super) const IDENTITY: u8 = 0x02;
    pub(super) const REFUSAL: u8 = 0x03;
}

/// Payload lengths.
const STATE: usize = 60;
const IDENTITY: usize = 28;
const REFUSAL: usize = 3;
/// Bytes of the device's name.
const NAME: usize = 16;

/// What the motor follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: it has no torque.
    #[default]
    Off,
    /// It stays where it is.
    Hold,
    /// Position targets.
    Position,
    /// Torques.
    Torque,
}

impl Mode {
    const fn to_byte(self) -> u8 {
        self as u8
    }

    fn from_byte(byte: u8) -> Result<Self, WireError> {
        match byte {
            0 => Ok(Self::Off),
            1 => Ok(Self::Hold),
            2 => Ok(Self::Position),
            3 => Ok(Self::Torque),
            _ => Err(WireError::Meaningless { field: "mode", value: byte.into() }),
        }
    }
}

/// A bit of [`Sample::faults`]. Each but `Silence` takes the torque away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// The host fell silent: the device holds until it is armed again.
    Silence = 1,
    /// The motor is too hot.
    Temperature = 2,
    /// The supply is too low.
    Supply = 4,
    /// The encoder cannot be read.
    Encoder = 8,
    /// The inertial unit cannot be read.
    Inertial = 16,
}

impl Fault {
    /// Every fault with its words.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Silence, "the host fell silent"),
        (Self::Temperature, "the motor is too hot"),
        (Self::Supply, "the supply is too low"),
        (Self::Encoder, "the encoder cannot be read"),
        (Self::Inertial, "the inertial unit cannot be read"),
    ];

    /// True where `faults` has this bit.
    pub const fn is_in(self, faults: u8) -> bool {
        faults & self as u8 != 0
    }
}

/// One period of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// The device's count of periods since it started; wraps.
    pub index: u32,
    /// The device's clock at the measurement, in µs since it started.
    pub time_us: u64,
    /// Measured angle, in rad.
    pub encoder: f64,
    /// Where it was last commanded, in rad; the measured angle in other modes than position.
    pub command: f64,
    /// Torque that was last commanded, in N·m; 0 in other modes than torque.
    pub torque: f64,
    /// Specific force, in m/s².
    pub acceleration: [f64; 3],
    /// Angular velocity, in rad/s.
    pub gyro: [f64; 3],
    /// Temperature of the motor, in °C; 0 where the device measures none.
    pub temperature: f64,
    /// Supply, in V; 0 where the device measures none.
    pub supply: f64,
    /// What the motor follows.
    pub mode: Mode,
    /// Bits of [`Fault`].
    pub faults: u8,
    /// Requests and damaged frames that were refused since the start; wraps.
    pub refused: u16,
}

impl Sample {
    fn payload(&self) -> [u8; STATE] {
        let mut payload = [0; STATE];
        payload[..4].copy_from_slice(&self.index.to_le_bytes());
        payload[4..12].copy_from_slice(&self.time_us.to_le_bytes());
        let [ax, ay, az] = self.acceleration;
        let [gx, gy, gz] = self.gyro;
        let reals = [self.encoder, self.command, self.torque, ax, ay, az, gx, gy, gz];
        let reals = reals.into_iter().chain([self.temperature, self.supply]);
        for (place, value) in payload[12..56].chunks_exact_mut(4).zip(reals) {
            place.copy_from_slice(&real(value));
        }
        payload[56] = self.mode.to_byte();
        payload[57] = self.faults;
        payload[58..].copy_from_slice(&self.refused.to_le_bytes());
        payload
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let (index, time_us) = (fields.u32(), fields.u64());
        let mut reals = |names: [&'static str; 3]| -> Result<[f64; 3], WireError> {
            let [first, second, third] = names;
            Ok([fields.real(first)?, fields.real(second)?, fields.real(third)?])
        };
        let [encoder, command, torque] = reals(["encoder", "command", "torque"])?;
        let acceleration = reals(["acc_x", "acc_y", "acc_z"])?;
        let gyro = reals(["gyro_x", "gyro_y", "gyro_z"])?;
        Ok(Self {
            index,
            time_us,
            encoder,
            command,
            torque,
            acceleration,
            gyro,
            temperature: fields.real("temperature")?,
            supply: fields.real("supply")?,
            mode: Mode::from_byte(fields.u8())?,
            faults: fields.u8(),
            refused: fields.u16(),
        })
    }
}

/// Who the device is: its answer to a hello.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity {
    /// Version of the protocol.
    pub version: u8,
    /// States a second.
    pub rate_hz: u16,
    /// Most states a second.
    pub max_rate_hz: u16,
    /// After this long without a frame the device holds by itself, in ms; 0 for never.
    pub watchdog_ms: u16,
    /// Largest torque that it takes, in N·m.
    pub max_torque: f64,
    /// Its name, in ASCII, filled up with zeros.
    pub name: [u8; NAME],
}

impl Identity {
    /// A name as it is sent: what is longer is cut.
    pub fn named(name: &str) -> [u8; NAME] {
        let mut bytes = [0; NAME];
        for (place, byte) in bytes.iter_mut().zip(name.bytes().filter(u8::is_ascii_graphic)) {
            *place = byte;
        }
        bytes
    }

    fn payload(&self) -> [u8; IDENTITY] {
        let mut payload = [0; IDENTITY];
        payload[0] = self.version;
        payload[2..4].copy_from_slice(&self.rate_hz.to_le_bytes());
        payload[4..6].copy_from_slice(&self.max_rate_hz.to_le_bytes());
        payload[6..8].copy_from_slice(&self.watchdog_ms.to_le_bytes());
        payload[8..12].copy_from_slice(&real(self.max_torque));
        payload[12..].copy_from_slice(&self.name);
        payload
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let version = fields.u8();
        let _reserved = fields.u8();
        let (rate_hz, max_rate_hz) = (fields.u16(), fields.u16());
        let watchdog_ms = fields.u16();
        let max_torque = fields.real("max_torque")?;
        if rate_hz == 0 {
            return Err(WireError::Meaningless { field: "rate", value: 0.0 });
        }
        Ok(Self { version, rate_hz, max_rate_hz, watchdog_ms, max_torque, name: fields.bytes() })
    }
}

/// Why the device refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// No such type.
    UnknownType = 1,
    /// Not this long.
    Length = 2,
    /// Not finite, or out of the device's range.
    Value = 3,
    /// The motor has no torque: arm it first.
    NotArmed = 4,
    /// A fault is present.
    Faulty = 5,
}

impl Reason {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown type",
            Self::Length => "wrong length",
            Self::Value => "a value out of its range",
            Self::NotArmed => "it is not armed",
            Self::Faulty => "it has a fault",
        }
    }

    fn from_byte(byte: u8) -> Result<Self, WireError> {
        match byte {
            1 => Ok(Self::UnknownType),
            2 => Ok(Self::Length),
            3 => Ok(Self::Value),
            4 => Ok(Self::NotArmed),
            5 => Ok(Self::Faulty),
            _ => Err(WireError::Meaningless { field: "reason", value: byte.into() }),
        }
    }
}

/// What the device says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Report {
    /// One period.
    State(Sample),
    /// The answer to a hello.
    Identity(Identity),
    /// A request that the device did not follow.
    Refusal {
        /// The request's type byte.
        kind: u8,
        /// The request's sequence.
        sequence: u8,
        /// Why.
        reason: Reason,
    },
}

impl Report {
    /// The frame that says it.
    pub fn frame(&self, sequence: u8) -> Frame {
        let frame = match self {
            Self::State(sample) => Frame::new(kind::STATE, sequence, &sample.payload()),
            Self::Identity(identity) => Frame::new(kind::IDENTITY, sequence, &identity.payload()),
            Self::Refusal { kind, sequence: refused, reason } => {
                Frame::new(kind::REFUSAL, sequence, &[*kind, *refused, *reason as u8])
            }
        };
        // No payload above is longer than a frame's.
        frame.unwrap_or_else(|| Frame::empty(sequence))
    }

    /// What a frame says.
    ///
    /// # Errors
    /// [`WireError`] for a type, a length or a value that no device sends.
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
            kind::STATE => Sample::parse(&mut expect(STATE)?).map(Self::State),
            kind::IDENTITY => Identity::parse(&mut expect(IDENTITY)?).map(Self::Identity),
            kind::REFUSAL => {
                let mut fields = expect(REFUSAL)?;
                let (kind, sequence) = (fields.u8(), fields.u8());
                Ok(Self::Refusal { kind, sequence, reason: Reason::from_byte(fields.u8())? })
            }
            kind => Err(WireError::UnknownType { kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A value as it comes back from four bytes.
    fn rounded(value: f64) -> f64 {
        f64::from(value as f32)
    }

    fn sample() -> Sample {
        Sample {
            index: 0x0102_0304,
            time_us: 5_000_000_123,
            encoder: 0.5,
            command: -0.25,
            torque: 1.5,
            acceleration: [1.0, -2.0, 9.5],
            gyro: [0.0, 0.125, -3.0],
            temperature: 41.5,
            supply: 6.0,
            mode: Mode::Torque,
            faults: Fault::Silence as u8 | Fault::Inertial as u8,
            refused: 777,
        }
    }

    #[test]
    fn the_state_frame_has_the_documented_bytes() {
        let frame = Report::State(sample()).frame(9);
        let payload = frame.payload();
        assert_eq!((frame.kind(), frame.sequence(), payload.len()), (0x01, 9, 60));
        assert_eq!(payload[..4], [4, 3, 2, 1]);
        assert_eq!(payload[4..12], 5_000_000_123_u64.to_le_bytes());
        assert_eq!(payload[12..16], 0.5_f32.to_le_bytes());
        assert_eq!(payload[20..24], 1.5_f32.to_le_bytes());
        assert_eq!(payload[44..48], (-3.0_f32).to_le_bytes());
        assert_eq!(payload[52..56], 6.0_f32.to_le_bytes());
        assert_eq!(payload[56..], [3, 17, 9, 3]);
        assert_eq!(frame.as_bytes().len(), 67);
        assert_eq!(Report::parse(&frame), Ok(Report::State(sample())));
    }

    #[test]
    fn identity_and_refusal_are_read_again() {
        let identity = Identity {
            version: 1,
            rate_hz: 1000,
            max_rate_hz: 2000,
            watchdog_ms: 100,
            max_torque: 1.75,
            name: Identity::named("sinew rig emulator"),
        };
        for report in [
            Report::Identity(identity),
            Report::Refusal { kind: 0x13, sequence: 250, reason: Reason::NotArmed },
        ] {
            assert_eq!(Report::parse(&report.frame(1)), Ok(report));
        }
        assert_eq!(&identity.name, b"sinewrigemulator");
    }

    #[test]
    fn each_frame_that_means_nothing_has_its_error() {
        let parse = |kind, payload: &[u8]| Report::parse(&Frame::new(kind, 0, payload).unwrap());
        assert_eq!(parse(0x44, &[]), Err(WireError::UnknownType { kind: 0x44 }));
        assert_eq!(
            parse(0x01, &[0; 59]),
            Err(WireError::Length { kind: 1, length: 59, expected: 60 })
        );
        let mut payload = sample().payload();
        payload[16..20].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(parse(0x01, &payload), Err(WireError::NotFinite { field: "command" }));
        let mut payload = sample().payload();
        payload[56] = 9;
        assert_eq!(
            parse(0x01, &payload),
            Err(WireError::Meaningless { field: "mode", value: 9.0 })
        );
        assert_eq!(
            parse(0x02, &[0; 28]),
            Err(WireError::Meaningless { field: "rate", value: 0.0 })
        );
        assert_eq!(
            parse(0x03, &[0x13, 1, 0]),
            Err(WireError::Meaningless { field: "reason", value: 0.0 })
        );
    }

    proptest! {
        #[test]
        fn any_frame_is_survived_and_what_is_read_is_written_again(
            kind in prop_oneof![Just(0x01u8), Just(0x02), Just(0x03), any::<u8>()],
            length in prop_oneof![Just(60usize), Just(28), Just(3), 0usize..=64],
            bytes in prop::array::uniform32(any::<u8>()),
        ) {
            let payload: Vec<u8> = bytes.iter().chain(&bytes).copied().take(length).collect();
            let frame = Frame::new(kind, 5, &payload).unwrap();
            if let Ok(report) = Report::parse(&frame) {
                prop_assert_eq!(Report::parse(&report.frame(5)), Ok(report));
            }
        }

        #[test]
        fn reals_come_back_within_single_precision(values in prop::array::uniform3(-1e4..1e4f64)) {
            let sample = Sample { acceleration: values, ..sample() };
            let Ok(Report::State(read)) = Report::parse(&Report::State(sample).frame(0)) else {
                return Err(TestCaseError::fail("not a state"));
            };
            prop_assert_eq!(read.acceleration, values.map(rounded));
        }
    }
}
