//! The tables at the end of a run.

use crate::pacing::DistributionSummary;
use crate::summary::RunSummary;

/// The whole summary as lines for people.
pub(super) fn summary(summary: &RunSummary) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.push(format!(
        "{}: {} (exit code {}), {:.1} s",
        summary.exit.cause, summary.exit.message, summary.exit.code, summary.seconds
    ));
    timing(summary, &mut lines);
    let (bus, read) = (&summary.bus.counters, &summary.bus);
    lines.push(String::new());
    lines.push(format!(
        "bus        {} requests, {} replies, {} timeouts, {} retries, {} reconnects",
        bus.requests, bus.replies, bus.timeouts, bus.retries, bus.reconnects
    ));
    lines.push(format!(
        "           {} garbage bytes, {} rejected, {} substituted; state read {:.1} ms mean, {:.1} \
         ms max",
        bus.garbage_bytes, bus.rejected, bus.substituted, read.read_mean_ms, read.read_max_ms
    ));
    lines.push(format!(
        "           {} commands sent, {} superseded by newer ones",
        bus.commands, bus.superseded
    ));
    let policy = &summary.policy;
    lines.push(format!(
        "policy     {} inferences (p50 {}, max {}), {} chunks taken over, {} refused",
        policy.inferences,
        micros(policy.latency.p50_us),
        micros(policy.latency.max_us),
        policy.chunks,
        policy.refused
    ));
    clamps(summary, &mut lines);
    let drops = &summary.drops;
    lines.push(format!(
        "drops      {} cycle samples, {} frames, {} records, {} unwritten, {} chunks, {} expired \
         actions",
        drops.samples,
        drops.frames,
        drops.records,
        drops.unwritten,
        drops.chunks,
        drops.expired_actions
    ));
    let staleness = &summary.staleness;
    lines.push(format!(
        "staleness  state p50 {}, max {}; observation p50 {}, max {}",
        micros(staleness.state.p50_us),
        micros(staleness.state.max_us),
        micros(staleness.observation.p50_us),
        micros(staleness.observation.max_us)
    ));
    lines.push(format!(
        "           inferences put off: {} for a stale frame, {} for a stale state; {} cycles with a \
         substituted value",
        staleness.stale_frames, staleness.stale_states, staleness.substituted
    ));
    let cycles: Vec<String> = summary
        .cycles
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    lines.push(format!("cycles     {}", cycles.join(", ")));
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

fn timing(summary: &RunSummary, lines: &mut Vec<String>) {
    let timing = &summary.timing;
    lines.push(String::new());
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

fn clamps(summary: &RunSummary, lines: &mut Vec<String>) {
    if summary.clamps.is_empty() {
        lines.push("clamps     none".to_owned());
        return;
    }
    for (row, (joint, causes)) in summary.clamps.iter().enumerate() {
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
