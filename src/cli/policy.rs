//! `sinew policy`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use sinew_models::{ActPolicy, Isa, LoadOptions, Precision, golden};

use serde_json::json;

use super::tables::micros;
use super::{Format, fail};
use crate::bench::{self, InferenceError, InferenceReport};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyVerb {
    /// Print what a checkpoint is and needs
    Info(InfoArguments),
    /// Measure what an inference costs on this computer
    Bench(BenchArguments),
    /// Run a checkpoint on recorded inputs and compare its outputs, tensor by tensor
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct InfoArguments {
    /// The checkpoint folder (LeRobot's pretrained_model)
    folder: PathBuf,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How to compute.
#[derive(Debug, Args)]
struct EngineArguments {
    /// Threads that an inference runs on; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Bytes of a stored weight: four, or two (a little less exact, and faster for large networks)
    #[arg(long, value_enum, default_value_t)]
    precision: PrecisionName,
    /// Compute with these instructions instead of the best of this computer
    #[arg(long, value_enum)]
    instructions: Option<IsaName>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PrecisionName {
    #[default]
    F32,
    Bf16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IsaName {
    Avx512,
    Avx2,
    Portable,
}

impl EngineArguments {
    fn options(&self) -> LoadOptions {
        LoadOptions {
            threads: self.threads.into(),
            precision: match self.precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Bf16 => Precision::Bf16,
            },
            isa: match self.instructions {
                None => Isa::best(),
                Some(IsaName::Avx512) => Isa::Avx512,
                Some(IsaName::Avx2) => Isa::Avx2,
                Some(IsaName::Portable) => Isa::Portable,
            },
            ..LoadOptions::default()
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    /// The checkpoint folder
    folder: PathBuf,
    /// How long to infer, in s
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = super::bench::seconds)]
    seconds: f64,
    #[command(flatten)]
    engine: EngineArguments,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The checkpoint folder
    folder: PathBuf,
    #[command(flatten)]
    engine: EngineArguments,
    /// Safetensors file with in.raw.* and out.* tensors
    #[arg(long, value_name = "FILE")]
    golden: PathBuf,
    /// Also print intermediate tensors (mid.*); they do not decide
    #[arg(long)]
    verbose: bool,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn policy(verb: &PolicyVerb) -> u8 {
    match verb {
        PolicyVerb::Info(arguments) => info(arguments),
        PolicyVerb::Bench(arguments) => bench(arguments),
        PolicyVerb::Check(arguments) => check(arguments),
    }
}

fn info(arguments: &InfoArguments) -> u8 {
    let policy = match ActPolicy::load(&arguments.folder, &LoadOptions::default()) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, 11, arguments.format),
    };
    match arguments.format {
        Format::Text => say!("{}", policy.info()),
        // Plain numbers and strings: serialising cannot fail.
        Format::Json => say!("{}", serde_json::to_string(policy.info()).unwrap_or_default()),
    }
    0
}

fn bench(arguments: &BenchArguments) -> u8 {
    let time = Duration::from_secs_f64(arguments.seconds);
    let report =
        match bench::measure_inference(&arguments.folder, &arguments.engine.options(), time) {
            Ok(report) => report,
            Err(error @ InferenceError::Roofline(_)) => return fail(&error, 14, arguments.format),
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
    let mut lines = vec![format!(
        "{}, {} CPUs, load {}; {} on {} {}",
        machine.cpu,
        machine.cpus,
        machine.load,
        report.isa,
        report.threads,
        if report.threads == 1 { "thread" } else { "threads" }
    )];
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

fn check(arguments: &CheckArguments) -> u8 {
    let mut policy = match sinew_models::load(&arguments.folder, &arguments.engine.options()) {
        Ok(policy) => policy,
        Err(error) => return fail(&error, 11, arguments.format),
    };
    let report = match golden::check(policy.as_mut(), &arguments.golden) {
        Ok(report) => report,
        Err(error) => return fail(&error, 2, arguments.format),
    };
    let shown =
        report.comparisons.iter().filter(|comparison| comparison.decides || arguments.verbose);
    match arguments.format {
        Format::Text => {
            shown.for_each(|comparison| say!("{comparison}"));
            let verdict = if report.passed() { "every output is" } else { "NOT every output is" };
            say!("{verdict} within tolerance ({} observations)", report.steps);
        }
        Format::Json => say!("{}", serde_json::to_string(&report).unwrap_or_default()),
    }
    u8::from(!report.passed())
}
