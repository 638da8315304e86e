//! CSV of an actuator on a test rig, as actuator models are trained on it.
//!
//! Columns: `Time_ms` (the device's clock), `Encoder_Angle` and `Commanded_Angle` in degrees, `Acc_X`,
//! `Acc_Y`, `Acc_Z` in m/s², `Gyro_X`, `Gyro_Y`, `Gyro_Z` in degrees per second, then `Temperature_C`,
//! and `Torque_Nm` where torques were commanded. One line per sample of the device, with the command that
//! was in force when it was taken: not yet the one that answered to it.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::files::{FileError, Part, failed};
use crate::journal::{ArmState, CycleRecord, Header, ReadError, Reader, Record};

/// Sensors without which there is no such file, in the order of its columns.
const SENSORS: [&str; 8] =
    ["device_time_s", "command_position", "acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"];
/// Written as well, where it is measured.
const TEMPERATURE: &str = "temperature";

/// Which of the sensors that the file needs are not among `names`.
pub fn missing(names: &[&str]) -> Vec<&'static str> {
    SENSORS.into_iter().filter(|sensor| !names.contains(sensor)).collect()
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The robot was no rig.
    #[error(
        "{}: the robot {robot} did not measure {}. Such a file is for an actuator on a test rig \
         (robot.model = \"rig\")", path.display(), missing.join(", ")
    )]
    NoRig {
        /// The journal.
        path: PathBuf,
        /// The robot's model.
        robot: String,
        /// Sensors that are not there.
        missing: Vec<&'static str>,
    },
    /// A cycle that does not fit the header.
    #[error("cycle {index} of the journal has {found} values of {field}, not {expected}")]
    Count {
        /// The cycle.
        index: u64,
        /// Field of the record.
        field: &'static str,
        /// Values needed.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// The file is there already.
    #[error("{} exists already. Give another name, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CsvSummary {
    /// The file.
    pub output: PathBuf,
    /// Lines behind the first.
    pub samples: u64,
    /// Samples of the device that no cycle saw, by the device's own clock: holes of one and a half
    /// usual distances or more.
    pub lost: u64,
    /// From the first sample to the last, in s.
    pub seconds: f64,
}

impl std::fmt::Display for CsvSummary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { output, samples, lost, seconds } = self;
        write!(formatter, "{}: {samples} samples, {seconds:.2} s", output.display())?;
        if *lost > 0 {
            write!(formatter, ", {lost} lost between them")?;
        }
        Ok(())
    }
}

/// Writes the samples of `journal`, from when the arm was powered to when it was left, to `output`.
/// The file appears when it is whole; `replace` allows another to be there before.
///
/// # Errors
/// [`CsvError`]; nothing is left behind then.
pub fn export(journal: &Path, output: &Path, replace: bool) -> Result<CsvSummary, CsvError> {
    let reader = Reader::open(journal)?;
    let columns = Columns::of(reader.header(), journal)?;
    if output.exists() && !replace {
        return Err(CsvError::Exists { path: output.to_owned() });
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(failed("create", folder))?;
    }
    let mut file = BufWriter::with_capacity(1 << 16, Part::create(output)?);
    let mut table = Table::new(columns);
    for record in reader {
        if let Record::Cycle(cycle) = record? {
            table.columns.check(&cycle)?;
            table.write(&cycle, &mut file).map_err(failed("write", output))?;
        }
    }
    let part = file.into_inner().map_err(|error| failed("write", output)(error.into_error()))?;
    part.finish()?;
    let Table { last, first_s, samples, steps, .. } = table;
    let seconds = last.map_or(0.0, |(_, seconds)| seconds - first_s);
    Ok(CsvSummary { output: output.to_owned(), samples, lost: lost(steps), seconds })
}

/// How many samples are missing, where `steps` are the distances between those that are there. The
/// usual one is that between numbers: a loop slower than the device has none without a hole.
fn lost(mut steps: Vec<[f64; 2]>) -> u64 {
    let Some(last) = steps.len().checked_sub(1) else { return 0 };
    let order = |one: &[f64; 2], other: &[f64; 2]| one[1].total_cmp(&other[1]);
    let [_, usual] = *steps.select_nth_unstable_by(last / 2, order).1;
    steps.iter().map(|[step, _]| ((step / usual).round() as u64).saturating_sub(1)).sum()
}

/// Where the sensors stand in a cycle's list.
struct Columns {
    sensors: [usize; SENSORS.len()],
    temperature: Option<usize>,
    count: usize,
    joints: usize,
}

impl Columns {
    fn of(header: &Header, journal: &Path) -> Result<Self, CsvError> {
        let names: Vec<&str> = header.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
        let at = |name: &str| names.iter().position(|known| *known == name);
        let missing = missing(&names);
        if !missing.is_empty() || header.joints.is_empty() {
            let (path, robot) = (journal.to_owned(), header.robot.clone());
            return Err(CsvError::NoRig { path, robot, missing });
        }
        Ok(Self {
            sensors: SENSORS.map(|sensor| at(sensor).unwrap_or_default()),
            temperature: at(TEMPERATURE),
            count: names.len(),
            joints: header.joints.len(),
        })
    }

    fn check(&self, cycle: &CycleRecord) -> Result<(), CsvError> {
        let lists = [
            ("sensors", cycle.sensors.len(), self.count),
            ("measured", cycle.measured.len(), self.joints),
            ("limited", cycle.limited.len(), self.joints),
        ];
        match lists.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((field, found, expected)) => {
                Err(CsvError::Count { index: cycle.index, field, expected, found })
            }
        }
    }
}

/// A command that was sent.
#[derive(Clone, Copy)]
struct Commanded {
    position: f64,
    effort: f64,
}

struct Table {
    columns: Columns,
    /// Number and time of the last sample.
    last: Option<(u64, f64)>,
    first_s: f64,
    samples: u64,
    /// Distances between samples, in s: as a whole, and for each of the robot's sample numbers.
    steps: Vec<[f64; 2]>,
    /// Whether torques are commanded: so in the first line, so in all.
    torque: bool,
    /// The last command that was sent.
    sent: Option<Commanded>,
}

impl Table {
    const fn new(columns: Columns) -> Self {
        let steps = Vec::new();
        Self { columns, last: None, first_s: 0.0, samples: 0, steps, torque: false, sent: None }
    }

    fn write(&mut self, cycle: &CycleRecord, file: &mut impl Write) -> std::io::Result<()> {
        let powered = [ArmState::Holding, ArmState::Running, ArmState::Stopping];
        if !powered.iter().any(|state| *state as u8 == cycle.state) || cycle.link != 1 {
            // It gives no torque then, or nobody knows which.
            self.sent = None;
            return Ok(());
        }
        // What this cycle sent answers to its sample: it is in force from the next one on.
        let effort = cycle.effort.first().copied().unwrap_or_default();
        let sends = Commanded { position: cycle.limited[0], effort };
        let sent = std::mem::replace(&mut self.sent, cycle.commanded.then_some(sends));
        let values = self.columns.sensors.map(|index| cycle.sensors[index]);
        let [seconds, command, acceleration @ .., gyro_x, gyro_y, gyro_z] = values;
        if !cycle.effort.is_empty() && sent.is_none() {
            // The device had a torque of its own making then, which nobody knows.
            return Ok(());
        }
        match self.last {
            // A cycle without a new sample, or a device that began again.
            Some((sample, before)) if cycle.sample <= sample || seconds <= before => return Ok(()),
            Some((sample, before)) => {
                let numbers = (cycle.sample - sample) as f64;
                self.steps.push([seconds - before, (seconds - before) / numbers]);
            }
            None => {
                self.first_s = seconds;
                self.torque = !cycle.effort.is_empty();
                self.begin(file)?;
            }
        }
        self.last = Some((cycle.sample, seconds));
        self.samples += 1;
        // Where torques are commanded, the device has no angle to go to: it is the target's.
        let torque = sent.filter(|_| self.torque);
        let command = torque.map_or(command, |sent| sent.position);
        write!(file, "{:.3},{:.6}", seconds * 1e3, cycle.measured[0].to_degrees())?;
        write!(file, ",{:.6}", command.to_degrees())?;
        for value in acceleration {
            write!(file, ",{value:.6}")?;
        }
        for rate in [gyro_x, gyro_y, gyro_z] {
            write!(file, ",{:.6}", rate.to_degrees())?;
        }
        if let Some(temperature) = self.columns.temperature {
            write!(file, ",{:.2}", cycle.sensors[temperature])?;
        }
        if let Some(sent) = torque {
            write!(file, ",{:.6}", sent.effort)?;
        }
        writeln!(file)
    }

    /// Names of the columns.
    fn begin(&self, file: &mut impl Write) -> std::io::Result<()> {
        write!(
            file,
            "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z"
        )?;
        if self.columns.temperature.is_some() {
            write!(file, ",Temperature_C")?;
        }
        writeln!(file, "{}", if self.torque { ",Torque_Nm" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{FILE_NAME, JointMeta, SensorMeta, Writer};

    fn header(sensors: &[&str]) -> Header {
        let sensor = |name: &&str| SensorMeta { name: (*name).into(), unit: String::new() };
        Header {
            run: "r".into(),
            robot: "rig".into(),
            joints: vec![JointMeta { name: "joint1".into(), unit: "rad".into() }],
            sensors: sensors.iter().map(sensor).collect(),
            ..Header::default()
        }
    }

    fn cycle(index: u64, sample: u64) -> CycleRecord {
        let time = sample as f64 * 1e-3;
        CycleRecord {
            index,
            sample,
            link: 1,
            state: 2,
            measured: vec![0.5],
            limited: vec![0.25],
            sensors: vec![25.0, time, 1.0, 0.1, 0.2, 9.81, 0.0, 0.0, -1.0],
            ..CycleRecord::default()
        }
    }

    const NAMES: [&str; 9] = [
        "temperature",
        "device_time_s",
        "command_position",
        "acc_x",
        "acc_y",
        "acc_z",
        "gyro_x",
        "gyro_y",
        "gyro_z",
    ];

    fn written(header: &Header, cycles: &[CycleRecord]) -> Result<(CsvSummary, String), CsvError> {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join(FILE_NAME);
        let mut writer = Writer::create(&journal, header).unwrap();
        cycles.iter().for_each(|cycle| writer.append_cycle(cycle).unwrap());
        writer.sync().unwrap();
        let output = folder.path().join("deep/0.010kgm2/r.csv");
        let summary = export(&journal, &output, false)?;
        Ok((summary, std::fs::read_to_string(output).unwrap()))
    }

    #[test]
    fn every_sample_is_one_line_in_the_units_of_the_rig() {
        let idle = CycleRecord { state: 0, ..cycle(0, 1) };
        let cycles = [idle, cycle(1, 2), cycle(2, 2), cycle(3, 3), cycle(4, 6)];
        let (summary, text) = written(&header(&NAMES), &cycles).unwrap();
        assert_eq!((summary.samples, summary.lost), (3, 2));
        assert!((summary.seconds - 4e-3).abs() < 1e-12);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z,\
             Temperature_C"
        );
        assert_eq!(
            lines[1],
            "2.000,28.647890,57.295780,0.100000,0.200000,9.810000,0.000000,0.000000,-57.295780,\
             25.00"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn where_torques_are_commanded_the_angle_is_the_targets() {
        let first = CycleRecord { effort: vec![0.75], commanded: true, ..cycle(1, 1) };
        let second = CycleRecord { effort: vec![0.25], commanded: true, ..cycle(2, 2) };
        let (_, text) = written(&header(&NAMES), &[first, second]).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().ends_with(",Temperature_C,Torque_Nm"));
        // Nothing was sent before the first was taken.
        let line = lines.next().unwrap();
        assert!(line.starts_with("2.000,28.647890,14.323945,"), "{line}");
        assert!(line.ends_with(",25.00,0.750000"), "{line}");
    }

    #[test]
    fn another_robot_and_another_length_are_named() {
        let error = written(&header(&["temperature"]), &[]).unwrap_err().to_string();
        assert!(error.contains("rig did not measure device_time_s, command_position"), "{error}");
        let short = CycleRecord { sensors: vec![1.0], ..cycle(7, 1) };
        let error = written(&header(&NAMES), &[short]).unwrap_err().to_string();
        assert_eq!(error, "cycle 7 of the journal has 1 values of sensors, not 9");
    }
}
