//! The recorded run against the computed one, bit for bit.

use std::collections::BTreeMap;

use serde::Serialize;
use sinew_episodes::journal::CycleRecord;

use super::{Episode, Incomplete, ReplayError, Rerun};
use crate::run::{self, settings};

/// What comes out of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// What the limits let through: the command.
    Limited,
    /// Commanded effort.
    Effort,
    /// Whether a command was sent.
    Commanded,
    /// Arm state.
    State,
    /// Why the arm holds.
    Hold,
    /// Why the run ends.
    Cause,
    /// Clamp causes.
    Clamps,
    /// What the target generator made of the request.
    Generated,
    /// What the target source asked for.
    Requested,
    /// Capture time of the observation behind the target.
    Observation,
}

impl Field {
    /// Name in tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Effort => "effort",
            Self::Commanded => "commanded",
            Self::State => "state",
            Self::Hold => "hold",
            Self::Cause => "cause",
            Self::Clamps => "clamps",
            Self::Generated => "generated",
            Self::Requested => "requested",
            Self::Observation => "observation",
        }
    }
}

/// One value that is not what was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The cycle.
    pub cycle: u64,
    /// When it was due, in s from the first recorded cycle.
    pub seconds: f64,
    /// Which value.
    pub field: Field,
    /// The joint, for values that each joint has.
    pub joint: Option<String>,
    /// The recorded value in decimal, exact.
    pub recorded: String,
    /// Its bits in hexadecimal.
    pub recorded_bits: String,
    /// The computed value in decimal, exact.
    pub computed: String,
    /// Its bits in hexadecimal.
    pub computed_bits: String,
}

/// How a comparison went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Cycles compared.
    pub cycles: u64,
    /// Chunks of actions fed in.
    pub chunks: u64,
    /// Cycles in which a value differs.
    pub different_cycles: u64,
    /// Values that differ, by field.
    pub different_values: BTreeMap<&'static str, u64>,
    /// The first value that differs.
    pub first: Option<Difference>,
    /// What is missing in the journal: cycles behind it were not compared.
    pub incomplete: Option<Incomplete>,
}

impl Verification {
    /// Exit code of an identical replay.
    pub const IDENTICAL: u8 = 0;
    /// Exit code when a value differs.
    pub const DIFFERENT: u8 = 50;
    /// Exit code when nothing differs as far as the journal goes, and it does not go to the end.
    pub const INCOMPLETE: u8 = 51;

    /// The process's exit code (`docs/exit-codes.md`).
    pub fn exit_code(&self) -> u8 {
        match (&self.first, &self.incomplete) {
            (Some(_), _) => Self::DIFFERENT,
            (None, Some(_)) => Self::INCOMPLETE,
            (None, None) => Self::IDENTICAL,
        }
    }
}

/// Computes every cycle of `episode` again and compares.
///
/// # Errors
/// [`ReplayError`] when the episode cannot be read, or does not fit this sinew.
pub fn verify(episode: &mut Episode) -> Result<Verification, ReplayError> {
    let (loaded, robot) = episode.load(&[])?;
    // Not validated: what was good enough to run is good enough to be computed again.
    let limits = crate::config::resolve_limits(&loaded.config, &robot)?;
    let workspace = settings::workspace(&loaded, &robot)?;
    let steps = episode.action_steps();
    let settings = settings::settings(&loaded.config, &robot, limits, workspace, steps);
    let names: Vec<_> = robot.joints.iter().map(|joint| joint.name.as_str()).collect();
    let (actuation, actuator) = run::actuator(&loaded, &robot)?;
    episode.check_actuator(actuator.as_ref())?;
    let mut rerun = Rerun::new(settings, actuation);
    let mut verification = Verification::default();
    let mut began = None;
    while let Some(recorded) = episode.next_cycle()? {
        let computed = rerun.step(&recorded);
        let record = &recorded.cycle;
        let began = *began.get_or_insert(record.scheduled_ns);
        verification.cycles += 1;
        verification.chunks += recorded.chunks.len() as u64;
        let mut different = false;
        compare(record, &computed, &mut |field, joint, was, is| {
            if was.bits == is.bits {
                return;
            }
            different = true;
            *verification.different_values.entry(field.name()).or_default() += 1;
            verification.first.get_or_insert_with(|| Difference {
                cycle: record.index,
                seconds: record.scheduled_ns.saturating_sub(began) as f64 * 1e-9,
                field,
                joint: joint.map(|joint| names[joint].to_owned()),
                recorded: was.text(),
                recorded_bits: format!("{:#018x}", was.bits),
                computed: is.text(),
                computed_bits: format!("{:#018x}", is.bits),
            });
        });
        verification.different_cycles += u64::from(different);
    }
    verification.incomplete = episode.incomplete().cloned();
    Ok(verification)
}

/// A value to compare: its bits, and what they are.
#[derive(Clone, Copy)]
struct Bits {
    bits: u64,
    number: bool,
}

impl Bits {
    /// All that is not a number is one: no language promises more bits of it.
    fn number(value: f64) -> Self {
        let value = if value.is_nan() { f64::NAN } else { value };
        Self { bits: value.to_bits(), number: true }
    }

    fn whole(bits: impl Into<u64>) -> Self {
        Self { bits: bits.into(), number: false }
    }

    fn text(self) -> String {
        if self.number { f64::from_bits(self.bits).to_string() } else { self.bits.to_string() }
    }
}

/// Hands every pair of values to `see`, those that matter most first.
fn compare(
    was: &CycleRecord,
    is: &CycleRecord,
    see: &mut dyn FnMut(Field, Option<usize>, Bits, Bits),
) {
    let mut lists = |field, was: &[f64], is: &[f64]| {
        // A list that is left out is one of zeros.
        for joint in 0..was.len().max(is.len()) {
            let at = |values: &[f64]| Bits::number(values.get(joint).copied().unwrap_or_default());
            see(field, Some(joint), at(was), at(is));
        }
    };
    lists(Field::Limited, &was.limited, &is.limited);
    lists(Field::Effort, &was.effort, &is.effort);
    lists(Field::Generated, &was.generated, &is.generated);
    lists(Field::Requested, &was.requested, &is.requested);
    for (joint, (was, is)) in was.clamps.iter().zip(&is.clamps).enumerate() {
        see(Field::Clamps, Some(joint), Bits::whole(*was), Bits::whole(*is));
    }
    let observed = |record: &CycleRecord| Bits::whole(record.observation_ns.map_or(0, |at| at + 1));
    for (field, was, is) in [
        (Field::Commanded, Bits::whole(was.commanded), Bits::whole(is.commanded)),
        (Field::State, Bits::whole(was.state), Bits::whole(is.state)),
        (Field::Hold, Bits::whole(was.hold), Bits::whole(is.hold)),
        (Field::Cause, Bits::whole(was.cause), Bits::whole(is.cause)),
        (Field::Observation, observed(was), observed(is)),
    ] {
        see(field, None, was, is);
    }
}
