//! One vector of `f32`, as wide as each instruction set has them.
//!
//! Kernels are written once against [`Lanes`] and compiled for each implementation inside a function
//! that has the instruction set enabled. Everything here is inlined into those functions.
#![allow(
    unsafe_code,
    reason = "loads without checks, and instructions that not all computers have"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;

/// `1.5 * 2^23`: added to a number below `2^22`, it leaves the nearest integer in the low bits.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// A vector of `WIDTH` numbers.
///
/// # Safety
/// Every method needs the instruction set of its implementation, and those that take a pointer need
/// `WIDTH` elements there.
pub(super) trait Lanes: Copy {
    /// Numbers in a vector.
    const WIDTH: usize;
    /// Vectors that the processor can name.
    const REGISTERS: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    unsafe fn store(self, at: *mut f32);
    /// The lower bfloat16 of every word.
    unsafe fn load_low(at: *const u32) -> Self;
    /// The upper bfloat16 of every word.
    unsafe fn load_high(at: *const u32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once where the instruction set can.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The smaller one; not-a-number in `self` stays.
    unsafe fn at_most(self, limit: Self) -> Self;
    /// The larger one; not-a-number in `self` stays.
    unsafe fn at_least(self, limit: Self) -> Self;
    /// `negative` where `self < 0`, else `other`.
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self;
    /// `2^n` for `self = ROUNDER + n`: 0 for -127, infinite for 128.
    unsafe fn power_of_two(self) -> Self;
    /// Sum of all lanes.
    unsafe fn sum(self) -> f32;
}
