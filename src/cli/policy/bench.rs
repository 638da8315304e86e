//! `sinew policy bench`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use sinew_models::Device;
use sinew_models::LoadOptions;

use super::{EngineArguments, SamplingArguments};
use crate::bench::{self, InferenceError, InferenceReport};
use crate::cli::tables::micros;
use crate::cli::{Format, fail};

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// The checkpoint folder
    folder: PathBuf,
    /// How long to infer, in s
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = crate::cli::bench::seconds)]
    seconds: f64,
    #[command(flatten)]
    engine: EngineArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn bench(arguments: &BenchArguments) -> u8 {
    let time = Duration::from_secs_f64(arguments.seconds);
    if let Err(error) = arguments.engine.check() {
        return fail(&error, 2, arguments.format);
    }
    let diffusion = arguments.sampling.options();
    let options = LoadOptions { diffusion, ..arguments.engine.options() };
    let report = match bench::measure_inference(&arguments.folder, &options, time) {
        Ok(report) => report,
        Err(error @ InferenceError::Roofline(_)) => return fail(&error, 14, arguments.format),
        Err(InferenceError::Load(error)) => {
            return fail(&error, super::code_of(&error), arguments.format);
        }
        Err(error @ InferenceError::Sampling { .. }) => return fail(&error, 2, arguments.format),
        Err(error) => return fail(&error, 11, arguments.format),
    };
    match arguments.format {
        Format::Text => bench_lines(&report).iter().for_each(|line| say!("{line}")),
        Format::Json => {
            say!("{}", json!({ "exit": { "cause": "ok", "code": 0 }, "bench": report }));
        }
    }
    0
}

fn bench_lines(report: &InferenceReport) -> Vec<String> {
    let InferenceReport { machine, latency, cost, roofline, .. } = report;
    let giga = |value: f64| value / 1e9;
    let mega = |bytes: f64| bytes / 1e6;
    let operations = 2.0 * cost.products as f64;
    let computing = operations / roofline.flops * 1e3;
    let reading = cost.weight_bytes as f64 / roofline.bytes * 1e3;
    let engine = report.device == Device::Cpu;
    let computer = if engine {
        let threads = if report.threads == 1 { "thread" } else { "threads" };
        format!("{} on {} {threads}", report.isa, report.threads)
    } else {
        format!("device {}", report.device.description())
    };
    let mut lines =
        vec![format!("{}, {} CPUs, load {}; {computer}", machine.cpu, machine.cpus, machine.load)];
    if !machine.optimised {
        lines.push("built without optimisation: the figures mean nothing".to_owned());
    }
    lines.extend([
        format!("load       {:.0} ms, first inference {:.1} ms", report.load_ms, report.first_ms),
        format!(
            "inference  p50 {}  p99 {}  p99.9 {}  max {}  n {}; processor time {:.1} ms",
            micros(latency.p50_us),
            micros(latency.p99_us),
            micros(latency.p999_us),
            micros(latency.max_us),
            latency.n,
            report.processor_ms,
        ),
    ]);
    // What processors can do says nothing about another device, nor is all counted there.
    if engine {
        lines.extend([
        format!(
            "work       {:.2} GFLOP by the layers' definition: {:.1} GFLOP/s",
            giga(operations),
            giga(report.flops),
        ),
        format!(
            "limits     {:.1} GFLOP/s in registers, {:.1} GB/s from memory: {computing:.1} ms to compute as defined, {reading:.1} ms to read the weights once",
            giga(roofline.flops),
            giga(roofline.bytes),
        ),
        ]);
    }
    lines.extend([
        format!(
            "memory     weights {:.1} MB, buffers {:.1} MB{}",
            mega(cost.weight_bytes as f64),
            mega(cost.buffer_bytes as f64),
            report.peak_memory.map_or(String::new(), |bytes| {
                format!("; this process had {:.1} MB at most", mega(bytes as f64))
            }),
        ),
        format!(
            "rely on    {:.1} inferences/s; policy.rate_hz up to {:.0}, so that a chunk lasts until the next is there",
            report.inferences_per_s, report.actions_per_s,
        ),
    ]);
    lines
}
