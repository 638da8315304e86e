//! What a run adds up to: the last line of `sinew run --format json`, the journal's last record,
//! and the source of the tables on screen and in the report.

use std::collections::BTreeMap;

use serde::Serialize;
use sinew_episodes::journal::ClampCause;
use sinew_firmware_interfaces::{BusStatistics, RobotDescription};

use crate::control::LoopStatistics;
use crate::pacing::DistributionSummary;
use crate::policy::PolicyStatistics;
use crate::supervision::ArmState;

/// Name of the summary in a run's folder.
pub const FILE_NAME: &str = "summary.json";

/// A finished run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunSummary {
    /// Name of the run: its folder's name.
    pub run: String,
    /// Why it ended.
    pub exit: Exit,
    /// Length of the control loop's life, in s.
    pub seconds: f64,
    /// Timing of the loop. This and all else that the control thread counts is `None` where that
    /// thread never came back: it was lost with it.
    pub timing: Option<Timing>,
    /// Counters of the bus; `None` as for `timing`.
    pub bus: Option<Bus>,
    /// Clamped cycles by joint and cause; joints and causes without clamps are left out. `None` as
    /// for `timing`.
    pub clamps: Option<BTreeMap<String, BTreeMap<&'static str, u64>>>,
    /// What was dropped, and where.
    pub drops: Drops,
    /// Ages.
    pub staleness: Staleness,
    /// The inference side.
    pub policy: Inference,
    /// Cycles in each arm state; `None` as for `timing`.
    pub cycles: Option<BTreeMap<&'static str, u64>>,
    /// The run's folder: journal, report, configuration.
    pub episode: String,
    /// The LeRobot dataset that the episode was added to; empty if it could not be.
    pub dataset: String,
    /// The episode's index in the dataset.
    pub episode_index: Option<u64>,
    /// Frames of the episode in the dataset.
    pub episode_frames: u64,
    /// The samples of a rig as CSV; empty where none were asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub csv: String,
    /// The report.
    pub report: String,
    /// Why the recording is not complete; empty if it is.
    pub recording_fault: String,
}

/// Why a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Name of the cause.
    pub cause: String,
    /// A sentence.
    pub message: String,
    /// The process's exit code.
    pub code: u8,
}

/// Timing of the loop, in µs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    /// The configured rate.
    pub rate_hz: f64,
    /// Wake to wake.
    pub period: DistributionSummary,
    /// Wake after the tick was due.
    pub lateness: DistributionSummary,
    /// Reading the latest state.
    pub read: DistributionSummary,
    /// Taking over mailboxes.
    pub take: DistributionSummary,
    /// Target, generator, limits, supervision.
    pub decide: DistributionSummary,
    /// Handing over the command.
    pub write: DistributionSummary,
    /// Handing over the previous record.
    pub record: DistributionSummary,
    /// Wake to the end of the cycle.
    pub cycle: DistributionSummary,
    /// Periods without a cycle.
    pub missed: u64,
    /// Cycles that ended after the next tick was due.
    pub overruns: u64,
    /// The longest cycle from when it was due to its end, in µs.
    pub longest_us: f64,
}

/// Counters of the bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bus {
    /// As the driver counted.
    #[serde(flatten)]
    pub counters: BusStatistics,
    /// Mean round trip of a state read, in ms.
    pub read_mean_ms: f64,
    /// Longest round trip of a state read, in ms.
    pub read_max_ms: f64,
}

/// What was dropped, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drops {
    /// Cycle samples the ring had no room for; `None` where the control thread never came back.
    pub samples: Option<u64>,
    /// Frames the recorder had no room for.
    pub frames: u64,
    /// Other records the recorder had no room for.
    pub records: u64,
    /// Records the disk did not take.
    pub unwritten: u64,
    /// Actions that were in the past when their chunk was finished; `None` as for `samples`.
    pub expired_actions: Option<u64>,
    /// Chunks for which the control thread had no room.
    pub chunks: u64,
}

/// Ages, in µs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Staleness {
    /// Oldest judged measurement, at each cycle; `None` where the control thread never came back.
    pub state: Option<DistributionSummary>,
    /// Observation behind the target, at each running cycle; `None` as for `state`.
    pub observation: Option<DistributionSummary>,
    /// Inferences put off because a frame was missing or too old.
    pub stale_frames: u64,
    /// Inferences put off because measurements were missing or too old.
    pub stale_states: u64,
    /// Cycles with a substituted measurement; `None` as for `state`.
    pub substituted: Option<u64>,
}

/// The inference side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Inference {
    /// Inferences finished.
    pub inferences: u64,
    /// Chunks taken over; `None` where the control thread never came back.
    pub chunks: Option<u64>,
    /// Inferences refused.
    pub refused: u64,
    /// Time of one inference, in µs.
    pub latency: DistributionSummary,
}

impl RunSummary {
    /// Takes over the loop's statistics.
    pub fn set_loop(
        &mut self,
        statistics: &LoopStatistics,
        robot: &RobotDescription,
        rate_hz: f64,
    ) {
        self.timing = Some(Timing {
            rate_hz,
            period: statistics.period.summary(),
            lateness: statistics.lateness.summary(),
            read: statistics.read.summary(),
            take: statistics.take.summary(),
            decide: statistics.decide.summary(),
            write: statistics.write.summary(),
            record: statistics.record.summary(),
            cycle: statistics.cycle.summary(),
            missed: statistics.missed,
            overruns: statistics.overruns,
            longest_us: statistics.longest_ns as f64 / 1e3,
        });
        let clamps = self.clamps.get_or_insert_default();
        for (joint, counts) in robot.joints.iter().zip(&statistics.clamps) {
            for (cause, count) in ClampCause::ALL.iter().zip(counts) {
                if *count > 0 {
                    let causes = clamps.entry(joint.name.clone()).or_default();
                    causes.insert(cause.name(), *count);
                }
            }
        }
        let cycles = |state: ArmState| (state.name(), statistics.cycles_in[state as usize]);
        self.cycles = Some(ArmState::ALL.map(cycles).into());
        self.drops.samples = Some(statistics.dropped_samples);
        self.drops.expired_actions = Some(statistics.expired_actions);
        self.staleness.state = Some(statistics.state_age.summary());
        self.staleness.observation = Some(statistics.observation_age.summary());
        self.staleness.substituted = Some(statistics.substituted);
        self.policy.chunks = Some(statistics.chunks);
    }

    /// Takes over the bus's counters.
    pub fn set_bus(&mut self, bus: &BusStatistics) {
        let millis = |nanos: u64| nanos as f64 * 1e-6;
        self.bus = Some(Bus {
            counters: *bus,
            read_mean_ms: millis(bus.read_ns_sum) / bus.reads.max(1) as f64,
            read_max_ms: millis(bus.read_ns_max),
        });
    }

    /// Takes over the inference side's counters.
    pub fn set_policy(&mut self, statistics: &PolicyStatistics) {
        self.policy.inferences = statistics.inferences;
        self.policy.refused = statistics.refused;
        self.policy.latency = statistics.latency.summary();
        self.drops.chunks = statistics.dropped_chunks;
        self.staleness.stale_frames = statistics.stale_frames;
        self.staleness.stale_states = statistics.stale_states;
    }
}
