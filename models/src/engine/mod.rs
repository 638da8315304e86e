//! What computes: kernels for the instructions of this computer, and threads to run them on.
//!
//! Maps are stored channels last, with a border of zeros where a convolution reads beyond the
//! edge, so that every patch lies within the map.

pub(crate) mod exponential;
pub(crate) mod isa;
pub(crate) mod map;
pub(crate) mod panels;
pub(crate) mod product;
mod roofline;
pub(crate) mod winograd;
pub(crate) mod workers;

pub use isa::Isa;
pub(crate) use panels::Bf16;
use panels::Panels;
pub use panels::Precision;
use product::{Finish, Left, Rows};
pub use roofline::Roofline;
use workers::Workers;

/// Threads and instructions that a policy computes with. Every policy has its own.
pub(crate) struct Engine {
    isa: Isa,
    workers: Workers,
}

impl Engine {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a processor, or the computer does not have
    /// the instructions.
    pub(crate) fn new(isa: Isa, threads: usize, cpus: &[usize]) -> std::io::Result<Self> {
        if !isa.is_here() {
            let message = format!("this computer does not have {}", isa.name());
            return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, message));
        }
        Ok(Self { isa, workers: Workers::new(threads, cpus)? })
    }

    /// One engine for every instruction set of this computer, with one thread and with three.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let here = Isa::ALL.into_iter().filter(|isa| isa.is_here());
        here.flat_map(|isa| [1, 3].map(|threads| Self::new(isa, threads, &[]).unwrap()))
    }

    /// Instructions.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads.
    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Writes `finish(left * right)` to the rows of `out`.
    pub(crate) fn multiply(
        &self,
        left: Left<'_>,
        right: &Panels,
        finish: Finish<'_>,
        out: &mut [f32],
        rows: Rows,
    ) {
        product::multiply(self.isa, &self.workers, left, right, finish, out, rows);
    }
}

/// Numbers between -1 and 1 that look random, for tests (splitmix64).
#[cfg(test)]
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
