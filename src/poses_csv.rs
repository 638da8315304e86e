//! Torques, pose of the tool and joint positions of a run as CSV: what in-context identification of arms
//! reads (RoboMorph, arXiv 2409.11815, and CLASSIFY; their logs of a real Panda).
//!
//! Columns `tau0`… (N·m), `px`, `py`, `pz` (m), `qx`, `qy`, `qz`, `qw` (of one sign from line to line) and
//! `q0`… (rad); one line per sample while the arm followed its target, and no time: the rate is the robot's.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sinew_episodes::files::{self, FileError};
use sinew_episodes::journal::{ArmState, CycleRecord, ReadError, Reader, Record};
use sinew_simulation::arms::NamedArmError;
use sinew_simulation::dynamics::{Chain, Joints, Pose};
use sinew_simulation::kinematics::Transform;

/// Which torques are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Torques {
    /// What the robot measured
    #[default]
    Measured,
    /// What it was told, of a run in torque
    Commanded,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The arm's name, or the path of its URDF.
    pub arm: String,
    /// Last link, of a URDF.
    pub tip: Option<String>,
    /// The tool in the frame of the arm's end: m, then roll, pitch, yaw in rad.
    pub tool: [f64; 6],
    /// Which torques.
    pub torques: Torques,
    /// Whether another file may be there before.
    pub replace: bool,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum PosesError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The arm is not known, or not this robot's.
    #[error("--arm: {0}")]
    Arm(#[from] NamedArmError),
    /// An arm of another size.
    #[error(
        "the robot has {joints} joints that turn or slide; arms of 1 to 7 joints can be exported"
    )]
    Joints {
        /// Such joints.
        joints: usize,
    },
    /// Nothing to write as torques.
    #[error("{}: there are no {which} torques. {remedy}", path.display())]
    NoTorques {
        /// The journal.
        path: PathBuf,
        /// `measured` or `commanded`.
        which: &'static str,
        /// What to do.
        remedy: &'static str,
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
    /// The arm followed no target.
    #[error("{}: the arm followed no target: there is nothing to export", path.display())]
    Nothing {
        /// The journal.
        path: PathBuf,
    },
    /// The file is there already.
    #[error("{} exists already. Give another name with --output, or --force", path.display())]
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
pub struct PosesSummary {
    /// The file.
    pub output: PathBuf,
    /// Lines behind the first.
    pub samples: u64,
    /// Samples of the robot that no cycle saw.
    pub lost: u64,
    /// The robot's rate: samples over the time from the first to the last, in Hz.
    pub rate_hz: f64,
}

impl std::fmt::Display for PosesSummary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { output, samples, lost, rate_hz } = self;
        write!(formatter, "{}: {samples} samples at {rate_hz:.1} Hz", output.display())?;
        if *lost > 0 {
            write!(formatter, ", {lost} lost between them")?;
        }
        Ok(())
    }
}

type Forward = Box<dyn Fn(&[f64]) -> Pose>;

/// Writes what `journal` has of an arm. The file appears when it is whole.
///
/// # Errors
/// [`PosesError`]; nothing is left behind then.
pub fn export(
    journal: &Path,
    output: &Path,
    options: &Options,
) -> Result<PosesSummary, PosesError> {
    let reader = Reader::open(journal)?;
    let header = reader.header().clone();
    if output.exists() && !options.replace {
        return Err(PosesError::Exists { path: output.to_owned() });
    }
    let joints = header.joints.iter().enumerate();
    let moving = joints.filter(|(_, joint)| joint.unit == "rad" || joint.unit == "m");
    let (columns, names): (Vec<usize>, Vec<&str>) =
        moving.map(|(index, joint)| (index, joint.name.as_str())).unzip();
    let forward = forward(options, &names)?;
    let mut table =
        Table { text: heading(columns.len()), turned: None, first: None, last: None, samples: 0 };
    let mut strained = false;
    for record in reader {
        let Record::Cycle(cycle) = record? else { continue };
        let runs = cycle.state == ArmState::Running as u8 && cycle.link == 1;
        if !runs || table.last.is_some_and(|(sample, _)| cycle.sample <= sample) {
            continue;
        }
        check(&cycle, header.joints.len())?;
        let torques = torques(&cycle, header.joints.len(), options.torques)?;
        let of = |values: &[f64]| -> Vec<f64> { columns.iter().map(|at| values[*at]).collect() };
        let positions = of(&cycle.measured);
        strained |= torques.iter().any(|torque| *torque != 0.0);
        table.write(&of(&torques), &forward(&positions), &positions);
        let time = columns.iter().map(|at| cycle.measured_ns[*at]).max().unwrap_or_default();
        table.first.get_or_insert((cycle.sample, time));
        table.last = Some((cycle.sample, time));
    }
    let (Some((first, began)), Some((last, ended))) = (table.first, table.last) else {
        return Err(PosesError::Nothing { path: journal.to_owned() });
    };
    if !strained {
        let (which, remedy) = match options.torques {
            Torques::Measured => (
                "measured",
                "This robot measures none: take --torques commanded, of a run in torque",
            ),
            Torques::Commanded => {
                ("commanded", "Positions were commanded: take --torques measured")
            }
        };
        return Err(PosesError::NoTorques { path: journal.to_owned(), which, remedy });
    }
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let failed = |source| FileError { action: "create", path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    files::replace(output, table.text.as_bytes())?;
    let seconds = (ended - began) as f64 * 1e-9;
    let rate_hz = if seconds > 0.0 { (last - first) as f64 / seconds } else { 0.0 };
    let lost = last - first + 1 - table.samples;
    Ok(PosesSummary { output: output.to_owned(), samples: table.samples, lost, rate_hz })
}

/// The tool's pose at positions of the arm's joints.
fn forward(options: &Options, names: &[&str]) -> Result<Forward, PosesError> {
    fn of<const N: usize>(options: &Options, names: &[&str]) -> Result<Forward, PosesError> {
        let mut joints = [""; N];
        joints.copy_from_slice(names);
        let [x, y, z, roll, pitch, yaw] = options.tool;
        let tool = Transform::from_xyz_rpy([x, y, z], [roll, pitch, yaw]);
        let chain = Chain::<N>::named(&options.arm, options.tip.as_deref(), &joints)?;
        let chain = chain.with_tool(&tool);
        Ok(Box::new(move |positions| {
            chain.at(&Joints::<N>::from_fn(|joint, _| positions[joint])).tool()
        }))
    }
    match names.len() {
        1 => of::<1>(options, names),
        2 => of::<2>(options, names),
        3 => of::<3>(options, names),
        4 => of::<4>(options, names),
        5 => of::<5>(options, names),
        6 => of::<6>(options, names),
        7 => of::<7>(options, names),
        joints => Err(PosesError::Joints { joints }),
    }
}

fn check(cycle: &CycleRecord, expected: usize) -> Result<(), PosesError> {
    for (field, found) in
        [("measured", cycle.measured.len()), ("measured_ns", cycle.measured_ns.len())]
    {
        if found != expected {
            return Err(PosesError::Count { index: cycle.index, field, expected, found });
        }
    }
    Ok(())
}

/// The torques of a cycle. A list of zeros is left out of a journal.
fn torques(cycle: &CycleRecord, joints: usize, which: Torques) -> Result<Vec<f64>, PosesError> {
    let (field, values) = match which {
        Torques::Measured => ("measured_effort", &cycle.measured_effort),
        Torques::Commanded => ("effort", &cycle.effort),
    };
    match values.len() {
        0 => Ok(vec![0.0; joints]),
        found if found == joints => Ok(values.clone()),
        found => Err(PosesError::Count { index: cycle.index, field, expected: joints, found }),
    }
}

fn heading(joints: usize) -> String {
    let numbered = |name: &'static str| (0..joints).map(move |joint| format!("{name}{joint}"));
    let pose = ["px", "py", "pz", "qx", "qy", "qz", "qw"].map(str::to_owned);
    let names: Vec<String> = numbered("tau").chain(pose).chain(numbered("q")).collect();
    names.join(",") + "\n"
}

struct Table {
    text: String,
    /// Quaternion of the line before.
    turned: Option<[f64; 4]>,
    /// Number and time of the first sample, and of the last.
    first: Option<(u64, u64)>,
    last: Option<(u64, u64)>,
    samples: u64,
}

impl Table {
    fn write(&mut self, torques: &[f64], pose: &Pose, positions: &[f64]) {
        let turn = quaternion(pose);
        let along = |before: [f64; 4]| -> f64 {
            turn.iter().zip(before).map(|(one, other)| one * other).sum()
        };
        // q and -q are the same turn: the one that does not jump.
        let sign = if self.turned.is_some_and(|before| along(before) < 0.0) { -1.0 } else { 1.0 };
        let turn = turn.map(|value| sign * value);
        self.turned = Some(turn);
        let place = pose.translation.vector;
        let values = torques.iter().copied().chain([place.x, place.y, place.z]).chain(turn);
        for (index, value) in values.chain(positions.iter().copied()).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(self.text, "{comma}{value:.9}");
        }
        self.text.push('\n');
        self.samples += 1;
    }
}

/// x, y, z, w of a pose's rotation (S. W. Shepperd, Quaternion from rotation matrix, 1978).
fn quaternion(pose: &Pose) -> [f64; 4] {
    let m = pose.rotation.matrix();
    let trace = m.trace();
    let largest = [m[(0, 0)], m[(1, 1)], m[(2, 2)], trace];
    let which = (0..4).fold(3, |best, at| if largest[at] > largest[best] { at } else { best });
    let mut q = [0.0; 4];
    if which == 3 {
        let w = 0.5 * (1.0 + trace).sqrt();
        q[3] = w;
        q[0] = (m[(2, 1)] - m[(1, 2)]) / (4.0 * w);
        q[1] = (m[(0, 2)] - m[(2, 0)]) / (4.0 * w);
        q[2] = (m[(1, 0)] - m[(0, 1)]) / (4.0 * w);
    } else {
        let (i, j, k) = (which, (which + 1) % 3, (which + 2) % 3);
        let own = 0.5 * (1.0 + m[(i, i)] - m[(j, j)] - m[(k, k)]).sqrt();
        q[i] = own;
        q[j] = (m[(j, i)] + m[(i, j)]) / (4.0 * own);
        q[k] = (m[(k, i)] + m[(i, k)]) / (4.0 * own);
        q[3] = (m[(k, j)] - m[(j, k)]) / (4.0 * own);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinew_episodes::journal::{FILE_NAME, Header, JointMeta, Writer};

    fn options(torques: Torques) -> Options {
        let tool = [0.0, 0.0, 0.0, 0.0, 0.0, -std::f64::consts::FRAC_PI_4];
        Options { arm: "panda".into(), tip: None, tool, torques, replace: false }
    }

    fn exported(joints: usize, torques: Torques) -> Result<(PosesSummary, String), PosesError> {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join(FILE_NAME);
        let joint = |at| JointMeta { name: format!("joint{at}"), unit: "rad".into() };
        let gripper = JointMeta { name: "gripper".into(), unit: "opening".into() };
        let header = Header {
            joints: (1..=joints).map(joint).chain([gripper]).collect(),
            ..Header::default()
        };
        let mut writer = Writer::create(&journal, &header).unwrap();
        for (index, sample) in [1, 1, 2, 4].into_iter().enumerate() {
            let ready = sinew_simulation::arms::franka::READY;
            let at = |value: &dyn Fn(usize) -> f64| (0..joints).map(value).chain([0.5]).collect();
            let cycle = CycleRecord {
                index: index as u64,
                sample,
                link: 1,
                // The first is not yet running.
                state: if index == 0 { 1 } else { 2 },
                measured: at(&|joint| ready[joint]),
                measured_effort: at(&|joint| joint as f64 + 0.25),
                measured_ns: vec![sample * 1_000_000; joints + 1],
                ..CycleRecord::default()
            };
            writer.append_cycle(&cycle).unwrap();
        }
        writer.sync().unwrap();
        let output = folder.path().join("deep/run.csv");
        let summary = export(&journal, &output, &options(torques))?;
        assert!(matches!(
            export(&journal, &output, &options(torques)),
            Err(PosesError::Exists { .. })
        ));
        Ok((summary, std::fs::read_to_string(output).unwrap()))
    }

    #[test]
    fn a_run_of_an_arm_is_torques_pose_and_positions() {
        let (summary, text) = exported(7, Torques::Measured).unwrap();
        assert_eq!((summary.samples, summary.lost), (3, 1));
        assert!((summary.rate_hz - 1000.0).abs() < 1e-6);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "tau0,tau1,tau2,tau3,tau4,tau5,tau6,px,py,pz,qx,qy,qz,qw,q0,q1,q2,q3,q4,q5,q6"
        );
        assert_eq!(lines.len(), 4);
        let row: Vec<f64> = lines[1].split(',').map(|value| value.parse().unwrap()).collect();
        assert_eq!((row.len(), row[0], row[6]), (21, 0.25, 6.25));
        // Franka's ready pose: the hand looks down, its x forward.
        let [x, y, z] = [row[7], row[8], row[9]];
        assert!((x - 0.30689).abs() < 1e-4 && y.abs() < 1e-8 && (z - 0.59028).abs() < 1e-4);
        assert!((row[10].abs() - 1.0).abs() < 1e-6, "{row:?}");
        assert!((row[15] - sinew_simulation::arms::franka::READY[1]).abs() < 1e-9, "{row:?}");
    }

    #[test]
    fn torques_that_are_not_there_and_another_arm_are_named() {
        let error = exported(7, Torques::Commanded).unwrap_err().to_string();
        assert!(error.contains("no commanded torques. Positions were commanded"), "{error}");
        let error = exported(6, Torques::Measured).unwrap_err().to_string();
        assert!(
            error.contains("--arm: the arm panda has 7 joints, and 6 are asked for"),
            "{error}"
        );
    }
}
