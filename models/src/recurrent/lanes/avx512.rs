//! Sixteen lanes: AVX-512F alone, without its extensions.

use super::Lanes;
use core::arch::x86_64::*;

/// 16 numbers.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx512(__m512);

impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller has the instructions, and a vector there.
        Self(unsafe { _mm512_loadu_ps(at) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller has the instructions, and a vector there.
        unsafe { _mm512_storeu_ps(at, self.0) };
    }

    #[inline(always)]
    unsafe fn load_low(at: *const u32) -> Self {
        // SAFETY: the caller has the instructions, and a vector there.
        unsafe {
            let words = _mm512_loadu_si512(at.cast());
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)))
        }
    }

    #[inline(always)]
    unsafe fn load_high(at: *const u32) -> Self {
        // SAFETY: the caller has the instructions, and a vector there.
        unsafe {
            let words = _mm512_loadu_si512(at.cast());
            let mask = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            Self(_mm512_castsi512_ps(_mm512_and_si512(words, mask)))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> Self {
        // SAFETY: the caller has the instructions; the second operand wins where either is no number.
        Self(unsafe { _mm512_min_ps(limit.0, self.0) })
    }

    #[inline(always)]
    unsafe fn at_least(self, limit: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_max_ps(limit.0, self.0) })
    }

    #[inline(always)]
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let chosen = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, _mm512_setzero_ps());
            Self(_mm512_mask_blend_ps(chosen, other.0, negative.0))
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(self.0));
            Self(_mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(127 << 23))))
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller has the instructions.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
}
