//! What this core can do at most: fused multiply-adds from registers, and reads from memory.

use std::hint::black_box;
use std::time::Instant;

/// Largest of `rounds` rates.
fn best(rounds: usize, mut rate: impl FnMut() -> f64) -> f64 {
    (0..rounds).map(|_| rate()).fold(0.0, f64::max)
}

/// GFLOP/s of fused multiply-adds, and the vectors they were done with.
pub fn multiply_adds() -> (f64, &'static str) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: asked just now.
            return (best(40, || unsafe { avx512() }), "AVX-512");
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: asked just now.
            return (best(40, || unsafe { avx2() }), "AVX2");
        }
    }
    (f64::NAN, "no vectors known here")
}

const REPEATS: usize = 200_000;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512() -> f64 {
    chains::<16>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2() -> f64 {
    chains::<8>()
}

/// Ten chains of one vector each: more than latency times units.
#[inline(always)]
fn chains<const WIDTH: usize>() -> f64 {
    let mut sums = [[1.0_f32; WIDTH]; 10];
    let (a, b) = (black_box([0.999_f32; WIDTH]), black_box([0.001_f32; WIDTH]));
    let start = Instant::now();
    for _ in 0..REPEATS {
        for sum in &mut sums {
            for lane in 0..WIDTH {
                sum[lane] = sum[lane].mul_add(a[lane], b[lane]);
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    black_box(sums);
    (2 * 10 * WIDTH * REPEATS) as f64 / seconds / 1e9
}

/// GB/s of reading `bytes` over and over.
pub fn reads(bytes: usize) -> f64 {
    let words = vec![1_u32; bytes / 4];
    let passes = (64 << 20) / bytes;
    best(20, || {
        let start = Instant::now();
        for _ in 0..passes {
            black_box(read(black_box(&words)));
        }
        (passes * bytes) as f64 / start.elapsed().as_secs_f64() / 1e9
    })
}

fn read(words: &[u32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: asked just now.
            return unsafe { read_avx512(words) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: asked just now.
            return unsafe { read_avx2(words) };
        }
    }
    read_in::<32>(words)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn read_avx512(words: &[u32]) -> u32 {
    read_in::<128>(words)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn read_avx2(words: &[u32]) -> u32 {
    read_in::<64>(words)
}

#[inline(always)]
fn read_in<const N: usize>(words: &[u32]) -> u32 {
    let mut all = [0_u32; N];
    for words in words.as_chunks::<N>().0 {
        for lane in 0..N {
            all[lane] ^= words[lane];
        }
    }
    all.iter().fold(0, |all, word| all ^ word)
}
