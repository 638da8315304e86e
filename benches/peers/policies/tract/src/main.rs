//! Runs an exported diffusion U-Net with tract on one thread, for the given time.
//!
//! `sinew-tract-peer MODEL SECONDS` prints the median time of a run and the mean processor time, in ms.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;
use tract_onnx::prelude::*;

fn processor_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn main() -> TractResult<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, seconds] = arguments.as_slice() else {
        bail!("usage: sinew-tract-peer MODEL SECONDS");
    };
    let seconds: f64 = seconds.parse()?;
    let model = tract_onnx::onnx().model_for_path(model)?.into_optimized()?.into_runnable()?;
    let wave = |count: usize| (0..count).map(|i| (i as f32).sin()).collect::<Vec<_>>();
    let sample: Tensor = tract_ndarray::Array3::from_shape_vec((1, 16, 7), wave(112))?.into();
    let timestep = tensor1(&[42_i64]);
    let condition: Tensor = tract_ndarray::Array2::from_shape_vec((1, 28), wave(28))?.into();
    let run = || model.run(tvec!(sample.clone().into(), timestep.clone().into(), condition.clone().into()));
    run()?;
    let (begin, processor) = (Instant::now(), processor_ms());
    let mut times = Vec::new();
    while begin.elapsed().as_secs_f64() < seconds || times.len() < 3 {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let processor = (processor_ms() - processor) / times.len() as f64;
    times.sort_by(f64::total_cmp);
    println!("{} {}", times[times.len() / 2], processor);
    Ok(())
}
