//! What a whole cycle costs.

use serde::Serialize;

use super::BenchError;
use super::rig::{Folder, Logging, Motion, Pace, Rig, Turn};
use crate::config::RealtimeConfig;
use crate::pacing::{Distribution, DistributionSummary};

/// Cycles of one turn where nobody waits. In SCHED_FIFO a turn must stay well below what the kernel
/// leaves to real-time threads without a break.
const FLAT_OUT: u64 = 20_000;
/// Cycles of one turn at 1 kHz.
const PACED: u64 = 500;
/// Rough cost of a turn without waiting, in s, for planning only.
const TURN_S: f64 = 0.15;

/// One variant.
#[derive(Clone, Debug, Serialize)]
pub struct CycleRow {
    /// `linear`, `jerk-limited` or `effort`.
    pub motion: &'static str,
    /// `flat out` or `1 kHz`.
    pub pace: &'static str,
    /// Whether cycles went into a journal.
    pub logging: bool,
    /// Joints.
    pub joints: usize,
    /// Scheduling class.
    pub class: String,
    /// Turns.
    pub rounds: usize,
    /// Wake to the command handed over, all turns together.
    pub response: DistributionSummary,
    /// The same: medians over the turns of p50, p99 and p99.9, in µs.
    pub response_medians_us: [f64; 3],
    /// Wake to the end of the cycle, recording included, all turns together.
    pub cycle: DistributionSummary,
    /// The same: medians over the turns of p50, p99 and p99.9, in µs.
    pub cycle_medians_us: [f64; 3],
    /// The parts.
    pub phases: Vec<Phase>,
    /// Periods without a cycle.
    pub missed: u64,
    /// Samples that found no room in the ring.
    pub dropped: u64,
    /// Records that the disk did not take.
    pub unwritten: u64,
    /// Cycles that were read back from the journals.
    pub recorded: u64,
    /// Journal bytes per cycle in it; 0 without a journal.
    pub bytes_per_cycle: f64,
}

/// One part of the cycle.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// How long it took.
    #[serde(flatten)]
    pub time: DistributionSummary,
}

/// A 7-joint arm: motions, paces, logging.
pub(super) fn variants() -> Vec<Rig> {
    let mut variants = Vec::new();
    for pace in [Pace::FlatOut, Pace::Timer] {
        for motion in [Motion::Linear, Motion::JerkLimited, Motion::Effort] {
            for logging in [Logging::On, Logging::Off] {
                variants.push(Rig { joints: 7, motion, pace, logging });
            }
        }
    }
    variants
}

/// From one joint to the most there can be.
pub(super) fn by_joints() -> Vec<Rig> {
    let motion = Motion::JerkLimited;
    [1, 2, 4, 7, 16, 32]
        .map(|joints| Rig { joints, motion, pace: Pace::FlatOut, logging: Logging::On })
        .to_vec()
}

/// Lets the variants take turns for about `seconds`.
pub(super) fn measure(
    variants: &[Rig],
    seconds: f64,
    folder: &Folder,
    realtime: &RealtimeConfig,
) -> Result<Vec<CycleRow>, BenchError> {
    let cost = |rig: &Rig| match rig.pace {
        Pace::FlatOut => TURN_S,
        Pace::Timer => PACED as f64 / 1e3 + 0.05,
    };
    let round: f64 = variants.iter().map(cost).sum();
    let rounds = (seconds / round).round().max(1.0) as usize;
    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); variants.len()];
    for round in 0..rounds {
        for index in 0..variants.len() {
            let index = if round % 2 == 0 { index } else { variants.len() - 1 - index };
            let rig = &variants[index];
            let cycles = if rig.pace == Pace::FlatOut { FLAT_OUT } else { PACED };
            let run = folder.next();
            turns[index].push(rig.turn(cycles, &run, realtime)?);
            // Journals of all turns together could fill a disk.
            let _ = std::fs::remove_dir_all(&run);
        }
    }
    Ok(variants.iter().zip(&turns).map(|(rig, turns)| row(rig, turns)).collect())
}

type Pick = fn(&Turn) -> &Distribution;

fn row(rig: &Rig, turns: &[Turn]) -> CycleRow {
    let all = |pick: Pick| {
        let mut sum = Distribution::new();
        turns.iter().for_each(|turn| sum.add(pick(turn)));
        sum.summary()
    };
    let medians = |pick: Pick| {
        let each: Vec<_> = turns.iter().map(|turn| pick(turn).summary()).collect();
        let of = |at: fn(&DistributionSummary) -> f64| median(each.iter().map(at).collect());
        [of(|it| it.p50_us), of(|it| it.p99_us), of(|it| it.p999_us)]
    };
    let count = |pick: fn(&Turn) -> u64| turns.iter().map(pick).sum::<u64>();
    let phases: [(&'static str, Pick); 5] = [
        ("read", |turn| &turn.statistics.read),
        ("take", |turn| &turn.statistics.take),
        ("decide", |turn| &turn.statistics.decide),
        ("write", |turn| &turn.statistics.write),
        ("record", |turn| &turn.statistics.record),
    ];
    let (response, cycle): (Pick, Pick) =
        (|turn| &turn.statistics.response, |turn| &turn.statistics.cycle);
    let dropped = count(|turn| turn.statistics.dropped_samples);
    let total = all(cycle);
    let recorded = count(|turn| turn.recorded);
    CycleRow {
        motion: match rig.motion {
            Motion::Linear => "linear",
            Motion::JerkLimited => "jerk-limited",
            Motion::Effort => "effort",
        },
        pace: match rig.pace {
            Pace::FlatOut => "flat out",
            Pace::Timer => "1 kHz",
        },
        logging: rig.logging == Logging::On,
        joints: rig.joints,
        class: turns.first().map(|turn| turn.class.clone()).unwrap_or_default(),
        rounds: turns.len(),
        response: all(response),
        response_medians_us: medians(response),
        cycle: total,
        cycle_medians_us: medians(cycle),
        phases: phases.iter().map(|&(name, pick)| Phase { name, time: all(pick) }).collect(),
        missed: count(|turn| turn.statistics.missed),
        dropped,
        unwritten: count(|turn| turn.recorder.unwritten),
        bytes_per_cycle: count(|turn| turn.journal_bytes) as f64 / recorded.max(1) as f64,
        recorded,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}
