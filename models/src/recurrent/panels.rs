//! Weights in the order in which kernels read them, and the product over them.
//!
//! A panel is a few vectors wide and as deep as its left side is long: for every input, one weight
//! per column, so that a step reads memory from front to back. With [`Precision::Bf16`] a vector of
//! words holds two consecutive vectors of weights, the earlier one in the lower halves; an odd
//! number of inputs is filled up with zeros.
#![allow(clippy::needless_range_loop, reason = "vectors and rows have numbers")]
#![allow(unsafe_code, reason = "loads without checks in the innermost loop")]

use super::Precision;
use super::lanes::Lanes;
use crate::engine;

/// A cache line of words: vectors must not lie across two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// Panels, one after the other.
pub(super) struct Panels {
    lines: Vec<Line>,
    words: Vec<u32>,
    precision: Precision,
    width: usize,
}

impl Panels {
    /// No panels yet; vectors are of `width`.
    pub(super) fn new(precision: Precision, width: usize) -> Self {
        Self { lines: Vec::new(), words: Vec::new(), precision, width }
    }

    /// Appends `depth` inputs of `columns` columns; `weight` gives the weight of (input, column).
    pub(super) fn push(
        &mut self,
        depth: usize,
        columns: usize,
        weight: impl Fn(usize, usize) -> f32,
    ) {
        let inputs = Self::column_words(self.precision, depth) * self.inputs_per_word();
        let weights: Vec<f32> = (0..inputs * columns)
            .map(|at| (at / columns, at % columns))
            .map(|(input, column)| if input < depth { weight(input, column) } else { 0.0 })
            .collect();
        match self.precision {
            Precision::F32 => self.words.extend(weights.iter().map(|weight| weight.to_bits())),
            Precision::Bf16 => {
                self.words.extend(weights.chunks_exact(2 * self.width).flat_map(|two| {
                    let (earlier, later) = two.split_at(self.width);
                    earlier.iter().zip(later).map(|(a, b)| bf16_bits(*a) | bf16_bits(*b) << 16)
                }))
            }
        }
    }

    fn inputs_per_word(&self) -> usize {
        match self.precision {
            Precision::F32 => 1,
            Precision::Bf16 => 2,
        }
    }

    /// Moves what was pushed to where vectors are aligned.
    pub(super) fn finish(mut self) -> Self {
        self.lines = vec![Line([0; 16]); self.words.len().div_ceil(16)];
        for (line, words) in self.lines.iter_mut().zip(self.words.chunks(16)) {
            line.0[..words.len()].copy_from_slice(words);
        }
        self.words = Vec::new();
        self
    }

    /// Words of `depth` inputs of one column.
    pub(super) fn column_words(precision: Precision, depth: usize) -> usize {
        match precision {
            Precision::F32 => depth,
            Precision::Bf16 => depth.div_ceil(2),
        }
    }

    /// All words, and a few zeros that fill the last cache line.
    pub(super) fn words(&self) -> &[u32] {
        // SAFETY: a line is sixteen words without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }
}

/// Nearest bfloat16, ties to even.
pub(super) fn bf16_bits(value: f32) -> u32 {
    u32::from(engine::Bf16::nearest(value).bits())
}

/// How the words of a panel become weights.
pub(super) trait Format {
    /// Inputs of one row of words.
    const INPUTS: usize;
    /// Registers that it takes to do so.
    const REGISTERS: usize;

    /// Adds `INPUTS` inputs of `R` rows, each times `N` vectors of weights.
    ///
    /// # Safety
    /// The instructions of `L`, `N` vectors of words at `at`, and `INPUTS` numbers at `row`,
    /// `row + stride`, and so on for `R` rows.
    unsafe fn add<L: Lanes, const R: usize, const N: usize>(
        sums: &mut [[L; N]; R],
        at: *const u32,
        row: *const f32,
        stride: usize,
    );
}

/// A word is a weight.
pub(super) struct F32;

/// A word is two weights.
pub(super) struct Bf16;

impl Format for F32 {
    const INPUTS: usize = 1;
    const REGISTERS: usize = 0;

    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize, const N: usize>(
        sums: &mut [[L; N]; R],
        at: *const u32,
        row: *const f32,
        stride: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut weights = [L::splat(0.0); N];
            for n in 0..N {
                weights[n] = L::load(at.cast::<f32>().add(n * L::WIDTH));
            }
            for r in 0..R {
                let input = L::splat(*row.add(r * stride));
                for n in 0..N {
                    sums[r][n] = input.mul_add(weights[n], sums[r][n]);
                }
            }
        }
    }
}

impl Format for Bf16 {
    const INPUTS: usize = 2;
    const REGISTERS: usize = 3;

    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize, const N: usize>(
        sums: &mut [[L; N]; R],
        at: *const u32,
        row: *const f32,
        stride: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            for input in 0..2 {
                let row = row.add(input);
                for n in 0..N {
                    let vector = input * N + n;
                    let word = at.add(vector / 2 * L::WIDTH);
                    let weights = if vector.is_multiple_of(2) {
                        L::load_low(word)
                    } else {
                        L::load_high(word)
                    };
                    for r in 0..R {
                        let input = L::splat(*row.add(r * stride));
                        sums[r][n] = input.mul_add(weights, sums[r][n]);
                    }
                }
            }
        }
    }
}

/// Adds to `sums` the product of `R` rows with a panel of `N` vectors, input by input: the order,
/// and so every rounding, is the same for every `R` and `N`.
///
/// # Safety
/// The instructions of `L`; `depth` (rounded up to whole words) inputs at `panel`, and as many at
/// `row`, `row + stride`, and so on for `R` rows.
#[inline(always)]
pub(super) unsafe fn accumulate<L: Lanes, F: Format, const R: usize, const N: usize>(
    sums: &mut [[L; N]; R],
    panel: *const u32,
    row: *const f32,
    stride: usize,
    depth: usize,
) {
    for step in 0..depth.div_ceil(F::INPUTS) {
        // SAFETY: the caller's.
        unsafe {
            let at = panel.add(step * N * L::WIDTH);
            F::add(sums, at, row.add(step * F::INPUTS), stride);
        }
    }
}

/// Most rows of a tile of `n` vectors: their sums, the weights and one input must fit.
pub(super) const fn most_rows<F: Format>(registers: usize, n: usize) -> usize {
    let rows = (registers - 2 - F::REGISTERS).saturating_sub(n) / n;
    if rows == 0 { 1 } else { rows }
}

/// The largest of `choices` (in falling order) that pads `vectors` vectors least.
pub(super) fn least_padding(choices: &[usize], vectors: usize) -> usize {
    let padded = |choice: &usize| vectors.next_multiple_of(*choice);
    choices.iter().copied().min_by_key(padded).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_the_nearest_and_ties_go_to_even() {
        for (value, expected) in [
            (1.0_f32, 0x3f80),
            (-2.5, 0xc020),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (0.0, 0),
            (1e-45, 0),
        ] {
            assert_eq!(bf16_bits(value), expected, "{value}");
        }
    }

    #[test]
    fn panels_begin_on_a_cache_line_and_end_in_zeros() {
        let mut panels = Panels::new(Precision::Bf16, 2);
        // Three inputs of three vectors of two columns.
        panels.push(3, 6, |input, column| (input * 10 + column) as f32);
        let panels = panels.finish();
        assert_eq!(panels.words().as_ptr() as usize % 64, 0);
        assert_eq!(panels.words()[1], bf16_bits(1.0) | bf16_bits(3.0) << 16);
        assert_eq!(panels.words()[2], bf16_bits(4.0) | bf16_bits(10.0) << 16);
        assert_eq!(panels.words()[8], bf16_bits(24.0));
        assert_eq!(panels.words()[12..], [0; 4]);
    }
}
