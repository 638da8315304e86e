//! What an arm did: positions, velocities and efforts of its joints over time.

use std::path::{Path, PathBuf};

use sinew_episodes::journal::{
    self, ArmState, CycleRecord, Header, LocateError, ReadError, Reader, Record,
};

/// Why an episode cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{}: {source}", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{}: {names} are not among its joints ({known}); choose others with --joints", path.display())]
    Unknown { path: PathBuf, names: String, known: String },
    #[error("{}: the robot {robot} measured no efforts: there is nothing to compare a model with. Record a robot that measures them, or torque control", path.display())]
    NoEffort { path: PathBuf, robot: String },
    #[error("{}: cycle {index} has {found} values of {field}, not {expected}: the journal is damaged", path.display())]
    Count { path: PathBuf, index: u64, field: &'static str, expected: usize, found: usize },
    #[error("{}: there is no column {column}. Needed are time_s, and NAME.position and NAME.effort of every joint (NAME.velocity where it was measured)", path.display())]
    Column { path: PathBuf, column: String },
    #[error("{}, line {line}, column {column}: {value:?} is no finite number; repair or remove the line", path.display())]
    Value { path: PathBuf, line: u64, column: String, value: String },
    #[error("{}: {joint}, {seconds:.3} s: its {field} is not finite", path.display())]
    NotFinite { path: PathBuf, joint: String, seconds: f64, field: &'static str },
    #[error("{}, line {line}: {value} s comes after {before} s: cut the file where the clock began again", path.display())]
    Backwards { path: PathBuf, line: u64, value: f64, before: f64 },
    #[error("{}: {samples} samples of a powered arm, needed are {needed} at least: record longer", path.display())]
    Short { path: PathBuf, samples: usize, needed: usize },
}

/// Fewest samples of which something can be said.
const FEWEST: usize = 200;

/// Samples of an arm.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub path: PathBuf,
    /// The robot's model, where the episode tells it.
    pub robot: String,
    pub joints: Vec<String>,
    /// s, rising.
    pub time: Vec<f64>,
    /// Per joint, rad (m).
    pub position: Vec<Vec<f64>>,
    /// Per joint, rad/s (m/s); empty where none was measured.
    pub velocity: Vec<Vec<f64>>,
    /// Per joint, N·m (N).
    pub effort: Vec<Vec<f64>>,
}

impl Recording {
    /// Reads a run's folder, a journal, or a table (`.csv`). `joints` are those of the arm; without
    /// them all that turn or slide.
    pub fn read(path: &Path, joints: &[String]) -> Result<Self, RecordingError> {
        let table = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let recording = if table { read_table(path, joints)? } else { read_journal(path, joints)? };
        let samples = recording.time.len();
        if samples < FEWEST {
            let path = recording.path;
            return Err(RecordingError::Short { path, samples, needed: FEWEST });
        }
        Ok(recording)
    }

    fn of(path: &Path, robot: &str, joints: Vec<String>) -> Self {
        let columns = vec![Vec::new(); joints.len()];
        Self {
            path: path.to_owned(),
            robot: robot.to_owned(),
            joints,
            time: Vec::new(),
            position: columns.clone(),
            velocity: columns.clone(),
            effort: columns,
        }
    }
}

/// The joints that are wanted among `known`, by name.
fn chosen(path: &Path, wanted: &[String], known: &[String]) -> Result<Vec<usize>, RecordingError> {
    let at = |name: &String| known.iter().position(|known| known == name);
    let missing: Vec<&str> =
        wanted.iter().filter(|name| at(name).is_none()).map(String::as_str).collect();
    if !missing.is_empty() {
        let (names, known) = (missing.join(", "), known.join(", "));
        return Err(RecordingError::Unknown { path: path.to_owned(), names, known });
    }
    Ok(wanted.iter().filter_map(at).collect())
}

fn read_journal(path: &Path, wanted: &[String]) -> Result<Recording, RecordingError> {
    let path = journal::locate(path)?;
    let reader = Reader::open(&path)?;
    let header = reader.header().clone();
    let all: Vec<String> = header.joints.iter().map(|joint| joint.name.clone()).collect();
    let wanted = if wanted.is_empty() { arm(&header) } else { wanted.to_vec() };
    let columns = chosen(&path, &wanted, &all)?;
    let mut recording = Recording::of(&path, &header.robot, wanted);
    let mut last = None;
    // A list of zeros is left out of a journal: of a robot that measures none all are.
    let (mut moved, mut strained) = (false, false);
    for record in reader {
        let Record::Cycle(cycle) = record? else { continue };
        if !is_measured(&cycle, &columns) || last.is_some_and(|last| cycle.sample <= last) {
            continue;
        }
        check(&path, &cycle, all.len())?;
        moved |= !cycle.measured_velocity.is_empty();
        strained |= !cycle.measured_effort.is_empty();
        let newest = columns.iter().map(|joint| cycle.measured_ns[*joint]).max();
        let time = newest.unwrap_or_default() as f64 * 1e-9;
        // A device whose clock began again after it was lost.
        if recording.time.last().is_some_and(|before| time <= *before) {
            continue;
        }
        last = Some(cycle.sample);
        recording.time.push(time);
        for (index, joint) in columns.iter().enumerate() {
            for (field, values, into) in [
                ("position", &cycle.measured, &mut recording.position),
                ("velocity", &cycle.measured_velocity, &mut recording.velocity),
                ("effort", &cycle.measured_effort, &mut recording.effort),
            ] {
                let value = values.get(*joint).copied().unwrap_or_default();
                if !value.is_finite() {
                    let joint = recording.joints[index].clone();
                    return Err(RecordingError::NotFinite { path, joint, seconds: time, field });
                }
                into[index].push(value);
            }
        }
    }
    if !strained && !recording.time.is_empty() {
        return Err(RecordingError::NoEffort { path, robot: header.robot });
    }
    if !moved {
        recording.velocity.clear();
    }
    Ok(recording)
}

/// Joints that turn or slide: not the gripper.
fn arm(header: &Header) -> Vec<String> {
    let moves = |unit: &str| unit == "rad" || unit == "m";
    let joints = header.joints.iter().filter(|joint| moves(&joint.unit));
    joints.map(|joint| joint.name.clone()).collect()
}

/// Whether the arm was powered, and what was measured is no substitute.
fn is_measured(cycle: &CycleRecord, joints: &[usize]) -> bool {
    let powered = [ArmState::Holding, ArmState::Running, ArmState::Stopping];
    let substituted = joints.iter().any(|joint| cycle.substituted >> joint & 1 == 1);
    cycle.link == 1 && !substituted && powered.iter().any(|state| *state as u8 == cycle.state)
}

fn check(path: &Path, cycle: &CycleRecord, joints: usize) -> Result<(), RecordingError> {
    for (field, found, may_be_empty) in [
        ("measured", cycle.measured.len(), false),
        ("measured_ns", cycle.measured_ns.len(), false),
        ("measured_velocity", cycle.measured_velocity.len(), true),
        ("measured_effort", cycle.measured_effort.len(), true),
    ] {
        if found != joints && !(may_be_empty && found == 0) {
            let (path, index) = (path.to_owned(), cycle.index);
            return Err(RecordingError::Count { path, index, field, expected: joints, found });
        }
    }
    Ok(())
}

fn read_table(path: &Path, wanted: &[String]) -> Result<Recording, RecordingError> {
    let failed = |source| RecordingError::Csv { path: path.to_owned(), source };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let column = |name: &str| header.iter().position(|known| known == name);
    let known: Vec<String> = header
        .iter()
        .filter_map(|name| name.strip_suffix(".position"))
        .map(str::to_owned)
        .collect();
    let joints: Vec<String> = if wanted.is_empty() { known.clone() } else { wanted.to_vec() };
    chosen(path, &joints, &known)?;
    let need = |name: String| {
        let missing = || RecordingError::Column { path: path.to_owned(), column: name.clone() };
        column(&name).ok_or_else(missing)
    };
    let time = need("time_s".to_owned())?;
    let mut recording = Recording::of(path, "", joints);
    let mut columns = Vec::new();
    let measured =
        recording.joints.iter().all(|joint| column(&format!("{joint}.velocity")).is_some());
    for joint in &recording.joints {
        let of = |field: &str| need(format!("{joint}.{field}"));
        columns.push((
            of("position")?,
            measured.then(|| of("velocity")).transpose()?,
            of("effort")?,
        ));
    }
    if !measured {
        recording.velocity.clear();
    }
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(failed)? {
        let line = row.position().map_or(0, csv::Position::line);
        let number = |index: usize| {
            let text = row.get(index).unwrap_or_default();
            text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
                RecordingError::Value {
                    path: path.to_owned(),
                    line,
                    column: header.get(index).unwrap_or_default().to_owned(),
                    value: text.to_owned(),
                }
            })
        };
        let now = number(time)?;
        if let Some(before) = recording.time.last().copied()
            && now <= before
        {
            let path = path.to_owned();
            return Err(RecordingError::Backwards { path, line, value: now, before });
        }
        recording.time.push(now);
        for (joint, (position, velocity, effort)) in columns.iter().enumerate() {
            recording.position[joint].push(number(*position)?);
            if let Some(velocity) = velocity {
                recording.velocity[joint].push(number(*velocity)?);
            }
            recording.effort[joint].push(number(*effort)?);
        }
    }
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_cannot_be_used_are_named_with_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let refused = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Recording::read(&path, &[]).unwrap_err().to_string()
        };
        let header = "time_s,a.position,a.effort\n";
        assert!(
            refused(&format!("{header}0,1,2\n0.1,x,2\n")).contains("line 3, column a.position")
        );
        assert!(
            refused(&format!("{header}0.2,1,2\n0.1,1,2\n")).contains("0.1 s comes after 0.2 s")
        );
        assert!(refused(&format!("{header}0.2,1,2\n")).contains("1 samples"));
        assert!(refused("time_s,a.position\n0,1\n").contains("no column a.effort"));
        std::fs::write(&path, header).unwrap();
        let error = Recording::read(&path, &["b".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("b are not among its joints (a)"), "{error}");
    }
}
