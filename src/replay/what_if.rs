//! What other limits would have done: the recorded measurements, operator and chunks, and another
//! configuration. The measurements stay those of the recording: the arm that would have moved
//! otherwise is not there, so this is open loop.

use std::collections::BTreeMap;

use serde::Serialize;
use sinew_episodes::journal::{ClampCause, CycleRecord};

use super::{Episode, Incomplete, ReplayError, Rerun};
use crate::run::{self, settings};
use crate::supervision::{ArmState, HoldCause, StopCause};

/// Tables and keys that a cycle depends on.
const DEPENDS: &[&str] = &[
    "limits",
    "workspace",
    "target",
    "actuation",
    "overrun",
    "rest",
    "supervision",
    "run.duration_s",
    "policy.execution",
    "policy.ensemble_coefficient",
    "policy.crossfade_ms",
];

/// Keys whose rules a configuration may break here: a run needs the time for its way to rest, and
/// an episode that can be recorded; looking at what would have happened needs neither.
const BREAKABLE: &[&str] =
    &["supervision.ramp_timeout_s", "run.duration_s", "recording.rate_hz", "recording.ring_s"];

/// A change of the arm's state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StateChange {
    /// The cycle after which it held.
    pub cycle: u64,
    /// When, in s from the first recorded cycle.
    pub seconds: f64,
    /// The state.
    pub state: &'static str,
    /// Why, where there is a reason.
    pub why: &'static str,
}

/// How one joint's command changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JointChange {
    /// The joint.
    pub joint: String,
    /// Its unit.
    pub unit: String,
    /// Largest difference of the command, in the joint's unit.
    pub largest: f64,
    /// The cycle of the largest difference.
    pub largest_at: u64,
    /// Root of the mean square of the difference.
    pub rms: f64,
    /// Clamped cycles by cause: recorded, computed. Causes without clamps are left out.
    pub clamps: BTreeMap<&'static str, [u64; 2]>,
}

/// What another configuration would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WhatIf {
    /// Why a run would not take this configuration although its limits are in order.
    pub note: Option<String>,
    /// Cycles computed.
    pub cycles: u64,
    /// Cycles whose command, state or clamps differ.
    pub different_cycles: u64,
    /// By joint.
    pub joints: Vec<JointChange>,
    /// State changes as recorded.
    pub recorded: Vec<StateChange>,
    /// State changes as computed.
    pub computed: Vec<StateChange>,
    /// What is missing in the journal: cycles behind it were not computed.
    pub incomplete: Option<Incomplete>,
}

impl WhatIf {
    /// The last change of a course that ends the run, if it does.
    pub fn stop(changes: &[StateChange]) -> Option<&StateChange> {
        let ends = ["stopping", "faulted"];
        changes.iter().find(|change| ends.contains(&change.state))
    }
}

/// Computes every cycle of `episode` with `changes` (`KEY=VALUE`) on top of its configuration.
///
/// # Errors
/// [`ReplayError`] when the episode cannot be read, or the changed configuration does not fit the
/// robot.
pub fn what_if(episode: &mut Episode, changes: &[String]) -> Result<WhatIf, ReplayError> {
    for change in changes {
        let key = change.split('=').next().unwrap_or_default().trim();
        let within = |part: &str| {
            key.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if key == "run.rate_hz" {
            return Err(ReplayError::Recorded { key: key.to_owned() });
        }
        if change.contains('=') && !DEPENDS.iter().any(|part| within(part)) {
            return Err(ReplayError::NoEffect { key: key.to_owned() });
        }
    }
    let (loaded, robot) = episode.load(changes)?;
    let (limits, note) = match loaded.validate(&robot) {
        Ok(limits) => (limits, None),
        Err(error)
            if error
                .problems
                .iter()
                .all(|it| it.key().is_some_and(|key| BREAKABLE.contains(&key))) =>
        {
            let note = format!("a run would refuse this: {error}");
            (crate::config::resolve_limits(&loaded.config, &robot)?, Some(note))
        }
        Err(error) => return Err(error.into()),
    };
    let steps = episode.action_steps();
    let workspace = settings::workspace(&loaded, &robot)?;
    let settings = settings::settings(&loaded.config, &robot, limits, workspace, steps);
    let (actuation, actuator) = run::actuator(&loaded, &robot)?;
    let names_another = |change: &String| {
        let key = change.split('=').next().unwrap_or_default().trim();
        ["actuation", "actuation.path", "actuation.model", "actuation.arm"].contains(&key)
    };
    if !changes.iter().any(names_another) {
        episode.check_actuator(actuator.as_ref())?;
    }
    let mut rerun = Rerun::new(settings, actuation);
    let mut what = WhatIf {
        note,
        joints: episode
            .header()
            .joints
            .iter()
            .map(|joint| JointChange {
                joint: joint.name.clone(),
                unit: joint.unit.clone(),
                ..JointChange::default()
            })
            .collect(),
        ..WhatIf::default()
    };
    let (mut began, mut before) = (None, None);
    while let Some(recorded) = episode.next_cycle()? {
        let record = &recorded.cycle;
        let ended = rerun.has_ended();
        let computed = rerun.step(&recorded);
        let began = *began.get_or_insert(record.scheduled_ns);
        let at = record.scheduled_ns.saturating_sub(began) as f64 * 1e-9;
        what.cycles += 1;
        what.compare(record, &computed, ended);
        let (was, is) = before.unwrap_or_default();
        what.recorded.extend(change(was, record, at));
        what.computed.extend(change(is, &computed, at));
        before = Some((phase(record), phase(&computed)));
    }
    let cycles = what.cycles.max(1) as f64;
    for joint in &mut what.joints {
        joint.rms = (joint.rms / cycles).sqrt();
    }
    what.incomplete = episode.incomplete().cloned();
    Ok(what)
}

impl WhatIf {
    /// `ended`: the computed run is over, and its commands with it.
    fn compare(&mut self, was: &CycleRecord, is: &CycleRecord, ended: bool) {
        let mut different = phase(was) != phase(is) || was.commanded != is.commanded;
        for (index, joint) in self.joints.iter_mut().enumerate() {
            let difference = is.limited[index] - was.limited[index];
            different |= difference.to_bits() << 1 != 0 || was.clamps[index] != is.clamps[index];
            joint.rms += difference * difference;
            if difference.abs() > joint.largest {
                joint.largest = difference.abs();
                joint.largest_at = was.index;
            }
            for cause in ClampCause::ALL {
                let counts = [was.clamps[index], if ended { 0 } else { is.clamps[index] }]
                    .map(|set| u64::from(set & cause.bit() != 0));
                if counts != [0, 0] {
                    let sums = joint.clamps.entry(cause.name()).or_default();
                    sums[0] += counts[0];
                    sums[1] += counts[1];
                }
            }
        }
        self.different_cycles += u64::from(different);
    }
}

/// State, hold and cause as numbers.
type Phase = (u8, u8, u8);

fn phase(record: &CycleRecord) -> Phase {
    (record.state, record.hold, record.cause)
}

fn change(before: Phase, record: &CycleRecord, seconds: f64) -> Option<StateChange> {
    if phase(record) == before {
        return None;
    }
    let named = |number: u8| usize::from(number).checked_sub(1);
    let why = named(record.cause)
        .and_then(|index| StopCause::ALL.get(index))
        .map(|cause| cause.name())
        .or_else(|| named(record.hold).and_then(|i| HoldCause::ALL.get(i)).map(|it| it.message()))
        .unwrap_or_default();
    let state = ArmState::ALL.get(usize::from(record.state)).map_or("unknown", |it| it.name());
    Some(StateChange { cycle: record.index, seconds, state, why })
}
