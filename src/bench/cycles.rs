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
    let mut sums: Vec<Sum> = variants.iter().map(|_| Sum::default()).collect();
    for round in 0..rounds {
        for index in 0..variants.len() {
            let index = if round % 2 == 0 { index } else { variants.len() - 1 - index };
            let rig = &variants[index];
            let cycles = if rig.pace == Pace::FlatOut { FLAT_OUT } else { PACED };
            let run = folder.next();
            sums[index].add(&rig.turn(cycles, &run, realtime)?);
            // Journals of all turns together could fill a disk.
            let _ = std::fs::remove_dir_all(&run);
        }
    }
    Ok(variants.iter().zip(sums).map(|(rig, sum)| sum.row(rig)).collect())
}

/// p50, p99 and p99.9 of one turn, in µs.
type Quantiles = [f64; 3];

fn quantiles(time: &Distribution) -> Quantiles {
    let summary = time.summary();
    [summary.p50_us, summary.p99_us, summary.p999_us]
}

/// A variant's turns together. Of a single turn only what medians are taken of is kept: its
/// distributions are megabytes of locked memory.
#[derive(Default)]
struct Sum {
    response: Distribution,
    cycle: Distribution,
    phases: [(&'static str, Distribution); 5],
    response_quantiles: Vec<Quantiles>,
    cycle_quantiles: Vec<Quantiles>,
    class: Option<String>,
    missed: u64,
    dropped: u64,
    unwritten: u64,
    recorded: u64,
    journal_bytes: u64,
}

impl Sum {
    fn add(&mut self, turn: &Turn) {
        let times = &turn.statistics;
        self.response.add(&times.response);
        self.cycle.add(&times.cycle);
        let phases = [
            ("read", &times.read),
            ("take", &times.take),
            ("decide", &times.decide),
            ("write", &times.write),
            ("record", &times.record),
        ];
        for ((name, sum), (said, phase)) in self.phases.iter_mut().zip(phases) {
            *name = said;
            sum.add(phase);
        }
        self.response_quantiles.push(quantiles(&times.response));
        self.cycle_quantiles.push(quantiles(&times.cycle));
        self.class.get_or_insert_with(|| turn.class.clone());
        self.missed += times.missed;
        self.dropped += times.dropped_samples;
        self.unwritten += turn.recorder.unwritten;
        self.recorded += turn.recorded;
        self.journal_bytes += turn.journal_bytes;
    }

    fn row(self, rig: &Rig) -> CycleRow {
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
            class: self.class.unwrap_or_default(),
            rounds: self.response_quantiles.len(),
            response: self.response.summary(),
            response_medians_us: medians(&self.response_quantiles),
            cycle: self.cycle.summary(),
            cycle_medians_us: medians(&self.cycle_quantiles),
            phases: self.phases.map(|(name, time)| Phase { name, time: time.summary() }).to_vec(),
            missed: self.missed,
            dropped: self.dropped,
            unwritten: self.unwritten,
            bytes_per_cycle: self.journal_bytes as f64 / self.recorded.max(1) as f64,
            recorded: self.recorded,
        }
    }
}

/// The median of each quantile over the turns.
fn medians(turns: &[Quantiles]) -> Quantiles {
    std::array::from_fn(|index| median(turns.iter().map(|turn| turn[index]).collect()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}
