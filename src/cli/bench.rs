//! `sinew bench`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::doctor::wake_up_table;
use super::tables::micros;
use super::{Format, fail};
use crate::bench::{self, BenchError, CycleRow, NAMES, Options, PartRow, Report};
use crate::config::{RealtimeConfig, RealtimeMode};
use crate::pacing::DistributionSummary;
use crate::supervision::StopCause;

/// Exit code if a thread could not be started, or a loop ended early.
const NOT_MEASURED: u8 = 14;
/// Exit code if the folder cannot be written.
const FOLDER: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    /// About how long to measure, in s; every variant has at least one turn
    #[arg(long, value_name = "N", default_value_t = 40.0, value_parser = seconds)]
    seconds: f64,
    /// Measure one thing only
    #[arg(long, value_name = "NAME", value_parser = NAMES)]
    only: Option<String>,
    /// Where journals are written meanwhile; what is left there is removed
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Ask for no real-time class and no locked memory
    #[arg(long)]
    ordinary: bool,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 3600.0 => Ok(value),
        _ => Err("a number of seconds above 0 and up to 3600".to_owned()),
    }
}

pub(super) fn bench(arguments: &BenchArguments) -> u8 {
    let mode = if arguments.ordinary { RealtimeMode::Off } else { RealtimeMode::Prefer };
    let options = Options {
        seconds: arguments.seconds,
        only: arguments.only.clone(),
        directory: arguments.directory.clone(),
        realtime: RealtimeConfig { mode, ..RealtimeConfig::default() },
    };
    let folder = bench::folder(&arguments.directory);
    // Nothing moves: the process may end at any moment, but for what it would leave behind. Without
    // a handler Ctrl-C ends it too.
    let _ = ctrlc::set_handler(move || {
        // Another try where a journal was begun in it meanwhile.
        let _ = (0..10).any(|_| std::fs::remove_dir_all(&folder).is_ok());
        complain!("interrupted: nothing was measured to its end");
        std::process::exit(StopCause::Operator.exit_code().into());
    });
    let report = match bench::measure(&options, |name| complain!("{name} …")) {
        Ok(report) => report,
        Err(error) => {
            let folder = matches!(error, BenchError::Folder { .. } | BenchError::Recorder(_));
            let code = if folder { FOLDER } else { NOT_MEASURED };
            return fail(&error, code, arguments.format);
        }
    };
    match arguments.format {
        Format::Text => lines(&report).iter().for_each(|line| say!("{line}")),
        Format::Json => {
            say!("{}", json!({ "exit": { "cause": "ok", "code": 0 }, "bench": report }));
        }
    }
    0
}

fn lines(report: &Report) -> Vec<String> {
    let machine = &report.machine;
    let mut lines = vec![
        format!("{}, {} CPUs, Linux {}", machine.cpu, machine.cpus, machine.kernel),
        format!("load {}", machine.load),
    ];
    if !machine.optimised {
        lines.push("built without optimisation: the figures mean nothing".to_owned());
    }
    lines.extend(machine.not_granted.iter().map(|text| format!("not granted: {text}")));
    if !report.cycles.is_empty() {
        lines.push(String::new());
        lines.push("cycles: wake to the command handed over, and to the end of recording".into());
        cycles(&report.cycles, &mut lines);
    }
    if !report.floor.is_empty() {
        lines.push(String::new());
        lines.push("a loop that does nothing for so long, on the same thread".to_owned());
        for row in &report.floor {
            let DistributionSummary { n, p50_us, p99_us, p999_us, max_us } = row.took;
            lines.push(format!(
                "  {:>4} µs  p50 {:>8}  p99 {:>8}  p99.9 {:>8}  max {:>8}  n {n:>8}",
                row.length_us,
                micros(p50_us),
                micros(p99_us),
                micros(p999_us),
                micros(max_us),
            ));
        }
    }
    if let Some(wake_ups) = &report.wake_ups {
        lines.push(String::new());
        lines.push("wake-ups at 1 kHz: every period that was due counts".to_owned());
        lines.extend(wake_up_table(wake_ups));
        lines.extend(report.ratios.iter().map(|ratio| {
            let [p50, p99, p999] = [ratio.p50, ratio.p99, ratio.p999];
            format!(
                "  sinew / clock_nanosleep, {}: p50 {p50:.2}, p99 {p99:.2}, p99.9 {p999:.2}",
                ratio.class
            )
        }));
    }
    if !report.parts.is_empty() {
        lines.push(String::new());
        lines.push("parts alone, per call, over batches of 100".to_owned());
        parts(&report.parts, &mut lines);
    }
    lines
}

fn cycles(rows: &[CycleRow], lines: &mut Vec<String>) {
    lines.push(format!(
        "  {:<12}  {:<8}  {:>6}  {:<7}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>9}  {:>8}  {:>7}  {:>6}",
        "motion", "pace", "joints", "logging", "n", "p50", "p99", "p99.9", "max", "end p99.9",
        "B/cycle", "dropped", "missed"
    ));
    for row in rows {
        let DistributionSummary { n, p50_us, p99_us, p999_us, max_us } = row.response;
        lines.push(format!(
            "  {:<12}  {:<8}  {:>6}  {:<7}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>9}  {:>8.0}  {:>7}  {:>6}",
            row.motion,
            row.pace,
            row.joints,
            if row.logging { "on" } else { "off" },
            n,
            micros(p50_us),
            micros(p99_us),
            micros(p999_us),
            micros(max_us),
            micros(row.cycle.p999_us),
            row.bytes_per_cycle,
            row.dropped,
            row.missed
        ));
    }
    if let Some(row) = rows.iter().find(|row| row.motion == "jerk-limited" && row.joints == 7) {
        let parts: Vec<String> = row
            .phases
            .iter()
            .map(|phase| format!("{} {}", phase.name, micros(phase.time.p50_us)))
            .collect();
        lines.push(format!("  p50 of the parts, 7 joints, {}: {}", row.pace, parts.join(", ")));
    }
}

fn parts(rows: &[PartRow], lines: &mut Vec<String>) {
    for row in rows {
        let bytes = row.bytes_per_s.map_or(String::new(), |bytes| {
            format!("; {:.0} calls/s, {:.1} MB/s", row.calls_per_s, bytes / 1e6)
        });
        lines.push(format!(
            "  {:<22}  p50 {:>7.1} ns  p99 {:>7.1} ns  max {:>9.1} ns  n {:>9}  ({}{bytes})",
            row.name, row.p50_ns, row.p99_ns, row.max_ns, row.n, row.call
        ));
    }
}
