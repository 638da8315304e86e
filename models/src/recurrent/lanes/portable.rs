//! Four lanes in plain code: what every computer of the architecture has.

use super::Lanes;

/// Four numbers.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable([f32; 4]);

/// AArch64 fuses in every computer; elsewhere a fused product would be a call.
const FUSED: bool = cfg!(target_arch = "aarch64");

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([op(a, e), op(b, f), op(c, g), op(d, h)])
    }

    #[inline(always)]
    fn map(self, op: impl Fn(f32) -> f32) -> Self {
        let [a, b, c, d] = self.0;
        Self([op(a), op(b), op(c), op(d)])
    }
}

impl Lanes for Portable {
    const WIDTH: usize = 4;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller has four numbers there.
        Self(unsafe { at.cast::<[f32; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller has four numbers there.
        unsafe { at.cast::<[f32; 4]>().write(self.0) };
    }

    #[inline(always)]
    unsafe fn load_low(at: *const u32) -> Self {
        // SAFETY: the caller has four words there.
        Self(unsafe { at.cast::<[u32; 4]>().read() }.map(|word| f32::from_bits(word << 16)))
    }

    #[inline(always)]
    unsafe fn load_high(at: *const u32) -> Self {
        // SAFETY: the caller has four words there.
        let words = unsafe { at.cast::<[u32; 4]>().read() };
        Self(words.map(|word| f32::from_bits(word & 0xffff_0000)))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) = (self.0, factor.0, addend.0);
        let op = |a: f32, b: f32, c: f32| if FUSED { a.mul_add(b, c) } else { a * b + c };
        Self([op(a, e, i), op(b, f, j), op(c, g, k), op(d, h, l)])
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> Self {
        self.zip(limit, |a, b| if a > b { b } else { a })
    }

    #[inline(always)]
    unsafe fn at_least(self, limit: Self) -> Self {
        self.zip(limit, |a, b| if a < b { b } else { a })
    }

    #[inline(always)]
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self {
        let mut chosen = other.0;
        for ((chosen, sign), negative) in chosen.iter_mut().zip(self.0).zip(negative.0) {
            if sign < 0.0 {
                *chosen = negative;
            }
        }
        Self(chosen)
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        self.map(|x| f32::from_bits((x.to_bits() << 23).wrapping_add(127 << 23)))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}
