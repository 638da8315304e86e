//! State as lines of text: the header and the columns of the recordings that people train on.

use std::fmt::Write;

use super::{Mode, Sample, WireError};

/// The nine columns that every line begins with where nothing else is said: ms; degrees; degrees;
/// m/s²; degrees per second.
pub const HEADER: &str =
    "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z";
const NAMES: [&str; NEEDED] = [
    "Time_ms",
    "Encoder_Angle",
    "Commanded_Angle",
    "Acc_X",
    "Acc_Y",
    "Acc_Z",
    "Gyro_X",
    "Gyro_Y",
    "Gyro_Z",
];
const NEEDED: usize = 9;
/// Columns that may follow, and that the emulated device prints.
const TEMPERATURE: &str = "Temperature_C";
const SUPPLY: &str = "Supply_V";
const MODE: &str = "Mode";
const FAULTS: &str = "Faults";
/// Values of a line that are looked at.
const MOST: usize = 32;
/// Times above this, some thirty years, are no times.
const MAX_MS: f64 = 1e12;
/// Angles above this, in degrees, and rates and accelerations: no sensor of a rig says so.
const MAX_VALUE: f64 = 1e6;

/// Which value of a line is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    needed: [usize; NEEDED],
    temperature: Option<usize>,
    supply: Option<usize>,
    mode: Option<usize>,
    faults: Option<usize>,
}

impl Default for Columns {
    /// The nine columns in their order, whatever follows.
    fn default() -> Self {
        Self {
            needed: std::array::from_fn(|index| index),
            temperature: None,
            supply: None,
            mode: None,
            faults: None,
        }
    }
}

impl Columns {
    /// True where a line is a header: it begins with a letter.
    pub fn is_header(line: &[u8]) -> bool {
        line.first().is_some_and(u8::is_ascii_alphabetic)
    }

    /// True where a line is a remark that says that a command was refused.
    pub fn is_refusal(line: &[u8]) -> bool {
        line.strip_prefix(b"#").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"refused"))
    }

    /// The columns that a header names, in any order; unknown ones are left out.
    ///
    /// # Errors
    /// [`WireError`] when one of the nine is missing, or one that is known is there twice.
    pub fn parse(header: &[u8]) -> Result<Self, WireError> {
        let find = |column: &'static str| {
            let mut places = fields(header)
                .enumerate()
                .filter(|(_, name)| *name == column.as_bytes())
                .map(|(place, _)| place);
            let first = places.next().filter(|place| *place < MOST);
            match places.next() {
                Some(_) => Err(WireError::RepeatedColumn { column }),
                None => Ok(first),
            }
        };
        let mut needed = [0; NEEDED];
        for (place, column) in needed.iter_mut().zip(NAMES) {
            *place = find(column)?.ok_or(WireError::MissingColumn { column })?;
        }
        Ok(Self {
            needed,
            temperature: find(TEMPERATURE)?,
            supply: find(SUPPLY)?,
            mode: find(MODE)?,
            faults: find(FAULTS)?,
        })
    }

    /// True where lines say what the motor follows.
    pub const fn has_mode(&self) -> bool {
        self.mode.is_some()
    }

    /// True where lines have a temperature.
    pub const fn has_temperature(&self) -> bool {
        self.temperature.is_some()
    }

    /// True where lines have a supply.
    pub const fn has_supply(&self) -> bool {
        self.supply.is_some()
    }

    /// The sample of a line. The device numbers no lines: [`Sample::index`] is 0.
    ///
    /// # Errors
    /// [`WireError`] for a missing value, one that is no number or not finite, or one that no rig
    /// measures.
    pub fn sample(&self, line: &[u8]) -> Result<Sample, WireError> {
        let mut values = [&[][..]; MOST];
        let mut count = 0;
        for (place, value) in values.iter_mut().zip(fields(line)) {
            *place = value;
            count += 1;
        }
        let value = |place: usize, field| {
            let expected = place + 1;
            let text = values.get(..count).and_then(|values| values.get(place));
            let text = text.ok_or(WireError::TooFewValues { count, expected })?;
            number(text, field)
        };
        let mut needed = [0.0; NEEDED];
        for ((number, place), field) in needed.iter_mut().zip(self.needed).zip(NAMES) {
            *number = value(place, field)?;
        }
        let [ms, encoder, command, ax, ay, az, gx, gy, gz] = needed;
        if !(0.0..=MAX_MS).contains(&ms) {
            return Err(WireError::Meaningless { field: NAMES[0], value: ms });
        }
        for (value, field) in needed.into_iter().zip(NAMES).skip(1) {
            if value.abs() > MAX_VALUE {
                return Err(WireError::Meaningless { field, value });
            }
        }
        let optional = |place: Option<usize>, field| match place {
            Some(place) => value(place, field),
            None => Ok(0.0),
        };
        let faults = optional(self.faults, FAULTS)?;
        if !(0.0..=255.0).contains(&faults) {
            return Err(WireError::Meaningless { field: FAULTS, value: faults });
        }
        let mode = optional(self.mode, MODE)?;
        let mode = [Mode::Off, Mode::Hold, Mode::Position, Mode::Torque]
            .into_iter()
            .find(|known| f64::from(*known as u8) == mode)
            .ok_or(WireError::Meaningless { field: MODE, value: mode })?;
        Ok(Sample {
            time_us: (ms * 1e3).round() as u64,
            encoder: encoder.to_radians(),
            command: command.to_radians(),
            acceleration: [ax, ay, az],
            gyro: [gx, gy, gz].map(f64::to_radians),
            temperature: optional(self.temperature, TEMPERATURE)?,
            supply: optional(self.supply, SUPPLY)?,
            mode,
            faults: faults as u8,
            ..Sample::default()
        })
    }
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn number(text: &[u8], field: &'static str) -> Result<f64, WireError> {
    let text = std::str::from_utf8(text).map_err(|_| WireError::NotANumber { field })?;
    let value: f64 = text.parse().map_err(|_| WireError::NotANumber { field })?;
    if value.is_finite() { Ok(value) } else { Err(WireError::NotFinite { field }) }
}

/// Writes the header of [`sample_line`], without an end of line.
///
/// # Errors
/// Those of `out`.
pub fn header(out: &mut impl Write) -> std::fmt::Result {
    write!(out, "{HEADER},{TEMPERATURE},{MODE},{FAULTS}")
}

/// Writes the line of a sample, without an end of line.
///
/// # Errors
/// Those of `out`.
pub fn sample_line(sample: &Sample, out: &mut impl Write) -> std::fmt::Result {
    let ms = sample.time_us as f64 * 1e-3;
    let [ax, ay, az] = sample.acceleration;
    let [gx, gy, gz] = sample.gyro.map(f64::to_degrees);
    write!(
        out,
        "{ms:.3},{:.3},{:.3},{ax:.3},{ay:.3},{az:.3},{gx:.2},{gy:.2},{gz:.2},{:.1},{},{}",
        sample.encoder.to_degrees(),
        sample.command.to_degrees(),
        sample.temperature,
        sample.mode as u8,
        sample.faults,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nine_columns_are_read_in_si_units() {
        let sample =
            Columns::default().sample(b"12.5,90,-45.0,1,2,9.8,0.5,0,180, 7,what?").unwrap();
        assert_eq!(sample.time_us, 12_500);
        assert!((sample.encoder - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
        assert!((sample.command + std::f64::consts::FRAC_PI_4).abs() < 1e-12);
        assert_eq!(sample.acceleration, [1.0, 2.0, 9.8]);
        assert!((sample.gyro[2] - std::f64::consts::PI).abs() < 1e-12);
    }

    #[test]
    fn a_header_says_where_the_columns_are() {
        let header = b"Mode, Gyro_Z,Gyro_Y,Gyro_X,Acc_Z,Acc_Y,Acc_X,ADC,Commanded_Angle,Encoder_Angle,Time_ms,Temperature_C";
        let columns = Columns::parse(header).unwrap();
        assert!(columns.has_mode());
        let sample = columns.sample(b"3,30,0,0,9,8,7,555,20,10,1000,41.5").unwrap();
        assert_eq!(
            (sample.mode, sample.time_us, sample.temperature),
            (Mode::Torque, 1_000_000, 41.5)
        );
        assert_eq!(sample.acceleration, [7.0, 8.0, 9.0]);
        assert!((sample.encoder.to_degrees() - 10.0).abs() < 1e-9);
        assert!((sample.gyro[2].to_degrees() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn each_bad_line_has_its_error() {
        let refused = |line: &str| Columns::default().sample(line.as_bytes()).unwrap_err();
        assert_eq!(refused("1,2,3"), WireError::TooFewValues { count: 3, expected: 4 });
        assert_eq!(refused("1,2,3,4,x,6,7,8,9"), WireError::NotANumber { field: "Acc_Y" });
        assert_eq!(refused("1,NaN,3,4,5,6,7,8,9"), WireError::NotFinite { field: "Encoder_Angle" });
        assert_eq!(refused("1,2,3,4,5,6,7,8,inf"), WireError::NotFinite { field: "Gyro_Z" });
        assert_eq!(
            refused("-1,2,3,4,5,6,7,8,9"),
            WireError::Meaningless { field: "Time_ms", value: -1.0 }
        );
        assert!(matches!(refused("1,2e9,3,4,5,6,7,8,9"), WireError::Meaningless { .. }));
        let header = |text: &str| Columns::parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            header("Time_ms,Encoder_Angle"),
            WireError::MissingColumn { column: "Commanded_Angle" }
        );
        let twice = format!("{HEADER},Acc_Y");
        assert_eq!(header(&twice), WireError::RepeatedColumn { column: "Acc_Y" });
    }

    proptest! {
        #[test]
        fn a_written_line_is_read_again(
            time_us in 0u64..4_000_000_000_000, angles in [-10.0..10.0f64, -10.0..10.0f64],
            acceleration in [-80.0..80.0f64, -80.0..80.0f64, -80.0..80.0f64],
            gyro in [-36.0..36.0f64, -36.0..36.0f64, -36.0..36.0f64],
            temperature in -20.0..120.0f64, faults: u8,
        ) {
            let [encoder, command] = angles;
            let mode = Mode::Position;
            let sample = Sample {
                time_us, encoder, command, acceleration, gyro, temperature, faults, mode,
                ..Sample::default()
            };
            let (mut head, mut line) = (String::new(), String::new());
            header(&mut head).unwrap();
            sample_line(&sample, &mut line).unwrap();
            prop_assert!(line.len() < super::super::MAX_LINE && Columns::is_header(head.as_bytes()));
            let read = Columns::parse(head.as_bytes()).unwrap().sample(line.as_bytes()).unwrap();
            prop_assert_eq!((read.time_us, read.mode, read.faults), (time_us, mode, faults));
            prop_assert!((read.encoder - encoder).abs() < 1e-5);
            prop_assert!((read.command - command).abs() < 1e-5);
            for axis in 0..3 {
                prop_assert!((read.acceleration[axis] - acceleration[axis]).abs() < 1e-3);
                prop_assert!((read.gyro[axis] - gyro[axis]).abs() < 1e-3);
            }
        }

        #[test]
        fn any_line_is_survived(line in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(columns) = Columns::parse(&line) {
                let _ = columns.sample(&line);
            }
            let _ = Columns::default().sample(&line);
        }
    }
}
