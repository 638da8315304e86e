//! Eight lanes: AVX2 and FMA.

use super::Lanes;
use core::arch::x86_64::*;

/// 8 numbers.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx2(__m256);

impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller has the instructions, and a vector there.
        Self(unsafe { _mm256_loadu_ps(at) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller has the instructions, and a vector there.
        unsafe { _mm256_storeu_ps(at, self.0) };
    }

    #[inline(always)]
    unsafe fn load_low(at: *const u32) -> Self {
        // SAFETY: the caller has the instructions, and a vector there.
        unsafe {
            let words = _mm256_loadu_si256(at.cast());
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)))
        }
    }

    #[inline(always)]
    unsafe fn load_high(at: *const u32) -> Self {
        // SAFETY: the caller has the instructions, and a vector there.
        unsafe {
            let words = _mm256_loadu_si256(at.cast());
            // As an AND with a mask, but the load becomes part of the instruction.
            Self(_mm256_castsi256_ps(_mm256_blend_epi16::<0xaa>(_mm256_setzero_si256(), words)))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> Self {
        // SAFETY: the caller has the instructions; the second operand wins where either is no number.
        Self(unsafe { _mm256_min_ps(limit.0, self.0) })
    }

    #[inline(always)]
    unsafe fn at_least(self, limit: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_max_ps(limit.0, self.0) })
    }

    #[inline(always)]
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let chosen = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, _mm256_setzero_ps());
            Self(_mm256_blendv_ps(other.0, negative.0, chosen))
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(self.0));
            Self(_mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23))))
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller has the instructions.
        unsafe {
            let four =
                _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
}
