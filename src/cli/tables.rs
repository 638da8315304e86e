//! The tables at the end of a run.

use std::collections::BTreeMap;

use crate::pacing::DistributionSummary;
use crate::summary::{Bus, RunSummary, Timing};

/// The whole summary as lines for people.
pub(super) fn summary(summary: &RunSummary) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.push(format!(
        "{}: {} (exit code {}), {:.1} s",
        summary.exit.cause, summary.exit.message, summary.exit.code, summary.seconds
    ));
    lines.push(String::new());
    match (&summary.timing, &summary.bus) {
        (Some(timing), Some(bus)) => {
            timing_of(timing, &mut lines);
            bus_of(bus, &mut lines);
        }
        _ => lines.push(
            "LOST: the control thread never came back, and with it timing, bus counters, clamps and \
             counts of cycles. The journal has every cycle up to the stall"
                .to_owned(),
        ),
    }
    let policy = &summary.policy;
    lines.push(format!(
        "policy     {} inferences (p50 {}, max {}), {} chunks taken over, {} refused",
        policy.inferences,
        micros(policy.latency.p50_us),
        micros(policy.latency.max_us),
        counted(policy.chunks),
        policy.refused
    ));
    if let Some(clamps) = &summary.clamps {
        clamps_of(clamps, &mut lines);
    }
    let drops = &summary.drops;
    lines.push(format!(
        "drops      {} cycle samples, {} frames, {} records, {} unwritten, {} chunks, {} expired \
         actions",
        counted(drops.samples),
        drops.frames,
        drops.records,
        drops.unwritten,
        drops.chunks,
        counted(drops.expired_actions)
    ));
    let staleness = &summary.staleness;
    let age = |age: &Option<DistributionSummary>| {
        age.as_ref().map_or(LOST.to_owned(), |age| {
            format!("p50 {}, max {}", micros(age.p50_us), micros(age.max_us))
        })
    };
    lines.push(format!(
        "staleness  state {}; observation {}",
        age(&staleness.state),
        age(&staleness.observation)
    ));
    lines.push(format!(
        "           inferences put off: {} for a stale frame, {} for a stale state; {} cycles with a \
         substituted value",
        staleness.stale_frames,
        staleness.stale_states,
        counted(staleness.substituted)
    ));
    let cycles: Vec<String> = summary
        .cycles
        .iter()
        .flatten()
        .filter(|(_, count)| **count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if summary.cycles.is_some() {
        lines.push(format!("cycles     {}", cycles.join(", ")));
    }
    lines.push(String::new());
    lines.push(format!("episode    {}", summary.episode));
    if let Some(index) = summary.episode_index {
        lines.push(format!(
            "dataset    {} (episode {index}, {} frames)",
            summary.dataset, summary.episode_frames
        ));
    }
    if !summary.report.is_empty() {
        lines.push(format!("report     {}", summary.report));
    }
    if !summary.recording_fault.is_empty() {
        lines.push(format!("recording  INCOMPLETE: {}", summary.recording_fault));
    }
    lines
}

/// In place of what the control thread counted, where it never came back.
const LOST: &str = "(lost)";

fn counted(count: Option<u64>) -> String {
    count.map_or(LOST.to_owned(), |count| count.to_string())
}

fn bus_of(bus: &Bus, lines: &mut Vec<String>) {
    let (read_mean_ms, read_max_ms, bus) = (bus.read_mean_ms, bus.read_max_ms, &bus.counters);
    lines.push(String::new());
    lines.push(format!(
        "bus        {} requests, {} replies, {} timeouts, {} retries, {} reconnects",
        bus.requests, bus.replies, bus.timeouts, bus.retries, bus.reconnects
    ));
    lines.push(format!(
        "           {} garbage bytes, {} rejected, {} substituted; state read {read_mean_ms:.1} ms \
         mean, {read_max_ms:.1} ms max",
        bus.garbage_bytes, bus.rejected, bus.substituted
    ));
    lines.push(format!(
        "           {} commands sent, {} superseded by newer ones",
        bus.commands, bus.superseded
    ));
}

fn timing_of(timing: &Timing, lines: &mut Vec<String>) {
    lines.push(format!(
        "{:<11}{:>8}{:>12}{:>12}{:>12}{:>12}",
        format!("at {} Hz", timing.rate_hz),
        "n",
        "p50",
        "p99",
        "p99.9",
        "max"
    ));
    let rows: [(&str, &DistributionSummary); 8] = [
        ("period", &timing.period),
        ("lateness", &timing.lateness),
        ("read", &timing.read),
        ("take", &timing.take),
        ("decide", &timing.decide),
        ("write", &timing.write),
        ("record", &timing.record),
        ("cycle", &timing.cycle),
    ];
    for (name, row) in rows {
        lines.push(format!(
            "{name:<11}{:>8}{:>12}{:>12}{:>12}{:>12}",
            row.n,
            micros(row.p50_us),
            micros(row.p99_us),
            micros(row.p999_us),
            micros(row.max_us)
        ));
    }
    lines.push(format!(
        "{:<11}{:>8} periods, {} cycles ended late, the longest after {}",
        "missed",
        timing.missed,
        timing.overruns,
        micros(timing.longest_us)
    ));
}

fn clamps_of(clamps: &BTreeMap<String, BTreeMap<&'static str, u64>>, lines: &mut Vec<String>) {
    if clamps.is_empty() {
        lines.push("clamps     none".to_owned());
        return;
    }
    for (row, (joint, causes)) in clamps.iter().enumerate() {
        let causes: Vec<String> =
            causes.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
        let title = if row == 0 { "clamps" } else { "" };
        lines.push(format!("{title:<11}{joint}: {} cycles", causes.join(", ")));
    }
}

/// A duration in the unit that reads best.
pub(super) fn micros(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2} s", value / 1e6)
    } else if value >= 1e3 {
        format!("{:.2} ms", value / 1e3)
    } else {
        format!("{value:.1} µs")
    }
}
