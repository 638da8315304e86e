//! What this computer can do at best: the measure of every kernel.

use super::isa::{Isa, Kernel, multiply_add};
use super::workers::Workers;
use std::hint::black_box;
use std::time::Instant;

/// Rounds of which the best counts: other programs only take away.
const ROUNDS: usize = 7;
/// Multiply-adds of one register in a round.
const STEPS: usize = 200_000;
/// Values read in a round by all threads together, more than most caches hold: 256 MiB.
const VALUES: usize = 1 << 26;

/// Limits of the computer with these instructions and threads.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Roofline {
    /// Floating-point operations a second, in registers; a multiply-add counts as two.
    pub flops: f64,
    /// Bytes a second that are read from memory.
    pub bytes: f64,
}

impl Roofline {
    /// Measures for about half a second.
    ///
    /// # Errors
    /// When the computer does not have the instructions, or a thread cannot be started.
    pub fn measure(isa: Isa, threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let engine = super::Engine::new(isa, threads, &[])?;
        let workers = engine.workers();
        let best = |work: &dyn Fn() -> f64| (0..ROUNDS).map(|_| work()).fold(0.0, f64::max);
        let flops = best(&|| rate(workers, threads, &|_| isa.run(Registers)));
        let values = vec![1.0_f32; VALUES];
        let bytes = best(&|| {
            rate(workers, threads, &|thread| {
                let part = &values[thread * (VALUES / threads)..][..VALUES / threads];
                black_box(isa.run(Read(part)));
                size_of_val(part) as f64
            })
        });
        Ok(Self { flops, bytes })
    }
}

/// What all threads do in a second, where `work` says how much each call did.
fn rate(workers: &Workers, threads: usize, work: &(dyn Fn(usize) -> f64 + Sync)) -> f64 {
    let mut done = vec![0.0; threads];
    let begin = Instant::now();
    workers.run_chunks(&mut done, 1, |index, done| done[0] = work(index));
    done.iter().sum::<f64>() / begin.elapsed().as_secs_f64()
}

/// As many sums as fit into the registers. Returns the number of operations.
struct Registers;

impl Kernel for Registers {
    type Output = f64;

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) -> f64 {
        let (factor, term) = (black_box(0.999_f32), black_box(0.001_f32));
        let mut sums = [[1.0_f32; WIDTH]; ROWS];
        for _ in 0..STEPS {
            for sums in &mut sums {
                for sum in sums {
                    *sum = multiply_add::<FUSED>(*sum, factor, term);
                }
            }
        }
        black_box(sums);
        (2 * STEPS * WIDTH * ROWS) as f64
    }
}

/// Reads everything once.
struct Read<'a>(&'a [f32]);

impl Kernel for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) -> f32 {
        let mut sums = [[0.0_f32; WIDTH]; ROWS];
        let (vectors, _) = self.0.as_chunks::<WIDTH>();
        let (groups, _) = vectors.as_chunks::<ROWS>();
        for group in groups {
            for (sums, values) in sums.iter_mut().zip(group) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
        sums.iter().flatten().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computer_computes_and_reads() {
        let roofline = Roofline::measure(Isa::best(), 1).unwrap();
        // Any computer of this century, also under a debugger.
        assert!(roofline.flops > 1e7 && roofline.bytes > 1e6, "{roofline:?}");
        assert!(roofline.flops < 1e13 && roofline.bytes < 1e13, "{roofline:?}");
    }
}
