//! How long a checkpoint's inference takes here.
//!
//! ```text
//! cargo run --release -p sinew-models --example latency -- DIR [THREADS] [f32|bf16] [COUNT] [ddim STEPS]
//! ```

use sinew_models::{
    DiffusionOptions, FeatureKind, LoadOptions, NetworkInfo, Observation, Precision, Scheduler,
};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let folder = argument(0).ok_or("name a checkpoint folder")?;
    let threads = argument(1).unwrap_or("1").parse()?;
    let precision = match argument(2) {
        Some("bf16") => Precision::Bf16,
        _ => Precision::F32,
    };
    let count: usize = argument(3).unwrap_or("20").parse()?;
    let diffusion = DiffusionOptions {
        scheduler: argument(4).map(|_| Scheduler::Ddim),
        steps: argument(5).map(str::parse).transpose()?,
        ..DiffusionOptions::default()
    };
    let options = LoadOptions { threads, precision, diffusion, ..LoadOptions::default() };
    let began = Instant::now();
    let mut policy = sinew_models::load(Path::new(folder), &options)?;
    println!("loaded in {:.2} s", began.elapsed().as_secs_f64());
    let (mut vectors, mut images) = (Vec::new(), Vec::new());
    for input in &policy.description().inputs {
        let size: usize = input.shape.iter().product();
        if input.kind == FeatureKind::Visual {
            images.push(vec![128; size]);
        } else {
            vectors.push(vec![0.5; size]);
        }
    }
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let observation = Observation { vectors: &vectors, images: &images };
    let description = policy.description();
    let mut actions = vec![0.0; description.chunk_size * description.action_size];
    let mut seconds = Vec::new();
    for _ in 0..=count {
        let began = Instant::now();
        policy.predict(&observation, &mut actions)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    // The first meets cold caches.
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(count / 2).copied().unwrap_or_default();
    let least = seconds.first().copied().unwrap_or_default();
    println!(
        "{threads} thread(s), {precision:?}: median {:.2} ms, least {:.2} ms",
        median * 1e3,
        least * 1e3
    );
    if let NetworkInfo::Diffusion(network) = &policy.info().network {
        let step = median / network.steps as f64;
        println!(
            "a step: {:.2} ms, {:.1} GFLOP/s, {:.1} GB/s of weights",
            step * 1e3,
            2e-9 * network.products as f64 / step,
            1e-9 * network.step_bytes as f64 / step
        );
    }
    Ok(())
}
