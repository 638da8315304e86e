//! ONNX Runtime and RTNeural at the same networks as sinew, in the same minutes, on one thread.
//!
//! `sinew-inference-peers MODELS ONNXRUNTIME_LIBRARY ROUNDS [RTNEURAL_LIBRARY...]`

mod peers;
mod roofline;

use ort::environment::Environment;
use peers::{Case, Peer};
use sinew_models::recurrent::Precision;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

type Error = Box<dyn std::error::Error>;

const GRU: Case = Case { name: "", rows: 1, inputs: 3, outputs: 1, state: None };

const CASES: [Case; 7] = [
    Case { name: "gru-1x128", state: Some((1, 128)), ..GRU },
    Case { name: "gru-2x128", state: Some((2, 128)), ..GRU },
    Case { name: "gru-1x256", state: Some((1, 256)), ..GRU },
    Case { name: "gru-2x256", state: Some((2, 256)), ..GRU },
    Case { name: "gru-2x128-rows12", rows: 12, state: Some((2, 128)), ..GRU },
    Case { name: "gru-1x64-rows12", rows: 12, state: Some((1, 64)), ..GRU },
    Case { name: "mlp", rows: 1, inputs: 48, outputs: 12, state: None },
];

/// Steps of one turn, and those before them that are not counted: the caches are the last one's.
const STEPS: usize = 300;
const WARM: usize = 30;

static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// ONNX Runtime's environment, made once.
fn environment() -> Result<&'static Environment, Error> {
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let library = LIBRARY.get().ok_or("no ONNX Runtime named")?;
    let environment = ort::init_from(library)?.build()?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// Nanoseconds of every step of every turn.
struct Competitor {
    name: String,
    peer: Box<dyn Peer>,
    turns: Vec<Vec<u64>>,
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(turn: &[u64]) -> f64 {
    quantile(&sorted(turn.iter().map(|ns| *ns as f64)), 0.5)
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

fn inputs(case: Case, step: usize, out: &mut [f32]) {
    for (index, out) in out.iter_mut().enumerate().take(case.rows * case.inputs) {
        *out = ((step * 37 + index * 101) as f32 * 0.013).sin();
    }
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [models, library, rounds, rtneural @ ..] = arguments.as_slice() else {
        return Err("sinew-inference-peers MODELS ONNXRUNTIME_LIBRARY ROUNDS [RTNEURAL...]".into());
    };
    let models = PathBuf::from(models);
    LIBRARY.get_or_init(|| library.into());
    let rounds: usize = rounds.parse()?;
    let mut cpu = rustix::thread::CpuSet::new();
    cpu.set(1);
    rustix::thread::sched_setaffinity(None, &cpu)?;
    environment()?;

    println!("load {}; one thread, pinned; {rounds} rounds of {STEPS} steps each", load());
    let (rate, vectors) = roofline::multiply_adds();
    println!("peak of this core: {rate:.0} GFLOP/s of fused multiply-adds ({vectors}); reads:");
    for kib in [16, 200, 400, 600, 800, 1200, 2400, 16_384] {
        println!("  {kib} KiB: {:.0} GB/s", roofline::reads(kib << 10));
    }
    println!();
    println!("| network | who | p50 | p99 | to ONNX Runtime | to the best RTNeural | off by |");
    println!("|---|---|---|---|---|---|---|");
    for case in CASES {
        compare(case, &models, rtneural, rounds)?;
    }
    println!("\nload {}", load());
    Ok(())
}

fn compare(case: Case, models: &Path, rtneural: &[String], rounds: usize) -> Result<(), Error> {
    let mut all = Vec::new();
    let mut add = |name: &str, peer| {
        all.push(Competitor { name: name.to_owned(), peer, turns: Vec::new() });
    };
    add("ONNX Runtime", peers::onnx_runtime(models, case)?);
    add("sinew f32", peers::sinew(models, case, Precision::F32)?);
    add("sinew bf16", peers::sinew(models, case, Precision::Bf16)?);
    if case.rows > 1 {
        add("sinew actuator", peers::actuator(models, case)?);
    }
    for library in rtneural {
        let library = PathBuf::from(library);
        let name = library.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(peer) = peers::rtneural(&library, models, case)? {
            add(&name, peer);
        }
    }
    // Everybody must compute the same before anybody is timed.
    let mut x = vec![0.0; case.rows * case.inputs];
    let mut y = vec![vec![0.0; case.rows * case.outputs]; all.len()];
    let mut off = vec![0.0_f32; all.len()];
    for step in 0..200 {
        inputs(case, step, &mut x);
        for (competitor, y) in all.iter_mut().zip(&mut y) {
            competitor.peer.step(&x, y)?;
        }
        for (off, other) in off.iter_mut().zip(&y) {
            for (a, b) in other.iter().zip(&y[0]) {
                *off = off.max((a - b).abs());
            }
        }
    }
    if let Some(index) = off.iter().position(|off| off.is_nan() || *off > 0.05) {
        return Err(format!("{}: {} is off by {}", case.name, all[index].name, off[index]).into());
    }
    let table: Vec<Vec<f32>> = (0..64)
        .map(|step| {
            inputs(case, step, &mut x);
            x.clone()
        })
        .collect();
    for round in 0..rounds {
        for turn in 0..all.len() {
            // Forwards and backwards in turn, so that nobody always follows the same one.
            let index = if round % 2 == 0 { turn } else { all.len() - 1 - turn };
            let (competitor, y) = (&mut all[index], &mut y[index]);
            let mut times = Vec::with_capacity(STEPS);
            for step in 0..WARM + STEPS {
                let x = &table[step % table.len()];
                let start = Instant::now();
                competitor.peer.step(x, y)?;
                let elapsed = start.elapsed().as_nanos() as u64;
                if step >= WARM {
                    times.push(elapsed);
                }
            }
            competitor.turns.push(times);
        }
    }
    let medians: Vec<Vec<f64>> =
        all.iter().map(|one| one.turns.iter().map(|turn| median(turn)).collect()).collect();
    let best = all
        .iter()
        .enumerate()
        .filter(|(_, one)| one.name.starts_with("rtneural"))
        .map(|(index, _)| index)
        .min_by(|a, b| {
            let middle = |index: &usize| quantile(&sorted(medians[*index].clone()), 0.5);
            middle(a).total_cmp(&middle(b))
        });
    let ratio = |index: usize, to: usize| {
        let ratios = medians[index].iter().zip(&medians[to]).map(|(a, b)| a / b);
        quantile(&sorted(ratios), 0.5)
    };
    for (index, one) in all.iter().enumerate() {
        let steps = sorted(one.turns.iter().flatten().map(|ns| *ns as f64 / 1e3));
        let to_best = best.map_or(String::new(), |best| format!("{:.2}", ratio(index, best)));
        println!(
            "| {} | {} | {:.2} µs | {:.2} µs | {:.2} | {to_best} | {:.0e} |",
            case.name,
            one.name,
            quantile(&steps, 0.5),
            quantile(&steps, 0.99),
            ratio(index, 0),
            off[index],
        );
    }
    Ok(())
}
