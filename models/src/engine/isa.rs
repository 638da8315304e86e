//! Which vector instructions this computer has, and code compiled for each of them.
//!
//! Kernels are plain code without intrinsics. Each is compiled once per instruction set, with the
//! tile sizes that suit its registers, and chosen when it runs.
#![allow(unsafe_code, reason = "code for instructions that not every computer has")]

/// A set of instructions that kernels are compiled for, beside the portable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Isa {
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// What every computer of the architecture has: SSE2, or NEON with fused multiply-add.
    Portable,
}

/// Code to compile for every instruction set.
///
/// `ROWS` by `WIDTH` values of a product fit into the registers; `WIDTH` divides
/// [`lanes`](super::panels::lanes). `FUSED` tells that a fused multiply-add is an instruction:
/// elsewhere `f32::mul_add` would be a call.
pub(crate) trait Kernel {
    /// What it computes.
    type Output;

    /// Must be `#[inline(always)]`, and so must be all that it calls.
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) -> Self::Output;
}

impl Isa {
    /// Every instruction set that kernels are compiled for.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The best of this computer. Asked once by the standard library, so this is cheap.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_here()).unwrap_or(Self::Portable)
    }

    /// True where kernels compiled for `self` run here.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Runs `kernel` compiled for these instructions, or for every computer where they are not
    /// [here](Self::is_here); engines refuse that when they are made.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            // SAFETY: they are here.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if self.is_here() => unsafe { x86::avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if self.is_here() => unsafe { x86::avx2(kernel) },
            _ => kernel.run::<4, 8, { cfg!(target_arch = "aarch64") }>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Kernel;

    /// Eight rows by two vectors: 16 of 32 registers sum.
    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<8, 32, true>()
    }

    /// Six rows by two vectors: 12 of 16 registers sum.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<6, 16, true>()
    }
}

/// `a * b + c`, fused where that is an instruction.
#[inline(always)]
pub(crate) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
