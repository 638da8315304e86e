//! Which vector instructions this computer has.

/// A set of instructions that kernels are compiled for, beside the portable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// What every computer of the architecture has; with fused multiply-add on AArch64.
    Portable,
}

impl Isa {
    /// The best of this computer. Asked once by the standard library, so this is cheap.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// True where kernels compiled for `self` run here.
    #[cfg(test)]
    pub(crate) fn is_here(self) -> bool {
        match (self, Self::best()) {
            (Self::Portable, _) | (_, Self::Avx512) => true,
            (wanted, best) => wanted == best,
        }
    }
}
