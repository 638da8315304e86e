//! An episode's journal as a replay reads it: one cycle at a time with the chunks it took over, up
//! to the first thing that is missing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sinew_episodes::journal::{
    self, ActuatorMeta, ChunkRecord, CycleRecord, Header, Reader, Record, Tail,
};
use sinew_firmware_interfaces::RobotDescription;

use super::ReplayError;
use crate::config::{self, Layer, Loaded};
use crate::robots;
use crate::run::{ACTUATOR_NAME, ARM_NAME, URDF_NAME};
use crate::supervision::ArmState;

/// One recorded cycle and the chunks it took over.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The cycle.
    pub cycle: CycleRecord,
    /// The chunks, in the order in which they came.
    pub chunks: Vec<ChunkRecord>,
}

/// What is missing in a journal. Behind it nothing can be computed: what the cycle then knew is
/// unknown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Incomplete {
    /// Cycles that happened and were not recorded, or whose records are damaged.
    Gap {
        /// The last cycle before; `None` where the first is missing.
        after: Option<u64>,
        /// The first cycle behind.
        before: u64,
    },
    /// A chunk that was taken over and whose record is missing.
    Chunk {
        /// Its sequence number.
        sequence: u64,
        /// The cycle that took it over.
        cycle: u64,
    },
    /// The journal ends before the run did.
    End {
        /// The last cycle.
        after: u64,
        /// Whether the file ends inside a record or with damage.
        torn: bool,
    },
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { after: Some(after), before } => {
                write!(f, "cycles between {after} and {before} were not recorded")
            }
            Self::Gap { after: None, before } => {
                write!(f, "cycles before {before} were not recorded")
            }
            Self::Chunk { sequence, cycle } => {
                write!(f, "chunk {sequence}, which cycle {cycle} took over, was not recorded")
            }
            Self::End { after, torn } => {
                let how = if *torn { ", torn" } else { "" };
                write!(f, "the journal ends after cycle {after}{how}, before the run did")
            }
        }
    }
}

/// A recorded run.
#[derive(Debug)]
pub struct Episode {
    reader: Reader,
    header: Header,
    path: PathBuf,
    period: Duration,
    previous: Option<CycleRecord>,
    chunks: Vec<ChunkRecord>,
    /// Sequence number of the last chunk that was taken over.
    taken: u64,
    incomplete: Option<Incomplete>,
}

impl Episode {
    /// Opens `path`: a run's folder, or its journal.
    ///
    /// # Errors
    /// [`ReplayError`] when it is neither, or the journal has no header.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let file = journal::locate(path)?;
        let reader = Reader::open(&file)?;
        let header = reader.header().clone();
        Ok(Self {
            period: Duration::from_secs_f64(1.0 / header.rate_hz.max(1e-3)),
            header,
            reader,
            path: file,
            previous: None,
            chunks: Vec::new(),
            taken: 0,
            incomplete: None,
        })
    }

    /// The journal's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many actions of a chunk the policy's queue plays.
    pub fn action_steps(&self) -> usize {
        self.header.policy.as_ref().map_or(0, |policy| policy.action_steps as usize)
    }

    /// The journal.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the configuration in the journal, for messages.
    pub fn config_name(&self) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        folder.join(format!("{}'s configuration", self.header.run))
    }

    /// The arm's URDF as the run read it, where the run's folder has kept it.
    fn urdf(&self) -> Option<PathBuf> {
        let kept = self.path.parent()?.join(URDF_NAME);
        kept.is_file().then_some(kept)
    }

    /// The actuator model as the run read it, where the run's folder has kept it.
    fn actuator(&self) -> Option<PathBuf> {
        let kept = self.path.parent()?.join(ACTUATOR_NAME);
        (self.header.actuator.is_some() && kept.is_dir()).then_some(kept)
    }

    /// The URDF of a law's arm as the run read it, where the run's folder has kept it.
    fn arm(&self) -> Option<PathBuf> {
        let kept = self.path.parent()?.join(ARM_NAME);
        (self.header.actuator.is_some() && kept.is_file()).then_some(kept)
    }

    /// Files that the run's folder has kept, as the keys of the configuration that name them.
    pub(super) fn kept_files(&self) -> String {
        let line = |table: &str, key: &str, path: PathBuf| {
            let path = std::path::absolute(&path).unwrap_or(path);
            format!("[{table}]\n{key} = {}\n", toml::Value::from(path.display().to_string()))
        };
        let has_workspace = self.header.config.contains("[workspace]");
        let urdf = self.urdf().filter(|_| has_workspace);
        let urdf = urdf.map(|path| line("workspace", "urdf", path));
        let actuator = self.actuator().map(|path| line("actuation", "path", path));
        let arm = self.arm().map(|path| line("actuation", "arm", path));
        urdf.into_iter().chain(actuator).chain(arm).collect()
    }

    /// Refuses another actuator model than the recorded cycles were made with.
    pub(super) fn check_actuator(&self, found: Option<&ActuatorMeta>) -> Result<(), ReplayError> {
        match (&self.header.actuator, found) {
            (Some(recorded), Some(found)) if recorded.sha256 != found.sha256 => {
                Err(ReplayError::Actuator {
                    path: found.path.clone(),
                    recorded: recorded.sha256.clone(),
                    found: found.sha256.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The run's effective configuration with `overrides` on top, and the robot it is for. What was
    /// recorded and the overrides make void is left out: nobody can remove it from a journal.
    ///
    /// # Errors
    /// [`ReplayError`] when the configuration does not fit this sinew, or the robot has other
    /// joints than were recorded.
    pub fn load(&self, overrides: &[String]) -> Result<(Loaded, RobotDescription), ReplayError> {
        let name = self.config_name();
        let mut layers = vec![Layer::Text(&name, &self.header.config)];
        let kept = self.kept_files();
        layers.push(Layer::Text(&name, &kept));
        let void = config::load_layers(&name, &layers, overrides)?.void_keys();
        layers.push(Layer::Without(&void));
        let loaded = config::load_layers(&name, &layers, overrides)?;
        let robot = robots::description(&loaded.config.robot);
        let recorded = self.header.joints.iter().map(|joint| joint.name.as_str());
        let known = robot.joints.iter().map(|joint| joint.name.as_str());
        if !recorded.clone().eq(known.clone()) {
            return Err(ReplayError::Joints {
                path: self.path.clone(),
                robot: robot.model.clone(),
                recorded: recorded.collect::<Vec<_>>().join(", "),
                known: known.collect::<Vec<_>>().join(", "),
            });
        }
        Ok((loaded, robot))
    }

    /// The next cycle, or `None` at the end of what can be replayed: see
    /// [`incomplete`](Self::incomplete).
    ///
    /// # Errors
    /// [`ReplayError`] when the file cannot be read, or a record does not fit the header.
    pub fn next_cycle(&mut self) -> Result<Option<Recorded>, ReplayError> {
        while self.incomplete.is_none() {
            let Some(record) = self.reader.next() else { break };
            match record? {
                Record::Chunk(chunk) => self.chunks.push(chunk),
                Record::Cycle(cycle) => {
                    self.check(&cycle)?;
                    let recorded = Recorded { cycle, chunks: std::mem::take(&mut self.chunks) };
                    self.incomplete = self.missing_before(&recorded);
                    if self.incomplete.is_some() {
                        return Ok(None);
                    }
                    self.taken = self.taken.max(recorded.cycle.chunk);
                    self.previous = Some(recorded.cycle.clone());
                    return Ok(Some(recorded));
                }
                Record::Header(_) | Record::Frame(_) | Record::Event(_) | Record::Summary(_) => {}
            }
        }
        let Some(last) = &self.previous else {
            return match self.incomplete {
                Some(_) => Ok(None),
                None => Err(ReplayError::Empty { path: self.path.clone() }),
            };
        };
        let ended = [ArmState::Disarmed, ArmState::Faulted].map(|state| state as u8);
        if self.incomplete.is_none() && !ended.contains(&last.state) {
            let torn = self.reader.tail() != Tail::Complete;
            self.incomplete = Some(Incomplete::End { after: last.index, torn });
        }
        Ok(None)
    }

    /// What is missing, once the cycles have been read up to there.
    pub fn incomplete(&self) -> Option<&Incomplete> {
        self.incomplete.as_ref()
    }

    /// What was lost between the cycle before and `recorded`.
    fn missing_before(&self, recorded: &Recorded) -> Option<Incomplete> {
        let Recorded { cycle, chunks } = recorded;
        let next = self.previous.as_ref().map_or(0, |previous| previous.index + 1);
        // A record counts the periods without a cycle, and the cycle before when it ended late.
        let late = u128::from(cycle.phases.previous) > self.period.as_nanos();
        let missed = cycle.misses.saturating_sub(u64::from(late));
        if cycle.index.checked_sub(next) != Some(missed) {
            let after = self.previous.as_ref().map(|previous| previous.index);
            return Some(Incomplete::Gap { after, before: cycle.index });
        }
        let mut expected = self.taken + 1;
        for sequence in chunks.iter().map(|chunk| chunk.sequence) {
            if sequence != expected {
                return Some(Incomplete::Chunk { sequence: expected, cycle: cycle.index });
            }
            expected += 1;
        }
        let last = if cycle.chunk == 0 { self.taken } else { cycle.chunk };
        (expected <= last).then_some(Incomplete::Chunk { sequence: expected, cycle: cycle.index })
    }

    /// Every list has one value per joint, or is one that may be left out.
    fn check(&self, cycle: &CycleRecord) -> Result<(), ReplayError> {
        let needed = self.header.joints.len();
        let lists = [
            ("measured", cycle.measured.len(), false),
            ("measured_velocity", cycle.measured_velocity.len(), true),
            ("measured_effort", cycle.measured_effort.len(), true),
            ("measured_ns", cycle.measured_ns.len(), false),
            ("requested", cycle.requested.len(), false),
            ("generated", cycle.generated.len(), false),
            ("limited", cycle.limited.len(), false),
            ("effort", cycle.effort.len(), true),
            ("clamps", cycle.clamps.len(), false),
        ];
        let lists = lists.map(|(field, found, optional)| (field, found, needed, optional));
        let sensors = ("sensors", cycle.sensors.len(), self.header.sensors.len(), false);
        let wrong = |(_, found, needed, optional): &(_, usize, usize, bool)| {
            found != needed && !(*optional && *found == 0)
        };
        match lists.into_iter().chain([sensors]).find(wrong) {
            Some((field, found, needed, _)) => Err(ReplayError::Shape {
                path: self.path.clone(),
                cycle: cycle.index,
                field,
                found,
                needed,
            }),
            None => Ok(()),
        }
    }
}
